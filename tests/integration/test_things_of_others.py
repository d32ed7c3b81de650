# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to somebody else stays as it is: beside our ports and objects, and on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

Json = dict[str, Any]
SYSTEM = "istio-system"
INGRESS, EGRESS = "istio-ingressgateway", "istio-egressgateway"
OTHER = {**MYSQL, "name": "reports", "fqdn": "reports.server.example.com", "port": 3307, "tls_port": 13307}
THEIRS: list[Json] = [
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "shop", "namespace": SYSTEM},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["shop.example.com"]}],
        },
    },
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "bank", "namespace": SYSTEM},
        "spec": {
            "hosts": ["bank.example.com"],
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop-credential", "namespace": SYSTEM},
        "stringData": {"note": "not a certificate"},
    },
]


def _port(number: int, name: str) -> Json:
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": number}


def _open(mesh: Mesh, cluster: str, service: str, port: Json) -> None:
    """As an operator would: one more port, by server-side apply of nothing else."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "namespace": SYSTEM},
        "spec": {"ports": [port]},
    }
    _apply(mesh, cluster, manifest)


def _apply(mesh: Mesh, cluster: str, manifest: Json) -> None:
    arguments = ("apply", "--server-side", "--field-manager=ops", "-f", "-")
    mesh.lab.kubectl(cluster, *arguments, stdin=json.dumps(manifest))


@contextmanager
def _left_alone(mesh: Mesh) -> Iterator[None]:
    """Takes back what this file's operator did, whatever came of it."""
    try:
        yield
    finally:
        for cluster in mesh.hosts:
            for service in (INGRESS, EGRESS):
                bare = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": SYSTEM}}
                _apply(mesh, cluster, bare)
                mesh.lab.kubectl(cluster, "annotate", "service", service, "-n", SYSTEM, "ops/note-", "ops/page-")
                mesh.lab.kubectl(cluster, "label", "service", service, "-n", SYSTEM, "ops/team-")
            mesh.lab.kubectl(cluster, "annotate", "namespace", SYSTEM, "ops/note-")
            everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": THEIRS})
            mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=everything)


@pytest.fixture
def mesh_with_others(mesh: Mesh) -> Iterator[Mesh]:
    """Clusters in which somebody else is at work."""
    with _left_alone(mesh):
        for cluster in mesh.hosts:
            for manifest in THEIRS:
                _apply(mesh, cluster, manifest)
            for service in (INGRESS, EGRESS):
                _open(mesh, cluster, service, _port(9443, "ops"))
                note = ("-n", SYSTEM, "ops/note=hands off", "--field-manager=ops")
                mesh.lab.kubectl(cluster, "annotate", "service", service, *note)
                mesh.lab.kubectl(cluster, "label", "service", service, "-n", SYSTEM, "ops/team=shop")
            mesh.lab.kubectl(cluster, "annotate", "namespace", SYSTEM, "ops/note=hands off")
        yield mesh


