# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways as they are in the field: in a namespace of their own, with several pods, behind any kind of Service."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.cluster_objects import clear_clusters
from tests.integration.support.lab_mesh import CLUSTER_C, MYSQL, Mesh, cleared_afterwards, finished_run
from tests.integration.support.rival_objects import foreign, objects_of_others
from tests.integration.support.service_accounts import READ, WRITE_OBJECTS, rule, service_account
from tests.lab import Lab
from tests.lab.wait import eventually

Json = dict[str, Any]

FQDN = "mysql.c.example.com"
LINK: Json = {**MYSQL, "fqdn": FQDN}
EXTRA: Json = {**LINK, "name": "extra", "fqdn": "extra.c.example.com", "port": 3307, "tls_port": 13307}
EDGE = ("service", "edge", "-n", "gateways")
EGRESS = ("service", "istio-egressgateway", "-n", "istio-system")
NO_ADDRESS = "Service gateways/front has no address yet"
NO_ADDRESS_YET = f"{NO_ADDRESS}; waited"
EDGE_PODS = {"istio": "edge"}
WITHOUT_EXEC = (*READ, *WRITE_OBJECTS, rule("", "secrets", "create patch delete"))


@pytest.fixture(scope="module")
def bare(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Described, and nothing done yet."""
    hosts: dict[str, dict[str, Any]] = {"cluster-a": {}, "cluster-c": CLUSTER_C}
    groups = {"mesh_servers": ["cluster-c"], "mesh_clients": ["cluster-a"]}
    folder, passphrase = tmp_path_factory.mktemp("mesh"), secrets.token_urlsafe(24)
    with cleared_afterwards(Mesh(lab, folder, passphrase, hosts=hosts, groups=groups, links=[LINK])) as found:
        yield found


@pytest.fixture(scope="module")
def before(bare: Mesh) -> dict[str, dict[str, Json]]:
    """The Services of the clusters before the first run."""
    return _services(bare)


def _services(mesh: Mesh) -> dict[str, dict[str, Json]]:
    return {
        cluster: {
            title: item
            for title, item in state_snapshots.services_and_namespaces(mesh, cluster).items()
            if "Service " in title
        }
        for cluster in mesh.hosts
    }


@pytest.fixture
def field(bare: Mesh, before: dict[str, dict[str, Json]]) -> Mesh:
    """The link in place, whatever the test before did, and did to its description."""
    assert before
    run = bare.site()
    assert run.ok, run.output
    assert eventually(lambda: bare.carries(fqdn=FQDN))
    return bare


@contextmanager
def _opened(mesh: Mesh, cluster: str, service: tuple[str, ...], port: int, target: int) -> Iterator[None]:
    """A port of others on a Service."""
    _kind, name, _n, namespace = service
    bare = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}
    ports = [{"name": f"chart-{port}", "port": port, "protocol": "TCP", "targetPort": target}]
    apply = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
    mesh.lab.kubectl(cluster, *apply, stdin=json.dumps({**bare, "spec": {"ports": ports}}))
    try:
        yield
    finally:
        mesh.lab.kubectl(cluster, *apply, stdin=json.dumps(bare))


def _gateway(
    name: str,
    port: int,
    protocol: str,
    host: str,
    *,
    selector: Mapping[str, str],
    namespace: str = "default",
    **server: Any,
) -> Json:
    ports = {"number": port, "name": f"theirs-{name}", "protocol": protocol}
    spec = {"selector": dict(selector), "servers": [{"port": ports, "hosts": [host], **server}]}
    return foreign("Gateway", name, spec, namespace=namespace)


def test_a_link_goes_through_gateways_of_helms_chart_and_a_second_run_changes_nothing(field: Mesh) -> None:
    ours = field.objects("cluster-c")
    assert {item["metadata"]["namespace"] for item in ours} == {"gateways"}
    labels = [pod["metadata"]["labels"] for pod in field.get("cluster-c", "pods", "-n", "gateways")["items"]]
    assert {found["istio.io/rev"] for found in labels} == {"stable"}
    second = field.site()
    assert second.ok, second.output
    assert second.changed == 0
    verified = field.play("verify")
    assert verified.ok, verified.output
    assert verified.says("served by 2 of 2 ready pods")


def test_a_run_ends_when_every_replica_serves_what_was_issued_and_not_before(field: Mesh) -> None:
    more = field.with_changes(links=[LINK, EXTRA], variables={"mesh_gate_timeout": 5})
    field.lab.signal("cluster-c", "edge-1", "pilot-agent", signal.SIGSTOP)
    try:
        run = more.site()
    finally:
        field.lab.signal("cluster-c", "edge-1", "pilot-agent", signal.SIGCONT)
    assert not run.ok
    assert run.reports("not-served", "gateway gateways/edge", "pod edge-1: serves")
    assert not run.says("pod edge-0: serves")
    again = more.site()
    assert again.ok, again.output


@pytest.mark.slow
def test_ports_whose_target_port_is_another_are_used_as_they_are(field: Mesh, tmp_path: Path) -> None:
    with (
        _opened(field, "cluster-a", EGRESS, 16443, 17443),
        _opened(field, "cluster-c", EDGE, 31400, 13400),
        _balanced(field.lab, 31400, 13400),
        service_account(field.lab, tmp_path, "no-exec", WITHOUT_EXEC) as kubeconfig,
    ):
        hosts = {"cluster-a": {"mesh_egress_port": 16443}, "cluster-c": CLUSTER_C}
        link = {**LINK, "tls_port": 31400}
        unlike = field.with_changes(hosts=hosts, links=[link], variables={"mesh_kubeconfig": str(kubeconfig)})
        run = unlike.site()
        assert run.ok, run.output
        assert run.reports("proof-by-handshake", "gateway gateways/edge", "edge-0, edge-1")
        assert eventually(lambda: unlike.carries(fqdn=FQDN))
        for cluster, pod, port in (("cluster-a", "istio-egressgateway-0", 17443), ("cluster-c", "edge-1", 13400)):
            assert f"0.0.0.0_{port}" in field.lab.envoy(cluster, pod, "listeners")
        ports = field.get("cluster-c", *EDGE)["spec"]["ports"]
        assert [port["targetPort"] for port in ports if port["port"] == 31400] == [13400]
        assert unlike.site().changed == 0
        assert field.site().ok


@contextmanager
def _balanced(lab: Lab, port: int, target: int) -> Iterator[None]:
    """What kube-proxy and a load balancer do with a port of a Service."""
    rule = ["PREROUTING", "-t", "nat", "-p", "tcp", "--dport", str(port), "-j", "REDIRECT", "--to-ports", str(target)]
    pods = lab.cluster("cluster-c").gateway_pods("edge")
    for pod in pods:
        lab.run(pod.cluster, pod.name, ["iptables", "-I", *rule], check=True)
    try:
        yield
    finally:
        for pod in pods:
            lab.run(pod.cluster, pod.name, ["iptables", "-D", *rule], check=True)


@contextmanager
def _fronted(bare: Mesh, kind: str, *addresses: Json) -> Iterator[Mesh]:
    """The same gateway pods behind a Service of another kind, and nothing done yet."""
    metadata = {"name": "front", "namespace": "gateways"}
    ports = [{"name": "status-port", "port": 15021, "targetPort": 15021}]
    spec = {"type": kind, "selector": EDGE_PODS, "ports": ports}
    service = json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    gateway = {**CLUSTER_C["mesh_ingress_gateway"], "service": "front"}
    hosts = {"cluster-a": {}, "cluster-c": {**CLUSTER_C, "mesh_ingress_gateway": gateway}}
    clear_clusters(bare.lab, bare.hosts)
    bare.lab.kubectl("cluster-c", "apply", "-f", "-", stdin=service)
    fronted = bare.with_changes(hosts=hosts)
    try:
        if addresses:
            _give_address(fronted, *addresses)
        yield fronted
    finally:
        bare.lab.kubectl("cluster-c", "delete", "-f", "-", stdin=service)
        clear_clusters(bare.lab, bare.hosts)


def _give_address(mesh: Mesh, *addresses: Json) -> None:
    """As a cloud's controller does it."""
    patch = json.dumps({"status": {"loadBalancer": {"ingress": list(addresses)}}})
    front = ("service", "front", "-n", "gateways")
    mesh.lab.kubectl("cluster-c", "patch", *front, "--subresource=status", "--type=merge", "-p", patch)


def test_an_address_that_comes_late_is_waited_for_and_the_wait_is_seen(bare: Mesh) -> None:
    address = bare.lab.pod("cluster-c", "edge-0").address
    with _fronted(bare, "LoadBalancer") as late:
        process = late.begin("site")
        try:
            assert process.stdout
            said = ""
            while NO_ADDRESS_YET not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            _give_address(late, {"ip": address})
            rest, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        run = finished_run((said + rest, errors), process.returncode)
        assert run.ok, run.output
        assert run.says(f"Service gateways/front has {address}")
        assert not run.says("[WARNING]: Service gateways/front")
        assert eventually(lambda: late.carries(fqdn=FQDN))


@pytest.mark.slow
def test_an_address_that_does_not_come_is_a_warning_and_waited_for_once(bare: Mesh) -> None:
    with _fronted(bare, "LoadBalancer") as never:
        never.variables = {"mesh_gate_timeout": 3}
        first = never.site()
        assert first.ok, first.output
        assert first.reports("no-address", "Service gateways/front", "waited 3 s")
        second = never.site()
        assert second.ok, second.output
        assert second.changed == 0
        assert second.reports("no-address", "Service gateways/front")
        assert not second.says("waited")
        verified = never.play("verify")
        assert verified.ok, verified.output
        assert verified.reports("no-address", "Service gateways/front")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "addresses"),
    [("LoadBalancer", [{"hostname": "front.c.example.com"}]), ("NodePort", []), ("ClusterIP", [])],
    ids=["a load balancer with a host name", "a node port", "no way in of its own"],
)
def test_other_kinds_of_services_are_not_waited_for(bare: Mesh, kind: str, addresses: list[Json]) -> None:
    with _fronted(bare, kind, *addresses) as fronted:
        run = fronted.site()
        assert run.ok, run.output
        assert not run.says("no address")
        assert eventually(lambda: fronted.carries(fqdn=FQDN))
        assert fronted.site().changed == 0


