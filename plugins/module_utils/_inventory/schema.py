# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one schema of what a user writes in an inventory. Pure.

PRIVATE to the collection. The filters judge by it; docs/links.md and docs/inventory.schema.json are made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import ASKED
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import DEFAULT_INSTANCE, SIDES
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import REASONS
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import KEY_TYPES

__all__ = [
    "BACKEND",
    "CA",
    "CLUSTER",
    "CONTRACT",
    "EXTERNAL",
    "FALSE",
    "GATEWAY",
    "HANDED_ON",
    "INTERNAL_PREFIX",
    "LINK",
    "PLAYBOOK",
    "PREFIXES",
    "PROBE",
    "PROBE_FROM",
    "RETRIES",
    "REVOKED",
    "ROLE",
    "RUN",
    "SCHEDULE",
    "SCHEDULED",
    "SECRET",
    "SERVER",
    "SHARED",
    "STATES",
    "STORES",
    "TRUE",
    "VARIABLES",
    "WHOLE_NUMBER",
    "WORKLOADS",
    "Field",
    "coerced",
    "defaults",
]


STATES = ("present", "absent")
STORES = ("directory", "kubernetes")


@dataclass(frozen=True)
class Field:
    """A key that a user may write.

    :param type: one of str, int, bool, list, dict.
    :param example: as it would stand in an inventory; for the docs.
    :param keys: of a mapping; of a list, those of its entries that are mappings.
    :param elements: the type of a list's other entries, or of a mapping's values.
    :param single: whether one entry may stand in the place of the list, which is Ansible's to judge.
    :param instead: another key, with which this one is not required.
    """

    name: str
    type: str
    description: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    example: str = ""
    keys: tuple[Field, ...] = ()
    elements: str = ""
    single: bool = False
    instead: str = ""

    @cached_property
    def by_key(self) -> Mapping[str, Field]:
        """The fields of C(keys), by their names."""
        return {field.name: field for field in self.keys}


BACKEND: tuple[Field, ...] = (
    Field(
        "host",
        "str",
        "The Service's full name, C(SERVICE.NAMESPACE.svc.cluster.local).",
        required=True,
        example="mysql.default.svc.cluster.local",
    ),
    Field("port", "int", "The Service's port.", required=True, example="3306"),
)

EXTERNAL: tuple[Field, ...] = (
    Field(
        "address",
        "str",
        "Where egress gateways connect to: an IP address or a host name.",
        required=True,
        example="db.example.net",
    ),
    Field(
        "port",
        "int",
        "The TCP port there, on which it takes TLS and asks for a certificate.",
        required=True,
        example="13306",
    ),
    Field(
        "ca",
        "str",
        "Its certificate is of the custom CA: C(tls.crt), C(tls.key) and C(ca.crt) are kept for it in this directory "
        "of the controller. This or C(trust).",
        example="/srv/crossmesh/mysql",
    ),
    Field(
        "trust",
        "str",
        "Its certificate is of its owner's CA: the roots of that, in PEM. This or C(ca).",
        example="\"{{ lookup('ansible.builtin.file', 'partner-ca.pem') }}\"",
    ),
    Field("sni", "str", "The name in its certificate, and the SNI. Default: C(fqdn).", example="db.example.net"),
)

WORKLOADS: tuple[Field, ...] = (
    Field("namespaces", "list", "All workloads of these namespaces.", default=[], example="[shop]", elements="str"),
    Field(
        "service_accounts",
        "list",
        "Workloads that run as these, C(NAMESPACE/NAME). Alone, without C(namespaces), they are asked for in the "
        "handshake; else all others are refused at their first byte.",
        default=[],
        example="[billing/reports]",
        elements="str",
    ),
)

RETRIES: tuple[Field, ...] = (
    Field("attempts", "int", "How often, after the first time; C(0) is never.", required=True, example="2"),
    Field("per_try_timeout", "str", "The longest that one attempt may take. Default: C(timeout).", example="2s"),
    Field(
        "retry_on",
        "str",
        "Envoy's retry policies, or HTTP status codes, with commas. Default: Istio's, for what has not been begun.",
        example="connect-failure,refused-stream,503",
    ),
)

