"""One running lab for all tests; every test starts from clusters without anything of ours and leaves them so."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.mesh import Mesh
from tests.lab import Lab

CLUSTERS = ("cluster-a", "cluster-b")


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab.load()


@pytest.fixture
def mesh(lab: Lab, tmp_path: Path) -> Iterator[Mesh]:
    """A described mesh that nothing was done for yet; taken down again whatever the test made of it."""
    found = Mesh(lab, tmp_path, secrets.token_urlsafe(24))
    yield found
    found.links, found.groups = [], {"mesh_servers": list(found.hosts), "mesh_clients": list(found.hosts)}
    torn_down = found.play("teardown")
    assert torn_down.ok, torn_down.output
    for cluster in CLUSTERS:
        assert found.names(cluster) == set(), f"{cluster} is not as it was before the test"


@pytest.fixture
def joined(mesh: Mesh) -> Mesh:
    """The tutorial's MySQL link, in place."""
    run = mesh.site()
    assert run.ok, run.output
    return mesh
