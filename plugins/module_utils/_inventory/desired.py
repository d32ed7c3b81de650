# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From C(mesh_links) and a cluster's variables to the full, defaulted view that templates and tasks read. Pure.

PRIVATE to the collection. Nothing downstream computes what this view can hold. The checks are in
link_rules and cluster_rules; a view is made of links that passed them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    AccountPlace,
    ClientLink,
    ClientSide,
    Desired,
    Endpoint,
    ExternalServer,
    GatewayPlace,
    GivenLink,
    GivenServer,
    IstioRetries,
    Lockdown,
    Probe,
    Protocol,
    ReadingRequest,
    ServerLink,
    ServerSide,
    SideFrame,
    WantedLink,
    WantedSecret,
    WorkloadPolicy,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import bundle

__all__ = [
    "SLOWEST_CONNECTION",
    "Cluster",
    "Settings",
    "addresses_of",
    "beyond_sight",
    "client_links",
    "cluster_of",
    "external_servers",
    "has_own_endpoints",
    "has_owners_ca",
    "present",
    "resolve",
    "server_links",
    "settings_of",
]

CLIENTS_GROUP = "mesh_clients"
SERVERS_GROUP = "mesh_servers"
EVERY_HOST = "all"
# Seconds that any proxy of a link waits for a connection: of its own accord, and by Istio's default elsewhere.
SLOWEST_CONNECTION = 10


@dataclass(frozen=True)
class Cluster:
    """A cluster as its own variables describe it.

    :param trust_domain: of its own mesh.
    :param dns: who tells its workloads the virtual addresses of links; empty for nobody.
    """

    name: str
    groups: frozenset[str]
    ingress_gateway: GatewayPlace
    egress_gateway: GatewayPlace
    egress_port: int
    trust_domain: str
    dns: str
    egress_lockdown: Sequence[str]
    cluster_cidrs: Sequence[str]
    state: str

    def is_meant_by(self, references: Iterable[str | GivenServer]) -> bool:
        """Whether one of the references (a name, a group or a mapping with a name) means this cluster."""
        return self.name in _names(references) or not self.groups.isdisjoint(_names(references))


@dataclass(frozen=True)
class Settings:
    """What all clusters of an instance share."""

    instance: str
    trust_domain: str
    client_credential: str
    vip_range: str


def cluster_of(variables: Mapping[str, Any]) -> Cluster:
    """A cluster from its variables (contract names), the schema's defaults filled in."""
    value = _filled(variables, schema.defaults(schema.CLUSTER))
    return Cluster(
        name=value["mesh_cluster_name"],
        # Ansible leaves the group that holds every host out of group_names.
        groups=frozenset({EVERY_HOST, *value.get("groups", ())}),
        ingress_gateway=_gateway("mesh_ingress_gateway", value),
        egress_gateway=_gateway("mesh_egress_gateway", value),
        egress_port=value["mesh_egress_port"],
        trust_domain=value["mesh_trust_domain"],
        dns=value.get("mesh_dns", ""),
        egress_lockdown=value["mesh_egress_lockdown"],
        cluster_cidrs=value["mesh_cluster_cidrs"],
        state=value["mesh_cluster_state"],
    )


def settings_of(variables: Mapping[str, Any]) -> Settings:
    """What all clusters share, from variables under their own names."""
    value = _filled(variables, schema.defaults(schema.SHARED))
    return Settings(
        instance=value["mesh_instance"],
        trust_domain=value["custom_ca_trust_domain"],
        client_credential=value["mesh_client_credential_prefix"],
        vip_range=value["mesh_vip_range"],
    )


def _gateway(name: str, value: Mapping[str, Any]) -> GatewayPlace:
    return cast(GatewayPlace, _filled(value[name], schema.defaults(schema.CLUSTER)[name]))


def _filled(given: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, Any]:
    """Defaults where nothing is given; a key without a value (YAML's null) gives nothing."""
    return {**defaults, **{key: value for key, value in given.items() if value is not None}}


def present(links: Iterable[GivenLink]) -> list[WantedLink]:
    """The links that are wanted, every key defaulted; the port of an external server takes C(tls_port)'s place."""
    full = (cast(WantedLink, _filled(link, schema.defaults(schema.LINK))) for link in links)
    return [
        {**link, "tls_port": external["port"]} if (external := link.get("external")) else link
        for link in full
        if link["state"] == "present"
    ]


def beyond_sight(links: Iterable[GivenLink]) -> list[str]:
    """The links with an external server or foreign clients: no run sees whether these trust the custom CA's roots."""
    return [link["name"] for link in present(links) if link.get("external") or link["foreign_clients"]]


