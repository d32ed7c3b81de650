# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that decide what Istio's proxies do, as far as they decide. Pure.

PRIVATE to the collection. M(_istio.parsing) makes them of what an API server gives, M(_istio.mesh) holds those of one
cluster. Names are as Istio resolves them: a short host is written out, a gateway is C(NAMESPACE/NAME).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "EVERYBODY",
    "MESH_GATEWAY",
    "NOBODY",
    "NOT_YET",
    "OWN_NAMESPACE",
    "AuthorizationPolicy",
    "BackendPolicy",
    "Condition",
    "Destination",
    "DestinationRule",
    "EgressListener",
    "Endpoint",
    "EnvoyFilter",
    "Expression",
    "Gateway",
    "HttpRoute",
    "Match",
    "Meta",
    "Mode",
    "NamespaceSelector",
    "PeerAuthentication",
    "Policy",
    "Port",
    "PortPolicy",
    "Proxy",
    "Rule",
    "Server",
    "Service",
    "Settings",
    "Sidecar",
    "Subset",
    "TcpRoute",
    "Tls",
    "VirtualService",
]

# Values of exportTo.
EVERYBODY, OWN_NAMESPACE, NOBODY = "*", ".", "~"
# The gateway that stands for all sidecars.
MESH_GATEWAY = "mesh"
# When an object was made that is still to be made: after all others.
NOT_YET = "9999-12-31T23:59:59Z"

Labels = Mapping[str, str]
Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]


