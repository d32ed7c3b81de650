"""Workloads stay as they are: generation and UID of every pod and Deployment."""

from __future__ import annotations

from tests.integration import snapshots
from tests.integration.mesh import Mesh


def test_workloads_are_the_same_before_and_after_everything(mesh: Mesh) -> None:
    before = {cluster: snapshots.workloads(mesh, cluster) for cluster in mesh.hosts}
    assert all(len(found) > 3 for found in before.values())
    assert mesh.site().ok
    assert {cluster: snapshots.workloads(mesh, cluster) for cluster in mesh.hosts} == before
    assert mesh.play("teardown").ok
    assert {cluster: snapshots.workloads(mesh, cluster) for cluster in mesh.hosts} == before
