# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says: clusters, links, certificates, roots, CRLs, what expires, what changed. All of it is public.

PRIVATE to the collection. The JSON Schema is derived from these types and their words (M(_report/schema)), so a field
is described here and nowhere else. No field can hold a key: what is read of one is its type and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

__all__ = [
    "UNREAD",
    "VERSION",
    "Certificate",
    "Change",
    "Cluster",
    "Coverage",
    "Deed",
    "End",
    "Event",
    "Journal",
    "Link",
    "LinkState",
    "Renewal",
    "Report",
    "RevocationList",
    "Revoked",
    "Root",
    "RootRole",
    "Run",
    "RunState",
    "Summary",
    "Tls",
    "Unseen",
]

# Of the JSON: a field that changes its meaning or goes makes it another one.
VERSION = 1
# The phase of a store that cannot be read.
UNREAD = "unknown"

LinkState = Literal[
    "up",
    "refused",
    "no certificate",
    "broken",
    "not served",
    "not proven",
    "no ready gateway pod",
    "not asked",
    "not seen",
]
RootRole = Literal["issuing", "prepared", "trusted"]
RunState = Literal["good", "failed", "missed"]
Renewal = Literal["not due", "due", "overdue"]
EventKind = Literal["certificate", "root", "crl"]
ChangeKind = Literal[
    "link added",
    "link removed",
    "link state",
    "certificate",
    "root added",
    "root removed",
    "phase",
    "crl",
    "cluster added",
    "cluster removed",
    "cluster seen",
]


@dataclass(frozen=True)
class Tls:
    """What two ends can negotiate, as their gateways' proxies are configured; or what one end offers."""

    versions: Annotated[tuple[str, ...], "Versions that can be negotiated, lowest first; empty where no end was read."]
    ciphers: Annotated[tuple[str, ...], "Cipher suites of TLS 1.2 that are configured; empty for Envoy's own."]
    groups: Annotated[tuple[str, ...], "Key exchange groups that are configured; empty for Envoy's own."]
    read_at: Annotated[tuple[str, ...], "Ends whose proxies were read: client, server."]


@dataclass(frozen=True)
class End:
    """One side of a link in one cluster."""

    cluster: Annotated[str, "Name of the cluster; external:LINK for an external server."]
    side: Annotated[str, "client or server."]
    seen: Annotated[bool, "Whether this run has looked at it."]
    certificate: Annotated[str, "SHA-256 fingerprint of the certificate that it presents; empty where there is none."]
    key_location: Annotated[str, "Where certificate and private key are stored."]
    serving: Annotated[int, "Ready gateway pods that serve the link."]
    ready: Annotated[int, "Ready gateway pods."]
    unseen: Annotated[int, "Ready gateway pods that could not be asked."]
    broken_at: Annotated[str, "First hop at which a call breaks here: name, hop 1, hop 2, hop 3, answer; or empty."]
    cause: Annotated[str, "Code of the message that says why; docs/messages.md lists them."]


@dataclass(frozen=True)
class Deed:
    """An entry of the CA store's audit journal (docs/journal.md)."""

    entry: Annotated[int, "Its number; 0 for a line that is no entry."]
    at: Annotated[str, "When it was written, ISO 8601, UTC."]
    kind: Annotated[str, "What was done."]
    which: Annotated[str, "With what, in words."]
    operator: Annotated[str, "Who started the run."]
    run: Annotated[str, "Which run that was; of a UUID the first eight digits."]
    playbook: Annotated[str, "What was run; empty in entries of earlier releases."]
    signed: Annotated[bool, "Whether the CA's key vouches for it; false for all where the journal was changed."]


