# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of an earlier release, whose index no key has signed: nothing reads it but the step that takes it over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca_rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Outcome, Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import TAKE_OVER, Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.unit.ca.support import as_earlier_release, file_store, folder, journal_of, keep, record
from tests.unit.pki.support import NOW, PASSPHRASE, make_root
from tests.unit.support import refused, run_action

PHASES = ("steady", "prepared", "switched", "retiring")


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def at(path: Path, phase: str) -> CaStore:
    """A store in this phase, with a list for each root."""
    store, root, following = file_store(path), make_root(), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    revoked = (Revoked("ab", NOW, "superseded"),)
    store.publish(PASSPHRASE, lambda found: {item.fingerprint: revoked for item in found.trusted}, now=NOW)
    if phase != "steady":
        store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    if phase in ("switched", "retiring"):
        store.switch(PASSPHRASE, seen=public(store).state)
    if phase == "retiring":
        store.retire(PASSPHRASE, seen=public(store).state)
    return store


def snapshot(store: CaStore) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder(store).rglob("*") if path.is_file() and path.name != "lock"}


def taken_over(store: CaStore, *named: str, passphrase: str = PASSPHRASE, check: bool = False) -> Outcome:
    wanted = Wanted("Test Root CA", "P-256", 3650)
    work = Move(TAKE_OVER, "", passphrase, wanted, [], "default", [], [], [], keep_keys=False, named=named)
    return move(store, work, now=NOW, check_mode=check)


@pytest.mark.parametrize("phase", PHASES)
def test_it_is_read_as_it_was_once_its_roots_were_named(tmp_path: Path, phase: str, leaf: Leaf) -> None:
    store = at(tmp_path / "ca", phase)
    keep(store, [record(leaf)])
    before, lists = public(store), store.lists()
    as_earlier_release(store)
    for call in (store.public, store.lists, lambda: store.signer(PASSPHRASE), lambda: store.records(NOW)):
        with refused("store-unsigned"):
            call()

    assert taken_over(store, *(root.fingerprint for root in before.trusted)).changed
    assert (public(store), store.lists(), store.records(NOW)) == (before, lists, [record(leaf)])
    # It goes on from there, to the end of the rotation.
    for step in {"prepared": ("switch", "retire"), "switched": ("retire",)}.get(phase, ()):
        getattr(store, step)(PASSPHRASE, seen=public(store).state)
    if public(store).phase == "retiring":
        store.finish(PASSPHRASE, seen=public(store).state, keep_keys=False)
    assert public(store).phase == "steady"


def test_a_root_that_was_not_named_is_not_taken_over(tmp_path: Path) -> None:
    store = at(tmp_path / "ca", "steady")
    (root,) = (item.fingerprint for item in public(store).trusted)
    as_earlier_release(store)
    other = make_root()
    theirs = other.view
    (folder(store) / "roots" / f"{theirs.fingerprint}.crt").write_text(theirs.pem, encoding="ascii")
    index = folder(store) / "authority.json"
    content = json.loads(index.read_text(encoding="ascii"))
    index.write_text(json.dumps({**content, "trusted": [root, theirs.fingerprint]}), encoding="ascii")
    before = snapshot(store)
    for named in ([root], [], [theirs.fingerprint], [root, "0" * 64]):
        with refused("take-over-roots") as failure:
            taken_over(store, *named)
        assert theirs.fingerprint in failure.value.message.what
    assert snapshot(store) == before

    # Nor is it where the message's line is copied unread: the passphrase does not open its key.
    with refused("file-error"):
        taken_over(store, root, theirs.fingerprint)
    key = folder(store) / "roots" / f"{theirs.fingerprint}.key"
    key.touch(mode=0o600)
    key.write_text(encrypt_private_key(other.key, "another passphrase", 1000, fewest=1000), encoding="ascii")
    with refused("wrong-passphrase"):
        taken_over(store, root, theirs.fingerprint)
    # The control.
    index.write_text(json.dumps(content), encoding="ascii")
    assert taken_over(store, root).changed


def changed(store: CaStore, **content: Any) -> None:
    """What somebody writes into the index of an earlier release."""
    index = folder(store) / "authority.json"
    index.write_text(json.dumps({**json.loads(index.read_text(encoding="ascii")), **content}), encoding="ascii")


@pytest.fixture
def earlier(tmp_path: Path) -> CaStore:
    store = at(tmp_path / "ca", "steady")
    as_earlier_release(store)
    return store


def only_root(store: CaStore) -> str:
    (root,) = json.loads((folder(store) / "authority.json").read_text(encoding="ascii"))["trusted"]
    return str(root)


def test_a_root_whose_key_is_called_lost_is_not_taken_over(earlier: CaStore) -> None:
    """Nothing but its key told a root of the CA from one that somebody put there, and gateways got it."""
    root, theirs = only_root(earlier), make_root().view
    certificate = folder(earlier) / "roots" / f"{theirs.fingerprint}.crt"
    certificate.touch(mode=0o600)
    certificate.write_text(theirs.pem, encoding="ascii")
    changed(earlier, trusted=[root, theirs.fingerprint], keyless=[theirs.fingerprint])
    before = snapshot(earlier)
    with refused("store-unsigned") as failure:
        public(earlier)
    assert f"root {theirs.fingerprint} ({theirs.subject}, whose key it calls lost)" in failure.value.message.what
    with refused("take-over-keyless") as failure:
        taken_over(earlier, root, theirs.fingerprint)
    assert theirs.fingerprint in failure.value.message.what
    # The one that issues, too: there is then nobody who could sign.
    changed(earlier, trusted=[root], keyless=[root])
    with refused("take-over-keyless"):
        taken_over(earlier, root)
    changed(earlier, trusted=[root, theirs.fingerprint], keyless=[theirs.fingerprint])
    assert snapshot(earlier).keys() == before.keys()
    # The control: what is not trusted is called lost by a recovery that is almost over.
    changed(earlier, trusted=[root], keyless=[theirs.fingerprint])
    assert taken_over(earlier, root).changed
    assert public(earlier).phase == "steady"


