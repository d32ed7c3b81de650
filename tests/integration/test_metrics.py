# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus makes of the metrics of a report: nothing of a link in order, and of each fault its alarm.

Whether an alarm fires says Prometheus's own promtool, of the file as it was written, with a clock that goes on.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.campaign.conditions import clock_off
from tests.integration.support.changed_objects import patched
from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.lab_mesh import Mesh, Run, cleared_afterwards
from tests.integration.support.standing_link import StandingLink
from tests.lab import Lab
from tests.promtool import judged, scraped, situation
from tests.unit.support import Json

SCHEDULE = [
    {"playbook": "rotate_certificates", "at": "02:17", "limit": "3h"},
    {"playbook": "verify", "at": ":47", "limit": "50m"},
    {"playbook": "report", "at": ":12", "limit": "30m"},
]
HOURS = 3600
# Where the clock has gone on for days, runs of both jobs have not come.
NOTHING_RAN = ("CrossmeshRunMissed", "CrossmeshRunMissed")


@dataclass(frozen=True)
class Told:
    """What a run of report says: to who has started it, as a document, and to Prometheus."""

    run: Run
    report: Json
    series: Mapping[str, float]

    def alarms(self, folder: Path, *expected: str) -> str:
        """What promtool has against it that these alarms fire, and no others; empty for nothing."""
        return judged(folder, situation(datetime.fromisoformat(self.report["made_at"]), self.series, *expected))


