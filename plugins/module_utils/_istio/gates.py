# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link at a gateway, of either side: the way in, where it leads, and who is let in. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import http_routes
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.authorization import Verdict
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import Code, Finding, Hop
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gateways import Chain, Gates
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Meta, Proxy
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope

__all__ = ["gate_findings", "verdict_findings"]


def gate_findings(
    gates: Gates, proxy: Proxy, link: str, hop: Hop, port: int, host: str, *, http: bool, wanted: str
) -> tuple[Chain | None, list[Finding]]:
    """The link's way through a gateway, where there is one, and what is wrong with it.

    :param port: of the gateway's pods.
    :param wanted: the cluster to which it is to lead.
    """
    found: list[Finding] = []

    def blame(code: Code, source: Meta | None, what: str, fix: str) -> None:
        found.append(Finding("error", link, hop, code, source, what, fix))

    gate = hop.replace("-", " ")
    everywhere = gates.at(proxy, port)
    clashes = [pair for listener in everywhere for pair in listener.clashes]
    for pair in clashes:
        theirs = next((chain for chain in pair if not chain.gateway.ours), pair[1])
        names = ", ".join(sorted(theirs.sni)) or "every host"
        what = f"Envoy refuses every change of port {port} of the {gate}, as two servers there are for {names}"
        blame("listener-refused", theirs.gateway, what, f"remove {names} from that Gateway")
    if clashes:
        return None, found
    listeners = [item for item in everywhere if not item.bind]
    chain = next((own for listener in listeners if (own := listener.chain_for(host))), None)
    if chain is None:
        lost = next(
            (item for listener in listeners for item in listener.dropped if host in _names(item.server.hosts)), None
        )
        if lost and lost.gateway.ours:
            what = f"it was there first, so the {gate} leaves out the link's server for {host}, port {port}"
            blame("way-in-taken", lost.before, what, f"remove {host} from it, or choose another port")
        else:
            what = f"the {gate} has no server for {host}, port {port}, or no VirtualService for it"
            blame("way-in-missing", None, what, "run playbook site")
        return None, found
    if not chain.gateway.ours:
        what = f"the {gate} serves {host}, port {port}, by this Gateway, not by the link's"
        blame("way-in-taken", chain.gateway, what, f"remove {host} from it")
        return None, found
    if http:
        found += _led(gates.scopes.of(proxy), link, hop, chain, host, wanted)
    else:
        found += _connected(link, hop, chain, wanted)
    return chain, found


def _names(hosts: tuple[str, ...]) -> list[str]:
    return [host.rpartition("/")[2] for host in hosts]


def _connected(link: str, hop: Hop, chain: Chain, wanted: str) -> Iterator[Finding]:
    rule = chain.rule
    if rule and not rule.ours:
        what = f"connections of the link go to {', '.join(chain.clusters)}, not to {wanted}"
        yield Finding("error", link, hop, "route-taken", rule, what, "remove the gateway from its gateways")
    elif wanted not in chain.clusters:
        what = f"connections of the link go to {', '.join(chain.clusters)}, not to {wanted}"
        yield Finding("error", link, hop, "route-taken", rule, what, "run playbook site")


def _led(scope: Scope, link: str, hop: Hop, chain: Chain, host: str, wanted: str) -> Iterator[Finding]:
    ways = http_routes.at_gateway(scope, chain.gateway, chain.server, host)
    for way in ways:
        if way.rule and not way.rule.ours:
            some = "some requests" if way.narrow else "requests"
            what = f"{some} of the link go to {', '.join(way.clusters) or 'nowhere'}, not to {wanted}"
            yield Finding("error", link, hop, "route-taken", way.rule, what, "remove the gateway from its gateways")
        if not way.narrow:
            return
    what = f"no VirtualService leads requests for {host} to {wanted}"
    yield Finding("error", link, hop, "route-missing", None, what, "run playbook site")


def verdict_findings(link: str, hop: Hop, verdict: Verdict, who: str, *, certain: bool = True) -> Iterator[Finding]:
    """:param certain: whether everything is known that policies ask of a caller."""
    if verdict.allowed:
        return
    sure = verdict.allowed is False and certain
    for source in verdict.by:
        if source.ours:
            continue
        what = f"it {'refuses' if sure else 'may refuse'} {who}"
        fix = "let it allow them, or limit it to other workloads"
        if sure:
            yield Finding("error", link, hop, "caller-refused", source, what, fix)
        else:
            yield Finding("warning", link, hop, "caller-uncertain", source, what, fix)
