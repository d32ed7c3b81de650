# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role from a play of its own, a few lines long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

PLAY = """\
- hosts: {hosts}
  gather_facts: false
  roles: [crossmesh.mtls.{role}]
"""


def _play(mesh: Mesh, role: str, hosts: str) -> Path:
    return mesh.write_playbook(PLAY.format(hosts=hosts, role=role), f"{role}.yml")


def test_the_three_roles_one_after_the_other_join_the_meshes(mesh: Mesh) -> None:
    plays = [
        _play(mesh, "custom_ca", "localhost"),
        _play(mesh, "mesh_ingress_server", "mesh_servers"),
        _play(mesh, "mesh_egress_client", "mesh_clients"),
    ]
    for play in plays:
        run = mesh.play(play)
        assert run.ok, run.output
        assert run.changed > 0
    assert eventually(mesh.carries)
    for play in plays:
        again = mesh.play(play)
        assert again.ok, again.output
        assert again.changed == 0
    assert mesh.site().changed == 0, "the site playbook finds what the roles made as it wants it"


@pytest.mark.slow
def test_state_absent_takes_one_side_away_and_leaves_the_other(linked_mesh: Mesh) -> None:
    client, server = _play(linked_mesh, "mesh_egress_client", "all"), _play(linked_mesh, "mesh_ingress_server", "all")
    served = linked_mesh.names("cluster-b")
    run = linked_mesh.play(client, "-e", "mesh_egress_client_state=absent")
    assert run.ok, run.output
    assert linked_mesh.names("cluster-a") == set()
    assert linked_mesh.names("cluster-b") == served
    run = linked_mesh.play(server, "-e", "mesh_ingress_server_state=absent")
    assert run.ok, run.output
    assert linked_mesh.names("cluster-b") == set()
    for play, state in ((client, "mesh_egress_client_state"), (server, "mesh_ingress_server_state")):
        again = linked_mesh.play(play, "-e", f"{state}=absent")
        assert again.ok, again.output
        assert again.changed == 0


def test_a_role_without_a_ca_says_so_and_writes_nothing(mesh: Mesh) -> None:
    for role, cluster in (("mesh_ingress_server", "cluster-b"), ("mesh_egress_client", "cluster-a")):
        run = mesh.play(_play(mesh, role, cluster))
        assert run.code != 0
        assert run.reports("no-ca", str(mesh.store), "or role crossmesh.mtls.custom_ca"), run.output
        assert run.recap[cluster]["changed"] == 0
        assert mesh.names(cluster) == set()
    assert not mesh.store.exists()


def test_the_ca_goes_when_its_role_is_told_so_and_not_before(linked_mesh: Mesh) -> None:
    play = _play(linked_mesh, "custom_ca", "localhost")
    assert linked_mesh.play(play).changed == 0
    run = linked_mesh.play(play, "-e", "custom_ca_state=absent")
    assert run.ok, run.output
    assert not linked_mesh.store.exists()
    assert linked_mesh.carries(), "what was issued goes on to serve"
