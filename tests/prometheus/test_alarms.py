# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alarm by Prometheus itself: it fires when it should, says what a person needs, and is silent a moment before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.promtool import RULES, complaints, judged, situation

START = datetime(2026, 12, 1, tzinfo=UTC)
HOUR, DAY = 3600, 86400
ALARMS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def at(seconds: float) -> int:
    """A moment so many seconds after the start, as a metric has it."""
    return int(START.timestamp() + seconds)


PLACE = {
    "cluster": "cluster-b",
    "side": "server",
    "stored_in": "Secret istio-system/mysql-credential in cluster cluster-b",
}
REPORT = {"crossmesh_report_timestamp_seconds": at(0)}
DAILY = {**REPORT, "crossmesh_report_stale_after_seconds": 26 * HOUR}
DOWN = {"link": "mysql", "status": "down", "state": "broken", "broken_at": "hop 2", "cause": "chain-missing"}


@dataclass(frozen=True)
class Case:
    """An alarm, by its name.

    :param loud: values by metric, of which it has to come; C(quiet): of which not.
    :param labels: of all of them.
    :param summary: what is told of C(loud).
    :param beside: what else fires then.
    """

    alarm: str
    loud: dict[str, int]
    quiet: dict[str, int]
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


def certificate(end: float) -> dict[str, int]:
    """Of 90 days, renewed 30 before its end."""
    return {
        "crossmesh_certificate_not_after_timestamp_seconds": at(end),
        "crossmesh_certificate_renewal_due_timestamp_seconds": at(end - 30 * DAY),
    }


def crl(end: float) -> dict[str, int]:
    """Of 365 days, to be made anew 240 before its end, and overdue 120 before it."""
    return {
        "crossmesh_crl_next_update_timestamp_seconds": at(end),
        "crossmesh_crl_renewal_due_timestamp_seconds": at(end - 240 * DAY),
        "crossmesh_crl_renewal_overdue_timestamp_seconds": at(end - 120 * DAY),
    }


def root(end: float) -> dict[str, int]:
    """Of certificates that are valid for 90 days, and renewed 30 before their end."""
    return {
        "crossmesh_root_not_after_timestamp_seconds": at(end),
        "crossmesh_root_replacement_due_timestamp_seconds": at(end - 90 * DAY),
        "crossmesh_root_replacement_overdue_timestamp_seconds": at(end - 30 * DAY),
    }


def run(good: float, failed: float) -> dict[str, int]:
    return {
        "crossmesh_run_last_success_timestamp_seconds": at(good),
        "crossmesh_run_last_failure_timestamp_seconds": at(failed),
        "crossmesh_run_missed_after_seconds": 4 * HOUR,
    }


CASES = [
    Case(
        "CrossmeshCertificateNearExpiry",
        certificate(20 * DAY),
        certificate(20 * DAY + 2 * HOUR),
        "The server certificate of cluster-b was not renewed in time",
        PLACE,
    ),
    Case(
        "CrossmeshCertificateExpired",
        certificate(HOUR),
        certificate(20 * DAY + 2 * HOUR),
        "The server certificate of cluster-b has expired",
        PLACE,
    ),
    Case(
        "CrossmeshCrlRenewalDue",
        crl(238 * DAY),
        crl(238 * DAY + 2 * HOUR),
        "The CRL of root 91e5ae1f is due for renewal",
        {"root": "91e5ae1f"},
    ),
    Case(
        "CrossmeshCrlRenewalOverdue",
        crl(120 * DAY),
        crl(238 * DAY + 2 * HOUR),
        "The CRL of root 91e5ae1f was not renewed in time",
        {"root": "91e5ae1f"},
        ("CrossmeshCrlRenewalDue",),
    ),
    Case(
        "CrossmeshCrlExpired",
        crl(HOUR),
        crl(238 * DAY + 2 * HOUR),
        "The CRL of root 91e5ae1f has expired",
        {"root": "91e5ae1f"},
        ("CrossmeshCrlRenewalDue",),
    ),
    Case(
        "CrossmeshRootNearItsEnd",
        root(90 * DAY),
        root(90 * DAY + 2 * HOUR),
        "Root 91e5ae1f of the custom CA expires in 89d 22h 55m 0s",
        {"root": "91e5ae1f", "role": "issuing"},
    ),
    Case(
        "CrossmeshRootEnds",
        root(30 * DAY),
        root(90 * DAY + 2 * HOUR),
        "Root 91e5ae1f of the custom CA has nearly ended, or has",
        {"root": "91e5ae1f", "role": "issuing"},
        ("CrossmeshRootNearItsEnd",),
    ),
    Case(
        "CrossmeshCaProblem",
        {"crossmesh_ca_problems": 2},
        {"crossmesh_ca_problems": 0},
        "The CA store of default cannot be read, or was changed",
    ),
    Case(
        "CrossmeshLinkBroken",
        {"crossmesh_link_info": 1},
        {},
        "Link mysql is broken at hop 2",
        DOWN,
    ),
    Case(
        "CrossmeshLinkNotProven",
        {"crossmesh_link_last_proven_timestamp_seconds": at(-DAY)},
        {"crossmesh_link_last_proven_timestamp_seconds": at(-DAY + 2 * HOUR)},
        "Link mysql was not proven for a day",
        {"link": "mysql"},
    ),
    Case(
        "CrossmeshRunMissed",
        run(-4 * HOUR, -5 * HOUR),
        run(-2 * HOUR, -5 * HOUR),
        "No good run of verify has come in time",
        {"playbook": "verify"},
    ),
    Case(
        "CrossmeshRunFailed",
        run(-2 * HOUR, -1 * HOUR),
        run(-1 * HOUR, -2 * HOUR),
        "The last run of verify has failed",
        {"playbook": "verify"},
    ),
    Case(
        "CrossmeshMetricsStale",
        {"crossmesh_report_timestamp_seconds": at(-26 * HOUR)},
        {"crossmesh_report_timestamp_seconds": at(-24 * HOUR)},
        "No report of default has come in time",
    ),
]


