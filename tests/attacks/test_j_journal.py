# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""J: somebody can write to the folder of the CA store, has not its passphrase, and wants no trace of what was done.

d3897ca kept no journal: a record went with its certificate, and of a root that was brought in, a rotation or a refusal
nothing was kept at all. Each attack is checked as C(verify) does, and names the first entry that is not as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_history_info
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import journal
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import refused as refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import index_from_json, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.ca.support import file_store, folder, keep, record
from tests.unit.pki.support import PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused, run_action

Lines = list[bytes]
THEFT = 7


@pytest.fixture(scope="module")
def owned() -> Root:
    return make_root()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of entries is a journal of several segments."""
    monkeypatch.setattr(journal, "MOST_BYTES", 1500)


@pytest.fixture
def store(tmp_path: Path, owned: Root) -> CaStore:
    """A journal of twelve entries, which has held until now."""
    made = file_store(tmp_path / "ca")
    made.create(PASSPHRASE, owned.key, owned.view.pem)
    for _turn in range(3):
        keep(made, [record(make_leaf(owned)) for _item in range(3)])
    assert made.check_journal() == (12, 0)
    return made


def segments(store: CaStore) -> list[Path]:
    return sorted((folder(store) / "journal").glob("0*.jsonl"))


def lines_of(store: CaStore) -> Lines:
    return [line for path in segments(store) for line in path.read_bytes().splitlines()]


def put(store: CaStore, lines: Sequence[bytes]) -> None:
    """Write these entries over the journal's, each into the segment that it would be in."""
    firsts = [int(path.name[:12]) for path in segments(store)]
    for path, first, end in zip(segments(store), firsts, [*firsts[1:], len(lines) + 99], strict=True):
        path.write_bytes(b"".join(line + b"\n" for line in lines[first - 1 : end - 1]))


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(line), **fields}, sort_keys=True, separators=(",", ":")).encode()


def chained_anew(lines: Sequence[bytes]) -> Lines:
    """What somebody does who knows how the chain is made."""
    before, made = "0" * 64, []
    for number, line in enumerate(lines, 1):
        made.append(changed(line, before=before, entry=number))
        before = sha256(made[-1]).hexdigest()
    return made


def edited(lines: Lines) -> Lines:
    return [*lines[: THEFT - 1], changed(lines[THEFT - 1], cluster="cluster-c"), *lines[THEFT:]]


def edited_with_its_successor(lines: Lines) -> Lines:
    found = edited(lines)
    found[THEFT] = changed(found[THEFT], before=sha256(found[THEFT - 1]).hexdigest())
    return found


def removed(lines: Lines) -> Lines:
    return [*lines[: THEFT - 1], *lines[THEFT:]]


def added(lines: Lines) -> Lines:
    before = sha256(lines[THEFT - 2]).hexdigest()
    forged = changed(lines[THEFT - 1], serial="ab", before=before, entry=THEFT)
    return [*lines[: THEFT - 1], forged, *lines[THEFT - 1 :]]


def reordered(lines: Lines) -> Lines:
    return [*lines[: THEFT - 1], lines[THEFT], lines[THEFT - 1], *lines[THEFT + 1 :]]


def went_on(lines: Lines) -> Lines:
    return [*lines, changed(lines[-1], entry=13, before=sha256(lines[-1]).hexdigest())]


DONE: list[tuple[Callable[[Lines], Lines], str]] = [
    (edited, "entry 7 was edited"),
    # The chain holds up to the second of them: that the first one was edited is a possibility, and said to be one.
    (edited_with_its_successor, "entry 8 was edited"),
    (removed, "entry 7 is missing: entry 8 stands in its place"),
    (added, "entry 7 was added before entry 8"),
    (reordered, "entry 7 is not in its place: entry 8 stands there"),
    (lambda lines: lines[: THEFT - 1], "entry 7 is missing, and all that follow it up to entry 12"),
    (lambda lines: lines[:-1], "entry 12 is missing"),
    (lambda _lines: [], "entry 1 is missing, and all that follow it up to entry 12"),
    (went_on, "entry 13 was added after entry 12, the last one that is signed"),
    (lambda lines: [*lines[: THEFT - 1], b"\xff\x00", *lines[THEFT:]], "entry 7 was edited: it is no entry any more"),
    (lambda lines: [*lines[: THEFT - 1], lines[THEFT - 1] + b" ", *lines[THEFT:]], "entry 7 was edited"),
    (lambda lines: [*lines[: THEFT - 1], lines[1], *lines[THEFT:]], "entry 7 was edited, or removed"),
    (lambda lines: [lines[0], changed(lines[1], before="f" * 64), *lines[2:]], "entry 2 was edited"),
    (lambda lines: [changed(lines[0], operator="somebody"), *lines[1:]], "entry 1 was edited"),
    (lambda lines: [*lines[:-1], changed(lines[-1], operator="somebody")], "entry 12 was edited"),
]