PROBE_FROM: tuple[Field, ...] = (
    Field("namespace", "str", "Its namespace.", required=True, example="shop"),
    Field(
        "selector",
        "dict",
        "Labels that select it; of several the first that is ready.",
        required=True,
        example="{app: web}",
        elements="str",
    ),
    Field("container", "str", "Its container. Default: as with C(kubectl exec), but never the proxy.", example="web"),
)

PROBE: tuple[Field, ...] = (
    Field(
        "type",
        "str",
        "C(mysql): the server greets. C(tcp): the connection stays open, or begins with C(banner). C(http): the answer "
        "to a C(GET) has one of C(status). C(grpc): C(grpc.health.v1.Health) says C(SERVING). C(mysql) and C(tcp) are "
        "for C(tcp) links.",
        required=True,
        choices=("tcp", "http", "grpc", "mysql"),
        example="mysql",
    ),
    Field(
        "from",
        "dict",
        "The pod in which it is asked.",
        required=True,
        example="{namespace: shop, selector: {app: web}}",
        keys=PROBE_FROM,
    ),
    Field("path", "str", "What C(http) asks for. Default: C(/).", example="/healthz"),
    Field(
        "status",
        "str",
        "What C(http) takes: a status code, or the first and the last. Default: C(200-399).",
        example="'204'",
    ),
    Field("service", "str", "Whose health C(grpc) asks for. Default: the server's own.", example="shop.Orders"),
    Field("banner", "str", "What the first bytes of C(tcp) contain. Default: anything, or nothing.", example="SSH-2.0"),
    Field(
        "required",
        "bool",
        "Fail where it cannot be asked: no such pod, exec is forbidden, none of the programs that ask.",
        default=False,
        example="true",
    ),
)

SERVER: tuple[Field, ...] = (
    Field(
        "name",
        "str",
        "The cluster's name; with C(address) no larger group's.",
        required=True,
        example="cluster-b",
    ),
    Field(
        "address",
        "str",
        "Where the clients' egress gateways reach this cluster's ingress: an IP address or host name. "
        "Default: the link's C(fqdn).",
        example="203.0.113.7",
    ),
    Field("locality", "str", "C(REGION[/ZONE[/SUBZONE]]) of this endpoint.", example="europe-west1/b"),
)

