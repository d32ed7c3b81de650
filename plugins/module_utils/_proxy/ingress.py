# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ingress gateway does for a link: clients come in with our certificates, and go on to the backend. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Chain, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ServerLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.scene import (
    FIX_CALLERS,
    Scene,
    described,
    few,
    is_of_secret,
)

__all__ = ["ingress_faults"]

_MINIMA = frozenset({"TLSv1_2", "TLSv1_3"})


def ingress_faults(scene: Scene, link: ServerLink) -> Iterator[Fault]:
    yield from scene.way_in()
    backend = link["backend"]
    cluster = envoy.outbound(backend["port"], backend["host"])
    for chain in scene.chains:
        yield from _client_certificates(scene, link, chain)
        if chain.tls:
            yield from scene.missing_secrets(chain.tls, 2)
        yield from scene.refused_callers(chain, tuple(link["client_identities"]))
        yield from scene.detours(chain, frozenset({cluster}), 3)
    yield from _to_backend(scene, cluster)


def _client_certificates(scene: Scene, link: ServerLink, chain: Chain) -> Iterator[Fault]:
    tls, identities = chain.tls, link["client_identities"]
    if tls is None or not tls.asks or tls.minimum not in _MINIMA:
        yield scene.fault("caller-tls", "mutual TLS of version 1.2 or later", described(tls), FIX_CALLERS)
    elif not is_of_secret(tls, link["credential"]):
        yield scene.fault("wrong-credential", f"TLS with Secret {link['credential']}", described(tls), FIX_CALLERS)
    elif tls.sans != frozenset(identities):
        found = f"those with {few(tls.sans)}" if tls.sans else "any client of the CA"
        yield scene.fault("wrong-name", f"clients with SAN {few(identities)}", found, FIX_CALLERS)


def _to_backend(scene: Scene, cluster: str) -> Iterator[Fault]:
    upstream = scene.proxy.upstreams.get(cluster)
    if upstream is None:
        yield scene.fault(
            "cluster-missing",
            f"a cluster {cluster}",
            "none",
            "check that the backend's Service has the port, and that the gateway sees it (its annotation "
            "networking.istio.io/exportTo, discovery selectors)",
            hop=3,
        )
        return
    healthy = [endpoint for endpoint in upstream.endpoints if endpoint.healthy]
    if not healthy:
        yield scene.fault(
            "no-endpoint", "a backend that is ready", "none", "start the backend, or wait for it", hop=3, outside=True
        )
    plain = [endpoint.address for endpoint in healthy if not endpoint.meshed]
    if plain:
        yield scene.fault(
            "plain-backend",
            "mutual TLS of the mesh with the backend",
            f"PLAIN TEXT to {few(plain)}",
            "remove the PeerAuthentication or DestinationRule that turns it off; let the backend's pods have sidecars; "
            "an address that is none of its pods comes from a WorkloadEntry, ServiceEntry or EndpointSlice of others",
            hop=3,
            culprit=upstream.made_by,
        )
