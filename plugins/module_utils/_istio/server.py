# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link in its server's cluster: what becomes of it at the ingress gateway, and from there to the backend. Pure.

PRIVATE to the collection. The rules are those of the wing's other modules; here stands what each of them means for us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    authorization,
    clusters,
    others,
    peer_authentication,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.clusters import Cluster, cluster_name
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import Code, Finding, Hop, ServerLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gates import gate_findings, verdict_findings
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gateways import Gates
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Meta, Proxy
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.scopes import Scope, Scopes

__all__ = ["predict"]


def predict(mesh: Mesh, links: Iterable[ServerLink]) -> list[Finding]:
    """What stands in the way of links, in the order of their hops."""
    gates = Gates(Scopes(mesh))
    return [finding for link in links for finding in dict.fromkeys(_of(mesh, gates, link))]


def _of(mesh: Mesh, gates: Gates, link: ServerLink) -> Iterator[Finding]:
    yield from _way_in(mesh, gates, link)
    yield from _to_backend(mesh, link, gates.scopes.of(link.ingress))


def _way_in(mesh: Mesh, gates: Gates, link: ServerLink) -> Iterator[Finding]:
    port = link.ingress.ports.get(link.tls_port, link.tls_port)
    wanted = cluster_name(link.backend.host, link.backend.port)
    chain, found = gate_findings(
        gates, link.ingress, link.name, "ingress-gateway", port, link.host, http=link.http, wanted=wanted
    )
    yield from found
    if chain and (chain.server.mode, chain.server.credential) != ("MUTUAL", link.credential):
        what = f"the ingress gateway does not ask for certificates by credential {link.credential}"
        yield _obstacle("error", link, "ingress-gateway", "other-tls", chain.gateway, what, "run playbook site")
    if chain:
        call = authorization.Call(link.client, port, link.host, link.http)
        verdict = authorization.judge(authorization.policies_for(mesh, link.ingress), call)
        yield from verdict_findings(
            link.name, "ingress-gateway", verdict, "the link's clients", certain=bool(link.client)
        )
    for source in others.filters_for(mesh, link.ingress):
        what = "it changes the ingress gateway's configuration, in a way that is not foreseen here"
        fix = "see that it leaves the link alone, and run playbook verify"
        yield _obstacle("warning", link, "ingress-gateway", "changed-outside-the-model", source, what, fix)


def _to_backend(mesh: Mesh, link: ServerLink, scope: Scope) -> Iterator[Finding]:
    backend = link.backend
    service = scope.services.get(backend.host)
    found = clusters.outbound(scope, backend.host, backend.port)
    if service is None and mesh.services_of.get(backend.host):
        what = f"the ingress gateway does not see {backend.host}"
        fix = "export the backend's Service to the gateway's namespace (networking.istio.io/exportTo)"
        yield _obstacle("error", link, "backend", "host-hidden", None, what, fix)
    elif found is None:
        # Where it is not there yet, or has another port, others say so; here only rules are looked at.
        return
    else:
        yield from _backend_tls(mesh, link, found)
    yield from _admission(mesh, link)


def _backend_tls(mesh: Mesh, link: ServerLink, cluster: Cluster) -> Iterator[Finding]:
    backend = link.backend
    takes = peer_authentication.effective(mesh, backend.namespace, backend.labels)
    mode, policy = takes.at(backend.target)
    source = cluster.rule.sources[0] if cluster.rule and cluster.tls else policy
    if cluster.socket == "plain" and mode == "STRICT":
        what = f"the ingress gateway sends plain text to {backend.host}, which takes mutual TLS only"
        yield _obstacle("error", link, "backend", "other-tls", source, what, "remove its TLS settings for this host")
    elif cluster.socket == "mesh" and mode == "DISABLE":
        what = f"the ingress gateway opens mutual TLS of the mesh to {backend.host}, which takes plain text only"
        yield _obstacle("error", link, "backend", "other-tls", source, what, "remove its TLS settings for this host")
    elif cluster.socket in ("simple", "mutual"):
        what = f"the ingress gateway opens TLS of its own to {backend.host}, not mutual TLS of the mesh"
        yield _obstacle("warning", link, "backend", "other-tls", source, what, "see that the backend expects it")
    elif cluster.socket == "plain" or mode == "DISABLE":
        what = f"connections from the ingress gateway to {backend.host} are plain text"
        level = "error" if link.strict else "warning"
        yield _obstacle(
            level, link, "backend", "plain-text", source, what, "remove that setting, or limit it to others"
        )
    if link.strict and mode != "STRICT":
        what = f"the backend of the link takes plain text ({mode}), though the link asks for strict_backend"
        fix = "set it to STRICT, or delete it; of several the oldest counts, and one with a selector before the rest"
        yield _obstacle("error", link, "backend", "mode-overridden", policy, what, fix)


def _admission(mesh: Mesh, link: ServerLink) -> Iterator[Finding]:
    backend = link.backend
    policies = authorization.policies_for(mesh, Proxy(backend.namespace, backend.labels))
    identity = f"spiffe://{mesh.settings.trust_domain}/ns/{link.ingress.namespace}/sa/{link.account or '?'}"
    sni = f"outbound_.{backend.port}_._.{backend.host}"
    verdict = authorization.judge(policies, authorization.Call(identity, backend.target, sni, link.http))
    who = "the ingress gateway, which calls for the link"
    yield from verdict_findings(link.name, "backend", verdict, who, certain=bool(link.account))


def _obstacle(level: str, link: ServerLink, hop: Hop, code: Code, source: Meta | None, what: str, fix: str) -> Finding:
    return Finding("error" if level == "error" else "warning", link.name, hop, code, source, what, fix)