def external_servers(links: Iterable[GivenLink]) -> list[ExternalServer]:
    """The external servers that have certificates of the custom CA, and where these are kept."""
    return [
        ExternalServer(
            link=link["name"],
            directory=Path(directory),
            sni=external.get("sni") or link["fqdn"],
            address=external["address"],
            port=external["port"],
        )
        for link in present(links)
        if (external := link.get("external")) and (directory := external.get("ca"))
    ]


def server_links(links: Sequence[WantedLink], cluster: Cluster) -> list[WantedLink]:
    """The links that this cluster serves: it is in the servers' group and the link means it."""
    if cluster.state == "absent" or SERVERS_GROUP not in cluster.groups:
        return []
    return [link for link in links if _serves(link, cluster)]


def client_links(links: Sequence[WantedLink], cluster: Cluster) -> list[WantedLink]:
    """The links that this cluster's workloads dial."""
    if cluster.state == "absent" or CLIENTS_GROUP not in cluster.groups:
        return []
    return [link for link in links if _dials(link, cluster)]


def _serves(link: WantedLink, cluster: Cluster) -> bool:
    if link.get("external"):
        return False
    references = link.get("servers")
    if references is None:
        return SERVERS_GROUP in cluster.groups
    return cluster.is_meant_by(references)


def _dials(link: WantedLink, cluster: Cluster) -> bool:
    references = link.get("clients")
    if references is not None and cluster.name in _names(references):
        return True
    # A group, like the default, means those of its members that do not serve the link: no cluster is to dial itself.
    return (references is None or cluster.is_meant_by(references)) and not _serves(link, cluster)


def addresses_of(links: Sequence[WantedLink], cluster: Cluster, vip_range: str) -> dict[str, list[str]]:
    """Of each link that a client dials: what its FQDN resolves to for workloads, where a proxy has to know it.

    Where somebody tells workloads of virtual addresses, every link has one from its first day: the next link on the
    same port then takes nothing away from it.
    """
    on_port = Counter(link["port"] for link in links)
    network = ipaddress.ip_network(vip_range)
    found = {}
    for link in links:
        shares = link["protocol"] == "tcp" and on_port[link["port"]] > 1 and has_own_endpoints(link, [link["fqdn"]])
        virtual = [_virtual_address(link["name"], network)] if cluster.dns or shares else []
        found[link["name"]] = list(link["addresses"]) or virtual
    return found


def has_own_endpoints(link: WantedLink, virtual: Collection[str]) -> bool:
    """Whether egress gateways reach the servers without resolving names that may be virtual addresses for them."""
    if external := link.get("external"):
        return external["address"] not in virtual
    servers = link.get("servers") or []
    given = [server.get("address") for server in servers if not isinstance(server, str)]
    return bool(servers) and len(given) == len(servers) and all(given) and not any(name in virtual for name in given)


