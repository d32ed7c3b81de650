# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PeerAuthentications: whether a workload takes plain text, mutual TLS, or both. Pure.

PRIVATE to the collection. The narrowest counts: a port's, the workload's, the namespace's, the mesh's, which is the one
without selector in the root namespace; of several of one width the oldest; what is not set is as the next wider one has
it, and PERMISSIVE where none says anything
(L(Istio,https://istio.io/latest/docs/concepts/security/#authentication-policies)). Ports are the workload's, not the
Service's, and only a policy with a selector may name them
(L(Istio,https://istio.io/latest/docs/reference/config/security/peer_authentication/)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Labels, Meta, Mode, PeerAuthentication

__all__ = ["Authentication", "effective", "mode_of_namespace"]

_DEFAULT: Mode = "PERMISSIVE"


@dataclass(frozen=True)
class Authentication:
    """:param source: the policy that decides; None where none does. So C(ports)."""

    mode: Mode
    source: Meta | None
    ports: Mapping[int, tuple[Mode, Meta]]

    def at(self, port: int) -> tuple[Mode, Meta | None]:
        return self.ports.get(port, (self.mode, self.source))


def effective(mesh: Mesh, namespace: str, labels: Labels) -> Authentication:
    """What holds for a workload."""
    mode, source = _inherited(mesh, namespace)
    policy = _of_workload(mesh, namespace, labels)
    if policy is None:
        return Authentication(mode, source, {})
    if policy.mode:
        mode, source = policy.mode, policy.meta
    return Authentication(mode, source, {port: (own or mode, policy.meta) for port, own in policy.ports.items()})


def mode_of_namespace(mesh: Mesh, namespace: str) -> Mode:
    """What holds for a namespace as a whole: what clients' proxies go by."""
    return _inherited(mesh, namespace)[0]


def _inherited(mesh: Mesh, namespace: str) -> tuple[Mode, Meta | None]:
    mode, source = _DEFAULT, None
    for place in dict.fromkeys((mesh.settings.root, namespace)):
        wide = next((policy for policy in mesh.authentications_of.get(place, []) if not policy.selector), None)
        if wide and wide.mode:
            mode, source = wide.mode, wide.meta
    return mode, source


def _of_workload(mesh: Mesh, namespace: str, labels: Labels) -> PeerAuthentication | None:
    # One with a selector in the root namespace is for nobody.
    if namespace == mesh.settings.root:
        return None
    own = mesh.authentications_of.get(namespace, [])
    return next((policy for policy in own if policy.selector and selects(policy.selector, labels)), None)
