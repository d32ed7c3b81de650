# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters: whether a proxy has one for a host, port and subset, and with which TLS it goes out. Pure.

PRIVATE to the collection. A subset's settings come before the rule's, a port's before those of all ports, and a port
that has any setting takes none of the others over
(L(Istio,https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy), portLevelSettings).
Without TLS settings a proxy uses mutual TLS of the mesh by itself where the other side has a sidecar
(L(Istio,https://istio.io/latest/docs/ops/configuration/traffic-management/tls-configuration/#auto-mtls)), not to hosts
outside. A credential counts in sidecars only where the rule has a workloadSelector
(L(Istio,https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings), credentialName);
that the connection is plain text otherwise says pilot/pkg/networking/core/cluster_tls.go of 1.31.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import destination_rules, peer_authentication
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.destination_rules import Merged
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    Labels,
    Meta,
    Policy,
    Port,
    Proxy,
    Service,
    Tls,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope

__all__ = ["Cluster", "Socket", "cluster_name", "clusters_of", "outbound", "sources_for"]

# "auto": mutual TLS of the mesh where the other side has a sidecar, else plain text.
Socket = Literal["plain", "auto", "mesh", "mutual", "simple"]


@dataclass(frozen=True)
class Cluster:
    """:param rule: what it was made by."""

    name: str
    socket: Socket
    tls: Tls | None = None
    rule: Merged | None = None


def cluster_name(host: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def outbound(scope: Scope, host: str, port: int, subset: str = "") -> Cluster | None:
    """The cluster for a host; nothing where the proxy has none, so that connections to it fail."""
    service = scope.services.get(host)
    known = service and service.resolution != "ALIAS" and any(item.number == port for item in _ports(service))
    if not service or not known or not _has_subset(scope, service, port, subset):
        return None
    return _cluster(scope, service, port, subset)


def clusters_of(scope: Scope, service: Service) -> list[Cluster]:
    """All clusters of a service."""
    if service.resolution == "ALIAS":
        return []
    rule = scope.rule_for(service)
    return [
        _cluster(scope, service, port.number, subset)
        for port in _ports(service)
        for subset in ("", *(rule.subsets if rule else ()))
        if _has_subset(scope, service, port.number, subset)
    ]


def _ports(service: Service) -> list[Port]:
    return [port for port in service.ports if port.protocol != "udp"]


def _cluster(scope: Scope, service: Service, port: int, subset: str) -> Cluster:
    rule = scope.rule_for(service)
    tls = _tls(rule, subset, port) if rule else None
    socket = _socket(scope.mesh, scope.proxy, service, rule, tls)
    return Cluster(cluster_name(service.host, port, subset), socket, tls, rule)


def sources_for(scope: Scope, service: Service) -> list[Meta]:
    """The DestinationRules of the place where Istio found one for a service, whether they are for this proxy or not."""
    return destination_rules.rivals(scope.mesh, scope.proxy, service)


def _has_subset(scope: Scope, service: Service, port: int, name: str) -> bool:
    if not name:
        return True
    rule = scope.rule_for(service)
    subset = rule.subsets.get(name) if rule else None
    return subset is not None and _has_endpoints(scope.mesh, service, port, subset.labels)


def _has_endpoints(mesh: Mesh, service: Service, port: int, labels: Labels) -> bool:
    """Istio has no cluster for a subset by DNS that nothing belongs to."""
    if service.endpoints is None or service.resolution != "DNS":
        return True
    known = mesh.endpoints_of[service.host, service.meta.namespace, port]
    return any(selects(labels, item.labels) for item in known)


def _tls(rule: Merged, subset: str, port: int) -> Tls | None:
    base, _own = _at(rule.policy, port)
    wanted = rule.subsets.get(subset)
    if wanted is None or wanted.policy is None:
        return base
    tls, own = _at(wanted.policy, port)
    return tls if tls or own else base


def _at(policy: Policy | None, port: int) -> tuple[Tls | None, bool]:
    """The TLS settings of a port, and whether it has settings of its own."""
    if policy is None:
        return None, False
    for item in policy.ports:
        if item.port == port:
            return item.tls, True
    return policy.tls, False


def _socket(mesh: Mesh, proxy: Proxy, service: Service, rule: Merged | None, tls: Tls | None) -> Socket:
    if tls is None:
        if service.external or not mesh.settings.auto_mtls:
            return "plain"
        disabled = peer_authentication.mode_of_namespace(mesh, service.meta.namespace) == "DISABLE"
        return "plain" if disabled else "auto"
    if tls.mode == "ISTIO_MUTUAL":
        return "mesh"
    if tls.mode not in ("SIMPLE", "MUTUAL"):
        return "plain"
    if tls.credential and not proxy.gateway and rule is not None and rule.selector is None:
        return "plain"
    if tls.mode == "SIMPLE":
        return "simple"
    return "mutual" if tls.credential or tls.files else "plain"
