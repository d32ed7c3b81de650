# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B: somebody can write to the folder of the CA store, and has not its passphrase.

What the product would believe or write is compared with what the CA's key has signed, at some time: nothing else may
get through, and whatever he does is one error, or has no effect.
"""

from __future__ import annotations

import base64
import copy
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Endorsement, Head, Index, index_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.vouching import sealed
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import ANNOTATION_WITNESS
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates
from tests.store.course import PHASES, Course, course_in, run, work
from tests.store.tampering import UNTOUCHED, Case, cases, judged, told
from tests.unit.ca.support import as_earlier_release, file_store, folder, index_of, keep, quick, record, witness
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused

HIS_PASSPHRASE = "a passphrase of his own"
THEFT = "ab"


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def revoke(store: CaStore, *serials: str, passphrase: str = PASSPHRASE, later: timedelta = timedelta()) -> Authority:
    revoked = tuple(Revoked(serial, NOW, "keyCompromise") for serial in serials)
    wanted = {root.fingerprint: revoked for root in public(store).trusted} if serials else {}
    return store.publish(passphrase, lambda _authority: wanted, now=NOW + later)


@pytest.fixture
def owned() -> Root:
    """The root that is in service."""
    return make_root()


@pytest.fixture
def his() -> Root:
    """The attacker's."""
    return make_root()


@pytest.fixture
def store(tmp_path: Path, owned: Root) -> CaStore:
    made = file_store(tmp_path / "ca")
    made.create(PASSPHRASE, owned.key, owned.view.pem)
    records = [record(make_leaf(owned)), record(make_leaf(owned))]
    assert made.record(records, made.signer(PASSPHRASE), NOW, home=("cluster-b", "uid-of-b"))
    return made


def in_service(store: CaStore) -> FakeApi:
    """A cluster with the gateway's Secret after a first run."""
    api = FakeApi()
    run(api, store)
    api.calls.clear()
    return api


def write_index(store: CaStore, index: Index) -> None:
    (folder(store) / "authority.json").write_text(json.dumps(index_to_json(index)), encoding="utf-8")


def put(store: CaStore, name: str, text: str) -> None:
    path = folder(store) / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")


def drop_in(store: CaStore, root: Root) -> str:
    """Lay a root of his own beside the others, its key under a passphrase of his own."""
    name = root.view.fingerprint
    put(store, f"roots/{name}.crt", root.view.pem)
    put(store, f"roots/{name}.key", encrypt_private_key(root.key, HIS_PASSPHRASE, 1000, fewest=1000))
    return name


# -- what was done to d3897ca --------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [PASSPHRASE, ""])
def test_a_root_that_is_appended_to_the_trusted_ones_is_trusted_by_nobody(
    store: CaStore, his: Root, passphrase: str
) -> None:
    """B1: on d3897ca both roots went into every Secret, with an empty passphrase."""
    api = in_service(store)
    before = index_of(store)
    write_index(store, replace(before, trusted=(*before.trusted, drop_in(store, his))))
    with refused("store-unvouched"):
        store.public()
    with refused("store-unvouched"):
        run(api, store, passphrase)
    assert api.calls == []
    # The control: the same by who has the passphrase.
    write_index(store, before)
    store.prepare(PASSPHRASE, his.key, his.view.pem, seen=public(store).state, now=NOW)
    run(api, store)
    assert len(parse_certificates(trusted_in(api))) == 2


def trusted_in(api: FakeApi) -> str:
    return base64.b64decode(api.objects[0]["data"]["ca.crt"]).decode()


def his_own(store: CaStore, owned: Root, his: Root, **changes: Any) -> None:
    """A store that is all his, signed by his root, in the place of the true one."""
    name = drop_in(store, his)
    index = Index(name, (owned.view.fingerprint, name), inherited=(owned.view.fingerprint,))
    write_index(store, sealed(replace(index, **changes), his.key, after=99))


