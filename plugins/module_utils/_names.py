# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every name that the collection gives: objects, labels, field managers, DNS identities. Pure.

PRIVATE to the collection. The objects are named as in the reference tutorial, with the link's name for C(mysql).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = [
    "CLIENT_LINK",
    "DEFAULT_INSTANCE",
    "KINDS",
    "LABEL_CLUSTER",
    "LABEL_INSTANCE",
    "LABEL_LINK",
    "LABEL_MANAGED_BY",
    "LABEL_SIDE",
    "LOCKDOWN_KINDS",
    "MANAGED_BY",
    "OBJECTS",
    "OLDEST_ISTIO",
    "ROOT_NAMESPACE",
    "SIDES",
    "SUPPORTED_ISTIO",
    "WORKLOAD_KINDS",
    "Kind",
    "Owner",
    "Side",
    "cacert_secret",
    "client_objects",
    "client_secret_of_link",
    "cluster_identity",
    "external",
    "gives_object",
    "gives_secret",
    "is_reserved",
    "link_identity",
    "link_of",
    "lockdown_objects",
    "server_objects",
    "server_secret",
    "service_host",
    "service_port_name",
]

Side = Literal["server", "client"]
SIDES: tuple[Side, ...] = get_args(Side)

MANAGED_BY = "crossmesh"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_INSTANCE = "crossmesh/instance"
LABEL_CLUSTER = "crossmesh/cluster"
LABEL_SIDE = "crossmesh/side"
LABEL_LINK = "crossmesh/link"
# On Secrets: which state of the CA store their trust was written from.
ANNOTATION_WITNESS = "crossmesh/ca-store"

# What an inventory that names none is.
DEFAULT_INSTANCE = "default"

# The client's Secret and its lock-downs serve every link of the cluster; a link cannot be called so (reserved names).
CLIENT_LINK = "client"

# Istio's own, where its control plane is unless somebody moved it.
ROOT_NAMESPACE = "istio-system"

# Before it nothing was tested.
OLDEST_ISTIO = (1, 24)
SUPPORTED_ISTIO = "Istio {}.{} or later".format(*OLDEST_ISTIO)


@dataclass(frozen=True)
class Kind:
    """A kind of object that the collection writes: its API group, version and plural."""

    kind: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"


# In the order in which they are written: a reference follows what it refers to.
KINDS: tuple[Kind, ...] = (
    Kind("ServiceEntry", "networking.istio.io", "v1", "serviceentries"),
    Kind("Gateway", "networking.istio.io", "v1", "gateways"),
    Kind("DestinationRule", "networking.istio.io", "v1", "destinationrules"),
    Kind("VirtualService", "networking.istio.io", "v1", "virtualservices"),
    Kind("PeerAuthentication", "security.istio.io", "v1", "peerauthentications"),
    Kind("AuthorizationPolicy", "security.istio.io", "v1", "authorizationpolicies"),
    Kind("Sidecar", "networking.istio.io", "v1", "sidecars"),
    Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
)
# Read only as far as that is permitted, unless a cluster is to have a lock-down.
LOCKDOWN_KINDS = frozenset({"Sidecar", "NetworkPolicy"})
# They stand in namespaces of workloads, whose people may write such objects too; all others stand with the gateways.
WORKLOAD_KINDS = frozenset({"PeerAuthentication", *LOCKDOWN_KINDS})

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
# In the place of a link's name; no name has it.
_ANY = "\0"


@dataclass(frozen=True)
class Owner:
    """Whose objects: one side of one cluster in one instance of the collection."""

    instance: str
    cluster: str
    side: Side

    @property
    def manager(self) -> str:
        """The field manager of objects and Service ports."""
        return f"crossmesh-{self.instance}-{self.cluster}-{self.side}"

    @property
    def identity_manager(self) -> str:
        """The field manager of C(tls.crt) and C(tls.key) in a Secret."""
        return f"{self.manager}-identity"

    @property
    def trust_manager(self) -> str:
        """The field manager of C(ca.crt) and C(ca.crl) in a Secret."""
        return f"{self.manager}-trust"

    def labelled(self, labels: Mapping[str, str]) -> bool:
        """Whether labels name this owner; the link's label is not compared."""
        own = self.labels("")
        return all(labels.get(key) == own[key] for key in own if key != LABEL_LINK)

    def labels(self, link: str) -> dict[str, str]:
        return {
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_INSTANCE: self.instance,
            LABEL_CLUSTER: self.cluster,
            LABEL_SIDE: self.side,
            LABEL_LINK: link,
        }


