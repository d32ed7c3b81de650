# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of links as they are given, and of what is derived from them. Plain JSON: templates read it by its keys.

PRIVATE to the collection. What each given key means stands in M(_inventory/schema). A GivenLink is what somebody wrote:
a rule reads a key of it once it is known to be sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, TypeAlias, TypedDict, final

from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Role

if TYPE_CHECKING:
    # Python has it from 3.13 on.
    from typing_extensions import TypeIs

__all__ = [
    "BackendPlace",
    "ClientLink",
    "ClientSide",
    "Desired",
    "DesiredLink",
    "DesiredSide",
    "Endpoint",
    "ExternalServer",
    "GatewayPlace",
    "GivenBackend",
    "GivenExternal",
    "GivenLink",
    "GivenProbe",
    "GivenRetries",
    "GivenServer",
    "GivenWorkloads",
    "IstioRetries",
    "LinkBackend",
    "Lockdown",
    "OwnerJson",
    "Probe",
    "ProbePlace",
    "ProbeType",
    "Protocol",
    "ReadingRequest",
    "SecretPlace",
    "ServerLink",
    "ServerSide",
    "SideFrame",
    "WantedLink",
    "WantedSecret",
    "WorkloadPolicy",
    "Workloads",
    "gateway_port",
    "is_client",
    "is_server",
]

Protocol = Literal["tcp", "http", "http2", "grpc"]
ProbeType = Literal["tcp", "http", "grpc", "mysql"]


# -- what is given -------------------------------------------------------------------------------------------------


class GivenBackend(TypedDict):
    host: str
    port: int


class GivenServer(TypedDict):
    name: str
    address: NotRequired[str | None]
    locality: NotRequired[str | None]


class GivenExternal(TypedDict):
    address: str
    port: int
    ca: NotRequired[str | None]
    trust: NotRequired[str | None]
    sni: NotRequired[str | None]


class GivenWorkloads(TypedDict):
    namespaces: NotRequired[list[object] | None]
    service_accounts: NotRequired[list[object] | None]


class Workloads(TypedDict):
    namespaces: NotRequired[list[str] | None]
    service_accounts: NotRequired[list[str] | None]


class GivenRetries(TypedDict):
    attempts: int
    per_try_timeout: NotRequired[str | None]
    retry_on: NotRequired[str | None]


class ProbePlace(TypedDict):
    """The pod in which a probe is asked."""

    namespace: str
    selector: dict[str, str]
    container: NotRequired[str | None]


# By a call: C(from) is a word of Python's. In quotes: pylint takes a union that is evaluated for something without |.
GivenProbe = TypedDict(
    "GivenProbe",
    {
        "type": ProbeType,
        "from": ProbePlace,
        "path": NotRequired["str | None"],
        "status": NotRequired["str | None"],
        "service": NotRequired["str | None"],
        "banner": NotRequired["str | None"],
        "required": NotRequired["bool | None"],
    },
)


class _Link(TypedDict):
    name: str
    fqdn: str
    port: int
    tls_port: int
    backend: GivenBackend
    external: NotRequired[GivenExternal | None]
    max_connection_duration: NotRequired[str | None]
    timeout: NotRequired[str | None]
    retries: NotRequired[GivenRetries | None]
    probe: NotRequired[GivenProbe | None]


class GivenLink(_Link):
    """An entry of mesh_links, of whose lists nobody knows yet what they hold."""

    protocol: NotRequired[str | None]
    servers: NotRequired[list[object] | None]
    clients: NotRequired[list[object] | None]
    addresses: NotRequired[list[object] | None]
    foreign_clients: NotRequired[list[object] | None]
    workloads: NotRequired[GivenWorkloads | None]
    strict_backend: NotRequired[bool | None]
    allow_backend_port: NotRequired[bool | None]
    state: NotRequired[str | None]


class WantedLink(_Link):
    """A link that is to be there, every key that has a default filled in."""

    protocol: Protocol
    servers: NotRequired[list[str | GivenServer] | None]
    clients: NotRequired[list[str] | None]
    workloads: NotRequired[Workloads | None]
    addresses: list[str]
    foreign_clients: list[str]
    strict_backend: bool
    allow_backend_port: bool
    state: str


class GatewayPlace(TypedDict):
    """Where a gateway's Service and pods are."""

    namespace: str
    service: str
    selector: dict[str, str]


@dataclass(frozen=True)
class ExternalServer:
    """A server in no cluster that has a certificate of the custom CA.

    :param directory: on the controller, where its credential is kept.
    :param sni: the name in its certificate.
    """

    link: str
    directory: Path
    sni: str
    address: str
    port: int


# -- what is derived -----------------------------------------------------------------------------------------------


class OwnerJson(TypedDict):
    """The fields of an Owner."""

    instance: str
    cluster: str
    side: Side


class WantedSecret(TypedDict):
    """A Secret that a side is to have.

    :param link: the link's name, or C(client) where it is for all of a client's links.
    :param left_sans: of other links, in a run for some: no reason to issue where they are there, and never issued.
    :param trust: PEM of another CA's roots; empty for the custom CA's own.
    """

    name: str
    link: str
    labels: dict[str, str]
    role: Role
    common_name: str
    sans: list[str]
    left_sans: NotRequired[list[str]]
    trust: str


class IstioRetries(TypedDict):
    """In Istio's words."""

    attempts: int
    perTryTimeout: NotRequired[str]
    retryOn: NotRequired[str]
    retryRemoteLocalities: NotRequired[bool]


