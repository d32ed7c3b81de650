# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong in one cluster stops that cluster with a clear line; the other one is finished, the run has failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run
from tests.integration.support.service_accounts import rule, service_account
from tests.integration.support.state_snapshots import versions_in_cluster

# Work for both clusters, so that it can be seen who did it.
EXTRA = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}
WORK_OF_A = "ServiceEntry/extra-external"


def with_work(mesh: Mesh, **cluster_b: Any) -> Mesh:
    return mesh.with_changes(links=[MYSQL, EXTRA], hosts={"cluster-a": {}, "cluster-b": cluster_b})


def assert_half_done(mesh: Mesh, run: Run) -> None:
    assert not run.ok
    assert "Traceback" not in run.output
    assert run.recap["cluster-b"]["failed"] == 1, run.output
    assert run.recap["cluster-b"]["changed"] == 0
    assert run.recap["cluster-a"]["failed"] == 0
    assert WORK_OF_A in mesh.names("cluster-a")


def test_an_api_server_that_is_down(restored_mesh: Mesh) -> None:
    with stopped_api_server(restored_mesh, "cluster-b"):
        run = with_work(restored_mesh).site()
    assert_half_done(restored_mesh, run)
    address = restored_mesh.lab.cluster("cluster-b").api_url
    assert run.reports("api-unreachable", f"context cluster-b of {restored_mesh.lab.kubeconfig}, {address}")
    assert run.reports("api-unreachable", "Connection refused")
    again = with_work(restored_mesh).site()
    assert again.ok, again.output
    assert "Secret/extra-credential" in restored_mesh.names("cluster-b"), "the next run does what is left"


def test_a_context_that_is_not_in_the_kubeconfig(restored_mesh: Mesh) -> None:
    run = with_work(restored_mesh, mesh_context="nowhere").site()
    assert_half_done(restored_mesh, run)
    assert run.reports("kubeconfig", f"context nowhere of {restored_mesh.lab.kubeconfig}")


@pytest.mark.slow
def test_a_gateway_that_is_not_there(restored_mesh: Mesh) -> None:
    run = with_work(restored_mesh, mesh_ingress_gateway={"service": "no-gateway"}).site()
    assert_half_done(restored_mesh, run)
    assert run.reports("no-gateway", "Service istio-system/no-gateway", "set mesh_ingress_gateway")


def test_permissions_that_are_missing_are_told_all_at_once(restored_mesh: Mesh, tmp_path: Path) -> None:
    with service_account(restored_mesh.lab, tmp_path, "may-list-pods", [rule("", "pods", "list")]) as kubeconfig:
        run = with_work(restored_mesh, mesh_kubeconfig=str(kubeconfig)).site()
    assert_half_done(restored_mesh, run)
    assert run.reports("not-permitted")
    istio = ("destinationrules", "gateways", "serviceentries", "virtualservices")
    kinds = (*istio, "authorizationpolicies", "peerauthentications")
    for denied in (
        *(f"list {kind}" for kind in kinds),
        "get secrets (extra-credential, extra-credential-cacert, ",
        "get services",
        "get configmaps",
    ):
        assert run.says(denied), denied
    assert not run.says("list pods;")


@pytest.fixture
def without_peer_authentications(restored_mesh: Mesh) -> Iterator[None]:
    lab, name = restored_mesh.lab, "crd/peerauthentications.security.istio.io"
    definition = json.loads(lab.kubectl("cluster-b", "get", name, "-o", "json").stdout)
    for key in ("status", *(f"metadata.{key}" for key in ("resourceVersion", "uid", "creationTimestamp"))):
        parent, _dot, last = key.rpartition(".")
        (definition[parent] if parent else definition).pop(last)
    lab.kubectl("cluster-b", "delete", name)
    yield
    lab.kubectl("cluster-b", "create", "-f", "-", stdin=json.dumps(definition))
    lab.kubectl("cluster-b", "wait", "--for=condition=Established", name)


@pytest.mark.usefixtures("without_peer_authentications")
def test_definitions_that_are_not_installed(restored_mesh: Mesh) -> None:
    strict = {**EXTRA, "strict_backend": True}
    run = with_work(restored_mesh).with_changes(links=[MYSQL, strict]).site()
    assert_half_done(restored_mesh, run)
    assert run.reports("unknown-kind", "PeerAuthentication")


OTHERS = [
    ("same-host", 13309, "TLS", "fourth.server.example.com"),
    ("plain", 13307, "HTTP", "web.server.example.com"),
]


@pytest.fixture
def occupied_gateway(restored_mesh: Mesh) -> Iterator[None]:
    """Others were there first, with a host that we want, a port that is not TLS, and one that is not TCP."""
    gateways = yaml.safe_dump_all(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "selector": {"istio": "ingressgateway"},
                "servers": [
                    {
                        "port": {"number": port, "name": "theirs", "protocol": protocol},
                        "hosts": [host],
                        **({"tls": {"mode": "PASSTHROUGH"}} if protocol == "TLS" else {}),
                    }
                ],
            },
        }
        for name, port, protocol, host in OTHERS
    )
    lab, service = restored_mesh.lab, ("-n", "istio-system", "patch", "service", "istio-ingressgateway", "--type=json")
    port = {"name": "quic", "port": 13308, "protocol": "UDP", "targetPort": 13308}
    before = len(restored_mesh.get("cluster-b", "-n", "istio-system", "service/istio-ingressgateway")["spec"]["ports"])
    lab.kubectl("cluster-b", "apply", "-f", "-", stdin=gateways)
    lab.kubectl("cluster-b", *service, "-p", json.dumps([{"op": "add", "path": "/spec/ports/-", "value": port}]))
    yield
    lab.kubectl("cluster-b", *service, "-p", json.dumps([{"op": "remove", "path": f"/spec/ports/{before}"}]))
    lab.kubectl("cluster-b", "delete", "-f", "-", stdin=gateways)


@pytest.mark.usefixtures("occupied_gateway")
def test_hosts_and_ports_that_others_have(restored_mesh: Mesh) -> None:
    third = {**MYSQL, "name": "third", "fqdn": "third.server.example.com", "port": 3308, "tls_port": 13308}
    fourth = {**MYSQL, "name": "fourth", "fqdn": "fourth.server.example.com", "port": 3309, "tls_port": 13309}
    before = versions_in_cluster(restored_mesh, "cluster-b")
    run = with_work(restored_mesh).with_changes(links=[MYSQL, EXTRA, third, fourth]).site()
    assert_half_done(restored_mesh, run)
    assert versions_in_cluster(restored_mesh, "cluster-b") == before
    assert run.reports("host-taken-in-namespace", "Gateway default/same-host, port 13309", "fourth.server.example.com")
    assert run.reports("plain-port", "Gateway default/plain, port 13307", "HTTP")
    assert run.reports("port-not-tcp", "Service istio-system/istio-ingressgateway, port 13308", "13308/UDP")