@pytest.fixture(scope="module")
def metered_mesh(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The tutorial's link of an instance whose marks are nobody else's, after a first run of each of its jobs."""
    instance = f"metrics-{secrets.token_hex(4)}"
    folder = tmp_path_factory.mktemp("metered")
    marks = Path(f"/var/lib/crossmesh-{instance}")
    (folder / "collected").mkdir()
    marks.mkdir(mode=0o755)
    variables = {
        "mesh_instance": instance,
        "mesh_metrics_dir": str(folder / "collected"),
        "mesh_report_dir": str(folder / "out"),
        "mesh_schedule": SCHEDULE,
    }
    try:
        with cleared_afterwards(Mesh(lab, folder, standing_link.passphrase, variables)) as mesh:
            made = mesh.site()
            assert made.ok, made.output
            written = mesh.play("schedule", "-e", f"mesh_schedule_dir={folder / 'schedule'}")
            assert written.ok, written.output
            for job in ("rotate_certificates", "verify"):
                assert "ALARM" not in started_by_cron(mesh, job)
            yield mesh
    finally:
        shutil.rmtree(marks)


def started_by_cron(mesh: Mesh, playbook: str) -> str:
    """What a run of the schedule prints, started as cron starts it."""
    (table,) = (mesh.folder / "schedule/cron").iterdir()
    (line,) = (line for line in table.read_text().splitlines() if f"crossmesh.mtls.{playbook} " in line)
    command = line.replace("\\%", "%").split(maxsplit=6)[6]
    environment = {**os.environ, **mesh.environment()}
    return subprocess.run(["sh", "-c", command], env=environment, check=False, capture_output=True, text=True).stdout


def reported(mesh: Mesh, environment: Mapping[str, str] | None = None) -> Told:
    run = mesh.play("report", environment=environment)
    assert run.ok, run.output
    (path,) = (mesh.folder / "collected").iterdir()
    assert path.name == f"crossmesh.{mesh.variables['mesh_instance']}.prom"
    assert path.stat().st_mode & 0o777 == 0o644
    report = json.loads((mesh.folder / "out/report.json").read_text())
    return Told(run, report, scraped(path.read_text()))


def test_nothing_is_amiss_before_and_a_file_that_stays_becomes_stale(metered_mesh: Mesh, tmp_path: Path) -> None:
    told = reported(metered_mesh)
    assert told.alarms(tmp_path) == ""
    assert {run["state"] for run in told.report["runs"]} == {"good"}
    assert "CrossmeshLinkBroken" in told.alarms(tmp_path, "CrossmeshLinkBroken"), "the control"
    # A controller that is gone: Prometheus goes on for two days with what it has.
    gone = {series: value - 48 * HOURS if "_timestamp_" in series else value for series, value in told.series.items()}
    late = ("CrossmeshMetricsStale", "CrossmeshLinkNotProven")
    assert Told(told.run, told.report, gone).alarms(tmp_path, *late, *NOTHING_RAN) == ""


def test_certificates_that_nobody_renews_are_told_before_and_after_their_end(
    metered_mesh: Mesh, tmp_path: Path
) -> None:
    near = reported(metered_mesh, clock_off("+75d"))
    assert near.alarms(tmp_path, *NOTHING_RAN, *["CrossmeshCertificateNearExpiry"] * 2) == ""
    (link,) = near.report["links"]
    assert 13 <= link["days_left"] <= 15
    ended = reported(metered_mesh, clock_off("+91d"))
    # With them the link ends, which was proven last two weeks before.
    broken = ("CrossmeshLinkBroken", "CrossmeshLinkNotProven")
    assert ended.alarms(tmp_path, *NOTHING_RAN, *broken, *["CrossmeshCertificateExpired"] * 2) == ""
    (link,) = ended.report["links"]
    assert link["days_left"] < 0
    # A cluster that cannot be reached either keeps its alarm, though the CA's records have forgotten what has expired.
    with stopped_api_server(metered_mesh, "cluster-b"):
        silent = reported(metered_mesh, clock_off("+92d"))
    assert [cluster["name"] for cluster in silent.report["clusters"] if not cluster["seen"]] == ["cluster-b"]
    unproven = "CrossmeshLinkNotProven"
    assert silent.alarms(tmp_path, *NOTHING_RAN, unproven, *["CrossmeshCertificateExpired"] * 2) == ""


def test_a_rotation_that_does_not_go_on_is_told(metered_mesh: Mesh, tmp_path: Path) -> None:
    prepared = metered_mesh.play("rotate_ca", "-e", "mesh_rotate_phase=prepare")
    assert prepared.ok, prepared.output
    begun = reported(metered_mesh)
    assert begun.alarms(tmp_path) == ""
    late = reported(metered_mesh, clock_off("+8d"))
    assert late.alarms(tmp_path, *NOTHING_RAN, "CrossmeshRotationStalled") == ""
    assert (late.report["phase"], late.report["phase_since"]) == ("prepared", begun.report["made_at"])
    abandoned = metered_mesh.play("rotate_ca", "-e", "mesh_rotate_phase=abandon")
    assert abandoned.ok, abandoned.output
    assert reported(metered_mesh).alarms(tmp_path) == ""


def test_a_scheduled_run_that_does_not_come_is_told(metered_mesh: Mesh, tmp_path: Path) -> None:
    mark = Path(f"/var/lib/crossmesh-{metered_mesh.variables['mesh_instance']}/verify.good")
    last = time.time() - 5 * HOURS
    os.utime(mark, (last, last))
    told = reported(metered_mesh)
    assert told.alarms(tmp_path, "CrossmeshRunMissed") == ""
    assert told.run.says("scheduled run of verify: missed")
    assert [run["playbook"] for run in told.report["runs"] if run["state"] != "good"] == ["verify"]
    started_by_cron(metered_mesh, "verify")
    assert reported(metered_mesh).alarms(tmp_path) == ""


def test_a_link_that_is_broken_and_the_run_that_found_it_are_told(metered_mesh: Mesh, tmp_path: Path) -> None:
    nowhere = {"spec": {"selector": {"istio": "nowhere"}}}
    with patched(
        metered_mesh, "cluster-b", "gateways.networking.istio.io", "gateway-mysql", nowhere, namespace="istio-system"
    ):
        assert "failed=1" in started_by_cron(metered_mesh, "verify")
        told = reported(metered_mesh)
    assert told.alarms(tmp_path, "CrossmeshLinkBroken", "CrossmeshRunFailed") == ""
    assert told.run.says("mysql: broken in cluster-b", "scheduled run of verify: failed")
    (info,) = (series for series in told.series if series.startswith("crossmesh_link_info"))
    assert all(part in info for part in ('status="down"', 'broken_at="hop 2"'))
    started_by_cron(metered_mesh, "verify")
    assert reported(metered_mesh).alarms(tmp_path) == ""
