# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model says of one set, held against what istiod gave its proxies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    authorization,
    clusters,
    gateways,
    http_routes,
    listeners,
    peer_authentication,
    scopes,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.authorization import Call
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import AuthorizationPolicy, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope

from . import dump as truth
from . import verdict
from .dump import Dump, Json, Way
from .generate import EGRESS_PORT, SERVER_PORT, Set
from .verdict import proxy_of
from .xds import Node

_DOMAIN = "spiffe://cluster.local"
_GATEWAY_PORTS = (EGRESS_PORT, SERVER_PORT, 8443)


@dataclass(frozen=True)
class Difference:
    """:param what: where it was seen: cluster, listener, chain, route, mode, call."""

    set: int
    proxy: str
    what: str
    model: object
    istio: object

    def __str__(self) -> str:
        return f"set {self.set}, {self.proxy}: {self.what}\n    model: {self.model}\n    istio: {self.istio}"


def compare(made: Set, mesh: Mesh, dumps: dict[str, Dump]) -> tuple[int, list[Difference]]:
    """How many facts were compared, and those that differ."""
    count, found = 0, []
    for name, node in made.nodes.items():
        dump = dumps[name]
        scope = scopes.scope_of(mesh, proxy_of(node))
        for what, model, istio in _facts(made, mesh, scope, node, dump):
            count += 1
            if model != istio:
                found.append(Difference(made.number, name, what, model, istio))
    pairs = {
        "app": verdict.of_client(made, mesh, dumps, "app"),
        "team": verdict.of_client(made, mesh, dumps, "team"),
        "server": verdict.of_server(made, mesh, dumps),
    }
    for name, pair in pairs.items():
        if pair:
            count += 1
            if bool(pair[0]) != bool(pair[1]):
                found.append(Difference(made.number, name, "whether the link carries", *pair))
    return count, found


Fact = tuple[str, object, object]


def _facts(made: Set, mesh: Mesh, scope: Scope, node: Node, dump: Dump) -> Iterator[Fact]:
    yield from _clusters(made, scope, dump)
    if node.gateway:
        for port in _GATEWAY_PORTS:
            yield from _gateway(made, mesh, scope, dump, port)
    else:
        for port in (made.port, made.tls_port):
            yield from _outbound(made, scope, dump, port)
        yield from _inbound(made, mesh, node, dump)


def _clusters(made: Set, scope: Scope, dump: Dump) -> Iterator[Fact]:
    model: dict[str, object] = {}
    unknown: set[str] = set()
    for host, service in scope.services.items():
        if made.owns(host):
            for found in clusters.clusters_of(scope, service):
                tls = found.tls
                if found.socket in ("plain", "auto") and tls is None and _is_undecided(scope.mesh, service):
                    unknown.add(found.name)
                if found.socket in ("mutual", "simple") and tls:
                    model[found.name] = (found.socket, tls.credential, tls.sni, tls.names if tls.credential else ())
                elif found.socket == "mesh" and tls:
                    model[found.name] = (found.socket, "", tls.sni, ())
                else:
                    model[found.name] = (found.socket, "", "", ())
    istio: dict[str, object] = {
        name: truth.socket(cluster)
        for name, cluster in dump.clusters.items()
        if name.startswith("outbound|") and made.owns(name.rpartition("|")[2])
    }
    for name in sorted({*model, *istio} - unknown):
        yield f"cluster {name}", model.get(name), istio.get(name)


def _is_undecided(mesh: Mesh, service: Service) -> bool:
    """Whether more than objects decides on a cluster's TLS.

    Pods do, where a service has no address of its own. And istiod keeps clusters by host and namespace: of two
    ServiceEntries of one place it serves the cluster that it happened to make first.
    """
    if service.resolution in ("HEADLESS", "NONE"):
        return True
    place = service.host, service.meta.namespace
    return len({other.external for other in mesh.services if (other.host, other.meta.namespace) == place}) > 1


