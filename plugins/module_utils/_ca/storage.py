# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a CA store asks of the place that keeps it, and the values that go to and fro.

PRIVATE to the collection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Damaged, Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Segment
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import Ledger
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import witness_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, parse_crls, signed_by
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, parse_certificates

__all__ = ["Change", "Kept", "OvertakenError", "Snapshot", "Storage", "StoredKey", "list_from_pem", "root_from_pem"]


class OvertakenError(Exception):
    """The storage holds another version than the one that was read: read again, and decide again."""


@dataclass(frozen=True)
class Snapshot:
    """What the index named at one moment, whole.

    :param where: the storage, for messages.
    :param version: differs wherever the index does, what of the journal is not signed yet, or where it has moved to.
    :param roots: every trusted root by its fingerprint, in the order of the index.
    :param lists: every list that counts, by the fingerprint of its root.
    :param endorsers: roots that are trusted no more, and endorsed one of the others.
    :param records: what the index's ledger names; empty where they were not asked for.
    :param observed: what runs have seen of clusters, as the index names it; empty likewise.
    :param unsigned: entries that follow on the last one of the journal that the index names.
    :param moved: where the CA is kept in its place; empty where this is it.
    """

    where: str
    version: str
    index: Index
    roots: Mapping[str, CertificateView]
    lists: Mapping[str, Crl]
    endorsers: Mapping[str, CertificateView] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    unsigned: bytes = b""
    moved: str = ""
    observed: bytes = b""

    @property
    def authority(self) -> Authority:
        """The public part, as the rest of the collection sees it."""
        return Authority(
            path=self.where,
            issuing=self.roots[self.index.issuing],
            signer=self.roots.get(self.index.signer),
            trusted=tuple(self.roots.values()),
            prepared=self.roots.get(self.index.prepared),
            retiring=self.index.retiring,
            retired=self.index.retired,
            shared=self.index.shared,
            lists=tuple(self.lists.values()),
            witness=witness_of(self.index),
        )


