# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of a preflight: what clusters know of each other, who was not looked at, the verdict, the lines."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.filter.authority_state import authority_state
from ansible_collections.crossmesh.mtls.plugins.filter.preflight_report import preflight_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, MessageJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.model import Destination, Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import (
    Report,
    external_rows,
    fqdn_rows,
    report,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import CHECKS, Row, Status
from tests.unit.support import Json

FQDN = "mysql.server.example.com"


def client(pods: dict[str, list[str] | None], problem: str = "", *, external: bool = False) -> Json:
    dialled = {"link": "mysql", "fqdn": FQDN, "external": external, "problem": problem, "pods": pods}
    return {"cluster": "cluster-a", "ingress": [], "serves": [], "dials": [dialled]}


def server(*addresses: str, cluster: str = "cluster-b", serves: str = "mysql") -> Json:
    return {"cluster": cluster, "ingress": list(addresses), "serves": [serves], "dials": []}


LEADS = client({"pod-0": ["203.0.113.7"]})


@pytest.mark.parametrize(
    ("sights", "all_seen", "status", "seen"),
    [
        ([LEADS, server("203.0.113.7")], True, "ok", "resolves to 203.0.113.7, the ingress gateway of cluster-b"),
        ([LEADS, server("203.0.113.7")], False, "ok", "the ingress gateway of cluster-b"),
        (
            [client({"pod-0": ["203.0.113.9"]}, external=True)],
            True,
            "ok",
            "resolves to 203.0.113.9, an external server",
        ),
        ([client({"pod-0": []}, external=True)], True, "failed", "does not resolve in pod-0"),
        (
            [LEADS, server("203.0.113.9")],
            True,
            "warning",
            "resolves to 203.0.113.7, but the ingress gateways have 203.0.113.9",
        ),
        ([LEADS, server("203.0.113.9")], False, "unknown", "not known whether"),
        ([LEADS], False, "unknown", "not known whether"),
        ([LEADS, server("lb.example.com")], True, "unknown", "the ingress gateway of cluster-b has no IP address"),
        ([LEADS, server()], True, "unknown", "the ingress gateway of cluster-b has no IP address"),
        # Another link's server says nothing of this one.
        ([LEADS, server("203.0.113.7", serves="other")], False, "unknown", "not known whether"),
        (
            [
                client({"pod-0": ["203.0.113.7", "203.0.113.8"]}),
                server("203.0.113.7"),
                server("203.0.113.8", cluster="c"),
            ],
            True,
            "ok",
            "resolves to 203.0.113.7, 203.0.113.8, the ingress gateway of c, cluster-b",
        ),
        ([client({"pod-0": ["2001:DB8::7"]}), server("2001:db8:0::7")], True, "ok", "resolves to 2001:db8::7"),
        ([client({"pod-0": []}), server("203.0.113.7")], True, "failed", "does not resolve in pod-0"),
        ([client({"pod-0": ["203.0.113.7"], "pod-1": []}), server("203.0.113.7")], True, "failed", "in pod-1"),
        ([client({"pod-0": None}), server("203.0.113.7")], True, "unknown", "not known before the first run"),
        (
            [client({"pod-0": ["203.0.113.7"], "pod-1": None}), server("203.0.113.7")],
            True,
            "unknown",
            "not known before the first run",
        ),
        ([client({}, "exec is forbidden (403)"), server("203.0.113.7")], True, "unknown", "exec is forbidden (403)"),
    ],
)
def test_where_a_name_leads_to(sights: list[Sight], all_seen: bool, status: str, seen: str) -> None:
    (row,) = fqdn_rows(sights, all_seen=all_seen)
    assert (row.cluster, row.link, row.check, row.status) == ("cluster-a", "mysql", "fqdn", status)
    assert seen in row.seen
    assert (row.fix != "") == (status in ("failed", "warning"))
    assert row.code == {"failed": "fqdn-unresolved", "warning": "fqdn-elsewhere"}.get(status, "")


def test_names_that_are_not_known_yet_are_one_line_of_the_table() -> None:
    dialled: list[Destination] = [
        {"link": f"link-{n}", "fqdn": f"{n}.example.com", "external": False, "problem": "", "pods": {"pod-0": None}}
        for n in range(5)
    ]
    found = fqdn_rows([{"cluster": "cluster-a", "ingress": [], "serves": [], "dials": dialled}], all_seen=True)
    assert len(found) == 5
    assert [line for line in report(found)["table"] if "5 links" in line]


# -- who was looked at ---------------------------------------------------------------------------------------------


def looked_at(cluster: str = "cluster-b", **changes: Any) -> Json:
    """What the look at a cluster in whose way nothing stands has shown."""
    row = Row(cluster, "-", "api", "ok", "Kubernetes v1.34.4").to_json()
    return {"looked": True, "rows": [row], "sight": server("203.0.113.7", cluster=cluster), **changes}


def said(code: str, where: str, what: str) -> MessageJson:
    return Message.error(code, where=where, what=what, fix="mend it").to_json()


EVERYWHERE: Json = {"findings": [], "ca_problems": [], "ca_state": "usable"}


def reported(looks: dict[str, Json], *, clusters: Json | None = None, limited: bool = False, **changes: Any) -> Report:
    everywhere = {**EVERYWHERE, **changes}
    return preflight_report(looks, {host: host for host in looks}, everywhere, clusters or {}, limited)


def not_ok(found: Report) -> list[tuple[str, str, str]]:
    return [(row["cluster"], row["check"], row["status"]) for row in found["rows"] if row["status"] != "ok"]


def test_a_cluster_in_whose_way_nothing_stands_passes() -> None:
    found = reported({"cluster-b": looked_at()})
    assert (found["passed"], not_ok(found)) == (True, [])
    assert [row["check"] for row in found["rows"]] == ["topology", "ca", "api"]


def test_findings_of_the_inventory_are_rows_with_fixes() -> None:
    found = reported({"cluster-b": looked_at()}, findings=[said("port", "mysql: port", "0: is none")])
    assert not found["passed"]
    (row,) = [row for row in found["rows"] if row["status"] == "failed"]
    assert (row["code"], row["seen"], row["fix"]) == ("port", "mysql: port: 0: is none", "mend it")


def test_what_is_wrong_with_the_ca_fails() -> None:
    assert not_ok(reported({}, ca_problems=[said("store-damaged", "/srv/ca", "it is closed")])) == [
        ("-", "ca", "failed")
    ]


def test_what_the_rules_say_of_the_ca_is_told_once_and_the_ca_is_not_called_sound() -> None:
    """It was an answer without a word, of which no line of the table could be made."""
    wrong = said("ca-validity", "custom_ca: custom_ca_validity_days", "0: is not between 1 and 36500")
    found = reported({}, findings=[wrong], ca_problems=[wrong])
    assert not_ok(found) == [("-", "topology", "failed"), ("-", "ca", "unknown")]
    other = said("store-damaged", "/srv/ca", "it is closed")
    assert not_ok(reported({}, findings=[wrong], ca_problems=[wrong, other]))[1] == ("-", "ca", "failed")


def test_a_row_of_which_nothing_is_seen_is_a_line_all_the_same() -> None:
    assert report([Row("cluster-b", "-", "istio", "unknown", " ")])["table"][1].split() == [
        *("unknown", "cluster-b", "-", "istio")
    ]


def test_a_variable_that_no_host_can_read_is_told_once() -> None:
    unreadable = said("unreadable-variable", "mesh_links", "it uses what is not defined for localhost")
    here = said("unreadable-variable", "mesh_links", "it uses what is not defined for cluster-b")
    rows = [Row.of("cluster-b", "-", "run", Message.from_json(here)).to_json()]
    look = {"looked": False, "rows": rows}
    assert not_ok(reported({"cluster-b": look}, findings=[unreadable], ca_problems=[unreadable])) == [
        ("-", "topology", "failed"),
        ("-", "ca", "unknown"),
        ("cluster-b", "run", "unknown"),
    ]
    assert not_ok(reported({"cluster-b": look})) == [("cluster-b", "run", "failed")]


@pytest.mark.parametrize("clusters", [7, "cluster-b", [{"cluster-b": 1}], [7], {7: [], "cluster-b": []}, True])
def test_variables_of_another_type_are_no_reason_for_no_table(clusters: Any) -> None:
    """They are findings of their own."""
    found = preflight_report({"cluster-b": looked_at()}, {"cluster-b": 7}, EVERYWHERE, clusters, False)  # type: ignore[dict-item]
    assert found["table"]
    asked = authority_state({"cluster-b": {}}, clusters, False, False, clusters)
    assert asked["needed"] is False


def test_what_nobody_looked_at_is_unknown_and_says_so() -> None:
    found = preflight_report({"cluster-b": looked_at()}, {"cluster-b": "cluster-b"}, {}, {}, True)
    assert not_ok(found) == [("-", "topology", "unknown"), ("-", "ca", "unknown")]
    assert found["passed"]


@pytest.mark.parametrize("limited", [True, False])
def test_a_cluster_without_an_answer_passes_only_where_it_had_no_part(limited: bool) -> None:
    found = preflight_report({"cluster-b": {}}, {"cluster-b": "b"}, EVERYWHERE, {}, limited)
    assert not_ok(found) == [("b", "run", "unknown" if limited else "failed")]
    assert found["passed"] is limited


def test_a_look_that_broke_off_fails() -> None:
    found = {"failed": True, "msg": "an error that nobody foresaw"}
    told = reported({"cluster-b": found}, limited=True)
    assert not_ok(told) == [("cluster-b", "run", "failed")]
    assert [row["code"] for row in told["rows"] if row["status"] == "failed"] == ["look-unfinished"]


def test_a_cluster_that_the_faults_of_the_inventory_keep_out_is_unknown() -> None:
    assert not_ok(reported({"cluster-b": {"looked": False, "rows": []}})) == [("cluster-b", "run", "unknown")]


def test_a_cluster_of_another_slice_is_unknown_and_so_is_where_names_lead_to() -> None:
    hosts = {"cluster-a": looked_at("cluster-a", rows=[], sight=LEADS)}
    found = reported(hosts, clusters={"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]})
    assert not_ok(found) == [("cluster-a", "fqdn", "unknown"), ("cluster-b", "run", "unknown")]


# -- the table -----------------------------------------------------------------------------------------------------


def rows(*statuses: Status, check: str = "port", seen: str = "as it is", fix: str = "") -> list[Row]:
    return [Row("cluster-b", f"link-{n}", check, status, seen, fix) for n, status in enumerate(statuses)]


def test_only_what_failed_decides() -> None:
    assert report(rows("ok", "warning", "unknown"))["passed"]
    assert not report(rows("ok", "failed"))["passed"]
    assert report(rows("ok", "ok", "unknown"))["counts"] == {"ok": 2, "warning": 0, "failed": 0, "unknown": 1}


def test_the_order_is_that_of_the_checks_with_what_is_about_everybody_first() -> None:
    found = [Row(cluster, "-", check, "ok", "x") for cluster in ("z", "a", "-") for check in ("run", "api", "topology")]
    told = [(row["cluster"], row["check"]) for row in report(found)["rows"]]
    assert told == [(cluster, check) for cluster in ("-", "a", "z") for check in ("topology", "api", "run")]
    assert list(CHECKS)[-1] == "run"


def test_the_table_has_equal_columns_and_fixes_below_their_rows() -> None:
    found = [
        Row("-", "-", "ca", "ok", "usable"),
        Row("cluster-b", "mysql", "port", "failed", "port 13306 is not TCP", "choose another port", "port-not-tcp"),
    ]
    assert report(found)["table"] == [
        "STATUS  CLUSTER    LINK   CHECK  SEEN",
        "ok      -          -      ca     usable",
        "failed  cluster-b  mysql  port   port 13306 is not TCP",
        "                                 Fix: choose another port. [port-not-tcp]",
        "1 ok, 0 warning, 1 failed, 0 unknown",
    ]


def test_many_links_of_which_all_is_well_are_one_line_and_each_that_is_not_stands_for_itself() -> None:
    found = [
        *rows("ok", "ok", "ok", "ok", "ok"),
        Row("cluster-b", "shop", "port", "failed", "taken", "choose another"),
    ]
    table = report(found)["table"]
    assert [line.split(None, 3)[:4] for line in table[1:3]] == [
        ["ok", "cluster-b", "5", "links  port   all of them"],
        ["failed", "cluster-b", "shop", "port   taken"],
    ]
    assert len(report(found)["rows"]) == 6, "machines are told all"


def test_many_links_with_one_trouble_are_one_line_with_its_fix() -> None:
    table = report(rows("unknown", "unknown", "unknown", "unknown", seen="not asked", check="run"))["table"]
    assert len(table) == 3
    assert "4 links" in table[1]
    assert "not asked" in table[1]


def test_few_links_are_told_one_by_one() -> None:
    assert len(report(rows("ok", "ok", "ok"))["table"]) == 5


def test_long_lines_are_folded_below_themselves() -> None:
    lines = report(rows("warning", seen="word " * 60, fix="fix " * 60))["table"][1:-1]
    assert len(lines) > 4
    assert all(len(line) <= 120 for line in lines)
    assert len({len(line) - len(line.lstrip()) for line in lines[1:]}) == 1


LATE = Message.alarm("certificate-overdue", where="link kept", what="expires soon", fix="renew")
BEHIND = Message.warning("external-behind", where="link stale", what="serves 1, not 2", fix="load it")
EXTERNAL = {
    "servers": [
        {"link": "kept", "action": "keep", "message": "valid until 2030", "messages": [LATE.to_json()]},
        {"link": "due", "action": "issue", "message": "there is no certificate yet", "messages": []},
        {"link": "stale", "action": "keep", "message": "valid until 2030", "messages": [BEHIND.to_json()]},
    ],
    "errors": [said("foreign-directory", "directory /srv/x", "it contains tls.key; and more")],
}


def test_what_a_look_at_external_servers_has_shown() -> None:
    found = list(external_rows(EXTERNAL))
    assert [(row.link, row.status, row.code) for row in found] == [
        ("-", "failed", "foreign-directory"),
        ("kept", "warning", "certificate-overdue"),
        ("kept", "ok", ""),
        ("due", "ok", ""),
        ("stale", "warning", "external-behind"),
    ]
    assert [row.seen for row in found if row.link == "due"] == ["issue: there is no certificate yet"]
    assert [row.fix for row in found if row.status == "warning"] == ["renew", "load it"]
    assert list(external_rows({})) == []
