# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes a proxy past all rules: EnvoyFilters, and policies of the Gateway API for a service. Only named. Pure.

PRIVATE to the collection. EnvoyFilters of the root namespace count for all, those of a namespace for its own, and a
selector limits either (L(Istio,https://istio.io/latest/docs/reference/config/networking/envoy-filter/#EnvoyFilter)).
A BackendTLSPolicy or XBackendTrafficPolicy counts for what it targets in its own namespace, beneath what a
DestinationRule says (L(Istio,https://istio.io/latest/docs/tasks/traffic-management/ingress/gateway-api/), and
pilot/pkg/model/destination_rule.go of 1.31).
"""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Meta, Proxy, Service

__all__ = ["filters_for", "policies_on"]


def filters_for(mesh: Mesh, proxy: Proxy) -> list[Meta]:
    places = (mesh.settings.root, proxy.namespace)
    contexts = {"ANY", "GATEWAY"} if proxy.gateway else {"ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND"}
    return [
        item.meta
        for item in sorted(mesh.envoy_filters, key=lambda item: item.meta.age)
        if item.meta.namespace in places
        and selects(item.selector, proxy.labels)
        and not contexts.isdisjoint(item.contexts)
    ]


def policies_on(mesh: Mesh, service: Service) -> list[Meta]:
    wanted = {(service.meta.kind, service.meta.name), ("Hostname", service.host)}
    return [
        item.meta
        for item in sorted(mesh.backend_policies, key=lambda item: item.meta.age)
        if item.meta.namespace == service.meta.namespace and not wanted.isdisjoint(item.targets)
    ]
