# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link from its first run to its last, with numbers and switches as old ansible-core hands them over: as texts."""

from __future__ import annotations

from tests.integration.support import credential_secrets
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

# Before ansible-core 2.19, what a template makes of a number is a text.
TEMPLATED = {
    **MYSQL,
    "port": "{{ database_port }}",
    "tls_port": "{{ database_port + 10000 }}",
    "backend": {**MYSQL["backend"], "port": "{{ database_port }}"},
    "strict_backend": "{{ database_port == 3306 }}",
}


def test_a_link_is_made_kept_renewed_proven_and_taken_down(mesh: Mesh) -> None:
    mesh.variables = {"database_port": MYSQL["port"], "mesh_gate_timeout": "{{ 30 + 30 }}"}
    mesh.links = [TEMPLATED]
    first = mesh.site()
    assert first.ok, first.output
    assert first.changed > 0
    assert eventually(mesh.carries)
    assert "PeerAuthentication/mysql-strict-backend" in mesh.names("cluster-b")

    second = mesh.site("-e", "mesh_gate_timeout=20")
    assert second.ok, second.output
    assert second.changed == 0

    before = credential_secrets.serials(mesh)
    rotation = mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true")
    assert rotation.ok, rotation.output
    assert not set(before) & set(credential_secrets.serials(mesh))

    proven = mesh.play("verify")
    assert proven.ok, proven.output
    assert mesh.carries()

    teardown = mesh.play("teardown")
    assert teardown.ok, teardown.output
    assert [mesh.names(cluster) for cluster in mesh.hosts] == [set(), set()]
    assert not mesh.carries()