def test_the_roots_that_count_as_replaced_are_told_before_they_are_taken_over(earlier: CaStore) -> None:
    """A run goes on where a cluster holds one of them: they are the CA's own."""
    changed(earlier, retiring=["1" * 64], retired=["2" * 64])
    with refused("store-unsigned") as failure:
        public(earlier)
    assert f"and counts root {'1' * 64}, {'2' * 64} as replaced" in failure.value.message.what


@pytest.mark.parametrize(
    "content",
    [
        {"endorsements": {}},
        {"shared": []},
        {"inherited": []},
        {"instance": "blue"},
        {"clusters": {"cluster-a": "his"}},
        {"journal": {"entries": 0, "digest": "1" * 64, "segment": 7}},
        {"generation": 7, "signature": "a signature"},
        {"issued": "0" * 64},
    ],
)
def test_what_the_format_does_not_have_is_not_signed(earlier: CaStore, content: dict[str, Any]) -> None:
    root = only_root(earlier)
    index = folder(earlier) / "authority.json"
    before = index.read_bytes()
    changed(earlier, **content)
    with refused("store-damaged") as failure:
        taken_over(earlier, root)
    assert f"authority.json has {', '.join(content)}" in failure.value.message.what
    # The control.
    index.write_bytes(before)
    assert taken_over(earlier, root).changed


def test_the_number_of_the_next_list_follows_from_lists_that_a_key_has_signed(earlier: CaStore) -> None:
    """RFC 5280 section 5.2.3: of at most 20 octets; a greater one could never be issued."""
    changed(earlier, last_number=2**170)
    assert taken_over(earlier, only_root(earlier)).changed
    revoked = (Revoked("cd", NOW, "superseded"),)
    earlier.publish(PASSPHRASE, lambda found: {item.fingerprint: revoked for item in found.trusted}, now=NOW)
    assert [item.serial for crl in earlier.lists().values() for item in crl.revoked] == ["cd"]


@pytest.mark.parametrize("name", [f"{1:012}-{'0' * 64}", f"after-{'0' * 64}", f"{1:012}"])
@pytest.mark.parametrize("content", [b'{"entry":1,"kind":"issued","operator":"nobody"}\n', b"\xff\n"])
def test_a_journal_that_somebody_laid_there_is_not_continued(earlier: CaStore, name: str, content: bytes) -> None:
    """The format has none; it was signed with the first entry, and each later write stopped at it."""
    journal = folder(earlier) / "journal"
    journal.mkdir(mode=0o700)
    (journal / f"{name}.jsonl").touch(mode=0o600)
    (journal / f"{name}.jsonl").write_bytes(content)
    assert taken_over(earlier, only_root(earlier)).changed
    assert [entry["kind"] for entry in journal_of(earlier)][:2] == ["begun", "taken-over"]
    before = earlier.check_journal()
    keep(earlier, [])
    earlier.vouch(PASSPHRASE, public(earlier), Event("bundle", {}))
    assert earlier.check_journal().signed == before.signed + 1


def test_a_wrong_passphrase_and_check_mode_change_nothing(tmp_path: Path) -> None:
    store = at(tmp_path / "ca", "prepared")
    named = [root.fingerprint for root in public(store).trusted]
    as_earlier_release(store)
    before = snapshot(store)
    with refused("wrong-passphrase"):
        taken_over(store, *named, passphrase="another passphrase")
    outcome = taken_over(store, *named, check=True)
    assert (outcome.changed, outcome.message) == (True, "would take over the store")
    assert snapshot(store) == before


def test_a_store_of_this_release_is_left_alone_and_where_there_is_none_none_is_made(tmp_path: Path) -> None:
    store = at(tmp_path / "ca", "steady")
    before = snapshot(store)
    assert not taken_over(store, "0" * 64).changed
    assert snapshot(store) == before
    with refused("no-ca"):
        taken_over(file_store(tmp_path / "nothing"))


@pytest.mark.parametrize("content", ["[]", '{"serial": "1"}'])
def test_a_record_that_cannot_be_read_stops_it(tmp_path: Path, leaf: Leaf, content: str) -> None:
    store = at(tmp_path / "ca", "steady")
    keep(store, [record(leaf)])
    named = [root.fingerprint for root in public(store).trusted]
    as_earlier_release(store)
    (folder(store) / "issued" / f"{leaf.view.serial}.json").write_text(content, encoding="ascii")
    with refused("store-damaged" if content == "[]" else "unreadable-record") as failure:
        taken_over(store, *named)
    assert leaf.view.serial in str(failure.value)


def test_the_action_takes_the_variables_of_the_inventory(tmp_path: Path) -> None:
    store, root = CaStore(FileStorage(tmp_path / "ca")), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    before = public(store)
    as_earlier_release(store)
    variables = {"custom_ca_dir": str(tmp_path / "ca"), "custom_ca_passphrase": PASSPHRASE}
    arguments = {"step": TAKE_OVER, "named": [root.view.fingerprint]}
    tried = run_action(custom_ca_rotation, arguments, variables, check=True)
    assert (tried["changed"], tried["phase"]) == (True, "absent")
    done = run_action(custom_ca_rotation, arguments, variables)
    assert (done["changed"], done["phase"]) == (True, "steady")
    assert replace(public(store)) == before