@pytest.mark.parametrize("passphrase", [PASSPHRASE, "", HIS_PASSPHRASE])
@pytest.mark.parametrize("lost", [False, True])
def test_a_store_of_his_own_that_knows_the_true_root_adds_nothing(
    store: CaStore, owned: Root, his: Root, passphrase: str, lost: bool
) -> None:
    """B2: no signature tells a store that is whole and his from one that was recovered; the passphrase does."""
    api = in_service(store)
    true = owned.view.fingerprint
    found = {"issuing": true, "prepared": his.view.fingerprint, "keyless": (true,)} if lost else {}
    his_own(store, owned, his, **found)
    assert his.view in public(store).trusted, "the control: read by itself it is a store like any other"
    if passphrase == HIS_PASSPHRASE:
        run(api, store, passphrase)
        assert his.view.pem in trusted_in(api), "the control: who has the passphrase that opens it gets it written"
        return
    with refused("wrong-passphrase"):
        run(api, store, passphrase)
    assert api.calls == []


def test_a_certificate_over_the_true_key_with_another_name_and_a_century_issues_nothing(
    store: CaStore, owned: Root, his: Root
) -> None:
    """B3: on d3897ca signer() opened with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another")])
    true = x509.load_pem_x509_certificate(owned.view.pem.encode()).public_key()
    forged = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(true)
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 36_000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (other,) = parse_certificates(forged.public_bytes(serialization.Encoding.PEM))
    assert other.public_key_fingerprint == owned.view.public_key_fingerprint
    before, true_name = index_of(store), owned.view.fingerprint
    true_key = (folder(store) / "roots" / f"{true_name}.key").read_text(encoding="ascii")
    store.signer(PASSPHRASE)
    put(store, f"roots/{other.fingerprint}.crt", other.pem)
    put(store, f"roots/{other.fingerprint}.key", true_key)
    write_index(store, replace(before, issuing=other.fingerprint, trusted=(other.fingerprint,)))
    with refused("store-unvouched"):
        store.signer(PASSPHRASE)
    write_index(store, before)
    put(store, f"roots/{true_name}.crt", other.pem)
    with refused("store-damaged"):
        store.signer(PASSPHRASE)


def test_a_certificate_that_is_no_ca_is_no_root_even_where_the_index_is_signed(store: CaStore, owned: Root) -> None:
    """B1: not even CA:TRUE was asked on d3897ca."""
    leaf = make_leaf(owned).view
    put(store, f"roots/{leaf.fingerprint}.crt", leaf.pem)
    index = replace(index_of(store), trusted=(owned.view.fingerprint, leaf.fingerprint), inherited=(leaf.fingerprint,))
    write_index(store, sealed(index, owned.key, after=9))
    with refused("store-unvouched") as failure:
        store.public()
    assert "not a CA" in failure.value.message.what


def each_record(store: CaStore) -> list[Path]:
    return sorted(folder(store).glob("issued/*.json"))


def edited(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "cluster": "another"}), encoding="utf-8")


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (lambda first, _second: first.unlink(), "store-damaged"),
        (lambda first, _second: edited(first), "record-changed"),
        (lambda first, second: first.write_bytes(second.read_bytes()), "record-changed"),
        (lambda first, _second: os.truncate(first, 10), "record-changed"),
    ],
)
def test_records_that_were_taken_away_or_changed_take_no_revocation_back(
    store: CaStore, attack: Callable[[Path, Path], object], code: str
) -> None:
    """B4: on d3897ca the next publish took all CRLs away without a passphrase, or listed another serial."""
    revoke(store, THEFT)
    assert len(store.records(NOW)) == 2
    attack(*each_record(store))
    with refused(code) as failure:
        store.records(NOW)
    assert "/issued/" in str(failure.value)
    with refused("wrong-passphrase"):
        revoke(store, passphrase="")
    assert [item.serial for crl in store.lists().values() for item in crl.revoked] == [THEFT]


def test_a_record_that_is_put_in_counts_for_nothing(store: CaStore, owned: Root) -> None:
    """B4, the other way: he adds one."""
    before, mine = store.records(NOW), record(make_leaf(owned))
    put(store, f"issued/{mine.serial}.json", json.dumps(mine.to_json()))
    assert store.records(NOW) == before
    keep(store, [])
    assert not (folder(store) / "issued" / f"{mine.serial}.json").exists()


def test_a_list_that_is_rolled_back_is_noticed(store: CaStore) -> None:
    """B5: an older list, which the key has signed, under the name of the one that counts."""
    revoke(store, "cd")
    (old,) = folder(store).glob("lists/*.crl")
    older = old.read_bytes()
    revoke(store, "cd", THEFT, later=DAY)
    (new,) = folder(store).glob("lists/*.crl")
    assert store.lists()
    new.write_bytes(older)
    with refused("store-unvouched") as failure:
        store.lists()
    assert "the CRL of root" in failure.value.message.what


def test_revocations_are_not_undone_in_gateways_without_the_passphrase(store: CaStore, owned: Root, his: Root) -> None:
    """B5, sibling: a store of his own beside whose true root there is no CRL any more."""
    revoke(store, THEFT)
    api = in_service(store)
    assert "ca.crl" in api.objects[0]["data"]
    true, name = owned.view.fingerprint, drop_in(store, his)
    found = Index(true, (true, name), prepared=name, keyless=(true,), inherited=(true,))
    write_index(store, sealed(found, his.key, after=99))
    for passphrase in ("", PASSPHRASE):
        with refused("wrong-passphrase"):
            run(api, store, passphrase)
    assert api.calls == []


def test_a_pipe_in_the_place_of_the_index_stops_nobody_for_ever(store: CaStore) -> None:
    """B6: a run waited for it without end."""
    index = folder(store) / "authority.json"
    content = index.read_bytes()
    index.unlink()
    os.mkfifo(index, 0o600)
    with refused("not-a-file"):
        store.public()
    index.unlink()
    put(store, "authority.json", content.decode())
    assert store.public()


def test_a_new_store_is_not_passed_off_as_an_old_one(store: CaStore, his: Root) -> None:
    """B7: the format without signatures is read by the step that takes it over, and that opens every root's key."""
    as_earlier_release(store)
    index = folder(store) / "authority.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    theirs = drop_in(store, his)
    put(store, "authority.json", json.dumps({**content, "trusted": [*content["trusted"], theirs]}))
    for call in (store.public, lambda: store.signer(PASSPHRASE), lambda: run(FakeApi(), store)):
        with refused("store-unsigned"):
            call()
    with refused("wrong-passphrase"):
        store.take_over(PASSPHRASE, [*content["trusted"], theirs])
    put(store, "authority.json", json.dumps(content))
    # The control.
    store.take_over(PASSPHRASE, content["trusted"])
    run(FakeApi(), store)


