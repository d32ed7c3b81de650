# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as metrics: what there is of an estate, how it is written; alarms, dashboard and page speak of the same."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.notices import OVERDUE
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.exposition import Metric, Sample, exposition
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.metrics import METRICS, samples_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Report, Run
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import EndPlace, Sources
from tests.unit.pki.support import DAY, NOW, make_root
from tests.unit.report.estates import SETTINGS, Estate, many_links, one_link, ten_links
from tests.unit.support import CHECKOUT

RULES = CHECKOUT / "extensions/prometheus/crossmesh.rules.yml"
DASHBOARD = CHECKOUT / "extensions/grafana/crossmesh.json"
PAGE = (CHECKOUT / "docs/metrics.md").read_text()
# What would end a label or a line, or turn the direction of text, and how it is written.
HOSTILE = {
    'a"b': 'a\\"b',
    "a\\b": "a\\\\b",
    "a\\": "a\\\\",
    'a\\"b': 'a\\\\\\"b',
    "a\nb 1": "a\\\\u000ab 1",
    "a\rb": "a\\\\u000db",
    "a\x1b[2J": "a\\\\u001b[2J",
    "a\u202eb": "a\\\\u202eb",
    "a\x00b": "a\\\\u0000b",
    "{x}": "{x}",
    "a\ud800b": "a\\\\ud800b",
}
DEFAULT = 'mesh_instance="default"'


def of(report: Report, metric: str, **labels: str) -> list[int]:
    """Values of a metric that have these labels."""
    return [
        item.value
        for item in samples_of(report)
        if item.metric.name == f"crossmesh_{metric}" and labels.items() <= item.labels.items()
    ]


def seconds(days: float) -> int:
    return int((NOW + days * DAY).timestamp())


@pytest.fixture(scope="module")
def ten() -> Report:
    return report_of(ten_links().sources())


# -- what there is -------------------------------------------------------------------------------------------------


def test_a_certificate_in_use_is_told_by_its_place_with_its_end_and_when_it_is_due() -> None:
    report = report_of(one_link().sources())
    place = {
        "cluster": "cluster-b",
        "side": "server",
        "stored_in": "Secret istio-system/mysql-credential in cluster cluster-b",
    }
    assert of(report, "certificate_not_after_timestamp_seconds", **place) == [seconds(70)]
    assert of(report, "certificate_renewal_due_timestamp_seconds", **place) == [seconds(40)]
    # The one that it has replaced has not expired, and is no alarm.
    assert len(report.certificates) == 4
    assert len(of(report, "certificate_not_after_timestamp_seconds")) == 2


def gone(sources: Sources, later: datetime, before: Report | None) -> Report:
    """The report once cluster-b cannot be reached, and its certificate has left the records, since it has expired."""
    seen = {name: sight for name, sight in sources.sights.items() if name != "cluster-b"}
    previous = to_json(before) if before else {}
    return report_of(replace(sources, now=later, sights=seen, unseen={"cluster-b": ""}, records=[], previous=previous))


def test_a_certificate_that_expires_in_a_cluster_that_cannot_be_reached_stays_told() -> None:
    sources = one_link().sources()
    first = report_of(sources)
    second = gone(sources, NOW + 71 * DAY, first)
    third = gone(sources, NOW + 72 * DAY, second)
    for report, left in ((second, -1), (third, -2)):
        assert of(report, "certificate_not_after_timestamp_seconds", cluster="cluster-b") == [seconds(70)]
        (end,) = (end for end in report.links[0].ends if end.cluster == "cluster-b")
        (held,) = (item for item in report.certificates if item.cluster == "cluster-b")
        assert (held.days_left, held.in_service, held.fingerprint) == (left, False, end.certificate)
    # The control: without the report before, nobody knows of it.
    assert of(gone(sources, NOW + 71 * DAY, None), "certificate_not_after_timestamp_seconds", cluster="cluster-b") == []
    # Seen again, it is what the cluster holds that counts.
    again = report_of(replace(sources, previous=to_json(third)))
    assert again.certificates == first.certificates


def test_what_an_external_server_has_no_more_is_forgotten_with_its_record() -> None:
    """Its directory was looked at: what is not there is gone, and no cluster's silence."""
    sources = one_link().sources()
    (name,) = sources.topology.ends
    place = EndPlace(f"external:{name}", "server")
    server = sources.sights["cluster-b"].stored["server", f"{name}-credential"]
    topology = replace(sources.topology, ends={name: [EndPlace("cluster-a", "client"), place]})
    outside = replace(sources, topology=topology, external={name: server})
    first = report_of(outside)
    assert of(first, "certificate_not_after_timestamp_seconds", cluster=place.cluster) == [seconds(70)]
    later = replace(outside, external={}, records=[], now=NOW + 71 * DAY, previous=to_json(first))
    assert of(report_of(later), "certificate_not_after_timestamp_seconds", cluster=place.cluster) == []


