# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store is not where it was: a run stops before it does harm."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import MYSQL, Mesh

PLAY = """\
- hosts: localhost
  gather_facts: false
  roles: [crossmesh.mtls.custom_ca]
"""


@pytest.fixture
def moved_store(shared_mesh: Mesh) -> Iterator[Path]:
    """Where the store is, moved away by hand."""
    moved = shared_mesh.folder / "moved"
    shared_mesh.store.rename(moved)
    yield moved
    if shared_mesh.store.exists():
        shared_mesh.store.rename(shared_mesh.folder / f"other-{secrets.token_hex(4)}")
    moved.rename(shared_mesh.store)


def _fingerprint(store: Path) -> str:
    """Of the one root that the store holds."""
    found = [path for path in store.rglob("*.crt") if b"BEGIN CERTIFICATE" in path.read_bytes()]
    return load_pem_x509_certificate(found[0].read_bytes()).fingerprint(SHA256()).hex()


def _named(store: Path) -> str:
    """As many digits of it as messages name."""
    return _fingerprint(store)[:8]


def test_a_store_that_was_moved_away_stops_the_run_with_one_line(shared_mesh: Mesh, moved_store: Path) -> None:
    before = state_snapshots.versions_everywhere(shared_mesh)
    run = shared_mesh.site()
    assert run.code != 0
    assert run.reports("wrong-store", str(shared_mesh.store), _named(moved_store), "custom_ca_dir", "backup"), (
        run.output
    )
    errors = [line for line in run.output.splitlines() if line.startswith("[ERROR]")]
    assert [_named(moved_store) in line for line in errors] == [True]
    assert run.changed == 0
    assert state_snapshots.versions_everywhere(shared_mesh) == before
    assert not shared_mesh.store.exists()
    assert shared_mesh.carries()


def test_a_change_of_the_links_does_not_get_past_it(shared_mesh: Mesh, moved_store: Path) -> None:
    before = state_snapshots.versions_everywhere(shared_mesh)
    run = shared_mesh.with_changes(links=[{**MYSQL, "fqdn": "mysql-2.server.example.com"}]).site()
    assert run.code != 0
    assert run.reports("wrong-store", _named(moved_store)), run.output
    assert state_snapshots.versions_everywhere(shared_mesh) == before
    assert shared_mesh.carries()


def test_another_ca_in_its_place_stops_the_run_with_both_fingerprints(shared_mesh: Mesh, moved_store: Path) -> None:
    made = shared_mesh.play(shared_mesh.write_playbook(PLAY))
    assert made.ok, made.output
    before = state_snapshots.versions_everywhere(shared_mesh)
    run = shared_mesh.site()
    assert run.code != 0
    assert run.reports("wrong-store", _named(shared_mesh.store), _named(moved_store), "custom_ca_dir"), run.output
    assert run.changed == 0
    assert state_snapshots.versions_everywhere(shared_mesh) == before
    assert shared_mesh.carries()


def test_check_mode_stops_too(shared_mesh: Mesh, moved_store: Path) -> None:
    run = shared_mesh.site("--check")
    assert run.code != 0
    assert run.reports("wrong-store", _named(moved_store))


def test_a_teardown_needs_no_store(shared_mesh: Mesh, moved_store: Path) -> None:
    run = shared_mesh.play("teardown", "--check")
    assert run.ok, run.output
    assert run.says("delete Secret istio-system/mysql-credential")


def test_with_its_store_back_the_mesh_is_as_it_was(shared_mesh: Mesh) -> None:
    """After all of the above."""
    run = shared_mesh.site()
    assert run.ok, run.output
    assert run.changed == 0
