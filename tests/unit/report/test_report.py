# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says of an estate: how links stand, what is not seen, what expires, what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import alarms, why_due
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.negotiation import negotiated
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.pictures import time_line
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Offer
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.tone import of_event, of_link
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.gathering import MOST_DEEDS
from tests.unit.pki.support import DAY, NOW
from tests.unit.report.estates import CIPHERS, Estate, one_link, ten_links
from tests.unit.support import Json, link


@pytest.fixture(scope="module")
def ten() -> Report:
    return report_of(ten_links().sources())


def states(report: Report) -> dict[str, str]:
    return {item.name: item.state for item in report.links}


# -- links ---------------------------------------------------------------------------------------------------------


def test_a_link_tells_both_ends_and_what_each_presents() -> None:
    report = report_of(one_link().sources())
    (mysql,) = report.links
    assert (mysql.state, mysql.proven, mysql.last_proven) == ("up", True, report.made_at)
    assert mysql.proof == "every ready gateway pod was read and serves it; it has no probe"
    assert (mysql.clients, mysql.servers) == (("cluster-a",), ("cluster-b",))
    assert mysql.callers == ("cluster-a: every workload of the mesh",)
    assert mysql.backend == "mysql.default.svc.cluster.local:3306"
    client, server = mysql.ends
    assert server.key_location == "Secret istio-system/mysql-credential in cluster cluster-b"
    assert client.key_location == "Secret istio-system/client-credential in cluster cluster-a"
    presented = {item.fingerprint: item for item in report.certificates}
    assert presented[server.certificate].names == ("mysql.server.example.com",)
    assert (presented[server.certificate].renewed, mysql.renewed) == (1, 2)
    assert mysql.days_left == 70
    assert mysql.next_due == timestamp(NOW + 40 * DAY)


def test_the_worst_that_there_is_of_a_link_is_its_state(ten: Report) -> None:
    found = states(ten)
    assert found["orders"] == "broken"
    assert found["catalogue"] == "not served"
    orders = next(item for item in ten.links if item.name == "orders")
    assert (orders.broken_at, orders.cause) == ("hop 2", "chain-missing")
    assert (orders.proven, orders.proof, orders.last_proven) == (False, "", "")


def test_a_cluster_that_was_not_looked_at_is_said_wherever_it_matters(ten: Report) -> None:
    assert ten.coverage.complete is False
    assert [(item.cluster, "api-unreachable" in item.why) for item in ten.coverage.unseen] == [("archive", True)]
    reports = next(item for item in ten.links if item.name == "reports")
    assert (reports.state, reports.where, reports.proven) == ("not seen", ("archive",), False)
    # Its certificate is known from the records, and is not said to be in service.
    away = next(end for end in reports.ends if end.cluster == "archive")
    known = {item.fingerprint: item for item in ten.certificates}[away.certificate]
    assert (away.seen, known.in_service, known.key_type) == (False, False, "")
    # The control: a link that has no end there is up.
    assert states(ten)["payments"] == "up"


def test_a_cluster_of_another_slice_is_said() -> None:
    sources = one_link().sources()
    without = {name: sight for name, sight in sources.sights.items() if name != "cluster-b"}
    report = report_of(type(sources)(**{**vars(sources), "sights": without}))
    assert [(item.cluster, item.why) for item in report.coverage.unseen] == [
        ("cluster-b", "in another part of the inventory: mesh_clusters names it")
    ]
    assert states(report) == {"mysql": "not seen"}


def test_a_link_that_nobody_probed_is_up_and_not_proven() -> None:
    sources = one_link().sources()
    unprobed = {name: type(sight)(**{**vars(sight), "probed": False}) for name, sight in sources.sights.items()}
    (mysql,) = report_of(type(sources)(**{**vars(sources), "sights": unprobed})).links
    assert (mysql.state, mysql.proven) == ("up", False)


def test_who_may_call_is_said_of_workloads_and_partners(ten: Report) -> None:
    callers = {item.name: item.callers for item in ten.links}
    assert "shop-eu: namespace checkout" in callers["orders"]
    assert "partner: billing.partner.example" in callers["billing"]


def test_an_overdue_renewal_is_told_apart_from_what_is_broken(ten: Report) -> None:
    tones = {item.name: of_link(item, ten.renew_before_days) for item in ten.links}
    assert (tones["sessions"], tones["orders"], tones["reports"], tones["payments"]) == ("due", "bad", "unknown", "ok")


# -- certificates, roots, CRLs -------------------------------------------------------------------------------------


