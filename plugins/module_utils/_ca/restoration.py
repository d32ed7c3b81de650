# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store lacks that came back from a backup, and how it goes on from what the clusters hold. Pure.

What a cluster shows can only be what a key of the CA has signed: a state of the store, a certificate, a CRL. So the
phase follows from states alone, and a root is only ever dropped here, once no cluster trusts it.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation, transitions
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.doubts import latest
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import Witness, witness_from_text
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = ["Found", "Held", "Lack", "held_from_json", "lack_of", "reconciled", "unconfirmed"]


@dataclass(frozen=True)
class Held:
    """What one cluster holds of a CA.

    :param witness: the latest that the store does not lead to, as text; empty for none.
    :param roots: fingerprints of those that its Secrets trust.
    :param revoked: what CRLs there revoke and no CRL of the store does.
    """

    cluster: str
    witness: str
    roots: frozenset[str]
    revoked: tuple[Revoked, ...]


@dataclass(frozen=True)
class Found:
    """What a run has found in the clusters.

    :param unrecorded: records of certificates that they hold with their keys.
    :param clusters: names of all that belong to the mesh, seen or not.
    :param instance: whose clusters these are.
    :param entries: of C(custom_ca_revoked).
    """

    held: Sequence[Held]
    unrecorded: Sequence[Record]
    clusters: Collection[str]
    instance: str
    entries: Sequence[revocation.Entry]


@dataclass(frozen=True)
class Lack:
    """What of it a store lacks.

    :param later: the latest state that was seen; None where the store is no older than that.
    :param records: of certificates in service that it has no record of.
    :param revoked: what gateways refuse, and neither the store nor C(custom_ca_revoked) names.
    :param untrusted: fingerprints of roots that it trusts and no cluster does; empty where not all were seen.
    :param unseen: names of clusters that were not looked at.
    """

    later: Witness | None
    records: tuple[Record, ...]
    revoked: tuple[Revoked, ...]
    untrusted: frozenset[str]
    unseen: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        return not (self.later or self.records or self.revoked)


def held_from_json(found: Mapping[str, Any]) -> Held:
    """As a look tells it."""
    revoked = tuple(
        Revoked(item["serial"], datetime.fromisoformat(item["date"]), item["reason"]) for item in found["revoked"]
    )
    return Held(found["cluster"], found["witness"], frozenset(found["roots"]), revoked)


def lack_of(snapshot: Snapshot, found: Found, now: datetime) -> Lack:
    """Hold what was found against a store.

    :param snapshot: with its records; its signatures were checked.
    """
    kept = [read for held in found.held if (read := witness_from_text(held.witness))]
    known = {record.serial for record in snapshot.records}
    records = tuple(_dated(record, now) for record in found.unrecorded if record.serial not in known)
    unseen = tuple(sorted(_holders(snapshot, found) - {held.cluster for held in found.held}))
    trusted = frozenset().union(*(held.roots for held in found.held))
    return Lack(
        later=latest(snapshot, kept),
        records=records,
        revoked=_unlisted(snapshot, found, records),
        untrusted=frozenset(snapshot.index.trusted) - trusted if trusted and not unseen else frozenset(),
        unseen=unseen,
    )


def _dated(record: Record, now: datetime) -> Record:
    """The record with the time at which the CA has issued the certificate.

    A later entry of C(custom_ca_revoked) would take the one that replaced a revoked one for the one that it replaced.
    """
    issued = datetime.fromisoformat(record.not_before) + BACKDATING
    return replace(record, issued_at=timestamp(min(issued, now)))


def _holders(snapshot: Snapshot, found: Found) -> set[str]:
    """Every cluster that may trust a root; what other instances have cannot be seen, and is named by theirs."""
    recorded = {
        record.cluster if record.instance == found.instance else f"{record.cluster} of instance {record.instance}"
        for record in snapshot.records
        if not record.cluster.startswith(names.external(""))
    }
    return {*found.clusters, *recorded}


def _unlisted(snapshot: Snapshot, found: Found, records: Collection[Record]) -> tuple[Revoked, ...]:
    on_lists = {item.serial for crl in snapshot.lists.values() for item in crl.revoked}
    asked = revocation.revoked_serials(found.entries, [*snapshot.records, *records])
    shown = {item.serial: item for held in found.held for item in held.revoked}
    return tuple(shown[serial] for serial in sorted(set(shown) - on_lists - asked))


# -- said before anything is done ----------------------------------------------------------------------------------


def unconfirmed(snapshot: Snapshot, lack: Lack) -> Message:
    """The error where nobody has said that this copy is the newest that is left."""
    generation = snapshot.index.generation
    later = f", and clusters have seen generation {lack.later.generation}" if lack.later else ""
    entries = (
        f"add {_entries(lack)} to custom_ca_revoked unless gateways should accept them, then " if lack.revoked else ""
    )
    return Message.error(
        "restore-unconfirmed",
        where=snapshot.where,
        what="; ".join([f"the CA store is at generation {generation}{later}", *told(lack)]),
        fix="if there is a newer copy, restore that one. If this is the newest that is left, "
        f"{entries}run again with -e custom_ca_restored={generation}",
    )


def told(lack: Lack) -> list[str]:
    """What the store lacks, beside its generation."""
    certificates = [f"{record.serial} ({record.cluster}, {record.side})" for record in lack.records]
    return [
        *([f"no record knows certificate {listed(certificates)}, which is in service"] if certificates else []),
        *([f"gateways refuse certificate {listed(_serials(lack))}, which it does not"] if lack.revoked else []),
        *([f"not looked at: {listed(lack.unseen)}"] if lack.unseen else []),
    ]


def _serials(lack: Lack) -> list[str]:
    return [item.serial for item in lack.revoked]


def _entries(lack: Lack) -> str:
    return ", ".join(
        f"{{serial: '{item.serial}', date: '{timestamp(item.date)}', reason: {item.reason}}}" for item in lack.revoked
    )


# -- done ----------------------------------------------------------------------------------------------------------


def reconciled(snapshot: Snapshot, lack: Lack, now: datetime) -> Change:
    """The store as it is to go on: with the records that it lacks, and in the phase that it had come to."""
    index = replace(_caught_up(snapshot, lack), generation=_next_generation(snapshot, lack, now))
    return transitions.record(replace(snapshot, index=index), lack.records, now=now)


def _caught_up(snapshot: Snapshot, lack: Lack) -> Index:
    """A root that has issued is not prepared, and one that no cluster trusts any more does not come back."""
    index = snapshot.index
    issues = lack.later and lack.later.signer == index.prepared
    # Where the issuing root's key was lost, the prepared one has signed from the beginning.
    if issues and not index.keyless:
        index = transitions.switch(snapshot, seen=snapshot.authority.state).index
    gone = set(index.trusted) - {index.issuing}
    if gone and lack.untrusted == gone and not index.keyless:
        switched = replace(snapshot, index=index)
        drop = transitions.abandon if index.prepared else transitions.retire
        index = drop(switched, seen=switched.authority.state).index
    return index


def _next_generation(snapshot: Snapshot, lack: Lack, now: datetime) -> int:
    """The generation that the store goes on from.

    The clock is ahead of every count: so what a cluster withholds now stops nobody when it is shown later.
    """
    seen = lack.later.generation if lack.later else 0
    return max(snapshot.index.generation, seen, int(now.timestamp()))