@pytest.mark.parametrize(("attack", "told"), DONE)
def test_the_first_entry_that_is_not_as_it_was_is_named(
    store: CaStore, attack: Callable[[Lines], Lines], told: str
) -> None:
    """J1: an entry is edited, removed, added, moved, or the end is cut off."""
    before = lines_of(store)
    put(store, before)
    assert store.check_journal() == (12, 0), "the control: written back by the same hand, it holds"
    put(store, attack(before))
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith(told)
    assert str(folder(store)) in failure.value.message.where


@pytest.mark.parametrize("attack", [edited, removed, added, reordered])
def test_who_chains_all_that_follows_anew_is_noticed_at_the_signed_end(
    store: CaStore, attack: Callable[[Lines], Lines]
) -> None:
    """J2: the hashes can be made by anybody; the last one cannot be signed by anybody."""
    before = lines_of(store)
    assert chained_anew(before) == before, "the control: this is how the chain is made"
    put(store, chained_anew(attack(before)))
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith(("entry 12 ", "entry 13 "))


def test_a_segment_that_is_gone_is_missed_and_the_journal_of_before_is_another(store: CaStore, owned: Root) -> None:
    """J3: whole files are removed, or put back to what they were."""
    earlier, now = folder(store).with_name("earlier"), folder(store).with_name("now")
    shutil.copytree(folder(store) / "journal", earlier)
    keep(store, [record(make_leaf(owned)) for _item in range(4)])
    shutil.copytree(folder(store) / "journal", now)

    def show(what: Path) -> None:
        shutil.rmtree(folder(store) / "journal")
        shutil.copytree(what, folder(store) / "journal")

    show(earlier)
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith("entry 1")
    assert "is missing, and all that follow it up to entry 16" in failure.value.message.what
    for place, segment in enumerate(segments(store)[:-1]):
        show(now)
        first = int(segment.name[:12])
        segments(store)[place].unlink()
        with refused("journal-changed") as failure:
            store.check_journal()
        assert failure.value.message.what.startswith(f"entry {first} is missing")
    show(now)
    assert store.check_journal() == (16, 0), "the control"


def test_an_older_end_under_the_name_of_the_new_one_is_cut_off(store: CaStore, owned: Root) -> None:
    """J4: the index names the last segment by a hash, but a name says nothing of what is inside."""
    *_closed, last = segments(store)
    older = last.read_bytes()
    signed = len(lines_of(store))
    keep(store, [record(make_leaf(owned))])
    *_closed, last = segments(store)
    assert store.check_journal().signed == signed + 1, "the control"
    last.write_bytes(older)
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith("entry ")


def test_the_journal_of_another_ca_is_not_this_ones(store: CaStore, tmp_path: Path, owned: Root) -> None:
    """J5: an entry, and then all of them, come from the store of another instance."""
    other, root = file_store(tmp_path / "other"), make_root()
    other.create(PASSPHRASE, root.key, root.view.pem)
    for _turn in range(3):
        keep(other, [record(make_leaf(root)) for _item in range(3)])
    assert other.check_journal() == (12, 0), "the control: where it belongs it holds"
    before, strange = lines_of(store), lines_of(other)
    put(store, [*before[: THEFT - 1], strange[THEFT - 1], *before[THEFT:]])
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith("entry 7 was edited")
    put(store, strange)
    with refused("journal-changed") as failure:
        store.check_journal()
    assert failure.value.message.what.startswith("entry 12 was edited")


def test_an_index_that_names_another_end_is_not_believed(store: CaStore) -> None:
    """J6: the index is made to fit the journal that was cut off."""
    path = folder(store) / "authority.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    index = index_from_json(content, name="index", where="", damaged=lambda why: pytest.fail(why))
    before = lines_of(store)[: THEFT - 1]
    head = replace(index.journal, entries=len(before), digest=sha256(before[-1]).hexdigest())
    for forged in (replace(index, journal=head), replace(index, journal=type(head)())):
        path.write_text(json.dumps(index_to_json(forged)), encoding="utf-8")
        with refused("store-unvouched"):
            store.check_journal()
    path.write_text(json.dumps(index_to_json(index)), encoding="utf-8")
    assert store.check_journal() == (12, 0), "the control"


# -- siblings ------------------------------------------------------------------------------------------------------


