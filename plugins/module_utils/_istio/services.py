# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services: which of several that claim one host a proxy sees. Pure.

PRIVATE to the collection. Of one host in several namespaces a workload's proxy takes that of its own namespace, then
Kubernetes' own, then the oldest (L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/), and
pilot/pkg/model/sidecar.go of 1.31, selectServices and appendSidecarServices). A gateway does not look at its own
namespace first: it takes those that are exported to some namespaces, its own among them, then the public ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import visibility
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Service

__all__ = ["add", "exported_to", "one_namespace_a_host"]


def exported_to(mesh: Mesh, namespace: str) -> list[Service]:
    """Services that proxies of a namespace may see: those for some namespaces first."""
    some, public = [], []
    for service in mesh.services_by_age:
        exports = service.exports or mesh.settings.services
        if visibility.is_public(exports):
            public.append(service)
        elif visibility.sees(exports, service.meta.namespace, namespace):
            some.append(service)
    return some + public


def one_namespace_a_host(services: Iterable[Service], own: str) -> list[Service]:
    """Without those whose host a namespace of more right has as well.

    :param own: the namespace of the proxy.
    """
    services = list(services)
    chosen: dict[str, tuple[str, bool]] = {}
    for service in services:
        namespace, kubernetes = service.meta.namespace, service.kubernetes
        before = chosen.get(service.host)
        if before is None or namespace == own or (kubernetes and not before[1] and before[0] != own):
            chosen[service.host] = namespace, kubernetes
    return [service for service in services if chosen[service.host][0] == service.meta.namespace]


def add(found: dict[str, Service], service: Service) -> None:
    """Take a service in, where its host is free, or where it has more right to it."""
    before = found.get(service.host)
    if before is None or (service.kubernetes and not before.kubernetes):
        found[service.host] = service
    elif before.kubernetes == service.kubernetes and _are_alike(before, service):
        known = {port.number for port in before.ports}
        more = tuple(port for port in service.ports if port.number not in known)
        found[service.host] = replace(before, ports=before.ports + more)


def _are_alike(one: Service, other: Service) -> bool:
    """Whether Istio adds the ports of one to the other."""
    return (one.meta.namespace, one.resolution, one.labels, one.selector, one.exports) == (
        other.meta.namespace,
        other.resolution,
        other.labels,
        other.selector,
        other.exports,
    )