@dataclass(frozen=True)
class Link:
    """One entry of mesh_links, with everything that this run knows of it."""

    name: Annotated[str, "Name in mesh_links."]
    state: Annotated[LinkState, "The worst that there is of it."]
    where: Annotated[tuple[str, ...], "Clusters of which that is so."]
    broken_at: Annotated[str, "First hop at which a call breaks: name, hop 1, hop 2, hop 3, answer; or empty."]
    cause: Annotated[str, "Code of the message that says why; docs/messages.md lists them."]
    fqdn: Annotated[str, "What workloads dial, the SNI, and the server certificate's name."]
    port: Annotated[int, "TCP port that workloads dial."]
    tls_port: Annotated[int, "TCP port of the server's gateway."]
    protocol: Annotated[str, "What workloads speak over it."]
    backend: Annotated[str, "HOST:PORT that the server's gateway leads to; an external server's ADDRESS:PORT."]
    clients: Annotated[tuple[str, ...], "Clusters whose workloads may call."]
    servers: Annotated[tuple[str, ...], "Clusters that serve it; external:LINK for an external server."]
    callers: Annotated[tuple[str, ...], "Who may call, in words: workloads of which clusters, and partners."]
    expires: Annotated[str, "When the first of its certificates expires, ISO 8601; empty where there is none."]
    days_left: Annotated[int | None, "Whole days until then, negative once it is past; null where there is none."]
    next_due: Annotated[str, "When that certificate is due to be renewed."]
    roots: Annotated[tuple[str, ...], "SHA-256 fingerprints of the roots that issued its certificates."]
    crl_age_hours: Annotated[int | None, "Age of the oldest CRL of these roots; null where they have none."]
    renewed: Annotated[int, "How often its certificates were renewed, by the records of unexpired certificates."]
    tls: Annotated[Tls, "What its two ends can negotiate."]
    proven: Annotated[bool, "Whether this run has proven it: every gateway pod asked, no fault, every probe answered."]
    proof: Annotated[str, "How this run has proven it; empty where it has not."]
    last_proven: Annotated[str, "When a report has last said so; empty where none has."]
    ends: Annotated[tuple[End, ...], "Both sides, in every cluster of either."]
    history: Annotated[tuple[Deed, ...], "The last entries of the audit journal about it, newest last."]
    earlier: Annotated[int, "How many entries about it came before these."]


@dataclass(frozen=True)
class Certificate:
    """One certificate of a gateway or an external server that has not expired, or is still in use."""

    fingerprint: Annotated[str, "SHA-256 of the certificate (DER), hexadecimal."]
    serial: Annotated[str, "Serial number, hexadecimal, lower case, no leading zeros."]
    subject: Annotated[str, "Subject (RFC 4514); empty where only the record is known."]
    issuer: Annotated[str, "Issuer (RFC 4514); empty where only the record is known."]
    names: Annotated[tuple[str, ...], "DNS names (subjectAltName)."]
    usage: Annotated[tuple[str, ...], "Extended key usages: serverAuth, clientAuth."]
    not_before: Annotated[str, "ISO 8601, UTC."]
    not_after: Annotated[str, "ISO 8601, UTC."]
    days_left: Annotated[int, "Whole days until it expires, negative once it has."]
    key_algorithm: Annotated[str, "EC or RSA; empty where only the record is known."]
    key_size: Annotated[int, "Bits; 0 where only the record is known."]
    key_type: Annotated[str, "Curve or RSA with its size, such as P-256."]
    signature_algorithm: Annotated[str, "As OpenSSL names it, such as ecdsa-with-SHA256."]
    root: Annotated[str, "SHA-256 fingerprint of the root that issued it; empty for one that the CA store lacks."]
    cluster: Annotated[str, "Its holder; external:LINK for an external server."]
    side: Annotated[str, "client or server."]
    links: Annotated[tuple[str, ...], "Links that it is for."]
    key_location: Annotated[str, "The cluster's Secret, or the controller's directory, that stores it and its key."]
    issued: Annotated[str, "When it was issued; empty where no record says it."]
    renewed: Annotated[int, "How many unexpired certificates were issued to this place before it."]
    next_due: Annotated[str, "When it is due to be renewed; empty where another one is in its place."]
    in_service: Annotated[
        bool, "Whether it was read where it is used; false: only a record or the last report knows it."
    ]
    revoked: Annotated[bool, "Whether a CRL names it."]
    waits: Annotated[bool, "Whether it is in use, and of a root that issues no more: a root rotation waits for it."]