def note(store: CaStore, where: str = "ca") -> None:
    error = CrossmeshError(Message.error("rotation-blocked", where=where, what="blocked"))
    store.note(refusal("custom_ca_rotation", error, instance="default", cluster="localhost"))


def unsigned(store: CaStore) -> Path:
    (found,) = (folder(store) / "journal").glob("after-*.jsonl")
    return found


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"key": "open"}, "entry 13 was added: only who has the CA's key writes such"),
    ({"kind": "issued"}, "entry 13 was added: only who has the CA's key writes such"),
    ({"entry": 14}, "entry 13 "),
    ({"before": "f" * 64}, "entry 13 was edited"),
]


@pytest.mark.parametrize(("fields", "told"), FORGED)
def test_what_is_not_signed_yet_is_not_signed_blindly(
    store: CaStore, owned: Root, fields: dict[str, Any], told: str
) -> None:
    """Sibling: an entry is put among those that wait for a signature, and the next run is to vouch for it."""
    note(store)
    path, before = unsigned(store), lines_of(store)
    true = path.read_bytes()
    path.write_bytes(changed(true.rstrip(), **fields) + b"\n")
    for use in (store.check_journal, lambda: keep(store, [record(make_leaf(owned))]), lambda: note(store)):
        with refused("journal-changed") as failure:
            use()
        assert failure.value.message.what.startswith(told)
    assert lines_of(store) == before
    path.write_bytes(true)
    keep(store, [record(make_leaf(owned))])
    assert store.check_journal() == (14, 0), "the control: the true one is signed"


def test_bytes_that_are_no_ascii_among_what_waits_are_one_error(store: CaStore) -> None:
    """Sibling: JSON that a parser takes, and that is not as we write it, ended a run in Python's words."""
    note(store)
    path = unsigned(store)
    path.write_bytes(path.read_bytes().replace(b'"custom_ca_rotation"', '"cüstom"'.encode()))
    for use in (store.check_journal, lambda: note(store)):
        with refused("journal-changed"):
            use()


def test_what_waits_is_kept_though_its_last_line_has_no_end(store: CaStore, owned: Root) -> None:
    """Sibling: two entries become one line, and both are lost."""
    note(store)
    path = unsigned(store)
    path.write_bytes(path.read_bytes().rstrip())
    note(store, "another place")
    keep(store, [record(make_leaf(owned))])
    assert store.check_journal() == (15, 0)


def test_a_change_does_not_follow_on_an_end_that_was_edited(store: CaStore, owned: Root) -> None:
    """Sibling: the next run writes the last segment anew, and what was done to it is signed."""
    before = lines_of(store)
    index = (folder(store) / "authority.json").read_bytes()
    put(store, [*before[:-1], changed(before[-1], cluster="cluster-c")])
    with refused("journal-changed") as failure:
        keep(store, [record(make_leaf(owned))])
    assert failure.value.message.what.startswith("entry 12 was edited")
    assert (folder(store) / "authority.json").read_bytes() == index
    put(store, before)
    keep(store, [record(make_leaf(owned))])
    assert store.check_journal() == (13, 0), "the control"


def test_an_operators_name_writes_no_second_entry(tmp_path: Path, owned: Root) -> None:
    """Sibling: a name of several lines is to pass for entries of their own."""
    store = file_store(tmp_path / "named")
    store.create(PASSPHRASE, owned.key, owned.view.pem)
    authority = store.public()
    assert authority is not None
    store.vouch(PASSPHRASE, authority, Event("bundle", {"cluster": 'b"}\n{"entry":5,"kind":"revoked"}\n'}))
    found = [json.loads(line) for line in lines_of(store)]
    assert [entry["kind"] for entry in found] == ["begun", "created", "root-trusted", "bundle"]
    assert store.check_journal() == (4, 0)


def test_an_entry_that_a_terminal_would_obey_is_written_out(store: CaStore, capsys: pytest.CaptureFixture[str]) -> None:
    """J: whoever reads what was done reads all of it, though the entry was made to clear the screen."""
    clear = "\x1b[2J\x1b[HNOTHING WAS DONE"
    lines = lines_of(store)
    put(store, [*lines[:3], changed(lines[3], operator=clear), *lines[4:]])
    assert json.loads(lines_of(store)[3])["operator"] == clear, "the control"
    result = run_action(mesh_history_info, {}, {"mesh_links": [], "custom_ca_dir": str(folder(store))})
    told = capsys.readouterr().out
    assert r"\u001b[2J\u001b[HNOTHING WAS DONE" in told
    assert "\x1b" not in told + repr(result).encode().decode("unicode_escape")
    assert "entry 4 was edited" in told.splitlines()[-1]