@dataclass(frozen=True)
class Meta:
    """:param created: RFC 3339, in seconds; Istio goes by it where two objects want the same.
    :param owner: who made it, as far as its fields or labels tell.
    :param ours: whether it is of the run that asks.
    """

    kind: str
    namespace: str
    name: str
    created: str = NOT_YET
    owner: str = ""
    ours: bool = False

    @property
    def age(self) -> tuple[str, str, str]:
        """The oldest first; Istio orders those of one second by name, then by namespace."""
        return self.created, self.name, self.namespace

    @property
    def title(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Expression:
    """What a selector asks of one label, in the words of Kubernetes: In, NotIn, Exists, DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamespaceSelector:
    labels: Labels = field(default_factory=dict)
    expressions: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What counts of the mesh's own settings (MeshConfig).

    :param services: who sees a Service or ServiceEntry that does not say so; so the other two.
    :param dns_capture: whether workloads' proxies answer DNS where their pods do not say otherwise.
    :param discovery: which namespaces Istio looks into: those that one of them selects, all where there is none.
    """

    root: str = "istio-system"
    trust_domain: str = "cluster.local"
    services: frozenset[str] = frozenset({EVERYBODY})
    virtual_services: frozenset[str] = frozenset({EVERYBODY})
    destination_rules: frozenset[str] = frozenset({EVERYBODY})
    auto_mtls: bool = True
    dns_capture: bool = False
    discovery: tuple[NamespaceSelector, ...] = ()


@dataclass(frozen=True)
class Proxy:
    """A gateway's or a workload's proxy.

    :param ports: those of its Services, and the pods' port behind each; only of gateways.
    :param dns_capture: whether it answers DNS, so that it sees the addresses that Istio gives to ServiceEntries.
    """

    namespace: str
    labels: Labels = field(default_factory=dict)
    gateway: bool = False
    ports: Mapping[int, int] = field(default_factory=dict)
    dns_capture: bool = False


# -- services ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Port:
    """:param protocol: as Istio reads it, in lower case; nothing where it is to be guessed from the bytes.
    :param target: the pods' port behind that of a Kubernetes Service; 0 where it goes by a name, or is the same.
    """

    number: int
    protocol: str = "tcp"
    name: str = ""
    target: int = 0


@dataclass(frozen=True)
class Endpoint:
    """:param address: an IP address, or a host name."""

    address: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """A host that Istio knows: of a Kubernetes Service, or one of a ServiceEntry.

    :param address: nothing where there is none, a CIDR where the ServiceEntry has one.
    :param given: the address that Istio gave to a ServiceEntry without one.
    :param endpoints: None where they are not known, as those of Kubernetes' Services.
    """

    meta: Meta
    host: str
    ports: tuple[Port, ...]
    address: str = ""
    given: str = ""
    resolution: Literal["DNS", "STATIC", "NONE", "CLUSTER", "HEADLESS", "ALIAS"] = "CLUSTER"
    exports: frozenset[str] = frozenset()
    external: bool = False
    endpoints: tuple[Endpoint, ...] | None = None
    labels: Labels = field(default_factory=dict)
    selector: Labels = field(default_factory=dict)

    @property
    def kubernetes(self) -> bool:
        return self.meta.kind == "Service"

    @property
    def order(self) -> tuple[str, str, str]:
        """Istio counts a ServiceEntry by its host, not by its name."""
        return self.meta.created, self.meta.name if self.kubernetes else self.host, self.meta.namespace


# -- DestinationRule -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tls:
    """:param files: whether it names the client's certificate and key as files."""

    mode: str
    credential: str = ""
    sni: str = ""
    names: tuple[str, ...] = ()
    files: bool = False


@dataclass(frozen=True)
class PortPolicy:
    port: int
    tls: Tls | None = None


@dataclass(frozen=True)
class Policy:
    """A trafficPolicy: of all that it may hold, TLS decides."""

    tls: Tls | None = None
    ports: tuple[PortPolicy, ...] = ()


@dataclass(frozen=True)
class Subset:
    name: str
    labels: Labels = field(default_factory=dict)
    policy: Policy | None = None


@dataclass(frozen=True)
class DestinationRule:
    """:param selector: of the workloads that it is for; None where it is for all."""

    meta: Meta
    host: str
    exports: frozenset[str] = frozenset()
    subsets: tuple[Subset, ...] = ()
    policy: Policy | None = None
    selector: Labels | None = None


# -- VirtualService ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """:param subnets: of destinations; C(narrow) whether it asks for anything of a request, such as its path."""

    gateways: frozenset[str] = frozenset()
    port: int = 0
    labels: Labels = field(default_factory=dict)
    namespace: str = ""
    subnets: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
    narrow: bool = False


@dataclass(frozen=True)
class Destination:
    host: str
    port: int = 0
    subset: str = ""


@dataclass(frozen=True)
class TcpRoute:
    """A tcp route, or a tls route: that one's matches name SNIs."""

    matches: tuple[Match, ...]
    destinations: tuple[Destination, ...]


@dataclass(frozen=True)
class HttpRoute:
    """:param answers: whether the proxy answers itself: a redirect, or a direct response."""

    matches: tuple[Match, ...]
    destinations: tuple[Destination, ...]
    answers: bool = False


@dataclass(frozen=True)
class VirtualService:
    meta: Meta
    hosts: tuple[str, ...]
    gateways: frozenset[str]
    exports: frozenset[str] = frozenset()
    tcp: tuple[TcpRoute, ...] = ()
    tls: tuple[TcpRoute, ...] = ()
    http: tuple[HttpRoute, ...] = ()


# -- Gateway -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """:param hosts: as C(NAMESPACE/HOST) where only VirtualServices of that namespace bind.
    :param mode: of TLS; None where it is plain text.
    """

    port: int
    protocol: str
    hosts: tuple[str, ...]
    name: str = ""
    bind: str = ""
    mode: str | None = None
    credential: str = ""


@dataclass(frozen=True)
class Gateway:
    """:param selector: None where it is for every gateway."""

    meta: Meta
    selector: Labels | None
    servers: tuple[Server, ...] = ()


# -- policies ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """One thing that a rule asks for: one of C(values), and none of C(exceptions)."""

    key: str
    values: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule of an AuthorizationPolicy: one of C(sources), one of C(operations), and all of C(conditions)."""

    sources: tuple[tuple[Condition, ...], ...] = ()
    operations: tuple[tuple[Condition, ...], ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class AuthorizationPolicy:
    """:param targeted: whether it names what it is for by targetRefs, which sidecars and gateways like ours ignore."""

    meta: Meta
    action: str
    rules: tuple[Rule, ...] = ()
    selector: Labels = field(default_factory=dict)
    targeted: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class PeerAuthentication:
    """:param mode: None where it is left to the next wider one; so those of C(ports)."""

    meta: Meta
    mode: Mode | None = None
    selector: Labels = field(default_factory=dict)
    ports: Mapping[int, Mode | None] = field(default_factory=dict)


# -- the rest ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EgressListener:
    """:param hosts: C(NAMESPACE/HOST) each.
    :param protocol: that counts on its port, whatever the services say.
    """

    hosts: tuple[str, ...]
    port: int = 0
    bind: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Sidecar:
    """:param selector: None where it is for the whole namespace."""

    meta: Meta
    egress: tuple[EgressListener, ...] = ()
    selector: Labels | None = None


@dataclass(frozen=True)
class EnvoyFilter:
    """:param contexts: of the proxies that it changes, as Istio names them; C(ANY) stands for all."""

    meta: Meta
    contexts: frozenset[str] = frozenset()
    selector: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class BackendPolicy:
    """A BackendTLSPolicy or XBackendTrafficPolicy of the Gateway API.

    :param targets: kind and name of each, in its own namespace.
    """

    meta: Meta
    targets: tuple[tuple[str, str], ...] = ()
