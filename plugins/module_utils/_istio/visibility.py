# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sees an object: C(exportTo), and the mesh's setting where an object has none. Pure.

PRIVATE to the collection. C(*) is every namespace, C(.) the object's own; the mesh's settings are
C(defaultServiceExportTo), C(defaultVirtualServiceExportTo) and C(defaultDestinationRuleExportTo)
(L(Istio,https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig)). C(~) hides it from everybody.
That C(*) beside others makes it public, and C(~) beside namespaces hides it, says pilot/pkg/model/push_context.go of
1.31 (initServiceRegistry, initVirtualServices).
"""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import EVERYBODY, NOBODY, OWN_NAMESPACE

__all__ = ["is_public", "sees"]


def is_public(exports: frozenset[str]) -> bool:
    return EVERYBODY in exports


def sees(exports: frozenset[str], namespace: str, viewer: str) -> bool:
    """Whether proxies of C(viewer) see an object of C(namespace) with these exports, the mesh's filled in."""
    if is_public(exports):
        return True
    if NOBODY in exports:
        return False
    return viewer in exports or (viewer == namespace and OWN_NAMESPACE in exports)
