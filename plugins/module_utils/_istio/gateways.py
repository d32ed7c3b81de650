# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways: which servers a gateway's proxy has at a port, and where each leads. Pure.

PRIVATE to the collection. A Gateway is for the pods that its selector names, in every namespace
(L(Istio,https://istio.io/latest/docs/reference/config/networking/gateway/#Gateway), selector); its ports are those of
the gateway's Service. Several of one gateway are merged, the oldest first: a TLS server with a host that the port has
already is left out (L(Istio,https://istio.io/latest/docs/ops/common-problems/network-issues/), Gateway conflicts), as
is one of TLS where plain text came first. C(NAMESPACE/HOST) counts as another host than C(HOST) there, yet both are one
SNI to Envoy, which then refuses every change of that port. As in pilot/pkg/model/gateway.go of 1.31 (mergeGateways).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import virtual_services
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.listeners import PLAIN_HTTP, destination_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    Gateway,
    Meta,
    Proxy,
    Server,
    VirtualService,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope, Scopes

__all__ = ["Chain", "Dropped", "Gates", "Listener", "listeners_at"]

_PASSTHROUGH = frozenset({"PASSTHROUGH", "AUTO_PASSTHROUGH"})


@dataclass(frozen=True)
class Chain:
    """One way through a gateway's port.

    :param sni: names that it is for; empty for plain text.
    :param clusters: where it leads; empty for HTTP, which goes by its routes.
    :param rule: the VirtualService that decides; None for HTTP.
    """

    gateway: Meta
    server: Server
    sni: frozenset[str]
    clusters: tuple[str, ...] = ()
    rule: Meta | None = None

    @property
    def http(self) -> bool:
        return not self.clusters


@dataclass(frozen=True)
class Dropped:
    """A server that Istio leaves out, and the Gateway that was there before it."""

    gateway: Meta
    server: Server
    before: Meta


@dataclass
class Listener:
    """One address and port of a gateway.

    :param dropped: servers that would have been on this port.
    """

    port: int
    bind: str = ""
    chains: list[Chain] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    @property
    def clashes(self) -> list[tuple[Chain, Chain]]:
        """Two chains each of one SNI: Envoy takes no listener with such a pair."""
        known: dict[str, Chain] = {}
        found = []
        for chain in self.chains:
            names = chain.sni or {""}
            if before := next((known[name] for name in sorted(names) if name in known), None):
                found.append((before, chain))
            known.update(dict.fromkeys(names, chain))
        return found

    def chain_for(self, name: str) -> Chain | None:
        """The chain of a server's own host."""
        return next((chain for chain in self.chains if name in chain.sni), None)


@dataclass(frozen=True)
class _Placed:
    gateway: Gateway
    server: Server
    port: int

    @property
    def title(self) -> str:
        return f"{self.gateway.meta.namespace}/{self.gateway.meta.name}"


class Gates:
    """The listeners of gateways, each worked out once: all links of one have a port in common."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self._known: dict[tuple[int, int], list[Listener]] = {}

    def at(self, proxy: Proxy, port: int) -> list[Listener]:
        scope = self.scopes.of(proxy)
        if (id(scope), port) not in self._known:
            self._known[id(scope), port] = listeners_at(scope, port)
        return self._known[id(scope), port]


def listeners_at(scope: Scope, port: int) -> list[Listener]:
    """A gateway's listeners on a port of its pods."""
    placed, dropped = _merged(scope, port)
    found: dict[str, Listener] = {}
    for item in placed:
        listener = found.setdefault(item.server.bind, Listener(port, item.server.bind))
        listener.chains += _chains(scope, item, listener)
    for lost in dropped:
        found.setdefault(lost.server.bind, Listener(port, lost.server.bind)).dropped.append(lost)
    return list(found.values())


def _merged(scope: Scope, port: int) -> tuple[list[_Placed], list[Dropped]]:
    placed: list[_Placed] = []
    dropped: list[Dropped] = []
    names: dict[str, tuple[str, Meta]] = {}
    routes: set[str] = set()
    for item in _servers(scope, port):
        hindered = _hindered(item, placed, names, routes)
        if hindered:
            dropped.append(Dropped(item.gateway.meta, item.server, hindered))
        else:
            placed.append(item)
            routes.add(_route_name(item))
    # Those of one protocol are put together, at the place of the first of them.
    order = list(dict.fromkeys((item.server.protocol, item.server.bind) for item in placed))
    return sorted(placed, key=lambda item: order.index((item.server.protocol, item.server.bind))), dropped


def _servers(scope: Scope, port: int) -> Iterator[_Placed]:
    for gateway in scope.mesh.gateways_by_age:
        if gateway.selector is None or selects(gateway.selector, scope.proxy.labels):
            for server in gateway.servers:
                if scope.proxy.ports.get(server.port, server.port) == port:
                    yield _Placed(gateway, replace(server, hosts=tuple(_hosts(server, gateway.meta.namespace))), port)


def _hosts(server: Server, own: str) -> Iterator[str]:
    for host in server.hosts:
        namespace, slash, name = host.rpartition("/")
        if not slash or namespace == "*":
            yield name
        else:
            yield f"{own if namespace == '.' else namespace}/{name}"


def _hindered(
    item: _Placed, placed: list[_Placed], names: dict[str, tuple[str, Meta]], routes: set[str]
) -> Meta | None:
    """Whose server is in the way of this one."""
    server, meta = item.server, item.gateway.meta
    if server.mode is not None:
        for host in server.hosts:
            if host in names and names[host][0] == server.bind:
                return names[host][1]
        names.update(dict.fromkeys(server.hosts, (server.bind, meta)))
    if not placed:
        return None
    # Of plain text the last one that came counts, whatever its address.
    plain = next((other for other in reversed(placed) if not _is_tls(other.server)), None)
    if plain is None:
        if _is_tls(server) and server.protocol == "https" and not _passes(server) and _route_name(item) in routes:
            return meta
        return None
    if plain.server.bind != server.bind:
        return None
    both_http = {plain.server.protocol, server.protocol} <= PLAIN_HTTP
    return None if both_http else plain.gateway.meta


def _is_tls(server: Server) -> bool:
    return server.mode is not None and server.protocol not in PLAIN_HTTP


def _passes(server: Server) -> bool:
    return server.mode in _PASSTHROUGH


def _route_name(item: _Placed) -> str:
    server, meta = item.server, item.gateway.meta
    bind = f".{server.bind}" if server.bind else ""
    if server.protocol in PLAIN_HTTP:
        return f"http.{item.port}{bind}"
    return f"https.{server.port}.{server.name}.{meta.name}.{meta.namespace}{bind}"


def _chains(scope: Scope, item: _Placed, listener: Listener) -> Iterator[Chain]:
    server, meta = item.server, item.gateway.meta
    sni = frozenset(host.rpartition("/")[2] for host in server.hosts) if server.mode is not None else frozenset[str]()
    if server.protocol in PLAIN_HTTP:
        # One way for all HTTP of an address.
        if not any(chain.server.protocol in PLAIN_HTTP for chain in listener.chains):
            yield Chain(meta, server, frozenset())
        return
    if server.protocol == "https" and server.mode is not None and not _passes(server):
        yield Chain(meta, server, sni)
        return
    rules = virtual_services.for_server(
        virtual_services.bound(scope.mesh, scope.proxy.namespace, item.title), server.hosts
    )
    if _passes(server):
        yield from _passthrough(scope, item, rules, listener)
        return
    for rule, route, _limits in virtual_services.routes_of(rules, scope.proxy, item.title, server.port):
        clusters = destination_clusters(scope, route.destinations, server.port)
        yield Chain(meta, server, sni, clusters, rule.meta)


def _passthrough(scope: Scope, item: _Placed, rules: list[VirtualService], listener: Listener) -> Iterator[Chain]:
    if item.server.mode == "AUTO_PASSTHROUGH":
        return
    known = {name for chain in listener.chains if _passes(chain.server) for name in chain.sni}
    for rule in rules:
        for route in rule.tls:
            for match in route.matches:
                fits = virtual_services.matching(match, scope.proxy, item.title, item.server.port)
                if route.destinations and fits and known.isdisjoint(match.sni):
                    known.update(match.sni)
                    clusters = destination_clusters(scope, route.destinations, item.server.port)
                    yield Chain(item.gateway.meta, item.server, frozenset(match.sni), clusters, rule.meta)
