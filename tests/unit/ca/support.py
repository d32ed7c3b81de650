# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CA stores for tests that open one often and are not about its encryption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index, index_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.trial import Uses
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import witness_to_text
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.unit.pki.support import DAY, NOW, PASSPHRASE

# What a root that is brought in has to be good for.
USES = Uses(
    {
        "server": ("mysql.server.example.com", "bank.example.com"),
        "client": ("cluster-a.cluster.crossmesh.internal", "mysql.link.crossmesh.internal"),
    },
    90 * DAY,
)


def quick(storage: Storage, kind: type[CaStore] = CaStore) -> CaStore:
    """A store whose keys take few rounds of derivation."""
    return kind(storage, iterations=1000)


def file_store(path: str | Path, kind: type[CaStore] = CaStore) -> CaStore:
    return quick(FileStorage(path), kind)


def folder(store: CaStore) -> Path:
    """Where a file store has its files."""
    return Path(store.where)


def journal_of(store: CaStore) -> list[dict[str, Any]]:
    """All entries of a store's journal, those that are not signed yet last."""
    storage = store._storage
    snapshot = storage.snapshot()
    if snapshot is None:
        return []
    kept = [*storage.segments(snapshot), storage.last_segment(snapshot), snapshot.unsigned]
    return [json.loads(line) for line in b"".join(kept).splitlines()]


def index_of(store: CaStore) -> Index:
    """The index of a file store, believed or not."""
    content = json.loads((folder(store) / "authority.json").read_text(encoding="utf-8"))
    return index_from_json(content, name="index", where="", damaged=lambda why: pytest.fail(why))


def witness(store: CaStore) -> str:
    """What a run leaves of the store in a cluster."""
    authority = store.public()
    assert authority is not None
    assert authority.witness is not None
    return witness_to_text(authority.witness)


def as_earlier_release(store: CaStore, clusters: Mapping[str, str] | None = None) -> None:
    """Lay a store out as the releases did whose index no key signed.

    :param clusters: uids, by the names under which certificates were issued; None for those that it has.
    """
    index = folder(store) / "authority.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    kept = ("issuing", "trusted", "prepared", "retiring", "retired", "keyless", "lists", "last_number")
    then = {"version": 1, **{key: content[key] for key in kept}}
    index.write_text(json.dumps(then, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for path in folder(store).glob("issued/*.ledger"):
        path.unlink()
    shutil.rmtree(folder(store) / "journal")
    for name, uid in (clusters or content.get("clusters", {})).items():
        path = folder(store) / "clusters" / f"{name}.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"uid": uid}), encoding="utf-8")


def record(leaf: Leaf) -> Record:
    """What a store keeps of a certificate."""
    return record_of(
        leaf.view,
        issuer=leaf.view,
        instance="default",
        cluster="cluster-b",
        side="server",
        links=["mysql"],
        secret="istio-system/mysql-credential",
        now=NOW,
    )


def keep(store: CaStore, records: Collection[Record], now: datetime = NOW) -> None:
    """Record certificates as a run does that has issued them."""
    assert store.record(records, store.signer(PASSPHRASE), now)