@pytest.mark.parametrize("lost", ["his", "true"])
def test_nothing_is_smuggled_into_a_store_of_an_earlier_release(
    store: CaStore, owned: Root, his: Root, lost: str
) -> None:
    """B7, a sibling: who goes back to the old format has a root taken over whose key he calls lost.

    The operator names the roots that the message lists, unread; every gateway got his.
    """
    as_earlier_release(store)
    content = json.loads((folder(store) / "authority.json").read_text(encoding="utf-8"))
    true, name = owned.view.fingerprint, his.view.fingerprint
    put(store, f"roots/{name}.crt", his.view.pem)
    both: dict[str, Any] = {"trusted": [true, name], "keyless": [name]}
    if lost == "true":
        drop_in(store, his)
        both |= {"keyless": [true], "prepared": name}
    put(store, "authority.json", json.dumps({**content, **both}))
    for passphrase in (PASSPHRASE, HIS_PASSPHRASE):
        with refused("take-over-keyless"):
            store.take_over(passphrase, [true, name])
    put(store, "authority.json", json.dumps({**content, "endorsements": {}}))
    with refused("store-damaged"):
        store.take_over(PASSPHRASE, [true])
    # The control.
    put(store, "authority.json", json.dumps(content))
    store.take_over(PASSPHRASE, [true])
    api = FakeApi()
    run(api, store)
    assert trusted_in(api) == owned.view.pem


