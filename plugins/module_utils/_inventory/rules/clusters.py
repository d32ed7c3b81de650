# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with one cluster, with what links mean for it, and with what all clusters share. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mapping
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired, schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import (
    LABEL,
    LONGEST_LABEL,
    LONGEST_NAME,
    Finding,
    check_port,
    check_shape,
    check_value,
    is_label,
    show,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink, WantedLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import AS_OPENSSL, NO_FINGERPRINT
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import fingerprint_from

__all__ = [
    "check_cluster",
    "check_declared",
    "check_prune",
    "check_run",
    "check_settings",
    "check_trust_domain",
    "declared_in",
    "name_of",
]

# A certificate with 500 link identities is about 24 kB, sent in every handshake.
MAX_LINKS_A_CLIENT = 500
MAX_INSTANCE = 30
# "<cluster>.cluster." and "<link>.link." come before the trust domain.
MAX_TRUST_DOMAIN = LONGEST_NAME - LONGEST_LABEL - len(".cluster.")
# What Istio itself gives to ServiceEntries without addresses (istio.io, DNS Proxying).
ISTIOS_VIPS = (ipaddress.ip_network("240.240.0.0/16"), ipaddress.ip_network("2001:2::/48"))
# Of limits, with their units: a Secret has up to 1 MiB, and base64 makes more of it.
LEAST = {
    "mesh_api_timeout": (1, "seconds"),
    "mesh_api_max_bytes": (2**21, "bytes"),
    "mesh_cluster_timeout": (1, "seconds"),
}
# With fewer, two names would soon fall on one address.
MIN_VIPS = 256
# As Kubernetes takes it: no netmask, no bare address, no sign, blank or leading zero.
_CIDR = re.compile(r"[0-9a-fA-F.:]+/(0|[1-9][0-9]{0,2})", re.ASCII)


def check_settings(shared: Mapping[str, object]) -> list[Finding]:
    """Findings on the variables that all clusters share (the links aside)."""
    findings: list[Finding] = []
    for item in schema.SHARED:
        if item.name != "mesh_links" and shared.get(item.name) is not None:
            findings += _check_setting(item, shared[item.name])
    faulty = {finding.field for finding in findings}
    for name, check in CHECKS_OF_SETTINGS.items():
        if name not in faulty and shared.get(name) is not None:
            findings += check(shared, name, shared[name])
    return findings


def check_run(given: Mapping[str, object]) -> list[Finding]:
    """Findings on the switches of one run: a value that is no switch would count as false."""
    return [
        finding
        for item in schema.RUN
        if given.get(item.name) is not None
        for finding in _check_setting(item, given[item.name])
    ]


def _check_setting(item: schema.Field, value: object) -> Iterator[Finding]:
    for finding in check_value(item.name, item.name, value, item):
        # What -e NAME=VALUE gives is always a string.
        aside = f"""; on the command line -e '{{"{item.name}": ...}}'""" if isinstance(value, str) else ""
        yield replace(finding, fix=finding.fix + aside)


def _check_instance(_shared: Mapping[str, object], name: str, value: str) -> Iterator[Finding]:
    if not is_label(value, MAX_INSTANCE):
        what = f"is not a DNS label of at most {MAX_INSTANCE} characters"
        yield Finding.of("instance", name, name, show(value), what, "use lower-case letters, digits and hyphens")


def _check_timeout(_shared: Mapping[str, object], name: str, value: int) -> Iterator[Finding]:
    if value < 1:
        yield Finding.of("timeout", name, name, show(value), "is less than 1", "write seconds, e.g. 60")


def _check_limit(_shared: Mapping[str, object], name: str, value: int) -> Iterator[Finding]:
    least, unit = LEAST[name]
    if value < least:
        default = schema.defaults(schema.SHARED)[name]
        yield Finding.of("limit", name, name, show(value), f"is less than {least}", f"write {unit}, e.g. {default}")


def _check_wait(_shared: Mapping[str, object], name: str, value: int) -> Iterator[Finding]:
    if value < 0:
        yield Finding.of("wait", name, name, show(value), "is less than 0", "write seconds, e.g. 10")


def _check_credential(shared: Mapping[str, object], name: str, value: str) -> Iterator[Finding]:
    if not is_label(value):
        fix = "write a DNS label, e.g. client-credential"
        yield Finding.of("prefix", name, name, show(value), "is not a DNS label", fix)
    elif value.endswith("-cacert"):
        fix = "write another name, e.g. client-credential"
        yield Finding.of("prefix", name, name, show(value), "ends in -cacert, which Istio reserves for CA Secrets", fix)
    elif _clashing_secrets(names_of_links(shared), value):
        fix = "write another name, e.g. client-credential"
        yield Finding.of("prefix", name, name, show(value), "is the name of a link's server Secret", fix)


def _clashing_secrets(links: Sequence[str], prefix: str) -> bool:
    """Whether a client's Secret would be a link's server Secret: one cluster can be both."""
    clients = {prefix, *(names.client_secret_of_link(link, prefix) for link in links)}
    return not clients.isdisjoint(map(names.server_secret, links))


def _check_trust_domain(_shared: Mapping[str, object], name: str, value: str) -> Iterator[Finding]:
    yield from check_trust_domain(name, value)


def check_trust_domain(subject: str, value: object) -> Iterator[Finding]:
    """The name under which clusters and links have theirs in client certificates."""
    if not isinstance(value, str) or not _is_domain(value):
        yield Finding.of(
            "ca-trust-domain",
            subject,
            "custom_ca_trust_domain",
            show(value),
            f"is not a DNS name in lower case of at most {MAX_TRUST_DOMAIN} characters",
            "use a domain that is used for nothing else, e.g. crossmesh.internal",
        )


def _is_domain(value: str) -> bool:
    return len(value) <= MAX_TRUST_DOMAIN and all(map(LABEL.fullmatch, value.split(".")))


def _check_vip_range(_shared: Mapping[str, object], name: str, value: object) -> Iterator[Finding]:
    fix = "use a network that is not routed, e.g. 240.0.0.0/9"
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        yield Finding.of(
            "vip-range", name, name, show(value), "is not a network in CIDR notation without host bits", fix
        )
        return
    if network.num_addresses < MIN_VIPS:
        yield Finding.of("vip-range", name, name, show(value), f"has fewer than {MIN_VIPS} addresses", fix)
        return
    for theirs in ISTIOS_VIPS:
        if network.version == theirs.version and network.overlaps(theirs):
            yield Finding.of("vip-range", name, name, show(value), f"overlaps {theirs}, which Istio reserves", fix)


def _check_only_links(shared: Mapping[str, object], name: str, value: Sequence[object]) -> Iterator[Finding]:
    known = names_of_links(shared)
    for link in value:
        if link not in known:
            fix = f"write names of links in mesh_links: {', '.join(known)}"
            yield Finding.of("unknown-link", name, name, show(link), "is not a link", fix)


def _check_lost_roots(_shared: Mapping[str, object], name: str, value: Sequence[object]) -> Iterator[Finding]:
    for root in value:
        if not (isinstance(root, str) and fingerprint_from(root)):
            yield Finding.of("lost-root-fingerprint", name, name, show(root), NO_FINGERPRINT, AS_OPENSSL)


def names_of_links(shared: Mapping[str, object]) -> list[str]:
    links = shared.get("mesh_links")
    found = [link.get("name") for link in links if isinstance(link, Mapping)] if isinstance(links, list) else []
    return sorted({name for name in found if isinstance(name, str)})


def declared_in(mesh_clusters: object) -> Mapping[str, Any]:
    """The clusters that it names, with their groups; one without a value is not given.

    :param mesh_clusters: of another type, as a finding tells, it names none.
    """
    return {str(name): groups for name, groups in mapping(mesh_clusters).items() if groups is not None}


def check_declared(_shared: Mapping[str, object], name: str, value: Mapping[object, object]) -> Iterator[Finding]:
    for cluster, groups in value.items():
        if groups is None:
            continue
        if not isinstance(cluster, str) or not isinstance(groups, list) or not all(isinstance(g, str) for g in groups):
            fix = "list the groups of each cluster, e.g. {cluster-a: [mesh_clients]}"
            yield Finding.of("type", name, f"{name}.{cluster}", show(groups), "is not a list of groups", fix)


CHECKS_OF_SETTINGS: dict[str, Callable[[Mapping[str, object], str, Any], Iterator[Finding]]] = {
    "mesh_instance": _check_instance,
    "mesh_gate_timeout": _check_timeout,
    "mesh_gate_wait": _check_wait,
    "mesh_gate_max_age": _check_wait,
    **dict.fromkeys(LEAST, _check_limit),
    "mesh_client_credential_prefix": _check_credential,
    "mesh_vip_range": _check_vip_range,
    "mesh_only_links": _check_only_links,
    "mesh_clusters": check_declared,
    "custom_ca_trust_domain": _check_trust_domain,
    "custom_ca_lost_roots": _check_lost_roots,
}


def check_cluster(variables: Mapping[str, Any], links: Sequence[GivenLink]) -> list[Finding]:
    """Findings on one cluster's own variables, and on what its sound links mean for it."""
    subject = name_of(variables)
    findings = list(_check_cluster_variables(subject, variables))
    if not findings:
        cluster = desired.cluster_of(variables)
        vip_range = desired.settings_of(variables).vip_range
        if not any(_check_vip_range(variables, "mesh_vip_range", vip_range)):
            findings += _check_client_ports(subject, cluster, links, vip_range)
        findings += _check_lockdown(subject, cluster)
    return findings


def _check_cluster_variables(subject: str, variables: Mapping[str, Any]) -> Iterator[Finding]:
    if not is_label(variables.get("mesh_cluster_name")):
        yield Finding.of(
            "cluster-name",
            subject,
            "mesh_cluster_name",
            show(variables.get("mesh_cluster_name")),
            "is not a DNS label",
            "set mesh_cluster_name to lower-case letters, digits and hyphens",
        )
    for item in schema.CLUSTER:
        value = variables.get(item.name)
        if value is not None:
            yield from check_value(subject, item.name, value, item)
            if item.name.endswith("_gateway") and isinstance(value, Mapping):
                yield from _check_gateway(subject, f"{item.name}.", value)
    domain = variables.get("mesh_trust_domain")
    if isinstance(domain, str) and not _is_domain(domain):
        fix = "write trustDomain of the mesh's MeshConfig, e.g. cluster.local"
        what = "is not a DNS name in lower case"
        yield Finding.of("mesh-trust-domain", subject, "mesh_trust_domain", show(domain), what, fix)
    port = variables.get("mesh_egress_port")
    if isinstance(port, int) and not isinstance(port, bool):
        yield from check_port(subject, "mesh_egress_port", port)


def _check_gateway(subject: str, path: str, gateway: Mapping[str, object]) -> Iterator[Finding]:
    shape = list(check_shape(subject, path, gateway, schema.GATEWAY))
    yield from shape
    faulty = {finding.field for finding in shape}
    for name in ("namespace", "service"):
        value = gateway.get(name)
        if value is not None and path + name not in faulty and not is_label(value):
            fix = f"write the name of the gateway's {name}"
            yield Finding.of("gateway", subject, path + name, show(value), "is not a DNS label", fix)
    selector = gateway.get("selector")
    if isinstance(selector, Mapping):
        texts = [text for pair in selector.items() for text in pair]
        # Without a label it would select every pod of the namespace.
        if not texts or not all(isinstance(text, str) for text in texts):
            fix = "write the labels of the gateway's pods, e.g. {istio: ingressgateway}"
            yield Finding.of("gateway", subject, path + "selector", show(selector), "is not a set of labels", fix)


def _check_lockdown(subject: str, cluster: desired.Cluster) -> Iterator[Finding]:
    name, needed = "mesh_egress_lockdown", {names.ROOT_NAMESPACE, cluster.egress_gateway["namespace"]}
    seen: set[str] = set()
    for namespace in cluster.egress_lockdown:
        what = fix = ""
        if not is_label(namespace):
            what, fix = "is not a DNS label", "write the name of a namespace, e.g. shop"
        elif namespace in seen:
            what, fix = "is listed twice", "remove one of them"
        elif namespace in needed:
            what = "is the namespace of the egress gateway or the control plane, which a lock-down would cut off"
            fix = "remove it; lock down namespaces of workloads only"
        if what:
            yield Finding.of("lockdown", subject, name, show(namespace), what, fix)
        else:
            seen.add(namespace)
    if cluster.egress_lockdown and desired.CLIENTS_GROUP not in cluster.groups:
        what = "has no effect: only clients are locked down, and the cluster is not in mesh_clients"
        fix = "add the cluster to mesh_clients, or remove mesh_egress_lockdown"
        yield Finding.of("lockdown", subject, "mesh_egress_lockdown", show(cluster.egress_lockdown), what, fix)
    if cluster.egress_lockdown and not cluster.cluster_cidrs:
        what = "is empty, but mesh_egress_lockdown is set: sidecars could not reach their control plane"
        fix = "list the networks of the cluster's pods, Services, control plane and API server"
        yield Finding.of("cluster-cidrs", subject, "mesh_cluster_cidrs", "[]", what, fix)
    for cidr in cluster.cluster_cidrs:
        what, fix = _fault_of_cidr(cidr)
        if what:
            yield Finding.of("cluster-cidrs", subject, "mesh_cluster_cidrs", show(cidr), what, fix)


def _fault_of_cidr(cidr: object) -> tuple[str, str]:
    # Kubernetes takes neither a bare address nor a netmask, which Python does.
    text = cidr if isinstance(cidr, str) and _CIDR.fullmatch(cidr) else ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is not a network in CIDR notation", "write one, e.g. 10.0.0.0/16"
    if network.prefixlen == 0:
        return "covers all addresses, so nothing would be locked down", "list the cluster's own networks"
    if ipaddress.ip_interface(text).ip != network.network_address:
        return "has host bits set", f"write {network}"
    return "", ""


def _check_client_ports(
    subject: str, cluster: desired.Cluster, links: Sequence[GivenLink], vip_range: str
) -> Iterator[Finding]:
    """What the links of one client cluster do to each other (istio#6695: a TCP port without address is a catch-all)."""
    dialled = desired.client_links(desired.present(links), cluster)
    if len(dialled) > MAX_LINKS_A_CLIENT:
        yield Finding.of(
            "too-many-links",
            subject,
            "mesh_links",
            str(len(dialled)),
            f"exceeds the maximum of {MAX_LINKS_A_CLIENT} links of one client: each is a SAN of its certificate, which "
            "is sent in every handshake",
            "split the links between two instances (mesh_instance)",
        )
    addresses = desired.addresses_of(dialled, cluster, vip_range)
    by_port: dict[int, list[WantedLink]] = defaultdict(list)
    virtual = {link["fqdn"] for link in dialled} if cluster.dns == "virtual" else set()
    for link in dialled:
        by_port[link["port"]].append(link)
        if virtual and not desired.has_own_endpoints(link, virtual):
            yield _resolved_in_a_circle(link, cluster)
    for port, sharing in by_port.items():
        # Links that carry requests are told apart by their host.
        if len(sharing) > 1 and any(link["protocol"] == "tcp" for link in sharing):
            yield from _check_shared_port(port, sharing, addresses, cluster)


def _resolved_in_a_circle(link: WantedLink, cluster: desired.Cluster) -> Finding:
    if external := link.get("external"):
        return Finding.of(
            "virtual-endpoint",
            link["name"],
            "external.address",
            show(external["address"]),
            f"is the FQDN of a link, which the DNS of {cluster.name} resolves to a virtual address (mesh_dns: virtual)",
            "write the server's IP address, or a DNS name that is not the FQDN of a link",
        )
    servers = link.get("servers")
    given = [server.get("address") if isinstance(server, Mapping) else server for server in servers or ()]
    return Finding.of(
        "virtual-endpoint",
        link["name"],
        "servers",
        show(given if servers else servers),
        f"not every server has an address of its own, and the DNS of {cluster.name} resolves the FQDNs of links to "
        "virtual addresses (mesh_dns: virtual), for the egress gateway too",
        "write servers: [{name: CLUSTER, address: ADDRESS-OF-ITS-INGRESS-GATEWAY}]",
    )


def _check_shared_port(
    port: int,
    sharing: Sequence[WantedLink],
    addresses: Mapping[str, Sequence[str]],
    cluster: desired.Cluster,
) -> Iterator[Finding]:
    others = ", ".join(link["name"] for link in sharing)
    taken: dict[str, str] = {}
    for link in sharing:
        if not addresses[link["name"]] and link["protocol"] == "tcp":
            yield Finding.of(
                "shared-port",
                link["name"],
                "port",
                str(port),
                f"is shared by several links in {cluster.name} ({others}); a tcp link without a virtual address takes "
                "all traffic to the port",
                "use different ports. To keep one port: if sidecars answer DNS (Istio DNS proxying), set mesh_dns: "
                f"capture for {cluster.name}; else give each link addresses, e.g. addresses: [240.0.0.10], make the "
                f"cluster's DNS resolve the FQDN to them, and {_own_address(link)}",
            )
        for address in map(_normal, addresses[link["name"]]):
            if taken.setdefault(address, link["name"]) != link["name"]:
                what = f"is also an address of link {taken[address]} on the same port"
                fix = "give each link addresses of its own, e.g. addresses: [240.0.0.10]"
                yield Finding.of("shared-address", link["name"], "addresses", address, what, fix)


def _own_address(link: WantedLink) -> str:
    """How the egress gateway still finds the server, as the FQDN no longer leads there."""
    if link.get("external"):
        return "set external.address to the server's own address"
    return "set the ingress gateway's address in servers"


def _normal(address: str) -> str:
    """IPv6 has many spellings of one address."""
    return str(ipaddress.ip_address(address))


def check_prune(links: object, *, allowed: bool) -> list[Finding]:
    """An empty list of links takes everything away: only when that is said in so many words."""
    if allowed or links != []:
        return []
    return [
        Finding.of(
            "prunes-everything",
            "mesh_links",
            "mesh_links",
            "[]",
            "would remove every link",
            "define links, or run with -e mesh_prune_all=true",
        )
    ]


def name_of(variables: Mapping[str, Any]) -> str:
    return str(variables.get("mesh_cluster_name"))