PASSTHROUGH: Json = {"tls": {"mode": "PASSTHROUGH"}}
SIMPLE: Json = {"tls": {"mode": "SIMPLE", "credentialName": "mysql-credential"}}


def test_other_hosts_on_our_port_live_beside_ours(field: Mesh) -> None:
    """Older than ours: what Istio leaves out is the younger one."""
    theirs = [
        _gateway("wildcard", 13307, "TLS", "*.c.example.com", selector=EDGE_PODS, **PASSTHROUGH),
        _gateway("everything", 13307, "TLS", "*", selector=EDGE_PODS, **PASSTHROUGH),
        _gateway("east-west", 13307, "TLS", "*.local", selector=EDGE_PODS, tls={"mode": "AUTO_PASSTHROUGH"}),
        _gateway("terminated", 13307, "TCP", "tcp.c.example.com", selector=EDGE_PODS, **SIMPLE),
        _gateway("web", 13307, "HTTPS", "web.c.example.com", selector=EDGE_PODS, **SIMPLE),
    ]
    with objects_of_others(field, "cluster-c", theirs):
        both = field.with_changes(links=[LINK, EXTRA])
        run = both.site()
        assert run.ok, run.output
        assert eventually(lambda: both.carries(fqdn=EXTRA["fqdn"], port=EXTRA["port"]))
        assert both.site().changed == 0


