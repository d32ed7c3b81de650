# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that is rotated over slices on other nodes while traffic flows, also where a node dies in the middle of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.support.gateway_namespaces import state_of_clusters
from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.node_fleet import Fleet, apply, fleet_on, in_slices, passed, verify, with_secrets
from tests.integration.support.node_jobs import job_on, run_on
from tests.integration.support.project_on_lab import ca_of
from tests.integration.support.ssh_nodes import Node
from tests.lab import Lab
from tests.lab.wait import eventually
from tests.unit.support import Json

# Where each phase writes into the clusters.
PHASES = {
    "prepare": "Prepare, trust both roots everywhere",
    "switch": "Switch, serve certificates of the new root everywhere",
    "retire": "Drop the root that leaves, trust it nowhere",
}
WRITES = "Bring the credentials to this stage"


def rotate(fleet: Fleet, *, count: int) -> None:
    for phase in PHASES:
        in_slices(fleet, "rotate_ca.yml", count=count, phase=phase)


def end_of(mesh: Mesh) -> Json:
    """What a rotation has led to, apart from which roots they are."""
    ca = ca_of(mesh)
    return {
        "one root": ca.trusted == {ca.issuing},
        "in service": ca.in_service == ca.trusted,
        "carries": mesh.carries(),
        "objects": {title: _rootless(item) for title, item in state_of_clusters(mesh).items()},
    }


def _rootless(item: Json) -> Json:
    return {**item, "identity": {key: item["identity"].get(key) for key in ("subject", "sans", "keys")}}


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_a_root_is_rotated_over_nodes_and_no_connection_is_lost(lab: Lab, tmp_path: Path, count: int) -> None:
    with fleet_on(lab, tmp_path, clusters=count, nodes=count) as fleet:
        apply(fleet)
        in_slices(fleet, "site.yml", count=count)
        before = ca_of(fleet.mesh)
        with live_traffic(lab, 20, held=3) as traffic:
            rotate(fleet, count=count)
        assert (traffic.lost, traffic.broken_sessions) == ([], [])
        verify(fleet)
        after = ca_of(fleet.mesh)
    assert after.issuing != before.issuing
    assert after.trusted == after.in_service == {after.issuing}


@pytest.mark.slow
def test_the_slice_of_a_node_that_dies_in_any_phase_ends_as_undisturbed_on_another_one(
    lab: Lab, tmp_path: Path
) -> None:
    with fleet_on(lab, tmp_path, nodes=len(PHASES) + 1) as fleet:
        apply(fleet)
        rotate(fleet, count=2)
        undisturbed = end_of(fleet.mesh)
        with live_traffic(lab, 20, held=3) as traffic:
            for phase, node in zip(PHASES, fleet.nodes, strict=False):
                rotate_past_a_death(fleet, phase, dying=node, lasting=fleet.nodes[-1])
        assert (traffic.lost, traffic.broken_sessions) == ([], [])
        verify(fleet)
        assert end_of(fleet.mesh) == undisturbed
        assert all(undisturbed[name] for name in ("one root", "in service", "carries"))


def rotate_past_a_death(fleet: Fleet, phase: str, *, dying: Node, lasting: Node) -> None:
    """One phase over two slices, in which the first one's node dies while it writes."""
    first, second = fleet.slices(2)
    variables = {"mesh_rotate_phase": phase}
    with (
        job_on(dying, first, "rotate_ca.yml", variables) as job,
        job_on(lasting, second, "rotate_ca.yml", variables) as other,
    ):
        eventually(lambda: job.has_begun(PHASES[phase], WRITES), within=300, pause=0.02)
        dying.die()
        lost = job.result()
        # Nothing but what is left tells it.
        assert job.process.returncode == 0
        assert not lost.ended
        assert not lost.ok
        passed([other.result()])
    # It could not delete it any more.
    assert with_secrets(fleet, dying.files())
    passed([run_on(lasting, first, "rotate_ca.yml", variables)])
