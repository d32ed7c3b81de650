# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA store kept in a folder. Nothing else in the collection touches that folder; C(layout) says what lies where.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import (
    read_private,
    refuse_open,
    refuse_unwritable,
    reported,
    sync_folder,
    write_whole,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import (
    Head,
    Index,
    index_from_json,
    index_to_json,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Segment
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.layout import INDEX, Layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import (
    Ledger,
    digest_of,
    document,
    ledger_from_text,
    ledger_to_text,
    record_from_text,
    record_to_text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.lock import PATIENCE, locked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_from_json
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
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView

__all__ = ["FileStorage"]


class FileStorage(Storage):
    """One folder on the controller, opened by its path in every call.

    :param patience: seconds that a writer waits for another one.
    :param fleeting: a folder above it that is deleted when this run ends; empty where there is none.
    """

    restore = "restore the folder from a backup, or point custom_ca_dir at the right one"

    def __init__(self, path: str | Path, patience: float = PATIENCE, *, fleeting: str = "") -> None:
        self._at = Layout(Path(path))
        self._patience = patience
        self._fleeting = fleeting
        self.where = str(self._at.path)

    def snapshot(self, *, records: bool = False) -> Snapshot | None:
        with reported(self._at.path, "read"):
            if not self._at.path.exists():
                return None
            self._at.refuse_exposed()
            while self._has_index():
                # Removed by another run between the two looks.
                with suppress(FileNotFoundError):
                    return self._read(records)
                if self._has_index():
                    raise self.damaged("a file that its index names is missing")
            return None

    def commit(self, change: Change, seen: str | None) -> Snapshot:
        self._refuse_fleeting()
        with reported(self._at.path, "written"), self._locked():
            current = self._version()
            if current is not None:
                # Nobody makes or removes it now. Beside a mark, roots whose index is lost would pass for leftovers.
                self._at.unfinished.unlink(missing_ok=True)
            if current != seen:
                raise OvertakenError
            if current is None:
                write_whole(self._at.unfinished, "")
                # Of a removal that was stopped.
                self._at.moved.unlink(missing_ok=True)
                self._drop_all_but((), {})
                self._drop_journal_but(Head())
            self._write(change)
            self._drop_all_but(change.index.roots, change.index.lists)
            if change.ledger is not None:
                self._drop_records_but(change.ledger, change.index.issued)
            self._drop_journal_but(change.index.journal)
            self._drop_observed_but(change.index.observed)
            self._at.unfinished.unlink(missing_ok=True)
            return self._read()

    def key(self, fingerprint: str) -> StoredKey:
        path = self._at.key(fingerprint)
        with reported(self._at.path, "read"):
            refuse_open(path)
            return StoredKey(read_private(path).decode(), name=path.name, where=str(path))

    def note(self, unsigned: bytes, seen: str) -> None:
        with reported(self._at.path, "written"), self._locked():
            if self._version() != seen:
                raise OvertakenError
            self._at.make(self._at.journal)
            head = self._index(self._index_bytes()).journal
            write_whole(self._at.unsigned_entries(head), unsigned.decode())

    def last_segment(self, snapshot: Snapshot) -> bytes:
        with reported(self._at.path, "read"):
            found = _if_there(self._at.last_segment(snapshot.index.journal))
            if not found and self._version() != snapshot.version:
                raise OvertakenError
            return found

    def segments(self, snapshot: Snapshot) -> Iterator[bytes]:
        with reported(self._at.path, "read"):
            yield from map(read_private, self._at.closed_segments(snapshot.index.journal))

    def kept(self, snapshot: Snapshot) -> Kept:
        with reported(self._at.path, "read"):
            found = sorted(snapshot.index.roots)
            certificates = tuple(self._root(root) for root in found if self._at.certificate(root).exists())
            keys = {root: read_private(self._at.key(root)).decode() for root in found if self._at.key(root).exists()}
            if self._version() != snapshot.version:
                raise OvertakenError
            return Kept(certificates, keys)

    def leave(self, place: str, seen: str) -> None:
        with reported(self._at.path, "written"), self._locked():
            if self._version() != seen:
                raise OvertakenError
            if place:
                write_whole(self._at.moved, place)
            else:
                self._at.moved.unlink(missing_ok=True)
                sync_folder(self._at.path)

    def occupied(self) -> bool:
        with reported(self._at.path, "read"):
            return any(path != self._at.lock for path in self._at.own_files())

    def destroy(self) -> bool:
        if not self.occupied():
            return False
        with reported(self._at.path, "removed"):
            with self._locked():
                write_whole(self._at.unfinished, "")
                for path in self._at.to_remove():
                    path.unlink(missing_ok=True)
            for folder in (*self._at.folders, self._at.path):
                with suppress(OSError):
                    folder.rmdir()
            return True

    def refuse_unwritable(self) -> None:
        with reported(self._at.path, "read"):
            self._refuse_fleeting()
            refuse_unwritable(self._at.path)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, records: bool = False) -> Snapshot:
        """Read what the index names, again where another run has replaced it meanwhile."""
        while True:
            data = self._index_bytes()
            try:
                return self._read_named(data, records)
            except (CrossmeshError, FileNotFoundError):
                if self._index_bytes() == data:
                    raise

    def _read_named(self, data: bytes, records: bool) -> Snapshot:
        index = self._index(data)
        if not index.generation:
            index = replace(index, clusters=self._unsigned_clusters())
        unsigned, moved = self._unsigned(index), self._moved()
        roots = {fingerprint: self._root(fingerprint) for fingerprint in index.trusted}
        endorsers = {endorsement.by for endorsement in index.endorsements.values()} - set(roots)
        for fingerprint in index.needed_keys:
            refuse_open(self._present(self._at.key(fingerprint)))
        return Snapshot(
            where=self.where,
            version=digest_of(data + unsigned + moved.encode()),
            index=index,
            roots=roots,
            lists={root: self._crl(roots[root], number) for root, number in index.lists.items()},
            endorsers={fingerprint: self._root(fingerprint) for fingerprint in sorted(endorsers)},
            records=self._records(index) if records else (),
            unsigned=unsigned,
            moved=moved,
            observed=self._observed(index) if records and index.observed else b"",
        )

    def _index(self, data: bytes) -> Index:
        content = self._json_object(self._at.index, data)
        return index_from_json(content, name=INDEX, where=self.where, damaged=self.damaged)

    def _unsigned(self, index: Index) -> bytes:
        return _if_there(self._at.unsigned_entries(index.journal))

    def _version(self) -> str | None:
        """Of what stands now; None where there is no CA."""
        if not self._has_index():
            return None
        data = self._index_bytes()
        return digest_of(data + self._unsigned(self._index(data)) + self._moved().encode())

    def _moved(self) -> str:
        return _if_there(self._at.moved).decode()

    def _root(self, fingerprint: str) -> CertificateView:
        path = self._present(self._at.certificate(fingerprint))
        return root_from_pem(read_private(path), fingerprint, where=str(path), damaged=self.damaged)

    def _crl(self, root: CertificateView, number: int) -> Crl:
        path = self._present(self._at.crl(root.fingerprint, number))
        return list_from_pem(read_private(path), root, where=str(path), damaged=self.damaged)

    def _records(self, index: Index) -> tuple[Record, ...]:
        if not index.generation:
            return tuple(map(self._unnamed_record, sorted(self._at.issued.glob("*.json"))))
        if not index.issued:
            return ()
        path = self._present(self._at.ledger(index.issued))
        ledger = ledger_from_text(read_private(path), index.issued, where=str(path), damaged=self.damaged)
        return tuple(self._record(serial, digest) for serial, digest in ledger.items())

    def _observed(self, index: Index) -> bytes:
        path = self._present(self._at.observed(index.observed))
        data = read_private(path)
        if digest_of(data) != index.observed:
            raise self.damaged(f"{path} is not what its index names")
        return data

    def _record(self, serial: str, digest: str) -> Record:
        path = self._present(self._at.record(serial))
        return record_from_text(read_private(path), digest, where=str(path))

    def _unnamed_record(self, path: Path) -> Record:
        return record_from_json(self._json_object(path, read_private(path)), where=str(path))

    def _unsigned_clusters(self) -> dict[str, str]:
        return {path.stem: self._uid(path) for path in sorted(self._at.cluster_files())}

    def _uid(self, path: Path) -> str:
        uid = self._json_object(path, read_private(path)).get("uid")
        if not isinstance(uid, str):
            raise self.damaged(f"{path} does not name the cluster's uid")
        return uid

    def _has_index(self) -> bool:
        """Tell whether there is an authority; roots or a journal without an index are no authority but a loss."""
        if self._at.index.exists():
            return True
        left = "roots" if any(self._at.root_files()) else "an audit journal" if any(self._at.journal_files()) else ""
        orphaned = bool(left) and not self._at.unfinished.exists()
        # Looked at again: a creation may have ended in between.
        if orphaned and not self._at.index.exists():
            raise self.damaged(f"it holds {left}, but {INDEX} is missing")
        return orphaned

    def _index_bytes(self) -> bytes:
        refuse_open(self._at.index)
        return read_private(self._at.index)

    def _json_object(self, path: Path, data: bytes) -> dict[str, Any]:
        try:
            content = parse_json(data)
        except ValueError as error:
            raise self.damaged(f"{path} is not JSON") from error
        if not isinstance(content, dict):
            raise self.damaged(f"{path} holds no JSON object")
        return content

    def _present(self, path: Path) -> Path:
        if not os.path.lexists(path):
            raise self.damaged(f"{path} is missing")
        return path

    # -- writing -------------------------------------------------------------------------------------------------------

    def _write(self, change: Change) -> None:
        for root in change.roots:
            write_whole(self._at.certificate(root.fingerprint), root.pem)
        for fingerprint, pem in change.keys.items():
            write_whole(self._at.key(fingerprint), pem)
        if change.lists:
            self._at.make(self._at.lists)
        for fingerprint, crl in change.lists.items():
            write_whole(self._at.crl(fingerprint, crl.number), crl.pem)
        if change.ledger is not None:
            self._write_records(change.records, change.ledger, change.index.issued)
        if change.observed is not None:
            self._at.make(self._at.seen)
            write_whole(self._at.observed(change.index.observed), change.observed)
        for segment in change.journal:
            self._write_segment(segment, change.index.journal)
        for fingerprint in change.destroyed:
            self._at.key(fingerprint).unlink(missing_ok=True)
        if change.destroyed:
            sync_folder(self._at.roots)
        write_whole(self._at.index, document(index_to_json(change.index)))

    def _write_records(self, records: Collection[Record], ledger: Ledger, digest: str) -> None:
        self._at.make(self._at.issued)
        for record in records:
            write_whole(self._at.record(record.serial), record_to_text(record), durable=False)
        # Its folder is synced with it.
        write_whole(self._at.ledger(digest), ledger_to_text(ledger))

    def _write_segment(self, segment: Segment, head: Head) -> None:
        self._at.make(self._at.journal)
        path = self._at.closed_segment(segment.first) if segment.closed else self._at.last_segment(head)
        write_whole(path, segment.lines)

    def _drop_journal_but(self, head: Head) -> None:
        """Remove last segments that were continued, and what an interrupted step left."""
        kept = {self._at.last_segment(head), self._at.unsigned_entries(head), *self._at.closed_segments(head)}
        for path in self._at.journal_files():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _drop_observed_but(self, digest: str) -> None:
        for path in self._at.observed_files():
            if path != self._at.observed(digest):
                path.unlink(missing_ok=True)

    def _drop_records_but(self, ledger: Ledger, digest: str) -> None:
        kept = {self._at.ledger(digest), *map(self._at.record, ledger)}
        for path in self._at.record_files():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _drop_all_but(self, roots: Collection[str], lists: Mapping[str, int]) -> None:
        """Remove what no index names: lists that were replaced, roots that an interrupted step made."""
        kept = {self._at.crl(fingerprint, number) for fingerprint, number in lists.items()}
        for path in [*self._at.lists.glob("*.crl"), *self._at.root_files()]:
            if path not in kept and path.stem not in roots:
                path.unlink(missing_ok=True)
        for path in self._at.cluster_files():
            path.unlink(missing_ok=True)
        for left in self._at.temporary_files():
            left.unlink(missing_ok=True)

    def _refuse_fleeting(self) -> None:
        """Stop before a CA is made that nobody has any more when the links of this run need it again."""
        if self._fleeting and not self._at.index.exists():
            raise CrossmeshError(_fleeting(self.where, self._fleeting))

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other writers out."""
        return locked(self._at.lock, lambda: self._at.make(self._at.roots), patience=self._patience)


def _if_there(path: Path) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError:
        return b""


def _fleeting(where: str, job: str) -> Message:
    return Message.error(
        "fleeting-store",
        where=where,
        what=f"no CA is made here: the folder is in {job}, the private data directory of an ansible-runner job, which "
        "AWX deletes with the job",
        fix="set custom_ca_store: kubernetes, which keeps the CA in Secrets of a cluster, or set custom_ca_dir to a "
        "folder that outlasts the job, such as a volume",
    )
