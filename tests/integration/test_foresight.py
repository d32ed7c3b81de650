# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in a link's way is told before anything is written, by the object that is to blame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.changed_objects import mesh_settings
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.preflight_reports import run_preflight
from tests.integration.support.rival_objects import SYSTEM, rival
from tests.integration.support.slow_cases import with_slow
from tests.integration.support.web_servers import web_link

Json = dict[str, Any]
CLIENT, SERVER = "cluster-a", "cluster-b"
FQDN = "orders.server.example.com"
# A link of its own, which is not there yet: what others have is older.
ORDERS: Json = {
    **MYSQL,
    "name": "orders",
    "fqdn": FQDN,
    "port": 3320,
    "tls_port": 13320,
    "backend": {"host": "orders.default.svc.cluster.local", "port": 3399},
}
ADDRESSED = {**ORDERS, "addresses": ["240.99.0.20"]}
WEB = {**web_link("orders", "http", 13320), "fqdn": FQDN}
SERVICE = {"selector": {"app": "mysql"}, "ports": [{"name": "tcp", "port": 3399, "targetPort": 3306}]}
EGRESS_LABELS = {"istio": "egressgateway"}
ELSEWHERE = [{"route": [{"destination": {"host": "elsewhere.example.com", "port": {"number": 1}}}]}]
OF_LINK = [{"when": [{"key": "connection.sni", "values": [FQDN]}]}]
OF_OTHERS = [{"when": [{"key": "connection.sni", "notValues": [FQDN]}]}]


@dataclass(frozen=True)
class Case:
    """An object of others, and what is said of it."""

    cluster: str
    kind: str
    spec: Json
    code: str
    namespace: str = SYSTEM
    link: Json = field(default_factory=lambda: ADDRESSED)


def entry(host: str, **more: Any) -> Json:
    ports = [{"number": 3320, "name": "tcp", "protocol": "TCP"}]
    return {"hosts": [host], "location": "MESH_EXTERNAL", "resolution": "DNS", "ports": ports, **more}


CASES: dict[str, Case] = {
    "A1, a DestinationRule for the host": Case(
        CLIENT, "DestinationRule", {"host": FQDN, "exportTo": ["."]}, "cluster-missing"
    ),
    "A2, another host on the port": Case(
        CLIENT, "ServiceEntry", entry("billing.example.com"), "port-captured", link=ORDERS
    ),
    "A2, another host at the link's address": Case(
        CLIENT, "ServiceEntry", entry("billing.example.com", addresses=ADDRESSED["addresses"]), "port-captured"
    ),
    "A5, a ServiceEntry for the host in its namespace": Case(CLIENT, "ServiceEntry", entry(FQDN), "host-shared"),
    "A5, a ServiceEntry for the host in another one": Case(
        CLIENT, "ServiceEntry", entry(FQDN), "host-claimed", namespace="shop"
    ),
    "A6, a VirtualService for the host": Case(
        CLIENT, "VirtualService", {"hosts": [FQDN], "tcp": ELSEWHERE}, "route-taken"
    ),
    "A6, a VirtualService on the link's Gateway": Case(
        CLIENT,
        "VirtualService",
        {"hosts": [FQDN], "gateways": ["egressgateway-orders"], "tcp": ELSEWHERE},
        "route-taken",
    ),
    "A6, a VirtualService for some requests": Case(
        CLIENT,
        "VirtualService",
        {
            "hosts": [FQDN],
            "http": [{"match": [{"uri": {"prefix": "/secret"}}], "directResponse": {"status": 418}}],
        },
        "route-taken",
        link=WEB,
    ),
    "A7, a policy that denies on the egress gateway": Case(
        CLIENT,
        "AuthorizationPolicy",
        {"selector": {"matchLabels": EGRESS_LABELS}, "action": "DENY", "rules": OF_LINK},
        "caller-refused",
        link={**ADDRESSED, "workloads": {"service_accounts": ["default/default"]}},
    ),
    "A7, an allow-list without the link on the ingress gateway": Case(
        SERVER,
        "AuthorizationPolicy",
        {"selector": {"matchLabels": {"istio": "ingressgateway"}}, "action": "ALLOW", "rules": OF_OTHERS},
        "caller-refused",
    ),
    "A7, an allow-list without the gateway at the backend": Case(
        SERVER,
        "AuthorizationPolicy",
        {
            "selector": {"matchLabels": {"app": "nobody"}},
            "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}],
        },
        "caller-refused",
        namespace="default",
    ),
    "A8, a Sidecar that leaves the link out": Case(
        CLIENT,
        "Sidecar",
        {"egress": [{"hosts": ["./*", "istio-system/istio-egressgateway.istio-system.svc.cluster.local"]}]},
        "host-hidden",
        namespace="shop",
        link={**ADDRESSED, "workloads": {"namespaces": ["shop"]}},
    ),
    "B4, a PeerAuthentication that takes plain text": Case(
        SERVER,
        "PeerAuthentication",
        {"selector": {"matchLabels": {"app": "nobody"}}, "mtls": {"mode": "PERMISSIVE"}},
        "mode-overridden",
        namespace="default",
        link={**ADDRESSED, "strict_backend": True},
    ),
}
# Policies of others for the backend are to be about nobody else's pods.
APART = {"A7, an allow-list without the gateway at the backend", "B4, a PeerAuthentication that takes plain text"}


