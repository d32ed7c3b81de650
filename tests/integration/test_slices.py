# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in slices of the inventory, cut as AWX cuts them: what a run over the whole does, slices at once do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.integration.support.gateway_namespaces import gateway_namespaces, many_clusters, state_of_clusters
from tests.integration.support.inventory_slices import Slice, play_at_once, sliced
from tests.integration.support.lab_mesh import CLUSTER_C, Mesh, Run
from tests.integration.support.live_traffic import live_traffic

# Each of the lab's clusters in one of three slices.
THREE = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": ["mesh_servers"]}
PHASES = ("prepare", "switch", "retire")
MAKE_CA = """
- name: Make the CA
  hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - crossmesh.mtls.custom_ca
"""


def passed(runs: Sequence[Run]) -> Sequence[Run]:
    assert all(run.ok for run in runs), "\n".join(run.output for run in runs if not run.ok)
    return runs


def phase(slices: Sequence[Slice], name: str) -> list[Run]:
    return play_at_once(slices, "rotate_ca", "-e", f"mesh_rotate_phase={name}")


def roots(mesh: Mesh) -> set[str]:
    return {path.stem for path in (mesh.store / "roots").glob("*.key")}


@pytest.fixture
def three(mesh: Mesh) -> Mesh:
    """The tutorial's link, and beside its server another cluster that serves it."""
    mesh.hosts = {"cluster-a": {}, "cluster-b": {}, "cluster-c": dict(CLUSTER_C)}
    mesh.groups = {"mesh_servers": ["cluster-b", "cluster-c"], "mesh_clients": ["cluster-a"]}
    mesh.variables["mesh_clusters"] = THREE
    passed([mesh.site()])
    return mesh


@pytest.mark.slow
def test_a_root_is_rotated_over_three_slices_at_once_and_no_connection_is_lost(three: Mesh) -> None:
    slices, before = sliced(three, 3), roots(three)
    with live_traffic(three.lab, 20, held=3) as traffic:
        for name in PHASES:
            passed(phase(slices, name))
    assert (traffic.lost, traffic.broken_sessions) == ([], [])
    assert len(roots(three)) == 1
    assert roots(three) != before
    passed([three.play("verify")])
    assert three.site().changed == 0


@pytest.mark.slow
def test_a_phase_that_a_slice_has_not_done_blocks_the_next_one_by_its_clusters(three: Mesh) -> None:
    first, second, third = sliced(three, 3)
    passed(phase([first, second], "prepare"))
    (alone,) = phase([first], "switch")
    assert not alone.ok
    assert alone.reports("cluster-unseen", "cluster cluster-c"), alone.output
    # Twice, and one after another.
    for part in (third, first, third):
        passed(phase([part], "prepare"))
    (late,) = play_at_once([first], "rotate_ca", "-e", '{"mesh_rotate_phase": "switch", "mesh_gate_max_age": 0}')
    assert late.reports("cluster-seen-long-ago", "cluster cluster-c"), late.output
    for name in PHASES[1:]:
        for part in (second, first, third):
            passed(phase([part], name))
    assert len(roots(three)) == 1
    passed([three.play("verify")])


def test_verify_fails_with_the_clusters_that_it_does_not_cover(three: Mesh) -> None:
    passed([three.play("verify")])
    run = sliced(three, 3)[0].play("verify")
    assert run.reports("not-covered", "cluster-b, cluster-c"), run.output
    assert not run.ok
    # A slice can be empty: AWX counts disabled hosts, too.
    empty = sliced(three, 4)[3]
    for playbook in ("site", "rotate_ca", "rotate_certificates"):
        nothing = empty.play(playbook)
        assert nothing.ok, nothing.output
        assert nothing.changed == 0
    site = sliced(three, 3)[0].site()
    assert site.ok, site.output
    assert site.says("not in this part of the inventory: cluster-b, cluster-c"), site.output


@pytest.mark.slow
def test_twelve_clusters_are_the_same_whole_and_in_slices(mesh: Mesh) -> None:
    fleet = many_clusters(mesh, 12)
    passed([fleet.play(fleet.write_playbook(MAKE_CA))])
    states = {}
    for count in (1, 2, 3, 4):
        with gateway_namespaces(fleet):
            passed(play_at_once(sliced(fleet, count), "site"))
            states[count] = state_of_clusters(fleet)
            assert fleet.site().changed == 0
        assert len(roots(fleet)) == 1
    assert len(states[1]) > len(fleet.hosts)
    assert states[2] == states[1]
    assert states[3] == states[1]
    assert states[4] == states[1]


@pytest.mark.slow
def test_slices_that_begin_together_without_a_ca_make_one_or_none(mesh: Mesh) -> None:
    """None where mesh_clusters tells that others have not been looked at; one where nothing tells it."""
    fleet = many_clusters(mesh, 4)
    with gateway_namespaces(fleet):
        refused = play_at_once(sliced(fleet, 2), "site")
        assert all(run.reports("no-ca") and run.changed == 0 for run in refused), refused
        assert roots(fleet) == set()
        untold = each_slice_whole_to_itself(fleet)
        passed(play_at_once(sliced(untold, 2), "site"))
        assert len(roots(untold)) == 1
        assert all(run.changed == 0 for run in passed(play_at_once(sliced(untold, 2), "site")))


def each_slice_whole_to_itself(fleet: Mesh) -> Mesh:
    """Four of these clusters without mesh_clusters: of two slices each has a server and a client of one link.

    Neither mesh has two clients: a mesh sends what is for one name to one gateway.
    """
    hosts = {**fleet.hosts, "c3": fleet.hosts["c4"], "c4": fleet.hosts["c3"]}
    link = {key: value for key, value in (fleet.links or [])[0].items() if key not in ("servers", "clients")}
    variables = {name: value for name, value in fleet.variables.items() if name != "mesh_clusters"}
    groups = {"mesh_servers": ["c1", "c2"], "mesh_clients": ["c3", "c4"]}
    return replace(fleet, hosts=hosts, groups=groups, links=[link], variables=variables)