def test_the_old_format_does_not_silence_what_clusters_have_seen(store: CaStore) -> None:
    """B7, a sibling: once it was taken over, no cluster could tell any more that the store is an older one."""
    seen = {"cluster-b": {"istio-system/mysql": witness(store)}}
    keep(store, [])
    assert store.doubts(seen).made_up == (), "the control"
    root = public(store).trusted[0].fingerprint
    as_earlier_release(store)
    store.take_over(PASSPHRASE, [root])
    assert [warning.code for warning in store.doubts(seen).made_up] == ["ca-store-begun-anew"]


def test_a_lock_that_is_his_link_is_not_followed(store: CaStore, tmp_path: Path) -> None:
    """B8: on d3897ca the target was made, and held, in somebody's name."""
    lock, target = folder(store) / "lock", tmp_path / "somewhere"
    lock.unlink()
    lock.symlink_to(target)
    with refused("not-a-file"):
        keep(store, [])
    assert not target.exists()


@pytest.mark.parametrize("passphrase", [PASSPHRASE, ""])
def test_an_older_copy_of_the_whole_store_is_told_by_what_the_cluster_has_seen(
    store: CaStore, owned: Root, tmp_path: Path, passphrase: str
) -> None:
    """A6: on d3897ca a backup from the middle of a rotation brought the retired root back."""
    following = make_root()
    store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    shutil.copytree(folder(store), tmp_path / "older")
    store.switch(PASSPHRASE, seen=public(store).state)
    api = FakeApi()
    run(api, store)
    store.retire(PASSPHRASE, seen=public(store).state)
    run(api, store)
    run(api, store)
    assert trusted_in(api) == following.view.pem, "the control: no run but the last is stopped"
    api.calls.clear()
    shutil.rmtree(folder(store))
    shutil.copytree(tmp_path / "older", folder(store))
    assert public(store).issuing == owned.view, "the key has signed it, at that time"
    with refused("store-rolled-back") as failure:
        run(api, store, passphrase)
    assert "cluster cluster-b" in failure.value.message.what
    assert api.calls == []


def test_a_cluster_that_makes_up_what_it_has_seen_stops_nobody(store: CaStore) -> None:
    """Sibling of A6 and D: the witness is signed."""
    api = in_service(store)
    notes = api.objects[0]["metadata"]["annotations"]
    (name, true), *_rest = notes.items()
    generation, rest = true.split(" ", 1)
    for text in (f"{int(generation) + 9} {rest}", "", "9 9 9 9", true + "x"):
        notes[name] = text
        run(api, store)


def test_a_lock_that_is_held_for_ever_is_an_error_in_time(store: CaStore, tmp_path: Path) -> None:
    """D4: on d3897ca writers waited without end, and nothing said for whom."""
    key, hasty = store.signer(PASSPHRASE), quick(FileStorage(folder(store), patience=0.1))
    descriptor = os.open(folder(store) / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b'{"pid": 4711, "host": "a \\u001b[2J host", "since": "ever"}', 0)
        with refused("lock-held") as failure:
            hasty.record([], key, NOW)
        assert "process 4711 on a \\u001b[2J host" in visible(failure.value.message.what)
        # Readers wait for nobody.
        assert hasty.records(NOW)
    finally:
        os.close(descriptor)
    # The control.
    assert hasty.record([], key, NOW)


# -- siblings ------------------------------------------------------------------------------------------------------


# What he writes into each field, by what is there.
MOVED: list[tuple[str, Callable[[Index], Any]]] = [
    ("issuing", lambda _index: "0" * 64),
    ("trusted", lambda index: (*index.trusted, "0" * 64)),
    ("prepared", lambda index: index.issuing),
    ("retiring", lambda _index: ("0" * 64,)),
    ("retired", lambda _index: ("0" * 64,)),
    ("keyless", lambda index: index.trusted),
    ("lists", lambda index: {index.issuing: 7}),
    ("last_number", lambda _index: 10**12),
    ("endorsements", lambda index: {index.issuing: Endorsement(index.issuing, "AAAA")}),
    ("inherited", lambda index: index.trusted),
    ("instance", lambda _index: "two"),
    ("shared", lambda index: index.trusted),
    ("issued", lambda _index: ""),
    ("identity", lambda _index: "0" * 32),
    ("clusters", lambda _index: {}),
    ("clusters", lambda _index: {"cluster-b": "uid-of-his"}),
    ("journal", lambda _index: Head()),
    ("journal", lambda index: replace(index.journal, entries=index.journal.entries - 1)),
    ("journal", lambda index: replace(index.journal, digest="0" * 64)),
    ("journal", lambda index: replace(index.journal, segment=index.journal.segment + 1)),
    ("observed", lambda _index: "0" * 64),
    ("generation", lambda _index: 10**6),
    ("signature", lambda _index: "AAAA"),
]


