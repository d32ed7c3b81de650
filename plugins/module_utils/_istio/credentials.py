# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects use a Secret's certificate by its name. Pure.

PRIVATE to the collection. A gateway finds a C(credentialName) in its own namespace, wherever the object is
that names it (L(Istio,https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings)):
whoever may write one for a host of his own uses a certificate that he may not read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import DestinationRule, Meta, Policy

__all__ = ["used_by_others"]


def used_by_others(mesh: Mesh, credentials: Collection[str]) -> Iterator[tuple[Meta, str]]:
    """Objects of others that name one of these, with the name."""
    for rule in mesh.destination_rules:
        if not rule.meta.ours:
            yield from ((rule.meta, name) for name in sorted(set(_of_rule(rule)) & set(credentials)))
    for gateway in mesh.gateways:
        if not gateway.meta.ours:
            named = {server.credential for server in gateway.servers}
            yield from ((gateway.meta, name) for name in sorted(named & set(credentials)))


def _of_rule(rule: DestinationRule) -> Iterator[str]:
    yield from _of_policy(rule.policy)
    for subset in rule.subsets:
        yield from _of_policy(subset.policy)


def _of_policy(policy: Policy | None) -> Iterator[str]:
    for tls in (policy.tls, *(port.tls for port in policy.ports)) if policy else ():
        if tls and tls.credential:
            yield tls.credential