# Of each: the Gateway, the code, and its port.
CONFLICTS: dict[str, tuple[Json, str, str]] = {
    "our host": (
        _gateway("same-host", 13306, "TLS", f"./{FQDN}", selector=EDGE_PODS, namespace="gateways", **PASSTHROUGH),
        "host-taken",
        "port 13306",
    ),
    "our host, by our namespace's name": (
        _gateway("same-host", 13306, "TLS", f"gateways/{FQDN}", selector=EDGE_PODS, **PASSTHROUGH),
        "host-taken",
        "port 13306",
    ),
    "plain text": (
        _gateway("plain", 13306, "HTTP", "web.c.example.com", selector=EDGE_PODS),
        "plain-port",
        "port 13306",
    ),
    "plain text through another port": (
        _gateway("plain", 23306, "HTTP", "web.c.example.com", selector=EDGE_PODS),
        "plain-port",
        "port 23306",
    ),
}


# Those of them that differ in nothing but the reason.
ALIKE = ("our host, by our namespace's name", "plain text", "plain text through another port")


@pytest.mark.parametrize(
    ("theirs", "code", "told"),
    [
        pytest.param(*conflict, id=name, marks=[pytest.mark.slow] if name in ALIKE else [])
        for name, conflict in CONFLICTS.items()
    ],
)
def test_of_two_that_cannot_live_together_the_older_one_does(field: Mesh, theirs: Json, code: str, told: str) -> None:
    with _opened(field, "cluster-c", EDGE, 23306, 13306), objects_of_others(field, "cluster-c", [theirs]):
        younger = field.site()
        assert younger.ok, younger.output
        assert younger.reports(code, "[WARNING]: ", told, "Our Gateway is older")
        assert field.carries(fqdn=FQDN)
        _make_anew(field, "gateway-mysql")
        older = field.site()
        assert not older.ok
        assert older.reports(code, "Gateway {namespace}/{name}".format(**theirs["metadata"]), told)
        assert not field.carries(fqdn=FQDN)
    assert eventually(lambda: field.carries(fqdn=FQDN))


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(FQDN, id="for all namespaces"),
        pytest.param(f"*/{FQDN}", id="for all namespaces by a star", marks=pytest.mark.slow),
        pytest.param(f"default/{FQDN}", id="for one namespace", marks=pytest.mark.slow),
    ],
)
def test_our_host_for_other_namespaces_makes_envoy_refuse_both(field: Mesh, host: str) -> None:
    theirs = _gateway("same-host", 13306, "HTTPS", host, selector=EDGE_PODS, **SIMPLE)
    told = ("host-taken-in-namespace", "Gateway default/same-host, port 13306", FQDN)
    before = _refused(field)
    with objects_of_others(field, "cluster-c", [theirs]):
        assert eventually(lambda: _refused(field) > before)
        there = field.site()
        assert there.ok, there.output
        assert there.reports(*told, "[WARNING]: ")
        assert field.carries(fqdn=FQDN)
        assert field.play("teardown").ok
        anew = field.site()
        assert not anew.ok
        assert anew.reports(*told)
        assert not field.objects("cluster-c")


