# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA store kept in a folder. Nothing else in the collection touches that folder; C(layout) says what lies where.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import (
    locked,
    refuse_open,
    refuse_unwritable,
    reported,
    sync_folder,
    write_whole,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.layout import INDEX, Layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    OvertakenError,
    Snapshot,
    Storage,
    StoredKey,
    list_from_pem,
    root_from_pem,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView

__all__ = ["FileStorage"]


class FileStorage(Storage):
    """One folder on the controller, opened by its path in every call."""

    restore = "restore the folder from a backup, or point custom_ca_dir at the right one"

    def __init__(self, path: str | Path) -> None:
        self._at = Layout(Path(path))
        self.where = str(self._at.path)

    def snapshot(self) -> Snapshot | None:
        with reported(self._at.path, "read"):
            if not self._at.path.exists():
                return None
            refuse_open(self._at.path)
            while self._has_index():
                # Removed by another run between the two looks.
                with suppress(FileNotFoundError):
                    return self._read()
                if self._has_index():
                    raise self.damaged("a file that its index names is missing")
            return None

    def commit(self, change: Change, seen: str | None) -> Snapshot:
        with reported(self._at.path, "written"), self._locked():
            current = _version(self._index_bytes()) if self._has_index() else None
            if current is not None:
                # Nobody makes or removes it now. Beside a mark, roots whose index is lost would pass for leftovers.
                self._at.unfinished.unlink(missing_ok=True)
            if current != seen:
                raise OvertakenError
            if current is None:
                write_whole(self._at.unfinished, "")
                self._drop_all_but((), {})
            self._write(change)
            self._drop_all_but(change.index.roots, change.index.lists)
            self._at.unfinished.unlink(missing_ok=True)
            return self._read()

    def key(self, fingerprint: str) -> StoredKey:
        path = self._at.key(fingerprint)
        with reported(self._at.path, "read"):
            return StoredKey(path.read_text(encoding="utf-8"), name=path.name, where=str(path))

    def keep(self, records: Iterable[Record]) -> None:
        with reported(self._at.path, "written"):
            self._at.make(self._at.issued)
            for record in records:
                write_whole(self._at.record(record.serial), _json(record.to_json()), durable=False)
            sync_folder(self._at.issued)

    def forget(self, unwanted: Callable[[Record], bool]) -> None:
        with reported(self._at.path, "written"):
            for path, record in self._records():
                if unwanted(record):
                    path.unlink(missing_ok=True)

    def records(self) -> list[Record]:
        with reported(self._at.path, "read"):
            return [record for _path, record in self._records()]

    def place(self, cluster: str) -> str:
        path = self._at.cluster(cluster)
        with reported(self._at.path, "read"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return ""
        return str(self._json_object(path, data).get("uid", ""))

    def keep_place(self, cluster: str, uid: str) -> None:
        with reported(self._at.path, "written"):
            self._at.make(self._at.clusters)
            write_whole(self._at.cluster(cluster), _json({"uid": uid}))

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
            for folder in (self._at.roots, self._at.issued, self._at.lists, self._at.clusters, self._at.path):
                with suppress(OSError):
                    folder.rmdir()
            return True

    def refuse_unwritable(self) -> None:
        with reported(self._at.path, "read"):
            refuse_unwritable(self._at.path)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self) -> Snapshot:
        """Read what the index names, again where another run has replaced it meanwhile."""
        while True:
            data = self._index_bytes()
            try:
                return self._read_named(data)
            except (CrossmeshError, FileNotFoundError):
                if self._index_bytes() == data:
                    raise

    def _read_named(self, data: bytes) -> Snapshot:
        content = self._json_object(self._at.index, data)
        index = index_from_json(content, name=INDEX, where=self.where, damaged=self.damaged)
        roots = {fingerprint: self._root(fingerprint) for fingerprint in index.trusted}
        for fingerprint in index.needed_keys:
            refuse_open(self._present(self._at.key(fingerprint)))
        lists = {root: self._crl(roots[root], number) for root, number in index.lists.items()}
        return Snapshot(self.where, _version(data), index, roots, lists)

    def _root(self, fingerprint: str) -> CertificateView:
        path = self._present(self._at.certificate(fingerprint))
        return root_from_pem(path.read_bytes(), fingerprint, where=str(path), damaged=self.damaged)

    def _crl(self, root: CertificateView, number: int) -> Crl:
        path = self._present(self._at.crl(root.fingerprint, number))
        return list_from_pem(path.read_bytes(), root, where=str(path), damaged=self.damaged)

    def _records(self) -> Iterator[tuple[Path, Record]]:
        for path in sorted(self._at.issued.glob("*.json")):
            # Another run may drop an expired record between the listing and the reading.
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            yield path, record_from_json(self._json_object(path, data), where=str(path))

    def _has_index(self) -> bool:
        """Tell whether there is an authority; roots without an index are no authority but a loss."""
        if self._at.index.exists():
            return True
        orphaned = any(self._at.root_files()) and not self._at.unfinished.exists()
        # Looked at again: a creation may have ended in between.
        if orphaned and not self._at.index.exists():
            raise self.damaged(f"it holds roots, but {INDEX} is missing")
        return orphaned

    def _index_bytes(self) -> bytes:
        return self._at.index.read_bytes()

    def _json_object(self, path: Path, data: bytes) -> dict[str, Any]:
        try:
            content = json.loads(data.decode())
        except ValueError as error:
            raise self.damaged(f"{path} is not JSON") from error
        if not isinstance(content, dict):
            raise self.damaged(f"{path} holds no JSON object")
        return content

    def _present(self, path: Path) -> Path:
        if not path.is_file():
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
        for fingerprint in change.destroyed:
            self._at.key(fingerprint).unlink(missing_ok=True)
        if change.destroyed:
            sync_folder(self._at.roots)
        write_whole(self._at.index, _json(index_to_json(change.index)))

    def _drop_all_but(self, roots: Collection[str], lists: Mapping[str, int]) -> None:
        """Remove what no index names: lists that were replaced, roots that an interrupted step made."""
        kept = {self._at.crl(fingerprint, number) for fingerprint, number in lists.items()}
        for path in [*self._at.lists.glob("*.crl"), *self._at.root_files()]:
            if path not in kept and path.stem not in roots:
                path.unlink(missing_ok=True)
        for left in self._at.temporary_files():
            left.unlink(missing_ok=True)

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other writers of the authority out."""
        return locked(self._at.lock, lambda: self._at.make(self._at.roots))


def _version(index: bytes) -> str:
    return hashlib.sha256(index).hexdigest()


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
