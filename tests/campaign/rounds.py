# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation after rotation under load; the meshes' own CAs and the gateway pods are none the wiser."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial

from tests.integration.support import credential_secrets
from tests.integration.support.credential_secrets import CLIENT
from tests.integration.support.lab_mesh import Mesh

from .case import Case
from .rotations import LEAVES, ROOT, ROTATIONS, Rotation, assert_settled, last_words
from .untouched import untouched

CAMPAIGN = "rounds"


def rounds(count: int) -> Iterator[Case]:
    """One case a rotation: its sessions are held over all rounds."""
    for rotation in ROTATIONS:
        yield Case(CAMPAIGN, f"{rotation.name}, {count} rounds", partial(_rotate, rotation, count))


def _rotate(rotation: Rotation, count: int, mesh: Mesh) -> str:
    before, seconds = untouched(mesh), []
    for number in range(count):
        old = _replaced(rotation, mesh)
        began = time.monotonic()
        run = rotation.run(mesh)
        seconds.append(time.monotonic() - began)
        assert run.ok, f"round {number + 1}: {last_words(run)}"
        assert not old & _replaced(rotation, mesh), f"round {number + 1} has not replaced all that it must"
        assert_settled(mesh)
    assert untouched(mesh) == before, "a mesh's own CA or a gateway's pod is not what it was"
    return f"{statistics.median(seconds):.1f} s a run"


def _replaced(rotation: Rotation, mesh: Mesh) -> set[str]:
    """What a round must leave nothing of."""
    found = {
        LEAVES.name: set(credential_secrets.serials(mesh)),
        ROOT.name: credential_secrets.trusted_roots(mesh, CLIENT),
    }
    return found[rotation.name]