@dataclass(frozen=True)
class Root:
    """A root of the custom CA that is trusted."""

    fingerprint: Annotated[str, "SHA-256 of the certificate (DER), hexadecimal."]
    serial: Annotated[str, "Serial number, hexadecimal, lower case, no leading zeros."]
    subject: Annotated[str, "Subject (RFC 4514)."]
    role: Annotated[RootRole, "issuing, prepared (issues next), or trusted only."]
    not_before: Annotated[str, "ISO 8601, UTC."]
    not_after: Annotated[str, "ISO 8601, UTC."]
    days_left: Annotated[int, "Whole days until it expires."]
    key_algorithm: Annotated[str, "EC or RSA."]
    key_size: Annotated[int, "Bits."]
    key_type: Annotated[str, "Curve or RSA with its size, such as P-256."]
    signature_algorithm: Annotated[str, "As OpenSSL names it, such as ecdsa-with-SHA256."]
    key_location: Annotated[str, "The CA store that keeps its private key, encrypted."]


@dataclass(frozen=True)
class Revoked:
    """A certificate that a CRL names."""

    serial: Annotated[str, "Serial number, hexadecimal, lower case, no leading zeros."]
    since: Annotated[str, "ISO 8601, UTC."]
    reason: Annotated[str, "RFC 5280, section 5.3.1."]


@dataclass(frozen=True)
class RevocationList:
    """A certificate revocation list of the CA store."""

    root: Annotated[str, "SHA-256 fingerprint of the root that signed it."]
    issuer: Annotated[str, "Issuer (RFC 4514)."]
    number: Annotated[int, "CRL number (RFC 5280, section 5.2.3)."]
    this_update: Annotated[str, "ISO 8601, UTC."]
    next_update: Annotated[str, "ISO 8601, UTC."]
    age_hours: Annotated[int, "Whole hours since it was made, as it says."]
    days_left: Annotated[int, "Whole days until its next update is due."]
    next_due: Annotated[
        str, "When a run is to make a new one; empty where its root ends with it, so that a new one would end no later."
    ]
    renewal: Annotated[Renewal, "due: the next run makes a new one; overdue: verify raises crl-expires."]
    revoked: Annotated[tuple[Revoked, ...], "What it revokes."]


@dataclass(frozen=True)
class Cluster:
    """A cluster of the inventory, or one that mesh_clusters names."""

    name: Annotated[str, "Its name."]
    uid: Annotated[str, "uid of the namespace kube-system; empty where it is not known."]
    seen: Annotated[bool, "Whether this run has looked at it."]
    why_unseen: Annotated[str, "Why not."]
    sides: Annotated[tuple[str, ...], "client, server, as far as links need it."]
    gateways: Annotated[tuple[str, ...], "NAMESPACE/SERVICE of the gateways of these sides."]
    problems: Annotated[tuple[str, ...], "What is wrong there: errors, faults and alarms, each with its code."]
    proof: Annotated[tuple[str, ...], "How many handshakes and probes were made there, and what could not be asked."]


@dataclass(frozen=True)
class Unseen:
    """A cluster that this run has not looked at."""

    cluster: Annotated[str, "Its name."]
    why: Annotated[str, "Why not."]


@dataclass(frozen=True)
class Coverage:
    """Which part of the estate the report speaks of."""

    complete: Annotated[bool, "Whether every cluster was looked at."]
    seen: Annotated[tuple[str, ...], "Clusters that this run has looked at."]
    unseen: Annotated[
        tuple[Unseen, ...],
        "Clusters that it has not: of them it has what the CA's records and the last report know.",
    ]


@dataclass(frozen=True)
class Journal:
    """The CA store's audit journal. A store that cannot be read is a problem of it."""

    problems: Annotated[
        tuple[str, ...], "What is wrong with it, or with the store; empty where all is as it was written."
    ]
    signed: Annotated[int, "Entries that the CA's key vouches for."]
    unsigned: Annotated[int, "Entries after these."]
    last_at: Annotated[str, "Time of the last entry, ISO 8601; empty where there is none."]
    last_kind: Annotated[str, "What it tells; docs/journal.md lists them."]
    last_operator: Annotated[str, "Who started that run."]
    last_run: Annotated[str, "Which run that was."]


