# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a CA store, each from what was read to what is to be changed. Pure.

Which step belongs to which phase, what it refuses, and which lists go with which roots. When a step is due, and what it
waits for, is in C(rotation) and C(revocation).

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Phase
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import (
    digest_of,
    ledger_to_text,
    record_to_text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, PrivateKey

__all__ = [
    "NewRoot",
    "abandon",
    "create",
    "finish",
    "is_taken_over",
    "overtaken",
    "prepare",
    "publish",
    "record",
    "recover",
    "refuse_keyless",
    "refuse_occupied",
    "refuse_others",
    "refuse_used",
    "retire",
    "switch",
    "take_over",
    "with_records",
]


@dataclass(frozen=True)
class NewRoot:
    """A root that comes into the store.

    :param encrypted: its key as it is kept; C(key) is the same one, which signs the root's first list.
    """

    view: CertificateView
    key: PrivateKey
    encrypted: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return self.view.fingerprint


def create(root: NewRoot, instance: str) -> Change:
    """Make this root the authority of an instance."""
    return _adding(Index(issuing=root.fingerprint, trusted=(root.fingerprint,), instance=instance), root)


def recover(root: NewRoot, lost: Sequence[CertificateView], instance: str) -> Change:
    """Begin anew where the store was lost: trust the roots that the clusters hold, and prepare another one.

    Of the lost roots there is no key: nothing can be issued before the prepared one has taken over.
    """
    gone = tuple(view.fingerprint for view in lost)
    index = Index(gone[0], trusted=(*gone, root.fingerprint), prepared=root.fingerprint, keyless=gone, inherited=gone)
    return _adding(replace(index, instance=instance), root, *lost)


def prepare(snapshot: Snapshot, root: NewRoot, *, seen: str, now: datetime) -> Change:
    """Trust a root that is to issue next."""
    index = _from_phase(snapshot, "steady", seen)
    added = replace(index, trusted=(*index.trusted, root.fingerprint), prepared=root.fingerprint)
    change = _adding(added, root)
    return _with_lists(snapshot, change, {root.fingerprint: (root.view, root.key, ())}, now) if index.lists else change


def switch(snapshot: Snapshot, *, seen: str) -> Change:
    """Let the prepared root issue."""
    index = _from_phase(snapshot, "prepared", seen)
    return Change(replace(index, issuing=index.prepared, prepared=""))


def retire(snapshot: Snapshot, *, seen: str) -> Change:
    """Trust the issuing root only; a list in which nothing is left goes with the old one."""
    index = _from_phase(snapshot, "switched", seen)
    dropped = _dropped(index, [item for item in index.trusted if item != index.issuing])
    revoked = any(snapshot.lists[root].revoked for root in dropped.lists)
    return Change(dropped if revoked else replace(dropped, lists={}))


def abandon(snapshot: Snapshot, *, seen: str) -> Change:
    """Trust the prepared root no more; nothing was ever issued from it."""
    index = _from_phase(snapshot, "prepared", seen)
    if index.keyless:
        raise _error(
            snapshot.where,
            "abandon-impossible",
            "the prepared root cannot be taken back: the key of the root that it replaces was lost, and nothing could "
            "ever be issued again",
            "finish the rotation (playbook rotate_ca without a phase)",
        )
    return Change(replace(_dropped(index, [index.prepared]), prepared=""))


def finish(snapshot: Snapshot, *, seen: str, keep_keys: bool) -> Change:
    """Forget the roots that no cluster trusts any more, and destroy their keys."""
    index = _from_phase(snapshot, "retiring", seen)
    forgotten = replace(index, retiring=(), retired=(*index.retired, *index.retiring), keyless=())
    return Change(forgotten, destroyed=() if keep_keys else index.retiring)


def publish(
    snapshot: Snapshot, wanted: Mapping[str, tuple[Revoked, ...]], keys: Mapping[str, PrivateKey], *, now: datetime
) -> Change:
    """Make the lists of all trusted roots anew; where nothing is revoked, take all away.

    :param wanted: what is to be revoked, by fingerprint of the root.
    :param keys: of the same roots.
    """
    if not wanted:
        return Change(replace(snapshot.index, lists={}))
    lists = {root: (snapshot.roots[root], keys[root], revoked) for root, revoked in wanted.items()}
    return _with_lists(snapshot, Change(snapshot.index), lists, now)


def take_over(snapshot: Snapshot, named: Collection[str], instance: str) -> Change:
    """Make a store this instance's: one of an earlier release, whose index no key has signed, or another instance's.

    What others hold of its roots stays on record: revocations reach it, and until they are replaced the roots count as
    shared.

    :param named: fingerprints of the roots that the operator has compared with those of the clusters.
    """
    trusted = snapshot.index.trusted
    if not snapshot.index.generation:
        _refuse_unproven(snapshot)
    if set(named) != set(trusted):
        raise _error(
            snapshot.where,
            "take-over-roots",
            f"custom_ca_take_over names root {listed(named)}, but the store trusts {listed(trusted)}",
            "compare both with ca.crt in the Secrets of the clusters: a root that no cluster has, somebody put there. "
            "Then name each root that the store is to trust, and no other",
        )
    shared = trusted if _users(snapshot) - {instance} else snapshot.index.shared
    index = replace(_proven(snapshot.index), instance=instance, shared=shared)
    # A ledger that is signed has its records already.
    return with_records(Change(index), snapshot.records, () if index.generation else snapshot.records)


def _refuse_unproven(snapshot: Snapshot) -> None:
    """Stop at trusted roots that no key can vouch for: only an index that no key has signed calls theirs lost."""
    lost = [root for root in snapshot.index.trusted if root in snapshot.index.keyless]
    if lost:
        raise _error(
            snapshot.where,
            "take-over-keyless",
            f"the store says that the key of root {listed(lost)} was lost, and that no key has signed: whoever could "
            "write to the folder could have put the root there",
            "end the root rotation that replaces it with the release that began it, then run this again. Where that "
            "cannot be, move the folder of the store away and run playbook rotate_ca with -e custom_ca_lost=true: it "
            "begins another store from what the clusters hold",
        )


def _proven(index: Index) -> Index:
    """What is taken over of an index; of one that no key has signed, what keys and lists show."""
    if index.generation:
        return index
    return replace(index, keyless=(), last_number=max(index.lists.values(), default=0))


def is_taken_over(snapshot: Snapshot, instance: str) -> bool:
    """Whether a store has the format of this release, and is this instance's."""
    return bool(snapshot.index.generation) and snapshot.index.instance == instance


def _users(snapshot: Snapshot) -> frozenset[str]:
    """Whose a store is; in the format of an earlier release, which does not say, whoever has a certificate of it."""
    index = snapshot.index
    return frozenset([index.instance] if index.generation else (item.instance for item in snapshot.records))


def record(
    snapshot: Snapshot, records: Iterable[Record], *, now: datetime, home: tuple[str, str] | None = None
) -> Change:
    """Count more records, and no longer those of certificates that have expired.

    :param snapshot: with its records.
    :param home: name and uid of the cluster that they are for; None where it is not known.
    """
    index = snapshot.index
    if home:
        index = replace(index, clusters={**index.clusters, home[0]: home[1]})
    added = tuple(records)
    whole = {item.serial: item for item in (*snapshot.records, *added)}
    return with_records(Change(index), [item for item in whole.values() if not item.expired(now)], added)


def with_records(change: Change, records: Iterable[Record], added: Iterable[Record]) -> Change:
    """The change with these records and no others.

    :param added: those of them that are not there yet.
    """
    ledger = {item.serial: digest_of(record_to_text(item)) for item in records}
    index = replace(change.index, issued=digest_of(ledger_to_text(ledger)))
    new = tuple(item for item in added if item.serial in ledger)
    return replace(change, index=index, records=new, ledger=ledger)


# -- what refuses a step -------------------------------------------------------------------------------------------


def overtaken(where: str, phase: Phase) -> CrossmeshError:
    """The error where the store is not as the caller has seen it."""
    return _error(
        where,
        "another-run",
        f"another run has changed the CA; its phase is now {phase}",
        "wait for the other run, then run again: it continues from there",
    )


def refuse_occupied(snapshot: Snapshot | None) -> None:
    """Stop a recovery where there is nothing to recover."""
    if snapshot is not None:
        raise _error(
            snapshot.where,
            "ca-exists",
            "the store holds a CA, so none was lost",
            "run without custom_ca_lost, or point custom_ca_dir or custom_ca_store_* at a place without one",
        )


def refuse_others(snapshot: Snapshot, instance: str) -> None:
    """Stop at the store of another instance: who has a certificate of its CA would pass for one of this one's."""
    if (owner := snapshot.index.instance) != instance:
        raise _others(snapshot, owner, instance)


def refuse_used(snapshot: Snapshot, instance: str) -> None:
    """Stop before a store is removed that other instances may need.

    :param snapshot: with its records.
    """
    if others := _users(snapshot) - {instance}:
        raise _others(snapshot, listed(others), instance)


def _others(snapshot: Snapshot, owner: str, instance: str) -> CrossmeshError:
    return _error(
        snapshot.where,
        "ca-of-another-instance",
        f"this is the CA of instance {owner}, and the run is for instance {instance}",
        "set custom_ca_dir to a folder of its own, or custom_ca_store_name to a name of its own, where site makes a "
        "CA. If certificates of this one are in use in its clusters, copy the store there first: docs/rotation.md, Two "
        "instances on one CA",
    )


def refuse_keyless(snapshot: Snapshot, fingerprint: str) -> None:
    """Stop what needs a key that was lost."""
    if fingerprint in snapshot.index.keyless:
        raise _error(
            snapshot.where,
            "key-lost",
            "the key of the issuing root was lost: only its certificate was found in the clusters, and nothing can be "
            "issued or revoked with it",
            "finish the rotation that replaces it (playbook rotate_ca)",
        )


def _from_phase(snapshot: Snapshot, phase: Phase, seen: str) -> Index:
    authority = snapshot.authority
    if authority.state != seen:
        raise overtaken(snapshot.where, authority.phase)
    if authority.phase != phase:
        raise _error(
            snapshot.where,
            "wrong-phase",
            f"this step of a rotation belongs to phase {phase}, and the phase is {authority.phase}",
            "run playbook rotate_ca, which takes the steps in their order",
        )
    return snapshot.index


def _error(where: str, code: str, what: str, fix: str) -> CrossmeshError:
    return CrossmeshError(Message.error(code, where=where, what=what, fix=fix))


# -- what a step leaves --------------------------------------------------------------------------------------------


def _adding(index: Index, root: NewRoot, *without_key: CertificateView) -> Change:
    return Change(index, roots=(root.view, *without_key), keys={root.fingerprint: root.encrypted})


def _dropped(index: Index, roots: Sequence[str]) -> Index:
    return replace(
        index,
        trusted=tuple(item for item in index.trusted if item not in roots),
        retiring=(*index.retiring, *roots),
        shared=tuple(item for item in index.shared if item not in roots),
        lists={root: number for root, number in index.lists.items() if root not in roots},
    )


def _with_lists(
    snapshot: Snapshot,
    change: Change,
    wanted: Mapping[str, tuple[CertificateView, PrivateKey, tuple[Revoked, ...]]],
    now: datetime,
) -> Change:
    # The clock keeps numbers growing even where the store came back from an old backup.
    number = max(snapshot.index.last_number + 1, int(now.timestamp()))
    made = {
        fingerprint: issue_crl(
            root=root, key=key, revoked=revoked, number=number, validity=revocation.VALIDITY, now=now
        )
        for fingerprint, (root, key, revoked) in wanted.items()
    }
    whole = {**snapshot.lists, **made}
    revocation.check_size("".join(item.pem for item in whole.values()), where=snapshot.where)
    lists = {**change.index.lists, **dict.fromkeys(made, number)}
    return replace(change, index=replace(change.index, lists=lists, last_number=number), lists=made)
