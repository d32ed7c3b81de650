# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: a run says what it would do, and does nothing."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import MYSQL, Mesh

RENAMED = {**MYSQL, "fqdn": "mysql-2.server.example.com"}
# Shorter pieces of base64 could stand in an output by chance.
PIECE = 40


def test_on_clean_clusters_it_predicts_exactly_the_tasks_that_the_run_then_changes(mesh: Mesh) -> None:
    before = state_snapshots.versions_everywhere(mesh)
    predicted = mesh.site("--check")
    assert predicted.ok, predicted.output
    assert state_snapshots.versions_everywhere(mesh) == before
    assert not mesh.store.exists()
    done = mesh.site()
    assert done.ok, done.output
    assert predicted.changes() == done.changes()
    assert all(done.changes().values()), "the clusters and the CA were to be changed"
    assert state_snapshots.versions_everywhere(mesh) != before


def test_on_clean_clusters_the_diff_shows_the_certificates_that_are_to_be_issued_and_why(mesh: Mesh) -> None:
    run = mesh.site("--check", "--diff")
    assert run.ok, run.output
    assert run.says("there is no certificate yet", "CN=mysql.server.example.com", "90 days")
    assert run.says("cluster-a.cluster.crossmesh.internal", "mysql.link.crossmesh.internal")


def test_on_clean_clusters_the_diff_shows_every_manifest_that_would_be_written(mesh: Mesh) -> None:
    run = mesh.site("--check", "--diff")
    assert run.ok, run.output
    assert run.says("kind: Gateway", "credentialName: mysql-credential", "kind: ServiceEntry", "kind: VirtualService")
    # The control: without --diff there is none of it.
    assert "kind: Gateway" not in mesh.site("--check").output


def test_on_a_mesh_in_place_it_finds_nothing_to_do(shared_mesh: Mesh) -> None:
    run = shared_mesh.site("--check")
    assert run.ok, run.output
    assert run.changed == 0


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param([RENAMED], id="another-fqdn", marks=pytest.mark.slow),
        pytest.param([{**MYSQL, "state": "absent"}, {**RENAMED, "name": "mysql-2"}], id="one-goes-one-comes"),
    ],
)
def test_before_a_change_of_links_it_predicts_and_changes_nothing(
    restored_mesh: Mesh, changed: list[dict[str, object]]
) -> None:
    mesh = restored_mesh.with_changes(links=changed)
    before, store = state_snapshots.versions_everywhere(mesh), state_snapshots.folder_contents(mesh.store)
    predicted = mesh.site("--check")
    assert predicted.ok, predicted.output
    assert state_snapshots.versions_everywhere(mesh) == before
    assert state_snapshots.folder_contents(mesh.store) == store
    done = mesh.site()
    assert done.ok, done.output
    assert predicted.changes() == done.changes()
    assert predicted.changed > 0


def test_the_diff_shows_certificates_as_they_are_and_no_data_of_a_secret(shared_mesh: Mesh) -> None:
    run = shared_mesh.with_changes(links=[RENAMED]).site("--check", "--diff")
    assert run.ok, run.output
    data = _data(shared_mesh, "mysql-credential")
    assert run.says(*_facts(data["tls.crt"]))
    assert run.says("SAN changed: had mysql.server.example.com, want mysql-2.server.example.com")
    assert not [piece for piece in _pieces(data) if piece in run.output]
    # The same search finds what is there to be found.
    shown = run.output + base64.b64encode(b"xy" + data["tls.key"]).decode()
    assert [piece for piece in _pieces(data) if piece in shown]


def test_the_plan_can_be_read_before_a_teardown(shared_mesh: Mesh) -> None:
    before = state_snapshots.versions_everywhere(shared_mesh)
    run = shared_mesh.play("teardown", "--check")
    assert run.ok, run.output
    assert run.says("delete Secret istio-system/mysql-credential", "remove port 13306", "remove port 15443")
    assert run.changed > 0
    assert state_snapshots.versions_everywhere(shared_mesh) == before


def _data(mesh: Mesh, secret: str) -> dict[str, bytes]:
    found = mesh.get("cluster-b", "secret", secret, "-n", "istio-system")["data"]
    return {key: base64.b64decode(value) for key, value in found.items()}


def _facts(certificate: bytes) -> list[str]:
    """Subject, SAN, serial, end and fingerprint as another program reads them, in the forms that a diff has them."""
    view = load_pem_x509_certificate(certificate)
    names = view.extensions.get_extension_for_class(SubjectAlternativeName).value.get_values_for_type(DNSName)
    return [
        view.subject.rfc4514_string(),
        *names,
        f"{view.serial_number:x}",
        view.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        view.fingerprint(SHA256()).hex(),
    ]


def _pieces(data: dict[str, bytes]) -> list[str]:
    """Lines of PEM, and base64 of each value at every offset that it could stand at in something larger."""
    lines = [line for value in data.values() for line in value.decode().splitlines() if len(line) >= PIECE]
    return lines + [
        base64.b64encode(value[offset:])[4 : 4 + PIECE].decode() for value in data.values() for offset in range(3)
    ]