@dataclass(frozen=True)
class Change:
    """One step of the store.

    :param index: what it is to be afterwards.
    :param roots: certificates to add.
    :param keys: keys to add, encrypted, by the fingerprint of their root.
    :param lists: to add, by the fingerprint of their root.
    :param destroyed: fingerprints of roots whose keys nobody may use any more.
    :param records: to add.
    :param ledger: of all records that count afterwards, as C(index.issued) names it; None where it stays as it is.
    :param journal: the segments from the one on that the index has named last, as C(index.journal) names the last one
        of them; empty where the journal stays as it is. What was not signed yet is in them.
    :param observed: what runs have seen of clusters, as C(index.observed) names it; None where that stays as it is.
    """

    index: Index
    roots: tuple[CertificateView, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    lists: Mapping[str, Crl] = field(default_factory=dict)
    destroyed: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    ledger: Ledger | None = None
    journal: tuple[Segment, ...] = ()
    observed: str | None = None


@dataclass(frozen=True)
class Kept:
    """All that is kept of roots, trusted or not: certificates, and encrypted keys by their fingerprints."""

    certificates: tuple[CertificateView, ...]
    keys: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class StoredKey:
    """An encrypted key as it is kept.

    :param name: inside of the storage, for messages.
    :param where: name and storage, for messages.
    """

    pem: str = field(repr=False)
    name: str
    where: str


class Storage(ABC):
    """A place that keeps one CA store. It knows neither passphrase nor clock, and nothing of rotations.

    Nor does it say that what it holds can be believed: whoever can write there can change it. That the index is signed,
    and by whom, is for C(vouching); here, all that the index names by a digest or fingerprint is that.

    What every storage holds to, and what tests/unit/ca/test_storage.py asks of each:

    - The index is one value, replaced as a whole. What it names is whole and durable before it names it; what it does
      not name was never used, or is used no more, and the next commit may remove it.
    - One commit at most follows on a version. A commit against any other version raises C(OvertakenError), and then
      nothing has changed.
    - Killed anywhere, a call leaves what was there before or what was to be, and the next call goes on from there. That
      holds for the first commit and for a removal as well: half of either is no CA, and roots or a journal of which
      the index was lost in another way are C(store-damaged), never an empty storage.
    - A reader takes no lock. What another run replaces or removes meanwhile is read anew.
    - Records come with the index that counts them: one commit takes both, so runs at once lose none.
    - What runs have seen of clusters comes with the index that names it, likewise.
    - Entries of the journal come with the index that names the last one. Those that no index names yet are one value,
      replaced as a whole by C(note), and gone with the next index that names another entry. But for C(destroy), no
      entry is ever removed.
    - Nobody but the owner can read or write it, as far as the place can tell (C(open-to-others)). What is missing, cut
      off or foreign in it is C(store-damaged), an index of another format C(store-version), a record that was changed
      C(record-changed); where the place itself refuses, the error says what it was asked to do. No error and no
      C(repr) holds a key.

    :param where: names it in messages and in results.
    :param restore: how what is damaged or lost is brought back, for messages.
    """

    where: str
    restore: str

    @property
    def place(self) -> str:
        """What a mark calls it: the same by whatever way it is reached."""
        return self.where

    @abstractmethod
    def snapshot(self, *, records: bool = False) -> Snapshot | None:
        """Read what the index names. None where there is no CA yet; nothing is written.

        A key of C(index.needed_keys) that is missing is damage; its content is not looked at.

        :param records: read them as well, and the observations. An index that no key has signed has no ledger: then it
            is all records that are there. Nor has it C(clusters): then it is what lies beside it.
        """

    @abstractmethod
    def commit(self, change: Change, seen: str | None) -> Snapshot:
        """Make the change, and return what stands now.

        Keys to destroy are gone before the index is replaced: after a kill, the step is done again.

        :param seen: the version that the change was made from; None where there was no CA.
        :raises OvertakenError: it is another one.
        """

    @abstractmethod
    def key(self, fingerprint: str) -> StoredKey:
        """Read the key of a root, as it was given.

        :raises CrossmeshError: it is not there.
        """

    @abstractmethod
    def note(self, unsigned: bytes, seen: str) -> None:
        """Replace the entries of the journal that are not signed yet.

        :param seen: the version that they follow on.
        :raises OvertakenError: it is another one.
        """

    @abstractmethod
    def last_segment(self, snapshot: Snapshot) -> bytes:
        """Read the segment of the journal that its index names; empty where it is missing or there is none.

        :raises OvertakenError: the storage holds another version meanwhile.
        """

    @abstractmethod
    def segments(self, snapshot: Snapshot) -> Iterator[bytes]:
        """Read the closed segments before that one, in their order, whether all are there or not."""

    @abstractmethod
    def kept(self, snapshot: Snapshot) -> Kept:
        """Read what there is of the roots that the index names, in the order of their fingerprints.

        :raises OvertakenError: the storage holds another version meanwhile.
        """

    @abstractmethod
    def leave(self, place: str, seen: str) -> None:
        """Say where the CA is kept from now on, in place of here; empty takes that back.

        :raises OvertakenError: it is another version than the one that was seen.
        """

    @abstractmethod
    def occupied(self) -> bool:
        """Tell whether there is anything that C(destroy) would remove, whole or damaged."""

    @abstractmethod
    def destroy(self) -> bool:
        """Remove what is the store's own and nothing else, whole or damaged. Tell whether there was anything.

        :raises OvertakenError: another run was quicker, and what it has written is still there.
        """

    @abstractmethod
    def refuse_unwritable(self) -> None:
        """Stop where nothing could be written. Writes nothing."""

    def damaged(self, why: str) -> CrossmeshError:
        """The error of a store that cannot be used as it is."""
        what = f"the CA store is damaged: {why}"
        return CrossmeshError(Message.error("store-damaged", where=self.where, what=what, fix=self.restore))


def root_from_pem(pem: str | bytes, fingerprint: str, *, where: str, damaged: Damaged) -> CertificateView:
    """Read the certificate that was kept for a root.

    :param where: of the document, for messages.
    """
    root = parse_certificates(pem, where=where)[0]
    if root.fingerprint != fingerprint:
        raise damaged(f"{where} holds the certificate {short(root.fingerprint)}")
    return root


def list_from_pem(pem: str | bytes, root: CertificateView, *, where: str, damaged: Damaged) -> Crl:
    """Read the revocation list that was kept for a root."""
    found = parse_crls(pem, where=where)[0]
    if not signed_by(found, root):
        raise damaged(f"{where} is not a list of its root")
    return found
