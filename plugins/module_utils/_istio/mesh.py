# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that decides in one cluster: its objects, each kind in the order in which Istio takes them. Pure.

PRIVATE to the collection. Where two objects want the same, the older one comes first; those of one second go by name,
then by namespace. Istio documents it for some kinds, such as
L(PeerAuthentication,https://istio.io/latest/docs/concepts/security/#authentication-policies); that it is so for all of
them says pilot/pkg/model/config.go of 1.31 (sortConfigByCreationTime).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    AuthorizationPolicy,
    BackendPolicy,
    DestinationRule,
    Endpoint,
    EnvoyFilter,
    Gateway,
    Meta,
    PeerAuthentication,
    Service,
    Settings,
    Sidecar,
    VirtualService,
)

__all__ = ["Mesh", "selects"]


class _Made(Protocol):
    @property
    def meta(self) -> Meta:
        """Its name and labels."""


T = TypeVar("T", bound=_Made)


@dataclass(frozen=True)
class Mesh:
    """The objects of one cluster, in any order."""

    settings: Settings = field(default_factory=Settings)
    services: Sequence[Service] = ()
    destination_rules: Sequence[DestinationRule] = ()
    virtual_services: Sequence[VirtualService] = ()
    gateways: Sequence[Gateway] = ()
    authorization_policies: Sequence[AuthorizationPolicy] = ()
    peer_authentications: Sequence[PeerAuthentication] = ()
    sidecars: Sequence[Sidecar] = ()
    envoy_filters: Sequence[EnvoyFilter] = ()
    backend_policies: Sequence[BackendPolicy] = ()

    @cached_property
    def services_by_age(self) -> list[Service]:
        return sorted(self.services, key=lambda service: service.order)

    @cached_property
    def endpoints_of(self) -> dict[tuple[str, str, int], list[Endpoint]]:
        """By host, namespace and port: Istio keeps those of all ServiceEntries of one host and namespace together."""
        found: dict[tuple[str, str, int], list[Endpoint]] = {}
        for service in self.services:
            for port in service.ports:
                place = service.host, service.meta.namespace, port.number
                found.setdefault(place, []).extend(service.endpoints or ())
        return found

    @cached_property
    def services_of(self) -> dict[str, list[Service]]:
        """By host."""
        found: dict[str, list[Service]] = {}
        for service in self.services_by_age:
            found.setdefault(service.host, []).append(service)
        return found

    @cached_property
    def virtual_services_at(self) -> dict[str, list[VirtualService]]:
        """By gateway, C(mesh) among them."""
        found: dict[str, list[VirtualService]] = {}
        for service in _by_age(self.virtual_services):
            for gateway in service.gateways:
                found.setdefault(gateway, []).append(service)
        return found

    @cached_property
    def gateways_by_age(self) -> list[Gateway]:
        return _by_age(self.gateways)

    @cached_property
    def sidecars_by_age(self) -> list[Sidecar]:
        return _by_age(self.sidecars)

    @cached_property
    def rules_of(self) -> dict[str, list[DestinationRule]]:
        """DestinationRules by namespace, those for some workloads first, then by age."""
        found: dict[str, list[DestinationRule]] = {}
        for rule in sorted(self.destination_rules, key=lambda rule: (rule.selector is None, rule.meta.age)):
            found.setdefault(rule.meta.namespace, []).append(rule)
        return found

    @cached_property
    def authentications_of(self) -> dict[str, list[PeerAuthentication]]:
        found: dict[str, list[PeerAuthentication]] = {}
        for policy in _by_age(self.peer_authentications):
            found.setdefault(policy.meta.namespace, []).append(policy)
        return found


def _by_age(objects: Iterable[T]) -> list[T]:
    return sorted(objects, key=lambda item: item.meta.age)


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have all that a selector asks for; an empty one selects everything."""
    return all(labels.get(key) == value for key, value in selector.items())