@dataclass(frozen=True)
class Run:
    """A playbook that mesh_schedule starts again and again on this controller."""

    playbook: Annotated[str, "Its name."]
    state: Annotated[RunState, "failed: the last run has; missed: there is no good run that is new enough; or good."]
    last_good: Annotated[str, "When a run has last ended well, ISO 8601; empty where none has."]
    last_failed: Annotated[str, "When a run has last failed, ISO 8601; empty where none has."]
    missed_after_minutes: Annotated[int, "How old the last good run may be."]


@dataclass(frozen=True)
class Event:
    """Something that ends."""

    at: Annotated[str, "ISO 8601, UTC."]
    days_left: Annotated[int, "Whole days until then, negative once it is past."]
    kind: Annotated[EventKind, "certificate, root, or crl (its next update)."]
    what: Annotated[str, "Which one, in words."]
    identity: Annotated[str, "Its fingerprint; of a CRL that of its root."]


@dataclass(frozen=True)
class Change:
    """What is not as the last report has it."""

    kind: Annotated[ChangeKind, "What has changed."]
    subject: Annotated[str, "Of which link, cluster or root."]
    before: Annotated[str, "As the last report has it."]
    after: Annotated[str, "As it is now."]


@dataclass(frozen=True)
class Summary:
    """The report in numbers."""

    links: Annotated[int, "Links of the inventory."]
    up: Annotated[int, "Links of state up."]
    proven: Annotated[int, "Links that this run has proven."]
    problems: Annotated[int, "Links of which something is wrong: neither up, nor only not seen or not asked."]
    unknown: Annotated[int, "Links of which not all is known: not seen, not asked, not proven."]
    certificates: Annotated[int, "Certificates in service."]
    waiting: Annotated[int, "Certificates in use of a root that issues no more: a root rotation waits for them."]
    first_expiry: Annotated[str, "When the first certificate in service expires; empty where there is none."]
    days_left: Annotated[int | None, "Whole days until then."]
    next_due: Annotated[str, "When the first certificate in service is due to be renewed."]


@dataclass(frozen=True)
class Report:
    """Everything that a run knows of one instance."""

    version: Annotated[int, "Version of this format."]
    made_at: Annotated[str, "When the run has made it, ISO 8601, UTC."]
    made_by: Annotated[str, "Who started the run, as the controller knows it."]
    instance: Annotated[str, "mesh_instance."]
    phase: Annotated[
        str, "Of the root: absent, steady, prepared, switched, retiring; unknown: a store that cannot be read."
    ]
    phase_since: Annotated[str, "When a report has first seen it in this phase, ISO 8601."]
    store: Annotated[str, "Where the CA store is."]
    renew_before_days: Annotated[int, "custom_ca_renew_before_days: a certificate is renewed that long before its end."]
    leaf_validity_days: Annotated[int, "custom_ca_leaf_validity_days: how long a new certificate is valid."]
    coverage: Annotated[Coverage, "Which part of the estate it speaks of."]
    summary: Annotated[Summary, "The same in numbers."]
    links: Annotated[tuple[Link, ...], "Every link of the inventory, by name."]
    clusters: Annotated[tuple[Cluster, ...], "Every cluster, by name."]
    certificates: Annotated[tuple[Certificate, ...], "Every certificate, by holder and end."]
    roots: Annotated[tuple[Root, ...], "Every trusted root, the issuing one first."]
    crls: Annotated[tuple[RevocationList, ...], "Every revocation list; none where nothing is revoked."]
    journal: Annotated[Journal, "The CA store's audit journal."]
    runs: Annotated[tuple[Run, ...], "What mesh_schedule starts, where this controller keeps marks of runs."]
    fresh_for_minutes: Annotated[int, "How long after this report the next one is to be there."]
    timeline: Annotated[tuple[Event, ...], "What expires, the first one first."]
    since: Annotated[str, "When the last report was made that changes are told against; empty where there is none."]
    changes: Annotated[tuple[Change, ...], "What is not as the last report has it."]
