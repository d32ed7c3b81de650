# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA store kept in Secrets of a cluster; C(secret_layout) says what stands where.

All that counts hangs on one Secret, the head, which is replaced against the C(resourceVersion) that was read. A writer
lists the pieces before it replaces the head, and removes only those of the list: what is written for a later head is
not among them. The Lease spares writers from being overtaken; that nobody undoes another's work does not rest on it.

PRIVATE to the collection.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_layout as layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.chunks import (
    Chunk,
    chunk_from_bytes,
    chunk_to_bytes,
    repacked,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index, index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import (
    digest_of,
    document,
    ledger_from_text,
    ledger_to_text,
    record_from_text,
    record_to_text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.lock import PATIENCE
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_layout import Contents, Pieces, Place
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    Kept,
    OvertakenError,
    Snapshot,
    Storage,
    StoredKey,
    list_from_pem,
    root_from_pem,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    CONFLICT,
    METADATA_ONLY,
    MISSING,
    PARALLEL,
    Api,
    ApiError,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import (
    get_object,
    list_objects,
    version_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.lease import Lease
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView

__all__ = ["SecretStorage"]


@dataclass(frozen=True)
class _Head:
    """The head at one moment.

    :param version: its C(resourceVersion).
    """

    contents: Contents
    version: str

    @property
    def unfinished(self) -> bool:
        """Whether the CA is being made or removed: no root in it was ever used, or none is used any more."""
        return layout.UNFINISHED in self.contents

    @cached_property
    def seen(self) -> str | None:
        """The version of the store; None where there is none."""
        if self.unfinished:
            return None
        parts = (layout.INDEX, layout.UNSIGNED, layout.MOVED)
        return digest_of(b"".join(self.contents.get(part, b"") for part in parts))

    @property
    def unsigned(self) -> bytes:
        return self.contents.get(layout.UNSIGNED, b"")


class SecretStorage(Storage):
    """One namespace of one cluster.

    :param api: whose C(where) names the store in messages.
    :param patience: seconds that a writer waits for another one.
    """

    restore = (
        "restore the Secrets from a backup, or correct custom_ca_store_namespace and custom_ca_store_name; where there "
        "was never more than this, remove it (role custom_ca with custom_ca_state: absent)"
    )

    def __init__(self, api: Api, place: Place, patience: float = PATIENCE) -> None:
        self._api = api
        self._at = place
        self._patience = patience
        self.where = api.where
        # Of pieces, which never change.
        self._known = dict[str, bytes]()

    def snapshot(self, *, records: bool = False) -> Snapshot | None:
        while True:
            head = self._head()
            if head is None or head.unfinished:
                return None
            try:
                return self._read(head, records)
            except CrossmeshError:
                again = self._head()
                if again is not None and again.version == head.version:
                    raise

    def commit(self, change: Change, seen: str | None) -> Snapshot:
        with self._lease() as lease:
            head = self._head()
            if (head.seen if head else None) != seen:
                raise OvertakenError
            if head is None or head.unfinished:
                # Whoever else makes or removes the CA is overtaken by this.
                head = self._begun(head)
            before = self._listed()
            contents, written = self._written(head, change, lease)
            lease.keep()
            self._put(head, contents, written)
            named = set(_ids(self._pieces(contents)))
            self._drop([piece for piece in before if piece not in named])
        found = self.snapshot()
        if found is None:
            raise OvertakenError
        return found

    def key(self, fingerprint: str) -> StoredKey:
        name, head = layout.key(fingerprint), self._head()
        found = head.contents.get(name) if head else None
        where = f"{name} in {self.where}"
        if found is None:
            raise self.damaged(f"{where} is missing")
        return StoredKey(_text(found), name=name, where=where)

    def note(self, unsigned: bytes, seen: str) -> None:
        with self._lease():
            head = self._as_seen(seen)
            self._put(head, {**head.contents, layout.UNSIGNED: unsigned})

    def last_segment(self, snapshot: Snapshot) -> bytes:
        found = self._if_there(self._of(snapshot), layout.LAST)
        if not found:
            # Was it a later writer who removed it?
            self._of(snapshot)
        return found

    def segments(self, snapshot: Snapshot) -> Iterator[bytes]:
        head = self._of(snapshot)
        closed = [name for name in self._pieces(head.contents) if name.startswith(layout.CLOSED)]
        for name in sorted(name for name in closed if name < layout.segment(snapshot.index.journal.segment)):
            yield self._if_there(head, name)

    def kept(self, snapshot: Snapshot) -> Kept:
        head, found = self._of(snapshot), sorted(snapshot.index.roots)
        return Kept(
            tuple(self._root(head, root) for root in found if layout.certificate(root) in head.contents),
            {root: _text(head.contents[layout.key(root)]) for root in found if layout.key(root) in head.contents},
        )

    def leave(self, place: str, seen: str) -> None:
        with self._lease():
            head = self._as_seen(seen)
            others = {name: value for name, value in head.contents.items() if name != layout.MOVED}
            self._put(head, {**others, layout.MOVED: place.encode()} if place else others)

    def occupied(self) -> bool:
        return self._secret() is not None or bool(self._listed())

    def destroy(self) -> bool:
        if not self.occupied():
            return False
        with self._lease() as lease:
            head = self._begun(self._secret())
            for piece in self._listed():
                lease.keep()
                self._removed(piece)
            # If it is another one by now, somebody makes a new CA.
            self._removed("", head.version)
            lease.remove()
        return True

    def refuse_unwritable(self) -> None:
        """All that the user may not do there; then a dry run, which finds a missing namespace, quotas and admission."""
        if lacking := [f"{verb} {resource}" for verb, resource in self._lacking()]:
            raise CrossmeshError(_lacking(self.where, lacking))
        piece, content = next(layout.cut(b""))
        self._api.create(self._at.collection, self._at.piece(piece, content), layout.MANAGER, dry=True)

    def _lacking(self) -> Iterator[tuple[str, str]]:
        for group, resource, verbs in layout.RIGHTS:
            for verb in verbs:
                asked = {"verb": verb, "group": group, "resource": resource, "namespace": self._at.namespace}
                if not self._api.review(asked):
                    yield verb, resource

    @property
    def place(self) -> str:
        return f"{self._at.title()}, {self._api.address}"

    # -- reading -------------------------------------------------------------------------------------------------------

    def _head(self) -> _Head | None:
        """The head; None where there is no store. Pieces without a head are no empty storage but a loss."""
        found = self._secret()
        # Looked at again: the head may have been made in between.
        if found is None and self._listed() and (found := self._secret()) is None:
            raise self.damaged(f"there are pieces of it, but {self._at.title()} is missing")
        if found is not None and not found.unfinished and layout.INDEX not in found.contents:
            raise self.damaged(f"{layout.INDEX} is missing in {self._at.title()}")
        return found

    def _secret(self) -> _Head | None:
        """The head, whatever else there is."""
        try:
            item = get_object(self._api, "Secret", self._at.path())
        except ApiError as error:
            if error.status != MISSING:
                raise
            return None
        contents = layout.contents_of(item, self._at.title(), self.damaged)
        return _Head(contents, str(item["metadata"].get("resourceVersion", "")))

    def _listed(self) -> list[str]:
        """Every piece that there is, whether the head names it or not."""
        query = {"labelSelector": self._at.selector}
        items = list_objects(self._api, "Secret", self._at.collection, query, METADATA_ONLY)
        return [piece for piece in map(self._at.piece_of, items) if piece]

    def _read(self, head: _Head, records: bool) -> Snapshot:
        index = self._index(head)
        roots = {fingerprint: self._root(head, fingerprint) for fingerprint in index.trusted}
        endorsers = {endorsement.by for endorsement in index.endorsements.values()} - set(roots)
        for fingerprint in index.needed_keys:
            self._present(head, layout.key(fingerprint))
        return Snapshot(
            where=self.where,
            version=str(head.seen),
            index=index,
            roots=roots,
            lists={
                root: list_from_pem(
                    self._content(head, layout.revocations(root, number)),
                    roots[root],
                    where=f"the CRL of root {root} in {self.where}",
                    damaged=self.damaged,
                )
                for root, number in index.lists.items()
            },
            endorsers={fingerprint: self._root(head, fingerprint) for fingerprint in sorted(endorsers)},
            records=self._records(head, index) if records and index.issued else (),
            unsigned=head.unsigned,
            moved=_text(head.contents.get(layout.MOVED, b"")),
            observed=self._observed(head, index) if records and index.observed else b"",
        )

    def _index(self, head: _Head) -> Index:
        try:
            content = parse_json(head.contents[layout.INDEX])
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise self.damaged(f"{layout.INDEX} holds no JSON object")
        return index_from_json(content, name=layout.INDEX, where=self.where, damaged=self.damaged)

    def _present(self, head: _Head, name: str) -> bytes:
        if name not in head.contents:
            raise self.damaged(f"{name} is missing in {self._at.title()}")
        return head.contents[name]

    def _root(self, head: _Head, fingerprint: str) -> CertificateView:
        name = layout.certificate(fingerprint)
        where = f"{name} in {self.where}"
        return root_from_pem(self._present(head, name), fingerprint, where=where, damaged=self.damaged)

    def _records(self, head: _Head, index: Index) -> tuple[Record, ...]:
        where = f"the ledger of records in {self.where}"
        ledger = ledger_from_text(self._content(head, layout.LEDGER), index.issued, where=where, damaged=self.damaged)
        texts = {serial: text for chunk in self._chunks(head).values() for serial, text in chunk.items()}
        return tuple(self._record(texts, serial, digest) for serial, digest in ledger.items())

    def _observed(self, head: _Head, index: Index) -> bytes:
        data = self._content(head, layout.OBSERVED)
        if digest_of(data) != index.observed:
            raise self.damaged("what runs have seen of clusters is not what its index names")
        return data

    def _record(self, texts: Chunk, serial: str, digest: str) -> Record:
        if serial not in texts:
            raise self.damaged(f"the record of certificate {serial} is missing")
        return record_from_text(texts[serial].encode(), digest, where=f"record {serial} in {self.where}")

    def _chunks(self, head: _Head) -> dict[str, Chunk]:
        """Records by the pieces that they are in."""
        ids = self._pieces(head.contents).get(layout.RECORDS, ())
        found = zip(ids, self._fetched(ids), strict=True)
        return {
            piece: chunk_from_bytes(data, where=self._at.title(piece), damaged=self.damaged) for piece, data in found
        }

    def _pieces(self, contents: Contents) -> Pieces:
        given = contents.get(layout.PIECES, b"{}")
        return layout.pieces_from_bytes(given, f"{layout.PIECES} in {self._at.title()}", self.damaged)

    def _content(self, head: _Head, name: str) -> bytes:
        """What stands in pieces; empty where the head names none."""
        return b"".join(self._fetched(self._pieces(head.contents).get(name, ())))

    def _fetched(self, ids: Collection[str]) -> list[bytes]:
        if len(ids) < 2:
            return list(map(self._piece, ids))
        with ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(self._piece, ids))

    def _piece(self, piece: str) -> bytes:
        if piece not in self._known:
            try:
                item = get_object(self._api, "Secret", self._at.path(piece))
            except ApiError as error:
                if error.status != MISSING:
                    raise
                raise self.damaged(f"{self._at.title(piece)} is missing") from None
            contents = layout.contents_of(item, self._at.title(piece), self.damaged)
            self._known[piece] = contents.get(layout.CONTENT, b"")
        return self._known[piece]

    def _of(self, snapshot: Snapshot) -> _Head:
        """The head that was read.

        :raises OvertakenError: it is another one by now.
        """
        return self._as_seen(snapshot.version)

    def _as_seen(self, seen: str) -> _Head:
        head = self._head()
        if head is None or head.seen != seen:
            raise OvertakenError
        return head

    def _if_there(self, head: _Head, name: str) -> bytes:
        """What stands in pieces; empty where one is missing."""
        try:
            return self._content(head, name)
        except CrossmeshError as error:
            if error.message.code != "store-damaged":
                raise
            return b""

    # -- writing -------------------------------------------------------------------------------------------------------

    def _lease(self) -> Lease:
        """Keep other writers out."""
        return Lease(
            self._api,
            self._at.namespace,
            self._at.name,
            self._at.labels,
            layout.MANAGER,
            self._patience,
            "the CA store",
        )

    def _begun(self, head: _Head | None) -> _Head:
        """A head that says that the CA is being made or removed, in the place of the one that was seen."""
        contents = {layout.UNFINISHED: secrets.token_hex(8).encode()}
        return _Head(contents, self._sent(head, contents))

    def _written(self, head: _Head, change: Change, lease: Lease) -> tuple[Contents, list[str]]:
        """Write the pieces of a change.

        :returns: what the head is to hold, and the pieces.
        """
        pieces, added = self._staying(head, change), list[str]()
        for name, content in self._further(head, change, pieces):
            # A chunk of records is read by itself.
            for piece, part in layout.cut(content, layout.LARGEST if name == layout.RECORDS else layout.LARGEST_PIECE):
                lease.keep()
                self._api.create(self._at.collection, self._at.piece(piece, part), layout.MANAGER)
                self._known[piece] = part
                pieces[name] = (*pieces.get(name, ()), piece)
                added.append(piece)
        return {**self._head_contents(head, change), layout.PIECES: layout.pieces_to_bytes(pieces)}, added

    def _staying(self, head: _Head, change: Change) -> dict[str, tuple[str, ...]]:
        """Pieces that stay as they are, by what they hold."""
        lists = {layout.revocations(root, number) for root, number in change.index.lists.items()}
        gone = {layout.revocations(root, crl.number) for root, crl in change.lists.items()}
        gone |= {layout.LAST} if change.journal else set()
        gone |= {layout.LEDGER, layout.RECORDS} if change.ledger is not None else set()
        gone |= {layout.OBSERVED} if change.observed is not None or not change.index.observed else set()
        return {
            name: ids
            for name, ids in self._pieces(head.contents).items()
            if name not in gone and (name in lists or not name.startswith(layout.LISTS))
        }

    def _further(self, head: _Head, change: Change, pieces: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, bytes]]:
        """What comes in, by its name.

        :param pieces: get the chunks of records that stay.
        """
        for fingerprint, crl in change.lists.items():
            yield layout.revocations(fingerprint, crl.number), crl.pem.encode()
        if change.ledger is not None:
            added = {record.serial: record_to_text(record) for record in change.records}
            kept, further = repacked(self._chunks(head), change.ledger, added)
            pieces[layout.RECORDS] = kept
            yield from ((layout.RECORDS, self._fitting(chunk_to_bytes(chunk))) for chunk in further)
            if change.index.issued:
                yield layout.LEDGER, ledger_to_text(change.ledger).encode()
        if change.observed is not None:
            yield layout.OBSERVED, change.observed.encode()
        for part in change.journal:
            name = layout.segment(part.first) if part.closed else layout.LAST
            pieces.pop(name, None)
            yield name, part.lines.encode()

    def _fitting(self, chunk: bytes) -> bytes:
        """:raises CrossmeshError: a single record is longer than what one Secret holds."""
        if len(chunk) > layout.LARGEST:
            raise CrossmeshError(_too_large("the record of one certificate", self.where, len(chunk)))
        return chunk

    def _head_contents(self, head: _Head, change: Change) -> dict[str, bytes]:
        index = change.index
        found = {} if head.unfinished else dict(head.contents)
        found |= {layout.certificate(root.fingerprint): root.pem.encode() for root in change.roots}
        found |= {layout.key(root): pem.encode() for root, pem in change.keys.items()}
        named = {layout.certificate(root) for root in index.roots}
        named |= {layout.key(root) for root in index.roots - set(change.destroyed)}
        found = {name: value for name, value in found.items() if name in named or name == layout.UNSIGNED}
        if not head.unfinished and self._index(head).journal != index.journal:
            found.pop(layout.UNSIGNED, None)
        return {**found, layout.INDEX: document(index_to_json(index)).encode()}

    def _put(self, head: _Head, contents: Contents, written: Collection[str] = ()) -> None:
        """Replace the head.

        :param written: pieces that nobody needs unless it was.
        :raises OvertakenError: it is another one by now.
        """
        if (size := layout.size_of(contents)) > layout.LARGEST:
            self._drop(written)
            raise CrossmeshError(_too_large(self._at.title(), self.where, size))
        try:
            self._sent(head, contents)
        except OvertakenError:
            self._drop(written)
            raise

    def _sent(self, head: _Head | None, contents: Contents) -> str:
        """Send the head, and return its version.

        :raises OvertakenError: another one stands there.
        """
        body = self._at.head(contents, head.version if head else "")
        try:
            if head is None:
                answer = self._api.create(self._at.collection, body, layout.MANAGER)
            else:
                answer = self._api.replace(self._at.path(), body, layout.MANAGER)
            return version_of(answer, f"{self.where}, {self._at.title()}")
        except CrossmeshError as error:
            # Lost on its way back, or answered twice on the way: what stands there tells whether it was done.
            with suppress(CrossmeshError):
                found = self._secret()
                if found is not None and found.contents == contents:
                    return found.version
                if isinstance(error, ApiError) and (error.status == CONFLICT or (head and error.status == MISSING)):
                    raise OvertakenError from None
            raise

    def _drop(self, pieces: Collection[str]) -> None:
        """Remove what no head names; what cannot be removed now is with the next commit."""
        with suppress(CrossmeshError):
            for piece in pieces:
                self._removed(piece)

    def _removed(self, piece: str, version: str = "") -> None:
        try:
            self._api.delete(self._at.path(piece), version=version)
        except ApiError as error:
            # Of another version, it is somebody else's by now.
            if error.status != MISSING and not (version and error.status == CONFLICT):
                raise


def _ids(pieces: Pieces) -> Iterator[str]:
    return (piece for ids in pieces.values() for piece in ids)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _lacking(where: str, lacking: list[str]) -> Message:
    return Message.error(
        "store-not-permitted",
        where=where,
        what=f"the user of this connection may not {', '.join(lacking)} in the namespace of the CA store",
        fix="make the namespace if there is none, and bind role crossmesh-ca-store of docs/permissions.md to this user "
        "in it",
    )


def _too_large(title: str, where: str, size: int) -> Message:
    return Message.error(
        "store-too-large",
        where=where,
        what=f"{title} would have {size} bytes, and the most that is written into one is {layout.LARGEST}",
        fix="run playbook rotate_certificates with -e mesh_rotate_force=true, which signs what waits in the audit "
        "journal; if that is not it, destroy keys of retired roots (custom_ca_keep_retired_keys: false), and spread "
        "the links of a cluster that has thousands over several instances (mesh_instance)",
    )
