# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store, wherever it is kept: opens keys, applies the transitions, signs, commits; believes what was signed.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TypeAlias, TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import (
    events,
    observed,
    restoration,
    revocation,
    transitions,
    vouching,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, moved_on
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.doubts import Doubts, doubts
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import History, history_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author, Event, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked, checked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_writing import journalled, noted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.observed import Observation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    OvertakenError,
    Snapshot,
    Storage,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import DEFAULT_INSTANCE
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import (
    FEWEST_ITERATIONS,
    decrypt_private_key,
    encrypt_private_key,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    PrivateKey,
    key_signs_for,
    parse_certificates,
    timestamp,
)

__all__ = ["CaStore"]

# What is to be changed, and the key that signs the index afterwards.
Signed: TypeAlias = tuple[Change, PrivateKey]

T = TypeVar("T")

_NOBODY = Author()


class CaStore:
    """One CA: its roots, revocation lists and records.

    :param instance: for which it is opened; that of another one is refused.
    :param iterations: of key derivation, for each key that is added, and the fewest that a key may have; less than the
        default is for tests.
    :param author: whom the journal names.
    """

    def __init__(
        self,
        storage: Storage,
        instance: str = DEFAULT_INSTANCE,
        *,
        iterations: int = FEWEST_ITERATIONS,
        author: Author = _NOBODY,
    ) -> None:
        self._storage = storage
        self._instance = instance
        self._iterations = iterations
        self._author = author

    @property
    def where(self) -> str:
        """The storage's name in messages and results."""
        return self._storage.where

    def public(self) -> Authority | None:
        """Read the authority as its key has signed it: no passphrase, nothing written. None where there is none yet."""
        snapshot = self._snapshot()
        return snapshot.authority if snapshot else None

    def lists(self) -> dict[str, Crl]:
        """The revocation list of every trusted root, by fingerprint; empty where nothing is revoked."""
        snapshot = self._snapshot()
        return dict(snapshot.lists) if snapshot else {}

    def create(self, passphrase: str, key: PrivateKey, certificate: str, *, imported: bool = False) -> Authority:
        """Make this root the authority, or return the one that somebody quicker has made.

        :param imported: it is the user's own.
        """
        # Before anything is written, so that a refused passphrase leaves no trace.
        root = self._new_root(passphrase, key, certificate)
        change = transitions.create(root, self._instance)
        while True:
            try:
                return self._commit(change, key, None, _origin(root, imported)).authority
            except OvertakenError:
                existing = self.public()
                if existing is not None:
                    return existing

    def recover(
        self,
        passphrase: str,
        key: PrivateKey,
        certificate: str,
        lost: Sequence[CertificateView],
        *,
        imported: bool = False,
    ) -> Authority:
        """Begin anew where the store was lost, with a root that replaces those that the clusters hold."""
        vouching.refuse_unfit(lost, self.where)
        root = self._new_root(passphrase, key, certificate)
        change = transitions.recover(root, lost, self._instance)
        while True:
            transitions.refuse_occupied(self._snapshot())
            try:
                return self._commit(change, key, None, _origin(root, imported)).authority
            except OvertakenError:
                continue

    def unsigned(self) -> bool:
        """Tell whether the store has the format of an earlier release, which nothing but C(take_over) reads."""
        snapshot = self._storage.snapshot()
        return snapshot is not None and not snapshot.index.generation

    def of_another(self) -> bool:
        """Tell whether it is another instance's, so that nothing but C(take_over) reads it."""
        snapshot = self._vouched()
        return snapshot is not None and snapshot.index.instance != self._instance

    def take_over(self, passphrase: str, named: Collection[str], *, look: bool = False) -> Authority:
        """Sign what a store of an earlier release, or the copy of another instance's, holds.

        :param named: fingerprints of the roots that it is to trust.
        :param look: try it, and write nothing.
        """
        while True:
            snapshot = self._storage.snapshot(records=True)
            if snapshot is not None and snapshot.index.generation:
                vouching.refuse_unvouched(snapshot)
            if snapshot is None or transitions.is_taken_over(snapshot, self._instance):
                raise transitions.overtaken(self.where, snapshot.authority.phase if snapshot else "absent")
            change, key = self._taken_over(snapshot, passphrase, named)
            if look:
                return snapshot.authority
            try:
                return self._commit(change, key, snapshot).authority
            except OvertakenError:
                continue

    def _taken_over(self, snapshot: Snapshot, passphrase: str, named: Collection[str]) -> Signed:
        change = transitions.take_over(snapshot, named, self._instance)
        vouching.refuse_unfit(snapshot.roots.values(), self.where)
        index = change.index
        for root in index.trusted:
            # Of a lost one there is none: a key has signed that, or transitions.take_over has refused it.
            if root in index.keyless:
                continue
            key = self._key(snapshot.roots[root], passphrase)
            # The one that issues is followed by the prepared one, or has itself followed on what else is trusted.
            follower = index.prepared if root == index.issuing else index.issuing
            if follower and root != index.prepared:
                index = vouching.endorsed(index, follower, key, by=root)
        signer = self._key(snapshot.roots[index.signer], passphrase)
        return replace(change, index=vouching.inheriting(index)), signer

    def reconcile(
        self, passphrase: str, found: restoration.Found, *, confirmed: str, now: datetime, look: bool = False
    ) -> restoration.Lack | None:
        """Let a store that came back from a backup go on from what the clusters hold.

        :param confirmed: the generation of the copy that the operator knows to be the newest.
        :param look: try it, and write nothing.
        :returns: what it lacked; None where that is nothing, and nobody says that it is a restored copy.
        """
        while True:
            snapshot = self._snapshot(records=True)
            if snapshot is None:
                raise transitions.overtaken(self.where, "absent")
            lack, named = restoration.lack_of(snapshot, found, now), confirmed == str(snapshot.index.generation)
            if lack.nothing and not named:
                return None
            if not named:
                raise CrossmeshError(restoration.unconfirmed(snapshot, lack))
            change = restoration.reconciled(snapshot, lack, now)
            key = self._open(snapshot, change.index.signer, passphrase)
            if look:
                return lack
            try:
                issued = (events.issued(record, now=timestamp(now)) for record in lack.records)
                self._commit(change, key, snapshot, (events.reconciled(snapshot, change, lack), *issued))
            except OvertakenError:
                continue
            return lack

    # -- rotation of the root: each step once, from the state that the caller has seen ---------------------------------

    def prepare(
        self,
        passphrase: str,
        key: PrivateKey,
        certificate: str,
        *,
        seen: str,
        now: datetime,
        imported: bool = False,
    ) -> Authority:
        """Trust a root that is to issue next."""
        root = self._new_root(passphrase, key, certificate)

        def step(snapshot: Snapshot) -> Signed:
            change = transitions.prepare(snapshot, root, seen=seen, now=now)
            # Another passphrase than the store's would lock its owner out later.
            issuing = self._open(snapshot, snapshot.index.issuing, passphrase)
            index = vouching.endorsed(change.index, root.fingerprint, issuing, by=snapshot.index.issuing)
            return replace(change, index=index), issuing

        return self._apply(step, _origin(root, imported))

    def switch(self, passphrase: str, *, seen: str) -> Authority:
        """Let the prepared root issue, if its key can be used: there is no way back from a root that cannot."""
        return self._signed(passphrase, lambda snapshot: transitions.switch(snapshot, seen=seen))

    def retire(self, passphrase: str, *, seen: str) -> Authority:
        """Trust the issuing root only."""
        return self._signed(passphrase, lambda snapshot: transitions.retire(snapshot, seen=seen))

    def abandon(self, passphrase: str, *, seen: str) -> Authority:
        """Trust the prepared root no more."""
        return self._signed(passphrase, lambda snapshot: transitions.abandon(snapshot, seen=seen))

    def finish(self, passphrase: str, *, seen: str, keep_keys: bool) -> Authority:
        """Forget the roots that no cluster trusts any more, and destroy their keys."""
        return self._signed(passphrase, lambda snapshot: transitions.finish(snapshot, seen=seen, keep_keys=keep_keys))

    def observe(self, passphrase: str, looked_at: Collection[str], sights: Collection[Sight], *, now: datetime) -> None:
        """Keep what a run has seen of the clusters that it has looked at, for the gates of runs over other slices."""
        while True:
            snapshot = self._snapshot(records=True)
            if snapshot is None:
                raise transitions.overtaken(self.where, "absent")
            change, clusters = observed.observe(snapshot, looked_at, sights, now)
            if change.index.observed == snapshot.index.observed:
                return
            key = self._open(snapshot, change.index.signer, passphrase)
            with suppress(OvertakenError):
                self._commit(change, key, snapshot, (events.observed(clusters),))
                return

    def observations(self, authority: Authority) -> dict[str, Observation]:
        """What runs have seen of clusters, by their names, while the roots were as they are now."""
        snapshot = self._snapshot(records=True)
        return observed.observations_in(snapshot) if snapshot and snapshot.authority.state == authority.state else {}

    def publish(
        self, passphrase: str, wanted: Callable[[Authority], Mapping[str, tuple[Revoked, ...]]], *, now: datetime
    ) -> Authority:
        """Make the revocation lists that are due, of all trusted roots at once.

        :param wanted: what is to be revoked, by fingerprint of the root; empty takes all lists away.
        """

        def step(snapshot: Snapshot) -> Signed | None:
            lists = wanted(snapshot.authority)
            if not revocation.why_due(lists, snapshot.lists, now):
                return None
            signer = snapshot.index.signer
            keys = {root: self._open(snapshot, root, passphrase) for root in dict.fromkeys((*lists, signer))}
            return transitions.publish(snapshot, lists, keys, now=now), keys[signer]

        return self._apply(step)

    # -- certificates --------------------------------------------------------------------------------------------------

    def signer(self, passphrase: str) -> PrivateKey:
        """Load the key of the issuing root."""
        while True:
            snapshot = self._snapshot()
            if snapshot is None:
                raise self._storage.damaged("it holds no authority")
            try:
                return self._open(snapshot, snapshot.index.issuing, passphrase)
            except CrossmeshError:
                # A rotation may have destroyed the key meanwhile; then it is the next one's that is asked for.
                again = self._storage.snapshot()
                if again is not None and again.index.signature == snapshot.index.signature:
                    raise

    def vouch(self, passphrase: str, authority: Authority, *told: Event) -> Authority:
        """Stop unless the passphrase opens the key that signed all this: who can only write to the store has none.

        :param told: what is about to be done on the word of the key, for the journal.
        :returns: the authority afterwards.
        :raises MovedOnError: the store does not continue the authority.
        :raises CrossmeshError: it does not.
        """
        if authority.signer is None:
            raise self._storage.damaged("it holds no authority")
        key = self._key(authority.signer, passphrase)
        while True:
            snapshot = self._continued(authority)
            if not told:
                return snapshot.authority
            with suppress(OvertakenError):
                return self._commit(Change(snapshot.index), key, snapshot, told).authority

    def follow(self, authority: Authority) -> Authority:
        """Read the authority again that something was decided with.

        :raises MovedOnError: the store does not continue it.
        """
        return self._continued(authority).authority

    def look(self, seen: Mapping[str, Mapping[str, str]]) -> tuple[Authority | None, Doubts]:
        """C(public) and C(doubts) of one reading: who can exchange the store shows no other one for either."""
        snapshot = self._snapshot()
        return (snapshot.authority, doubts(snapshot, seen)) if snapshot else (None, Doubts())

    def doubts(self, seen: Mapping[str, Mapping[str, str]]) -> Doubts:
        """Whether clusters have seen a later state of the store, which is read now: after what they hold.

        :param seen: what was kept of the store, as text: by cluster, then by the object that has it.
        """
        snapshot = self._snapshot() if any(filter(None, kept.values()) for kept in seen.values()) else None
        return doubts(snapshot, seen) if snapshot else Doubts()

    def note(self, *told: Event) -> None:
        """Write to the journal what is done without the key; it is signed with the next change.

        Where there is no CA, there is no journal.

        :raises CrossmeshError: it cannot be written, or the end of the journal is not as it was.
        """
        while told and (snapshot := self._snapshot()):
            unsigned = noted(snapshot, told, self._author, datetime.now(UTC))
            if unsigned == snapshot.unsigned:
                return
            with suppress(OvertakenError):
                self._storage.note(unsigned, snapshot.version)
                return

    def check_journal(self) -> Checked:
        """Hold the whole journal against its last entry, which is signed. Without a CA there is none.

        :raises CrossmeshError: an entry is not as it was written; the first one is named.
        """
        found = self._read_journal(
            lambda snapshot, segments: checked(snapshot, [link for item in segments for link in links_of(item)])
        )
        return found or Checked(0, 0)

    def history(self) -> History:
        """Read the whole journal, and hold it against its last entry. Without a CA there is none."""
        return self._read_journal(history_of) or History()

    def _read_journal(self, use: Callable[[Snapshot, Iterable[bytes]], T]) -> T | None:
        """What is made of all segments of the journal, in their order; None where there is no CA."""
        while snapshot := self._snapshot():
            with suppress(OvertakenError):
                last = self._storage.last_segment(snapshot)
                return use(snapshot, chain(self._storage.segments(snapshot), (last,)))
        return None

    def record(
        self,
        records: Collection[Record],
        key: PrivateKey,
        now: datetime,
        *told: Event,
        home: tuple[str, str] | None = None,
        after: Authority | None = None,
    ) -> Authority | None:
        """Keep the records of certificates that are about to be used, and drop those of expired ones.

        :param key: of the issuing root, which signs for them.
        :param told: what else is about to be done, for the journal.
        :param home: name and uid of the cluster that they are for, to be remembered; None where it is not known.
        :param after: what they were decided with; None where nothing was.
        :returns: the authority afterwards; None where that root issues no more: the certificates must not be used.
        :raises MovedOnError: the store does not continue C(after): nor must they be then.
        """
        while True:
            snapshot = self._continued(after, records=True) if after else self._snapshot(records=True)
            if snapshot is None or not key_signs_for(snapshot.roots[snapshot.index.signer], key):
                return None
            change = transitions.record(snapshot, records, now=now, home=home)
            issued = (events.issued(record, now=timestamp(now)) for record in records)
            with suppress(OvertakenError):
                return self._commit(change, key, snapshot, (*issued, *told)).authority

    def clusters(self) -> dict[str, str]:
        """The uid of the cluster that got certificates under a name, by that name."""
        snapshot = self._snapshot()
        return dict(snapshot.index.clusters) if snapshot else {}

    def records(self, now: datetime, *, after: Authority | None = None) -> list[Record]:
        """Return what is recorded of certificates that have not expired, oldest first.

        :param after: what they belong to; None where that is any.
        :raises MovedOnError: the store does not continue it.
        """
        snapshot = self._continued(after, records=True) if after else self._snapshot(records=True)
        unexpired = [record for record in snapshot.records if not record.expired(now)] if snapshot else []
        return sorted(unexpired, key=lambda record: (record.issued_at, record.serial))

    def secrets_of(self, instance: str, cluster: str, now: datetime) -> set[tuple[str, str]]:
        """Namespace and name of the Secrets of a cluster that certificates were issued for, and have not expired."""
        mine = (record for record in self.records(now) if (record.instance, record.cluster) == (instance, cluster))
        return {(namespace, name) for namespace, _slash, name in (record.secret.partition("/") for record in mine)}

    # -- the store as a whole ------------------------------------------------------------------------------------------

    def occupied(self) -> bool:
        """Tell whether there is anything that destroy() would remove, whole or damaged."""
        self._refuse_used_by_others()
        return self._storage.occupied()

    def destroy(self) -> bool:
        """Remove the store. Tell whether there was anything."""
        while True:
            self._refuse_used_by_others()
            with suppress(OvertakenError):
                return self._storage.destroy()

    def refuse_unwritable(self) -> None:
        """Stop where nothing could be written. Writes nothing."""
        self._storage.refuse_unwritable()

    def _refuse_used_by_others(self) -> None:
        """Stop where it is another instance's; what is damaged tells of none."""
        try:
            snapshot = self._storage.snapshot()
            if snapshot is not None and not snapshot.index.generation:
                # Nothing but the certificates tells whose an earlier release's is.
                snapshot = self._storage.snapshot(records=True)
        except CrossmeshError as error:
            if error.message.code != "store-damaged":
                raise
            return
        if snapshot is not None:
            transitions.refuse_used(snapshot, self._instance)

    def _snapshot(self, *, records: bool = False) -> Snapshot | None:
        snapshot = self._vouched(records=records)
        if snapshot is not None:
            transitions.refuse_others(snapshot, self._instance)
        return snapshot

    def _continued(self, authority: Authority, *, records: bool = False) -> Snapshot:
        snapshot = self._snapshot(records=records)
        if snapshot is None or not snapshot.authority.continues(authority):
            raise moved_on(self.where)
        return snapshot

    def _vouched(self, *, records: bool = False) -> Snapshot | None:
        snapshot = self._storage.snapshot(records=records)
        if snapshot is not None:
            vouching.refuse_unvouched(snapshot)
        return snapshot

    def _signed(self, passphrase: str, step: Callable[[Snapshot], Change]) -> Authority:
        """Commit a step, signed by the root that issues after it."""

        def with_key(snapshot: Snapshot) -> Signed:
            change = step(snapshot)
            return change, self._open(snapshot, change.index.signer, passphrase)

        return self._apply(with_key)

    def _apply(self, step: Callable[[Snapshot], Signed | None], told: Sequence[Event] = ()) -> Authority:
        """Commit what a step makes of the store as it is; None leaves it so."""
        while True:
            snapshot = self._snapshot()
            if snapshot is None:
                raise transitions.overtaken(self.where, "absent")
            done = step(snapshot)
            if done is None:
                return snapshot.authority
            try:
                return self._commit(*done, snapshot, told).authority
            except OvertakenError:
                continue

    def _commit(self, change: Change, key: PrivateKey, before: Snapshot | None, told: Sequence[Event] = ()) -> Snapshot:
        """Write a change, with what the journal says of it, signed.

        :param told: what the change itself does not show.
        :raises OvertakenError: the store is another one than before meanwhile.
        """
        segment = self._storage.last_segment(before) if before else b""
        entries = (*events.events_of(before, change), *told)
        whole = journalled(change, before, segment, entries, self._author, datetime.now(UTC))
        index = whole.index
        # A copy that becomes another instance's is another store: what clusters keep of the first one is not of it.
        if before is None or not before.index.generation or before.index.instance != index.instance:
            index = replace(index, identity=secrets.token_hex(16))
        signed = replace(whole, index=vouching.sealed(index, key, after=index.generation))
        vouching.refuse_unbelievable(signed, before)
        made = self._storage.commit(signed, before.version if before else None)
        # Others wait for the lock, and who takes no lock may have put something else there.
        if made.index.signature != signed.index.signature:
            raise OvertakenError
        return made

    def _new_root(self, passphrase: str, key: PrivateKey, certificate: str) -> transitions.NewRoot:
        encrypted = encrypt_private_key(key, passphrase, self._iterations, fewest=self._iterations)
        return transitions.NewRoot(parse_certificates(certificate)[0], key, encrypted)

    def _open(self, snapshot: Snapshot, fingerprint: str, passphrase: str) -> PrivateKey:
        transitions.refuse_keyless(snapshot, fingerprint)
        return self._key(snapshot.roots[fingerprint], passphrase)

    def _key(self, root: CertificateView, passphrase: str) -> PrivateKey:
        stored = self._storage.key(root.fingerprint)
        key = decrypt_private_key(stored.pem, passphrase, where=stored.where, fewest=self._iterations)
        if not key_signs_for(root, key):
            raise self._storage.damaged(f"{stored.name} is not the key of its certificate")
        return key


def _origin(root: transitions.NewRoot, imported: bool) -> tuple[Event, ...]:
    return (events.imported(root.view),) if imported else ()