def test_a_root_rotation_waits_for_nothing_that_has_expired() -> None:
    sources = one_link().sources()
    assert sources.authority is not None
    after = make_root(now=NOW).view
    switched = replace(sources.authority, issuing=after, trusted=(after, *sources.authority.trusted))
    first = report_of(replace(sources, authority=switched))
    assert of(first, "rotation_waiting_certificates", cluster="cluster-b") == [1]
    second = gone(replace(sources, authority=switched), NOW + 71 * DAY, first)
    assert of(second, "rotation_waiting_certificates", cluster="cluster-b") == [0]


def test_the_report_before_gives_no_certificate_another_place() -> None:
    """Who edits it may not make an end show what another one holds, nor take that one's place."""
    sources = one_link().sources()
    first = report_of(sources)
    own, other = (
        next(item.fingerprint for item in first.certificates if item.cluster == name and item.next_due)
        for name in ("cluster-a", "cluster-b")
    )
    here = sources.sights["cluster-a"]
    for fingerprint in (own, "", other.upper(), "0" * 63):
        data = to_json(first)
        for item in data["certificates"]:
            if item["cluster"] == "cluster-b":
                item["fingerprint"] = fingerprint
        seen = {"cluster-a": here if fingerprint else replace(here, stored={})}
        edited = replace(sources, sights=seen, unseen={"cluster-b": ""}, records=[], previous=data)
        report = report_of(edited)
        assert [item.cluster for item in report.certificates if item.cluster == "cluster-b"] == []
        ends = {end.cluster: end for end in report.links[0].ends}
        assert ends["cluster-b"].certificate == ""
        assert "cluster-b" not in ends["cluster-a"].key_location


