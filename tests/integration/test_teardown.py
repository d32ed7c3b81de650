# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Teardown: clusters are as they were before the first run; the CA stays. Workloads are not touched at any time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

LINKS = [{**MYSQL, "strict_backend": True}]


def test_services_namespaces_and_workloads_are_as_they_were_and_the_ca_stays(mesh: Mesh) -> None:
    before = {cluster: state_snapshots.services_and_namespaces(mesh, cluster) for cluster in mesh.hosts}
    workloads = {cluster: state_snapshots.workloads(mesh, cluster) for cluster in mesh.hosts}
    assert all(len(found) > 3 for found in workloads.values())
    mesh.links = LINKS
    assert mesh.site().ok
    assert {cluster: state_snapshots.workloads(mesh, cluster) for cluster in mesh.hosts} == workloads
    assert all(state_snapshots.services_and_namespaces(mesh, cluster) != before[cluster] for cluster in mesh.hosts)
    assert "PeerAuthentication/mysql-strict-backend" in mesh.names("cluster-b")
    store = state_snapshots.folder_contents(mesh.store)
    run = mesh.play("teardown")
    assert run.ok, run.output
    assert run.changed > 0
    for cluster in mesh.hosts:
        assert mesh.names(cluster) == set()
        assert state_snapshots.services_and_namespaces(mesh, cluster) == before[cluster]
    assert {cluster: state_snapshots.workloads(mesh, cluster) for cluster in mesh.hosts} == workloads
    assert state_snapshots.folder_contents(mesh.store) == store
    assert not mesh.carries()

    again = mesh.play("teardown")
    assert again.ok, again.output
    assert again.changed == 0
    assert all(state_snapshots.services_and_namespaces(mesh, cluster) == before[cluster] for cluster in mesh.hosts)

    assert mesh.site().ok, "after a teardown, the same CA joins the meshes again"
    assert eventually(mesh.carries)
    grows = {name for name in store if name == "authority.json" or "ledger" in name or name.startswith("journal/")}
    kept = {name: content for name, content in store.items() if name not in grows}
    assert len(kept) > len(mesh.hosts)
    assert state_snapshots.folder_contents(mesh.store).items() >= kept.items()


@pytest.mark.slow
def test_a_cluster_whose_istio_is_gone_is_torn_down_too(mesh: Mesh) -> None:
    before = state_snapshots.services_and_namespaces(mesh, "cluster-b")
    assert mesh.site().ok
    with _without_crds(mesh, "cluster-b"):
        run = mesh.play("teardown")
        assert run.ok, run.output
        assert state_snapshots.services_and_namespaces(mesh, "cluster-b") == before
        assert not mesh.get("cluster-b", "secrets", "-A", "-l", "app.kubernetes.io/managed-by=crossmesh")["items"]
        assert mesh.play("teardown").changed == 0
        assert not mesh.site().ok, "without CRDs no link can be made"
    assert mesh.site().ok
    assert eventually(mesh.carries)


@contextmanager
def _without_crds(mesh: Mesh, cluster: str) -> Iterator[None]:
    found = mesh.get(cluster, "crds")["items"]
    istio = [crd for crd in found if crd["spec"]["group"] in ("networking.istio.io", "security.istio.io")]
    mesh.lab.kubectl(cluster, "delete", "crd", *(crd["metadata"]["name"] for crd in istio))
    try:
        yield
    finally:
        for crd in istio:
            crd["metadata"] = {key: crd["metadata"].get(key, {}) for key in ("name", "labels", "annotations")}
        bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": istio})
        mesh.lab.kubectl(cluster, "create", "-f", "-", stdin=bundle)
        names = [f"crd/{crd['metadata']['name']}" for crd in istio]
        mesh.lab.kubectl(cluster, "wait", "--for=condition=Established", "--timeout=30s", *names)
