# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation is killed at each of its task boundaries in turn; the next run goes on and finishes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.stepped_runs import kill_at_task, stepped_run

from .case import Case
from .rotations import ROTATIONS, Rotation, last_words

CAMPAIGN = "kills"


def kills(mesh: Mesh, every: int) -> Iterator[Case]:
    """One case a boundary, of every so many."""
    for rotation in ROTATIONS:
        for number in range(1, _boundaries(rotation, mesh) + 1, every):
            yield Case(CAMPAIGN, f"{rotation.name}, boundary {number}", partial(_kill, rotation, number))


def _boundaries(rotation: Rotation, mesh: Mesh) -> int:
    with stepped_run(mesh, rotation.playbook, *rotation.options) as steps:
        run = steps.finish()
    assert run.ok, last_words(run)
    return len(steps.reached)


def _kill(rotation: Rotation, number: int, mesh: Mesh) -> str:
    boundary = kill_at_task(mesh, rotation.playbook, *rotation.options, at=number)
    assert boundary, "the run has ended before it was killed"
    rotation.go_on(mesh)
    return f"before {boundary.play}: {boundary.task}"