@pytest.mark.parametrize(("field", "moved"), MOVED)
def test_no_field_of_the_index_is_moved(store: CaStore, field: str, moved: Callable[[Index], Any]) -> None:
    """Sibling of B1: a phase, a number, a key that is called lost, records that are called none, which cluster it is.

    On d3897ca a phase, a number and a lost key were believed. It kept nothing of which cluster it is, so that a run did
    not notice that its connection led to another one.
    """
    before = index_of(store)
    write_index(store, before)
    assert store.public()
    write_index(store, replace(before, **{field: moved(before)}))
    with pytest.raises(CrossmeshError) as failure:
        store.public()
    assert failure.value.message.code in ("store-unvouched", "store-damaged")


def test_every_field_of_the_index_is_tried() -> None:
    """The control of the one above: a field that comes later is missed here."""
    assert {name for name, _moved in MOVED} == {item.name for item in fields(Index)}


def test_another_clusters_uid_beside_the_index_counts_for_nothing(store: CaStore) -> None:
    """Sibling of B1: the unsigned files in which an earlier format kept which cluster has a name's certificates."""
    put_cluster(store, "cluster-b", "uid-of-his")
    assert store.clusters() == {"cluster-b": "uid-of-b"}
    keep(store, [])
    assert not list(folder(store).glob("clusters/*"))
    # The control: a store of that time, in which nothing else could tell; once it is taken over, it is signed.
    as_earlier_release(store)
    put_cluster(store, "cluster-b", "uid-of-b")
    store.take_over(PASSPHRASE, [path.stem for path in folder(store).glob("roots/*.crt")])
    assert store.clusters() == {"cluster-b": "uid-of-b"}


def put_cluster(store: CaStore, name: str, uid: str) -> None:
    (folder(store) / "clusters").mkdir(mode=0o700, exist_ok=True)
    put(store, f"clusters/{name}.json", json.dumps({"uid": uid}))


def test_a_store_that_is_exchanged_while_a_run_works_adds_nothing(
    store: CaStore, owned: Root, his: Root, tmp_path: Path
) -> None:
    """Sibling of B2: his store where the run decides, the true one where the passphrase is tried, and his again."""
    api = in_service(store)
    true, false = tmp_path / "true", tmp_path / "false"
    shutil.copytree(folder(store), true)
    his_own(store, owned, his)
    shutil.copytree(folder(store), false)

    class Exchanged(CaStore):
        def vouch(self, passphrase: str, authority: Authority, *told: Event) -> Authority:
            show(true)
            try:
                return super().vouch(passphrase, authority, *told)
            finally:
                show(false)

    def show(what: Path) -> None:
        shutil.rmtree(folder(store))
        shutil.copytree(what, folder(store))

    with pytest.raises(CrossmeshError) as failure:
        run(api, file_store(folder(store), Exchanged))
    assert failure.value.message.code in ("wrong-passphrase", "file-error")
    assert api.calls == []


def test_a_journal_of_which_the_index_is_gone_is_kept(store: CaStore, tmp_path: Path) -> None:
    """Sibling of J: without index and roots the store passed for an empty one, and the next CA removed its journal."""
    (folder(store) / "authority.json").unlink()
    shutil.rmtree(folder(store) / "roots")
    kept = {path.name: path.read_bytes() for path in folder(store).glob("journal/*")}
    assert kept
    root, lost = make_root(), [make_root().view]
    ways: dict[str, Callable[[CaStore], Authority]] = {
        "create": lambda made: made.create(PASSPHRASE, root.key, root.view.pem),
        "recover": lambda made: made.recover(PASSPHRASE, root.key, root.view.pem, lost),
    }
    for way, make in ways.items():
        with refused("store-damaged") as failure:
            make(store)
        assert "audit journal" in failure.value.message.what
        assert {path.name: path.read_bytes() for path in folder(store).glob("journal/*")} == kept
        # The control: a folder of its own, as the way out of a lost CA asks for.
        assert make(file_store(tmp_path / way)).issuing