class Endpoint(TypedDict):
    """One endpoint of a ServiceEntry.

    :param ports: numbers by the ports' names.
    """

    address: str
    ports: dict[str, int]
    locality: NotRequired[str]


class Probe(TypedDict):
    """What is asked over a link, with its defaults.

    :param container: empty for the pod's own.
    :param statuses: the first and the last that an answer to C(http) may have.
    """

    type: ProbeType
    namespace: str
    selector: dict[str, str]
    container: str
    path: str
    statuses: list[int]
    service: str
    banner: str
    required: bool


class WorkloadPolicy(TypedDict):
    """The AuthorizationPolicy of a link: its name, and whom it refuses."""

    name: str
    source: dict[str, list[str]]


class AccountPlace(TypedDict):
    """A service account."""

    namespace: str
    name: str


class BackendPlace(TypedDict):
    service: str
    namespace: str


class LinkBackend(GivenBackend, BackendPlace):
    """Where a link leads to in the server's cluster."""


@final
class ServerLink(TypedDict):
    """A link as its server's cluster has it.

    :param layer: the kind of routes in a VirtualService.
    :param client_identities: who may use it, as client certificates name them.
    :param gateway: the name of the object of that kind; so C(virtual_service) and C(peer_authentication), which is None
        where the link has none.
    """

    name: str
    fqdn: str
    tls_port: int
    tls_protocol: str
    layer: str
    retries: IstioRetries | None
    backend: LinkBackend
    labels: dict[str, str]
    namespace: str
    selector: dict[str, str]
    credential: str
    client_identities: list[str]
    gateway: str
    virtual_service: str
    peer_authentication: str | None


@final
class ClientLink(TypedDict):
    """A link as its client's cluster has it.

    :param port: what workloads dial.
    :param tls_port: where the server's gateway listens.
    :param egress_port: of this cluster's egress gateway, towards the workloads.
    :param gateway_retries: what the egress gateway does; C(retries) is for the workloads' own proxies.
    :param connect_timeout: with its unit, as Istio takes it; so C(timeout) and C(max_connection_duration).
    :param export_to: who sees the link; None for everybody.
    :param client_namespaces: of the workloads that may use it; empty for all.
    :param caller_identities: the SPIFFE identities that the egress gateway asks for in the handshake; empty for any of
        the mesh, as a gateway takes whole identities only.
    :param client_accounts: the service accounts that may use it, beside whole namespaces.
    """

    name: str
    fqdn: str
    port: int
    port_name: str
    port_protocol: str
    tls_port: int
    external: bool
    tls_protocol: str
    layer: str
    h2_upgrade: str | None
    timeout: str | None
    retries: IstioRetries | None
    gateway_retries: IstioRetries | None
    addresses: list[str]
    endpoints: list[Endpoint]
    connect_timeout: str
    export_to: list[str] | None
    client_namespaces: list[str]
    client_accounts: list[AccountPlace]
    max_connection_duration: str | None
    labels: dict[str, str]
    namespace: str
    selector: dict[str, str]
    egress_host: str
    egress_port: int
    sni: str
    credential: str
    caller_identities: list[str]
    workload_policy: WorkloadPolicy | None
    probe: Probe | None
    service_entry: str
    gateway: str
    destination_rule_egress: str
    destination_rule_origination: str
    virtual_service: str


class Lockdown(TypedDict):
    """A namespace of workloads whose egress is closed but for links.

    :param sidecar: the name of the object of that kind; so C(network_policy).
    :param cidrs: what may still be reached by address.
    """

    namespace: str
    labels: dict[str, str]
    sidecar: str
    network_policy: str
    gateway_namespace: str
    gateway_selector: dict[str, str]
    cidrs: list[str]


class SideFrame(GatewayPlace):
    """Of a side, whatever links it has."""

    owner: OwnerJson
    manager: str
    lockdowns: list[Lockdown]


class _Side(SideFrame):
    ports: list[int]
    secrets: list[WantedSecret]


class ServerSide(_Side):
    """What a cluster is to have as a server: its gateway is the ingress gateway.

    :param manager: the field manager of its objects.
    :param ports: that the gateway's Service has to have.
    """

    links: list[ServerLink]


class ClientSide(_Side):
    """The same as a client: its gateway is the egress gateway."""

    links: list[ClientLink]


DesiredSide: TypeAlias = ServerSide | ClientSide
# In quotes: pylint takes a class that is final for something without |.
DesiredLink: TypeAlias = "ServerLink | ClientLink"


class SecretPlace(TypedDict):
    namespace: str
    name: str


class ReadingRequest(TypedDict):
    """What has to be read of a cluster.

    :param lockdown: namespaces.
    :param secrets: those that the links need.
    :param sides: those that have links.
    """

    instance: str
    cluster: str
    ingress_gateway: GatewayPlace
    egress_gateway: GatewayPlace
    links: list[str]
    client_credential: str
    backends: list[BackendPlace]
    lockdown: list[str]
    secrets: list[SecretPlace]
    sides: list[Side]


class Desired(TypedDict):
    """The whole view of one cluster."""

    request: ReadingRequest
    server: ServerSide
    client: ClientSide


def is_server(side: DesiredSide) -> TypeIs[ServerSide]:
    return side["owner"]["side"] == "server"


def is_client(side: DesiredSide) -> TypeIs[ClientSide]:
    return side["owner"]["side"] == "client"


def gateway_port(link: DesiredLink) -> int:
    """The port of this side's own gateway that the link needs."""
    return link["egress_port"] if "egress_port" in link else link["tls_port"]
