# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store, wherever it is kept: opens keys, applies the transitions, commits.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation, transitions
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    OvertakenError,
    Snapshot,
    Storage,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
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
)

__all__ = ["CaStore"]


class CaStore:
    """One CA: its roots, revocation lists and records.

    :param iterations: of key derivation, for each key that is added, and the fewest that a key may have; less than the
        default is for tests.
    """

    def __init__(self, storage: Storage, *, iterations: int = FEWEST_ITERATIONS) -> None:
        self._storage = storage
        self._iterations = iterations

    @property
    def where(self) -> str:
        """The storage's name in messages and results."""
        return self._storage.where

    def public(self) -> Authority | None:
        """Read the authority: no key, no passphrase, nothing written. None where there is none yet."""
        snapshot = self._storage.snapshot()
        return snapshot.authority if snapshot else None

    def lists(self) -> dict[str, Crl]:
        """The revocation list of every trusted root, by fingerprint; empty where nothing is revoked."""
        snapshot = self._storage.snapshot()
        return dict(snapshot.lists) if snapshot else {}

    def create(self, passphrase: str, key: PrivateKey, certificate: str) -> Authority:
        """Make this root the authority, or return the one that somebody quicker has made."""
        # Before anything is written, so that a refused passphrase leaves no trace.
        change = transitions.create(self._new_root(passphrase, key, certificate))
        while True:
            try:
                return self._storage.commit(change, None).authority
            except OvertakenError:
                existing = self.public()
                if existing is not None:
                    return existing

    def recover(self, passphrase: str, key: PrivateKey, certificate: str, lost: Sequence[CertificateView]) -> Authority:
        """Begin anew where the store was lost, with a root that replaces those that the clusters hold."""
        change = transitions.recover(self._new_root(passphrase, key, certificate), lost)
        while True:
            transitions.refuse_occupied(self._storage.snapshot())
            try:
                return self._storage.commit(change, None).authority
            except OvertakenError:
                continue

    # -- rotation of the root: each step once, from the state that the caller has seen ---------------------------------

    def prepare(self, passphrase: str, key: PrivateKey, certificate: str, *, seen: str, now: datetime) -> Authority:
        """Trust a root that is to issue next."""
        root = self._new_root(passphrase, key, certificate)

        def step(snapshot: Snapshot) -> Change:
            change = transitions.prepare(snapshot, root, seen=seen, now=now)
            if snapshot.index.issuing not in snapshot.index.keyless:
                # Another passphrase than the store's would lock its owner out later.
                self._open(snapshot, snapshot.index.issuing, passphrase)
            return change

        return self._apply(step)

    def switch(self, passphrase: str, *, seen: str) -> Authority:
        """Let the prepared root issue, if its key can be used: there is no way back from a root that cannot."""

        def step(snapshot: Snapshot) -> Change:
            change = transitions.switch(snapshot, seen=seen)
            self._open(snapshot, change.index.issuing, passphrase)
            return change

        return self._apply(step)

    def retire(self, *, seen: str) -> Authority:
        """Trust the issuing root only."""
        return self._apply(lambda snapshot: transitions.retire(snapshot, seen=seen))

    def abandon(self, *, seen: str) -> Authority:
        """Trust the prepared root no more."""
        return self._apply(lambda snapshot: transitions.abandon(snapshot, seen=seen))

    def finish(self, *, seen: str, keep_keys: bool) -> Authority:
        """Forget the roots that no cluster trusts any more, and destroy their keys."""
        return self._apply(lambda snapshot: transitions.finish(snapshot, seen=seen, keep_keys=keep_keys))

    def publish(
        self, passphrase: str, wanted: Callable[[Authority], Mapping[str, tuple[Revoked, ...]]], *, now: datetime
    ) -> Authority:
        """Make the revocation lists that are due, of all trusted roots at once.

        :param wanted: what is to be revoked, by fingerprint of the root; empty takes all lists away.
        """

        def step(snapshot: Snapshot) -> Change | None:
            lists = wanted(snapshot.authority)
            if not revocation.why_due(lists, snapshot.lists, now):
                return None
            keys = {fingerprint: self._open(snapshot, fingerprint, passphrase) for fingerprint in lists}
            return transitions.publish(snapshot, lists, keys, now=now)

        return self._apply(step)

    # -- certificates --------------------------------------------------------------------------------------------------

    def signer(self, passphrase: str) -> PrivateKey:
        """Load the key of the issuing root."""
        while True:
            snapshot = self._storage.snapshot()
            if snapshot is None:
                raise self._storage.damaged("it holds no authority")
            try:
                return self._open(snapshot, snapshot.index.issuing, passphrase)
            except CrossmeshError:
                # A rotation may have destroyed the key meanwhile; then it is the next one's that is asked for.
                again = self._storage.snapshot()
                if again is not None and again.version == snapshot.version:
                    raise

    def record(self, records: Iterable[Record], now: datetime) -> None:
        """Keep the records of certificates that are about to be used, and drop those of expired ones."""
        self._storage.keep(records)
        self._storage.forget(lambda record: record.expired(now))

    def place(self, cluster: str) -> str:
        """The uid under which a cluster of this name got its certificates; empty where it is not known."""
        return self._storage.place(cluster)

    def settle(self, cluster: str, uid: str) -> None:
        """Remember which cluster gets certificates under a name; where there is no CA, none gets any."""
        if uid and self._storage.place(cluster) != uid and self.public() is not None:
            self._storage.keep_place(cluster, uid)

    def records(self, now: datetime) -> list[Record]:
        """Return what is recorded of certificates that have not expired, oldest first."""
        unexpired = [record for record in self._storage.records() if not record.expired(now)]
        return sorted(unexpired, key=lambda record: (record.issued_at, record.serial))

    def secrets_of(self, instance: str, cluster: str, now: datetime) -> set[tuple[str, str]]:
        """Namespace and name of the Secrets of a cluster that certificates were issued for, and have not expired."""
        mine = (record for record in self.records(now) if (record.instance, record.cluster) == (instance, cluster))
        return {(namespace, name) for namespace, _slash, name in (record.secret.partition("/") for record in mine)}

    # -- the store as a whole ------------------------------------------------------------------------------------------

    def occupied(self) -> bool:
        """Tell whether there is anything that destroy() would remove, whole or damaged."""
        return self._storage.occupied()

    def destroy(self) -> bool:
        """Remove the store. Tell whether there was anything."""
        return self._storage.destroy()

    def refuse_unwritable(self) -> None:
        """Stop where nothing could be written. Writes nothing."""
        self._storage.refuse_unwritable()

    def _apply(self, step: Callable[[Snapshot], Change | None]) -> Authority:
        """Commit what a step makes of the store as it is; None leaves it so."""
        while True:
            snapshot = self._storage.snapshot()
            if snapshot is None:
                raise transitions.overtaken(self.where, "absent")
            change = step(snapshot)
            if change is None:
                return snapshot.authority
            try:
                return self._storage.commit(change, snapshot.version).authority
            except OvertakenError:
                continue

    def _new_root(self, passphrase: str, key: PrivateKey, certificate: str) -> transitions.NewRoot:
        encrypted = encrypt_private_key(key, passphrase, self._iterations, fewest=self._iterations)
        return transitions.NewRoot(parse_certificates(certificate)[0], key, encrypted)

    def _open(self, snapshot: Snapshot, fingerprint: str, passphrase: str) -> PrivateKey:
        transitions.refuse_keyless(snapshot, fingerprint)
        stored = self._storage.key(fingerprint)
        key = decrypt_private_key(stored.pem, passphrase, where=stored.where, fewest=self._iterations)
        if not key_signs_for(snapshot.roots[fingerprint], key):
            raise self._storage.damaged(f"{stored.name} is not the key of its certificate")
        return key
