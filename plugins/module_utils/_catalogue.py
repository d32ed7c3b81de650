# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code that a message can end with. Pure.

PRIVATE to the collection. docs/validation.md is made of C(RULES), docs/messages.md of C(CODES) and C(RULES).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CODES", "RULES", "Entry", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One rule that an inventory is held to.

    :param asks: what has to be so.
    :param why: what would go wrong, with the source where there is one.
    """

    asks: str
    why: str


@dataclass(frozen=True)
class Entry:
    """What a code stands for, beside the rules.

    :param title: in plain words.
    :param means: what was seen, and what follows from it.
    :param fix: what to do.
    """

    title: str
    means: str
    fix: str


RULES: Mapping[str, Rule] = {
    # What is written at all
    "links-undefined": Rule(
        "C(mesh_links) is defined; an empty list removes every link",
        "otherwise a run with the wrong inventory would remove every link",
    ),
    "prunes-everything": Rule(
        "A run that would remove every link has C(mesh_prune_all=true)",
        "removing all links is rarely intended",
    ),
    "missing": Rule("A required key has a value", "there is no default for it"),
    "unknown-key": Rule("Every key is known", "a misspelt key would have no effect"),
    "type": Rule("A value has the type of its key", "a port in quotes is a string; YAML reads C(yes) as true"),
    "choice": Rule("A value is one of the allowed choices", "any other value would have no effect"),
    # A link
    "link-name": Rule(
        "A link's name is a DNS label of at most 40 characters",
        "it is part of object names and of SANs in certificates (RFC 1035, section 2.3.1)",
    ),
    "reserved-name": Rule("A link is not named C(client) or C(*-client)", "client credentials have these names"),
    "duplicate-name": Rule("Each link has a unique name", "two links with one name would write the same objects"),
    "fqdn": Rule(
        "A link's FQDN is one DNS name in lower case, with more than one label, outside of C(cluster.local); its last "
        "label is not a number",
        "it is the SNI, which is compared literally (RFC 6066, section 3), and the SAN of the server certificate; "
        "Istio rejects an all-numeric last label",
    ),
    "duplicate-fqdn": Rule("Each link has a unique FQDN", "gateways select the link by it"),
    "port": Rule("A port is a number from 1 to 65535", "TCP has no other ports"),
    "proxy-port": Rule(
        "A gateway does not listen on a port of the Istio proxy itself",
        "Envoy or istio-agent already listens there (Istio, Application Requirements)",
    ),
    "same-port": Rule("C(tls_port) is not C(port)", "a ServiceEntry cannot list one port twice"),
    "backend-port-exposed": Rule(
        "C(tls_port) is not the backend's own port, unless C(allow_backend_port) is true",
        "port scanners look for databases on their well-known ports",
    ),
    "backend-host": Rule(
        "A backend is the full DNS name of a Service",
        "Istio resolves a short name in the namespace of the VirtualService",
    ),
    "address": Rule(
        "An address of a link is the IP address of a host, neither loopback nor link-local nor in 240.240.0.0/16 or "
        "2001:2::/48, and is listed once",
        "a ServiceEntry accepts nothing else; connections to loopback or link-local addresses never leave the "
        "workload's host, and Istio gives the addresses of the two networks to other services",
    ),
    "duration": Rule(
        "A duration is a whole number of C(s), C(m) or C(h), up to a year; for requests also of C(ms), and up to a day",
        "Istio rejects other forms; a longer duration would limit nothing",
    ),
    "workloads": Rule(
        "C(workloads) lists at least one namespace (a DNS label) or service account (C(NAMESPACE/NAME))",
        "otherwise the egress gateway would refuse every workload, or the intended ones",
    ),
    "requests-only": Rule(
        "C(timeout) and C(retries) are set only for C(http), C(http2) and C(grpc) links",
        "they apply to requests, and a C(tcp) link forwards bytes",
    ),
    "retries": Rule(
        "C(retries) has 0 to 10 attempts and, separated by commas, Envoy retry policies or HTTP status codes",
        "more attempts would overload a slow server; Istio rejects unknown policies",
    ),
    "probe": Rule(
        "A probe has no more than its C(type) takes: C(path) (from its first C(/), in ASCII, without spaces) and "
        "C(status) (C(200) or C(200-399)) for C(http), C(service) for C(grpc), C(banner) for C(tcp)",
        "it would not ask what it seems to ask",
    ),
    "probe-type": Rule(
        "C(mysql) and C(tcp) probes are for C(tcp) links, C(grpc) probes not for C(http) links",
        "the nearest proxy would answer in the server's place, or refuse what it does not speak",
    ),
    "probe-from": Rule(
        "C(probe.from) names a namespace, labels and, if any, a container as Kubernetes does",
        "it is asked in the first ready pod with these labels",
    ),
    "external-only": Rule(
        "A link with C(external) has none of C(tls_port), C(backend), C(servers), C(foreign_clients), "
        "C(strict_backend) and C(allow_backend_port)",
        "they configure servers in clusters, and an external server is in none",
    ),
    "external-address": Rule(
        "An external server has an IP address or a DNS name, and a DNS name as C(sni); the last label of a name is not "
        "a number",
        "an SNI is never an IP address (RFC 6066, section 3); Istio rejects an all-numeric last label",
    ),
    "external-trust": Rule(
        "An external server has either C(ca), an absolute path, or C(trust), the PEM root certificates of another CA",
        "the egress gateway trusts the CA that issued the server's certificate",
    ),
    "external-trust-ended": Rule(
        "Of the roots in C(trust), one has not ended",
        "no certificate of a root that has ended is accepted (RFC 5280, section 6.1.3)",
    ),
    "external-sni": Rule(
        "C(external.sni) is not the FQDN of another link",
        "its server would hold a certificate with which it can pose as the servers of that link",
    ),
    "foreign-client": Rule(
        "C(foreign_clients) holds DNS names and URIs without wildcards",
        "the ingress gateway compares them literally with the SANs of client certificates",
    ),
    "server-address": Rule(
        "A server's address is an IP address, or a DNS name whose last label is not a number, and belongs to one "
        "cluster, not to a group of several",
        "egress gateways connect to it; Istio rejects an all-numeric last label",
    ),
    "locality": Rule(
        "A server's locality is C(REGION[/ZONE[/SUBZONE]])", "Istio compares these parts to find the nearest server"
    ),
    # Links and clusters
    "reference": Rule("C(servers) and C(clients) are lists of names", "nothing else identifies a cluster"),
    "unknown-cluster": Rule(
        "Each name is a cluster or a group of the inventory", "the link would not be created there"
    ),
    "wrong-group": Rule(
        "A cluster in C(servers) is in group C(mesh_servers), a cluster in C(clients) in group C(mesh_clients)",
        "otherwise it would be skipped, or its objects removed, without a message",
    ),
    "both-sides": Rule(
        "No cluster is both server and client of a link", "it would connect to itself through both gateways"
    ),
    "no-server": Rule(
        "The inventory has a group C(mesh_servers), unless all links are C(external); C(servers) is not empty",
        "clients would have no server to connect to",
    ),
    "two-values": Rule(
        "A variable that all clusters share has one value, and no entry is listed twice with different settings",
        "two clusters would create two different links",
    ),
    "too-many-links": Rule(
        "A cluster is client of at most 500 links",
        "each link is a SAN of the client certificate, which is sent in every handshake",
    ),
    "shared-port": Rule(
        "If a client uses several links on one port, each C(tcp) link has a virtual address that workloads resolve",
        "a TCP port without an address takes all traffic to that port (istio#6695)",
    ),
    "shared-address": Rule("Links on one port have different addresses", "sidecars tell them apart by nothing else"),
    "virtual-endpoint": Rule(
        "If the cluster's DNS answers with virtual addresses (C(mesh_dns: virtual)), each server of a link has an "
        "C(address) that is not the FQDN of a link of this client",
        "the egress gateway uses the same DNS, so it would connect to itself, or to nothing",
    ),
    # Clusters
    "cluster-name": Rule("A cluster's name is a DNS label", "it is part of labels and SANs"),
    "duplicate-cluster": Rule(
        "Each cluster has a unique name", "two clusters with one name would treat each other's objects as their own"
    ),
    "cluster-and-group": Rule(
        "No cluster has the name of a group of the inventory",
        "C(clients) and C(servers) take both: a cluster called as a group would get the links and certificates of the "
        "group's members",
    ),
    "same-cluster": Rule(
        "Hosts that share a link, or are both clients, connect to different clusters, or to different gateways in one "
        "cluster. Hosts with one kubeconfig all set C(mesh_context)",
        "without C(mesh_context) the current context is used: client and server would be the same cluster",
    ),
    "one-api-server": Rule(
        "At most one host has C(mesh_kubeconfig: in-cluster), and one C(mesh_kubeconfig: environment) without "
        "C(mesh_context)",
        "one pod's account, and one C(K8S_AUTH_HOST), lead to one API server: all links would be written there",
    ),
    "gateway": Rule(
        "A gateway's namespace and Service are DNS labels, and its selector has labels",
        "an empty selector would select every pod of the namespace",
    ),
    "lockdown": Rule(
        "C(mesh_egress_lockdown) lists namespaces of a client, each once, without C(istio-system) and the namespace of "
        "the egress gateway",
        "a lock-down there would break every link, or the mesh",
    ),
    "cluster-cidrs": Rule(
        "C(mesh_cluster_cidrs) lists networks in CIDR notation, none of them all addresses, and at least one if "
        "C(mesh_egress_lockdown) is set",
        "otherwise sidecars could not reach their control plane, or nothing would be locked down",
    ),
    # What all clusters share
    "instance": Rule(
        "C(mesh_instance) is a DNS label of at most 30 characters", "it is part of labels and field managers"
    ),
    "timeout": Rule("C(mesh_gate_timeout) is at least 1", "a gate that does not wait always fails"),
    "wait": Rule("C(mesh_gate_wait) and C(mesh_gate_max_age) are at least 0", "they are times"),
    "limit": Rule(
        "C(mesh_api_timeout) and C(mesh_cluster_timeout) are at least 1, C(mesh_api_max_bytes) is at least 2 MiB",
        "a cluster would be given up before it could answer with one Secret",
    ),
    "prefix": Rule(
        "C(mesh_client_credential_prefix) is a DNS label, does not end in C(-cacert), and is not the server Secret of "
        "a link",
        "Istio reads the CA of Secret C(NAME) from Secret C(NAME-cacert), if it exists",
    ),
    "vip-range": Rule(
        "C(mesh_vip_range) is a network of at least 256 addresses outside of 240.240.0.0/16 and 2001:2::/48",
        "Istio assigns addresses of these networks itself (Istio, DNS Proxying)",
    ),
    "unknown-link": Rule("C(mesh_only_links) lists names of links", "otherwise the run would do nothing"),
    # The CA
    "lost-root-fingerprint": Rule(
        "C(custom_ca_lost_roots) lists SHA-256 fingerprints", "a root is trusted for nothing less than all of it"
    ),
    "ca-trust-domain": Rule(
        "C(custom_ca_trust_domain) is a DNS name in lower case, short enough to be a suffix of cluster names",
        "it is the suffix of names in client certificates; a DNS name has at most 253 characters (RFC 1035, section "
        "2.3.4)",
    ),
    "mesh-trust-domain": Rule(
        "C(mesh_trust_domain) is a DNS name in lower case",
        "it is the authority of the identities of workloads (SPIFFE ID, section 2.1)",
    ),
    "ca-store": Rule("C(custom_ca_store) is C(directory) or C(kubernetes)", "there is no other place for a CA"),
    "ca-store-name": Rule(
        "C(custom_ca_store_namespace) and C(custom_ca_store_name) are DNS labels of at most 63 characters",
        "they are a namespace, and a part of names and labels of Secrets",
    ),
    "ca-key-type": Rule("C(custom_ca_key_type) is a supported key type", "the collection and Istio support no others"),
    "ca-validity": Rule(
        "C(custom_ca_validity_days) is from 1 to 36500", "an X.509 certificate cannot be valid after the year 9999"
    ),
    "ca-leaf-validity": Rule(
        "A certificate is valid for less time than its root", "verifiers reject a certificate whose root has expired"
    ),
    "ca-renew-before": Rule(
        "C(custom_ca_renew_before_days) is at least 1 and less than C(custom_ca_leaf_validity_days)",
        "otherwise every run would renew certificates, or no run",
    ),
    "ca-passphrase": Rule("C(custom_ca_passphrase) has at least 12 characters", "shorter passphrases can be guessed"),
    # Revocation
    "revoked-what": Rule(
        "An entry has exactly one of C(cluster), C(link), C(serial) and C(fingerprint)", "otherwise it is ambiguous"
    ),
    "revoked-cluster": Rule("The C(cluster) of an entry is not empty", "an empty name revokes nothing"),
    "revoked-link": Rule("The C(link) of an entry is not empty", "an empty name revokes nothing"),
    "revoked-serial": Rule(
        "A serial is a positive hexadecimal number of at most 20 octets, in quotes",
        "RFC 5280, section 4.1.2.2 allows no others; YAML reads digits without quotes as a different number",
    ),
    "revoked-fingerprint": Rule(
        "A fingerprint is SHA-256, 64 hexadecimal digits",
        "it is compared with the records of the CA",
    ),
    "revoked-reason": Rule("A reason is one of RFC 5280, section 5.3.1", "a CRL can contain no other"),
    "revoked-date": Rule(
        "An entry has a date that is not in the future",
        "certificates issued up to this date are revoked; with a future date, every run would renew",
    ),
}


CODES: Mapping[str, Entry] = {
    # The controller
    "missing-package": Entry(
        "A Python package is missing",
        "The Python that runs ansible-playbook lacks a package that the collection needs",
        "Install it there, and let the clusters use the same interpreter",
    ),
    "missing-collection": Entry(
        "kubernetes.core is missing or too old",
        "Ansible does not find the collection that writes manifests, or first finds one before 5.0.0: the package "
        "C(ansible) brings such up to its version 10",
        "Install it from Galaxy, which installs it where Ansible looks before the packages of pip",
    ),
    "unreadable-variable": Entry(
        "A variable cannot be read",
        "Its value uses an undefined variable, or cannot be decrypted; the message never holds the value",
        "Define the variables that it uses, or give the vault password",
    ),
    "wrong-option": Entry(
        "A task was given an option that it cannot take",
        "Its type or value is not what the module documents; playbooks hand variables on as options",
        "Correct the variable; C(ansible-doc) describes each option of a module",
    ),
    "unknown-variable": Entry(
        "A variable has a name that nothing reads",
        "Its name begins with C(mesh_) or C(custom_ca_), as those of the collection do, but it is none of them: it may "
        "be misspelt, and has no effect",
        "Write the name as docs/links.md has it; let variables of your own begin otherwise",
    ),
    "clock-wrong": Entry(
        "The controller's clock is wrong",
        "It differs from the API server's by nearly two hours or more: a new certificate would not be valid yet, or "
        "expire too early",
        "Set the clock (NTP)",
    ),
    "clock-apart": Entry(
        "The clocks differ",
        "The controller's clock differs from the API server's by more than a minute; certificates are backdated, so "
        "nothing fails yet",
        "Set the clock (NTP)",
    ),
    "file-error": Entry(
        "A file or folder cannot be used",
        "The operating system refused to read or write it: permissions, a full disk, a missing parent",
        "Check the file system, owner and permissions",
    ),
    "open-to-others": Entry(
        "A private file is open to other users",
        "The CA store or a key can be read or written by others than its owner",
        "Find out who could read it, then set the mode that the message names",
    ),
    "folder-open-to-others": Entry(
        "Others may replace the CA store",
        "A folder above it is writable for everybody, and has no sticky bit",
        "Take the permission away (C(chmod o-w)), or move the store",
    ),
    "owned-by-another": Entry(
        "A file or folder of the CA store belongs to somebody else",
        "Its owner, neither this user nor root, can change it at any time",
        "Find out who put it there; run as that user, or restore it with its owner",
    ),
    "not-a-file": Entry(
        "Something else lies where a file of the CA store belongs",
        "A symbolic link, a pipe or a folder; a run follows no link there, and waits for no pipe",
        "Find out who put it there, then remove it or restore the file",
    ),
    "history-unknown": Entry(
        "Nothing has the name whose history was asked for",
        "C(mesh_history_of) names no link, cluster, Secret, certificate or root of the audit journal or the inventory",
        "Write one of the names that the message offers; docs/journal.md says what can be asked for",
    ),
    "report-not-written": Entry(
        "A report cannot be written",
        "C(mesh_preflight_report) is no writable file, or C(mesh_report_dir) no folder that can be made and written to",
        "Set it to a place that can be written to",
    ),
    "metrics-not-written": Entry(
        "Metrics cannot be written",
        "C(mesh_metrics_dir) is no folder that is there and can be written to. The report itself was written; what "
        "Prometheus reads is that of the last run",
        "Set it to the folder that node exporter was given (C(--collector.textfile.directory)), and let who runs the "
        "playbook write there",
    ),
    "results-not-written": Entry(
        "The results of a run cannot be written",
        "C(mesh_results_dir) is no folder that can be made and written to",
        "Set it to a place that can be written to",
    ),
    "run-unfinished": Entry(
        "A run has not come to its results",
        "The files in C(mesh_results_dir) are those that it began with: it is still running, was killed, or Ansible "
        "ended it because every cluster had failed",
        "See what it printed last; run it again once that is mended",
    ),
    "diagnosis-not-written": Entry(
        "A diagnosis cannot be written",
        "C(mesh_diagnose_dir) is no folder that can be made and written to",
        "Set it to a place that can be written to",
    ),
    "report-query": Entry(
        "The query of a report cannot be answered",
        "C(mesh_report_query) is no JMESPath expression, or asks for something that the values have not",
        "Correct it; docs/report.md has examples. Numbers stand in backquotes, texts in single quotes",
    ),
    "previous-report": Entry(
        "The last report cannot be read",
        "C(report.json) in C(mesh_report_dir) is no report of this collection: what has changed since is not told",
        "Nothing: this run writes a new one in its place, and the next one tells what has changed since",
    ),
    "cluster-left-out": Entry(
        "A cluster is left out of the inventory",
        "C(clusters) of the inventory plugin names it, and the list has none of this name, or several, or its name or "
        "address cannot be taken. A run is over the other clusters alone; with C(strict) there is none",
        "Follow the message; C(ansible-inventory --list) shows what is there",
    ),
    "foreign-group": Entry(
        "A foreign value would choose a group",
        "C(keyed_groups) of the inventory plugin would make a group that is called as somebody else likes, such as "
        "C(mesh_clients), whose members get certificates",
        "Give each entry of C(keyed_groups) a prefix, and say in C(groups) what makes a cluster a client or a server",
    ),
    # The API server
    "kubeconfig": Entry(
        "The kubeconfig cannot be used",
        "It does not exist, cannot be read, or has no such context",
        "Set C(mesh_kubeconfig) and C(mesh_context)",
    ),
    "connection": Entry(
        "A cluster's connection cannot be followed",
        "C(mesh_kubeconfig), C(mesh_api_host), C(mesh_api_key), C(mesh_api_ca_cert) or C(mesh_argocd_secret) asks for "
        "something that is not there, for two things at once, or for what cannot be done in every part of a run",
        "Follow the message; docs/links.md has what each can be",
    ),
    "unverified-server": Entry(
        "The API server's certificate would not be checked",
        "C(K8S_AUTH_VERIFY_SSL) is false, as AWX's credential for Kubernetes sets it where C(Verify SSL) is not ticked "
        "or no CA is entered; or a Secret of Argo CD has C(insecure). Whoever answers in the server's place would get "
        "the token, and private keys of gateways",
        "Enter the CA of the API server in the credential, and tick C(Verify SSL), or in the Secret; or give the "
        "cluster a kubeconfig",
    ),
    "credential-plugin": Entry(
        "A credential plugin gave no credential",
        "The exec plugin or auth-provider of the kubeconfig is not installed, has failed, did not answer in time, has "
        "no session, or has one that expired; without it, requests would be those of nobody",
        "Follow the message; C(kubectl) with this context, in the environment that Ansible has, shows what the plugin "
        "says. In an execution environment the plugin has to be in the image",
    ),
    "anonymous": Entry(
        "The API server does not know who asks",
        "The context has no credential, so requests are those of C(system:anonymous)",
        "Give the context a user, or choose another context",
    ),
    "another-cluster": Entry(
        "A connection leads to another cluster than before",
        "The uid of its namespace C(kube-system) is not C(mesh_cluster_uid), or not that of the cluster for which "
        "certificates were issued under this name",
        "Correct C(mesh_kubeconfig) and C(mesh_context); if the cluster was made anew, set C(mesh_cluster_uid)",
    ),
    "misplaced-objects": Entry(
        "Objects of another cluster are here",
        "They bear the labels of this instance and the name of another cluster: a context has led here by mistake, or "
        "the cluster had that name before",
        "Take them away by playbook C(teardown) with C(--limit) and C(mesh_misplaced_from), if nobody needs them",
    ),
    "misplaced-from": Entry(
        "These objects are at home",
        "C(mesh_misplaced_from) names the cluster itself, by its name or as the CA store knows it; nothing was removed",
        "Limit the run to the cluster in which the objects do not belong (C(--limit))",
    ),
    "cluster-unidentified": Entry(
        "It is not known which cluster this is",
        "The uid of the namespace C(kube-system) may not be read, so two hosts that are one cluster, or a context that "
        "leads to another cluster than before, are not noticed",
        "Bind ClusterRole C(crossmesh-read) as it is now (docs/permissions.md)",
    ),
    "api-certificate": Entry(
        "The API server's certificate is not accepted",
        "It was issued by another CA than the kubeconfig names, for another name, or has expired",
        "Correct C(certificate-authority), C(server) or C(tls-server-name), or renew the certificate",
    ),
    "strict-x509": Entry(
        "Python 3.13 refuses the API server's certificates",
        "From 3.13 on, Python verifies certificates strictly (RFC 5280); the CA of some clusters lacks C(keyUsage), or "
        "certificates have no key identifiers. kubernetes.core uses the same Python, and has no option for it",
        "Let Ansible run with Python 3.12 or earlier, or issue the cluster's CA certificates anew",
    ),
    "api-unreachable": Entry(
        "The API server cannot be reached",
        "No connection to the address of the context",
        "Check the address, the network and the server",
    ),
    "internal-error": Entry(
        "The collection met an error that it does not know",
        "A fault of the collection; the message names its type and its place in the code, and no value. Nothing that "
        "this task had still to do was done",
        "Report it to the maintainers with the line, and run again: a run goes on from where things stand",
    ),
    "api-too-slow": Entry(
        "The API server gave no whole answer in time",
        "An answer was not there as a whole within C(mesh_api_timeout), however much of it has come",
        "Find out what holds up the API server, or the proxy in front of it, or set C(mesh_api_timeout) to more",
    ),
    "answer-too-large": Entry(
        "An answer has more bytes than are taken",
        "The API server, or a command in a gateway's pod, sent more than C(mesh_api_max_bytes)",
        "Check that it is the cluster's API server; if the cluster holds as much, set C(mesh_api_max_bytes) to more",
    ),
    "cluster-too-slow": Entry(
        "A cluster took too long, over all that it was asked",
        "A task has waited for answers of one cluster for C(mesh_cluster_timeout); the others go on",
        "Find out what holds up the API server, or set C(mesh_cluster_timeout) to more",
    ),
    "no-api-server": Entry(
        "The address is not an API server",
        "The answer is not JSON, e.g. the login page of a proxy",
        "Correct the address in the kubeconfig, or the proxy in front of it",
    ),
    "malformed-object": Entry(
        "An object of the API server has another shape than Kubernetes gives it",
        "The message holds the object and the field, never the value; this cluster is left alone, and no other",
        "Compare with what kubectl shows; a proxy in front of the API server, or another server, may give the answer",
    ),
    "api-refused": Entry(
        "The API server refused a request",
        "The message holds the status, the reason and the field; never the value",
        "Follow the message, and look into the API server's log",
    ),
    "login-refused": Entry(
        "The API server does not accept the credential",
        "It answered 401: the token or certificate of the context has expired, or was revoked",
        "Renew the credentials of the context",
    ),
    "api-busy": Entry(
        "The API server is too busy",
        "It answered 429, or 503, and asked to come back later, for a minute or longer; API priority and fairness does "
        "so where others send too many requests",
        "Find out what keeps it busy, then run again",
    ),
    "conflict": Entry(
        "Somebody else writes the same",
        "Another field manager owns a field that would be written, or has changed the object meanwhile",
        "See the object's C(metadata.managedFields), then run again",
    ),
    "invalid-object": Entry(
        "The API server does not accept an object",
        "The field that is named may not have this value there",
        "See whether Istio's CRDs are those of Istio 1.24 or later, and what else validates the field",
    ),
    "no-namespace": Entry(
        "A namespace does not exist",
        "Objects of a link belong into it",
        "Make the namespace, or correct the inventory",
    ),
    "namespace-terminating": Entry(
        "A namespace is being deleted",
        "Nothing can be made in it any more",
        "Wait until it is gone, make it anew, then run again",
    ),
    "quota-exceeded": Entry(
        "A ResourceQuota has no room",
        "The namespace has a limit for this kind of objects, and what a run would make goes beyond it",
        "Raise the quota that the message names",
    ),
    "admission-refused": Entry(
        "Admission refuses an object",
        "A ValidatingAdmissionPolicy, a webhook or a plugin of the API server forbids it. The user of the context has "
        "the permission; what the policy says is not shown, as it may hold what was sent",
        "Ask the policy's owner to allow it",
    ),
    "admission-changes": Entry(
        "Admission changes what is written",
        "A mutating webhook or policy gives a field of our object another value, or the CRD does not know the field: "
        "the link would not be what the inventory says",
        "Let it leave the object alone: our objects have the label C(app.kubernetes.io/managed-by=crossmesh)",
    ),
    "admission-adds": Entry(
        "Admission adds to what is written",
        "A mutating webhook or policy adds fields to our object. They stay, as they would come again, and are no drift",
        "See that the link may have these fields",
    ),
    "webhook-unreachable": Entry(
        "An admission webhook does not answer",
        "The API server asks it before anything is written, and gets no answer",
        "Start it, or remove its configuration",
    ),
    "no-dry-run": Entry(
        "A webhook does not take dry runs",
        "So it is not known beforehand whether it would refuse an object",
        "Let its owner declare C(sideEffects: None), if it has none",
    ),
    "dry-run-unanswered": Entry(
        "A write could not be tried",
        "The dry run of one object had no answer in time, or its connection broke, while the API server answered "
        "others. Where it answers nothing at all the code is C(api-unreachable)",
        "See which admission webhook for this kind takes so long, then run again",
    ),
    "dry-run-not-permitted": Entry(
        "A dry run is not permitted",
        "It needs the permission of the write that it stands for; nothing has to be written urgently",
        "Bind the ClusterRoles of docs/permissions.md, unless this user only reads",
    ),
    "immutable-secret": Entry(
        "A Secret of ours is immutable",
        "Somebody has set C(immutable) on it; no run can renew its certificate",
        "Delete it and run C(site), and do not set C(immutable) again",
    ),
    "under-deletion": Entry(
        "An object of ours is being deleted",
        "It has a finalizer, and goes once that is taken away; the link goes with it",
        "Let whoever set the finalizer finish, or take it away, then run again",
    ),
    "owned-by-others": Entry(
        "An object of ours has an owner that is not ours",
        "C(metadata.ownerReferences) names it; when the owner is deleted, Kubernetes deletes our object with it",
        "Take the reference away",
    ),
    "not-permitted": Entry(
        "A permission is missing",
        "The user of the context lacks a permission that a run needs",
        "Bind the ClusterRole that the message names (docs/permissions.md)",
    ),
    "unknown-kind": Entry(
        "The cluster lacks Istio's CRDs",
        "The API server does not serve a kind that the links need",
        "Install Istio 1.24 or later, with its CRDs",
    ),
    "old-istio": Entry(
        "The gateways run an old Istio", "Versions before 1.24 are not tested", "Update Istio to 1.24 or later"
    ),
    # Gateways
    "gateway-beside-mesh-ca": Entry(
        "Gateways are in the namespace of the mesh's own CA",
        "The permissions that a run has for gateways lead to the key of that CA: commands in pods, and Secrets",
        "Run gateways in a namespace of their own (docs/permissions.md)",
    ),
    "no-gateway": Entry(
        "The gateway does not exist",
        "Its Service was not found",
        "Install the gateway, or correct C(mesh_ingress_gateway) or C(mesh_egress_gateway)",
    ),
    "no-ready-pod": Entry(
        "The gateway has no ready pod",
        "Nothing can be proven, and no link works there: C(verify) fails, the others warn",
        "Start the gateway, or correct the selector",
    ),
    "no-proxy": Entry(
        "A pod with the gateway's labels is no gateway",
        "It has no container C(istio-proxy), so it serves no link, and nothing can be proven of it",
        "Take the gateway's labels off that pod; its Service may send connections there",
    ),
    "proxy-silent": Entry(
        "A gateway pod does not answer",
        "C(pilot-agent request) in the pod failed, or exec is forbidden there",
        "Allow exec in the pod, or look at its istio-proxy",
    ),
    "no-address": Entry(
        "The ingress gateway has no address",
        "Its load balancer has none yet, so no client can reach the gateway",
        "Find out why, then point the DNS names of the links at the address",
    ),
    "not-written": Entry(
        "Objects could not be written",
        "C(kubernetes.core.k8s) failed for one of them; those before it, and other calls of a long list, are written",
        "Correct what the API server refuses, then run again: the run goes on from where it stopped",
    ),
    "not-served": Entry(
        "A gateway does not serve what was issued",
        "After C(mesh_gate_timeout) a ready pod still has another certificate, root or CRL",
        "Check that pod's istio-proxy log and istiod, then run again",
    ),
    "no-way-out": Entry(
        "An egress gateway does not take the cluster that a new route leads to",
        "After C(mesh_gate_timeout) a ready pod lacks it: a DestinationRule of others has taken the place of ours, or "
        "Envoy refuses it. The routes of before go on",
        "Remove that DestinationRule, or check that pod's istio-proxy log and istiod, then run again",
    ),
    "proof-by-handshake": Entry(
        "Proven by handshakes only",
        "Exec is forbidden in the pods; a handshake reaches one pod each time",
        "Allow exec in the gateway's pods (docs/permissions.md)",
    ),
    "not-proven": Entry(
        "Not proven",
        "Exec is forbidden, and no handshake reaches the gateway; the run waited C(mesh_gate_wait) instead",
        "Allow exec in the gateway's pods (docs/permissions.md)",
    ),
    # What the gateways' proxies do
    "service-elsewhere": Entry(
        "The gateway's Service leads to other pods",
        "The Service's selector and the inventory's gateway selector mean different pods, so nothing arrives",
        "Give both the labels of the same pods",
    ),
    "listener-missing": Entry(
        "A gateway pod does not listen",
        "Its Envoy has no active listener on the port of the link; nothing can connect",
        "Check the selector of the link's Gateway, istiod's log, and Secrets that the pod waits for",
    ),
    "listener-refused": Entry(
        "Envoy refuses a listener",
        "istiod sends it and Envoy does not take it: the port cannot be bound, two servers on it are for one host, or "
        "an EnvoyFilter broke it; no change of the port takes effect",
        "Free the port, choose one of 1024 or above, or correct the object that is named",
    ),
    "chain-missing": Entry(
        "A gateway pod does not know the link's host",
        "Its listener has no filter chain for the FQDN: connections are closed",
        "Look for a Gateway or VirtualService of others with this host",
    ),
    "caller-tls": Entry(
        "A gateway takes connections in another way than the link means",
        "Plain text, no certificate of the caller, or certificates of somebody else",
        "Remove what others changed on this listener",
    ),
    "caller-refused": Entry(
        "An AuthorizationPolicy refuses the link's callers",
        "A DENY names them, or no ALLOW does",
        "Let it allow the caller that is named, or limit it to other workloads",
    ),
    "route-missing": Entry(
        "A gateway has no route for the link",
        "The link's VirtualService is missing, not visible, or without effect; the gateway takes the connection and "
        "leads it nowhere",
        "Run playbook C(site); look for a VirtualService of others with this host",
    ),
    "route-elsewhere": Entry(
        "A gateway leads the link elsewhere",
        "The route of others wins: all or some of the link's traffic does not reach its server",
        "Remove the VirtualService that others have for this host",
    ),
    "cluster-missing": Entry(
        "A route of the link leads nowhere",
        "Envoy has no cluster for the server or the backend: a foreign DestinationRule lacks the link's subset, or the "
        "host is not visible to the gateway",
        "Give that DestinationRule a host that does not cover this one, or delete it; check that the gateway sees the "
        "ServiceEntry or Service",
    ),
    "plain-way-out": Entry(
        "The egress gateway sends plain text to the other cluster",
        "A DestinationRule of others took the place of the link's: nothing is encrypted on the way",
        "Remove that DestinationRule, or hide it from the gateway's namespace",
    ),
    "wrong-credential": Entry(
        "A gateway uses other certificates for the link",
        "Its TLS is not with the link's Secret",
        "Remove the DestinationRule or Gateway of others for this host",
    ),
    "wrong-name": Entry(
        "A gateway checks another name, or none",
        "SNI or SAN are not those of the link, so that another server or client would be taken for it",
        "Remove the DestinationRule or Gateway of others for this host",
    ),
    "secret-missing": Entry(
        "A Secret has not come to a gateway pod",
        "istiod did not send it: it is not there, cannot be used, or istiod may not read it",
        "Check the Secret, and that istiod's account may get, list and watch Secrets in the gateway's namespace",
    ),
    "endpoint-elsewhere": Entry(
        "A ServiceEntry of others leads the link elsewhere",
        "The egress gateway connects to other addresses than the link's servers",
        "Remove that ServiceEntry, or give the link another FQDN",
    ),
    "no-endpoint": Entry(
        "A gateway has nobody to connect to",
        "The servers' name does not resolve, or none of them, or no pod of the backend, can be reached. What this "
        "cluster needs for it is in place, so that C(site) only warns; C(verify) fails",
        "Check DNS, the network and the other end",
    ),
    "no-connection-yet": Entry(
        "No connection to the servers has come about",
        "By Envoy's counters, all that the egress gateway tried have failed; maybe before the other end was ready",
        "Look into the egress gateway's log, and try again",
    ),
    "no-connection": Entry(
        "The egress gateway gets no connection to the servers",
        "A probe had no answer, and by Envoy's counters no connection for it has come about: the network between the "
        "clusters, the servers' load balancer, DNS, or a handshake that does not finish",
        "Check the network and DNS from the egress gateway to the servers' ingress gateway; its log has Envoy's reason",
    ),
    "not-passed-on": Entry(
        "A call does not come out of the egress gateway",
        "A probe had no answer, and by Envoy's counters the egress gateway has not tried to reach a server for it: the "
        "call did not come to the gateway, or was refused there",
        "Check NetworkPolicies between workload and egress gateway, and policies and EnvoyFilters at the gateway",
    ),
    "answered-elsewhere": Entry(
        "A probe's answer did not come over the link",
        "By Envoy's counters the egress gateway made no connection to the link's servers for it, and used none: a "
        "workload's calls go past the gateway, to whomever the name leads",
        "Let the pod have a sidecar that takes its calls; remove what others have for this host and port",
    ),
    "plain-backend": Entry(
        "The hop to the backend is plain text",
        "The backend has a sidecar, and yet the ingress gateway does not speak mutual TLS of the mesh with it",
        "Remove the PeerAuthentication or DestinationRule that turns it off",
    ),
    "links-broken": Entry(
        "More links are not as they are meant",
        "Only the first ones are told in full",
        "Run playbook C(verify) to see all",
    ),
    "fresh-pod-listener": Entry(
        "A pod that is started now would lack a listener",
        "Envoy refused its last change, and goes on with an older one as long as the pod lives",
        "Correct what made it so, before the pod is replaced",
    ),
    "fresh-pod-secret": Entry(
        "A gateway waits for Secrets",
        "Gateways or DestinationRules, maybe of others, name Secrets that istiod does not give it",
        "Correct these Secrets, or what names them",
    ),
    "port-not-tcp": Entry(
        "The port is not TCP",
        "The gateway's Service already has the port with another protocol",
        "Choose another port for the link",
    ),
    "port-changed": Entry(
        "A port that we opened was changed",
        "Its target port differs, and the Service belongs to others, so the run does not force it. Another name alone "
        "is no matter: a port is known by its number",
        "Restore the value in the message",
    ),
    "port-unnamed": Entry(
        "A port of the gateway's Service has no name",
        "Kubernetes takes a port without a name only as long as it is the only one",
        "Give that port a name",
    ),
    "plain-port": Entry(
        "Another Gateway has plain text on the port",
        "Istio serves the older of the two; TLS and plain text do not share a port",
        "Choose another port for the link",
    ),
    "host-taken": Entry(
        "Another Gateway of the same namespace claims the link's host",
        "Istio serves the older of the two; if theirs is older the run stops, if ours is, it warns",
        "Remove the host from that Gateway",
    ),
    "host-taken-in-namespace": Entry(
        "Another Gateway claims the link's host for other namespaces than its own alone",
        "Istio makes two filter chains of it, and Envoy refuses every change of the port",
        "Remove the host from that Gateway",
    ),
    "foreign-sidecar": Entry(
        "A foreign Sidecar is in a namespace of the lock-down",
        "Istio uses one Sidecar without a selector per namespace, so it could replace ours",
        "Delete it, or remove the namespace from C(mesh_egress_lockdown)",
    ),
    # A call over a link, as verify follows it
    "name-unknown": Entry(
        "The link's name does not resolve where it is asked",
        "The pod that a C(probe) names gets no address for the FQDN",
        "Set C(mesh_dns) and restart the pod, or add the name to the DNS that the pod asks",
    ),
    "name-elsewhere": Entry(
        "The link's name resolves to an address by which sidecars do not know the link",
        "Sidecars know a C(tcp) link with virtual addresses by these alone, and see no connection of a pod to itself",
        "Correct the record, C(hostAliases) or C(mesh_dns); restart pods whose sidecars were started before",
    ),
    "port-closed": Entry(
        "No connection to the link comes about where it is asked",
        "The pod that a C(probe) names resolves the FQDN; connections to the link's port are refused, or not made",
        "Check that the pod has a sidecar that knows the link, and NetworkPolicies",
    ),
    "no-answer": Entry(
        "The link's server does not answer",
        "The connection came about, with a sidecar no further than to that, and then nothing came, or it was closed",
        "See what the same run says of the link's hops, then the backend's log, and policies there",
    ),
    "wrong-answer": Entry(
        "The link's server answers otherwise than it should",
        "Something answers, and not as the C(probe) says: the server has a fault, or a proxy on the way says that it "
        "cannot reach it",
        "Read the answer in the message; see what the same run says of the link's hops",
    ),
    "probe-not-asked": Entry(
        "A probe could not be asked",
        "No ready pod has the labels, exec or the list of pods is forbidden, or the container cannot ask. It says "
        "nothing of the link, and fails only with C(probe.required)",
        "Choose another pod or container in C(probe.from), or grant the permission",
    ),
    "server-not-asked": Entry(
        "A server cannot be reached from the controller",
        "The handshakes that show its certificate, and whom it refuses, were not made, or what was sent in them did "
        "not arrive; this says nothing of the link",
        "",
    ),
    "server-certificate": Entry(
        "A server's certificate is not accepted",
        "In a handshake from the controller: it is not of the CA, not in its time, or not for the link's FQDN",
        "Run playbook C(site); else find out what answers at this address",
    ),
    "no-handshake": Entry(
        "A server does not speak TLS",
        "At the link's address and port something else than TLS came back",
        "Find out what answers there: a load balancer, or another process",
    ),
    "anybody-let-in": Entry(
        "A server lets clients in without a certificate",
        "A handshake from the controller without any certificate was not refused: everybody who reaches the address "
        "reaches the backend",
        "Remove the Gateway or EnvoyFilter of others that changed the listener",
    ),
    "stranger-let-in": Entry(
        "A server lets clients in whose certificate nobody has issued",
        "A certificate that was made up for this handshake was not refused: the server does not check who issued it",
        "Remove the Gateway or EnvoyFilter of others that changed the listener",
    ),
    # What others have in a link's way, as Istio chooses
    "not-foreseen": Entry(
        "What others' objects do to links is not foreseen",
        "The user of the context may not list some kinds of objects, so that only what gateways do already is known",
        "Bind ClusterRole crossmesh-surroundings of docs/permissions.md to the user of this context",
    ),
    "not-discovered": Entry(
        "Istio does not look into a namespace of the link",
        "MeshConfig has discoverySelectors, and none of them selects the gateway's or the backend's namespace",
        "Give that namespace the labels that the discoverySelectors ask for",
    ),
    "trust-domain-differs": Entry(
        "The mesh has another trust domain than C(mesh_trust_domain) says",
        "The egress gateway would ask for identities that no workload has, and refuse all of them",
        "Set C(mesh_trust_domain) of the cluster to C(trustDomain) of MeshConfig",
    ),
    "credential-used": Entry(
        "A foreign object uses a link's certificate",
        "A gateway finds a credential by its name, whoever writes the rule; C(workloads) has no part in it",
        "Remove it; docs/admission.md has a policy that keeps tenants from making one",
    ),
    "host-hidden": Entry(
        "A proxy does not see a host",
        "A Sidecar leaves it out, or it is not exported to that namespace; connections to it fail",
        "Add the host to the Sidecar that is named, or export it",
    ),
    "host-claimed": Entry(
        "A foreign object has the link's host",
        "Istio takes the one in the proxy's own namespace, then the older one",
        "Remove the host from the object that is named",
    ),
    "host-shared": Entry(
        "A foreign ServiceEntry has the link's host in the link's namespace",
        "Istio keeps both under one name, so that it is chance which of the two counts",
        "Remove the host from that ServiceEntry",
    ),
    "port-captured": Entry(
        "Connections to the link reach another host",
        "Neither has an address of its own, so that only the port tells them apart; the older one takes it",
        "Give the link an address, or choose another port for one of them",
    ),
    "port-captures": Entry(
        "Connections to another host reach the link",
        "Neither has an address of its own, so that only the port tells them apart; the link's is the older one",
        "Give the link an address, or choose another port",
    ),
    "route-taken": Entry(
        "A foreign VirtualService takes the link's traffic",
        "Istio takes it before the link's own, as it is older, exported to that namespace alone, or narrower",
        "Remove the link's host or gateway from that VirtualService",
    ),
    "way-in-missing": Entry(
        "A gateway has no server for the link",
        "Its Gateway or VirtualService is missing, or the gateway's labels are not those that it selects",
        "Run playbook site",
    ),
    "way-in-taken": Entry(
        "A foreign Gateway serves the link's host or port",
        "Istio leaves out the younger one of two servers for one host, or beside plain text",
        "Remove the host from that Gateway, or choose another port",
    ),
    "plain-text": Entry(
        "A hop of the link is plain text",
        "A foreign object turns its TLS off",
        "Remove that setting, or limit it to other hosts or workloads",
    ),
    "other-tls": Entry(
        "A hop of the link uses other TLS settings than the link's",
        "A foreign DestinationRule or Gateway comes before the link's own",
        "Give it a host that does not cover this one, or delete it",
    ),
    "caller-uncertain": Entry(
        "An AuthorizationPolicy may refuse the link's traffic",
        "It asks for more than is known before a request, such as an address or a path",
        "See that it allows the caller that is named",
    ),
    "mode-overridden": Entry(
        "A backend takes plain text, though the link asks for C(strict_backend)",
        "Of several PeerAuthentications the narrowest counts, and of those the oldest",
        "Set the one that is named to STRICT, or delete it",
    ),
    "changed-outside-the-model": Entry(
        "A foreign object changes a gateway's configuration directly",
        "What an EnvoyFilter, or a policy of the Gateway API, does to a link is not foreseen",
        "See that it leaves the link alone; playbook verify looks at what the gateway does",
    ),
    "wider-policy": Entry(
        "A foreign NetworkPolicy allows more than the lock-down",
        "The NetworkPolicies of a pod are additive",
        "Restrict it, or delete it",
    ),
    # GitOps
    "gitops-owned": Entry(
        "A GitOps tool applies an object that is not as the inventory says",
        "It bears the mark of Argo CD or Flux, which would take back what a run writes: no manifest of this side is "
        "written",
        "Run playbook render, and commit its tree; or take the object out of what the tool applies",
    ),
    "schedule": Entry(
        "The schedule cannot be written as it is described",
        "A time, a limit or a command in C(mesh_schedule) or beside it has a form that cron and systemd cannot take",
        "Correct it; docs/schedule.md shows the forms",
    ),
    "too-long-for-cron": Entry(
        "A command of the schedule is too long for cron",
        "Debian's cron takes nothing of a file with a command of more than 998 bytes, so there is no file for it; what "
        "systemd and Kubernetes start was written",
        "Let C(mesh_schedule_command) and those beside it be scripts",
    ),
    "folder-not-given": Entry(
        "A playbook was not told where to write",
        "C(render) and C(schedule) write into a folder that a variable names, and that has no default",
        "Set the variable that the message names",
    ),
    "folder-not-ours": Entry(
        "The folder for files of a playbook cannot be used",
        "It is no folder, or holds something else than what that playbook writes for this instance",
        "Set the variable to a folder of its own, such as one below your repository",
    ),
    "file-not-ours": Entry(
        "A file of others stands where a playbook writes",
        "That playbook has not written it, or it is reached by a symbolic link; nothing was written",
        "Move it to another place; an overlay of your own can name a folder of playbook render as its base",
    ),
    "folder-not-written": Entry(
        "The folder for files of a playbook cannot be written",
        "The folder or a file in it cannot be read, made or written",
        "Set the variable to a folder that can be written",
    ),
    # Names
    "not-ours": Entry(
        "A foreign object has our name",
        "It does not have the labels of this collection",
        "Check it, then run with C(mesh_adopt=true) to take it over, or rename the link",
    ),
    "borrowed-labels": Entry(
        "What others made bears our labels",
        "It stands in a namespace, or under a name, that no run gives; it is left alone and counts as somebody else's",
        "Find out who made it, then delete it, or take the labels off it",
    ),
    "left-behind": Entry(
        "What no link needs stays in a namespace of workloads",
        "The user of the context may not delete it, or a finalizer keeps it. Whoever writes objects in that namespace "
        "may have made it, so that no run fails for it",
        "If it was made by a run, delete it; else take the labels of this collection off it",
    ),
    "label-lost": Entry(
        "An object has lost one of our labels",
        "Only objects with all our labels are changed or deleted",
        "Restore the label, or run with C(mesh_adopt=true)",
    ),
    "of-another-instance": Entry(
        "An object belongs to another instance or cluster",
        "Two instances, clusters or sides use one name",
        "Rename one of them",
    ),
    "cacert-secret": Entry(
        "A -cacert Secret overrides ours", "Istio uses its CA in place of the one in our Secret", "Delete it"
    ),
    "fqdn-unresolved": Entry(
        "A link's name does not resolve",
        "The egress gateway gets no address for it",
        "Make it resolve there to the servers' ingress gateway",
    ),
    "fqdn-elsewhere": Entry(
        "A link's name resolves elsewhere",
        "It resolves to an address that no ingress gateway of its servers has",
        "Correct the DNS record, unless the address is a proxy in front of the gateway",
    ),
    # Backends
    "backend-missing": Entry(
        "The backend does not exist", "Its Service was not found", "Install it, or correct the link's C(backend)"
    ),
    "backend-port": Entry(
        "The backend has no such port",
        "Its Service has other TCP ports, so connections over the link fail",
        "Open the port there, or correct the link's C(backend)",
    ),
    "backend-without-sidecar": Entry(
        "The backend is not in the mesh",
        "The hop from the ingress gateway to these pods is plain text",
        "Let Istio inject the sidecar, and restart the pods",
    ),
    "backend-empty": Entry("The backend has no pods", "Its Service selects none yet", "Start the backend"),
    # The CA store
    "rotate-side": Entry(
        "C(mesh_rotate_side) is no side",
        "It limits a rotation of certificates to servers or to clients",
        "Write C(server) or C(client), or remove it",
    ),
    "rotation-of-links": Entry(
        "A root is rotated for all links at once",
        "C(mesh_only_links) is set; a Secret of another link would go on trusting, or showing, the root that goes",
        "Remove C(mesh_only_links)",
    ),
    "rotation-unproven": Entry(
        "A cluster has new certificates, and nobody saw them in use",
        "They are in its Secrets, or some of them are, and a gateway pod does not serve them; the others went on",
        "Repair the gateway that the message names, then run the same again",
    ),
    "rotation-stopped": Entry(
        "A rotation of certificates stopped",
        "On one side at least two clusters were not seen to serve new certificates, more than were; no later one began",
        "Repair the gateways that the messages of the others name, then run the same again",
    ),
    "left-out": Entry(
        "A cluster was left out of a rotation",
        "It failed before anything was written there; the others went on",
        "Follow the message, then run again",
    ),
    "crl-withheld": Entry(
        "CRLs are due and were not published",
        "This run leaves out somebody who may still have a revoked certificate and is entitled to another one",
        "Run over all clusters, sides, links and localhost, once those that the message names can be reached; or name "
        "who is to be given up in C(custom_ca_revoked) by an entry of its own: nothing waits for it",
    ),
    "lost-ca-unseen": Entry(
        "Not every cluster was looked at, and a lost CA is replaced in all of them",
        "A cluster that this run does not see would go on with a root that is gone",
        "Run without C(--limit) and without job slicing",
    ),
    "no-ca": Entry(
        "There is no CA",
        "The store does not exist",
        "Run playbook C(site); if a CA was lost, see docs/rotation.md",
    ),
    "wrong-store": Entry(
        "This is not the CA that the clusters trust",
        "A Secret or directory uses a root that the store does not have, or somebody has put one there",
        "Point C(custom_ca_dir) or C(custom_ca_store_*) at the right store, or restore it from a backup; or take the "
        "root out of C(ca.crt)",
    ),
    "mesh-ca": Entry(
        "The root is a mesh's own CA",
        "The links would accept every certificate that mesh issues",
        "Use a root that is not the CA of any mesh",
    ),
    "lost-root": Entry(
        "A root that was found in the clusters is not trusted on the word of one of them",
        "Fewer than two clusters hold certificates of it: whoever may write Secrets in one can have put it there",
        "Compare the fingerprint with a copy of yours; add it to C(custom_ca_lost_roots), or take it out of C(ca.crt)",
    ),
    "ca-exists": Entry("No CA was lost", "The store has a CA, so it is not replaced", "Run without C(custom_ca_lost)"),
    "no-ca-lost": Entry("No CA was lost", "No cluster holds a credential of this collection", "Run playbook C(site)"),
    "ca-in-service": Entry(
        "The CA is still in service", "Clusters trust it, so it is not removed", "Run playbook C(teardown) first"
    ),
    "key-lost": Entry(
        "The issuing root's key was lost",
        "Only its certificate was found in the clusters; nothing can be issued or revoked with it",
        "Finish the rotation (playbook C(rotate_ca))",
    ),
    "store-damaged": Entry(
        "The CA store is damaged", "A file is missing, or its content is not valid", "Restore it from a backup"
    ),
    "lock-held": Entry(
        "Another writer does not let go",
        "A run that writes to the CA store, or to the directory of an external server, takes long or hangs; the "
        "message names the process, as it has named itself",
        "Wait for it, or end it: its lock goes with it. C(mesh_api_timeout) sets how long to wait",
    ),
    "fleeting-store": Entry(
        "The CA would be gone after this job",
        "The default C(custom_ca_dir) is below a private data directory of ansible-runner, which AWX and Automation "
        "Platform delete with the job; no CA was made",
        "Set C(custom_ca_store) to C(kubernetes), or C(custom_ca_dir) to a folder that lasts",
    ),
    "lease-lost": Entry(
        "Another writer took over the Lease of the CA store",
        "The run or the API server was held up for longer than a Lease lasts (15 s), in the middle of a change, which "
        "was not made",
        "Find out what held it up, then run again",
    ),
    "store-moved": Entry(
        "The CA is kept in another place",
        "Playbook C(move_ca) has moved it, or was stopped in the middle; what is left here is older, or will be",
        "Set C(custom_ca_store), and what goes with it, to the place that the message names; or run C(move_ca) again",
    ),
    "store-occupied": Entry(
        "Both places hold a CA",
        "Where the CA was to be moved, there is one already; nothing was moved",
        "Find out which one the clusters trust, and remove the other",
    ),
    "store-copy-differs": Entry(
        "The copy of the CA store is not what was copied",
        "Somebody writes to the new place, or it does not keep what it is given; no run goes on with the old one",
        "Find out who writes there, remove what is there, and run C(move_ca) again",
    ),
    "store-not-permitted": Entry(
        "The CA store's Secrets could not be written",
        "The user of C(custom_ca_store_kubeconfig) lacks a permission in C(custom_ca_store_namespace)",
        "Bind the Role of permissions.md",
    ),
    "store-too-large": Entry(
        "A Secret of the CA store would become too large",
        "Too much waits to be signed in the audit journal, or too many retired keys are kept; nothing was written",
        "Run C(rotate_certificates) with C(mesh_rotate_force=true), and destroy retired keys",
    ),
    "store-version": Entry(
        "The CA store has another version", "A newer collection wrote it", "Use that version, or a newer one"
    ),
    "store-unvouched": Entry(
        "The CA store is not as its key has signed it",
        "The index, a root or a CRL was changed by something that has not the CA's key. Nothing of it is used",
        "Restore the store from a backup, and find out who can write to it",
    ),
    "store-unsigned": Entry(
        "The CA store has the format of an earlier release",
        "No key has signed its index, so somebody may have changed it; if this release has used it before, one has",
        "Compare its roots with those of the clusters, then run playbook C(take_over_ca) once",
    ),
    "store-rolled-back": Entry(
        "The CA store is older than what a cluster has seen of it",
        "An older copy of the folder lies in its place; it lacks records and CRLs, and may issue from a retired root",
        "Restore the newest copy of the folder; if a backup is all that is left, run playbook C(reconcile_ca)",
    ),
    "restore-unconfirmed": Entry(
        "The CA store lacks what the clusters hold",
        "It came back from a backup, or somebody put an older copy there; the message says what it lacks",
        "Restore a newer copy; if there is none, run C(reconcile_ca) again with what the message names",
    ),
    "gateway-root": Entry(
        "A gateway trusts a root that is nobody's",
        "Neither the Secret that it is for nor the CA store has it, so it came to the pod by another way",
        "Restart the pod, and find out who gave it that root",
    ),
    "ca-store-annotation": Entry(
        "A Secret says something of the CA store that the CA has not written",
        "The annotation C(crossmesh/ca-store) tells an older copy of the store from the newest; this one was changed, "
        "and counts for nothing",
        "Find out who changes it; the next certificate that is issued there replaces it",
    ),
    "ca-store-begun-anew": Entry(
        "A Secret was written from another store of the same CA",
        "The store was begun anew with its root, or taken over again after somebody had put the format of an earlier "
        "release back: how old it is, clusters cannot tell then",
        "If nobody has done so, restore the store; else wait for the next certificate, or run C(rotate_certificates)",
    ),
    "take-over-roots": Entry(
        "The store trusts other roots than were named",
        "C(custom_ca_take_over) has to name each trusted root of the store, and no other",
        "Compare both with C(ca.crt) in the Secrets of the clusters",
    ),
    "take-over-keyless": Entry(
        "A store of an earlier release trusts a root whose key it calls lost",
        "No key vouches for that root, and none has signed the index that says so, so somebody may have put it there",
        "End the root rotation with the earlier release, then take the store over; or begin anew from the clusters",
    ),
    "root-unfit": Entry(
        "A root that is to be trusted is none",
        "It lacks what an imported root has: a CA, self-signed, with a key identifier, usage and key type that fit",
        "Remove it from where it comes from",
    ),
    "journal-changed": Entry(
        "The audit journal was changed",
        "An entry was edited, removed, added or moved after it was written; the first one is named",
        "Restore the journal from a backup, and find out who can write to the CA store",
    ),
    "journal-full": Entry(
        "Too many entries of the audit journal are not signed yet",
        "Refusals and the like are written without the CA's key, and signed when it is opened the next time",
        "Run playbook C(rotate_certificates) with C(mesh_rotate_force=true), which opens it",
    ),
    "record-changed": Entry(
        "The record of a certificate was changed",
        "It is not the one that the CA's key has signed for; what is revoked would follow from it",
        "Restore it from a backup, and find out who can write to the CA store",
    ),
    "unreadable-record": Entry(
        "The record of a certificate cannot be read",
        "A file below C(issued) lacks keys",
        "Restore it, or remove it if its certificate is not in use",
    ),
    "unreadable-certificate": Entry(
        "A certificate cannot be read",
        "It is damaged or not PEM",
        "Restore it, or remove it so that a new one is issued",
    ),
    "unreadable-crl": Entry(
        "A CRL cannot be read", "It is damaged or not PEM", "Restore it, or remove it so that a new one is made"
    ),
    "unreadable-key": Entry("A private key cannot be read", "It is damaged or in another format", "Restore it"),
    "wrong-passphrase": Entry(
        "The passphrase is wrong",
        "The private key cannot be decrypted with it, or its file is damaged",
        "Set the passphrase that the key was encrypted with",
    ),
    "key-rounds": Entry(
        "The encryption of a key is too weak", "It has too few rounds, or far too many", "Encrypt the key again"
    ),
    "root-import": Entry(
        "This root cannot be imported",
        "It is not a self-signed CA certificate, ends before the certificates that it would issue, or its key does not "
        "match",
        "Import another root, or let the run create one",
    ),
    "root-refused": Entry(
        "Certificates of this root would be refused",
        "Certificates with the names of all links were issued from it in memory, and a verifier refused them",
        "Import a root that may issue for both roles and all names, or let the run create one",
    ),
    "name-not-permitted": Entry(
        "The root allows no certificate for this name",
        "It has name constraints that leave the name out, so every verifier would refuse the certificate",
        "Choose another name, or rotate to a root that permits it",
    ),
    "root-out-of-range": Entry(
        "A root cannot have this name or lifetime", "It is out of range", "Choose another value"
    ),
    "root-in-service": Entry(
        "This root is in service already",
        "A rotation needs a root with another key and another name",
        "Import another root",
    ),
    "root-not-valid": Entry(
        "The root is not valid now",
        "A root cannot sign before or after its validity period",
        "Set the clock, or rotate the root",
    ),
    "root-expired": Entry(
        "The root has expired", "No certificate that it signed is accepted", "Run playbook C(rotate_ca)"
    ),
    "root-expires": Entry(
        "The root expires soon", "Certificates expire with it, and cannot be renewed", "Run playbook C(rotate_ca)"
    ),
    "no-dns-name": Entry(
        "A certificate would have no DNS name", "No verifier would accept it", "Give at least one DNS name"
    ),
    "common-name-length": Entry(
        "A common name is too long", "X.509 takes up to 64 characters", "Choose a shorter name"
    ),
    "dns-name-not-ascii": Entry(
        "A DNS name is not ASCII", "A certificate holds ASCII only", "Write it in its xn-- form"
    ),
    "unknown-key-type": Entry(
        "Unknown key type", "The collection does not support it", "Choose one that the message lists"
    ),
    "another-run": Entry(
        "Another run has changed the CA, or the store was exchanged for another copy of it",
        "The decisions of this run are out of date; it stopped before writing",
        "Wait for the other run, or find out who exchanged the store; then run again",
    ),
    "secrets-contested": Entry(
        "Others keep changing our Secrets",
        "Every attempt to write met a conflict",
        "Find out who writes them (C(metadata.managedFields)), then run again",
    ),
    # Certificates and CRLs
    "certificate-overdue": Entry(
        "A certificate was not renewed in time",
        "The scheduled rotation does not run, or fails",
        "Run playbook C(rotate_certificates) to renew now, and find out why the schedule does not",
    ),
    "crl-due": Entry(
        "A CRL is due for renewal",
        "The revoked certificates have changed, or the CRL expires soon",
        "Run playbook C(site) over all clusters",
    ),
    "crl-expires": Entry(
        "A CRL expires soon",
        "From then on gateways refuse every certificate of its root",
        "Run playbook C(site), and find out why no run renewed it",
    ),
    "crl-large": Entry(
        "The CRLs are large",
        "They are close to the maximum size of a Secret",
        "Rotate the root: a new root has an empty CRL",
    ),
    "crl-too-large": Entry(
        "The CRLs do not fit into a Secret", "Kubernetes allows 1 MiB", "Rotate the root: a new root has an empty CRL"
    ),
    "unrecorded-serial": Entry(
        "A revoked serial is not recorded",
        "The CA has no record of it; the CRL lists it anyway",
        "Check the serial for typing errors",
    ),
    "revokes-nothing": Entry(
        "An entry revokes nothing",
        "No matching certificate was issued up to its date",
        "Correct the entry, or remove it once its certificates have expired",
    ),
    "valid-again": Entry(
        "A revoked certificate becomes valid again",
        "Its entry was removed before it expired",
        "Restore the entry, unless gateways should accept the certificate",
    ),
    "unrecorded-certificate": Entry(
        "No record knows a certificate",
        "A trusted root signed it, and the CA store has no record: it was restored from a backup, or somebody else has "
        "the key. Revocations of the cluster and of its links reach it",
        "After a restore run C(rotate_certificates) with C(mesh_rotate_force=true); else find out who issued it",
    ),
    "copied-certificate": Entry(
        "A cluster holds the certificate of another one",
        "It was copied; whoever has its private key passes for that cluster",
        "Revoke the cluster whose certificate it is, and find out who copied it",
    ),
    "not-covered": Entry(
        "A cluster was not verified",
        "C(mesh_clusters) names it, and the inventory of this run lacks it: a job slice, or a disabled host",
        "Run C(verify) over the whole inventory, without job slicing",
    ),
    "removed-still-valid": Entry(
        "Certificates outlast what was taken away",
        "A link, a client or a cluster was removed; its certificates are accepted until they expire or are revoked",
        "Add the entries that the message shows to C(custom_ca_revoked), or set C(custom_ca_revoke_removed)",
    ),
    # External servers
    "foreign-directory": Entry(
        "The directory contains other files",
        "It has no C(ca.crt) of this CA, so a run could overwrite a foreign key",
        "Set C(external.ca) to an empty directory",
    ),
    "external-directory": Entry(
        "The directory of an external server is another one's",
        "It is, or its symbolic links lead to, a folder of the system, one that others share, or the CA store. In "
        "C(/etc/ssl) or the like, C(ca.crt) could become a root that the whole machine trusts",
        "Set C(external.ca) to a directory that is used for this server alone",
    ),
    "external-trust-ours": Entry(
        "The root of another CA is the custom CA's own",
        "C(external.trust) holds a root of the custom CA; it would stay there when that root is rotated",
        "Set C(external.ca) instead",
    ),
    "external-root-ends": Entry(
        "A root in C(external.trust) has ended, or ends soon",
        "Certificates that it issued are not accepted after that",
        "Get the next root from the server's owner, and write it beside",
    ),
    "external-trust-ends": Entry(
        "The last root in C(external.trust) ends soon",
        "From then on no connection to the server is made",
        "Get the next root from the server's owner, and write it beside",
    ),
    "external-to-load": Entry(
        "An external server has files to load",
        "Its directory has a new certificate, root or CRL",
        "Make the server load the files",
    ),
    "external-behind": Entry(
        "An external server has another certificate",
        "It does not serve the certificate in its directory",
        "Make the server load the files",
    ),
    # The rotation of the root
    "rotation-under-way": Entry(
        "A root rotation is in progress", "Links keep working", "Continue it with playbook C(rotate_ca)"
    ),
    "rotation-blocked": Entry(
        "The root rotation is blocked",
        "The messages after this one are the reasons; links keep working",
        "Fix those, then run again over all clusters",
    ),
    "unknown-phase": Entry(
        "Unknown phase", "The value of C(mesh_rotate_phase) is not a phase", "Choose one that the message lists"
    ),
    "phase-impossible": Entry(
        "The phase is not possible now", "Another phase comes first", "Run the phase that the message names"
    ),
    "wrong-phase": Entry(
        "A step does not fit the phase",
        "The store is in another phase",
        "Run playbook C(rotate_ca), which runs the steps in order",
    ),
    "lost-ca-phase": Entry("A lost CA is replaced in one run", "There are no phases", "Remove C(mesh_rotate_phase)"),
    "abandon-impossible": Entry(
        "The prepared root cannot be removed",
        "The key of the root that it replaces was lost",
        "Finish the rotation",
    ),
    "external-needs-phases": Entry(
        "External servers and foreign clients need a rotation by phases",
        "No run can see what they trust",
        "Run phase by phase; between phases, make them load the new files or trust the new root",
    ),
    "cluster-unseen": Entry(
        "A cluster was not read",
        "It was unreachable, excluded by C(--limit), in another slice, or its gate failed",
        "Make it reachable, and run over all clusters",
    ),
    "cluster-seen-long-ago": Entry(
        "A cluster of another slice was seen too long ago",
        "What a run over another slice has seen of it is older than C(mesh_gate_max_age)",
        "Run the phase before once more over its slice",
    ),
    "left-inventory": Entry(
        "A cluster has left the inventory",
        "One of its certificates has not expired",
        "Add it to the inventory again, or revoke it in C(custom_ca_revoked)",
    ),
    "external-unseen": Entry(
        "The directory of an external server was not read",
        "Its certificate has not expired",
        "Restore its link, or revoke it in C(custom_ca_revoked)",
    ),
    "ca-of-another-instance": Entry(
        "The CA is another instance's",
        "With one CA, who holds a certificate of one instance would be let in by the gateways of the other",
        "Give each C(mesh_instance) a C(custom_ca_dir) or C(custom_ca_store_name) of its own; where links run with "
        "that CA, move them over first",
    ),
    "shared-root": Entry(
        "A root has issued for other instances as well",
        "Their certificates are accepted by these gateways, for links of the same name, until the root is replaced",
        "Run playbook C(rotate_ca)",
    ),
    "not-asked": Entry(
        "What the gateway pods trust is not known",
        "The rotation is blocked until the pods answer",
        "Make a pod ready, and allow exec in it",
    ),
    "surplus-secret": Entry(
        "A Secret that no link needs still exists",
        "No rotation renews it, and it may be in use",
        "Run playbook C(site)",
    ),
    "root-not-trusted": Entry(
        "A cluster does not trust the new root yet", "The root is not in its trust bundle", "Repeat phase C(prepare)"
    ),
    "serves-old-root": Entry(
        "A cluster serves certificates of the old root", "They were not reissued", "Repeat phase C(switch)"
    ),
    "root-still-trusted": Entry(
        "A cluster still trusts the old root", "The root is in its trust bundle", "Repeat phase C(retire)"
    ),
    "serves-prepared-root": Entry(
        "A cluster serves certificates of the prepared root",
        "The store is older than the clusters, e.g. from a backup",
        "Continue with phase C(switch)",
    ),
    # The preflight
    "blocked": Entry("A run would stop here", "Other rows of the table say why", "Fix those first"),
    "look-unfinished": Entry(
        "Reading a cluster did not finish", "Its task failed", "See the error of the task, above the table"
    ),
}
