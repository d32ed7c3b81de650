# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies where in the folder of a CA store.

::

    authority.json        which root issues, which are trusted, which lists and records count, signed by the root that
                          issues; written last: what it names is whole
    roots/<fingerprint>.crt and .key (encrypted)
    lists/<fingerprint>.<number>.crl
    issued/<serial>.json  one public record for every certificate that has not expired
    issued/<sha256>.ledger    which of them count, and the SHA-256 of each
    observed/<sha256>.json    what runs have seen of clusters
    journal/<entry>.jsonl     a closed segment of the audit journal, by the number of its first entry
    journal/<entry>-<sha256>.jsonl    the last one, with the hash of its last entry, as the index names it
    journal/after-<sha256>.jsonl      entries that follow on that one, and are not signed yet
    lock                  held for one call by whoever writes
    clusters/<name>.json  of earlier releases: the uid of the cluster that got certificates under a name
    moved                 where the CA is kept in its place; no run goes on with it here
    unfinished            the authority is being made or removed: no root that the index does not name was ever used

PRIVATE to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import (
    TEMPORARY,
    refuse_exposed,
    refuse_linked,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Head

__all__ = ["INDEX", "Layout"]

INDEX = "authority.json"
_LOCK, _UNFINISHED, _MOVED = "lock", "unfinished", "moved"
_ROOTS, _ISSUED, _LISTS, _CLUSTERS, _JOURNAL = "roots", "issued", "lists", "clusters", "journal"
_OBSERVED = "observed"
_DIGITS = 12
# What may be removed: the store's own names, and temporary files that an interrupted write left.
_OWN_FILES = re.compile(
    rf"({re.escape(INDEX)}|{_LOCK}|{_UNFINISHED}|{_MOVED}|{_ROOTS}/[0-9a-f]{{64}}\.(crt|key)|{_ISSUED}/[0-9a-f]+\.(json|ledger)"
    rf"|{_LISTS}/[0-9a-f]{{64}}\.[0-9]+\.crl|{_CLUSTERS}/[a-z0-9-]+\.json"
    rf"|{_OBSERVED}/[0-9a-f]{{64}}\.json"
    rf"|{_JOURNAL}/([0-9]{{{_DIGITS}}}(-[0-9a-f]{{64}})?|after-[0-9a-f]{{64}})\.jsonl)"
)
_TEMPORARY = re.compile(r"(.*/)?\.crossmesh-[0-9a-f]{16}\.tmp")


class Layout:
    """Names below one path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = path / INDEX
        self.lock = path / _LOCK
        self.unfinished = path / _UNFINISHED
        self.moved = path / _MOVED
        self.roots = path / _ROOTS
        self.issued = path / _ISSUED
        self.lists = path / _LISTS
        self.clusters = path / _CLUSTERS
        self.journal = path / _JOURNAL
        self.seen = path / _OBSERVED
        self.folders = (self.roots, self.lists, self.issued, self.clusters, self.journal, self.seen)

    def certificate(self, fingerprint: str) -> Path:
        return self.roots / f"{fingerprint}.crt"

    def key(self, fingerprint: str) -> Path:
        return self.roots / f"{fingerprint}.key"

    def crl(self, fingerprint: str, number: int) -> Path:
        return self.lists / f"{fingerprint}.{number}.crl"

    def record(self, serial: str) -> Path:
        return self.issued / f"{serial}.json"

    def ledger(self, digest: str) -> Path:
        return self.issued / f"{digest}.ledger"

    def observed(self, digest: str) -> Path:
        return self.seen / f"{digest}.json"

    def closed_segment(self, first: int) -> Path:
        return self.journal / f"{first:0{_DIGITS}}.jsonl"

    def last_segment(self, head: Head) -> Path:
        return self.journal / f"{head.segment:0{_DIGITS}}-{head.digest}.jsonl"

    def unsigned_entries(self, head: Head) -> Path:
        return self.journal / f"after-{head.digest}.jsonl"

    def closed_segments(self, head: Head) -> list[Path]:
        """Those before the last one, in their order."""
        found = self.journal.glob(f"{'[0-9]' * _DIGITS}.jsonl")
        return sorted(path for path in found if path < self.closed_segment(head.segment))

    def journal_files(self) -> Iterator[Path]:
        """Segments and entries that are not signed yet, whether the index names them or not."""
        return self.journal.glob("*.jsonl")

    def record_files(self) -> Iterator[Path]:
        """Records and ledgers, whether the index names them or not."""
        return (path for path in self.issued.glob("*") if path.suffix in (".json", ".ledger"))

    def observed_files(self) -> Iterator[Path]:
        """What runs have seen, whether the index names it or not."""
        return self.seen.glob("*.json")

    def cluster_files(self) -> Iterator[Path]:
        """What an earlier release kept of clusters; the index has it since."""
        return self.clusters.glob("*.json")

    def root_files(self) -> Iterator[Path]:
        """Certificates and keys, whether the index names them or not."""
        return (path for path in self.roots.glob("*") if path.suffix in (".crt", ".key"))

    def temporary_files(self) -> Iterator[Path]:
        """What a killed writer left."""
        return (path for folder in (self.path, *self.folders) for path in folder.glob(TEMPORARY))

    def own_files(self) -> Iterator[Path]:
        """All files that are the store's, whole or damaged."""
        for path in self.path.glob("**/*"):
            name = path.relative_to(self.path).as_posix()
            if _OWN_FILES.fullmatch(name) or _TEMPORARY.fullmatch(name):
                yield path

    def to_remove(self) -> list[Path]:
        """The same: first what names the roots, last what says that the removal is under way."""
        first_to_last = {self.index: 0, self.lock: 2, self.unfinished: 3}
        return sorted(self.own_files(), key=lambda path: (first_to_last.get(path, 1), str(path)))

    def refuse_exposed(self) -> None:
        """Stop where others could read or write the store, or where its folders are not its own."""
        refuse_exposed(self.path)
        for folder in self.folders:
            refuse_linked(folder)

    def make(self, folder: Path) -> None:
        """Make one of the folders, and the store's own where it is missing."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        self.refuse_exposed()
        folder.mkdir(mode=0o700, exist_ok=True)
