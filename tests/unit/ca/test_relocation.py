# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA that moves between a folder and Secrets: whole, once, and not behind anybody's back."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author, Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.relocation import relocate
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot, Storage
from tests.unit.ca.fake_cluster import FakeCluster, nothing
from tests.unit.ca.secret_stores import all_of, publish
from tests.unit.ca.support import quick, record
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused

KIM = Author("job 4711", "kim")


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return FileStorage(tmp_path / "ca")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def secrets(cluster: FakeCluster) -> Storage:
    return cluster.storage()


@pytest.fixture(autouse=True)
def lived(folder: Storage, root: Root) -> None:
    """A CA in the folder, in the middle of a rotation."""
    store = quick(folder)
    store.create(PASSPHRASE, root.key, root.view.pem)
    store.record([record(make_leaf(root))], root.key, NOW, home=("cluster-b", "uid"))
    publish(store, "a1")
    other = make_root()
    found = store.public()
    assert found is not None
    store.prepare(PASSPHRASE, other.key, other.view.pem, seen=found.state, now=NOW)
    store.note(Event("refused", {"code": "x"}))


def move(source: Storage, target: Storage, *, check: bool = False) -> bool:
    return relocate(source, target, "default", author=KIM, check_mode=check).changed


def test_it_is_the_same_there_and_no_run_goes_on_here(folder: Storage, secrets: Storage) -> None:
    before, then = all_of(quick(folder)), snapshot_of(folder)
    assert move(folder, secrets)
    assert all_of(quick(secrets)) == before
    # Signed as it was: what clusters have seen of it is of this store.
    found = snapshot_of(secrets)
    assert found.index == then.index
    assert then.unsigned
    assert found.unsigned.startswith(then.unsigned)
    with refused("store-moved"):
        quick(folder).public()
    assert not move(folder, secrets)


def test_it_goes_on_there_and_comes_back(folder: Storage, secrets: Storage, root: Root) -> None:
    move(folder, secrets)
    store = quick(secrets)
    assert store.record([record(make_leaf(root))], root.key, NOW)
    there = all_of(store)
    assert move(secrets, folder)
    assert all_of(quick(folder)) == there
    with refused("store-moved"):
        store.public()
    assert move(folder, secrets)
    assert all_of(store) == there


def test_the_journal_tells_of_it_and_the_key_signs_that_in_the_new_place(
    folder: Storage, secrets: Storage, root: Root
) -> None:
    move(folder, secrets)
    assert moves(secrets) == [("closed", "kim", "job 4711", folder.where, secrets.place)]
    store = quick(secrets)
    unsigned = store.check_journal().unsigned
    assert store.record([record(make_leaf(root))], root.key, NOW)
    assert unsigned == 2
    assert store.check_journal().unsigned == 0
    move(secrets, folder)
    assert [(before, after) for *_author, before, after in moves(folder)] == [
        (folder.where, secrets.place),
        (secrets.place, folder.where),
    ]


def moves(storage: Storage) -> list[tuple[str, ...]]:
    found = snapshot_of(storage)
    lines = b"".join([*storage.segments(found), storage.last_segment(found), found.unsigned]).splitlines()
    entries = (entry for entry in map(json.loads, lines) if entry["kind"] == "moved")
    return [tuple(entry[key] for key in ("key", "operator", "run", "from", "to")) for entry in entries]


def test_one_that_is_taken_back_is_told_as_well(folder: Storage, secrets: Storage, cluster: FakeCluster) -> None:
    cluster.before = stopping(1)
    with pytest.raises(KeyboardInterrupt):
        move(folder, secrets)
    cluster.before = lambda _verb, _path: None
    assert move(secrets, folder)
    assert [(before, after) for *_author, before, after in moves(folder)] == [
        (folder.where, secrets.place),
        (secrets.place, folder.where),
    ]


def test_check_mode_says_so_and_writes_nothing(folder: Storage, secrets: Storage, cluster: FakeCluster) -> None:
    assert move(folder, secrets, check=True)
    assert cluster.objects == {}
    assert quick(folder).public()


