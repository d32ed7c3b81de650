# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import file_storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import read_private
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.layout import Layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import StoredKey
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Leaf,
    key_signs_for,
)
from tests.store.stopping import FAULTS, KILLED, Fault, stopped
from tests.store.work import WORKS, Work, points
from tests.unit.ca.support import as_earlier_release, file_store, folder, keep, record
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused


def create(store: CaStore, passphrase: str = PASSPHRASE) -> Authority:
    root = make_root()
    return store.create(passphrase, root.key, root.view.pem)


def issuing(authority: Authority | None) -> CertificateView:
    assert authority is not None
    assert authority.issuing is not None
    return authority.issuing


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.glob("**/*") if file.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    return file_store(tmp_path / "beside the inventory" / "ca")


@pytest.fixture
def made(store: CaStore) -> CaStore:
    create(store)
    return store


def test_what_an_earlier_release_kept_of_clusters_counts_once_it_was_signed(made: CaStore) -> None:
    """Who can write to the folder tells no run that another cluster is the one that has the certificates."""
    as_earlier_release(made, clusters={"cluster-a": "one"})
    (left,) = folder(made).glob("clusters/*.json")
    kept = left.read_text(encoding="utf-8")
    made.take_over(PASSPHRASE, [path.stem for path in folder(made).glob("roots/*.crt")])
    assert (made.clusters(), left.exists()) == ({"cluster-a": "one"}, False)
    left.write_text(kept.replace("one", "his"), encoding="utf-8")
    assert made.clusters() == {"cluster-a": "one"}
    keep(made, [])
    assert not left.exists()


def test_a_certificate_is_what_makes_a_cluster_known(store: CaStore, tmp_path: Path) -> None:
    """Where there is no CA none is issued, and nothing is written."""
    before = snapshot(tmp_path)
    assert not store.record([], make_root().key, NOW, home=("cluster-a", "one"))
    assert (store.clusters(), snapshot(tmp_path)) == ({}, before)


@pytest.mark.parametrize("content", ['{"uid": null}', "{}", '{"uid": 7}', "[" * 3000])
def test_a_file_that_does_not_name_a_cluster_is_damage(made: CaStore, content: str) -> None:
    """Null stood for the cluster None, and each run refused the true one for it."""
    as_earlier_release(made, clusters={"cluster-a": "one"})
    (folder(made) / "clusters/cluster-a.json").write_text(content)
    with refused("store-damaged") as caught:
        made.take_over(PASSPHRASE, [path.stem for path in folder(made).glob("roots/*.crt")])
    assert "clusters/cluster-a.json" in str(caught.value)