LINK: tuple[Field, ...] = (
    Field(
        "name",
        "str",
        "A DNS label of at most 40 characters, unique; names the link's objects. C(client), C(*-client): reserved.",
        required=True,
        example="mysql",
    ),
    Field(
        "fqdn",
        "str",
        "What workloads dial, the SNI, and the server certificate's SAN. Lower case, unique.",
        required=True,
        example="mysql.server.example.com",
    ),
    Field("port", "int", "The TCP port that workloads dial.", required=True, example="3306"),
    Field(
        "tls_port",
        "int",
        "The TCP port that the ingress gateways expose. Not C(port), and not the backend's port. Not with C(external).",
        required=True,
        example="13306",
        instead="external",
    ),
    Field(
        "protocol",
        "str",
        "What workloads speak over the link. C(http), C(http2) and C(grpc) are routed request by request; C(tcp) "
        "carries any other protocol, byte by byte.",
        default="tcp",
        choices=("tcp", "http", "http2", "grpc"),
        example="tcp",
    ),
    Field(
        "backend",
        "dict",
        "The Service in the servers' clusters. Not with C(external).",
        required=True,
        example="{host: mysql.default.svc.cluster.local, port: 3306}",
        keys=BACKEND,
        instead="external",
    ),
    Field(
        "external",
        "dict",
        "An external server: a TLS server outside of all these clusters, in the place of C(tls_port), C(backend) and "
        "C(servers).",
        example="{address: db.example.net, port: 13306, ca: /srv/crossmesh/mysql}",
        keys=EXTERNAL,
    ),
    Field(
        "servers",
        "list",
        "Names or groups of clusters, or C({name, address, locality}). Default: all of C(mesh_servers).",
        example="[cluster-b]",
        keys=SERVER,
        elements="str",
    ),
    Field(
        "clients",
        "list",
        "Names or groups of clusters; a group means its members but the link's own servers. Default: C(mesh_clients).",
        example="[cluster-a]",
        elements="str",
    ),
    Field(
        "foreign_clients",
        "list",
        "Others that may use the link, beside C(clients): DNS names or URIs that stand in their certificates.",
        default=[],
        example="[billing.partner.example]",
        elements="str",
    ),
    Field(
        "workloads",
        "dict",
        "Which workloads of a client's cluster may use the link, by what their mesh certificate says; the egress "
        "gateway refuses all others. Default: all of the mesh.",
        example="{namespaces: [shop]}",
        keys=WORKLOADS,
    ),
    Field(
        "addresses",
        "list",
        "Virtual IPs: what the FQDN resolves to for workloads, which tells C(tcp) links on one C(port) apart. Default: "
        "by the link's name, one of C(mesh_vip_range), where C(mesh_dns) is given or a C(tcp) link shares its C(port).",
        default=[],
        example="[240.0.0.10]",
        elements="str",
    ),
    Field(
        "strict_backend",
        "bool",
        "Require mesh mTLS (PeerAuthentication C(STRICT)) in the backend's namespace.",
        default=False,
        example="false",
    ),
    Field(
        "allow_backend_port",
        "bool",
        "Let C(tls_port) be the backend's own port.",
        default=False,
        example="false",
    ),
    Field(
        "max_connection_duration",
        "str",
        "The longest that a connection may last, from C(1s) to C(8760h): a whole number of C(s), C(m) or C(h). "
        "Default: as long as its two ends want.",
        example="1h",
    ),
    Field(
        "timeout",
        "str",
        "The longest that a request may take, from C(1ms) to C(24h): a whole number of C(ms), C(s), C(m) or C(h). Not "
        "for C(tcp). Default: as long as its two ends want.",
        example="15s",
    ),
    Field(
        "retries",
        "dict",
        "When a request is sent once more. Not for C(tcp). Default: Istio's own, at each gateway.",
        example="{attempts: 2, per_try_timeout: 2s}",
        keys=RETRIES,
    ),
    Field(
        "probe",
        "dict",
        "What playbook C(verify) asks the link's server, by exec in a pod of a client's cluster. Default: nothing.",
        example="{type: mysql, from: {namespace: shop, selector: {app: web}}}",
        keys=PROBE,
    ),
    Field(
        "state",
        "str",
        "C(absent) takes the link's objects away.",
        default="present",
        choices=STATES,
        example="present",
    ),
)

GATEWAY: tuple[Field, ...] = (
    Field("namespace", "str", "Namespace of the gateway's Service and pods.", example="istio-gateways"),
    Field("service", "str", "Name of the gateway's Service.", example="edge"),
    Field("selector", "dict", "Labels that select the gateway's pods.", example="{istio: edge}", elements="str"),
)