EDITS: list[dict[str, object]] = [
    {"not_after": "tomorrow"},
    # What strptime takes, and datetime.fromisoformat does not.
    {"not_after": "2026-8-1T00:00:00Z"},
    {"not_after": "2026-08-01T0:0:0Z"},
    {"not_before": "\uff12026-01-01T00:00:00Z"},
    {"names": "a"},
    {"days_left": "3"},
    {"more": 1},
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_a_report_before_that_was_edited_adds_no_certificate(edit: dict[str, object]) -> None:
    sources = one_link().sources()
    first = report_of(sources)
    data = to_json(first)
    edited = {**data, "certificates": [{**item, **edit} for item in data["certificates"]]}
    lost = replace(sources, sights={}, unseen={"cluster-b": "", "cluster-a": ""}, records=[])
    assert report_of(replace(lost, previous=edited)).certificates == ()
    # The control: as it was written, it does.
    assert len(report_of(replace(lost, previous=data)).certificates) == 2


def test_a_link_is_up_or_down_or_not_known_and_says_why(ten: Report) -> None:
    assert of(ten, "link_info", link="payments", status="up") == [1]
    broken = {"status": "down", "state": "broken", "broken_at": "hop 2", "cause": "chain-missing"}
    assert of(ten, "link_info", link="orders", **broken) == [1]
    assert of(ten, "link_info", link="reports", status="unknown", state="not seen") == [1]
    assert len(of(ten, "link_info")) == 10
    assert of(ten, "link_last_proven_timestamp_seconds", link="payments") == of(ten, "report_timestamp_seconds")
    assert of(ten, "link_last_proven_timestamp_seconds", link="orders") == [0]


def test_clusters_roots_and_crls_are_told(ten: Report) -> None:
    assert (of(ten, "cluster_seen", cluster="archive"), of(ten, "cluster_seen", cluster="core")) == ([0], [1])
    root = ten.roots[0].fingerprint[:8]
    (last,) = of(ten, "root_not_after_timestamp_seconds", root=root, role="issuing")
    assert of(ten, "root_replacement_due_timestamp_seconds", root=root) == [last - 90 * 24 * 3600]
    assert of(ten, "root_replacement_overdue_timestamp_seconds", root=root) == [last - 30 * 24 * 3600]
    kept = replace(ten, roots=tuple(replace(item, role="trusted") for item in ten.roots))
    assert of(kept, "root_not_after_timestamp_seconds", root=root) == [last]
    assert of(kept, "root_replacement_due_timestamp_seconds") == []
    assert of(ten, "crl_next_update_timestamp_seconds", root=root) == [seconds(7) - 30 * 3600]
    # A list of a week is one that its root's end has cut short: no run makes it anew.
    assert of(ten, "crl_renewal_due_timestamp_seconds") == []
    # And verify raises its alarm all the same.
    end = of(ten, "crl_next_update_timestamp_seconds")[0]
    assert of(ten, "crl_renewal_overdue_timestamp_seconds") == [end - 120 * 24 * 3600]


def test_a_store_that_cannot_be_read_is_a_problem_and_an_unknown_phase(ten: Report) -> None:
    assert of(ten, "ca_problems") == [0]
    assert of(replace(ten, journal=replace(ten.journal, problems=("one", "two"))), "ca_problems") == [2]
    phases = {item.labels["phase"]: item.value for item in samples_of(ten) if "phase" in item.labels}
    assert phases == {"absent": 0, "steady": 1, "prepared": 0, "switched": 0, "retiring": 0, "unknown": 0}
    assert of(replace(ten, phase="unknown"), "rotation_phase", phase="unknown") == [1]


def test_certificates_of_the_root_before_are_what_a_rotation_waits_for() -> None:
    sources = one_link().sources()
    assert sources.authority is not None
    assert of(report_of(sources), "rotation_waiting_certificates") == [0, 0]
    after = make_root(now=NOW).view
    switched = replace(sources.authority, issuing=after, trusted=(after, *sources.authority.trusted))
    report = report_of(replace(sources, authority=switched))
    assert report.phase == "switched"
    assert of(report, "rotation_waiting_certificates", cluster="cluster-a") == [1]
    assert of(report, "rotation_waiting_certificates", cluster="cluster-b") == [1]


def test_how_long_a_phase_lasts_is_known_by_the_report_before() -> None:
    sources = one_link().sources()
    earlier = timestamp(NOW - 9 * DAY)
    for before, since in (
        ({}, timestamp(NOW)),
        ({"phase": "steady", "phase_since": earlier}, earlier),
        ({"phase": "switched", "phase_since": earlier}, timestamp(NOW)),
        ({"phase": "steady", "phase_since": "long ago"}, timestamp(NOW)),
        ({"phase": "steady", "phase_since": 7}, timestamp(NOW)),
    ):
        assert report_of(replace(sources, previous=before)).phase_since == since


def test_runs_are_told_with_the_time_until_a_report_sees_them() -> None:
    settings = replace(SETTINGS, fresh_for_minutes=90)
    run = Run("verify", "good", timestamp(NOW - timedelta(hours=1)), "", 120)
    report = report_of(replace(one_link().sources(), runs=[run], settings=settings))
    assert of(report, "run_last_success_timestamp_seconds", playbook="verify") == [seconds(0) - 3600]
    assert of(report, "run_last_failure_timestamp_seconds", playbook="verify") == [0]
    assert of(report, "run_missed_after_seconds", playbook="verify") == [(120 + 90) * 60]
    assert of(report, "report_stale_after_seconds") == [90 * 60]
    assert of(report_of(one_link().sources()), "run_missed_after_seconds") == []


def test_a_report_of_nothing_has_metrics_too() -> None:
    empty = report_of(Estate([], {}).sources())
    assert of(empty, "report_timestamp_seconds") == [seconds(0)]
    assert exposition(samples_of(empty)).endswith("\n")


def test_series_grow_with_the_inventory_and_no_faster() -> None:
    few, many = (
        Counter(item.metric.name for item in samples_of(report_of(many_links(n).sources()))) for n in (30, 300)
    )
    for metric in ("link_info", "link_last_proven_timestamp_seconds"):
        assert (few[f"crossmesh_{metric}"], many[f"crossmesh_{metric}"]) == (30, 300)
    per_link = {name for name in many if many[name] > few[name]}
    assert per_link == {
        "crossmesh_link_info",
        "crossmesh_link_last_proven_timestamp_seconds",
        "crossmesh_certificate_not_after_timestamp_seconds",
        "crossmesh_certificate_renewal_due_timestamp_seconds",
    }


# -- how it is written ---------------------------------------------------------------------------------------------

PLAIN = Metric("a_seconds", "What it is.", ("mesh_instance", "link"))


def written(*values: tuple[str, int]) -> list[str]:
    samples = [Sample(PLAIN, {"mesh_instance": "default", "link": link}, value) for link, value in values]
    return exposition(samples).split("\n")


def test_the_form_is_that_of_the_exposition_format() -> None:
    assert written(("mysql", 5), ("web", 6)) == [
        "# HELP a_seconds What it is.",
        "# TYPE a_seconds gauge",
        f'a_seconds{{{DEFAULT},link="mysql"}} 5',
        f'a_seconds{{{DEFAULT},link="web"}} 6',
        "",
    ]


@pytest.mark.parametrize(("foreign", "label"), HOSTILE.items())
def test_what_is_foreign_stays_inside_of_its_label(foreign: str, label: str) -> None:
    assert written((foreign, 5))[2:] == [f'a_seconds{{{DEFAULT},link="{label}"}} 5', ""]


def test_of_two_values_with_the_same_labels_the_lower_one_is_written() -> None:
    assert written(("mysql", 7), ("mysql", 5), ("mysql", 6))[2:] == [f'a_seconds{{{DEFAULT},link="mysql"}} 5', ""]


def test_help_is_one_line() -> None:
    sample = Sample(Metric("a", "One\nline \\ more", ("mesh_instance",)), {"mesh_instance": "default"}, 1)
    assert exposition([sample]).split("\n")[0] == "# HELP a One\\nline \\\\ more"


# -- metrics, alarms, dashboard and page speak of the same ---------------------------------------------------------

NAMES = {metric.name for metric in METRICS}
_NAMED = re.compile(r"\bcrossmesh_[a-z_]+")


def asked_by_alarms() -> list[str]:
    return [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked_by_the_dashboard() -> list[str]:
    return [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]


def named(texts: list[str]) -> set[str]:
    return {name for text in texts for name in _NAMED.findall(text)}


def test_alarms_and_dashboard_ask_for_what_there_is_and_for_all_of_it() -> None:
    assert named(asked_by_alarms()) - NAMES == set()
    assert named(asked_by_the_dashboard()) - NAMES == set()
    assert NAMES - named([*asked_by_alarms(), *asked_by_the_dashboard()]) == set()
    assert named(["rate(crossmesh_nothing_total[5m])"]) - NAMES == {"crossmesh_nothing_total"}, "the control"


def test_labels_that_are_asked_for_are_there() -> None:
    labels = {label for metric in METRICS for label in metric.labels} | {"job", "instance", "severity"}
    asked = {
        label
        for text in [*asked_by_alarms(), *asked_by_the_dashboard()]
        for label in re.findall(r"[{,]\s*([a-z_]+)\s*=", text) + re.findall(r"\b(?:by|on) \(([a-z_, ]+)\)", text)
    }
    assert {name for label in asked for name in label.split(", ")} - labels == set()
    assert set(re.findall(r"\$labels\.([a-z_]+)", RULES.read_text())) - labels == set()
    assert "phase" in asked


def test_a_report_says_something_of_every_metric(ten: Report) -> None:
    runs = [Run("verify", "missed", "", "", 120)]
    whole = replace(ten.crls[0], next_due=ten.crls[0].next_update)
    report = replace(ten, runs=tuple(runs), crls=(whole,))
    assert {item.metric for item in samples_of(report)} == set(METRICS)
    assert all(tuple(item.labels) == item.metric.labels for item in samples_of(report))


def test_names_carry_their_units() -> None:
    assert {name for name in NAMES if "timestamp" in name and not name.endswith("_timestamp_seconds")} == set()
    assert {name for name in NAMES if "after" in name and not name.endswith("_seconds")} == set()


def test_the_page_has_every_metric_as_it_is() -> None:
    rows = {row[0]: row[1:] for row in table_below("| Metric |")}
    assert rows == {
        f"`{metric.name}`": [", ".join(f"`{label}`" for label in metric.labels[1:]), metric.help.rstrip(".")]
        for metric in METRICS
    }


def test_the_page_has_every_alarm_and_says_what_to_do() -> None:
    rules = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    rows = {row[0]: row[1] for row in table_below("| Alarm |")}
    assert rows == {f"[{name}](#{name.lower()})": rule["labels"]["severity"] for name, rule in rules.items()}
    headings = set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))
    assert headings == set(rules)
    page = "https://github.com/crossmesh/crossmesh.mtls/blob/main/docs/metrics.md"
    assert {name: rule["annotations"]["runbook_url"] for name, rule in rules.items()} == {
        name: f"{page}#{name.lower()}" for name in rules
    }


def table_below(head: str) -> list[list[str]]:
    """The rows of the table that begins so."""
    lines = PAGE[PAGE.index(head) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_an_alarm_takes_for_overdue_what_verify_does() -> None:
    near = next(expr for expr in asked_by_alarms() if "* 2 / 3" in expr)
    assert near.startswith("crossmesh_certificate_not_after_timestamp_seconds")
    assert pytest.approx(2 / 3) == OVERDUE


def test_the_dashboard_is_one_that_grafana_10_takes() -> None:
    found = json.loads(DASHBOARD.read_text())
    assert found["schemaVersion"] >= 38
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} <= {"stat", "table", "timeseries", "state-timeline"}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all("$mesh_instance" in target["expr"] for target in panel["targets"])
    assert {item["name"] for item in found["templating"]["list"]} == {"datasource", "mesh_instance"}