def test_what_expires_first_comes_first_and_roots_and_crls_are_among_it(ten: Report) -> None:
    assert [event.at for event in ten.timeline] == sorted(event.at for event in ten.timeline)
    assert {event.kind for event in ten.timeline} == {"certificate", "root", "crl"}
    (crl,) = ten.crls
    assert (crl.age_hours, crl.number, [item.serial for item in crl.revoked]) == (32, 7, ["4f0c2d9e1b7a6c35"])


def crl_that_was_made(days_ago: int, lasting: int = 365) -> Report:
    estate = one_link()
    sources, root = estate.sources(), estate.root
    authority = sources.authority
    assert authority is not None
    gone = [Revoked("71", NOW - days_ago * DAY, "keyCompromise")]
    made = issue_crl(
        root=root.view, key=root.key, revoked=gone, number=7, now=NOW - days_ago * DAY, validity=lasting * DAY
    )
    return report_of(replace(sources, authority=replace(authority, lists=(made,))))


@pytest.mark.parametrize(
    ("days_ago", "renewal", "tone"),
    [
        (0, "not due", "ok"),
        (124, "not due", "ok"),
        (126, "due", "due"),
        (244, "due", "due"),
        (246, "overdue", "bad"),
        (400, "overdue", "bad"),
    ],
)
def test_a_crl_is_due_when_verify_says_so(days_ago: int, renewal: str, tone: str) -> None:
    report = crl_that_was_made(days_ago)
    (crl,) = report.crls
    (event,) = (item for item in report.timeline if item.kind == "crl")
    assert (crl.renewal, of_event(event, report)) == (renewal, tone)
    assert [bar.tone for lane in time_line(report, 850).lanes if lane.title == "CRLs" for bar in lane.bars] == [tone]


@pytest.mark.parametrize("days_ago", [0, 124, 126, 244, 246, 400])
def test_the_report_and_verify_have_one_answer_for_a_crl(days_ago: int) -> None:
    estate = one_link()
    made = issue_crl(
        root=estate.root.view, key=estate.root.key, revoked=[], number=7, now=NOW - days_ago * DAY, validity=365 * DAY
    )
    authority = Authority("ca", estate.root.view, (estate.root.view,), lists=(made,))
    (crl,) = report_of(replace(estate.sources(), authority=authority)).crls
    wanted: dict[str, tuple[Revoked, ...]] = {"root": ()}
    assert (crl.renewal == "overdue") == bool(alarms([made], NOW))
    assert (crl.renewal != "not due") == bool(why_due(wanted, {"root": made}, NOW))


def test_a_crl_that_ends_with_its_root_is_never_due() -> None:
    (crl,) = crl_that_was_made(10, lasting=200).crls
    assert (crl.renewal, crl.next_due) == ("not due", "")
    (whole,) = crl_that_was_made(10).crls
    assert whole.next_due == timestamp(NOW + 115 * DAY)


def test_an_issuing_root_in_its_last_days_is_a_problem_and_no_other_is(ten: Report) -> None:
    (root,) = (event for event in ten.timeline if event.kind == "root")
    near = replace(root, days_left=29)
    assert (of_event(root, ten), of_event(near, ten)) == ("ok", "bad")
    trusted = replace(ten, roots=tuple(replace(item, role="trusted") for item in ten.roots))
    assert of_event(near, trusted) == "ok"


# -- history -------------------------------------------------------------------------------------------------------


def test_a_link_has_its_last_entries_of_the_journal_and_how_many_came_before(ten: Report) -> None:
    orders = next(item for item in ten.links if item.name == "orders")
    assert len(orders.history) == MOST_DEEDS
    assert orders.earlier > 0
    last = orders.history[-1]
    assert (last.kind, last.operator, last.playbook) == (
        "issued",
        "rotation-timer",
        "crossmesh.mtls.rotate_certificates",
    )
    assert "link orders" in last.which or "links" in last.which
    assert [deed.entry for deed in orders.history] == sorted(deed.entry for deed in orders.history)


def test_a_link_of_which_the_journal_tells_nothing_has_no_history() -> None:
    (mysql,) = report_of(replace(one_link().sources(), histories={})).links
    assert (mysql.history, mysql.earlier) == ((), 0)


def test_a_revoked_certificate_is_marked_and_no_other() -> None:
    estate = one_link()
    serial = report_of(estate.sources()).certificates[0].serial
    estate.revoked = [serial]
    assert [item.serial for item in report_of(estate.sources()).certificates if item.revoked] == [serial]


def test_an_expired_certificate_has_days_below_zero() -> None:
    (mysql,) = report_of(Estate(**{**vars_of(one_link()), "issued": {"mysql": 92}}).sources()).links
    assert mysql.days_left == -2


def vars_of(estate: Estate) -> Json:
    return {"links": estate.links, "clusters": estate.clusters}