CLUSTER: tuple[Field, ...] = (
    Field(
        "mesh_kubeconfig",
        "str",
        "How the cluster is reached. A kubeconfig on the controller, or several with colons as in C(KUBECONFIG); a "
        "relative path begins where Ansible was started. C(in-cluster): the service account of the pod that Ansible "
        "runs in. C(environment): what C(K8S_AUTH_*) say, as AWX's credential for Kubernetes sets them. Each leads to "
        "one API server, and only one host may have it, unless C(K8S_AUTH_KUBECONFIG) has a context for each. "
        "Default: as kubectl, C(KUBECONFIG) or C(~/.kube/config).",
        example="~/.kube/config",
    ),
    Field("mesh_context", "str", "The context in the kubeconfig; its current one if not given.", example="cluster-a"),
    Field(
        "mesh_api_host",
        "str",
        "In place of a kubeconfig: the URL of the API server. It needs C(mesh_api_key), a token.",
        example="https://api.b.example.com:6443",
    ),
    Field(
        "mesh_api_ca_cert",
        "str",
        "The CA of C(mesh_api_host): a file on the controller, or its certificates in PEM. Default: the system's.",
        example="/etc/crossmesh/cluster-b.crt",
    ),
    Field(
        "mesh_argocd_secret",
        "str",
        "In place of both: C(NAMESPACE/NAME) of the Secret in which Argo CD keeps the cluster. A token or a "
        "certificate in it is followed; programs, and C(insecure), are not.",
        example="argocd/cluster-b",
    ),
    Field(
        "mesh_argocd_kubeconfig",
        "str",
        "With C(mesh_argocd_secret): how the cluster that Argo CD runs in is reached, as with C(mesh_kubeconfig).",
        example="~/.kube/hub",
    ),
    Field(
        "mesh_argocd_context",
        "str",
        "The context in that kubeconfig; its current one if not given.",
        example="hub",
    ),
    Field(
        "mesh_cluster_uid",
        "str",
        "The uid of the cluster's namespace C(kube-system); any other cluster is refused. Needed where another cluster "
        "has taken the place of one that had certificates under this name. Default: the one that the CA store knows.",
        example="1f0c5a3e-8a53-4a53-9a6c-3f2a0d5b7c11",
    ),
    Field(
        "mesh_cluster_name",
        "str",
        "The cluster's name: a DNS label, unique. Default: C(inventory_hostname).",
        example="cluster-a",
    ),
    Field(
        "mesh_ingress_gateway",
        "dict",
        "The ingress gateway; keys that are not given keep their defaults.",
        default={
            "namespace": "istio-system",
            "service": "istio-ingressgateway",
            "selector": {"istio": "ingressgateway"},
        },
        example="{service: edge, selector: {istio: edge}}",
        keys=GATEWAY,
    ),
    Field(
        "mesh_egress_gateway",
        "dict",
        "The egress gateway; keys that are not given keep their defaults.",
        default={
            "namespace": "istio-system",
            "service": "istio-egressgateway",
            "selector": {"istio": "egressgateway"},
        },
        example="{namespace: istio-gateways}",
        keys=GATEWAY,
    ),
    Field("mesh_egress_port", "int", "The mesh-facing port of the egress gateway.", default=15443, example="16443"),
    Field(
        "mesh_trust_domain",
        "str",
        "The trust domain of the cluster's own mesh (C(trustDomain) of Istio's MeshConfig). By it the egress gateway "
        "asks for C(service_accounts) of C(workloads), in the handshake.",
        default="cluster.local",
        example="prod.example.com",
    ),
    Field(
        "mesh_dns",
        "str",
        "Who tells workloads of this client cluster the virtual addresses of links: the sidecars (C(capture), Istio's "
        "DNS proxying) or the cluster's own DNS (C(virtual)). Default: nobody, FQDNs resolve to the ingress gateways.",
        choices=("capture", "virtual"),
        example="capture",
    ),
    Field(
        "mesh_egress_lockdown",
        "list",
        "Namespaces of a client's cluster whose workloads reach nothing outside of the cluster but links. "
        "docs/lockdown.md says what that closes.",
        default=[],
        example="[shop]",
        elements="str",
    ),
    Field(
        "mesh_cluster_cidrs",
        "list",
        "Networks of the cluster's own pods, Services, control plane and API server: all that a namespace of "
        "C(mesh_egress_lockdown) may still reach by address. Required with it.",
        default=[],
        example="[10.0.0.0/16, 10.96.0.0/12]",
        elements="str",
    ),
    Field(
        "mesh_cluster_state",
        "str",
        "C(absent) takes everything of this instance away from the cluster.",
        default="present",
        choices=STATES,
        example="absent",
    ),
)

REVOKED: tuple[Field, ...] = (
    Field("cluster", "str", "Certificates of this cluster, on both sides.", example="cluster-c"),
    Field(
        "link", "str", "Certificates of this link: its servers', and of every client that names it.", example="mysql"
    ),
    Field("serial", "str", "The certificate with this serial, in hexadecimal digits.", example="'5f3a91'"),
    Field("fingerprint", "str", "The certificate with this SHA-256 fingerprint.", example="'3f9a1c2e...'"),
    Field(
        "date",
        "str",
        "What was issued up to then is revoked: ISO 8601, not in the future.",
        required=True,
        example="'2026-03-01T08:00:00Z'",
    ),
    Field(
        "reason",
        "str",
        "The CRL's reason code (RFC 5280, section 5.3.1). Default: C(unspecified).",
        choices=REASONS,
        example="keyCompromise",
    ),
)