def _virtual_address(name: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """By the name alone: the same in every cluster and every run, whatever other links there are."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    # Neither the network's own address nor its last one.
    return str(network[1 + digest % (network.num_addresses - 2)])


def _names(references: Iterable[str | GivenServer]) -> set[str]:
    return {reference if isinstance(reference, str) else reference["name"] for reference in references}


def resolve(links: Sequence[GivenLink], cluster: Cluster, settings: Settings) -> Desired:
    """The whole view of one cluster: both sides, each with its owner, gateway and links.

    The result is made of plain dicts, lists, strings and numbers: tasks register it, templates loop over it.
    """
    wanted = present(links)
    server = _server_side(server_links(wanted, cluster), cluster, settings)
    client = _client_side(client_links(wanted, cluster), cluster, settings)
    # The last link of one cluster may go: that opens no namespace. Without any link there is nothing left of ours.
    if wanted and cluster.state == "present" and CLIENTS_GROUP in cluster.groups:
        client["lockdowns"] = _lockdowns(cluster, settings)
    return {"request": _request(server, client, cluster, settings), "server": server, "client": client}


def _request(server: ServerSide, client: ClientSide, cluster: Cluster, settings: Settings) -> ReadingRequest:
    """Arguments of the module that reads a cluster."""
    backends = {(link["backend"]["service"], link["backend"]["namespace"]) for link in server["links"]}
    secrets = [(side["namespace"], item["name"]) for side in (server, client) for item in side["secrets"]]
    return {
        "instance": settings.instance,
        "cluster": cluster.name,
        "ingress_gateway": cluster.ingress_gateway,
        "egress_gateway": cluster.egress_gateway,
        "links": sorted({*(link["name"] for link in server["links"]), *(link["name"] for link in client["links"])}),
        "client_credential": settings.client_credential,
        "backends": [{"service": service, "namespace": namespace} for service, namespace in sorted(backends)],
        "lockdown": [item["namespace"] for item in client["lockdowns"]],
        "secrets": [{"namespace": namespace, "name": name} for namespace, name in sorted(secrets)],
        "sides": [side["owner"]["side"] for side in (server, client) if side["links"]],
    }


@dataclass(frozen=True)
class _Speech:
    """What Istio is told of a protocol.

    :param layer: the kind of routes in a VirtualService.
    :param port: name and protocol of the port that workloads dial.
    :param tls: the protocol of a port that takes TLS.
    :param h2: whether a proxy has to be told that its peer takes HTTP/2.
    """

    layer: str
    port: str
    tls: str
    h2: bool = False


_SPEECH: Mapping[Protocol, _Speech] = {
    "tcp": _Speech("tcp", "tcp", "TLS"),
    "http": _Speech("http", "http", "HTTPS"),
    "http2": _Speech("http", "http2", "HTTPS", h2=True),
    "grpc": _Speech("http", "grpc", "HTTPS", h2=True),
}


def _server_side(links: Sequence[WantedLink], cluster: Cluster, settings: Settings) -> ServerSide:
    owner = names.Owner(settings.instance, cluster.name, "server")
    gateway = cluster.ingress_gateway
    return {
        **_frame(owner, gateway),
        "ports": sorted({link["tls_port"] for link in links}),
        "secrets": [
            {
                "name": names.server_secret(link["name"]),
                "link": link["name"],
                "labels": owner.labels(link["name"]),
                "role": "server",
                "common_name": link["name"],
                "sans": [link["fqdn"]],
                "trust": "",
            }
            for link in links
        ],
        "links": [_server_link(link, owner, gateway, settings) for link in links],
    }


def _server_link(link: WantedLink, owner: names.Owner, gateway: GatewayPlace, settings: Settings) -> ServerLink:
    objects = names.server_objects(link["name"])
    service, namespace = link["backend"]["host"].split(".")[:2]
    return {
        "name": link["name"],
        "fqdn": link["fqdn"],
        "tls_port": link["tls_port"],
        "tls_protocol": _SPEECH[link["protocol"]].tls,
        "layer": _SPEECH[link["protocol"]].layer,
        "retries": _retries_of_a_gateway(link),
        "backend": {**link["backend"], "service": service, "namespace": namespace},
        "labels": owner.labels(link["name"]),
        "namespace": gateway["namespace"],
        "selector": gateway["selector"],
        "credential": names.server_secret(link["name"]),
        "client_identities": [names.link_identity(link["name"], settings.trust_domain), *link["foreign_clients"]],
        "gateway": objects["Gateway"][0],
        "virtual_service": objects["VirtualService"][0],
        "peer_authentication": objects["PeerAuthentication"][0] if link["strict_backend"] else None,
    }


def _client_side(links: Sequence[WantedLink], cluster: Cluster, settings: Settings) -> ClientSide:
    owner = names.Owner(settings.instance, cluster.name, "client")
    gateway = cluster.egress_gateway
    addresses = addresses_of(links, cluster, settings.vip_range)
    return {
        **_frame(owner, gateway),
        "ports": [cluster.egress_port] if links else [],
        "secrets": _client_secrets(links, owner, settings),
        "links": [_client_link(link, addresses[link["name"]], owner, cluster, settings) for link in links],
    }


def _client_secrets(links: Sequence[WantedLink], owner: names.Owner, settings: Settings) -> list[WantedSecret]:
    """One identity for all servers of the custom CA, and one for each server of another CA: a Secret has one trust."""
    cluster = names.cluster_identity(owner.cluster, settings.trust_domain)
    identities = {link["name"]: names.link_identity(link["name"], settings.trust_domain) for link in links}
    others = {link["name"]: roots for link in links if (roots := _owners_roots(link))}
    secrets: list[WantedSecret] = [
        {
            "role": "client",
            "common_name": owner.cluster,
            "name": names.client_secret_of_link(link, settings.client_credential),
            "link": link,
            "labels": owner.labels(link),
            "sans": [cluster, identities[link]],
            # In one form, whatever line ends and remarks the owner's file has.
            "trust": bundle([roots]),
        }
        for link, roots in sorted(others.items())
    ]
    own = sorted(identity for link, identity in identities.items() if link not in others)
    if not own:
        return secrets
    shared: WantedSecret = {
        "role": "client",
        "common_name": owner.cluster,
        "name": settings.client_credential,
        "link": names.CLIENT_LINK,
        "labels": owner.labels(names.CLIENT_LINK),
        "sans": [cluster, *own],
        "trust": "",
    }
    return [shared, *secrets]


def has_owners_ca(link: WantedLink) -> bool:
    """Whether the link's server has a certificate of its owner's CA, for which its clients have a Secret of its own."""
    return bool(_owners_roots(link))


def _owners_roots(link: WantedLink) -> str:
    external = link.get("external")
    return (external.get("trust") if external else None) or ""


def _client_link(
    link: WantedLink, addresses: Sequence[str], owner: names.Owner, cluster: Cluster, settings: Settings
) -> ClientLink:
    gateway, external = cluster.egress_gateway, link.get("external")
    objects = names.client_objects(link["name"])
    speech = _SPEECH[link["protocol"]]
    return {
        "name": link["name"],
        "fqdn": link["fqdn"],
        "port": link["port"],
        "port_name": speech.port,
        "port_protocol": speech.port.upper(),
        "tls_port": link["tls_port"],
        "external": bool(external),
        "tls_protocol": speech.tls,
        "layer": speech.layer,
        "h2_upgrade": "UPGRADE" if speech.h2 else None,
        "timeout": link.get("timeout"),
        "retries": _retries(link),
        "gateway_retries": _retries_elsewhere(link) or _retries_of_a_gateway(link),
        "addresses": list(addresses),
        "endpoints": _endpoints(link),
        "connect_timeout": _connect_timeout(link),
        "export_to": _export_to(link, cluster),
        "client_namespaces": _client_namespaces(link),
        "client_accounts": _client_accounts(link),
        "max_connection_duration": link.get("max_connection_duration"),
        "labels": owner.labels(link["name"]),
        "namespace": gateway["namespace"],
        "selector": gateway["selector"],
        "egress_host": names.service_host(gateway["service"], gateway["namespace"]),
        "egress_port": cluster.egress_port,
        "sni": (external.get("sni") if external else None) or link["fqdn"],
        "credential": names.client_secret_of_link(link["name"], settings.client_credential)
        if has_owners_ca(link)
        else settings.client_credential,
        "caller_identities": _caller_identities(link, cluster.trust_domain),
        "workload_policy": _workload_policy(link, objects["AuthorizationPolicy"][0]),
        "probe": _probe(link),
        "service_entry": objects["ServiceEntry"][0],
        "gateway": objects["Gateway"][0],
        "destination_rule_egress": objects["DestinationRule"][0],
        "destination_rule_origination": objects["DestinationRule"][1],
        "virtual_service": objects["VirtualService"][0],
    }


def _workload_policy(link: WantedLink, name: str) -> WorkloadPolicy | None:
    """Who is refused: whoever is in none of the namespaces and none of the service accounts.

    A rule that denies leaves other links alone; one that allows would deny everything else on a gateway that is shared.
    """
    allowed = link.get("workloads")
    if not allowed:
        return None
    source = {}
    if namespaces := allowed.get("namespaces"):
        source["notNamespaces"] = list(namespaces)
    if accounts := _client_accounts(link):
        # Whatever the mesh's trust domain is: nobody else's certificate comes this far.
        source["notPrincipals"] = [f"*/ns/{account['namespace']}/sa/{account['name']}" for account in accounts]
    return {"name": name, "source": source}


def _probe(link: WantedLink) -> Probe | None:
    given = link.get("probe")
    if not given:
        return None
    place = given["from"]
    first, _dash, last = (given.get("status") or "200-399").partition("-")
    return {
        "type": given["type"],
        "namespace": place["namespace"],
        "selector": place["selector"],
        "container": place.get("container") or "",
        "path": given.get("path") or "/",
        "statuses": [int(first), int(last or first)],
        "service": given.get("service") or "",
        "banner": given.get("banner") or "",
        "required": given.get("required") is True,
    }


def _caller_identities(link: WantedLink, trust_domain: str) -> list[str]:
    """Of the only workloads that may use the link, as SPIFFE writes them; none where whole namespaces may."""
    if (link.get("workloads") or {}).get("namespaces"):
        return []
    accounts = _client_accounts(link)
    return sorted(f"spiffe://{trust_domain}/ns/{account['namespace']}/sa/{account['name']}" for account in accounts)


def _client_namespaces(link: WantedLink) -> list[str]:
    """Namespaces of the workloads that may use the link; none where all may."""
    allowed = link.get("workloads")
    if not allowed:
        return []
    accounts = _client_accounts(link)
    return sorted({*(allowed.get("namespaces") or []), *(account["namespace"] for account in accounts)})


def _client_accounts(link: WantedLink) -> list[AccountPlace]:
    """Service accounts that may use the link."""
    accounts = (link.get("workloads") or {}).get("service_accounts") or []
    pairs = (account.split("/") for account in accounts)
    return [{"namespace": namespace, "name": name} for namespace, name in pairs]


def _export_to(link: WantedLink, cluster: Cluster) -> list[str] | None:
    """Who sees the link at all, the egress gateway among them; Istio's default, everybody, where nothing is locked."""
    namespaces = _client_namespaces(link) if cluster.egress_lockdown else []
    return sorted({*namespaces, cluster.egress_gateway["namespace"]}) if namespaces else None


def _lockdowns(cluster: Cluster, settings: Settings) -> list[Lockdown]:
    owner = names.Owner(settings.instance, cluster.name, "client")
    gateway, objects = cluster.egress_gateway, names.lockdown_objects()
    return [
        {
            "namespace": namespace,
            "labels": owner.labels(names.CLIENT_LINK),
            "sidecar": objects["Sidecar"],
            "network_policy": objects["NetworkPolicy"],
            "gateway_namespace": gateway["namespace"],
            "gateway_selector": dict(gateway["selector"]),
            "cidrs": list(cluster.cluster_cidrs),
        }
        for namespace in cluster.egress_lockdown
    ]


def _retries(link: WantedLink) -> IstioRetries | None:
    """What the workload's own proxy does, in Istio's words; nothing where Istio's default is to hold."""
    given = link.get("retries")
    if not given:
        return None
    told: IstioRetries = {"attempts": given["attempts"]}
    # Istio refuses to be told how to try again what is not tried again.
    if not given["attempts"]:
        return told
    if (timeout := given.get("per_try_timeout")) is not None:
        told["perTryTimeout"] = timeout
    if (policies := given.get("retry_on")) is not None:
        told["retryOn"] = policies
    return told


def _retries_of_a_gateway(link: WantedLink) -> IstioRetries | None:
    """Attempts of three proxies would multiply: where they are counted, the first one alone makes them."""
    return {"attempts": 0} if link.get("retries") else None


def _retries_elsewhere(link: WantedLink) -> IstioRetries | None:
    """What the egress gateway does where a request can go to another server; nothing where it cannot.

    Left to itself Envoy tries the nearest again, for up to a second after it was seen to be away: it gathers changes of
    health for that long (update_merge_window). A count that was asked for is not exceeded: what reached no server was
    no attempt. Two, as Istio has Envoy leave out the nearest from the second one on (update_frequency).
    """
    if _SPEECH[link["protocol"]].layer == "tcp" or not _has_several_addresses(link):
        return None
    elsewhere: IstioRetries = {"attempts": 2, "retryRemoteLocalities": True}
    return {**elsewhere, "retryOn": "connect-failure,refused-stream"} if link.get("retries") else elsewhere


def _connect_timeout(link: WantedLink) -> str:
    """How long the egress gateway waits for a connection: short where another address is known, else as Istio does.

    The handshake counts. The only server may be slow, and would be given up for nobody.
    """
    return "3s" if _has_several_addresses(link) else f"{SLOWEST_CONNECTION}s"


def _has_several_addresses(link: WantedLink) -> bool:
    """One FQDN is one, whatever it resolves to."""
    return len({endpoint["address"] for endpoint in _endpoints(link)}) > 1


def _endpoints(link: WantedLink) -> list[Endpoint]:
    """One endpoint a server that has an address of its own; the FQDN (resolved by DNS) for all others."""
    if external := link.get("external"):
        return [{"address": external["address"], "ports": {"tls": link["tls_port"]}}]
    endpoints: list[Endpoint] = []
    for server in link.get("servers") or [link["fqdn"]]:
        endpoint: Endpoint = {"address": link["fqdn"], "ports": {"tls": link["tls_port"]}}
        if not isinstance(server, str):
            endpoint["address"] = server.get("address") or link["fqdn"]
            if locality := server.get("locality"):
                endpoint["locality"] = locality
        if endpoint not in endpoints:
            endpoints.append(endpoint)
    return endpoints


def _frame(owner: names.Owner, gateway: GatewayPlace) -> SideFrame:
    return {
        "owner": {"instance": owner.instance, "cluster": owner.cluster, "side": owner.side},
        "manager": owner.manager,
        "namespace": gateway["namespace"],
        "service": gateway["service"],
        "selector": gateway["selector"],
        "lockdowns": [],
    }
