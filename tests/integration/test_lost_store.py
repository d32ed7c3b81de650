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
def elsewhere(standing: Mesh) -> Iterator[Path]:
    """Where the store is, moved away by hand."""
    moved = standing.folder / "moved"
    standing.store.rename(moved)
    yield moved
    if standing.store.exists():
        standing.store.rename(standing.folder / f"other-{secrets.token_hex(4)}")
    moved.rename(standing.store)


def _fingerprint(store: Path) -> str:
    """Of the one root that the store holds."""
    found = [path for path in store.rglob("*.crt") if b"BEGIN CERTIFICATE" in path.read_bytes()]
    return load_pem_x509_certificate(found[0].read_bytes()).fingerprint(SHA256()).hex()


def test_a_store_that_was_moved_away_stops_the_run_with_one_line(standing: Mesh, elsewhere: Path) -> None:
    before = state_snapshots.versions_everywhere(standing)
    run = standing.site()
    assert run.code != 0
    assert run.says(str(standing.store), _fingerprint(elsewhere), "custom_ca_dir", "backup"), run.output
    errors = [line for line in run.output.splitlines() if line.startswith("[ERROR]")]
    assert [_fingerprint(elsewhere) in line for line in errors] == [True]
    assert run.changed == 0
    assert state_snapshots.versions_everywhere(standing) == before
    assert not standing.store.exists()
    assert standing.carries()


def test_a_change_of_the_links_does_not_get_past_it(standing: Mesh, elsewhere: Path) -> None:
    before = state_snapshots.versions_everywhere(standing)
    run = standing.otherwise(links=[{**MYSQL, "fqdn": "mysql-2.server.example.com"}]).site()
    assert run.code != 0
    assert run.says(_fingerprint(elsewhere)), run.output
    assert state_snapshots.versions_everywhere(standing) == before
    assert standing.carries()


def test_another_ca_in_its_place_stops_the_run_with_both_fingerprints(standing: Mesh, elsewhere: Path) -> None:
    made = standing.play(standing.written(PLAY))
    assert made.ok, made.output
    before = state_snapshots.versions_everywhere(standing)
    run = standing.site()
    assert run.code != 0
    assert run.says(_fingerprint(standing.store), _fingerprint(elsewhere), "custom_ca_dir"), run.output
    assert run.changed == 0
    assert state_snapshots.versions_everywhere(standing) == before
    assert standing.carries()


def test_check_mode_stops_too(standing: Mesh, elsewhere: Path) -> None:
    run = standing.site("--check")
    assert run.code != 0
    assert run.says(_fingerprint(elsewhere))


def test_a_teardown_needs_no_store(standing: Mesh, elsewhere: Path) -> None:
    run = standing.play("teardown", "--check")
    assert run.ok, run.output
    assert run.says("delete Secret istio-system/mysql-credential")


def test_with_its_store_back_the_mesh_is_as_it_was(standing: Mesh) -> None:
    """After all of the above."""
    run = standing.site()
    assert run.ok, run.output
    assert run.changed == 0