def test_what_another_run_does_meanwhile_comes_along(
    folder: Storage, secrets: Storage, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, turns = folder.leave, iter([make_leaf(root)])

    def late(place: str, seen: str) -> None:
        for leaf in turns:
            quick(folder).record([record(leaf)], root.key, NOW)
        leave(place, seen)

    monkeypatch.setattr(folder, "leave", late)
    assert move(folder, secrets)
    assert len(quick(secrets).records(NOW)) == 2


def test_a_copy_that_lacks_a_key_is_refused(folder: Storage, secrets: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = secrets.kept
    monkeypatch.setattr(secrets, "kept", lambda snapshot: replace(whole(snapshot), keys={}))
    with refused("store-copy-differs"):
        move(folder, secrets)


def stopping(at: int) -> Callable[[str, str], None]:
    left = iter(range(at))

    def stop(verb: str, _path: str) -> None:
        if verb != "get" and next(left, None) is None:
            raise KeyboardInterrupt

    return stop


def test_one_that_was_stopped_is_completed_or_taken_back(folder: Storage, root: Root, tmp_path: Path) -> None:
    before, stops = all_of(quick(folder)), 0
    for at in range(1, 30):
        cluster = FakeCluster(before=stopping(at))
        try:
            move(folder, cluster.storage())
        except KeyboardInterrupt:
            stops += 1
        else:
            break
        cluster.before = lambda _verb, _path: None
        cluster.objects = {path: item for path, item in cluster.objects.items() if item["kind"] != "Lease"}
        there = cluster.storage()
        if there.snapshot() is None:
            # Back, and then once more all the way.
            marked = bool(snapshot_of(folder).moved)
            assert move(there, folder) == marked
            assert all_of(quick(folder)) == before
        move(folder, there)
        assert all_of(quick(there)) == before
        assert snapshot_of(there).unsigned == snapshot_of(folder).unsigned
        assert move(there, folder)
    assert stops > 5


def snapshot_of(storage: Storage, *, records: bool = False) -> Snapshot:
    found = storage.snapshot(records=records)
    assert found is not None
    return found


@pytest.mark.parametrize("issued", [0, 1])
@pytest.mark.parametrize("back", [True, False], ids=["completed", "taken back"])
def test_a_way_back_that_was_stopped_before_the_older_copy_went(
    folder: Storage, secrets: Storage, root: Root, monkeypatch: pytest.MonkeyPatch, issued: int, back: bool
) -> None:
    """Each place names the other one then, and neither way out loses what came last."""
    move(folder, secrets)
    for _ in range(issued):
        quick(secrets).record([record(make_leaf(root))], root.key, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "destroy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            move(secrets, folder)
    assert (snapshot_of(folder).moved, snapshot_of(secrets).moved) == (secrets.place, folder.place)
    ways = [(folder.where, secrets.place), (secrets.place, folder.where)]
    source, target = (secrets, folder) if back else (folder, secrets)
    assert move(source, target)
    assert not move(source, target)
    assert len(quick(target).records(NOW)) == 1 + issued
    told = [(before, after) for *_author, before, after in moves(target)]
    assert told == (ways if back else [*ways, (folder.where, secrets.place)])


def interrupt() -> None:
    raise KeyboardInterrupt


def test_two_cas_are_not_made_one(folder: Storage, secrets: Storage) -> None:
    other = make_root()
    quick(secrets).create(PASSPHRASE, other.key, other.view.pem)
    for source, target in ((folder, secrets), (secrets, folder)):
        with refused("store-occupied"):
            move(source, target)
    assert quick(folder).public()


def test_a_mark_leads_to_the_place_that_it_names_alone(folder: Storage, secrets: Storage) -> None:
    move(folder, secrets)
    third = FakeCluster(address="https://another.example.com:6443").storage()
    for source, target in ((folder, third), (third, folder)):
        with refused("store-moved"):
            move(source, target)


def test_a_move_that_was_stopped_goes_on_by_another_way_to_the_same_cluster(
    folder: Storage, cluster: FakeCluster
) -> None:
    """Each job of a platform has its kubeconfig at another path."""
    cluster.before = stopping(1)
    with pytest.raises(KeyboardInterrupt):
        move(folder, cluster.storage())
    cluster.before = nothing
    assert snapshot_of(folder).moved
    cluster.where = "the same cluster by another kubeconfig"
    assert move(folder, cluster.storage())
    assert not move(folder, cluster.storage())
    cluster.where = "and by a third"
    assert move(cluster.storage(), folder)


def test_a_ca_that_is_not_an_older_copy_is_not_removed(folder: Storage, secrets: Storage) -> None:
    folder.leave("elsewhere", snapshot_of(folder).version)
    other = make_root()
    quick(secrets).create(PASSPHRASE, other.key, other.view.pem)
    kept = snapshot_of(folder)
    for check in (True, False):
        with refused("store-occupied"):
            move(secrets, folder, check=check)
    assert (snapshot_of(folder), snapshot_of(secrets).moved) == (kept, "")


def test_a_later_copy_is_not_removed_for_an_older_one(
    folder: Storage, cluster: FakeCluster, secrets: Storage, root: Root
) -> None:
    move(folder, secrets)
    backup = copy.deepcopy(cluster.objects)
    quick(secrets).record([record(make_leaf(root))], root.key, NOW)
    assert move(secrets, folder)
    quick(folder).record([record(make_leaf(root))], root.key, NOW)
    folder.leave(secrets.place, snapshot_of(folder).version)
    cluster.objects = backup
    with refused("store-occupied"):
        move(secrets, folder)
    assert len(snapshot_of(folder, records=True).records) == 3


def test_a_journal_that_was_changed_is_not_moved(folder: Storage, secrets: Storage, tmp_path: Path) -> None:
    (journal,) = (path for path in (tmp_path / "ca").glob("journal/*") if b"created" in path.read_bytes())
    journal.write_bytes(journal.read_bytes().replace(b"created", b"cre\xffted"))
    with refused("journal-changed"):
        move(folder, secrets)
    assert not snapshot_of(folder).moved


def test_nothing_is_nowhere_and_another_instances_ca_stays(folder: Storage, secrets: Storage) -> None:
    assert not move(FakeCluster().storage(), FakeCluster().storage())
    with refused("ca-of-another-instance"):
        relocate(folder, secrets, "blue", author=KIM, check_mode=False)
    assert quick(folder).public()
