# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners of a workload's proxy: where a connection goes that is opened to an address and port. Pure.

PRIVATE to the collection. A service without an address of its own is at C(0.0.0.0): it takes every connection on its
port that no listener with an address takes, whatever host was dialled
(L(Istio,https://istio.io/latest/docs/reference/config/networking/service-entry/#ServiceEntry), addresses). HTTP is told
apart by its host, TLS by its SNI, tcp by nothing; of several the first one counts
(L(Istio,https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/)). The order, and what
becomes of tcp, HTTP and ports without a protocol that meet at one address, is as in
pilot/pkg/networking/core/listener.go of 1.31 (buildSidecarOutboundListener).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import virtual_services
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import cluster_name
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    MESH_GATEWAY,
    Destination,
    Meta,
    Port,
    Service,
    VirtualService,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Listening, Scope

__all__ = [
    "ANYWHERE",
    "PLAIN_HTTP",
    "Chain",
    "address_for",
    "destination_clusters",
    "is_told_by_its_port",
    "outbound",
    "taking",
]

ANYWHERE = "0.0.0.0"
PLAIN_HTTP = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
_TCP = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis"})
_TLS = frozenset({"tls", "https"})
# These speak first, or in a way of their own: Istio puts nothing else beside them.
_ALONE = frozenset({"mongo", "mysql"})

Kind = Literal["tcp", "http", "auto"]


@dataclass(frozen=True)
class Chain:
    """One way through a listener.

    :param sni: names that it is for; empty where it is for all; so C(subnets).
    :param clusters: where it leads; empty for HTTP, which goes by its routes.
    :param service: whose it is; C(rule) the VirtualService that decides, None where none does.
    """

    service: Service
    clusters: tuple[str, ...] = ()
    http: bool = False
    sni: frozenset[str] = frozenset()
    subnets: frozenset[str] = frozenset()
    rule: Meta | None = None

    def meets(self, other: Chain) -> bool:
        return (self.http, self.sni, self.subnets) == (other.http, other.sni, other.subnets)


@dataclass
class _Listener:
    kind: Kind
    protocol: str
    chains: list[Chain] = field(default_factory=list)
    # Made for a port that a Sidecar names: nothing else comes to it.
    locked: bool = False


def outbound(scope: Scope, port: int) -> dict[str, list[Chain]]:
    """The chains of a workload's listeners on a port, by address; those of tcp in the order in which they came."""
    if port not in scope.outbound:
        scope.outbound[port] = _outbound(scope, port)
    chains: dict[str, list[Chain]] = scope.outbound[port]
    return chains


def _outbound(scope: Scope, port: int) -> dict[str, list[Chain]]:
    found: dict[str, _Listener] = {}
    for listening in scope.listening:
        if not listening.port:
            for listener in found.values():
                listener.locked = True
        if listening.port in (0, port):
            _listen(scope, listening, port, found)
    return {address: listener.chains for address, listener in found.items()}


def _listen(scope: Scope, listening: Listening, number: int, found: dict[str, _Listener]) -> None:
    for service, port in listening.services_at.get(number, ()):
        if service.resolution != "ALIAS":
            protocol = listening.protocol if listening.port else port.protocol
            for address in _addresses(scope, listening, service, port.number, protocol):
                _add(scope, listening, service, replace(port, protocol=protocol), address, found)


def _addresses(scope: Scope, listening: Listening, service: Service, port: int, protocol: str) -> Iterable[str]:
    """Where a service is listened for; nowhere known where that is at the addresses of pods."""
    if listening.bind:
        return (listening.bind,)
    address = address_for(service, dns_capture=scope.proxy.dns_capture)
    each = service.resolution in ("HEADLESS", "NONE") and address == ANYWHERE and protocol not in PLAIN_HTTP
    if not each or listening.port:
        return (address,)
    if service.resolution == "HEADLESS" or service.selector:
        return ()
    endpoints = scope.mesh.endpoints_of.get((service.host, service.meta.namespace, port), [])
    known = [item.address for item in endpoints if _is_address(item.address)]
    return known if endpoints else (address,)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def address_for(service: Service, *, dns_capture: bool) -> str:
    """Where a proxy listens for a service."""
    if service.address:
        return service.address
    return (service.given if dns_capture else "") or ANYWHERE


def taking(chains: Iterable[Chain], address: str) -> list[Chain]:
    """The chains for a connection to an address: those of the narrowest range that has it.

    :param address: C(ANYWHERE) for one of which nothing is known; a range for any in it.
    """
    if "/" in address:
        return [chain for chain in chains if chain.subnets == {address}]
    if address == ANYWHERE:
        return [chain for chain in chains if not chain.subnets]
    ranked = [(_width(chain, ipaddress.ip_address(address)), chain) for chain in chains]
    best = max((width for width, _chain in ranked), default=0)
    return [chain for width, chain in ranked if width == best >= 0]


def _width(chain: Chain, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    """How narrow the range is by which a chain has an address; less than nothing where it has it not."""
    if not chain.subnets:
        return 0
    ranges = (ipaddress.ip_network(subnet) for subnet in chain.subnets)
    return max((found.prefixlen for found in ranges if address in found), default=-1)


def is_told_by_its_port(port: Port) -> bool:
    """Whether nothing that is sent tells which host is meant, as HTTP and TLS do."""
    return port.protocol not in PLAIN_HTTP | _TLS


def _kind(protocol: str) -> Kind:
    if protocol in PLAIN_HTTP:
        return "http"
    return "tcp" if protocol in _TCP else "auto"


def _add(
    scope: Scope, listening: Listening, service: Service, port: Port, address: str, found: dict[str, _Listener]
) -> None:
    kind = _kind(port.protocol)
    subnets = frozenset[str]()
    if port.protocol == "udp":
        return
    if "/" in address:
        address, subnets = ANYWHERE, frozenset({address})
    if kind == "http":
        address = listening.bind or ANYWHERE
    before = found.get(address)
    if before and (before.locked or _is_kept_apart(port.protocol, before) or (kind != "tcp" and before.kind == "auto")):
        return
    if before and kind == "http" and before.kind == "http":
        return
    chains = list(_chains(scope, listening, service, port, subnets, kind))
    # HTTP at every address lets other bytes through, as one without a protocol does.
    own: Kind = "auto" if kind == "http" and address == ANYWHERE else kind
    if before is None or (kind == "auto" and before.kind == "http"):
        found[address] = _Listener(own, port.protocol, chains)
        return
    before.chains += [chain for chain in chains if not any(chain.meets(other) for other in before.chains)]
    if kind != before.kind:
        before.kind = "auto"


def _is_kept_apart(protocol: str, before: _Listener) -> bool:
    return protocol != before.protocol and not _ALONE.isdisjoint({protocol, before.protocol})


def _chains(
    scope: Scope, listening: Listening, service: Service, port: Port, subnets: frozenset[str], kind: Kind
) -> Iterator[Chain]:
    if kind != "http":
        rules = listening.virtual_services_by_host.find(service.host)
        if port.protocol in _TLS:
            yield from _tls_chains(scope, service, port, subnets, rules)
        else:
            yield from _tcp_chains(scope, service, port, subnets, rules)
    if kind != "tcp":
        yield Chain(service, http=True)


def _tcp_chains(
    scope: Scope,
    service: Service,
    port: Port,
    subnets: frozenset[str],
    rules: Iterable[VirtualService],
) -> Iterator[Chain]:
    open_ended = False
    for rule, route, limits in virtual_services.routes_of(rules, scope.proxy, MESH_GATEWAY, port.number):
        clusters = destination_clusters(scope, route.destinations, port.number)
        wanted = frozenset(limits) or subnets
        yield Chain(service, clusters, subnets=wanted, rule=rule.meta)
        open_ended = open_ended or wanted == subnets
    if not open_ended:
        yield Chain(service, (_default(service, port),), subnets=subnets)


def _tls_chains(
    scope: Scope,
    service: Service,
    port: Port,
    subnets: frozenset[str],
    rules: Iterable[VirtualService],
) -> Iterator[Chain]:
    handled: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for rule in rules:
        for route in rule.tls:
            for match in route.matches:
                if not route.destinations or not virtual_services.matching(
                    match, scope.proxy, MESH_GATEWAY, port.number
                ):
                    continue
                if (match.sni, match.subnets) not in handled:
                    handled.add((match.sni, match.subnets))
                    clusters = destination_clusters(scope, route.destinations, port.number)
                    limits = frozenset(match.subnets) or subnets
                    yield Chain(service, clusters, sni=frozenset(match.sni), subnets=limits, rule=rule.meta)
    if not handled:
        address = address_for(service, dns_capture=scope.proxy.dns_capture)
        named = subnets or address == ANYWHERE
        sni = frozenset({service.host}) if named else frozenset[str]()
        yield Chain(service, (_default(service, port),), sni=sni, subnets=subnets)


def _default(service: Service, port: Port) -> str:
    number = service.ports[0].number if len(service.ports) == 1 else port.number
    return cluster_name(service.host, number)


def destination_clusters(scope: Scope, destinations: Iterable[Destination], port: int) -> tuple[str, ...]:
    """The clusters that a route leads to, from a listener at that port."""
    return tuple(_destination(scope, destination, port) for destination in destinations)


def _destination(scope: Scope, destination: Destination, port: int) -> str:
    service = scope.services.get(destination.host)
    number = destination.port or (service.ports[0].number if service and len(service.ports) == 1 else port)
    return cluster_name(destination.host, number, destination.subset)
