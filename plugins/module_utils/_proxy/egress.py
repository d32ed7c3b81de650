# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an egress gateway does for a link: workloads come in by TLS of the mesh, and go on with our certificate. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Chain, Fault, Upstream
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.scene import (
    FIX_CALLERS,
    Scene,
    described,
    few,
    is_of_secret,
)

__all__ = ["egress_faults", "server_clusters"]

# The gateway's own certificate of the mesh, by SDS.
_OWN, _MESH_ROOTS = "default", "ROOTCA"


def egress_faults(scene: Scene, link: ClientLink) -> Iterator[Fault]:
    yield from scene.way_in()
    clusters = server_clusters(link)
    for chain in scene.chains:
        yield from _mesh_callers(scene, link, chain)
        yield from scene.refused_callers(chain, None)
        yield from scene.detours(chain, clusters, 2)
    yield from _way_out(scene, link, clusters)


def server_clusters(link: ClientLink) -> frozenset[str]:
    """Envoy's names of the way to the servers, with and without a subset of the link's own."""
    return frozenset(envoy.outbound(link["tls_port"], link["fqdn"], subset) for subset in ("", link["name"]))


def _mesh_callers(scene: Scene, link: ClientLink, chain: Chain) -> Iterator[Fault]:
    """Workloads come with certificates of the mesh, and have to; where the link names them all, with theirs."""
    tls, identities = chain.tls, link["caller_identities"]
    if tls is None or not tls.asks or (tls.certificate, tls.validation) != (_OWN, _MESH_ROOTS):
        yield scene.fault(
            "caller-tls",
            "mutual TLS of the mesh with workloads",
            described(tls),
            FIX_CALLERS,
        )
    elif tls.sans != frozenset(identities):
        wanted = f"workloads with SAN {few(identities)}" if identities else "any workload of the mesh"
        found = f"those with {few(tls.sans)}" if tls.sans else "any workload of the mesh"
        yield scene.fault("wrong-name", wanted, found, FIX_CALLERS)


def _way_out(scene: Scene, link: ClientLink, clusters: frozenset[str]) -> Iterator[Fault]:
    used = [scene.proxy.upstreams[name] for name in sorted(clusters & _led_to(scene)) if name in scene.proxy.upstreams]
    if not used:
        yield scene.fault(
            "cluster-missing",
            f"a cluster for {link['fqdn']}:{link['tls_port']}",
            "none",
            f"check ServiceEntry {link['namespace']}/{link['service_entry']}, and what others have for this host",
            hop=2,
        )
    for upstream in used:
        yield from _originated(scene, link, upstream)
        if upstream.tls:
            yield from scene.missing_secrets(upstream.tls, 2)
        wanted = frozenset((item["address"], item["ports"]["tls"]) for item in link["endpoints"])
        if upstream.addresses != wanted:
            live = [endpoint.address for endpoint in upstream.endpoints]
            yield scene.fault(
                "endpoint-elsewhere",
                f"the way to {few(map(_place, wanted))}",
                few(live if upstream.addresses is None else map(_place, upstream.addresses)),
                "remove the ServiceEntry that others have for this host, or give the link another fqdn",
                hop=2,
            )
        if not any(endpoint.healthy for endpoint in upstream.endpoints):
            all_bad = f"{few(item.address for item in upstream.endpoints)}, none of which can be reached"
            yield scene.fault(
                "no-endpoint",
                f"a server of {link['fqdn']} that can be reached",
                all_bad if upstream.endpoints else "no address: its name does not resolve there",
                "check DNS in this cluster, the servers' ingress gateways and the network to them",
                hop=2,
                outside=True,
            )


def _led_to(scene: Scene) -> frozenset[str]:
    return frozenset(name for chain in scene.chains for path in scene.paths(chain) for name in path.clusters)


def _originated(scene: Scene, link: ClientLink, upstream: Upstream) -> Iterator[Fault]:
    tls, made_by = upstream.tls, upstream.made_by
    own = f"DestinationRule {link['namespace']}/{link['destination_rule_origination']}"
    culprit = "" if made_by == own else made_by
    fix = (
        "remove the DestinationRule that others have for this host, or hide it from the gateway's namespace (exportTo)"
    )
    if tls is None:
        wanted = f"mutual TLS with Secret {link['credential']} to the server"
        yield scene.fault("plain-way-out", wanted, "PLAIN TEXT", fix, hop=2, culprit=culprit)
    elif not is_of_secret(tls, link["credential"]):
        wanted = f"TLS with Secret {link['credential']}"
        yield scene.fault("wrong-credential", wanted, described(tls), fix, hop=2, culprit=culprit)
    elif tls.sni != link["sni"] or tls.sans != {link["sni"]}:
        wanted = f"SNI and SAN {link['sni']}"
        found = f"SNI {tls.sni or 'none'}, SANs {listed(tls.sans, 'unchecked')}"
        yield scene.fault("wrong-name", wanted, found, fix, hop=2, culprit=culprit)


def _place(place: tuple[str, int]) -> str:
    return f"{place[0]}:{place[1]}"
