# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit journal tells of each change, how it is chained and cut, and what it costs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import file_storage, files, journal, journal_writing
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import refused
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Head, index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author, Event, Kind, chained, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import signed_fault, unsigned_fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot, Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.vouching import sealed
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from tests.unit.ca.memory_storage import MemoryStorage
from tests.unit.ca.support import as_earlier_release, file_store, folder, keep, record
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import CHECKOUT
from tests.unit.support import refused as refused_with

Entry = dict[str, Any]
AUTHOR = Author(run="4711", operator="kim")
STORAGES: dict[str, Callable[[Path], Storage]] = {
    "file": lambda path: FileStorage(path / "ca"),
    "memory": lambda _path: MemoryStorage(),
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return STORAGES[request.param](tmp_path)


@pytest.fixture(scope="module")
def own() -> Root:
    return make_root()


@pytest.fixture(scope="module")
def other() -> Root:
    return make_root()


@pytest.fixture
def store(storage: Storage, own: Root) -> CaStore:
    made = CaStore(storage, iterations=1000, author=AUTHOR)
    made.create(PASSPHRASE, own.key, own.view.pem)
    return made


def whole(storage: Storage) -> bytes:
    """The journal as it is stored, with what is not signed yet."""
    snapshot = storage.snapshot()
    assert snapshot is not None
    return b"".join([*storage.segments(snapshot), storage.last_segment(snapshot), snapshot.unsigned])


def entries(storage: Storage) -> list[Entry]:
    return [json.loads(line) for line in whole(storage).splitlines()]


def kinds(storage: Storage, after: int = 0) -> list[str]:
    return [entry["kind"] for entry in entries(storage)[after:]]


def last(storage: Storage) -> Entry:
    return entries(storage)[-1]


def state(store: CaStore) -> str:
    authority = store.public()
    assert authority is not None
    return authority.state


def revoke(store: CaStore, *serials: str) -> None:
    revoked = tuple(Revoked(serial, NOW, "keyCompromise") for serial in serials)
    store.publish(
        PASSPHRASE,
        lambda authority: {root.fingerprint: revoked for root in authority.trusted} if serials else {},
        now=NOW,
    )


def a_refusal(where: str = "ca") -> Event:
    error = CrossmeshError(Message.error("rotation-blocked", where=where, what="blocked"))
    return refused("custom_ca_rotation", error, instance="default", cluster="localhost")


def a_bundle(cluster: str) -> Event:
    return Event("bundle", {"cluster": cluster, "removed": ["ab"]})


class TestEntries:
    def test_a_new_ca_begins_its_journal(self, store: CaStore, storage: Storage, own: Root) -> None:
        begun, created, trusted = entries(storage)
        assert (begun["kind"], begun["generation"], begun["before"]) == ("begun", 0, "0" * 64)
        assert (created["kind"], created["root"]) == ("created", own.view.fingerprint)
        assert (trusted["kind"], trusted["root"]) == ("root-trusted", own.view.fingerprint)
        assert {(entry["run"], entry["operator"], entry["key"]) for entry in entries(storage)} == {
            ("4711", "kim", "open")
        }
        assert all(datetime.fromisoformat(entry["time"]).utcoffset() is not None for entry in entries(storage))

    def test_a_certificate_is_told_of_as_it_is_recorded(self, store: CaStore, storage: Storage, own: Root) -> None:
        kept = record(make_leaf(own))
        keep(store, [kept])
        found = last(storage)
        assert (found["kind"], found["serial"], found["fingerprint"]) == ("issued", kept.serial, kept.fingerprint)
        assert (found["instance"], found["cluster"], found["links"]) == ("default", "cluster-b", ["mysql"])

    def test_a_certificate_that_was_found_is_not_told_of_as_issued(
        self, store: CaStore, storage: Storage, own: Root
    ) -> None:
        keep(store, [replace(record(make_leaf(own)), issued_at="2020-01-01T00:00:00Z")])
        assert last(storage)["kind"] == "found"

    def test_each_step_of_a_rotation(self, store: CaStore, storage: Storage, own: Root, other: Root) -> None:
        before = len(entries(storage))
        store.prepare(PASSPHRASE, other.key, other.view.pem, seen=state(store), now=NOW, imported=True)
        store.switch(PASSPHRASE, seen=state(store))
        store.retire(PASSPHRASE, seen=state(store))
        store.finish(PASSPHRASE, seen=state(store), keep_keys=False)
        told = [
            (entry["kind"], entry.get("step", "own" if entry["root"] == own.view.fingerprint else "other"))
            for entry in entries(storage)[before:]
        ]
        assert told == [
            ("rotation", "prepare"),
            ("root-trusted", "other"),
            ("imported", "other"),
            ("rotation", "switch"),
            ("rotation", "retire"),
            ("root-removed", "own"),
            ("rotation", "finish"),
            ("key-destroyed", "own"),
        ]

    def test_a_root_that_was_prepared_and_abandoned(self, store: CaStore, storage: Storage, other: Root) -> None:
        store.prepare(PASSPHRASE, other.key, other.view.pem, seen=state(store), now=NOW)
        before = len(entries(storage))
        store.abandon(PASSPHRASE, seen=state(store))
        assert kinds(storage, before) == ["rotation", "root-removed"]
        assert entries(storage)[before]["step"] == "abandon"

    def test_a_lost_ca_that_begins_anew(self, storage: Storage, own: Root, other: Root) -> None:
        store = CaStore(storage, iterations=1000)
        store.recover(PASSPHRASE, other.key, other.view.pem, [own.view])
        assert kinds(storage) == ["begun", "recovered", "root-trusted", "root-trusted"]

    def test_revocations_and_their_lists(self, store: CaStore, storage: Storage) -> None:
        before = len(entries(storage))
        revoke(store, "a1", "b2")
        revoke(store, "b2")
        revoke(store)
        told = [(entry["kind"], entry.get("serial")) for entry in entries(storage)[before:]]
        assert told == [
            ("crl", None),
            ("revoked", "a1"),
            ("revoked", "b2"),
            ("crl", None),
            ("revocation-ended", "a1"),
            ("crls-removed", None),
            ("revocation-ended", "b2"),
        ]
        assert entries(storage)[before + 1]["reason"] == "keyCompromise"

    def test_a_list_that_goes_with_its_root_lets_nobody_in_again(
        self, store: CaStore, storage: Storage, other: Root
    ) -> None:
        revoke(store, "a1")
        store.prepare(PASSPHRASE, other.key, other.view.pem, seen=state(store), now=NOW)
        store.switch(PASSPHRASE, seen=state(store))
        store.retire(PASSPHRASE, seen=state(store))
        assert "revocation-ended" not in kinds(storage)
        assert "revoked" in kinds(storage)

    def test_what_expires_stays_in_the_journal(self, store: CaStore, storage: Storage, own: Root) -> None:
        kept = record(make_leaf(own, validity=DAY))
        keep(store, [kept])
        before = whole(storage)
        keep(store, [], NOW + DAY)
        assert store.records(NOW) == []
        assert whole(storage) == before
        assert last(storage)["serial"] == kept.serial

    def test_what_vouches_for_a_bundle_signs_what_it_tells(self, store: CaStore, storage: Storage) -> None:
        authority = store.public()
        assert authority is not None
        store.vouch(PASSPHRASE, authority)
        assert "bundle" not in kinds(storage)
        store.vouch(PASSPHRASE, authority, Event("bundle", {"cluster": "cluster-b", "added": ["ab"]}))
        assert (last(storage)["kind"], last(storage)["key"]) == ("bundle", "open")
        assert store.check_journal().unsigned == 0

    def test_foreign_text_is_bounded_and_shows_what_it_is(self, storage: Storage, own: Root) -> None:
        store = CaStore(storage, iterations=1000, author=Author(run="r", operator="kim\x1b[31m\n" + "x" * 5000))
        store.create(PASSPHRASE, own.key, own.view.pem)
        operator = last(storage)["operator"]
        assert operator.startswith("kim\\u001b[31m\\u000axxx")
        assert len(operator) == 1000

    def test_no_secret_is_in_it(self, store: CaStore, storage: Storage, own: Root) -> None:
        keep(store, [record(make_leaf(own))])
        assert PASSPHRASE.encode() not in whole(storage)
        assert b"PRIVATE" not in whole(storage)
        assert own.view.fingerprint.encode() in whole(storage), "the control"


class TestUnsigned:
    def test_a_refusal_is_not_signed_until_the_key_is_open(self, store: CaStore, storage: Storage, own: Root) -> None:
        signed = store.check_journal().signed
        store.note(a_refusal())
        store.note(a_refusal("another place"))
        assert store.check_journal() == (signed, 2)
        assert (last(storage)["kind"], last(storage)["key"]) == ("refused", "closed")
        assert last(storage)["codes"] == ["rotation-blocked"]
        keep(store, [record(make_leaf(own))])
        assert store.check_journal() == (signed + 3, 0)
        assert kinds(storage, signed) == ["refused", "refused", "issued"]

    def test_without_a_ca_nothing_is_written(self, storage: Storage) -> None:
        store = CaStore(storage)
        store.note(a_refusal())
        assert not storage.occupied()
        assert store.check_journal() == (0, 0)

    def test_nothing_to_tell_writes_nothing(self, store: CaStore, storage: Storage) -> None:
        before = storage.snapshot()
        store.note()
        assert storage.snapshot() == before

    def test_they_are_bounded(self, store: CaStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal_writing, "_MOST_UNSIGNED", 2000)
        monkeypatch.setattr(journal_writing, "_MOST_REFUSED", 1000)
        store.note(a_refusal())
        with refused_with("journal-full"):
            for turn in range(5):
                store.note(a_refusal(f"place {turn}"))
        assert store.check_journal().unsigned >= 1

    def test_refusals_leave_room_for_bundles(self, store: CaStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal_writing, "_MOST_UNSIGNED", 4000)
        monkeypatch.setattr(journal_writing, "_MOST_REFUSED", 2000)
        with refused_with("journal-full"):
            for turn in range(20):
                store.note(a_refusal(f"place {turn}"))
        before = store.check_journal().unsigned
        store.note(a_bundle("a"), a_bundle("b"))
        assert store.check_journal().unsigned == before + 2
        with refused_with("journal-full"):
            for turn in range(20):
                store.note(a_bundle(f"c{turn}"))

    def test_a_refusal_that_waits_is_not_told_again_by_the_next_run(self, storage: Storage, own: Root) -> None:
        def by(run: str, operator: str = "kim") -> CaStore:
            return CaStore(storage, iterations=1000, author=Author(run, operator))

        by("1").create(PASSPHRASE, own.key, own.view.pem)
        for run in "123":
            by(run).note(a_refusal("one directory"))
            by(run).note(a_refusal("another"))
        assert [entry["where"] for entry in entries(storage)[3:]] == ["one directory", "another"]
        by("4", "sam").note(a_refusal("another"))
        assert last(storage)["operator"] == "sam"
        keep(by("5"), [record(make_leaf(own))])
        by("6").note(a_refusal("another"))
        assert (last(storage)["kind"], last(storage)["run"]) == ("refused", "6"), "once it is signed, it is told anew"

    def test_a_bundle_is_told_each_time(self, store: CaStore) -> None:
        for _turn in range(2):
            store.note(a_bundle("a"))
        assert store.check_journal().unsigned == 2

    def test_two_at_once_lose_none(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, own: Root
    ) -> None:
        meanwhile: list[Callable[[], object]] = [
            partial(keep, store, [record(make_leaf(own))]),
            partial(store.note, a_refusal()),
        ]
        note, turns = storage.note, iter(meanwhile)

        def late(unsigned: bytes, seen: str) -> None:
            for turn in turns:
                turn()
            note(unsigned, seen)

        monkeypatch.setattr(storage, "note", late)
        store.note(a_refusal("another place"))
        assert kinds(storage, 3) == ["issued", "refused", "refused"]
        assert store.check_journal() == (4, 2)

    def test_a_refusal_beside_a_change_is_in_the_change(
        self, store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch, own: Root
    ) -> None:
        meanwhile: list[Callable[[], object]] = [partial(store.note, a_refusal())]
        commit, turns = storage.commit, iter(meanwhile)

        def late(change: Change, seen: str | None) -> Snapshot:
            for turn in turns:
                turn()
            return commit(change, seen)

        monkeypatch.setattr(storage, "commit", late)
        keep(store, [record(make_leaf(own))])
        assert kinds(storage, 3) == ["refused", "issued"]


class TestOldStores:
    def test_a_store_that_is_taken_over_begins_its_journal(self, tmp_path: Path, own: Root) -> None:
        store = file_store(tmp_path / "ca")
        store.create(PASSPHRASE, own.key, own.view.pem)
        keep(store, [record(make_leaf(own))])
        as_earlier_release(store)
        store.take_over(PASSPHRASE, [own.view.fingerprint])
        told = entries(FileStorage(tmp_path / "ca"))
        assert [entry["kind"] for entry in told] == ["begun", "taken-over", "root-trusted"]
        assert (told[1]["instance"], told[1]["records"]) == ("default", 1)
        store.check_journal()

    def test_a_copy_that_another_instance_takes_over_says_where_it_went(self, tmp_path: Path, own: Root) -> None:
        store = file_store(tmp_path / "ca")
        store.create(PASSPHRASE, own.key, own.view.pem)
        keep(store, [record(make_leaf(own))])
        before = store.check_journal().signed
        copy = CaStore(FileStorage(shutil.copytree(tmp_path / "ca", tmp_path / "copy")), "two", iterations=1000)
        copy.take_over(PASSPHRASE, [own.view.fingerprint])
        (told,) = entries(FileStorage(tmp_path / "copy"))[before:]
        assert (told["kind"], told["instance"], told["records"], told["key"]) == ("taken-over", "two", 1, "open")
        assert copy.check_journal() == (before + 1, 0)

    @pytest.mark.parametrize("first", ["change", "refusal"])
    def test_a_signed_store_without_one_begins_it_with_the_first_write(
        self, tmp_path: Path, own: Root, first: str
    ) -> None:
        store = file_store(tmp_path / "ca")
        store.create(PASSPHRASE, own.key, own.view.pem)
        without_journal(store, own)
        assert store.check_journal() == (0, 0)
        if first == "change":
            keep(store, [record(make_leaf(own))])
        else:
            store.note(a_refusal())
        begun, *_rest = entries(FileStorage(tmp_path / "ca"))
        assert (begun["kind"], begun["generation"]) == ("begun", 1)
        keep(store, [record(make_leaf(own))])
        assert store.check_journal().unsigned == 0


def without_journal(store: CaStore, own: Root) -> None:
    """As a store was written before there were journals."""
    path = folder(store) / "authority.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    index = index_from_json(content, name="index", where="", damaged=lambda why: pytest.fail(why))
    before = index_to_json(sealed(replace(index, journal=Head()), own.key, after=0))
    path.write_text(json.dumps(before), encoding="utf-8")
    for segment in folder(store).glob("journal/*"):
        segment.unlink()


class TestSegments:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal, "MOST_BYTES", 1500)

    def test_full_ones_are_closed_and_never_written_again(self, store: CaStore, storage: Storage, own: Root) -> None:
        for _turn in range(4):
            keep(store, [record(make_leaf(own)) for _item in range(3)])
        snapshot = storage.snapshot()
        assert snapshot is not None
        closed = list(storage.segments(snapshot))
        assert len(closed) > 3
        assert all(len(segment) <= 1500 for segment in (*closed, storage.last_segment(snapshot)))
        keep(store, [record(make_leaf(own))])
        after = storage.snapshot()
        assert after is not None
        assert list(storage.segments(after))[: len(closed)] == closed
        assert [entry["entry"] for entry in entries(storage)] == list(range(1, len(entries(storage)) + 1))
        assert store.check_journal() == (len(entries(storage)), 0)

    def test_a_folder_holds_each_entry_once(self, tmp_path: Path, own: Root) -> None:
        store = file_store(tmp_path / "ca")
        store.create(PASSPHRASE, own.key, own.view.pem)
        for _turn in range(5):
            store.note(a_refusal())
            keep(store, [record(make_leaf(own))])
        lines = [line for path in (tmp_path / "ca/journal").iterdir() for line in path.read_bytes().splitlines()]
        assert len(lines) == len(set(lines)) == store.check_journal().signed

    def test_a_kill_before_the_index_leaves_no_entry(
        self, tmp_path: Path, own: Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At each file that a change with its entries writes."""
        store = file_store(tmp_path / "ca")
        store.create(PASSPHRASE, own.key, own.view.pem)
        keep(store, [record(make_leaf(own))])
        store.note(a_refusal())
        before, records = whole(FileStorage(tmp_path / "ca")), store.records(NOW)
        for place in range(100):
            added = [record(make_leaf(own)) for _item in range(8)]
            with monkeypatch.context() as killed:
                killing_at(killed, place)
                try:
                    keep(store, added)
                    break
                except KeyboardInterrupt:
                    pass
            found = store.records(NOW)
            told = entries(FileStorage(tmp_path / "ca"))
            store.check_journal()
            serials = {entry["serial"] for entry in told if entry["kind"] == "issued"}
            assert {item.serial for item in found} == serials
            if found == records:
                assert whole(FileStorage(tmp_path / "ca")) == before
            else:
                before, records = whole(FileStorage(tmp_path / "ca")), found
        else:
            pytest.fail("it never came to its end")
        assert place > 10, "the control: it was killed at many places"
        assert store.check_journal().unsigned == 0


def killing_at(patch: pytest.MonkeyPatch, place: int) -> None:
    """End the process, as far as anybody can tell, before the file of this number is written or removed."""
    turns = iter(range(place))

    def before(work: Callable[..., Any]) -> Callable[..., Any]:
        def late(*given: Any, **more: Any) -> Any:
            if next(turns, None) is None:
                raise KeyboardInterrupt
            return work(*given, **more)

        return late

    patch.setattr(file_storage, "write_whole", before(files.write_whole))
    patch.setattr(Path, "unlink", before(Path.unlink))


def test_a_run_without_a_change_reads_no_segment(
    store: CaStore, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def counted(name: str) -> Callable[[Snapshot], Any]:
        read = getattr(storage, name)

        def reading(snapshot: Snapshot) -> Any:
            reads.append(name)
            return read(snapshot)

        return reading

    for name in ("segments", "last_segment"):
        monkeypatch.setattr(storage, name, counted(name))
    before = storage.snapshot()
    store.records(NOW)
    store.lists()
    store.signer(PASSPHRASE)
    store.public()
    assert reads == []
    assert storage.snapshot() == before
    store.check_journal()
    assert sorted(reads) == ["last_segment", "segments"], "the control: a check reads them"


def test_the_page_has_every_kind_and_no_other() -> None:
    page = (CHECKOUT / "docs/journal.md").read_text(encoding="utf-8")
    table = page.partition("## What is told")[2].partition("\n## ")[0]
    first = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(kind for cell in first for kind in re.findall("`([a-z-]+)`", cell)) == sorted(get_args(Kind))


# -- the chain, by generation --------------------------------------------------------------------------------------

TEXT = st.text(max_size=20)
EVENTS = st.lists(
    st.builds(Event, st.sampled_from(["refused", "bundle"]), st.dictionaries(TEXT, TEXT | st.integers(), max_size=3)),
    min_size=1,
    max_size=8,
)


def chain(events: Sequence[Event]) -> tuple[Head, list[bytes]]:
    head, lines = chained(events, Head(), AUTHOR, NOW, signed=False)
    return head, [line.encode().rstrip(b"\n") for line in lines]


def fault(lines: Sequence[bytes], head: Head) -> str:
    return signed_fault(list(links_of(b"".join(line + b"\n" for line in lines))), head)


@given(EVENTS)
def test_an_untouched_chain_has_no_fault_and_its_hashes_are_what_the_page_says(events: list[Event]) -> None:
    head, lines = chain(events)
    assert fault(lines, head) == ""
    assert unsigned_fault(list(links_of(b"\n".join(lines))), Head()) == ""
    assert head.digest == sha256(lines[-1]).hexdigest()
    for before, line in pairwise(lines):
        assert json.loads(line)["before"] == sha256(before).hexdigest()
    assert all(line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() for line in lines)


def tampered(lines: list[bytes], draw: st.DataObject) -> Iterator[tuple[str, int, list[bytes]]]:
    """Each thing that is done to one entry, with its number."""
    place = draw.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    at = draw.draw(st.integers(0, len(line) - 1))
    changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
    yield "edited", place + 1, [*lines[:place], changed, *lines[place + 1 :]]
    yield "removed", place + 1, [*lines[:place], *lines[place + 1 :]]
    yield "cut off", place + 1, lines[:place]
    yield "added", place + 1, [*lines[:place], line, *lines[place:]]
    if place:
        swapped = [*lines[: place - 1], line, lines[place - 1], *lines[place + 1 :]]
        yield "reordered", place, swapped


@given(EVENTS, st.data())
def test_whatever_is_done_to_one_entry_is_named(events: list[Event], draw: st.DataObject) -> None:
    head, lines = chain(events)
    for what, number, after in tampered(lines, draw):
        assert f"entry {number} " in fault(after, head), what