@contextmanager
def backend(mesh: Mesh, spec: Json, annotations: Json | None = None) -> Iterator[None]:
    """The backend's Service."""
    metadata = {"name": "orders", "namespace": "default", "annotations": annotations or {}}
    item = json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    mesh.lab.kubectl(SERVER, "apply", "-f", "-", stdin=item)
    try:
        yield
    finally:
        mesh.lab.kubectl(SERVER, "delete", "--ignore-not-found", "-f", "-", stdin=item)


def assert_refused(mesh: Mesh, case: Case, title: str) -> None:
    """By site before the first write, and by preflight in a row of the link."""
    before = state_snapshots.versions_everywhere(mesh)
    run = mesh.site()
    assert not run.ok, run.output
    assert run.reports(case.code, title), run.output
    assert state_snapshots.versions_in_cluster(mesh, case.cluster) == before[case.cluster]
    found = run_preflight(mesh)
    assert not found.passed
    assert found.reports((case.cluster, "orders", "others"), case.code, title), found.run.output


SLOW = {
    "A8, a Sidecar that leaves the link out",
    "B4, a PeerAuthentication that takes plain text",
    "A6, a VirtualService on the link's Gateway",
    "A2, another host on the port",
    "A5, a ServiceEntry for the host in another one",
    "A7, a policy that denies on the egress gateway",
    "A2, another host at the link's address",
    "A5, a ServiceEntry for the host in its namespace",
    "A6, a VirtualService for the host",
    "A6, a VirtualService for some requests",
    "A7, an allow-list without the link on the ingress gateway",
    "A7, an allow-list without the gateway at the backend",
}


@pytest.mark.parametrize("name", with_slow(CASES, SLOW))
def test_what_stands_in_the_way_is_refused_before_the_first_write(restored_mesh: Mesh, name: str) -> None:
    case = CASES[name]
    mesh = restored_mesh.with_changes(links=[MYSQL, case.link])
    spec = SERVICE if name not in APART else {**SERVICE, "selector": {"app": "nobody"}}
    with backend(mesh, spec):
        with rival(mesh, case.cluster, case.kind, case.spec, namespace=case.namespace):
            assert_refused(mesh, case, f"{case.kind} {case.namespace}/rival")
        # The control: without it nothing is in the way.
        run = mesh.site("--check")
        assert run.ok, run.output
        place = (case.cluster, "orders", "others")
        assert place in run_preflight(mesh).rows("ok", "warning")


def test_b3_a_backend_that_is_not_exported(restored_mesh: Mesh) -> None:
    mesh = restored_mesh.with_changes(links=[MYSQL, ADDRESSED])
    case = Case(SERVER, "Service", {}, "host-hidden")
    with backend(mesh, SERVICE, {"networking.istio.io/exportTo": "~"}):
        assert_refused(mesh, case, "link orders")
    with backend(mesh, SERVICE):
        run = mesh.site("--check")
        assert run.ok, run.output


@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"defaultServiceExportTo": ["."]}, "host-hidden", "the ingress gateway does not see orders"),
        pytest.param(
            {"discoverySelectors": [{"matchLabels": {"mesh": "yes"}}]},
            "not-discovered",
            "namespace default",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a9_settings_of_the_mesh_that_hide_a_backend(restored_mesh: Mesh, settings: Json, code: str, part: str) -> None:
    mesh = restored_mesh.with_changes(links=[MYSQL, ADDRESSED])
    with backend(mesh, SERVICE):
        with mesh_settings(mesh, SERVER, **settings):
            assert_refused(mesh, Case(SERVER, "ConfigMap", {}, code), part)
        run = mesh.site("--check")
        assert run.ok, run.output


def test_a_link_that_nothing_stands_in_the_way_of(restored_mesh: Mesh) -> None:
    found = run_preflight(restored_mesh.with_changes(links=[{**MYSQL, "addresses": ["240.99.0.1"]}]))
    for cluster in (CLIENT, SERVER):
        assert found.says((cluster, "mysql", "others"), "ok", "nothing stands in its way"), found.run.output


def test_a_link_without_an_address_is_told_to_take_its_port_and_goes_on(restored_mesh: Mesh) -> None:
    with backend(restored_mesh, SERVICE):
        run = restored_mesh.with_changes(links=[MYSQL, ORDERS]).site()
        assert run.ok, run.output
        assert run.reports("port-captures", "[WARNING]: cluster-a: link orders"), run.output
        # The control.
        run = restored_mesh.with_changes(links=[MYSQL, ADDRESSED]).site()
        assert run.ok, run.output
        assert not run.reports("port-captures", "link orders")
