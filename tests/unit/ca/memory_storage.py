# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest storage that holds to the contract: all that a CA store needs is in the interface, and no file is."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import (
    digest_of,
    ledger_from_text,
    ledger_to_text,
    record_from_text,
    record_to_text,
)
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


class MemoryStorage(Storage):
    where = "memory"
    restore = "make it anew"

    def __init__(self) -> None:
        self._index = ""
        self._roots: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._lists: dict[str, str] = {}
        self._ledger = ""
        self._records: dict[str, str] = {}
        self._closed: dict[int, str] = {}
        self._segment = ""
        self._unsigned = ""
        self._moved = ""
        self._observed = ""

    def snapshot(self, *, records: bool = False) -> Snapshot | None:
        if not self._index:
            return None
        index = index_from_json(json.loads(self._index), name="index", where=self.where, damaged=self.damaged)
        if not index.needed_keys <= set(self._keys):
            raise self.damaged("a key is missing")
        endorsers = {endorsement.by for endorsement in index.endorsements.values()} - set(index.trusted)
        roots, endorsers_read = (
            {root: root_from_pem(self._roots[root], root, where=self.where, damaged=self.damaged) for root in named}
            for named in (index.trusted, sorted(endorsers))
        )
        lists = {
            root: list_from_pem(self._lists[root], roots[root], where=self.where, damaged=self.damaged)
            for root in index.lists
        }
        kept = {}
        if records and index.issued:
            ledger = self._ledger.encode()
            kept = dict(ledger_from_text(ledger, index.issued, where=self.where, damaged=self.damaged))
        found = (record_from_text(self._records[serial].encode(), kept[serial], where=serial) for serial in kept)
        version = digest_of(self._index + self._unsigned + self._moved)
        unsigned = self._unsigned.encode()
        observed = self._observed.encode() if records and index.observed else b""
        if observed and digest_of(observed) != index.observed:
            raise self.damaged("the observations are others")
        return Snapshot(
            self.where, version, index, roots, lists, endorsers_read, tuple(found), unsigned, self._moved, observed
        )

    def commit(self, change: Change, seen: str | None) -> Snapshot:
        current = self.snapshot()
        if (current.version if current else None) != seen:
            raise OvertakenError
        self._roots |= {root.fingerprint: root.pem for root in change.roots}
        self._keys |= change.keys
        self._lists |= {root: crl.pem for root, crl in change.lists.items()}
        for fingerprint in change.destroyed:
            self._keys.pop(fingerprint, None)
        if change.ledger is not None:
            self._records |= {record.serial: record_to_text(record) for record in change.records}
            self._records = {serial: self._records[serial] for serial in change.ledger}
            self._ledger = ledger_to_text(change.ledger)
        self._observed = self._observed if change.observed is None else change.observed
        if change.journal:
            *closed, last = change.journal
            self._closed |= {segment.first: segment.lines for segment in closed}
            self._segment, self._unsigned = last.lines, ""
        self._index = json.dumps(index_to_json(change.index), sort_keys=True)
        found = self.snapshot()
        assert found is not None
        return found

    def key(self, fingerprint: str) -> StoredKey:
        if fingerprint not in self._keys:
            raise self.damaged(f"key {fingerprint} is missing")
        return StoredKey(self._keys[fingerprint], fingerprint, f"key {fingerprint} in {self.where}")

    def note(self, unsigned: bytes, seen: str) -> None:
        current = self.snapshot()
        if current is None or current.version != seen:
            raise OvertakenError
        self._unsigned = unsigned.decode()

    def last_segment(self, snapshot: Snapshot) -> bytes:
        return self._segment.encode()

    def segments(self, snapshot: Snapshot) -> Iterator[bytes]:
        return (self._closed[first].encode() for first in sorted(self._closed))

    def kept(self, snapshot: Snapshot) -> Kept:
        current = self.snapshot()
        if current is None or current.version != snapshot.version:
            raise OvertakenError
        found = sorted(snapshot.index.roots & set(self._roots))
        read = (root_from_pem(self._roots[root], root, where=self.where, damaged=self.damaged) for root in found)
        return Kept(tuple(read), {root: self._keys[root] for root in sorted(snapshot.index.roots & set(self._keys))})

    def leave(self, place: str, seen: str) -> None:
        current = self.snapshot()
        if current is None or current.version != seen:
            raise OvertakenError
        self._moved = place

    def occupied(self) -> bool:
        return bool(self._index or self._records)

    def destroy(self) -> bool:
        occupied, self._index = self.occupied(), ""
        self._segment = self._unsigned = self._moved = self._observed = ""
        for kept in (self._roots, self._keys, self._lists, self._records, self._closed):
            kept.clear()
        return occupied

    def refuse_unwritable(self) -> None:
        """Memory can always be written."""