def series(values: dict[str, int], labels: dict[str, str]) -> dict[str, float]:
    """With what every report has."""
    pairs = ",".join(f'{name}="{value}"' for name, value in {"mesh_instance": "default", **labels}.items())
    own = {f"{name}{{{pairs}}}": float(value) for name, value in values.items()}
    always = {f'{name}{{mesh_instance="default"}}': float(value) for name, value in DAILY.items()}
    return {**always, **own}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alarm)
def test_an_alarm_fires_when_it_should_and_not_a_moment_before(case: Case, tmp_path: Path) -> None:
    loud = situation(START, series(case.loud, case.labels), case.alarm, *case.beside)
    assert judged(tmp_path, loud) == ""
    quiet = situation(START, series(case.quiet, case.labels))
    assert judged(tmp_path, quiet) == ""
    # The control: a promtool that expects the one of the other says so.
    assert case.alarm in judged(tmp_path, situation(START, series(case.loud, case.labels)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alarm)
def test_an_alarm_tells_a_person_what_and_where(case: Case, tmp_path: Path) -> None:
    """Of a text that nobody tells, promtool complains with the one that was told."""
    other = {case.alarm: {"exp_labels": {}, "exp_annotations": {"summary": "another"}}}
    complaint = judged(
        tmp_path, situation(START, series(case.loud, case.labels), case.alarm, *case.beside, annotations=other)
    )
    assert case.summary in complaint
    assert "<no value>" not in complaint
    assert "error expanding template" not in complaint


def test_a_rotation_that_stays_in_a_phase_for_a_week_is_told_and_a_root_that_stays_is_not(tmp_path: Path) -> None:
    since = {"crossmesh_rotation_phase_since_timestamp_seconds": at(-7 * DAY)}

    def rotation(phase: str, age: dict[str, int]) -> dict[str, float]:
        return {**series(age, {}), f'crossmesh_rotation_phase{{mesh_instance="default",phase="{phase}"}}': 1}

    fresh = {"crossmesh_rotation_phase_since_timestamp_seconds": at(-6 * DAY)}
    assert (
        judged(
            tmp_path,
            situation(START, rotation("switched", since), "CrossmeshRotationStalled"),
            situation(START, rotation("switched", fresh)),
            situation(START, rotation("steady", since)),
        )
        == ""
    )


def test_metrics_that_are_absent_are_told(tmp_path: Path) -> None:
    assert judged(tmp_path, situation(START, {"up": 1}, "CrossmeshMetricsAbsent")) == ""
    assert "CrossmeshMetricsAbsent" in judged(tmp_path, situation(START, {"up": 1})), "the control"


def test_a_machine_that_has_gone_is_told_though_others_report(tmp_path: Path) -> None:
    """Its own alarms end with it: nobody scrapes it."""
    here = series({}, {})
    there = {name.replace("{", '{instance="b",'): value for name, value in here.items()}
    lost = situation(START, here | there, "CrossmeshMetricsAbsent", gone=there.keys())
    assert judged(tmp_path, lost) == ""
    assert judged(tmp_path, situation(START, here | there)) == ""


def test_a_run_that_never_came_is_told(tmp_path: Path) -> None:
    never = series({**run(0, 0), "crossmesh_run_last_success_timestamp_seconds": 0}, {"playbook": "verify"})
    failed = {name: 0.0 if "failure" in name else value for name, value in never.items()}
    assert judged(tmp_path, situation(START, failed, "CrossmeshRunMissed")) == ""


def test_each_alarm_is_tried() -> None:
    others = {"CrossmeshRotationStalled", "CrossmeshMetricsAbsent"}
    assert {case.alarm for case in CASES} | others == ALARMS.keys()


def test_two_instances_on_one_machine_keep_apart(tmp_path: Path) -> None:
    blue = {name.replace('"default"', '"blue"'): value for name, value in series({}, {}).items()}
    late = {name.replace('"default"', '"blue"'): value - 26 * HOUR for name, value in series({}, {}).items()}
    late |= {name: value for name, value in blue.items() if "stale" in name}
    assert judged(tmp_path, situation(START, {**series({}, {}), **late}, "CrossmeshMetricsStale")) == ""


def test_prometheus_takes_the_rules_and_says_what_it_would_not_take(tmp_path: Path) -> None:
    assert complaints("check", "rules", "--lint=all", "--lint-fatal", str(RULES)) == ""
    broken = tmp_path / "broken.yml"
    broken.write_text(RULES.read_text().replace("time() -", "time( -", 1))
    assert "parse error" in complaints("check", "rules", str(broken)), "the control"


def test_an_alarm_says_how_urgent_it_is_and_has_all_that_a_person_is_told() -> None:
    for rule in ALARMS.values():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["expr"]
