# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage of a CA store holds to. A new one is added to STORAGES."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    OvertakenError,
    Snapshot,
    Storage,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.transitions import with_records
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, key_signs_for
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.ca.memory_storage import MemoryStorage
from tests.unit.ca.support import keep, quick, record
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import CHECKOUT, refused

STORAGES: dict[str, Callable[[Path], Storage]] = {
    "file": lambda path: FileStorage(path / "beside the inventory" / "ca"),
    "memory": lambda _path: MemoryStorage(),
    "kubernetes": lambda _path: FakeCluster().storage(),
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return STORAGES[request.param](tmp_path)


@pytest.fixture(scope="module")
def other() -> Root:
    return make_root()


def written(*names: Any, **more: Any) -> Index:
    """As the store hands an index over: counted and signed. No storage looks at by whom."""
    return Index(*names, **{**more, "generation": 1, "signature": "somebody's"})


def first(root: Root) -> Change:
    fingerprint = root.view.fingerprint
    return Change(written(fingerprint, (fingerprint,)), roots=(root.view,), keys={fingerprint: "the first key"})


def second(root: Root, before: Snapshot, index: Index | None = None, destroyed: tuple[str, ...] = ()) -> Change:
    """Another root is added; without an index of its own it is prepared."""
    fingerprint = root.view.fingerprint
    prepared = replace(before.index, trusted=(*before.index.trusted, fingerprint), prepared=fingerprint)
    return Change(index or prepared, roots=(root.view,), keys={fingerprint: "the second key"}, destroyed=destroyed)


def test_nothing_but_the_opener_names_a_storage() -> None:
    naming = {
        path.relative_to(CHECKOUT / "plugins").as_posix()
        for path in (CHECKOUT / "plugins").rglob("*.py")
        if re.search(r"_ca\.(file|secret)_storage import", path.read_text(encoding="utf-8"))
    }
    assert naming == {"plugin_utils/_action.py"}


class TestCommitting:
    def test_an_empty_storage_holds_nothing(self, storage: Storage, root: Root) -> None:
        assert storage.snapshot() is None
        assert storage.snapshot(records=True) is None
        assert not storage.occupied()
        storage.refuse_unwritable()
        with pytest.raises(CrossmeshError):
            storage.key(root.view.fingerprint)

    def test_what_was_committed_is_what_is_read(self, storage: Storage, root: Root, other: Root) -> None:
        made = storage.commit(first(root), None)
        assert storage.snapshot() == made
        assert (made.where, made.index) == (storage.where, first(root).index)
        assert made.roots == {root.view.fingerprint: root.view}
        then = storage.commit(second(other, made), made.version)
        assert storage.snapshot() == then
        assert list(then.roots.values()) == [root.view, other.view]
        assert then.version != made.version

    def test_a_key_comes_back_as_it_was_given_and_is_in_no_repr(self, storage: Storage, root: Root) -> None:
        change = first(root)
        storage.commit(change, None)
        found = storage.key(root.view.fingerprint)
        assert found.pem == "the first key"
        assert storage.where in found.where
        assert "the first key" not in f"{change!r} {found!r} {storage.snapshot()!r}"

    def test_one_commit_follows_on_a_version(self, storage: Storage, root: Root, other: Root) -> None:
        made = storage.commit(first(root), None)
        for seen in (None, "of another store"):
            with pytest.raises(OvertakenError):
                storage.commit(first(other), seen)
        assert storage.snapshot() == made
        with pytest.raises(CrossmeshError):
            storage.key(other.view.fingerprint)
        then = storage.commit(second(other, made), made.version)
        with pytest.raises(OvertakenError):
            storage.commit(second(make_root(), made), made.version)
        assert storage.snapshot() == then

    def test_a_destroyed_key_is_gone_and_the_others_stay(self, storage: Storage, root: Root, other: Root) -> None:
        made = storage.commit(first(root), None)
        old, new = root.view.fingerprint, other.view.fingerprint
        retired = written(new, (new,), retired=(old,))
        storage.commit(second(other, made, retired, destroyed=(old,)), made.version)
        with pytest.raises(CrossmeshError):
            storage.key(old)
        assert storage.key(new).pem == "the second key"

    def test_the_key_of_a_retired_root_is_kept_unless_it_is_destroyed(
        self, storage: Storage, root: Root, other: Root
    ) -> None:
        made = storage.commit(first(root), None)
        old, new = root.view.fingerprint, other.view.fingerprint
        storage.commit(second(other, made, written(new, (new,), retired=(old,))), made.version)
        assert storage.key(old).pem == "the first key"

    def test_a_key_that_is_needed_and_missing_is_damage(self, storage: Storage, root: Root) -> None:
        with refused("store-damaged"):
            storage.commit(replace(first(root), keys={}), None)
        with refused("store-damaged") as failure:
            storage.snapshot()
        assert (failure.value.message.where, failure.value.message.fix) == (storage.where, storage.restore)

    def test_a_root_whose_key_was_lost_needs_none(self, storage: Storage, root: Root, other: Root) -> None:
        old, new = root.view.fingerprint, other.view.fingerprint
        index = written(old, (old, new), prepared=new, keyless=(old,))
        found = storage.commit(Change(index, roots=(root.view, other.view), keys={new: "the second key"}), None)
        assert set(found.roots) == {old, new}

    def test_lists_come_and_are_replaced_and_go(self, storage: Storage, root: Root) -> None:
        seen = storage.commit(first(root), None)
        for number in (7, 8):
            crl = issue_crl(root=root.view, key=root.key, revoked=(), number=number, validity=DAY, now=NOW)
            lists = {root.view.fingerprint: number}
            change = Change(replace(seen.index, lists=lists), lists={root.view.fingerprint: crl})
            seen = storage.commit(change, seen.version)
            assert seen.lists == {root.view.fingerprint: crl}
        assert storage.commit(Change(replace(seen.index, lists={})), seen.version).lists == {}


class TestMoving:
    def test_a_mark_says_where_the_ca_is_and_is_another_version(
        self, storage: Storage, root: Root, other: Root
    ) -> None:
        made = storage.commit(first(root), None)
        with pytest.raises(OvertakenError):
            storage.leave("elsewhere", "of another store")
        storage.leave("elsewhere", made.version)
        marked = storage.snapshot()
        assert marked is not None
        assert marked.version != made.version
        assert replace(marked, moved="", version=made.version) == made
        assert marked.moved == "elsewhere"
        with pytest.raises(OvertakenError):
            storage.commit(second(other, made), made.version)
        storage.leave("", marked.version)
        assert storage.snapshot() == made

    def test_all_that_is_kept_of_roots_can_be_read(self, storage: Storage, root: Root, other: Root) -> None:
        made = storage.commit(first(root), None)
        old, new = root.view.fingerprint, other.view.fingerprint
        then = storage.commit(second(other, made, written(new, (new,), retired=(old,))), made.version)
        found = storage.kept(then)
        assert {item.fingerprint for item in found.certificates} == {old, new}
        assert found.keys == {old: "the first key", new: "the second key"}
        assert "the first key" not in repr(found)
        with pytest.raises(OvertakenError):
            storage.kept(made)

    def test_a_removal_takes_the_mark_along(self, storage: Storage, root: Root) -> None:
        made = storage.commit(first(root), None)
        storage.leave("elsewhere", made.version)
        assert storage.destroy()
        assert not storage.occupied()
        assert storage.commit(first(root), None).moved == ""

    def test_no_run_goes_on_with_a_store_that_has_moved(self, store: CaStore, storage: Storage, root: Root) -> None:
        storage.leave("Secret x", whole(storage).version)
        for step in (store.public, store.check_journal, lambda: store.signer(PASSPHRASE), lambda: publish(store, "a")):
            with refused("store-moved") as caught:
                step()
            assert "moved to Secret x" in caught.value.message.what


def recording(before: Snapshot, *records: Record, dropped: Sequence[str] = ()) -> Change:
    """More records, and some no longer."""
    whole = {item.serial: item for item in (*before.records, *records) if item.serial not in dropped}
    return with_records(Change(before.index), whole.values(), records)


def whole(storage: Storage) -> Snapshot:
    found = storage.snapshot(records=True)
    assert found is not None
    return found


class TestRecords:
    def test_come_back_as_they_were_once_each(self, storage: Storage, root: Root) -> None:
        kept = [record(make_leaf(root)) for _ in range(3)]
        storage.commit(first(root), None)
        for added in (kept, kept[:1]):
            before = whole(storage)
            storage.commit(recording(before, *added), before.version)
        found = sorted(whole(storage).records, key=lambda item: item.serial)
        assert found == sorted(kept, key=lambda item: item.serial)

    def test_are_read_where_they_are_asked_for(self, storage: Storage, root: Root, leaf: Leaf) -> None:
        made = storage.commit(first(root), None)
        assert whole(storage).records == ()
        storage.commit(recording(made, record(leaf)), made.version)
        found = storage.snapshot()
        assert found is not None
        assert (found.records, whole(storage).records) == ((), (record(leaf),))

    def test_only_those_that_are_not_wanted_go(self, storage: Storage, root: Root) -> None:
        gone, kept = record(make_leaf(root)), record(make_leaf(root))
        made = storage.commit(first(root), None)
        storage.commit(recording(made, gone, kept), made.version)
        before = whole(storage)
        storage.commit(recording(before, dropped=[gone.serial]), before.version)
        assert whole(storage).records == (kept,)

    def test_those_of_who_was_overtaken_are_not_there(self, storage: Storage, root: Root, leaf: Leaf) -> None:
        made = storage.commit(first(root), None)
        storage.commit(recording(made, record(make_leaf(root))), made.version)
        before = whole(storage)
        with pytest.raises(OvertakenError):
            storage.commit(recording(made, record(leaf)), made.version)
        assert whole(storage) == before
        assert len(before.records) == 1


class TestClusters:
    def test_a_clusters_uid_is_kept_by_its_name_until_another_is(self, store: CaStore, root: Root) -> None:
        assert store.clusters() == {}
        for home in (("cluster-a", "one"), ("cluster-b", "two"), None):
            assert store.record([record(make_leaf(root))], root.key, NOW, home=home)
        assert store.clusters() == {"cluster-a": "one", "cluster-b": "two"}
        assert store.record([], root.key, NOW, home=("cluster-a", "three"))
        assert store.clusters() == {"cluster-a": "three", "cluster-b": "two"}

    def test_a_rotation_takes_it_along_and_a_removal_away(self, store: CaStore, root: Root, other: Root) -> None:
        store.record([], root.key, NOW, home=("cluster-a", "one"))
        prepare(store, other)
        store.switch(PASSPHRASE, seen=public(store).state)
        assert store.clusters() == {"cluster-a": "one"}
        store.destroy()
        assert store.clusters() == {}
        store.create(PASSPHRASE, root.key, root.view.pem)
        assert store.clusters() == {}


class TestRemoving:
    def test_takes_everything_and_says_so_once(self, storage: Storage, root: Root, leaf: Leaf) -> None:
        made = storage.commit(first(root), None)
        storage.commit(recording(made, record(leaf)), made.version)
        assert storage.occupied()
        assert storage.destroy()
        assert (storage.occupied(), storage.destroy()) == (False, False)
        assert storage.snapshot(records=True) is None
        with pytest.raises(CrossmeshError):
            storage.key(root.view.fingerprint)
        with pytest.raises(OvertakenError):
            storage.commit(Change(made.index), made.version)

    def test_a_new_ca_can_be_made_then(self, storage: Storage, root: Root, other: Root) -> None:
        storage.commit(first(root), None)
        storage.destroy()
        assert storage.commit(first(other), None).authority.issuing == other.view


# -- the store on each of them -------------------------------------------------------------------------------------


@pytest.fixture
def store(storage: Storage, root: Root) -> CaStore:
    made = quick(storage)
    made.create(PASSPHRASE, root.key, root.view.pem)
    return made


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def prepare(store: CaStore, root: Root) -> Authority:
    return store.prepare(PASSPHRASE, root.key, root.view.pem, seen=public(store).state, now=NOW)


def publish(store: CaStore, *serials: str) -> Authority:
    """Revoke certificates of the root that issues."""
    revoked = tuple(Revoked(serial, NOW, "superseded") for serial in serials)

    def wanted(authority: Authority) -> dict[str, tuple[Revoked, ...]]:
        return {root.fingerprint: revoked if root == authority.issuing else () for root in authority.trusted}

    return store.publish(PASSPHRASE, wanted, now=NOW)


def overtake(storage: Storage, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let somebody else do this between the next reading and its commit."""
    commit, turns = storage.commit, iter([work])

    def late(change: Change, seen: str | None) -> Snapshot:
        for turn in turns:
            turn()
        return commit(change, seen)

    monkeypatch.setattr(storage, "commit", late)


class TestStore:
    def test_a_root_is_replaced_and_its_lists_go_along(
        self, store: CaStore, storage: Storage, root: Root, other: Root
    ) -> None:
        publish(store, "a")
        phases = [public(store).phase, prepare(store, other).phase]
        assert [len(item.revoked) for item in store.lists().values()].count(0) == 1
        phases.append(store.switch(PASSPHRASE, seen=public(store).state).phase)
        phases.append(store.retire(PASSPHRASE, seen=public(store).state).phase)
        phases.append(store.finish(PASSPHRASE, seen=public(store).state, keep_keys=False).phase)
        assert phases == ["steady", "prepared", "switched", "retiring", "steady"]
        assert (public(store).trusted, public(store).lists) == ((other.view,), ())
        assert key_signs_for(other.view, store.signer(PASSPHRASE))
        with pytest.raises(CrossmeshError):
            storage.key(root.view.fingerprint)

    def test_what_was_prepared_can_be_taken_back(self, store: CaStore, root: Root, other: Root) -> None:
        prepare(store, other)
        assert store.abandon(PASSPHRASE, seen=public(store).state).retiring == (other.view.fingerprint,)
        store.finish(PASSPHRASE, seen=public(store).state, keep_keys=False)
        assert (public(store).phase, public(store).trusted) == ("steady", (root.view,))

    def test_a_lost_ca_begins_in_prepared(self, storage: Storage, root: Root, other: Root) -> None:
        store = quick(storage)
        found = store.recover(PASSPHRASE, other.key, other.view.pem, [root.view])
        assert (found.phase, found.issuing, found.prepared) == ("prepared", root.view, other.view)
        with refused("key-lost"):
            store.signer(PASSPHRASE)
        with refused("ca-exists"):
            store.recover(PASSPHRASE, other.key, other.view.pem, [root.view])
        store.switch(PASSPHRASE, seen=found.state)
        assert key_signs_for(other.view, store.signer(PASSPHRASE))

    def test_a_wrong_passphrase_changes_nothing(self, store: CaStore, storage: Storage, other: Root) -> None:
        before = storage.snapshot()
        for step in (
            lambda: store.signer("another passphrase"),
            lambda: store.prepare("another passphrase", other.key, other.view.pem, seen=public(store).state, now=NOW),
        ):
            with refused("wrong-passphrase") as failure:
                step()
            assert storage.where in failure.value.message.where
        assert storage.snapshot() == before

    def test_who_is_overtaken_in_making_a_ca_gets_the_first(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, root: Root, other: Root
    ) -> None:
        store = quick(storage)
        overtake(storage, monkeypatch, lambda: store.create(PASSPHRASE, root.key, root.view.pem))
        assert store.create(PASSPHRASE, other.key, other.view.pem).issuing == root.view

    def test_a_recovery_that_is_overtaken_recovers_nothing(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, root: Root, other: Root
    ) -> None:
        store = quick(storage)
        overtake(storage, monkeypatch, lambda: store.create(PASSPHRASE, root.key, root.view.pem))
        with refused("ca-exists"):
            store.recover(PASSPHRASE, other.key, other.view.pem, [make_root().view])
        assert public(store).trusted == (root.view,)

    def test_a_step_that_is_overtaken_by_another_one_is_refused(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, other: Root
    ) -> None:
        overtake(storage, monkeypatch, lambda: prepare(store, other))
        with refused("another-run") as failure:
            prepare(store, make_root())
        assert "its phase is now prepared" in failure.value.message.what
        assert public(store).prepared == other.view

    def test_a_step_that_is_overtaken_by_a_removal_is_refused(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, other: Root
    ) -> None:
        overtake(storage, monkeypatch, storage.destroy)
        with refused("another-run") as failure:
            prepare(store, other)
        assert "its phase is now absent" in failure.value.message.what
        assert store.public() is None

    def test_a_step_that_is_overtaken_by_new_lists_takes_them_along(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, other: Root
    ) -> None:
        overtake(storage, monkeypatch, lambda: publish(store, "a"))
        prepare(store, other)
        assert set(store.lists()) == {item.fingerprint for item in public(store).trusted}

    def test_lists_that_are_overtaken_are_made_for_the_roots_that_are_there_then(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, other: Root
    ) -> None:
        overtake(storage, monkeypatch, lambda: prepare(store, other))
        publish(store, "a")
        assert set(store.lists()) == {item.fingerprint for item in public(store).trusted}
        assert len(store.lists()) == 2

    def test_a_key_that_is_destroyed_while_it_is_asked_for_is_the_next_ones(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, other: Root
    ) -> None:
        read, turns = storage.snapshot, iter([True])

        def rotated_meanwhile(*, records: bool = False) -> Snapshot | None:
            found = read(records=records)
            if next(turns, False):
                prepare(store, other)
                store.switch(PASSPHRASE, seen=public(store).state)
                store.retire(PASSPHRASE, seen=public(store).state)
                store.finish(PASSPHRASE, seen=public(store).state, keep_keys=False)
            return found

        monkeypatch.setattr(storage, "snapshot", rotated_meanwhile)
        key = store.signer(PASSPHRASE)
        assert key_signs_for(other.view, key)

    def test_records_of_expired_certificates_go_with_the_next_writer(self, store: CaStore, root: Root) -> None:
        old, new = record(make_leaf(root, validity=DAY)), record(make_leaf(root))
        keep(store, [old, new])
        assert store.records(NOW + DAY) == [new]
        assert len(store.records(NOW)) == 2
        keep(store, [], NOW + DAY)
        assert store.records(NOW) == [new]
