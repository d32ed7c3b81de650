# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one proxy sees: services and VirtualServices, as a Sidecar limits them. Pure.

PRIVATE to the collection. A Sidecar for some workloads comes before one for the namespace, and that one before the root
namespace's, which is for every namespace that has none
(L(Istio,https://istio.io/latest/docs/reference/config/networking/sidecar/#Sidecar)); of several of a kind the oldest is
taken. Gateways see everything that is exported to them, whatever a Sidecar says (pilot/pkg/model/push_context.go of
1.31, doGetSidecarScope). What a VirtualService leads to is seen even where the Sidecar does not list it
(pilot/pkg/model/sidecar.go, collectImportedServices).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    destination_rules,
    hosts,
    services,
    virtual_services,
    visibility,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.destination_rules import Merged
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    MESH_GATEWAY,
    Destination,
    EgressListener,
    Port,
    Proxy,
    Service,
    Sidecar,
    VirtualService,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.virtual_services import ByHost

__all__ = ["Listening", "Scope", "Scopes", "scope_of", "sidecar_of"]

_EVERYTHING = EgressListener(hosts=("*/*",))


@dataclass(frozen=True)
class Listening:
    """What is seen at one port of a Sidecar, or, with port 0, at all others.

    :param protocol: of that port, as the Sidecar has it.
    """

    port: int
    protocol: str
    bind: str
    services: Sequence[Service]
    virtual_services: Sequence[VirtualService]

    @cached_property
    def services_at(self) -> dict[int, list[tuple[Service, Port]]]:
        """By the number of a port."""
        found: dict[int, list[tuple[Service, Port]]] = {}
        for service in self.services:
            for port in service.ports:
                found.setdefault(port.number, []).append((service, port))
        return found

    @cached_property
    def port_of(self) -> dict[tuple[int, str], Port]:
        """By number and host: of several services for a host the last one says how its port speaks."""
        return {(port.number, service.host): port for service in self.services for port in service.ports}

    @cached_property
    def virtual_services_by_host(self) -> ByHost:
        return ByHost(self.virtual_services)


@dataclass(frozen=True)
class Scope:
    """:param services: that the proxy has clusters for, by host."""

    mesh: Mesh
    proxy: Proxy
    sidecar: Sidecar | None
    services: dict[str, Service] = field(default_factory=dict)
    # What was looked up so far, by host, and by port.
    rules: dict[str, Merged | None] = field(default_factory=dict, compare=False)
    outbound: dict[int, Any] = field(default_factory=dict, compare=False)
    listening: Sequence[Listening] = ()

    def rule_for(self, service: Service) -> Merged | None:
        """The DestinationRule that the proxy goes by for a service."""
        if service.host not in self.rules:
            self.rules[service.host] = destination_rules.effective(self.mesh, self.proxy, service)
        return self.rules[service.host]


class Scopes:
    """Of several proxies, each worked out once."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._known: dict[object, Scope] = {}

    def of(self, proxy: Proxy) -> Scope:
        key = proxy.namespace, proxy.gateway, proxy.dns_capture, _frozen(proxy.labels), _frozen(proxy.ports)
        if key not in self._known:
            self._known[key] = scope_of(self._mesh, proxy)
        return self._known[key]


def _frozen(values: Mapping[Any, Any]) -> tuple[tuple[Any, Any], ...]:
    return tuple(sorted(values.items()))


def scope_of(mesh: Mesh, proxy: Proxy) -> Scope:
    if proxy.gateway:
        found: dict[str, Service] = {}
        for service in services.exported_to(mesh, proxy.namespace):
            services.add(found, service)
        return Scope(mesh, proxy, None, found)
    sidecar = sidecar_of(mesh, proxy)
    egress = (sidecar.egress if sidecar else ()) or (_EVERYTHING,)
    listening = [_listening(mesh, proxy.namespace, listener) for listener in egress]
    return Scope(mesh, proxy, sidecar, _imported(mesh, proxy.namespace, listening), listening=listening)


def sidecar_of(mesh: Mesh, proxy: Proxy) -> Sidecar | None:
    """The Sidecar that a workload's proxy goes by."""
    own = [item for item in mesh.sidecars_by_age if item.meta.namespace == proxy.namespace]
    for item in own:
        if item.selector is not None and selects(item.selector, proxy.labels):
            return item
    for item in own:
        if item.selector is None:
            return item
    root = [item for item in mesh.sidecars_by_age if item.meta.namespace == mesh.settings.root]
    return next((item for item in root if item.selector is None), None)


@dataclass(frozen=True)
class _Hosts:
    """What a Sidecar lists of one namespace, or of all."""

    taken: Sequence[str]
    left_out: Sequence[str]

    def leaves_out(self, host: str) -> bool:
        return any(hosts.covers(wide, host) for wide in self.left_out)

    def takes(self, host: str) -> bool:
        return any(hosts.covers(wide, host) for wide in self.taken)

    def takes_rule(self, host: str) -> bool:
        """A VirtualService is taken where its host overlaps, not only where it is covered."""
        return any(hosts.overlap(wide, host) for wide in self.taken)


class _Listed:
    """The hosts of an egress listener, by namespace."""

    def __init__(self, listed: Iterable[str], own: str) -> None:
        taken: dict[str, list[str]] = {}
        left_out: dict[str, list[str]] = {}
        for entry in listed:
            namespace, slash, host = entry.partition("/")
            if not slash or "/" in host:
                continue
            into = left_out if namespace.startswith("~") else taken
            namespace = namespace.removeprefix("~") or "*"
            into.setdefault(own if namespace == "." else namespace, []).append(host)
        self._hosts = {
            namespace: _Hosts(taken.get(namespace, ()), left_out.get(namespace, ())) for namespace in taken | left_out
        }

    def of(self, namespace: str) -> list[_Hosts]:
        """What is listed of that namespace and of all; the first that takes something counts."""
        return [self._hosts[name] for name in (namespace, "*") if name in self._hosts]


def _listening(mesh: Mesh, namespace: str, listener: EgressListener) -> Listening:
    listed = _Listed(listener.hosts, namespace)
    taken: list[Service] = []
    for service in _candidates(mesh, namespace, listener.hosts):
        found = listed.of(service.meta.namespace)
        if any(item.leaves_out(service.host) for item in found):
            continue
        if any(item.takes(service.host) for item in found) and (fitting := _at(service, listener.port)):
            taken.append(fitting)
    rules = [
        rule
        for rule in virtual_services.bound(mesh, namespace, MESH_GATEWAY)
        if _takes_rule(listed.of(rule.meta.namespace), rule)
    ]
    return Listening(
        listener.port, listener.protocol, listener.bind, services.one_namespace_a_host(taken, namespace), rules
    )


def _candidates(mesh: Mesh, namespace: str, listed: Iterable[str]) -> list[Service]:
    found = services.exported_to(mesh, namespace)
    if any(entry.startswith("*/") or hosts.is_wildcard(entry.partition("/")[2]) for entry in listed):
        return found
    # Hosts that are all named are looked up by name: one service for each, and the oldest first.
    named: dict[tuple[str, str], Service] = {}
    for service in sorted(found, key=lambda service: service.order):
        place = service.meta.namespace, service.host
        if place not in named or (service.kubernetes and not named[place].kubernetes):
            named[place] = service
    return sorted(named.values(), key=lambda service: service.order)


def _takes_rule(found: Sequence[_Hosts], rule: VirtualService) -> bool:
    return any(
        item.takes_rule(host)
        for host in rule.hosts
        if not any(other.leaves_out(host) for other in found)
        for item in found
    )


def _at(service: Service, port: int) -> Service | None:
    """The service as far as it has that port; all of it where none is asked for."""
    return _with(service, {port}) if port else service


def _imported(mesh: Mesh, namespace: str, listening: Iterable[Listening]) -> dict[str, Service]:
    found: dict[str, Service] = {}
    for listener in listening:
        for service in listener.services:
            services.add(found, service)
        for rule in listener.virtual_services:
            for host, ports in _destinations(rule, namespace):
                best = _best(mesh, host, namespace)
                wanted = _with(best, {listener.port} if listener.port else ports) if best else None
                # Most are there already.
                if wanted and found.get(host) is not wanted:
                    services.add(found, wanted)
    return found


def _destinations(rule: VirtualService, namespace: str) -> Iterator[tuple[str, set[int]]]:
    """Hosts that a VirtualService leads to, with the ports; 0 stands for all of them."""
    wanted: dict[str, set[int]] = {}
    for destination in _all_destinations(rule, namespace):
        wanted.setdefault(destination.host, set()).add(destination.port)
    return iter(wanted.items())


def _all_destinations(rule: VirtualService, namespace: str) -> Iterator[Destination]:
    for route in (*rule.tcp, *rule.tls):
        yield from route.destinations
    for http in rule.http:
        # Those that are for callers of other namespaces lead nowhere from here.
        callers = {match.namespace for match in http.matches} - {""}
        if not callers or namespace in callers:
            yield from http.destinations


def _best(mesh: Mesh, host: str, namespace: str) -> Service | None:
    candidates: dict[str, Service] = {}
    for service in mesh.services_of.get(host, []):
        before = candidates.get(service.meta.namespace)
        if before is None or (service.kubernetes and not before.kubernetes):
            candidates[service.meta.namespace] = service
    if namespace in candidates:
        return candidates[namespace]
    seen = [
        service
        for service in candidates.values()
        if visibility.sees(service.exports or mesh.settings.services, service.meta.namespace, namespace)
    ]
    return min(seen, key=lambda service: (not service.kubernetes, service.meta.created), default=None)


def _with(service: Service, ports: set[int]) -> Service | None:
    """The service with these ports only; 0 stands for all of them."""
    if 0 in ports:
        return service
    found = tuple(port for port in service.ports if port.number in ports)
    if len(found) == len(service.ports):
        return service
    return replace(service, ports=found) if found else None