def _refused(mesh: Mesh) -> int:
    """How often a gateway's Envoy took no listeners."""
    stats = mesh.lab.envoy("cluster-c", "edge-0", "stats")
    return sum(int(line.split()[-1]) for line in stats.splitlines() if "lds.update_rejected" in line)


def _make_anew(mesh: Mesh, name: str) -> None:
    """Deleted and made again, so that it is the youngest.

    In between it is seen to be gone: Istio pushes nothing where both reach it as one change that leaves the spec alone.
    """
    target = ("gateways.networking.istio.io", name, "-n", "gateways")
    found = mesh.get("cluster-c", *target)
    found["metadata"] = {key: found["metadata"][key] for key in ("name", "namespace", "labels")}
    mesh.lab.kubectl("cluster-c", "delete", *target)
    assert eventually(lambda: not mesh.carries(fqdn=FQDN))
    mesh.lab.kubectl("cluster-c", "create", "-f", "-", stdin=json.dumps(found))


@pytest.mark.slow
def test_an_east_west_gateway_on_the_egress_workload_keeps_its_port_and_services_are_as_before(
    bare: Mesh, before: dict[str, dict[str, Json]]
) -> None:
    assert bare.play("teardown").ok
    assert _services(bare) == before
    selector = {"istio": "egressgateway"}
    theirs = _gateway("east-west", 15443, "TLS", "*.local", selector=selector, tls={"mode": "AUTO_PASSTHROUGH"})
    with _opened(bare, "cluster-a", EGRESS, 15443, 15443), objects_of_others(bare, "cluster-a", [theirs]):
        standing = _services(bare)
        assert standing["cluster-a"] != before["cluster-a"]
        run = bare.site()
        assert run.ok, run.output
        assert _services(bare)["cluster-a"] == standing["cluster-a"]
        assert eventually(lambda: bare.carries(fqdn=FQDN))
        # Theirs still leads to every Service of the mesh.
        listeners = bare.lab.envoy("cluster-a", "istio-egressgateway-0", "config_dump?resource=dynamic_listeners")
        assert "outbound_.80_._.istio-ingressgateway.istio-system.svc.cluster.local" in listeners
        assert bare.site().changed == 0
        assert bare.play("teardown").ok
        assert _services(bare) == standing
    assert _services(bare) == before