@dataclass
class Exchanges:
    """How often the true store is read before an older one lies in its place; a run that ends sooner never sees it."""

    older: Path
    left: int

    def store_at(self, path: Path) -> CaStore:
        exchanges = self

        class Exchanged(FileStorage):
            def snapshot(self, *, records: bool = False) -> Snapshot | None:
                if exchanges.left == 0:
                    shutil.rmtree(path)
                    shutil.copytree(exchanges.older, path)
                exchanges.left -= 1
                return super().snapshot(records=records)

            def commit(self, change: Change, seen: str | None) -> Snapshot:
                super().commit(change, seen)
                found = self.snapshot()
                assert found is not None
                return found

        return quick(Exchanged(path))


def retired_meanwhile(store: CaStore, api: FakeApi, copied: Callable[[], object]) -> None:
    following = make_root()
    store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    run(api, store)
    copied()
    store.switch(PASSPHRASE, seen=public(store).state)
    run(api, store)
    store.retire(PASSPHRASE, seen=public(store).state)
    run(api, store)
    store.finish(PASSPHRASE, seen=public(store).state, keep_keys=True)
    run(api, store)


def recorded_meanwhile(store: CaStore, api: FakeApi, copied: Callable[[], object]) -> None:
    run(api, store)
    copied()
    force(api, store)


def force(api: FakeApi, store: CaStore) -> None:
    ensure(cast(Api, api), store, replace(work(force=True), revoked=[Entry("serial", THEFT, "superseded", NOW)]), NOW)


def witnessed(api: FakeApi) -> int:
    return int(str(api.objects[0]["metadata"]["annotations"][ANNOTATION_WITNESS]).split(" ", 1)[0])


@pytest.mark.parametrize("went_on", [retired_meanwhile, recorded_meanwhile])
def test_an_older_true_store_at_any_time_of_a_run_adds_nothing(
    store: CaStore,
    owned: Root,
    tmp_path: Path,
    went_on: Callable[[CaStore, FakeApi, Callable[[], object]], None],
) -> None:
    """Sibling of A6: the newest store where the run compares, and from then on an older one, signed by the same keys.

    The retired root was trusted again, and had issued; or records of certificates in service were lost, and no run
    after that noticed. The control: the last one that is exchanged too late ends well.
    """
    before, older, newest = FakeApi(), tmp_path / "older", tmp_path / "newest"
    went_on(store, before, lambda: shutil.copytree(folder(store), older))
    shutil.copytree(folder(store), newest)
    trusted, codes = [root.pem for root in public(store).trusted], []
    for reads in range(20):
        shutil.rmtree(folder(store))
        shutil.copytree(newest, folder(store))
        api, exchanges = FakeApi(copy.deepcopy(before.objects)), Exchanges(older, reads)
        try:
            force(api, exchanges.store_at(folder(store)))
        except CrossmeshError as error:
            codes.append(error.message.code)
            assert api.objects == before.objects, reads
        assert trusted_in(api) == "".join(trusted), reads
        assert witnessed(api) >= witnessed(before), reads
        if exchanges.left > 0:
            break
    assert set(codes) == {"store-rolled-back"}
    assert len(codes) > 3
    assert witnessed(api) > witnessed(before)


def test_a_signature_is_for_one_store_only(store: CaStore, tmp_path: Path) -> None:
    """Sibling of B1: the index of another store, signed by its own root, does not fit the roots that lie here."""
    other, root = file_store(tmp_path / "other"), make_root()
    other.create(PASSPHRASE, root.key, root.view.pem)
    shutil.copy(folder(other) / "authority.json", folder(store) / "authority.json")
    with refused("store-damaged"):
        store.public()


