# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model of Istio is asked about a side: the cluster as it will be, its gateways, and who uses its links. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest, Pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import model as inventory
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, is_server
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts, visibility
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.discovery import undiscovered
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import (
    Backend,
    Caller,
    ClientLink,
    ServerLink,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    DestinationRule,
    Labels,
    Meta,
    Proxy,
    Service,
    VirtualService,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import parse_mesh, parse_settings

__all__ = ["Changes", "Future", "future_of"]


# What may stand in exportTo beside namespaces.
_NO_NAMESPACES = frozenset({"*", ".", "~"})

# An object as an API server gives it: opaque.
Item = Mapping[str, Any]


class _Exported(Protocol):
    @property
    def meta(self) -> Meta:
        """Its name and labels."""

    @property
    def exports(self) -> frozenset[str]:
        """Namespaces that it is exported to."""


class Changes(Protocol):
    """What a run does to objects, as a plan has it."""

    @property
    def strip(self) -> Sequence[Manifest]:
        """Merge patches: they take out what others added."""

    @property
    def force(self) -> Sequence[Manifest]:
        """Applied over what others hold."""

    @property
    def write(self) -> Sequence[Manifest]:
        """Applied."""

    @property
    def delete(self) -> Sequence[Manifest]:
        """Deleted."""


@dataclass(frozen=True)
class Future:
    """A cluster as it will be.

    :param trust_domains: of the mesh: as the gateway's pods show it, else as its settings say; empty for not known.
    :param undiscovered: namespaces that Istio does not look into; the mesh has nothing of them.
    :param pods: of the side's gateway.
    """

    mesh: Mesh
    trust_domains: frozenset[str]
    undiscovered: frozenset[str]
    side: DesiredSide
    pods: Sequence[Pod]

    def gateways(self) -> list[Proxy]:
        """The side's gateway, once for each set of labels that its pods have."""
        every = [pod["labels"] for pod in self.pods] or [self.side["selector"]]
        distinct = {tuple(sorted(labels.items())): labels for labels in every}
        namespace = self.side["namespace"]
        return [Proxy(namespace, labels, gateway=True, ports=self._ports(labels)) for labels in distinct.values()]

    def _ports(self, labels: Labels) -> dict[int, int]:
        """Of every Service that leads to these pods, and those that the links open."""
        found = {number: number for number in self.side["ports"]}
        beside = (item for item in self.mesh.services if item.meta.namespace == self.side["namespace"])
        for service in beside:
            if service.kubernetes and service.selector and selects(service.selector, labels):
                found |= {port.number: port.target or port.number for port in service.ports}
        return found

    # -- a client's links ------------------------------------------------------------------------------------------

    def client_links(self, links: Sequence[inventory.ClientLink], *, everywhere: bool) -> list[ClientLink]:
        """:param everywhere: for workloads of all namespaces that go by something of their own; else for those that
        the link is for.
        """
        elsewhere = [self._caller(namespace) for namespace in self._local_namespaces(links)] if everywhere else []
        gateways = self.gateways()
        return [
            _client_link(link, gateway, elsewhere if everywhere else self._callers(link))
            for link in links
            for gateway in gateways
        ]

    def _callers(self, link: inventory.ClientLink) -> list[Caller]:
        """Those whom the link names, or workloads of no namespace in particular."""
        accounts = [(account["namespace"], account["name"]) for account in link["client_accounts"]]
        known = {namespace for namespace, _account in accounts}
        others = [(namespace, "") for namespace in link["client_namespaces"] if namespace not in known]
        return [self._caller(namespace, account) for namespace, account in [*accounts, *others] or [("", "")]]

    def _caller(self, namespace: str, account: str = "") -> Caller:
        return Caller(Proxy(namespace, dns_capture=self.mesh.settings.dns_capture), account)

    def _local_namespaces(self, links: Sequence[inventory.ClientLink]) -> list[str]:
        """Namespaces whose proxies may go by something of their own for what a link is made of."""
        mesh, ours = self.mesh, _Hosts.of(links)
        found = {item.meta.namespace for item in mesh.sidecars if not item.meta.ours}
        met = (item for item in mesh.services if not item.meta.ours and ours.met_by(item))
        local: list[_Exported] = [
            *(item for item in met if item.host in ours.hosts or not _is_for_all_alike(mesh, item)),
            *(rule for rule in mesh.destination_rules if not rule.meta.ours and ours.ruled_by(rule)),
            *(rule for rule in mesh.virtual_services if not rule.meta.ours and ours.led_by(rule)),
        ]
        found |= {namespace for item in local for namespace in {item.meta.namespace, *item.exports} - _NO_NAMESPACES}
        return sorted(found - {self.side["namespace"], mesh.settings.root})

    # -- a server's links ------------------------------------------------------------------------------------------

    def server_links(self) -> list[ServerLink]:
        links = self.side["links"] if is_server(self.side) else []
        gateways = self.gateways()
        return [self._server_link(link, gateway) for link in links for gateway in gateways]

    def _server_link(self, link: inventory.ServerLink, gateway: Proxy) -> ServerLink:
        return ServerLink(
            name=link["name"],
            host=link["fqdn"],
            tls_port=link["tls_port"],
            http=link["layer"] == "http",
            ingress=gateway,
            credential=link["credential"],
            backend=self._backend(link["backend"]),
            account=next((pod["account"] for pod in self.pods), ""),
            # Policies name SPIFFE identities alone, so that all clients of the custom CA are one to them.
            client=link["client_identities"][0],
            strict=link["peer_authentication"] is not None,
        )

    def _backend(self, place: inventory.LinkBackend) -> Backend:
        host, number = place["host"], place["port"]
        service = next((item for item in self.mesh.services_of.get(host, []) if item.kubernetes), None)
        port = next((item for item in service.ports if item.number == number), None) if service else None
        target = (port.target if port else 0) or number
        return Backend(host, number, place["namespace"], target, service.selector if service else {})


def future_of(
    surroundings: Surroundings, reading: Reading, side: DesiredSide, manifests: Sequence[Manifest], changes: Changes
) -> Future:
    """The cluster once these changes are made."""
    owner = names.Owner(**side["owner"])
    settings = parse_settings(surroundings.mesh_config)
    hidden = undiscovered(settings, surroundings.namespaces or {})
    objects = _after(surroundings.objects, manifests, changes)
    seen = (item for item in objects if item["metadata"]["namespace"] not in hidden)
    # Labels alone prove nothing: what is read as ours stands where runs write.
    known = {key_of(item) for item in (*reading["objects"], *manifests)}
    mesh = parse_mesh(seen, settings, ours=lambda item: key_of(item) in known and _is_of(item, owner))
    pods = reading["pods"][owner.side]
    shown = frozenset(pod["trust_domain"] for pod in pods) - {""}
    said = frozenset() if surroundings.mesh_config is None else frozenset({settings.trust_domain})
    return Future(mesh, shown or said, hidden, side, pods)


def _is_of(item: Item, owner: names.Owner) -> bool:
    """Whether an object is of this instance, on whichever side."""
    labels = item["metadata"].get("labels") or {}
    known = (labels.get(names.LABEL_MANAGED_BY), labels.get(names.LABEL_INSTANCE), labels.get(names.LABEL_CLUSTER))
    return known == (names.MANAGED_BY, owner.instance, owner.cluster)


def _after(there: Iterable[Item], manifests: Sequence[Manifest], changes: Changes) -> Iterator[Item]:
    """The objects as they will be: what is to be written as its manifest has it, and as old as it is."""
    known = {key_of(item): item for item in there}
    services = [item for item in changes.write if item["kind"] == "Service"]
    touched = {key_of(item) for item in (*changes.strip, *changes.force, *changes.write)} - set(map(key_of, services))
    gone = {key_of(item) for item in changes.delete}
    for service in services:
        if live := known.get(key_of(service)):
            known[key_of(service)] = _with_ports(live, service)
    yield from (item for key, item in known.items() if key not in touched | gone)
    yield from (_as_old_as(known.get(key_of(item)), item) for item in manifests if key_of(item) in touched)


def _with_ports(live: Item, written: Manifest) -> Item:
    """The gateway's Service, of which only some ports are written."""
    spec = live.get("spec") or {}
    return {**live, "spec": {**spec, "ports": [*(spec.get("ports") or ()), *written.get("spec", {}).get("ports", ())]}}


def _as_old_as(live: Item | None, manifest: Manifest) -> Item:
    created = live["metadata"].get("creationTimestamp") if live else None
    return {**manifest, "metadata": {**manifest["metadata"], **({"creationTimestamp": created} if created else {})}}


@dataclass(frozen=True)
class _Hosts:
    """The hosts and ports of a client's links, and its gateway's host: what others' objects may be about."""

    hosts: frozenset[str]
    ports: frozenset[int]

    @classmethod
    def of(cls, links: Sequence[inventory.ClientLink]) -> _Hosts:
        found = frozenset({*(link["fqdn"] for link in links), *(link["egress_host"] for link in links)})
        return cls(found, frozenset(link["port"] for link in links))

    def met_by(self, service: Service) -> bool:
        return service.host in self.hosts or any(port.number in self.ports for port in service.ports)

    def ruled_by(self, rule: DestinationRule) -> bool:
        return any(hosts.covers(rule.host, host) for host in self.hosts)

    def led_by(self, rule: VirtualService) -> bool:
        return any(hosts.overlap(taken, host) for taken in rule.hosts for host in self.hosts)


def _is_for_all_alike(mesh: Mesh, service: Service) -> bool:
    """Whether proxies of its own namespace take it as all others do, who are asked about in any case.

    So is nearly every Service of Kubernetes: thousands of namespaces have one on the port of some link.
    """
    claims = {other.meta.namespace for other in mesh.services_of[service.host]}
    return visibility.is_public(service.exports or mesh.settings.services) and len(claims) == 1


def _client_link(link: inventory.ClientLink, gateway: Proxy, callers: Sequence[Caller]) -> ClientLink:
    return ClientLink(
        name=link["name"],
        host=link["fqdn"],
        port=link["port"],
        tls_port=link["tls_port"],
        http=link["layer"] == "http",
        egress=gateway,
        egress_host=link["egress_host"],
        egress_port=link["egress_port"],
        subset=link["name"],
        credential=link["credential"],
        callers=callers,
    )