def test_a_store_that_is_removed_while_it_is_read_is_none(made: CaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look whether there is an index and its reading; one that stays is read."""
    assert made.public() is not None

    def removed_meanwhile(storage: FileStorage) -> bytes:
        shutil.rmtree(storage.where)
        raise FileNotFoundError

    monkeypatch.setattr(FileStorage, "_index_bytes", removed_meanwhile)
    assert made.public() is None


class TestCreating:
    def test_reading_where_there_is_nothing_creates_nothing(self, store: CaStore) -> None:
        assert store.public() is None
        assert store.records(NOW) == []
        assert not store.occupied()
        assert not folder(store).parent.exists()

    def test_an_empty_folder_holds_no_authority(self, tmp_path: Path) -> None:
        folder = tmp_path / "ca"
        folder.mkdir(mode=0o700)
        assert file_store(folder).public() is None
        create(file_store(folder))
        assert file_store(folder).public() is not None

    def test_the_new_root_issues_and_is_trusted(self, store: CaStore) -> None:
        authority = create(store)
        assert authority.trusted == (issuing(authority),)
        assert store.public() == authority

    def test_a_second_call_returns_the_first_root(self, made: CaStore) -> None:
        before = snapshot(folder(made))
        assert create(made) == made.public()
        assert snapshot(folder(made)) == before

    def test_nobody_else_can_read_it(self, made: CaStore) -> None:
        modes = {path.stat().st_mode & 0o777 for path in folder(made).glob("**/*") if path.is_file()}
        assert modes == {0o600}
        assert folder(made).stat().st_mode & 0o777 == 0o700

    def test_the_key_is_encrypted(self, made: CaStore) -> None:
        (key,) = folder(made).glob("roots/*.key")
        assert "BEGIN ENCRYPTED " in key.read_text(encoding="ascii").splitlines()[0]

    def test_a_refused_passphrase_leaves_no_trace(self, store: CaStore) -> None:
        with refused("ca-passphrase"):
            create(store, "short")
        assert not folder(store).parent.exists()

    def test_a_full_disk_is_one_clear_error_and_leaves_no_half_file(
        self, store: CaStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as full:
            full.setattr(os, "fsync", refuse)
            with refused("file-error") as failure:
                create(store)
        assert "No space left on device" in failure.value.message.what
        assert store.public() is None
        assert set(snapshot(folder(store))) == {"lock"}
        create(store)
        assert store.public() is not None

    def test_a_path_through_a_file_is_one_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x", encoding="ascii")
        with refused("file-error") as failure:
            create(file_store(tmp_path / "file" / "ca"))
        assert failure.value.message.where.endswith("/file")
        assert "File exists" in failure.value.message.what

    def test_many_at_once_make_one_root(self, store: CaStore) -> None:
        children = [in_child(lambda: create(store)) for _ in range(4)]
        assert [finish(child) for child in children] == [0, 0, 0, 0]
        assert len(list(folder(store).glob("roots/*.crt"))) == 1
        assert len(list(folder(store).glob("roots/*.key"))) == 1
        store.signer(PASSPHRASE)

    def test_makers_and_removers_at_once_leave_a_whole_store(self, store: CaStore) -> None:
        def turns() -> None:
            for _ in range(4):
                create(store)
                store.destroy()

        children = [in_child(turns) for _ in range(3)]
        statuses = [finish(child) for child in children]
        # A call may find the folder just gone: an error that says so, never a broken store.
        assert set(statuses) <= {0, REFUSED}
        create(store)
        store.signer(PASSPHRASE)
        assert len(list(folder(store).glob("roots/*.crt"))) == 1


REFUSED = 3


def in_child(work: Callable[[], object]) -> int:
    """Run in a process of its own."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except CrossmeshError:
        status = REFUSED
    finally:
        os._exit(status)


def finish(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, work: Callable[[], object], folder: Path) -> bool:
    """Kill a process before its n-th operation on files below a folder. False when it was done before."""
    return stopped(work, folder, step, KILLED).reached


class TestInterruptions:
    def test_a_creation_killed_anywhere_is_started_again_and_leaves_one_root(self, tmp_path: Path) -> None:
        step = 1
        while True:
            store = file_store(tmp_path / str(step) / "ca")
            if not killed_at(step, partial(create, store), tmp_path):
                break
            survivor = store.public()
            authority = create(store)
            assert survivor in (None, authority)
            store.signer(PASSPHRASE)
            assert not (folder(store) / "unfinished").exists()
            assert {path.stem for path in (folder(store) / "roots").iterdir()} == {issuing(authority).fingerprint}
            step += 1
        assert step > 7

    def test_a_removal_killed_anywhere_can_be_repeated(self, tmp_path: Path, leaf: Leaf) -> None:
        step = 1
        while True:
            store = file_store(tmp_path / str(step) / "ca")
            create(store)
            keep(store, [record(leaf)])
            if not killed_at(step, store.destroy, tmp_path):
                break
            store.public()
            store.destroy()
            assert snapshot(tmp_path / str(step)) == {}
            step += 1
        assert step > 7

    def test_a_reader_that_meets_the_end_of_a_creation_sees_the_authority(
        self, made: CaStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index, aside = folder(made) / "authority.json", folder(made) / "aside"
        index.rename(aside)
        look_for_roots = Layout.root_files

        def while_the_creation_ends(layout: Layout) -> Iterator[Path]:
            aside.rename(index)
            return look_for_roots(layout)

        monkeypatch.setattr(Layout, "root_files", while_the_creation_ends)
        assert made.public() is not None

    def test_a_mark_that_outlived_its_creation_is_cleared(self, made: CaStore) -> None:
        (folder(made) / "unfinished").touch(mode=0o600)
        authority = made.public()
        assert create(made) == authority
        assert not (folder(made) / "unfinished").exists()


def publish(store: CaStore, *serials: str, now: datetime = NOW) -> Authority:
    """A list for every root."""
    revoked = tuple(Revoked(serial, NOW, "superseded") for serial in serials or ("a",))
    return store.publish(
        PASSPHRASE, lambda authority: {root.fingerprint: revoked for root in authority.trusted}, now=now
    )


def rotate(store: CaStore) -> None:
    """A whole rotation of the root."""

    def state() -> str:
        authority = store.public()
        assert authority is not None
        return authority.state

    root = make_root()
    store.prepare(PASSPHRASE, root.key, root.view.pem, seen=state(), now=NOW)
    store.switch(PASSPHRASE, seen=state())
    store.retire(PASSPHRASE, seen=state())
    store.finish(PASSPHRASE, seen=state(), keep_keys=False)


class TestWriters:
    def test_readers_beside_a_writer_never_see_a_damaged_store(self, made: CaStore) -> None:
        publish(made)

        def read_on() -> None:
            while not (folder(made) / "enough").exists():
                authority = made.public()
                assert authority is not None
                assert len(authority.lists) in (0, len(authority.trusted))
                made.lists()
                made.signer(PASSPHRASE)

        readers = [in_child(read_on) for _ in range(2)]
        for number in range(8):
            rotate(made)
            publish(made, f"{number + 11:x}")
        (folder(made) / "enough").touch()
        assert [finish(child) for child in readers] == [0, 0]

    def test_what_vanishes_while_it_is_read_is_read_anew(self, made: CaStore, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(made)
        whole = read_private
        turns = iter([True])

        def replaced_meanwhile(path: Path) -> bytes:
            if path.suffix == ".crl" and next(turns, False):
                publish(made, "b")
            return whole(path)

        monkeypatch.setattr(file_storage, "read_private", replaced_meanwhile)
        (found,) = made.lists().values()
        assert [item.serial for item in found.revoked] == ["b"]

    def test_a_key_that_goes_while_it_is_asked_for_is_the_next_ones(
        self, made: CaStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = FileStorage.key
        turns = iter([True])

        def rotated_meanwhile(storage: FileStorage, fingerprint: str) -> StoredKey:
            if next(turns, False):
                rotate(made)
            return read(storage, fingerprint)

        monkeypatch.setattr(FileStorage, "key", rotated_meanwhile)
        key = made.signer(PASSPHRASE)
        authority = made.public()
        assert authority is not None
        assert key_signs_for(issuing(authority), key)

    def test_a_note_of_another_run_is_no_reason_to_ask_for_a_key_again(
        self, made: CaStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, asked = FileStorage.key, []

        def noted_meanwhile(storage: FileStorage, fingerprint: str) -> StoredKey:
            asked.append(fingerprint)
            if len(asked) < 4:
                made.note(Event("bundle", {"added": ["ab"]}))
            return read(storage, fingerprint)

        monkeypatch.setattr(FileStorage, "key", noted_meanwhile)
        with refused("wrong-passphrase"):
            made.signer("another passphrase")
        assert len(asked) == 1

    def test_a_list_that_was_replaced_goes(self, made: CaStore) -> None:
        publish(made, "a")
        publish(made, "b")
        assert len(list(folder(made).glob("lists/*.crl"))) == 1

    def test_what_an_interrupted_step_left_goes_with_the_next_one(self, made: CaStore) -> None:
        left = folder(made) / "roots" / f"{'0' * 64}.key"
        left.write_text("x", encoding="ascii")
        notes = folder(made) / "roots" / "notes.txt"
        notes.write_text("ours", encoding="ascii")
        before = made.public()
        publish(made)
        assert (left.exists(), notes.exists()) == (False, True)
        after = made.public()
        assert (before is not None, after is not None) == (True, True)
        made.signer(PASSPHRASE)

    def test_what_killed_writers_left_goes_wherever_it_lies(self, made: CaStore, leaf: Leaf) -> None:
        name = ".crossmesh-0123456789abcdef.tmp"
        keep(made, [record(leaf)])
        publish(made)
        (folder(made) / "clusters").mkdir()
        for place in ("", "roots", "issued", "lists", "clusters"):
            (folder(made) / place / name).write_text("x", encoding="ascii")
        left = folder(made) / "issued" / f"{'a' * 40}.json"
        left.write_text("{}", encoding="ascii")
        assert len(list(folder(made).rglob(name))) == 5
        keep(made, [])
        assert (list(folder(made).rglob(name)), left.exists()) == ([], False)
        assert made.records(NOW) == [record(leaf)]

    def test_a_rotation_killed_anywhere_leaves_a_whole_store_that_goes_on(self, made: CaStore, tmp_path: Path) -> None:
        publish(made)
        step = 1
        while True:
            store = file_store(shutil.copytree(folder(made), tmp_path / str(step)))
            if not killed_at(step, partial(rotate, store), tmp_path):
                break
            authority = store.public()
            assert authority is not None
            assert len(authority.lists) in (0, len(authority.trusted))
            assert key_signs_for(issuing(authority), store.signer(PASSPHRASE))
            publish(store, "b")
            step += 1
        assert step > 7


LEAF_OWNER = make_root()
# One operation in so many; the rest takes minutes.
SAMPLE = 15


@pytest.mark.parametrize("every", [SAMPLE, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_whatever_stops_a_writer_anywhere_the_next_call_finds_a_whole_store_and_ends_the_work(
    tmp_path: Path, work: Work, fault: Fault, every: int
) -> None:
    found = list(points(work, fault, tmp_path, every=every))
    assert [point for point in found if point.fault] == []
    assert found[-1].step > 15


def test_a_work_that_leaves_half_of_itself_is_noticed(tmp_path: Path) -> None:
    """The control: a key that is destroyed before anything says that it is to be."""

    def careless(store: CaStore) -> None:
        for key in folder(store).glob("roots/*.key"):
            key.unlink()
        store.destroy()

    begin = next(work.begin for work in WORKS if work.name == "issue")
    work = Work("careless", begin, careless, lambda store: not store.occupied())
    faults = [point.fault for point in points(work, KILLED, tmp_path)]
    assert any("is missing" in fault for fault in faults)


def writing(store: CaStore, until: float) -> None:
    """Issue, as one of many: each with serials of its own, which it leaves beside the store."""
    key = store.signer(PASSPHRASE)
    while time.monotonic() < until:
        issued = record(make_leaf(LEAF_OWNER))
        assert store.record([issued], key, NOW)
        (folder(store).parent / f"{issued.serial}.issued").touch()


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_eight_writers_at_once_lose_nothing(made: CaStore, seconds: int) -> None:
    until = time.monotonic() + seconds
    children = [in_child(partial(writing, made, until)) for _ in range(8)]
    while time.monotonic() < until:
        assert made.public() is not None
        made.records(NOW)
    assert [finish(child) for child in children] == [0] * 8
    issued = {path.stem for path in folder(made).parent.glob("*.issued")}
    assert {item.serial for item in made.records(NOW)} == issued
    assert len(issued) >= 8


def spoil_index(text: str) -> Callable[[Path], object]:
    return lambda path: (path / "authority.json").write_text(text, encoding="utf-8")


def change_index(**changes: object) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        index = path / "authority.json"
        index.write_text(json.dumps({**json.loads(index.read_text(encoding="utf-8")), **changes}), encoding="utf-8")

    return change


def on_root(suffix: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: [change(file) for file in path.glob(f"roots/*.{suffix}")]


def swap_certificate(file: Path) -> None:
    file.write_text(make_root().view.pem, encoding="ascii")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (spoil_index(""), "authority.json is not JSON"),
    (spoil_index('{"version": 1, "issuing"'), "authority.json is not JSON"),
    (spoil_index("[]"), "holds no JSON object"),
    (spoil_index('{"version": 3}'), "has version 3; this collection reads 2"),
    (spoil_index('{"version": 1, "issuing": "x", "trusted": []}'), "does not list the trusted roots"),
    (spoil_index('{"version": 1, "issuing": "x", "trusted": ["../../x"]}'), "does not list the trusted roots"),
    (lambda path: (path / "authority.json").write_bytes(b"\xff\xfe"), "is not JSON"),
    (lambda path: (path / "authority.json").unlink(), "it holds roots, but authority.json is missing"),
    (change_index(issuing=["x"]), "does not name the root that issues"),
    (change_index(issuing=None), "does not name the root that issues"),
    (change_index(prepared=5), "does not name the root that issues"),
    (change_index(prepared="0" * 64), "trusts other roots than the one that issues"),
    (change_index(trusted="x"), "does not list the trusted roots"),
    (change_index(retiring=[""]), "does not list the retiring roots"),
    (change_index(retired=None), "does not list the retired roots"),
    (change_index(keyless={}), "does not list the keyless roots"),
    (change_index(lists=None), "does not tell the numbers of the lists"),
    (change_index(lists=[1]), "does not tell the numbers of the lists"),
    (change_index(last_number="1"), "does not tell the numbers of the lists"),
    (change_index(lists={"0" * 64: 1}), "has a list for a root that is not trusted"),
    (change_index(more="x"), "has not the keys that it should have"),
    (on_root("crt", Path.unlink), ".crt is missing"),
    (on_root("crt", lambda file: os.truncate(file, 100)), "the certificate cannot be read"),
    (on_root("crt", swap_certificate), "holds the certificate"),
    (on_root("key", Path.unlink), ".key is missing"),
    (on_root("key", lambda file: file.chmod(0o644)), "its mode is 0644"),
    (lambda path: path.chmod(0o755), "its mode is 0755"),
]


class TestDamage:
    @pytest.mark.parametrize(("damage", "message"), DAMAGES)
    def test_each_is_one_error_with_the_path_and_nothing_is_changed(
        self, made: CaStore, damage: Callable[[Path], object], message: str
    ) -> None:
        damage(folder(made))
        before = snapshot(folder(made))
        for call in (made.public, lambda: create(made), lambda: made.signer(PASSPHRASE)):
            with pytest.raises(CrossmeshError) as caught:
                call()
            assert message in str(caught.value)
            assert str(folder(made)) in str(caught.value)
        assert snapshot(folder(made)) == before

    def test_a_store_of_a_newer_collection_is_no_damage(self, made: CaStore) -> None:
        change_index(version=3)(folder(made))
        with refused("store-version"):
            made.public()

    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda path: path.unlink(), "store-damaged"),
            (lambda path: path.write_text("", encoding="ascii"), "unreadable-crl"),
            (lambda path: os.truncate(path, 100), "unreadable-crl"),
        ],
    )
    def test_a_revocation_list_that_is_damaged_is_one_error(
        self, made: CaStore, damage: Callable[[Path], object], code: str
    ) -> None:
        publish(made)
        (path,) = folder(made).glob("lists/*.crl")
        damage(path)
        for call in (made.public, made.lists, lambda: publish(made)):
            with refused(code) as caught:
                call()
            assert str(folder(made)) in str(caught.value)

    def test_an_index_that_issues_from_an_untrusted_root(self, made: CaStore) -> None:
        index = json.loads((folder(made) / "authority.json").read_text(encoding="utf-8"))
        spoil_index(json.dumps({**index, "issuing": "0" * 64}))(folder(made))
        with refused("store-damaged"):
            made.public()

    def test_a_damaged_store_can_be_removed(self, made: CaStore) -> None:
        spoil_index("")(folder(made))
        assert made.destroy()
        assert not folder(made).exists()


class TestSigner:
    def test_is_the_key_of_the_issuing_root(self, made: CaStore) -> None:
        assert key_signs_for(issuing(made.public()), made.signer(PASSPHRASE))

    def test_the_public_part_needs_no_key_at_all(self, made: CaStore) -> None:
        (key,) = folder(made).glob("roots/*.key")
        key.write_text("", encoding="ascii")
        assert made.public() is not None

    def test_a_wrong_passphrase_is_one_error_that_names_the_file(self, made: CaStore) -> None:
        with refused("wrong-passphrase") as failure:
            made.signer("not the passphrase")
        assert re.fullmatch(r".*/roots/[0-9a-f]{64}\.key", failure.value.message.where)

    def test_a_key_of_another_root_is_refused(self, made: CaStore, tmp_path: Path) -> None:
        other = file_store(tmp_path / "other")
        create(other)
        (key,), (foreign,) = folder(made).glob("roots/*.key"), folder(other).glob("roots/*.key")
        key.write_bytes(foreign.read_bytes())
        with refused("store-damaged"):
            made.signer(PASSPHRASE)

    def test_without_an_authority_there_is_none(self, store: CaStore) -> None:
        with refused("store-damaged"):
            store.signer(PASSPHRASE)


@pytest.fixture(scope="module")
def issuer(root: Root) -> Root:
    return root


class TestRecords:
    def test_come_back_as_they_were(self, made: CaStore, leaf: Leaf) -> None:
        keep(made, [record(leaf)])
        assert made.records(NOW) == [record(leaf)]

    def test_name_the_secrets_of_one_cluster_and_instance(self, made: CaStore, issuer: Root) -> None:
        mine, others, another = (record(make_leaf(issuer)) for _ in range(3))
        keep(made, [mine, replace(others, cluster="cluster-a"), replace(another, instance="blue")])
        assert made.secrets_of("default", "cluster-b", NOW) == {("istio-system", "mysql-credential")}
        assert made.secrets_of("default", "cluster-z", NOW) == set()

    def test_hold_no_key_and_no_certificate(self, made: CaStore, leaf: Leaf) -> None:
        keep(made, [record(leaf)])
        content = (folder(made) / "issued" / f"{leaf.view.serial}.json").read_text(encoding="utf-8")
        assert "BEGIN" not in content
        assert json.loads(content)["secret"] == "istio-system/mysql-credential"

    def test_expired_ones_are_not_listed_and_dropped_by_the_next_writer(self, made: CaStore, issuer: Root) -> None:
        old, new = make_leaf(issuer, validity=DAY), make_leaf(issuer)
        keep(made, [record(old), record(new)])
        later = NOW + DAY
        assert made.records(later) == [record(new)]
        assert len(list(folder(made).glob("issued/*.json"))) == 2
        keep(made, [], later)
        assert len(list(folder(made).glob("issued/*.json"))) == 1

    def test_are_listed_oldest_first(self, made: CaStore, leaf: Leaf) -> None:
        first = replace(record(leaf), serial="2", issued_at="2026-06-01T00:00:00Z")
        last = replace(record(leaf), serial="1", issued_at="2026-06-02T00:00:00Z")
        keep(made, [last, first])
        assert made.records(NOW) == [first, last]

    @pytest.mark.parametrize("content", ["", "[]", '{"serial": "1"}'])
    def test_a_damaged_one_is_named(self, made: CaStore, leaf: Leaf, content: str) -> None:
        keep(made, [record(leaf)])
        path = folder(made) / "issued" / f"{leaf.view.serial}.json"
        path.write_text(content, encoding="utf-8")
        with refused("record-changed") as failure:
            made.records(NOW)
        assert leaf.view.serial in str(failure.value)

    def test_writers_at_once_lose_nothing(self, made: CaStore, issuer: Root) -> None:
        batches = [[record(make_leaf(issuer)) for _ in range(20)] for _ in range(3)]
        children = [in_child(partial(keep, made, batch)) for batch in batches]
        assert [finish(child) for child in children] == [0, 0, 0]
        assert {record.serial for record in made.records(NOW)} == {r.serial for batch in batches for r in batch}


class TestRemoving:
    def test_takes_everything_and_says_so_once(self, made: CaStore, leaf: Leaf) -> None:
        keep(made, [record(leaf)])
        assert made.destroy()
        assert not folder(made).exists()
        assert not made.destroy()

    def test_leaves_what_it_does_not_know(self, made: CaStore) -> None:
        notes = folder(made) / "roots" / "notes.txt"
        notes.write_text("ours", encoding="ascii")
        assert made.destroy()
        assert snapshot(folder(made)) == {"roots/notes.txt": b"ours"}

    def test_takes_the_temporary_files_of_a_killed_run(self, made: CaStore) -> None:
        (folder(made) / "roots" / ".crossmesh-0123456789abcdef.tmp").write_text("x", encoding="ascii")
        made.destroy()
        assert not folder(made).exists()

    def test_does_not_enter_a_folder_that_only_has_a_lock(self, tmp_path: Path) -> None:
        (tmp_path / "lock").write_text("somebody's", encoding="ascii")
        assert not file_store(tmp_path).destroy()
        assert snapshot(tmp_path) == {"lock": b"somebody's"}
