# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VirtualServices: which of them a gateway or a sidecar goes by, and in which order. Pure.

PRIVATE to the collection. One binds to what its C(gateways) name: C(mesh), which it is where it names none, is all
sidecars (L(Istio,https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService)). Several
for one host on one gateway are merged, in no order that Istio vouches for
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#split-virtual-services)). The order is that
of pilot/pkg/model/push_context.go of 1.31 (VirtualServicesForGateway): those that are private to the proxy's namespace,
those that are exported to it, the public ones; the oldest first in each. For tcp the first that has a route wins, and a
wildcard counts as much as the exact host (pilot/pkg/networking/core/tls.go, getConfigsForHost).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts, visibility
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    MESH_GATEWAY,
    NOBODY,
    OWN_NAMESPACE,
    Match,
    Proxy,
    TcpRoute,
    VirtualService,
)

__all__ = ["ByHost", "bound", "for_host", "for_server", "matching", "routes_of"]


def bound(mesh: Mesh, namespace: str, gateway: str) -> list[VirtualService]:
    """Those that proxies of a namespace go by at a gateway, in Istio's order.

    :param gateway: C(NAMESPACE/NAME), or C(mesh).
    """
    private, exported, public = [], [], []
    for service in mesh.virtual_services_at.get(gateway, []):
        exports = service.exports or mesh.settings.virtual_services
        if visibility.is_public(exports):
            public.append(service)
        elif NOBODY in exports:
            continue
        elif namespace == service.meta.namespace and not exports.isdisjoint({OWN_NAMESPACE, namespace}):
            private.append(service)
        elif namespace in exports:
            exported.append(service)
    return private + exported + public


def for_host(services: Iterable[VirtualService], host: str) -> list[VirtualService]:
    """Those of which some host overlaps with this one."""
    return [service for service in services if any(hosts.overlap(own, host) for own in service.hosts)]


class ByHost:
    """VirtualServices in their order, to be found by a host quickly: a mesh has thousands."""

    def __init__(self, services: Sequence[VirtualService]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._wide: list[int] = []
        self._services = services
        for place, service in enumerate(services):
            for host in service.hosts:
                into = self._wide if hosts.is_wildcard(host) else self._exact.setdefault(host, [])
                into.append(place)

    def find(self, host: str) -> list[VirtualService]:
        """Those of which some host overlaps with this one."""
        if hosts.is_wildcard(host):
            return for_host(self._services, host)
        places = {*self._exact.get(host, ()), *self._wide}
        return for_host((self._services[place] for place in sorted(places)), host)


def for_server(services: Iterable[VirtualService], server_hosts: Iterable[str]) -> list[VirtualService]:
    """Those that a Gateway's server lets in: C(NAMESPACE/HOST) takes them of one namespace only
    (L(Istio,https://istio.io/latest/docs/reference/config/networking/gateway/#Server), hosts)."""
    wanted = list(server_hosts)
    return [service for service in services if any(_lets_in(host, service) for host in wanted)]


def _lets_in(server_host: str, service: VirtualService) -> bool:
    namespace, slash, host = server_host.rpartition("/")
    if slash and namespace != service.meta.namespace:
        return False
    return any(hosts.overlap(host, own) for own in service.hosts)


def matching(match: Match, proxy: Proxy, gateway: str, port: int) -> bool:
    """Whether a match holds, as far as that does not depend on what is sent."""
    if match.port and match.port != port:
        return False
    if match.gateways and gateway not in match.gateways:
        return False
    if gateway != MESH_GATEWAY:
        return True
    return selects(match.labels, proxy.labels) and match.namespace in ("", proxy.namespace)


def routes_of(
    services: Iterable[VirtualService], proxy: Proxy, gateway: str, port: int
) -> Iterator[tuple[VirtualService, TcpRoute, tuple[str, ...]]]:
    """The tcp routes of these that a proxy takes, with the subnets that each is limited to; the last one has none."""
    for service in services:
        for route in service.tcp:
            if not route.destinations:
                continue
            fitting = [match for match in route.matches if matching(match, proxy, gateway, port)]
            if route.matches and not fitting:
                continue
            open_ended = not route.matches or any(not match.subnets for match in fitting)
            if open_ended or gateway != MESH_GATEWAY:
                yield service, route, ()
                return
            yield service, route, tuple(subnet for match in fitting for subnet in match.subnets)