def test_without_a_ca_there_is_a_report_all_the_same() -> None:
    sources = one_link().sources()
    empty = {**vars(sources), "authority": None, "records": [], "sights": {}, "unseen": {}}
    report = report_of(type(sources)(**empty))
    assert (report.phase, report.roots, report.certificates) == ("absent", (), ())


# -- TLS -----------------------------------------------------------------------------------------------------------


def offer(minimum: str = "", maximum: str = "", ciphers: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Offer:
    return {"minimum": minimum, "maximum": maximum, "ciphers": list(ciphers), "groups": list(groups)}


@pytest.mark.parametrize(
    ("client", "server", "versions"),
    [
        (offer("TLSv1_2", "TLSv1_3"), offer("TLSv1_2", "TLSv1_3"), ("TLSv1.2", "TLSv1.3")),
        (offer("TLSv1_2", "TLSv1_3"), offer("TLSv1_3"), ("TLSv1.3",)),
        # Envoy's own: a client goes no higher than 1.2.
        (offer(), offer(), ("TLSv1.2",)),
        (offer(), offer("TLSv1_3", "TLSv1_3"), ()),
        (offer("TLS_AUTO", "TLS_AUTO"), offer(), ("TLSv1.2",)),
    ],
)
def test_versions_are_those_that_both_ends_take_part_in(
    client: Offer, server: Offer, versions: tuple[str, ...]
) -> None:
    assert negotiated([client], [server]).versions == versions


def test_suites_and_groups_are_common_and_what_is_not_configured_says_nothing() -> None:
    found = negotiated([offer(ciphers=("A", "B"))], [offer(ciphers=("B", "C"), groups=("X25519",))])
    assert (found.ciphers, found.groups, found.read_at) == (("B",), ("X25519",), ("client", "server"))
    assert negotiated([], [offer(ciphers=("B",))]).read_at == ("server",)
    assert negotiated([], []).versions == ()


def test_one_pod_that_offers_less_counts() -> None:
    both = offer("TLSv1_2", "TLSv1_3")
    assert negotiated([both], [both, offer("TLSv1_2", "TLSv1_2")]).versions == ("TLSv1.2",)


def test_a_link_has_what_its_gateways_offer() -> None:
    (mysql,) = report_of(one_link().sources()).links
    assert (mysql.tls.versions, list(mysql.tls.ciphers)) == (("TLSv1.2", "TLSv1.3"), CIPHERS)


# -- changes -------------------------------------------------------------------------------------------------------


def test_the_first_report_tells_no_change(ten: Report) -> None:
    assert (ten.since, ten.changes) == ("", ())


def test_the_same_estate_has_not_changed() -> None:
    estate = ten_links()
    before = to_json(report_of(estate.sources()))
    after = report_of(estate.sources(before))
    assert (after.since, after.changes) == (before["made_at"], ())


def test_what_has_changed_since_the_last_report_is_told() -> None:
    estate = ten_links()
    before = to_json(report_of(estate.sources()))
    again = ten_links()
    again.root = estate.root
    again.links = [*again.links[1:], link(name="new", fqdn="new.core.example.com", servers=["core"])]
    again.changes = {}
    again.unseen = {}
    again.revoked = []
    again.now = NOW + timedelta(days=1)
    report = report_of(again.sources(before))
    told = {(change.kind, change.subject): (change.before, change.after) for change in report.changes}
    assert told["link added", "new"][1] == "up"
    assert told["link removed", "mysql"][0] == "up"
    assert told["link state", "orders"] == ("broken", "up")
    assert told["cluster seen", "archive"] == ("not looked at", "looked at")
    assert told["certificate", "payments, server core"][0] != told["certificate", "payments, server core"][1]
    assert [change.after for change in report.changes if change.kind == "crl"] == ["none"]
    assert not [change for change in report.changes if change.kind.startswith("root")]


def test_a_link_keeps_when_it_was_proven_last() -> None:
    estate = ten_links()
    before = to_json(report_of(estate.sources()))
    for item in before["links"]:
        item["last_proven"] = "2026-05-01T00:00:00Z"
    proven = {item.name: item.last_proven for item in report_of(estate.sources(before)).links}
    assert (proven["orders"], proven["payments"]) == ("2026-05-01T00:00:00Z", timestamp(NOW))


@pytest.mark.parametrize(
    "spoiled",
    [{"links": "none"}, {"links": [1, {"name": 2}]}, {"roots": [{}], "clusters": [{"name": "x", "seen": 3}]}],
    ids=str,
)
def test_another_file_in_the_place_of_the_last_report_stops_nothing(spoiled: Json) -> None:
    report = report_of(one_link().sources({"made_at": "2026-05-01T00:00:00Z", **spoiled}))
    assert report.since == "2026-05-01T00:00:00Z"
