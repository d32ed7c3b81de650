# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""L: somebody can write to the place of the CA store, and wants a gate to count what no run has seen.

A gate that opens too early lets a root issue that a cluster does not trust: its connections are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import digest_of, document
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from tests.unit.ca.support import file_store, folder, index_of
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, make_root
from tests.unit.support import refused

CLUSTER = "cluster-b"


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    """In it a cluster was seen to be ready, and a later run has found that it is not."""
    made, root = file_store(tmp_path / "ca"), make_root()
    made.create(PASSPHRASE, root.key, root.view.pem)
    observe(made, CLUSTER)
    kept = observations_file(made)
    (tmp_path / "kept.json").write_bytes(kept.read_bytes())
    observe(made, CLUSTER, seen=False)
    observe(made, "cluster-a")
    return made


def observe(store: CaStore, cluster: str, *, seen: bool = True) -> None:
    authority = store.public()
    assert authority is not None
    trust = (frozenset(root.fingerprint for root in authority.trusted),)
    server = Sight(cluster, "server", "trust", "exec", trust, frozenset(), state=authority.state)
    sights = [server, replace(server, side="client")] if seen else []
    store.observe(PASSPHRASE, [cluster], sights, now=NOW)


def observations_file(store: CaStore) -> Path:
    (found,) = (folder(store) / "observed").glob("*.json")
    return found


def counted(store: CaStore) -> set[str]:
    """The clusters that a gate counts."""
    authority = store.public()
    assert authority is not None
    return set(store.observations(authority))


def made_up(store: CaStore, kept: bytes) -> bytes:
    """What is there, with the cluster in it that is not."""
    content, other = (json.loads(data) for data in (observations_file(store).read_bytes(), kept))
    content["clusters"][CLUSTER] = other["clusters"][CLUSTER]
    return document(content).encode()


def rejuvenated(store: CaStore, _kept: bytes) -> bytes:
    """The same, seen a day later."""
    content = json.loads(observations_file(store).read_bytes())
    content["clusters"]["cluster-a"]["at"] = (NOW + DAY).isoformat()
    return document(content).encode()


FORGED: dict[str, Callable[[CaStore, bytes], bytes]] = {
    "made up": made_up,
    "of an earlier time": lambda _store, kept: kept,
    "made younger": rejuvenated,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_an_observation_that_no_key_has_signed_opens_no_gate(
    store: CaStore, tmp_path: Path, forged: Callable[[CaStore, bytes], bytes]
) -> None:
    assert counted(store) == {"cluster-a"}
    data, path = forged(store, (tmp_path / "kept.json").read_bytes()), observations_file(store)
    signed = path.read_bytes()
    path.write_bytes(data)
    with refused("store-damaged"):
        counted(store)
    # Named by an index of his, it is no better.
    path.with_name(f"{digest_of(data)}.json").write_bytes(data)
    path.with_name(f"{digest_of(data)}.json").chmod(0o600)
    index = folder(store) / "authority.json"
    before = index.read_bytes()
    moved = replace(index_of(store), observed=digest_of(data))
    index.write_text(document(index_to_json(moved)), encoding="utf-8")
    with refused("store-unvouched"):
        counted(store)
    # The control: what the key has signed is read.
    index.write_bytes(before)
    path.write_bytes(signed)
    assert counted(store) == {"cluster-a"}


def test_observations_that_were_taken_away_stop_the_run(store: CaStore) -> None:
    observations_file(store).unlink()
    assert FileStorage(folder(store)).snapshot() is not None
    with refused("store-damaged"):
        counted(store)
