# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed between any two tasks is continued by the next one; nobody loses a connection."""

from __future__ import annotations

import itertools
from functools import partial

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.state_snapshots import versions_everywhere
from tests.integration.support.stepped_runs import kill_at_task, paused_run, stepped_run
from tests.lab.wait import eventually

pytestmark = pytest.mark.slow

RATE = 25.0
# Work for both clusters, and a certificate that names one link more.
EXTRA = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}


def carries_extra(mesh: Mesh, wanted: bool) -> bool:
    return mesh.carries(fqdn=EXTRA["fqdn"], port=EXTRA["port"]) == wanted


def test_site_killed_at_every_fifth_task_boundary(restored_mesh: Mesh) -> None:
    more = restored_mesh.with_changes(links=[MYSQL, EXTRA])
    # A link to be made and the same to be taken away, by turns: no run is without work.
    turns = itertools.cycle([(more, True), (restored_mesh, False)])
    had_work = []
    with live_traffic(restored_mesh.lab, RATE, held=5) as traffic:
        for number, (mesh, carries) in zip(itertools.count(1, 5), turns, strict=False):
            if not kill_at_task(mesh, "site", at=number):
                break
            run = mesh.site()
            assert run.ok, run.output
            had_work.append(run.changed > 0)
            # A proxy is told in istiod's own time.
            eventually(partial(carries_extra, restored_mesh, carries))
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    # Killed before its first task, a run has left everything to do; killed at its end, nothing.
    assert had_work[0]
    assert not had_work[-1]


def test_a_run_that_waits_between_two_tasks(restored_mesh: Mesh) -> None:
    """The harness itself: where it waits nothing of the next task was done yet, and it goes on unharmed."""
    more = restored_mesh.with_changes(links=[MYSQL, EXTRA])
    before = versions_everywhere(restored_mesh)
    with paused_run(more, "site", before="Join the meshes") as waiting:
        assert versions_everywhere(restored_mesh) == before
    assert waiting.run
    assert waiting.run.ok, waiting.run.output
    assert waiting.run.changed > 0
    assert versions_everywhere(restored_mesh) != before


def test_boundaries_are_the_tasks_that_a_run_shows(restored_mesh: Mesh) -> None:
    with stepped_run(restored_mesh, "site") as steps:
        run = steps.finish()
    assert run.ok, run.output
    lines = (line for line in run.output.splitlines() if line.startswith("TASK ["))
    shown = {line.partition("[")[2].rpartition("]")[0] for line in lines}
    # Ansible prints nothing of a meta task in a play whose clusters go on freely.
    assert {step.task for step in steps.reached} == shown | {"Leave a cluster where there is nothing to do"}
    assert run.changed == 0


def test_a_run_that_has_no_task_has_no_boundary(restored_mesh: Mesh) -> None:
    assert kill_at_task(restored_mesh, "site", "--syntax-check", at=1) is None
