# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of what is read in a cluster, and of what is written there. Plain JSON but for what a pod's proxy does.

PRIVATE to the collection. What stands in an object's C(spec) is Kubernetes' and Istio's own, and opaque here.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Proxy
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side

__all__ = [
    "Backend",
    "ClusterReading",
    "ForeignGateway",
    "ForeignPolicy",
    "GatewayServer",
    "Identity",
    "IpBlock",
    "Life",
    "LiveMetadata",
    "LiveObject",
    "LiveSecret",
    "ManagedFields",
    "Manifest",
    "Metadata",
    "NetworkPeer",
    "NetworkPort",
    "OwnerReference",
    "Place",
    "Pod",
    "PolicyRule",
    "SecretTrust",
    "Service",
    "ServicePort",
    "Spec",
]

# Opaque: only compared, and handed on.
Spec = dict[str, Any]


class Place(TypedDict):
    namespace: str
    name: str


# -- objects -------------------------------------------------------------------------------------------------------


class Metadata(Place):
    labels: NotRequired[dict[str, str]]


class Manifest(TypedDict):
    """What is sent to an API server; to delete an object its name is enough, to leave it no spec."""

    apiVersion: str
    kind: str
    metadata: Metadata
    spec: NotRequired[Spec]


class ManagedFields(TypedDict):
    """One entry of C(metadata.managedFields): who holds which fields, and when it last wrote one of them."""

    manager: str
    time: NotRequired[str]
    fieldsV1: NotRequired[Spec]


class OwnerReference(TypedDict):
    """With whom Kubernetes deletes an object."""

    kind: str
    name: str


class Life(TypedDict):
    """What ends an object or keeps it as it is, as Kubernetes names it; only where it has any.

    :param immutable: of a Secret.
    """

    deletionTimestamp: NotRequired[str]
    finalizers: NotRequired[list[str]]
    ownerReferences: NotRequired[list[OwnerReference]]
    immutable: NotRequired[bool]


class LiveMetadata(Place, Life):
    """:param managedFields: without those of our own managers.
    :param tracker: the GitOps tool that applies it; empty where none does.
    """

    labels: dict[str, str]
    creationTimestamp: str
    managedFields: list[ManagedFields]
    tracker: str


class LiveObject(TypedDict):
    """An object that is ours, or that stands under a name of ours."""

    apiVersion: str
    kind: str
    metadata: LiveMetadata
    spec: Spec


class LiveSecret(Place, Life):
    """A Secret without its key.

    :param keys: of its data.
    :param certificate: PEM of the leaf and what follows it; trust and lists are PEM as well, each empty where it lacks.
    :param managedFields: of all managers, ours among them.
    :param version: C(metadata.resourceVersion); empty for a directory.
    :param witness: which state of the CA store its trust was written from, as it says; empty where it does not.
    """

    labels: dict[str, str]
    type: str
    keys: list[str]
    certificate: str
    trust: str
    lists: str
    key_matches: bool
    managedFields: list[ManagedFields]
    version: str
    witness: str


# -- what others have ----------------------------------------------------------------------------------------------


class GatewayServer(TypedDict):
    """One server of a Gateway.

    :param port: its number; None where it names none.
    :param plain: whether it takes plain text.
    """

    port: int | None
    protocol: str
    plain: bool
    hosts: list[str]
    bind: str


class ForeignGateway(Place):
    """:param created: RFC 3339; Istio serves the older of two."""

    created: str
    selector: dict[str, str]
    servers: list[GatewayServer]


class NetworkPort(TypedDict):
    port: NotRequired[int | str]
    endPort: NotRequired[int]
    protocol: NotRequired[str]


class IpBlock(TypedDict):
    cidr: str


class NetworkPeer(TypedDict):
    ipBlock: NotRequired[IpBlock]


class PolicyRule(TypedDict):
    """A rule of a NetworkPolicy, as Kubernetes has it, as far as it is looked at."""

    ports: NotRequired[list[NetworkPort] | None]
    to: NotRequired[list[NetworkPeer] | None]


class ForeignPolicy(Place):
    """:param egress: empty where the policy does not limit egress."""

    egress: list[PolicyRule]


# -- gateways and backends -----------------------------------------------------------------------------------------


class ServicePort(TypedDict):
    port: int
    name: NotRequired[str]
    protocol: NotRequired[str]
    targetPort: NotRequired[int | str]


class Service(Place):
    """A gateway's Service.

    :param owners: managers of each port, by C(NUMBER/PROTOCOL).
    :param written: when each manager last wrote something that it holds.
    :param addresses: IP addresses and host names at which it is reached from outside.
    """

    type: str
    selector: dict[str, str]
    ports: list[ServicePort]
    owners: dict[str, list[str]]
    written: dict[str, str]
    addresses: list[str]


class SecretTrust(TypedDict):
    """What a pod trusts for one Secret: fingerprints of roots, identities of revocation lists."""

    roots: list[str]
    lists: list[str]


class Pod(Place):
    """A gateway's running pod.

    :param serials: of the certificates that it serves; None where it was not asked, or did not answer.
    :param trust: by Secret; None where it was not asked.
    :param account: its service account.
    :param trust_domain: of its mesh, as its certificate has it; empty where that is not known.
    :param problem: why it did not answer.
    :param forbidden: whether that was for want of permission.
    :param proxy: what it does for links; None where it was not asked.
    """

    uid: str
    labels: dict[str, str]
    account: str
    trust_domain: str
    ready: bool
    serials: list[str] | None
    trust: dict[str, SecretTrust] | None
    problem: str
    forbidden: bool
    proxy: Proxy | None


class Backend(TypedDict):
    """A Service that links lead to.

    :param ports: of TCP; None for an alias, which has those of the host that it stands for.
    :param sidecars: how many of C(pods) have one.
    """

    service: str
    namespace: str
    found: bool
    ports: list[int] | None
    pods: int
    sidecars: int


class Identity(TypedDict):
    """Who asks, and which cluster answers.

    :param user: empty where the API server does not tell.
    :param cluster_uid: of the namespace kube-system, which is made with the cluster; empty where it may not be read.
    """

    user: str
    cluster_uid: str


class ClusterReading(TypedDict):
    """All that was read of one cluster.

    :param of_others: titles of what this instance has here for other clusters, by their names; of the kinds that are
        read whole, which every link has.
    :param strays: titles of what bears all labels of this instance and cluster, and is not ours.
    :param missing_kinds: kinds that the API server does not know.
    :param sidecars: of others, in namespaces that are to be locked down; so C(network_policies).
    :param services: of the gateways; None where there is none.
    :param strangers: pods with a gateway's labels and without a proxy, as NAMESPACE/NAME.
    :param mesh_roots: SHA-256 of the public keys of the mesh's own CA: every certificate of such a key trusts the same.
    :param clock_ahead: seconds by which the controller is ahead of the API server.
    """

    cluster: str
    identity: Identity
    objects: list[LiveObject]
    of_others: dict[str, list[str]]
    strays: list[str]
    missing_kinds: list[str]
    gateways: list[ForeignGateway]
    sidecars: list[Place]
    network_policies: list[ForeignPolicy]
    secrets: list[LiveSecret]
    services: dict[Side, Service | None]
    pods: dict[Side, list[Pod]]
    strangers: dict[Side, list[str]]
    mesh_roots: list[str]
    backends: list[Backend]
    clock_ahead: float
