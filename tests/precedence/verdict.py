# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a set's link carries: what the prediction says, and what the proxies' configuration says by itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import client, server
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.authorization import Call
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import cluster_name
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import (
    Backend,
    Caller,
    ClientLink,
    Finding,
    ServerLink,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy

from . import dump as truth
from .dump import Dump, Json
from .generate import EGRESS_PORT, SERVER_PORT, Set
from .xds import Node

# This one harms others; the link itself carries.
_HARMLESS = "port-captures"
# Two objects that istiod takes for one: what comes of it is chance, so that there is nothing to be compared.
_CHANCE = "host-shared"
_CREDENTIAL = "client-credential"
_DOMAIN = "spiffe://cluster.local"
_CLIENT = "client.example"
_ANYWHERE = "0.0.0.0"


def proxy_of(node: Node) -> Proxy:
    return Proxy(node.namespace, node.labels, gateway=node.gateway, dns_capture=node.dns_capture)


Pair = tuple[list[str], list[str]]


def of_client(made: Set, mesh: Mesh, dumps: Mapping[str, Dump], caller: str) -> Pair | None:
    """Why the link does not carry from one workload, as predicted and as proxies have it; None where it is chance."""
    nodes = made.nodes
    link = ClientLink(
        made.link,
        made.host,
        made.port,
        made.tls_port,
        made.http,
        proxy_of(nodes["egress"]),
        made.egress,
        EGRESS_PORT,
        made.link,
        _CREDENTIAL,
        [Caller(proxy_of(nodes[caller]), _account(caller))],
    )
    found = client.predict(mesh, [link])
    if any(item.code == _CHANCE for item in found):
        return None
    return _stopping(found), list(_client_faults(made, mesh, dumps, caller))


def of_server(made: Set, mesh: Mesh, dumps: Mapping[str, Dump]) -> Pair:
    """The same in the server's cluster."""
    ingress, team = made.nodes["ingress"], made.nodes["team"]
    backend = Backend(made.backend, made.port, made.places.team, made.port, team.labels)
    credential = f"{made.link}-credential"
    link = ServerLink(
        made.link,
        made.server_host,
        SERVER_PORT,
        made.http,
        proxy_of(ingress),
        credential,
        backend,
        account=ingress.name,
        client=_CLIENT,
    )
    return _stopping(server.predict(mesh, [link])), list(_server_faults(made, dumps, credential))


def _account(caller: str) -> str:
    return {"app": "shop", "team": "db"}[caller]


def _stopping(found: Sequence[Finding]) -> list[str]:
    return [
        f"{item.hop}: {item.code} by {item.source.title if item.source else 'nobody'}"
        for item in found
        if item.level == "error" and item.code != _HARMLESS
    ]


# -- what the proxies have ---------------------------------------------------------------------------------------------


def _client_faults(made: Set, mesh: Mesh, dumps: Mapping[str, Dump], caller: str) -> Iterator[str]:
    node, dump = made.nodes[caller], dumps[caller]
    first = cluster_name(made.egress, EGRESS_PORT, made.link)
    second = cluster_name(made.host, made.tls_port, made.link)
    leads = _requests_lead if made.http else _connections_lead
    if not leads(made, mesh, node, dump, first):
        yield f"not sent to {first}"
    if first not in dump.clusters:
        yield f"no cluster {first}"
    elif truth.socket(dump.clusters[first])[0::2] != ("mesh", made.host):
        yield f"hop 1 by {truth.socket(dump.clusters[first])}"
    out = dumps["egress"]
    identity = f"{_DOMAIN}/ns/{node.namespace}/sa/{_account(caller)}"
    call = Call(identity, EGRESS_PORT, made.host, made.http)
    yield from _gateway_faults(made, out, EGRESS_PORT, made.host, "default", second, call)
    if second not in out.clusters:
        yield f"no cluster {second}"
        return
    if truth.socket(out.clusters[second])[:2] != ("mutual", _CREDENTIAL):
        yield f"hop 2 by {truth.socket(out.clusters[second])}"
    if truth.endpoints(out.clusters[second]) != {"gate.elsewhere.example"}:
        yield f"hop 2 to {truth.endpoints(out.clusters[second])}"


def _server_faults(made: Set, dumps: Mapping[str, Dump], credential: str) -> Iterator[str]:
    ingress, team = dumps["ingress"], dumps["team"]
    wanted = cluster_name(made.backend, made.port)
    call = Call(_CLIENT, SERVER_PORT, made.server_host, made.http)
    yield from _gateway_faults(made, ingress, SERVER_PORT, made.server_host, credential, wanted, call)
    modes = truth.modes(team)
    mode = modes.get(made.port, modes[0])
    if wanted not in ingress.clusters:
        yield f"no cluster {wanted}"
    elif (truth.socket(ingress.clusters[wanted])[0], mode) in (("plain", "STRICT"), ("mesh", "DISABLE")):
        yield f"hop 3 by {truth.socket(ingress.clusters[wanted])}, the backend takes {mode}"
    identity = f"{_DOMAIN}/ns/{made.places.gate}/sa/{made.nodes['ingress'].name}"
    sni = f"outbound_.{made.port}_._.{made.backend}"
    call = Call(identity, made.port, sni, made.http)
    if truth.lets_in(truth.inbound(team, http=made.http), call) is False:
        yield "the backend refuses the gateway"


def _connections_lead(made: Set, mesh: Mesh, node: Node, dump: Dump, wanted: str) -> bool:
    own = next((service for service in mesh.services if service.meta.ours and service.host == made.host), None)
    given = own.given if own and node.dns_capture else ""
    address = (own.address if own else "") or given or _ANYWHERE
    there = truth.outbound(dump, made.port).get(address, set())
    if any(way.http for way in there):
        # What is sent is looked at first: HTTP goes elsewhere, and a server that speaks first waits for ever.
        return False
    ways = [way for way in there if not way.sni]
    inside = [way for way in ways if any(_has(subnet, address) for subnet in way.subnets)]
    # Ranges do not overlap in a set, so that there is no narrowest one to be found.
    return any(wanted in way.clusters for way in inside or [way for way in ways if not way.subnets])


def _has(subnet: str, address: str) -> bool:
    return address != _ANYWHERE and ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def _requests_lead(made: Set, mesh: Mesh, node: Node, dump: Dump, wanted: str) -> bool:
    there = truth.outbound(dump, made.port).get(_ANYWHERE, set())
    if there and not any(way.http for way in there):
        return False
    ways = truth.ways(dump, str(made.port), made.host) or []
    return bool(ways) and all(wanted in clusters for _narrow, clusters in ways)


def _gateway_faults(
    made: Set, dump: Dump, port: int, host: str, credential: str, wanted: str, call: Call
) -> Iterator[str]:
    chains = truth.gateway(dump, port, _ANYWHERE)
    ways = [truth.gateway_way(chain) for chain in chains]
    names = [name for way in ways for name in way.sni or {""}]
    if len(names) != len(set(names)):
        yield f"two chains for one name at {port}"
        return
    found: list[tuple[Json, truth.Way]] = [
        (chain, way) for chain, way in zip(chains, ways, strict=True) if host in way.sni
    ]
    if not found:
        yield f"no chain for {host} at {port}"
        return
    chain, way = found[0]
    if way.credential != credential:
        yield f"chain of {host} by {way.credential}"
    if made.http:
        routes = truth.ways(dump, truth.route_name(chain), host) or []
        if not routes or not all(wanted in clusters for _narrow, clusters in routes):
            yield f"requests for {host} go to {routes}"
    elif wanted not in way.clusters:
        yield f"connections for {host} go to {way.clusters}"
    if truth.lets_in(chain, call) is False:
        yield f"{call.principal} is refused at {port}"