SHARED: tuple[Field, ...] = (
    Field(
        "mesh_links",
        "list",
        "The links. C([]) takes all of them away, with C(mesh_prune_all=true).",
        required=True,
        keys=LINK,
    ),
    Field(
        "mesh_instance",
        "str",
        "Keeps several sets of links on one cluster apart, each with a C(custom_ca_dir) of its own. A DNS label of "
        "at most 30 characters.",
        default=DEFAULT_INSTANCE,
        example="blue",
    ),
    Field(
        "mesh_clusters",
        "dict",
        "The groups of each cluster. Needed only where a run sees a part of the inventory.",
        example="{cluster-a: [mesh_clients], cluster-b: [mesh_servers]}",
        elements="list",
    ),
    Field(
        "mesh_vip_range",
        "str",
        "The network that virtual addresses of links are taken from, outside of Istio's 240.240.0.0/16, 2001:2::/48.",
        default="240.0.0.0/9",
        example="240.128.0.0/10",
    ),
    Field("mesh_gate_timeout", "int", "Seconds; bounds every gate and proof.", default=60, example="120"),
    Field(
        "mesh_gate_wait",
        "int",
        "Seconds to wait where a gateway's pods cannot be asked (exec is forbidden) and no handshake reaches them.",
        default=10,
        example="30",
    ),
    Field(
        "mesh_gate_max_age",
        "int",
        "Seconds; how long a gate of C(rotate_ca) counts what a run over another slice of the inventory has seen.",
        default=86400,
        example="7200",
    ),
    Field(
        "mesh_api_timeout",
        "int",
        "Seconds; the longest that one answer of an API server may take as a whole, and that a run waits for another "
        "one to let go of the CA store.",
        default=Limits.answer,
        example="120",
    ),
    Field(
        "mesh_api_max_bytes",
        "int",
        "Bytes; the longest answer that is taken of an API server, the output of a command in a pod too.",
        default=Limits.size,
        example="268435456",
    ),
    Field(
        "mesh_cluster_timeout",
        "int",
        "Seconds; the longest that one cluster may take for the answers of a task, beside what the gates wait. A task "
        "that writes has as long for each of its stages: the writes, the answers of each gate, deletions of Secrets, "
        "and the answers that tell whether what it deleted is gone.",
        default=Limits.cluster,
        example="1800",
    ),
    Field(
        "mesh_only_links",
        "list",
        "Limits the work to these links, never the view.",
        default=[],
        example="[mysql]",
        elements="str",
    ),
    Field(
        "mesh_client_credential_prefix",
        "str",
        "Name of the client's Secret.",
        default="client-credential",
        example="egress-credential",
    ),
    Field(
        "custom_ca_trust_domain",
        "str",
        "Ends the names of clusters and links in client certificates.",
        default="crossmesh.internal",
        example="mesh.example.com",
    ),
    Field(
        "custom_ca_revoked",
        "list",
        "What is revoked: one C(cluster), C(link), C(serial) or C(fingerprint) each, with C(date) and C(reason).",
        default=[],
        example="[{cluster: cluster-c, date: '2026-03-01T08:00:00Z', reason: keyCompromise}]",
        keys=REVOKED,
    ),
    Field(
        "custom_ca_lost_roots",
        "list",
        "For playbook C(rotate_ca) with C(custom_ca_lost): SHA-256 fingerprints of roots that it may trust though "
        "fewer than two clusters hold certificates of them.",
        default=[],
        example="['3f9a1c2e...']",
        elements="str",
    ),
    Field(
        "custom_ca_revoke_removed",
        "bool",
        "Revoke what is taken away: certificates of links, clients and clusters that the inventory has no more, in the "
        "run that removes them. Else that run says until when they hold. A cluster that is in no group any more counts "
        "where C(mesh_clusters) is set, or it had C(mesh_cluster_state: absent) first.",
        default=False,
        example="true",
    ),
)


