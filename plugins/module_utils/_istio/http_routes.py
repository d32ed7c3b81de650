# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP routes: where a request goes, at a gateway and in a workload's proxy. Pure.

PRIVATE to the collection. At a gateway the routes of all VirtualServices for the host are put together, those that ask
for something of the request before those that take all
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#split-virtual-services)). In a workload's
proxy only one counts: the first for the exact host, else the one of the most specific wildcard
(L(Istio,https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService), hosts; which one is
as in pilot/pkg/networking/core/route/route.go of 1.31, separateVSHostsAndServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts, virtual_services
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import cluster_name
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.listeners import PLAIN_HTTP, destination_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    MESH_GATEWAY,
    HttpRoute,
    Match,
    Meta,
    Proxy,
    Server,
    VirtualService,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Listening, Scope

__all__ = ["Way", "at_gateway", "of_workload"]


@dataclass(frozen=True)
class Way:
    """One route, in the order in which a proxy tries them.

    :param rule: the VirtualService that it is of; None for what Istio does by itself.
    :param narrow: whether it asks for anything of the request.
    :param clusters: empty where the proxy answers itself.
    """

    rule: Meta | None
    clusters: tuple[str, ...]
    narrow: bool = False


def at_gateway(scope: Scope, gateway: Meta, server: Server, host: str) -> list[Way]:
    """What a gateway does with requests for a host of one of its servers."""
    title = f"{gateway.namespace}/{gateway.name}"
    bound = virtual_services.bound(scope.mesh, scope.proxy.namespace, title)
    rules = virtual_services.for_host(virtual_services.for_server(bound, server.hosts), host)
    ways = [way for rule in rules for way in _ways(scope, rule, title, server.port)]
    return [*(way for way in ways if way.narrow), *(way for way in ways if not way.narrow)]


def of_workload(scope: Scope, host: str, port: int) -> list[Way]:
    """What a workload's proxy does with requests for a host; nothing where it has none that speaks HTTP there."""
    listening = next((item for item in scope.listening if item.port in (0, port)), None)
    if listening is None or not _speaks_http(listening, host, port):
        return []
    for rule in _candidates(listening, host):
        if ways := list(_ways(scope, rule, MESH_GATEWAY, port)):
            return ways
    return [Way(None, (cluster_name(host, port),))]


def _speaks_http(listening: Listening, host: str, port: int) -> bool:
    own = listening.port_of.get((port, host))
    return own is not None and (own.protocol in PLAIN_HTTP or not own.protocol)


def _candidates(listening: Listening, host: str) -> Iterable[VirtualService]:
    found = listening.virtual_services_by_host.find(host)
    exact = [rule for rule in found if host in rule.hosts]
    if exact:
        return exact
    best = hosts.most_specific({own for rule in found for own in rule.hosts}, host)
    return [rule for rule in found if best in rule.hosts][:1]


def _ways(scope: Scope, rule: VirtualService, gateway: str, port: int) -> Iterator[Way]:
    for route in rule.http:
        clusters = () if route.answers else _clusters(scope, route, gateway, port)
        if not route.matches:
            yield Way(rule.meta, clusters)
            return
        for match in route.matches:
            if _fits(match, scope.proxy, gateway, port):
                yield Way(rule.meta, clusters, match.narrow)
                if not match.narrow:
                    return


def _clusters(scope: Scope, route: HttpRoute, gateway: str, port: int) -> tuple[str, ...]:
    if gateway != MESH_GATEWAY:
        return destination_clusters(scope, route.destinations, port)
    # Otherwise than elsewhere, a workload's proxy knows no other port here than the one that was dialled.
    return tuple(cluster_name(item.host, item.port or port, item.subset) for item in route.destinations)


def _fits(match: Match, proxy: Proxy, gateway: str, port: int) -> bool:
    """Otherwise than for tcp, a match that names gateways does not look at its sources."""
    if match.port not in (0, port):
        return False
    if match.gateways:
        return gateway in match.gateways
    return selects(match.labels, proxy.labels) and match.namespace in ("", proxy.namespace)
