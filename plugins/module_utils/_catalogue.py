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
        "A link's FQDN is one DNS name in lower case, of more than one label, outside of C(cluster.local); its last "
        "label is no number",
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


CODES: Mapping[str, Entry] = {
    # The controller
    "missing-package": Entry(
        "A Python package is missing",
        "The Python that runs ansible-playbook lacks a package that the collection needs",
        "Install it there, and let the clusters use the same interpreter",
    ),
    "clock-wrong": Entry(
        "The controller's clock is wrong",
        "It differs from the API server's by nearly two hours: a new certificate would not be valid yet, or too short",
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
    "report-not-written": Entry(
        "The preflight report cannot be written",
        "C(mesh_preflight_report) names a place that cannot be written",
        "Name a file in a folder that exists and can be written",
    ),
    # The API server
    "kubeconfig": Entry(
        "The kubeconfig cannot be used",
        "It does not exist, cannot be read, or has no such context",
        "Set C(mesh_kubeconfig) and C(mesh_context)",
    ),
    "api-unreachable": Entry(
        "The API server cannot be reached",
        "No connection to the address of the context",
        "Check the address, the network and the server",
    ),
    "no-api-server": Entry(
        "Something else answers",
        "What answers at the address of the context does not speak JSON, e.g. a login page of a proxy",
        "Correct the address in the kubeconfig, or the proxy in front of it",
    ),
    "api-refused": Entry(
        "The API server refused a request",
        "The message holds the status, the reason and the field; never the value",
        "Follow the message: credentials, permissions, namespaces and CRDs, or the field's other owner",
    ),
    "not-permitted": Entry(
        "A permission is missing",
        "The user of the context may not do what a run does",
        "Bind the ClusterRole that the message names (docs/permissions.md)",
    ),
    "unknown-kind": Entry(
        "The cluster lacks Istio's CRDs",
        "A kind that the links need is not known there",
        "Install Istio 1.24 or later, with its CRDs",
    ),
    "old-istio": Entry(
        "The gateways run an old Istio", "Versions before 1.24 were never tested", "Update Istio to 1.24 or later"
    ),
    # Gateways
    "no-gateway": Entry(
        "The gateway does not exist",
        "Its Service was not found",
        "Install the gateway, or correct C(mesh_ingress_gateway) or C(mesh_egress_gateway)",
    ),
    "no-ready-pod": Entry(
        "The gateway has no ready pod",
        "Nothing can be proven, and no link works there",
        "Start the gateway, or correct the selector",
    ),
    "proxy-silent": Entry(
        "A gateway pod cannot be asked",
        "C(pilot-agent request) in the pod failed, or exec is forbidden there",
        "Allow exec in the pod, or look at its istio-proxy",
    ),
    "no-address": Entry(
        "The ingress gateway has no address",
        "Its load balancer has not given one yet, so no client can reach it",
        "Find out why it does not come, then point the links' names at it",
    ),
    "not-served": Entry(
        "A gateway does not serve what was issued",
        "After C(mesh_gate_timeout) a ready pod still has another certificate, root or CRL",
        "Look at that pod's istio-proxy and at istiod, then run again",
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
    "port-not-tcp": Entry(
        "The port is not TCP",
        "Others have the port on the gateway's Service, with another protocol",
        "Choose another port for the link",
    ),
    "port-changed": Entry(
        "Our port was changed",
        "Others changed the name or target of a port that the collection opened on a Service of theirs",
        "Put back what the message names",
    ),
    "plain-port": Entry(
        "Another Gateway has plain text on the port",
        "Istio serves the older of the two; TLS and plain text do not share a port",
        "Choose another port for the link",
    ),
    "host-taken": Entry(
        "Another Gateway claims the link's host",
        "Istio serves the older of the two; if theirs is older the run stops, if ours is, it warns",
        "Remove the host from that Gateway",
    ),
    "host-taken-in-namespace": Entry(
        "Another Gateway claims the link's host for one namespace",
        "Istio makes two filter chains of it, and Envoy refuses every change of the port",
        "Remove the host from that Gateway",
    ),
    "destination-rule": Entry(
        "A DestinationRule of others changes a link",
        "It covers the egress gateway's host, and hides or changes the subsets of links",
        "Follow the message, or delete that rule",
    ),
    "foreign-sidecar": Entry(
        "A Sidecar of others is in a locked namespace",
        "Istio uses one Sidecar for all pods of a namespace",
        "Delete it, or take the namespace out of C(mesh_egress_lockdown)",
    ),
    "wider-policy": Entry(
        "A NetworkPolicy of others allows more than the lock-down",
        "Policies of one pod add up",
        "Narrow it, or delete it",
    ),
    # Names
    "not-ours": Entry(
        "An object of others has our name",
        "It has none of the labels of this collection",
        "Look at it, then run with C(mesh_adopt=true), or rename the link",
    ),
    "label-lost": Entry(
        "An object has lost one of our labels",
        "Only what has all of them is changed or deleted",
        "Put the label back, or run with C(mesh_adopt=true)",
    ),
    "of-another-instance": Entry(
        "An object belongs to another instance or cluster",
        "Two instances, clusters or sides use one name",
        "Give one of them another name",
    ),
    "cacert-secret": Entry(
        "A -cacert Secret overrides ours", "Istio uses its CA in place of the one in our Secret", "Delete it"
    ),
    "fqdn-unresolved": Entry(
        "A link's name does not resolve",
        "The egress gateway gets no address for it",
        "Let it resolve there, to the servers' ingress gateway",
    ),
    "fqdn-elsewhere": Entry(
        "A link's name leads elsewhere",
        "It resolves to an address that no ingress gateway of its servers has",
        "Correct the name, unless something in front of the gateway has that address",
    ),
    # Backends
    "backend-missing": Entry(
        "The backend does not exist", "Its Service was not found", "Install it, or correct the link's C(backend)"
    ),
    "backend-port": Entry(
        "The backend has no such port",
        "Its Service has other TCP ports, so the link reaches nothing",
        "Open the port there, or correct the link's C(backend)",
    ),
    "backend-without-sidecar": Entry(
        "The backend is not in the mesh",
        "The hop from the ingress gateway to these pods is plain text",
        "Let Istio inject the sidecar, and restart the pods",
    ),
    "backend-empty": Entry("The backend has no pods", "The Service selects none yet", "Start it"),
    # The CA store
    "no-ca": Entry(
        "There is no CA",
        "The store does not exist",
        "Run playbook C(site); if a CA was lost, see docs/rotation.md",
    ),
    "wrong-store": Entry(
        "This is not the CA that the clusters trust",
        "A Secret or directory is in service with a root that the store does not know",
        "Point C(custom_ca_dir) at the right store, or restore it from a backup",
    ),
    "mesh-ca": Entry(
        "The root is a mesh's own CA",
        "Whatever that mesh issues would be accepted by the links",
        "Use a CA that no mesh has",
    ),
    "ca-exists": Entry("No CA was lost", "The store holds one, so it is not replaced", "Run without C(custom_ca_lost)"),
    "no-ca-lost": Entry("No CA was lost", "No cluster holds a credential of this collection", "Run playbook C(site)"),
    "ca-in-service": Entry(
        "The CA is still in service", "Clusters trust it, so it is not removed", "Run playbook C(teardown) first"
    ),
    "key-lost": Entry(
        "The issuing root's key was lost",
        "Only its certificate was found in the clusters; nothing can be issued or revoked",
        "Finish the rotation (playbook C(rotate_ca))",
    ),
    "store-damaged": Entry(
        "The CA store is damaged", "A file is missing, or does not hold what it should", "Restore it from a backup"
    ),
    "store-version": Entry(
        "The CA store has another version", "A newer collection wrote it", "Use that version, or a newer one"
    ),
    "unreadable-record": Entry(
        "The record of a certificate cannot be read",
        "A file below C(issued) lacks keys",
        "Restore it, or remove it if its certificate is not in use",
    ),
    "unreadable-certificate": Entry(
        "A certificate cannot be read", "It is damaged or no PEM", "Restore it, or remove it so that it is issued"
    ),
    "unreadable-crl": Entry(
        "A CRL cannot be read", "It is damaged or no PEM", "Restore it, or remove it so that it is made"
    ),
    "unreadable-key": Entry("A private key cannot be read", "It is damaged or of another form", "Restore it"),
    "wrong-passphrase": Entry(
        "The passphrase is wrong",
        "The private key cannot be decrypted with it, or its file is damaged",
        "Give the passphrase that the key was made with",
    ),
    "key-rounds": Entry(
        "A key is badly protected", "Its encryption has too few rounds, or absurdly many", "Encrypt it again"
    ),
    "root-import": Entry(
        "This root cannot be imported",
        "It is no self-signed CA certificate, has expired, or its key is another one",
        "Import another, or let one be made",
    ),
    "root-out-of-range": Entry(
        "No such root can be made", "Its name or lifetime is out of range", "Choose another value"
    ),
    "root-in-service": Entry(
        "This root is in service already", "A rotation needs another root, with a name of its own", "Import another"
    ),
    "root-not-valid": Entry(
        "The root is not valid now", "It cannot sign before or after its time", "Set the clock, or rotate the root"
    ),
    "root-expired": Entry("The root has expired", "No certificate of it is accepted", "Run playbook C(rotate_ca)"),
    "root-expires": Entry(
        "The root expires soon", "Certificates end with it, and cannot be renewed", "Run playbook C(rotate_ca)"
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
    "unknown-key-type": Entry("Unknown key type", "No certificate is made with it", "Choose one that is listed"),
    "another-run": Entry(
        "Another run has changed the CA",
        "What this run decided is not true any more; it stopped before writing",
        "Wait for the other run, then run again",
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
        "Find out why; playbook C(rotate_certificates) renews now",
    ),
    "crl-due": Entry(
        "A CRL is due", "C(custom_ca_revoked) has changed, or the CRL is old", "Run playbook C(site) over all clusters"
    ),
    "crl-expires": Entry(
        "A CRL expires soon",
        "From then on gateways refuse every certificate of its root",
        "Run playbook C(site), and find out why no run has renewed it",
    ),
    "crl-large": Entry(
        "The CRLs are large", "They come near to what a Secret can hold", "Rotate the root: its CRL starts empty"
    ),
    "crl-too-large": Entry(
        "The CRLs do not fit into a Secret", "Kubernetes allows 1 MiB", "Rotate the root: its CRL starts empty"
    ),
    "unrecorded-serial": Entry(
        "A revoked serial is not recorded",
        "The CA has no record of it; the CRL lists it all the same",
        "Check that it is written right",
    ),
    "revokes-nothing": Entry(
        "An entry revokes nothing",
        "No certificate that it names was issued up to its date",
        "Correct the entry, or remove it once its certificates have expired",
    ),
    "valid-again": Entry(
        "A revoked certificate becomes valid again",
        "Its entry was removed before it expired",
        "Put the entry back, unless the certificate is to be accepted",
    ),
    # External servers
    "foreign-directory": Entry(
        "The directory holds something else",
        "It has files, but no C(ca.crt) of this CA: a key of others would be lost",
        "Name an empty directory in C(external.ca)",
    ),
    "external-to-load": Entry(
        "An external server has files to load",
        "Its directory has a new certificate, root or CRL",
        "Let the server load the files",
    ),
    "external-behind": Entry(
        "An external server has another certificate",
        "A handshake showed another one than its directory has",
        "Let the server load the files",
    ),
    # The rotation of the root
    "rotation-under-way": Entry(
        "A rotation of the root is under way", "Both roots are trusted; links work", "Continue it: C(rotate_ca)"
    ),
    "rotation-blocked": Entry(
        "The rotation is blocked",
        "A step waits for what the messages after this one name; until then everything works as it is",
        "Fix those, then run again over all clusters",
    ),
    "unknown-phase": Entry("Unknown phase", "C(mesh_rotate_phase) names none", "Write one that is listed"),
    "phase-impossible": Entry(
        "The phase is not possible now", "Another phase comes first", "Run the phase that the message names"
    ),
    "wrong-phase": Entry(
        "A step does not fit the phase", "The store is in another phase", "Run C(rotate_ca), which keeps the order"
    ),
    "lost-ca-phase": Entry("A lost CA is replaced in one run", "It has no phases", "Leave C(mesh_rotate_phase) out"),
    "abandon-impossible": Entry(
        "The prepared root cannot be taken back",
        "The key of the root that it replaces was lost",
        "Finish the rotation",
    ),
    "external-needs-phases": Entry(
        "External parties need a rotation by phases",
        "No run can see what they trust",
        "Run phase by phase, and let them load or trust what is new in between",
    ),
    "cluster-unseen": Entry(
        "A cluster was not seen",
        "It was unreachable, limited away, in another slice, or its gate failed",
        "Make it reachable, and run over all clusters",
    ),
    "left-inventory": Entry(
        "A cluster has left the inventory",
        "One of its certificates has not expired",
        "Take it back, or list it in C(custom_ca_revoked)",
    ),
    "external-unseen": Entry(
        "An external server was not looked at",
        "Its certificate has not expired",
        "Take its link back, or list it in C(custom_ca_revoked)",
    ),
    "other-instance": Entry(
        "Another instance uses this CA",
        "This run cannot see its certificates in use",
        "Give each C(mesh_instance) a CA of its own",
    ),
    "not-asked": Entry(
        "The pods were not asked what they trust",
        "Only the pods' own answer opens a gate",
        "Make a pod ready, and allow exec there",
    ),
    "surplus-secret": Entry(
        "A Secret that no link needs is left", "No rotation renews it, and it may be in use", "Run playbook C(site)"
    ),
    "root-not-trusted": Entry(
        "A cluster does not trust the new root yet", "Its trust bundle lacks it", "Repeat the phase C(prepare)"
    ),
    "serves-old-root": Entry(
        "A cluster serves certificates of the old root", "It was not reissued", "Repeat the phase C(switch)"
    ),
    "root-still-trusted": Entry(
        "A cluster still trusts the old root", "Its trust bundle holds it", "Repeat the phase C(retire)"
    ),
    "serves-prepared-root": Entry(
        "A cluster serves certificates of the prepared root",
        "The store is older than the clusters, e.g. from a backup",
        "Continue with the phase C(switch)",
    ),
    # The preflight
    "blocked": Entry("A run would stop here", "Other rows of the table say why", "Fix those first"),
    "look-unfinished": Entry(
        "A cluster was not looked at to the end", "Its task failed", "See the error of the task, above the table"
    ),
}
