# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the three clusters hold before anything of ours, and the inventory over them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from .memory import Memory

__all__ = ["CLUSTERS", "HONEST", "HOSTILE", "LINKS", "fresh", "inventory", "is_of_others"]

Json = dict[str, Any]

SERVER, CLIENT, HOSTILE = "server", "client", "hostile"
CLUSTERS = (SERVER, CLIENT, HOSTILE)
HONEST = (SERVER, CLIENT)
_GATEWAYS = "istio-system"
_OTHERS = {"app.kubernetes.io/managed-by": "somebody-else"}
_PROBE = {"type": "mysql", "from": {"namespace": "default", "selector": {"app": "caller"}}}


def _link(name: str, number: int, servers: list[str], clients: list[str]) -> Json:
    return {
        "name": name,
        "fqdn": f"{name}.{servers[0]}.example.com",
        "port": 4400 + number,
        "tls_port": 13300 + number,
        "backend": {"host": f"{name}.default.svc.cluster.local", "port": 3306},
        "servers": servers,
        "clients": clients,
        "addresses": [f"240.0.0.{number}"],
        "probe": _PROBE,
    }


# The hostile cluster is a client of one, serves another, and has no part in the third.
LINKS = (
    _link("mysql", 6, [SERVER], [CLIENT, HOSTILE]),
    _link("bank", 7, [SERVER], [CLIENT]),
    _link("reports", 8, [HOSTILE], [CLIENT]),
)


def inventory(links: tuple[Json, ...], kubeconfig: str, store: str) -> Json:
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "mesh_kubeconfig": kubeconfig,
        "mesh_context": "{{ inventory_hostname }}",
        "mesh_gate_timeout": 3,
        # Of writes there is no other limit: within it the judge takes a run for one that ends (scenarios._WAITS).
        "mesh_cluster_timeout": 60,
        "custom_ca_dir": store,
        "custom_ca_passphrase": "{{ lookup('ansible.builtin.env', 'CUSTOM_CA_PASSPHRASE') }}",
        "mesh_links": list(links),
    }
    groups = {"mesh_servers": [SERVER, HOSTILE], "mesh_clients": [CLIENT, HOSTILE]}
    children: Json = {name: {"hosts": {host: {} for host in members}} for name, members in groups.items()}
    return {"all": {"vars": variables, "hosts": {host: {} for host in CLUSTERS}, "children": children}}


def fresh(cluster: str) -> Memory:
    """A mesh with its gateways, its backends, a caller, and what others have."""
    memory = Memory()
    for item in (*_base(cluster), *_of_others()):
        memory.put(item)
    return memory


def _base(cluster: str) -> Iterator[Json]:
    for name in ("kube-system", "default", _GATEWAYS, "tenant"):
        yield {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        }
    yield _namespaced("v1", "ConfigMap", _GATEWAYS, "istio", data={"mesh": "trustDomain: cluster.local\n"})
    yield _namespaced("v1", "ConfigMap", _GATEWAYS, "istio-ca-root-cert", data={})
    for kind in ("ingress", "egress"):
        labels = {"istio": f"{kind}gateway"}
        yield _service(f"istio-{kind}gateway", _GATEWAYS, labels, 443) | {
            "status": {"loadBalancer": {"ingress": [{"ip": f"127.0.1.{1 + CLUSTERS.index(cluster)}"}]}}
        }
        yield _pod(f"istio-{kind}gateway-0", _GATEWAYS, labels, "istio-proxy")
    yield _pod("caller-0", "default", {"app": "caller"}, "app", "istio-proxy")
    for link in LINKS:
        if cluster in link["servers"]:
            yield _service(link["name"], "default", {"app": link["name"]}, 3306)
            yield _pod(f"{link['name']}-0", "default", {"app": link["name"]}, "app", "istio-proxy")


def _service(name: str, namespace: str, selector: dict[str, str], port: int) -> Json:
    ports = [{"name": "tcp" if port != 443 else "https", "port": port, "protocol": "TCP", "targetPort": port}]
    kind = "LoadBalancer" if namespace == _GATEWAYS else "ClusterIP"
    return _namespaced("v1", "Service", namespace, name, spec={"type": kind, "selector": selector, "ports": ports})


def _pod(name: str, namespace: str, labels: dict[str, str], *containers: str) -> Json:
    spec = {"serviceAccountName": name.removesuffix("-0"), "containers": [{"name": found} for found in containers]}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return _namespaced("v1", "Pod", namespace, name, labels, spec=spec, status=status)


# What belongs to somebody else. No run may touch any of it, whatever it is told of it.
def _of_others() -> Iterator[Json]:
    istio = "networking.istio.io/v1"
    server = {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["./shop.example.com"]}
    server["tls"] = {"mode": "SIMPLE", "credentialName": "shop"}
    yield _namespaced(
        istio, "Gateway", "tenant", "shop", _OTHERS, spec={"selector": {"app": "shop"}, "servers": [server]}
    )
    hosts = {"hosts": ["shop.example.com"], "gateways": ["shop"]}
    route = {"route": [{"destination": {"host": "shop.tenant.svc.cluster.local"}}]}
    yield _namespaced(istio, "VirtualService", "tenant", "x", _OTHERS, spec={**hosts, "http": [route]})
    yield _namespaced(istio, "DestinationRule", "tenant", "x", _OTHERS, spec={"host": "shop.tenant.svc.cluster.local"})
    entry = {"hosts": ["api.example.org"], "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}
    yield _namespaced(istio, "ServiceEntry", "tenant", "x", _OTHERS, spec={**entry, "resolution": "DNS"})
    rules = {"selector": {"matchLabels": {"app": "shop"}}, "action": "DENY", "rules": [{}]}
    yield _namespaced("security.istio.io/v1", "AuthorizationPolicy", "tenant", "x", _OTHERS, spec=rules)
    strict = {"mtls": {"mode": "STRICT"}}
    yield _namespaced("security.istio.io/v1", "PeerAuthentication", "tenant", "x", _OTHERS, spec=strict)
    for namespace, name in (("tenant", "shop"), (_GATEWAYS, "cacerts"), (_GATEWAYS, "shop-credential")):
        content = {"tls.key": base64.b64encode(b"the key of somebody else").decode()}
        yield _namespaced("v1", "Secret", namespace, name, _OTHERS, data=content, type="Opaque")


def is_of_others(item: Json) -> bool:
    return bool((item["metadata"].get("labels") or {}).items() >= _OTHERS.items())


def _namespaced(
    api_version: str, kind: str, namespace: str, name: str, labels: dict[str, str] | None = None, **content: Any
) -> Json:
    metadata = {"namespace": namespace, "name": name, **({"labels": dict(labels)} if labels else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