def server_objects(link: str) -> dict[str, tuple[str, ...]]:
    """Names of the objects that a link has in a server's cluster, by kind."""
    return {
        "Gateway": (f"gateway-{link}",),
        "VirtualService": (f"{link}-virtual-service",),
        "PeerAuthentication": (f"{link}-strict-backend",),
    }


def client_objects(link: str) -> dict[str, tuple[str, ...]]:
    """Names of the objects that a link has in a client's cluster, by kind."""
    return {
        "ServiceEntry": (f"{link}-external",),
        "Gateway": (f"egressgateway-{link}",),
        "DestinationRule": (f"egressgateway-for-{link}", f"originate-mtls-for-{link}"),
        "VirtualService": (f"direct-{link}-through-egress-gateway",),
        "AuthorizationPolicy": (f"egressgateway-{link}-workloads",),
    }


OBJECTS: Mapping[Side, Callable[[str], Mapping[str, tuple[str, ...]]]] = {
    "server": server_objects,
    "client": client_objects,
}


def lockdown_objects() -> dict[str, str]:
    """The name of each object that locks a namespace's egress down, by kind."""
    return dict.fromkeys(sorted(LOCKDOWN_KINDS), "egress-lockdown")


def gives_object(side: Side, kind: str, name: str) -> bool:
    """Whether an object of a side is called so: for a link of whatever name, or as a namespace's lock-down."""
    if side == "client" and lockdown_objects().get(kind) == name:
        return True
    return any(_is_of_a_link(name, pattern) for pattern in OBJECTS[side](_ANY).get(kind, ()))


def gives_secret(side: Side, name: str, prefix: str) -> bool:
    """The same of a Secret.

    :param prefix: C(mesh_client_credential_prefix).
    """
    if side == "server":
        return _is_of_a_link(name, server_secret(_ANY))
    return name == prefix or _is_of_a_link(name, client_secret_of_link(_ANY, prefix))


def _is_of_a_link(name: str, pattern: str) -> bool:
    before, after = pattern.split(_ANY)
    link = name.removeprefix(before).removesuffix(after)
    return name == f"{before}{link}{after}" and bool(_LABEL.fullmatch(link)) and not is_reserved(link)


def is_reserved(link: str) -> bool:
    """Whether no link can be called so: a server's Secret would have the name of a client's."""
    return link == CLIENT_LINK or link.endswith(f"-{CLIENT_LINK}")


def server_secret(link: str) -> str:
    return f"{link}-credential"


def cacert_secret(secret: str) -> str:
    """The Secret beside one of ours of which Istio would take the CA; never made by us."""
    return f"{secret}-cacert"


def external(link: str) -> str:
    """Who holds the certificate of an external server, in the CA's records: no cluster has such a name."""
    return f"external:{link}"


def client_secret_of_link(link: str, prefix: str) -> str:
    """The client's Secret for a server that has a certificate of its owner's CA."""
    return f"{link}-{prefix}"


def service_port_name(port: int) -> str:
    """Deterministic by number, so that two instances can own one port together (server-side apply)."""
    return f"tls-{port}"


def service_host(service: str, namespace: str) -> str:
    return f"{service}.{namespace}.svc.cluster.local"


def cluster_identity(cluster: str, trust_domain: str) -> str:
    """The DNS SAN by which a client certificate names its cluster."""
    return f"{cluster}.cluster.{trust_domain}"


def link_identity(link: str, trust_domain: str) -> str:
    """The DNS SAN by which a client certificate names a link that it may use."""
    return f"{link}.link.{trust_domain}"


def link_of(san: str) -> str:
    """The link that a DNS SAN of a client certificate names, whatever the trust domain; empty for another name."""
    link, mark, _domain = san.partition(".link.")
    return link if mark and "." not in link else ""
