# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link in its client's cluster: what becomes of it from a workload to the egress gateway, and out of it. Pure.

PRIVATE to the collection. The rules are those of the wing's other modules; here stands what each of them means for us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    authorization,
    clusters,
    http_routes,
    listeners,
    others,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import cluster_name
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import (
    Caller,
    ClientLink,
    Code,
    Finding,
    Hop,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gates import gate_findings, verdict_findings
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gateways import Gates
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Meta, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope, Scopes

__all__ = ["predict"]


def predict(mesh: Mesh, links: Iterable[ClientLink]) -> list[Finding]:
    """What stands in the way of links, in the order of their hops; each once, whichever workloads meet it."""
    gates = Gates(Scopes(mesh))
    return [finding for link in links for finding in dict.fromkeys(_of(mesh, gates, link))]


def _of(mesh: Mesh, gates: Gates, link: ClientLink) -> Iterator[Finding]:
    for caller in link.callers:
        yield from _hop_one(mesh, gates.scopes.of(caller.proxy), link, caller.title)
    yield from _way_out(mesh, gates, link)
    yield from _shared(mesh, link)


def _shared(mesh: Mesh, link: ClientLink) -> Iterator[Finding]:
    """Istio keeps clusters by host and namespace alone (pilot/pkg/networking/core/cluster_cache.go of 1.31)."""
    services = mesh.services_of.get(link.host, [])
    own = {service.meta.namespace for service in services if service.meta.ours}
    for service in services:
        if not service.meta.ours and service.meta.namespace in own:
            what = f"it has the link's host {link.host} in the link's namespace; which of the two counts is chance"
            yield _stop(link, "egress-gateway", "host-shared", service.meta, what, "remove the host from it")


# -- from a workload to the egress gateway -----------------------------------------------------------------------------


def _hop_one(mesh: Mesh, scope: Scope, link: ClientLink, who: str) -> Iterator[Finding]:
    service = scope.services.get(link.host)
    if service is None:
        yield _hidden(link, scope, who)
        return
    own = next((other for other in mesh.services_of[link.host] if other.meta.ours), service)
    led = list(_requests(link, scope, who) if link.http else _connections(link, scope, own, who))
    harm = [item for item in led if item.code != "port-captures"]
    if service.meta.ours:
        yield from led
    else:
        yield _claimed(link, service, who, harm=bool(harm))
    yield from _to_gateway(link, scope, who)


def _hidden(link: ClientLink, scope: Scope, who: str) -> Finding:
    source = scope.sidecar.meta if scope.sidecar else None
    what = f"{who} do not see {link.host}"
    if source:
        return _stop(link, "workload", "host-hidden", source, what, f"add */{link.host} to its egress hosts")
    fix = "export the link to this namespace, or change defaultServiceExportTo of the mesh"
    return _stop(link, "workload", "host-hidden", None, what, fix)


def _claimed(link: ClientLink, service: Service, who: str, *, harm: bool) -> Finding:
    """:param harm: whether the link's VirtualService does not lead them to the gateway all the same."""
    what = f"{who} take {link.host} for this one's, not for the link's"
    fix = "remove the host from it"
    if harm:
        return _stop(link, "workload", "host-claimed", service.meta, what, fix)
    what = f"{what}; they still reach the egress gateway"
    return Finding("warning", link.name, "workload", "host-claimed", service.meta, what, fix)


def _connections(link: ClientLink, scope: Scope, service: Service, who: str) -> Iterator[Finding]:
    address = listeners.address_for(service, dns_capture=scope.proxy.dns_capture)
    place = listeners.ANYWHERE if "/" in address else address
    there = listeners.taking(listeners.outbound(scope, link.port).get(place, []), address)
    chains = [chain for chain in there if not chain.http and not chain.sni]
    first = next((chain for chain in chains if chain.service.host == link.host), None)
    if first is None:
        taker = next((chain for chain in chains), None)
        source = taker.service.meta if taker else None
        what = f"{who} reach {taker.service.host if taker else 'nothing'} where they dial {link.host}:{link.port}"
        yield _stop(link, "workload", "port-captured", source, what, f"{_ADDRESS_FIX} for one of them")
        return
    yield from _inspected(link, there, who)
    if address == listeners.ANYWHERE:
        yield from _captures(link, scope, who)
    if first.rule is None or not first.rule.ours:
        yield _not_ours(link, "workload", first.rule, f"{who} are not sent to the egress gateway")
    elif (wanted := _first_hop(link)) not in first.clusters:
        what = f"{who} are sent to {', '.join(first.clusters)} instead of {wanted}"
        yield _stop(link, "workload", "route-taken", first.rule, what, "run playbook site")


def _inspected(link: ClientLink, there: Sequence[listeners.Chain], who: str) -> Iterator[Finding]:
    """Where others' HTTP or TLS comes to the same address, Envoy waits for a client's first bytes to tell which."""
    place, fix = f"{link.host}:{link.port}", f"{_ADDRESS_FIX} for one of them"
    waits = f"connections of {who} to {place} hang where the server speaks first (MySQL does)"
    if http := next((chain.service for chain in there if chain.http), None):
        what = f"requests of {who} to {place} go past the link, in plain text, and {waits}: {http.host} has HTTP there"
        yield _stop(link, "workload", "port-captured", http.meta, what, fix)
    elif tls := next((chain.service for chain in there if chain.sni and chain.service.host != link.host), None):
        what = f"{waits}: {tls.host} has TLS there"
        yield Finding("warning", link.name, "workload", "port-captured", tls.meta, what, fix)


def _captures(link: ClientLink, scope: Scope, who: str) -> Iterator[Finding]:
    """Ours stands at every address: what of others it takes away."""
    for service in scope.services.values():
        anywhere = listeners.address_for(service, dns_capture=scope.proxy.dns_capture) == listeners.ANYWHERE
        same = any(port.number == link.port and listeners.is_told_by_its_port(port) for port in service.ports)
        if service.host != link.host and anywhere and same:
            what = f"{who} reach link {link.name} where they dial {service.host}:{link.port}"
            yield _stop(link, "workload", "port-captures", service.meta, what, _ADDRESS_FIX)
    what = f"{who} reach it at every address on port {link.port} that Istio knows no service for"
    yield Finding("warning", link.name, "workload", "port-captures", None, what, _CAPTURES_FIX)


def _requests(link: ClientLink, scope: Scope, who: str) -> Iterator[Finding]:
    there = listeners.outbound(scope, link.port).get(listeners.ANYWHERE, [])
    if there and not any(chain.http for chain in there):
        # Beside MySQL and Mongo Istio puts no HTTP; whichever is older has the port.
        taker = there[0].service
        what = (
            f"{who} reach {taker.host} where they dial {link.host}:{link.port}: its protocol leaves no HTTP beside it"
        )
        fix = "give that host an address of its own, or choose another port for one of them"
        yield _stop(link, "workload", "port-captured", taker.meta, what, fix)
        return
    ways = http_routes.of_workload(scope, link.host, link.port)
    if not ways:
        yield _not_ours(link, "workload", None, f"requests of {who} are not sent to the egress gateway")
    for way in ways:
        if way.rule is None or not way.rule.ours:
            some = "some requests" if way.narrow else "requests"
            yield _not_ours(link, "workload", way.rule, f"{some} of {who} are not sent to the egress gateway")
            return
        if not way.narrow:
            return


def _to_gateway(link: ClientLink, scope: Scope, who: str) -> Iterator[Finding]:
    found = clusters.outbound(scope, link.egress_host, link.egress_port, link.subset)
    if found is None:
        yield _missing(link, scope, link.egress_host, "workload", who)
    elif found.socket != "mesh" or found.tls is None or found.tls.sni != link.host:
        source = found.rule.sources[0] if found.rule else None
        what = f"{who} do not open mutual TLS of the mesh for {link.host} to the egress gateway"
        yield _stop(link, "workload", "other-tls", source, what, _RULE_FIX)


# -- the egress gateway ------------------------------------------------------------------------------------------------


def _way_out(mesh: Mesh, gates: Gates, link: ClientLink) -> Iterator[Finding]:
    scope = gates.scopes.of(link.egress)
    port = link.egress.ports.get(link.egress_port, link.egress_port)
    chain, found = gate_findings(
        gates, link.egress, link.name, "egress-gateway", port, link.host, http=link.http, wanted=_second_hop(link)
    )
    yield from found
    if chain and chain.server.mode != "ISTIO_MUTUAL":
        what = f"the egress gateway takes {link.host} with TLS mode {chain.server.mode}"
        yield _stop(link, "egress-gateway", "way-in-taken", chain.gateway, what, "run playbook site")
    for caller in link.callers if chain else ():
        yield from _admission(mesh, link, caller, port)
    yield from _out(link, scope)
    yield from _unknown(mesh, link, scope)


def _admission(mesh: Mesh, link: ClientLink, caller: Caller, port: int) -> Iterator[Finding]:
    identity = f"spiffe://{mesh.settings.trust_domain}/ns/{caller.proxy.namespace}/sa/{caller.account or '?'}"
    call = authorization.Call(identity, port, link.host, link.http)
    verdict = authorization.judge(authorization.policies_for(mesh, link.egress), call)
    yield from verdict_findings(link.name, "egress-gateway", verdict, caller.title, certain=bool(caller.account))


def _out(link: ClientLink, scope: Scope) -> Iterator[Finding]:
    found = clusters.outbound(scope, link.host, link.tls_port, link.subset)
    service = scope.services.get(link.host)
    if service and not service.meta.ours:
        yield _claim_at_gateway(link, service)
    elif found is None:
        yield _missing(link, scope, link.host, "egress-gateway", "connections")
    elif found.socket == "plain":
        source = found.rule.sources[0] if found.rule else None
        what = f"connections to {link.host} leave the egress gateway in plain text"
        yield _stop(link, "egress-gateway", "plain-text", source, what, _RULE_FIX)
    elif found.socket != "mutual" or found.tls is None or found.tls.credential != link.credential:
        source = found.rule.sources[0] if found.rule else None
        what = f"the egress gateway does not use credential {link.credential} for {link.host}"
        yield _stop(link, "egress-gateway", "other-tls", source, what, _RULE_FIX)


def _claim_at_gateway(link: ClientLink, service: Service) -> Finding:
    what = f"the egress gateway takes {link.host} for this one's, not for the link's"
    return _stop(link, "egress-gateway", "host-claimed", service.meta, what, "remove the host from it")


def _unknown(mesh: Mesh, link: ClientLink, scope: Scope) -> Iterator[Finding]:
    service = scope.services.get(link.host)
    policies = others.policies_on(mesh, service) if service else []
    for source in [*others.filters_for(mesh, link.egress), *policies]:
        what = "it changes the egress gateway's configuration, in a way that is not foreseen here"
        yield Finding(
            "warning",
            link.name,
            "egress-gateway",
            "changed-outside-the-model",
            source,
            what,
            "see that it leaves the link alone, and run playbook verify",
        )


# -- parts -------------------------------------------------------------------------------------------------------------

_ADDRESS_FIX = (
    "give the link an address of its own (mesh_dns: capture, where sidecars answer DNS; else addresses, to which DNS "
    "then leads the FQDN), or choose another port"
)
_CAPTURES_FIX = (
    "none where no workload needs another server on this port; else give the link an address of its own (mesh_dns: "
    "capture, where sidecars answer DNS; or addresses, to which DNS then leads the FQDN)"
)
_RULE_FIX = "give it a host that does not cover this one, or delete it"


def _first_hop(link: ClientLink) -> str:
    return cluster_name(link.egress_host, link.egress_port, link.subset)


def _second_hop(link: ClientLink) -> str:
    return cluster_name(link.host, link.tls_port, link.subset)


def _missing(link: ClientLink, scope: Scope, host: str, hop: Hop, who: str) -> Finding:
    """There is no cluster where a route leads: by a DestinationRule of others, or because the host is not seen."""
    service = scope.services.get(host)
    if service is None:
        source = scope.sidecar.meta if scope.sidecar else None
        what = f"{who} fail: {host} is not seen"
        fix = f"add */{host} to its egress hosts" if source else "export it to that namespace"
        return _stop(link, hop, "cluster-missing", source, what, fix)
    sources = clusters.sources_for(scope, service)
    theirs = next((source for source in sources if not source.ours), None)
    what = f"{who} fail: Istio goes by this rule for {host}, and it has no subset {link.subset}"
    if theirs is None:
        return _stop(
            link, hop, "cluster-missing", None, f"{who} fail: {host} has no subset {link.subset}", "run playbook site"
        )
    return _stop(link, hop, "cluster-missing", theirs, what, _RULE_FIX)


def _not_ours(link: ClientLink, hop: Hop, rule: Meta | None, what: str) -> Finding:
    if rule is None:
        return _stop(
            link, hop, "route-missing", None, f"{what}: no VirtualService of the link is used", "run playbook site"
        )
    fix = f"remove {link.host} from its hosts, or mesh from its gateways"
    return _stop(link, hop, "route-taken", rule, what, fix)


def _stop(link: ClientLink, hop: Hop, code: Code, source: Meta | None, what: str, fix: str) -> Finding:
    return Finding("error", link.name, hop, code, source, what, fix)
