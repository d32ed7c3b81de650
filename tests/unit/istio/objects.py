# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a cluster as an API server gives them, in few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy, Settings
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import parse_mesh

Object = dict[str, Any]

HOST = "db.example.com"
GATE = "gates"
SHOP, TEAM, ROOT = "shop", "team", "istio-system"


def made(kind: str, place: str, age: int = 5, /, *, labels: Any = None, **spec: Any) -> Object:
    """An object at NAMESPACE/NAME; the lower its age, the earlier it was made."""
    namespace, _slash, name = place.partition("/")
    metadata = {"namespace": namespace, "name": name, "creationTimestamp": f"2026-01-01T00:00:{age:02}Z"}
    return {
        "kind": kind,
        "metadata": {**metadata, "labels": dict(labels or {})},
        "spec": spec,
    }


def entry(
    place: str, age: int = 5, /, host: str = HOST, port: int = 3306, protocol: str = "TCP", **spec: Any
) -> Object:
    """A ServiceEntry for one host and port."""
    ports = [{"number": port, "protocol": protocol, "name": "p"}]
    return made("ServiceEntry", place, age, **{"hosts": [host], "ports": ports, "resolution": "DNS", **spec})


def service(place: str, age: int = 5, /, port: int = 3306, name: str = "tcp-db", **spec: Any) -> Object:
    return made("Service", place, age, ports=[{"port": port, "name": name}], **{"clusterIP": "10.1.0.1", **spec})


def rule(place: str, age: int = 5, /, host: str = HOST, **spec: Any) -> Object:
    return made("DestinationRule", place, age, host=host, **spec)


def subset(name: str, mode: str = "", **tls: Any) -> Object:
    return {"name": name, "trafficPolicy": {"tls": {"mode": mode, **tls}}} if mode else {"name": name}


def route(host: str, port: int, match: list[Object] | None = None, subset: str = "") -> Object:
    destination = {"host": host, "port": {"number": port}, **({"subset": subset} if subset else {})}
    return {"route": [{"destination": destination}], **({"match": match} if match else {})}


def mesh_of(*objects: Object, **settings: Any) -> Mesh:
    return parse_mesh(objects, Settings(**settings))


def workload(namespace: str = SHOP, /, **labels: str) -> Proxy:
    return Proxy(namespace, labels)


def gateway(namespace: str = GATE, /, ports: Mapping[int, int] | None = None, **labels: str) -> Proxy:
    return Proxy(namespace, labels or {"istio": "egress"}, gateway=True, ports=ports or {})