RUN: tuple[Field, ...] = (
    Field("mesh_adopt", "bool", "Take over what others made under our names.", default=False, example="true"),
    Field("mesh_prune_all", "bool", "Accept an empty C(mesh_links).", default=False, example="true"),
    Field(
        "mesh_misplaced_from",
        "str",
        "For playbook C(teardown) with C(--limit): take away what bears the name of this other cluster, and leave the "
        "cluster's own.",
        default="",
        example="cluster-a",
    ),
)

CA: tuple[Field, ...] = (
    Field(
        "custom_ca_store",
        "str",
        "Where the CA is kept: in a folder of the controller (C(directory)), or in Secrets of a management cluster "
        "(C(kubernetes)), its keys encrypted in both. docs/store.md says how it is moved.",
        default="directory",
        choices=STORES,
        example="kubernetes",
    ),
    Field(
        "custom_ca_store_namespace",
        "str",
        "With C(kubernetes): the namespace of these Secrets. Nobody makes it.",
        default="crossmesh",
        example="crossmesh-ca",
    ),
    Field(
        "custom_ca_store_name",
        "str",
        "With C(kubernetes): what their names begin with, a DNS label of at most 63 characters. Default: "
        "C(crossmesh-ca-) and C(mesh_instance).",
        default="",
        example="ca-of-production",
    ),
    Field(
        "custom_ca_store_kubeconfig",
        "str",
        "With C(kubernetes): how that cluster is reached, as with C(mesh_kubeconfig).",
        default="",
        example="/etc/crossmesh/management.kubeconfig",
    ),
    Field(
        "custom_ca_store_context",
        "str",
        "The context in that kubeconfig; its current one if not given.",
        default="",
        example="management",
    ),
    Field(
        "custom_ca_dir",
        "str",
        "With C(directory): that folder; a relative one begins beside the first inventory source. "
        "Default: C(.crossmesh/ca) there. localhost reads it too, and knows no C(inventory_dir).",
        default="",
        example="/var/lib/crossmesh/ca",
    ),
    Field(
        "custom_ca_key_type",
        "str",
        "The key of a new root and of new certificates.",
        default="P-256",
        choices=KEY_TYPES,
        example="P-384",
    ),
    Field("custom_ca_validity_days", "int", "How long a new root is valid.", default=3650, example="1825"),
    Field("custom_ca_leaf_validity_days", "int", "How long a new certificate is valid.", default=90, example="30"),
    Field(
        "custom_ca_renew_before_days",
        "int",
        "How long before it expires a certificate is renewed.",
        default=30,
        example="10",
    ),
    Field(
        "custom_ca_import_certificate",
        "str",
        "PEM file of a root of your own, to be used in place of a new one; with C(custom_ca_import_key).",
        default="",
        example="/secure/root.crt",
    ),
    Field("custom_ca_import_key", "str", "PEM file of its private key.", default="", example="/secure/root.key"),
    Field(
        "custom_ca_keep_retired_keys",
        "bool",
        "Keep the key of a retired root in the store in place of destroying it.",
        default=False,
        example="true",
    ),
)

# Every variable of the contract that is no secret.
CONTRACT: tuple[Field, ...] = (*CLUSTER, *SHARED, *RUN, *CA)

# What may run again and again with nobody there.
SCHEDULED = ("preflight", "report", "rotate_ca", "rotate_certificates", "site", "verify")

SCHEDULE: tuple[Field, ...] = (
    Field(
        "playbook",
        "str",
        "What runs; one entry for each.",
        required=True,
        choices=SCHEDULED,
        example="verify",
    ),
    Field(
        "at",
        "str",
        "C(HH:MM) each day, C(Mon HH:MM) each week, C(:MM) each hour; in the time zone of what starts it.",
        required=True,
        example="'02:17'",
    ),
    Field(
        "limit",
        "str",
        "The longest that a run may take, a whole number of C(m) or C(h), less than from one to the next.",
        required=True,
        example="3h",
    ),
)

