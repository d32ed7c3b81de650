# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule that an inventory is held to, by the identifier at the end of its message. Pure.

PRIVATE to the collection. docs/validation.md is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One rule.

    :param asks: what has to be so.
    :param why: what would go wrong, with the source where there is one.
    """

    asks: str
    why: str


RULES: Mapping[str, Rule] = {
    # What is written at all
    "links-undefined": Rule(
        "C(mesh_links) is defined; an empty list takes every link away",
        "a wrong inventory would else look like one without links, and everything would go",
    ),
    "prunes-everything": Rule(
        "An empty C(mesh_links) comes with C(mesh_prune_all=true)",
        "taking all links away is seldom what was meant",
    ),
    "missing": Rule("A required key has a value", "there is nothing that could be taken in its place"),
    "unknown-key": Rule("Every key is known", "a misspelt key would have no effect, and nobody would be told"),
    "type": Rule("A value has its key's type", "a port in quotes is no number; YAML reads C(yes) as a truth value"),
    "choice": Rule("A value is one of those that there are", "another one would have no effect"),
    # A link
    "link-name": Rule(
        "A link's name is a DNS label of at most 40 characters",
        "names of objects and SANs in certificates are made of it (RFC 1035, section 2.3.1)",
    ),
    "reserved-name": Rule("A link is not called C(client) or C(*-client)", "clients' own credentials are called so"),
    "duplicate-name": Rule("Each link has a name of its own", "two links would write the same objects"),
    "fqdn": Rule(
        "A link's FQDN is one DNS name in lower case, below a domain of somebody's own, outside of C(cluster.local); "
        "its last label is no number",
        "it is the SNI, which is compared as it is written (RFC 6066, section 3), and the server certificate's SAN; "
        "Istio refuses an all-numeric last label",
    ),
    "duplicate-fqdn": Rule("Each link has an FQDN of its own", "gateways tell links apart by it"),
    "port": Rule("A port is a number from 1 to 65535", "there are no others"),
    "proxy-port": Rule(
        "A gateway is not asked to listen on a port of the proxy itself",
        "Envoy or istio-agent listens there already (Istio, Application Requirements)",
    ),
    "same-port": Rule("C(tls_port) is not C(port)", "a ServiceEntry holds no number twice"),
    "backend-port-exposed": Rule(
        "C(tls_port) is not the backend's own port, unless C(allow_backend_port) says so",
        "what scans for databases looks at their ports",
    ),
    "backend-host": Rule("A backend is the full name of a Service", "Istio takes short names for others, by namespace"),
    "address": Rule(
        "An address of a link is the IP address of one host, neither loopback nor link-local nor of 240.240.0.0/16 "
        "or 2001:2::/48, and stands once",
        "a ServiceEntry takes nothing else; whoever dials another one reaches itself, nobody, or what Istio put there",
    ),
    "duration": Rule(
        "A duration is a whole number of C(s), C(m) or C(h), up to a year; of a request also of C(ms), and up to a day",
        "Istio refuses other forms; longer than a certificate lives it would bound nothing",
    ),
    "workloads": Rule(
        "C(workloads) names namespaces, which are DNS labels, or service accounts as C(NAMESPACE/NAME), and at least "
        "one of them",
        "the egress gateway would refuse everybody, or whoever was meant",
    ),
    "requests-only": Rule(
        "C(timeout) and C(retries) stand in links that carry requests",
        "a TCP link passes bytes on and knows of no requests",
    ),
    "retries": Rule(
        "C(retries) has 0 to 10 attempts and, with commas, Envoy's names of what is tried again or HTTP status codes",
        "more attempts would make a slow server slower; Istio refuses other names",
    ),
    "external-only": Rule(
        "A link with C(external) has none of C(tls_port), C(backend), C(servers), C(foreign_clients), "
        "C(strict_backend) and C(allow_backend_port)",
        "they are said of a server in a cluster, and there is none",
    ),
    "external-address": Rule(
        "An endpoint outside has an IP address or a DNS name, and a DNS name as C(sni); the last label of a name is no "
        "number",
        "an SNI is never an address (RFC 6066, section 3); Istio refuses an all-numeric last label",
    ),
    "external-trust": Rule(
        "An endpoint outside has either C(ca), an absolute path, or C(trust), the PEM of its owner's roots",
        "who made its certificate decides what the egress gateway trusts",
    ),
    "foreign-client": Rule(
        "C(foreign_clients) holds DNS names and URIs without wildcards",
        "the ingress gateway compares them with the SANs of certificates, whole",
    ),
    "server-address": Rule(
        "A server's address is an IP address or a DNS name, whose last label is no number, and is one cluster's, no "
        "group's",
        "egress gateways connect to it; Istio refuses an all-numeric last label",
    ),
    "locality": Rule(
        "A server's locality is C(REGION[/ZONE[/SUBZONE]])", "the nearest server is found by these, part by part"
    ),
    # Links and clusters
    "reference": Rule("C(servers) and C(clients) hold names", "something else names no cluster"),
    "unknown-cluster": Rule("Each name is a cluster or a group of the inventory", "the link would not be built there"),
    "wrong-group": Rule(
        "A cluster that is named as server is in C(mesh_servers), one that is named as client in C(mesh_clients)",
        "it would be left out, or its objects taken away, without a word",
    ),
    "both-sides": Rule("No cluster is server and client of one link", "it would dial itself through both gateways"),
    "no-server": Rule(
        "There is a group C(mesh_servers), unless all links are C(external); C(servers) is not empty",
        "clients would dial nobody",
    ),
    "two-values": Rule(
        "What all clusters share has one value, and nothing stands twice with different ones",
        "two clusters would build two different links",
    ),
    "too-many-links": Rule(
        "A cluster is client of at most 500 links",
        "each is a SAN of its certificate, which is sent in every handshake",
    ),
    "shared-port": Rule(
        "Where a client dials another link on the same port, a C(tcp) link has a virtual address that workloads learn",
        "a TCP port without an address takes all traffic to that port (istio#6695)",
    ),
    "shared-address": Rule("Links on one port have different addresses", "nothing else tells them apart there"),
    "virtual-endpoint": Rule(
        "Where the cluster's DNS answers with virtual addresses, each server of a link has an C(address), and none is "
        "the FQDN of a link that the cluster dials",
        "the egress gateway, which asks the same DNS, would connect to itself, or to nobody",
    ),
    # Clusters
    "cluster-name": Rule("A cluster's name is a DNS label", "labels and SANs are made of it"),
    "duplicate-cluster": Rule(
        "Each cluster has a name of its own", "two would take each other's objects for their own"
    ),
    "same-cluster": Rule(
        "Hosts that share a link, or are both clients, lead to different clusters, or name gateways of their own in "
        "one. Those with one kubeconfig all name their context",
        "a context that is not given is the current one: client and server would be one cluster, which dials itself",
    ),
    "gateway": Rule(
        "A gateway is named by DNS labels, and its selector holds labels",
        "an empty selector would take every pod of the namespace for a gateway",
    ),
    "lockdown": Rule(
        "C(mesh_egress_lockdown) names namespaces, once each, without the egress gateway's own and C(istio-system)",
        "a gateway that is locked in carries no link any more, and a control plane no mesh",
    ),
    "cluster-cidrs": Rule(
        "C(mesh_cluster_cidrs) holds networks in CIDR notation, less than all addresses, and at least one where "
        "C(mesh_egress_lockdown) is not empty",
        "sidecars would else be cut off from their control plane, or nothing would be closed",
    ),
    # What all clusters share
    "instance": Rule(
        "C(mesh_instance) is a DNS label of at most 30 characters", "labels and field managers are made of it"
    ),
    "timeout": Rule("C(mesh_gate_timeout) is at least 1", "a gate that does not wait opens for nobody"),
    "wait": Rule("C(mesh_gate_wait) is not negative", "there is no waiting backwards"),
    "prefix": Rule(
        "C(mesh_client_credential_prefix) is a DNS label, does not end in C(-cacert), and is no link's server Secret",
        "Istio takes a Secret C(NAME-cacert) for the CA of C(NAME)",
    ),
    "vip-range": Rule(
        "C(mesh_vip_range) is a network of at least 256 addresses outside of 240.240.0.0/16 and 2001:2::/48",
        "Istio gives addresses of these to others (Istio, DNS Proxying)",
    ),
    "unknown-link": Rule("C(mesh_only_links) names links", "the run would do nothing"),
    # The CA
    "ca-trust-domain": Rule(
        "C(custom_ca_trust_domain) is a DNS name in lower case that leaves room for names of clusters",
        "it ends the names in client certificates; a DNS name has 253 characters (RFC 1035, section 2.3.4)",
    ),
    "ca-key-type": Rule("C(custom_ca_key_type) is one of those that there are", "verifiers know no others"),
    "ca-validity": Rule("C(custom_ca_validity_days) is from 1 to 36500", "X.509 ends with the year 9999"),
    "ca-leaf-validity": Rule(
        "A certificate lasts less long than its root", "no verifier accepts it after its root's end"
    ),
    "ca-renew-before": Rule(
        "C(custom_ca_renew_before_days) is less than a certificate lasts",
        "else each run would renew, or none",
    ),
    "ca-passphrase": Rule("C(custom_ca_passphrase) has at least 12 characters", "shorter ones are guessed"),
    # Revocation
    "revoked-what": Rule(
        "An entry names one thing: cluster, link, serial or fingerprint", "else nobody knows what it means"
    ),
    "revoked-cluster": Rule("A cluster that is revoked has a name", "an empty one names nobody"),
    "revoked-link": Rule("A link that is revoked has a name", "an empty one names nobody"),
    "revoked-serial": Rule(
        "A serial is a positive hexadecimal number of at most 20 octets, in quotes",
        "there are no others (RFC 5280, section 4.1.2.2); YAML reads bare digits as another number",
    ),
    "revoked-fingerprint": Rule(
        "A fingerprint is SHA-256, 64 hexadecimal digits",
        "it is compared with those in the CA's record",
    ),
    "revoked-reason": Rule("A reason is one of RFC 5280, section 5.3.1", "a list can hold no other"),
    "revoked-date": Rule(
        "An entry has a date that is not in the future",
        "it tells what was issued before from what is issued anew; with one to come, every run would renew",
    ),
}