def _theirs(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """Everything without what our managers wrote: their objects' versions; Services and namespaces in full."""
    found: dict[str, dict[str, Any]] = {}
    for cluster in mesh.hosts:
        belongings = state_snapshots.services_and_namespaces(mesh, cluster)
        for item in belongings.values():
            fields = item["metadata"]["managedFields"]
            item["metadata"]["managedFields"] = [e for e in fields if not e["manager"].startswith("crossmesh-")]
            if "ports" in item["spec"]:
                item["spec"]["ports"] = [p for p in item["spec"]["ports"] if p["port"] not in (13306, 13307, 15443)]
        ours = {f"{item['kind']} {SYSTEM}/{item['metadata']['name']}" for item in mesh.objects(cluster)}
        versions = {
            title: version
            for title, version in state_snapshots.versions_in_cluster(mesh, cluster).items()
            if title not in ours and title not in belongings
        }
        found[cluster] = {**belongings, **versions}
    return found


def test_they_are_the_same_after_a_run_a_pruning_and_a_teardown(mesh_with_others: Mesh) -> None:
    before = _theirs(mesh_with_others)
    assert "Gateway istio-system/shop" in before["cluster-b"]
    untouched = {
        cluster: state_snapshots.services_and_namespaces(mesh_with_others, cluster)
        for cluster in mesh_with_others.hosts
    }
    both, one = mesh_with_others.with_changes(links=[MYSQL, OTHER]), mesh_with_others.with_changes(links=[OTHER])
    for mesh, playbook in ((both, "site"), (one, "site"), (one, "teardown")):
        run = mesh.play(playbook)
        assert run.ok, run.output
        assert run.changed > 0
        assert _theirs(mesh_with_others) == before
    assert {
        cluster: state_snapshots.services_and_namespaces(mesh_with_others, cluster)
        for cluster in mesh_with_others.hosts
    } == untouched


@pytest.mark.slow
def test_a_tls_port_and_an_egress_port_of_others_are_used_as_they_are_and_stay(mesh: Mesh) -> None:
    with _left_alone(mesh):
        _open(mesh, "cluster-a", EGRESS, _port(15443, "tls-east-west"))
        _open(mesh, "cluster-b", INGRESS, _port(31400, "tcp"))
        before = {cluster: state_snapshots.services_and_namespaces(mesh, cluster) for cluster in mesh.hosts}
        mesh.links = [{**MYSQL, "tls_port": 31400}]
        run = mesh.site()
        assert run.ok, run.output
        assert {cluster: state_snapshots.services_and_namespaces(mesh, cluster) for cluster in mesh.hosts} == before
        assert eventually(mesh.carries)
        assert mesh.site().changed == 0
        assert mesh.play("teardown").ok
        assert {cluster: state_snapshots.services_and_namespaces(mesh, cluster) for cluster in mesh.hosts} == before


@pytest.mark.slow
def test_port_443_that_every_gateway_has_is_used_as_it_is(mesh: Mesh) -> None:
    before = state_snapshots.services_and_namespaces(mesh, "cluster-b")
    mesh.links = [{**MYSQL, "tls_port": 443}]
    run = mesh.site()
    assert run.ok, run.output
    assert state_snapshots.services_and_namespaces(mesh, "cluster-b") == before
    # The Service's port 443 leads to the pods' port 8443.
    listeners = mesh.lab.envoy("cluster-b", f"{INGRESS}-0", "listeners")
    assert "0.0.0.0_8443" in listeners
    assert "0.0.0.0_443:" not in listeners
    assert mesh.play("teardown").ok
    assert state_snapshots.services_and_namespaces(mesh, "cluster-b") == before


def test_a_port_that_others_claim_besides_us_stays_theirs_after_a_teardown(linked_mesh: Mesh) -> None:
    with _left_alone(linked_mesh):
        _open(linked_mesh, "cluster-b", INGRESS, _port(13306, "tls-13306"))
        assert linked_mesh.site().changed == 0
        assert linked_mesh.play("teardown").ok
        ports = linked_mesh.get("cluster-b", "service", INGRESS, "-n", SYSTEM)["spec"]["ports"]
        assert [port["name"] for port in ports if port["port"] == 13306] == ["tls-13306"]


@pytest.mark.slow
def test_what_others_note_on_our_objects_stays_there(linked_mesh: Mesh) -> None:
    target = ("gateways.networking.istio.io", "gateway-mysql", "-n", SYSTEM)
    linked_mesh.lab.kubectl("cluster-b", "annotate", *target, "ops/page=555", "--field-manager=ops")
    linked_mesh.lab.kubectl("cluster-b", "label", *target, "ops/team=shop", "--field-manager=ops")
    assert linked_mesh.site().changed == 0
    changed = linked_mesh.with_changes(links=[{**MYSQL, "tls_port": 13307}]).site()
    assert changed.ok, changed.output
    found = linked_mesh.get("cluster-b", *target)
    assert found["spec"]["servers"][0]["port"]["number"] == 13307
    assert found["metadata"]["annotations"]["ops/page"] == "555"
    assert found["metadata"]["labels"]["ops/team"] == "shop"