def test_a_folder_that_is_his_link_has_nothing_removed_in_it(store: CaStore, owned: Root, tmp_path: Path) -> None:
    """Sibling of B8: on d3897ca the next writer removed what no index named, in a folder that he chose."""
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder(store) / "roots", elsewhere)
    (folder(store) / "roots").symlink_to(elsewhere)
    theirs = elsewhere / "of-another-service.key"
    theirs.touch(mode=0o600)
    with refused("not-a-file"):
        keep(store, [])
    with refused("not-a-file"):
        store.record([], owned.key, NOW)
    assert theirs.exists()
    # The control: in a folder of the store's own it is a leftover.
    (folder(store) / "roots").unlink()
    shutil.move(elsewhere, folder(store) / "roots")
    keep(store, [])
    assert not (folder(store) / "roots" / theirs.name).exists()


# -- every file, each thing that can be done to it, in each phase ---------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course[Path]:
    return course_in(tmp_path_factory.mktemp("course"))


# One case in so many; the rest takes minutes.
SAMPLE = 12


@pytest.mark.parametrize("every", [SAMPLE, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("phase", PHASES)
def test_nothing_gets_through_that_the_key_has_not_vouched_for(
    phase: str, every: int, course: Course[Path], tmp_path: Path
) -> None:
    """B, by generation: whatever is done to a file, gateways get what was signed; a run ends well or in one error."""
    chosen = list(cases(course, phase))
    names = {Path(case.name).suffix or case.name for case in chosen}
    assert names >= {".", "roots", "issued", "lock", ".json", ".crt", ".key", ".ledger"}
    outcomes = [told(course, case, tmp_path / "ca") for case in chosen[::every]]
    assert [(found.case, found.violations) for found in outcomes if found.violations] == []
    ends = [found.ends for found in outcomes]
    assert ends.count("error") > len(ends) // 3, "the control: most is noticed; the rest has no effect, or was once"
    assert "healed" in ends


@pytest.mark.parametrize("phase", PHASES)
def test_a_store_that_nobody_touched_is_used_without_an_error(phase: str, course: Course[Path], tmp_path: Path) -> None:
    """The control of the one above: what it calls an error is the attacker's work."""
    touched = told(course, Case(phase, "lock", UNTOUCHED), tmp_path / "ca")
    assert (touched.ends, touched.codes, touched.violations) == ("healed", (), ())


def test_a_root_that_no_key_vouched_for_is_noticed_in_a_gateway(
    course: Course[Path], tmp_path: Path, his: Root
) -> None:
    """The control of the judgement: the attacker has the passphrase, and his root goes out."""
    path = shutil.copytree(course.kept["steady"], tmp_path / "ca")
    bought = file_store(path)
    bought.prepare(PASSPHRASE, his.key, his.view.pem, seen=public(bought).state, now=NOW)
    found = judged(course, Case("steady", "authority.json", "signed"), partial(file_store, path))
    assert f"root {his.view.fingerprint}" in found.violations


@pytest.mark.parametrize("what", ["record", "cluster", "nothing"])
def test_a_record_and_a_cluster_that_no_key_vouched_for_are_noticed_in_a_store(
    course: Course[Path], tmp_path: Path, what: str
) -> None:
    """The control of the judgement: the attacker has the passphrase, and what he signs is in the index."""
    path = shutil.copytree(course.kept["steady"], tmp_path / "ca")
    bought = file_store(path)
    records = [record(make_leaf(make_root()))] if what == "record" else []
    home = ("cluster-c", "uid-of-his") if what == "cluster" else None
    assert bought.record(records, bought.signer(PASSPHRASE), NOW, home=home)
    found = judged(course, Case("steady", "authority.json", "signed"), partial(file_store, path))
    assert found.violations == (() if what == "nothing" else ("a state that no key has signed",))


def test_files_of_another_instances_journal_are_tried(course: Course[Path]) -> None:
    """The control of the cases: those that are signed, and those that wait for it."""
    tried = {case.name for case in cases(course, "steady") if case.attack.startswith("another instance's ")}
    assert {name[:14] for name in tried if name.startswith("journal/")} == {"journal/after-", "journal/000000"}