def _outbound(made: Set, scope: Scope, dump: Dump, port: int) -> Iterator[Fact]:
    model = {
        address: {Way(chain.http, chain.sni, chain.subnets, chain.clusters) for chain in chains}
        for address, chains in listeners.outbound(scope, port).items()
    }
    istio = truth.outbound(dump, port)
    for address in sorted({*model, *istio}):
        yield f"listener {address}:{port}", _sorted(model.get(address)), _sorted(istio.get(address))
    for chains in listeners.outbound(scope, port).values():
        if any(chain.http for chain in chains):
            for host in (made.host, made.backend, f"thief.{made.domain}"):
                ways = http_routes.of_workload(scope, host, port)
                if ways and str(port) in dump.routes:
                    yield f"routes for {host}:{port}", _reached(ways), truth.ways(dump, str(port), host)


def _sorted(ways: set[Way] | None) -> list[str] | None:
    return None if ways is None else sorted(map(_shown, ways))


def _shown(way: Way) -> str:
    parts = [f"{'http' if way.http else ''} sni={sorted(way.sni)} to={sorted(way.subnets)}", ", ".join(way.clusters)]
    return " -> ".join([*parts, way.credential])


def _reached(ways: list[http_routes.Way]) -> list[tuple[bool, tuple[str, ...]]]:
    found = []
    for way in ways:
        found.append((way.narrow, way.clusters))
        if not way.narrow:
            break
    return found


def _gateway(made: Set, mesh: Mesh, scope: Scope, dump: Dump, port: int) -> Iterator[Fact]:
    built = gateways.listeners_at(scope, port)
    model: list[tuple[Way, gateways.Chain]] = []
    for listener in built:
        for chain in listener.chains:
            mode = chain.server.mode
            own = "default" if mode == "ISTIO_MUTUAL" else chain.server.credential
            passes = chain.server.protocol in listeners.PLAIN_HTTP or mode == "PASSTHROUGH"
            # To Envoy a name that is any name is no condition.
            sni = frozenset() if "*" in chain.sni else chain.sni
            model.append((Way(chain.http, sni, frozenset(), chain.clusters, "" if passes else own), chain))
    chains = truth.gateway(dump, port)
    istio = [truth.gateway_way(chain) for chain in chains]
    yield f"gateway chains :{port}", sorted(_shown(way) for way, _chain in model), sorted(map(_shown, istio))
    policies = authorization.policies_for(mesh, scope.proxy)
    for json, way in zip(chains, istio, strict=True):
        yield from _calls(made, policies, json, port, http=way.http, where=f"gateway :{port} {sorted(way.sni)}")
    for way, chain in model:
        host = next((host for host in (made.host, made.server_host) if host in chain.sni), "")
        if way.http and host:
            name = next((truth.route_name(item) for item in chains if truth.gateway_way(item) == way), "")
            ways = http_routes.at_gateway(scope, chain.gateway, chain.server, host)
            if name in dump.routes and sum(other == way for other, _chain in model) == 1:
                yield f"routes of {name} for {host}", _reached(ways) or None, truth.ways(dump, name, host) or None


def _inbound(made: Set, mesh: Mesh, node: Node, dump: Dump) -> Iterator[Fact]:
    model = peer_authentication.effective(mesh, node.namespace, node.labels)
    istio = truth.modes(dump)
    yield "modes", {0: model.mode, **{port: mode for port, (mode, _by) in model.ports.items()}}, istio
    policies = authorization.policies_for(mesh, proxy_of(node))
    for http in (False, True):
        chain = truth.inbound(dump, http=http)
        yield from _calls(made, policies, chain, made.port, http=http, where=f"inbound, {'HTTP' if http else 'tcp'}")


def _calls(
    made: Set, policies: list[AuthorizationPolicy], chain: Json, port: int, *, http: bool, where: str
) -> Iterator[Fact]:
    places = made.places
    for principal in (f"{_DOMAIN}/ns/{places.app}/sa/shop", f"{_DOMAIN}/ns/{places.team}/sa/db", "client.example", ""):
        for sni in (made.host, "else.example"):
            call = Call(principal, port, sni, http)
            verdict = authorization.judge(policies, call).allowed
            yield f"{where}: call of {principal or 'nobody'} for {sni}", verdict, truth.lets_in(chain, call)