PLAYBOOK: tuple[Field, ...] = (
    Field(
        "mesh_rotate_force",
        "bool",
        "C(rotate_certificates): replace all certificates, not only those that are due.",
        default=False,
        example="true",
    ),
    Field(
        "mesh_rotate_side",
        "str",
        "C(rotate_certificates): only servers' certificates, or only those of clients.",
        choices=SIDES,
        example="server",
    ),
    Field(
        "mesh_rotate_serial",
        "list",
        "C(rotate_certificates): how many clusters go at once, as C(serial) of a play. Default: one.",
        example="[1, '10%']",
        single=True,
    ),
    Field(
        "mesh_rotate_phase",
        "str",
        "C(rotate_ca): only this phase of a root rotation. Default: all that are left.",
        choices=tuple(filter(None, ASKED)),
        example="prepare",
    ),
    Field(
        "custom_ca_lost",
        "bool",
        "C(rotate_ca): the CA store is lost; make a new CA, and move everything over to it.",
        default=False,
        example="true",
    ),
    Field(
        "custom_ca_restored",
        "str",
        "C(reconcile_ca): the generation of the newest copy of the store that is left.",
        example="'41'",
    ),
    Field(
        "custom_ca_take_over",
        "str",
        "C(take_over_ca): SHA-256 fingerprints, with commas, of every root that the store is to trust.",
        example="3f9a1c2e...",
    ),
    Field(
        "mesh_history_of",
        "str",
        "C(history): only what was done with this link, cluster, Secret, certificate or root: a name, a DNS name, a "
        "serial number or a fingerprint. Default: everything.",
        example="mysql",
    ),
    Field(
        "mesh_report_dir",
        "str",
        "C(report): the folder for its files; a relative path begins where Ansible was started. "
        "Default: C(crossmesh-report); with C(mesh_report_query) alone nothing is written.",
        example="/var/www/meshes",
    ),
    Field(
        "mesh_report_query",
        "str",
        "C(report): a JMESPath expression over the report; its answer is printed.",
        example="'links[].name'",
    ),
    Field(
        "mesh_metrics_dir",
        "str",
        "C(report): the folder of node exporter's textfile collector, which is there, for C(crossmesh.INSTANCE.prom). "
        "Without it no metrics are written.",
        example="/var/lib/prometheus/node-exporter",
    ),
    Field(
        "mesh_render_dir",
        "str",
        "C(render): the folder of the tree; a relative path begins where Ansible was started. Required there.",
        example="clusters",
    ),
    Field(
        "mesh_schedule_dir",
        "str",
        "C(schedule): the folder for its files; a relative path begins where Ansible was started. Required there.",
        example="schedule",
    ),
    Field(
        "mesh_schedule",
        "list",
        "C(schedule): what runs when on this controller. C(report) tells which of these runs failed or did not come; "
        "C([]) says to it that there are none.",
        default=[
            {"playbook": "rotate_certificates", "at": "02:17", "limit": "3h"},
            {"playbook": "verify", "at": ":47", "limit": "50m"},
        ],
        example="[{playbook: verify, at: '06:30', limit: 1h}]",
        keys=SCHEDULE,
    ),
    Field(
        "mesh_schedule_command",
        "list",
        "C(schedule): the command of a run, up to the playbook's name. Default: this C(ansible-playbook) with this "
        "inventory.",
        example="[/opt/ansible/bin/ansible-playbook, -i, /srv/meshes, --vault-password-file, /etc/meshes/vault]",
        elements="str",
    ),
    Field(
        "mesh_schedule_user",
        "str",
        "C(schedule): as whom cron and systemd start it. Default: who runs the playbook.",
        example="ops",
    ),
    Field(
        "mesh_schedule_alarm",
        "list",
        "C(schedule): a command for runs that failed or did not come; the job's name is added.",
        default=["/usr/bin/logger", "--priority", "daemon.crit", "--tag", "crossmesh", "failed or missed:"],
        example="[/usr/local/bin/page-oncall]",
        elements="str",
    ),
    Field(
        "mesh_schedule_heartbeat",
        "list",
        "C(schedule): a command after each good run, for whom its silence is an alarm; the playbook's name is added.",
        default=[],
        example="[/usr/local/bin/heartbeat]",
        elements="str",
    ),
    Field(
        "mesh_schedule_image",
        "str",
        "C(schedule): an image of yours with this collection and the inventory. Without it no CronJob is written.",
        example="registry.example.com/crossmesh-ee:0.1.0",
    ),
    Field(
        "mesh_schedule_image_command",
        "list",
        "C(schedule): as C(mesh_schedule_command), in that image.",
        default=["ansible-playbook", "-i", "/runner/inventory"],
        example="[ansible-playbook, -i, /srv/meshes]",
        elements="str",
    ),
    Field(
        "mesh_schedule_namespace",
        "str",
        "C(schedule): the namespace of the CronJobs.",
        default="crossmesh",
        example="crossmesh-runs",
    ),
    Field("mesh_preflight_report", "str", "C(preflight): a JSON file for what it finds.", example="preflight.json"),
    Field(
        "mesh_results_dir",
        "str",
        "C(verify), C(site) and all that look at clusters or change the CA: a folder for what became of the run, as "
        "JSON and in JUnit's XML; a relative path begins where Ansible was started. Default: nothing is written.",
        example="results",
    ),
    Field(
        "mesh_diagnose_dir",
        "str",
        "C(diagnose): the folder for its archive; a relative path begins where Ansible was started. Default: "
        "C(crossmesh-diagnosis).",
        example="/tmp/for-support",
    ),
)

SECRET: tuple[Field, ...] = (
    Field("custom_ca_passphrase", "str", "Encrypts the private keys of the CA; at least 12 characters."),
    Field("custom_ca_import_passphrase", "str", "Opens C(custom_ca_import_key), where that is encrypted."),
    Field("mesh_api_key", "str", "The token for C(mesh_api_host)."),
)

# Options of the roles, which their own argument specs describe.
ROLE: tuple[Field, ...] = (
    Field("custom_ca_state", "str", "Option of role C(custom_ca).", choices=STATES),
    Field("custom_ca_in_service", "list", "Option of role C(custom_ca).", elements="str"),
    Field("mesh_ingress_server_state", "str", "Option of role C(mesh_ingress_server).", choices=STATES),
    Field("mesh_egress_client_state", "str", "Option of role C(mesh_egress_client).", choices=STATES),
)

# All that a user may write, and how the names of all of it begin.
VARIABLES: tuple[Field, ...] = (*CONTRACT, *PLAYBOOK, *SECRET, *ROLE)
PREFIXES = ("mesh_", "custom_ca_")
# What our own playbooks write: between playbooks and roles, and for the next job of a workflow.
INTERNAL_PREFIX = "mesh_side_"
HANDED_ON = ("mesh_preflight",)

# More digits fit into nothing that is counted here, and Python refuses to read thousands of them.
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
TRUE, FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


def coerced(field: Field, value: Any) -> Any:
    """The value with every number and switch in it as such, where it came as a text; else the value as it is.

    Texts come of C(-e), of survey fields, and before ansible-core 2.19 of every template. An empty one is what a
    template makes of no value there: None. A switch may also be 0 or 1.
    """
    if field.type == "bool" and isinstance(value, (str, int)):
        return _switch(value)
    if field.type == "int" and isinstance(value, str):
        return _number(value.strip())
    keys = field.by_key
    if keys and isinstance(value, Mapping):
        return {key: coerced(keys[key], item) if key in keys else item for key, item in value.items()}
    if keys and isinstance(value, list):
        return [coerced(field, item) for item in value]
    return value


def _number(text: str) -> Any:
    return int(text) if WHOLE_NUMBER.fullmatch(text) else text or None


def _switch(value: str | int) -> Any:
    text = str(value).strip().lower()
    return text in TRUE if text in TRUE | FALSE else value if text else None


def defaults(fields: tuple[Field, ...]) -> dict[str, Any]:
    """The default of every field that has one."""
    return {field.name: field.default for field in fields if field.default is not None}
