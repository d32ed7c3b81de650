# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""B and A6: an older copy of the whole CA store lies in its place, put there by somebody or restored from a backup.

All of it is signed. What tells is what the clusters have seen: each Secret says which state of the store its trust was
written from, with the signature of that state, so that nobody can make one up.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Outcome, Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import RECONCILE, Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.restoration import Held, held_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry, revoked_serials
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import secret_view
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of, ensure
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import make_plan
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import witnesses_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.unrecorded import held_in, unrecorded_in
from tests.attacks.test_b_store import THEFT, in_service, public, revoke, trusted_in
from tests.store.course import run, work
from tests.unit.ca.support import file_store, folder, journal_of, keep, witness
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_root
from tests.unit.plan.test_plan import AUTHORITY, ROOT, leaf_of, reading, secret, serving
from tests.unit.support import CHECKOUT, SERVER, Json, codes_of, link, refused, view


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    made, root = file_store(tmp_path / "ca"), make_root()
    made.create(PASSPHRASE, root.key, root.view.pem)
    return made


def note_of(api: FakeApi) -> str:
    return str(api.objects[0]["metadata"]["annotations"][names.ANNOTATION_WITNESS])


def put_note(api: FakeApi, text: str) -> None:
    api.objects[0]["metadata"]["annotations"] = {names.ANNOTATION_WITNESS: text}


def copied(store: CaStore, path: Path) -> Path:
    return shutil.copytree(folder(store), path)


def put_back(store: CaStore, copy: Path) -> None:
    shutil.rmtree(folder(store))
    shutil.copytree(copy, folder(store))


def looked(api: FakeApi, store: CaStore) -> Mapping[str, Any]:
    """What a look at the cluster makes of the store."""
    kept = {"cluster-b": witnesses_of(map(secret_view, api.objects))}
    return ca_reading(store, authority_of(store), (), NOW, seen=kept)


# -- an older copy -------------------------------------------------------------------------------------------------


def test_every_playbook_that_looks_at_a_cluster_tells_an_older_copy(store: CaStore, tmp_path: Path) -> None:
    """A6: on d3897ca C(verify) said that all is well, and C(site) went on from the older copy."""
    older = copied(store, tmp_path / "older")
    api = in_service(store)
    side = view([link()], SERVER)["server"]

    def plan_errors() -> list[str]:
        seen: Any = reading(**looked(api, store), secrets=[secret_view(item) for item in api.objects])
        plan = make_plan(seen, side, [], authority_of(store), work().policy, NOW)
        assert set(codes_of(plan.barring)) <= set(codes_of(plan.errors))
        return codes_of(plan.barring)

    assert plan_errors() == [], "the control"
    put_back(store, older)
    assert plan_errors() == ["store-rolled-back"]


def test_a_copy_of_before_a_revocation_lets_nobody_in_again(store: CaStore, tmp_path: Path) -> None:
    """A6, sibling: the copy of before a revocation; on d3897ca the older list, or none, went into every gateway."""
    api = in_service(store)
    older = copied(store, tmp_path / "older")
    revoke(store, THEFT)
    run(api, store)
    assert "ca.crl" in api.objects[0]["data"]
    put_back(store, older)
    api.calls.clear()
    with refused("store-rolled-back"):
        run(api, store)
    assert api.calls == []
    assert "ca.crl" in api.objects[0]["data"]


def test_another_run_that_goes_on_meanwhile_is_no_rollback(store: CaStore) -> None:
    """The control of all: a later state that is the store's own is never held against it."""
    api = in_service(store)
    before = note_of(api)
    keep(store, [])
    following = make_root()
    store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    run(api, store)
    assert following.view.pem in trusted_in(api)
    assert note_of(api) != before
    assert looked(api, store)["doubts"] == {"rolled_back": [], "later": "", "made_up": []}


def test_a_run_that_changes_nothing_writes_no_annotation(store: CaStore) -> None:
    """The counter goes on with each certificate of others; that alone is no reason to write anywhere."""
    api = in_service(store)
    before = note_of(api)
    keep(store, [])
    assert witness(store) != before, "the control: the store has gone on"
    run(api, store)
    assert api.calls == []
    assert note_of(api) == before


# -- a root that the CA does not know ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["nowhere", "pod", "Secret", "store"])
def test_a_root_that_no_record_of_the_ca_has_is_told_wherever_it_is(place: str) -> None:
    """B: on d3897ca C(verify) said ok, whichever root a gateway trusted that its CA had never made."""
    leaf, his = leaf_of(), make_root()
    both = f"{ROOT.view.pem}{his.view.pem}"
    trusted = [ROOT.view.fingerprint, *([his.view.fingerprint] if place == "pod" else [])]
    pod = serving(leaf, trust={"mysql-credential": {"roots": trusted, "lists": []}})
    kept = secret(leaf, trust=both if place == "Secret" else ROOT.view.pem)
    authority = replace(AUTHORITY, trusted=(ROOT.view, his.view)) if place == "store" else AUTHORITY
    seen = reading(secrets=[kept], pods={"server": [pod], "client": []})
    plan = make_plan(seen, view([link()], SERVER)["server"], [], authority, work().policy, NOW)
    told = {
        "pod": codes_of(plan.standing.alarms) == ["gateway-root"],
        "Secret": codes_of(plan.barring) == ["wrong-store"],
        "store": [item.decision.reason for item in plan.work.due] == ["trust-changed"],
    }
    assert [where for where, is_told in told.items() if is_told] == ([] if place == "nowhere" else [place])


# -- what a hostile cluster makes of it ----------------------------------------------------------------------------


@pytest.mark.parametrize("made_up", ["a generation of his own", "garbage", "another signature"])
def test_a_witness_that_is_made_up_costs_its_cluster_a_warning(store: CaStore, made_up: str) -> None:
    """D and A6: who holds one cluster writes what he likes into the annotation, and stops nobody with it."""
    api = in_service(store)
    assert looked(api, store)["doubts"]["made_up"] == [], "the control"
    generation, rest = note_of(api).split(" ", 1)
    texts = {
        "a generation of his own": f"{int(generation) + 9} {rest}",
        "garbage": "\x1b[31m" + "x" * 5000,
        "another signature": f"{int(generation) + 9} {rest[:-8]}AAAAAAA=",
    }
    put_note(api, texts[made_up])
    found = looked(api, store)["doubts"]
    assert (found["rolled_back"], found["later"]) == ([], "")
    (warning,) = found["made_up"]
    assert (warning["code"], warning["level"]) == ("ca-store-annotation", "warning")
    run(api, store)


def test_the_witness_of_another_store_with_the_same_root_stops_nobody(tmp_path: Path) -> None:
    """Sibling of A6 and A7: two instances brought in one root of the user's own, and one cluster has both.

    What its administrator copies from one instance's Secret to the other's is signed by the very root.
    """
    root = make_root()
    one, other = file_store(tmp_path / "one"), file_store(tmp_path / "other")
    for made in (one, other):
        made.create(PASSPHRASE, root.key, root.view.pem)
    older = copied(one, tmp_path / "older")
    api = in_service(one)
    true = note_of(api)
    for _time in range(9):
        keep(other, [])
    put_note(api, witness(other))
    assert looked(api, one)["doubts"]["rolled_back"] == []
    run(api, one)
    put_note(api, true)
    put_back(one, older)
    assert codes(looked(api, one)) == ["store-rolled-back"], "the control: its own stops it"


def codes(found: Mapping[str, Any]) -> list[str]:
    return [error["code"] for error in found["doubts"]["rolled_back"]]


# -- who is stopped ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rolled_back", [[], ["the CA store is older. [store-rolled-back]"]])
def test_what_one_cluster_has_seen_stops_the_run_for_all(tmp_path: Path, rolled_back: list[str]) -> None:
    """A6: a cluster that is new, or whose annotations are gone, gets nothing from the older copy either."""
    look: Json = {"cluster": "cluster-a", "rolled_back": rolled_back}
    play: Json = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_role": {"name": "crossmesh.mtls.mesh_side", "tasks_from": "apart.yml"}}],
    }
    hosts: Json = {
        "cluster-a": {"__mesh_side_look": look},
        "cluster-b": {"__mesh_side_look": {}},
        "cluster-c": {},
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(json.dumps({"mesh_servers": {"hosts": hosts}}), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == (2 if rolled_back else 0), done.stdout
    assert ("[store-rolled-back]" in done.stdout) == bool(rolled_back)


# -- a backup that is all that is left -----------------------------------------------------------------------------


def held(api: FakeApi, store: CaStore, cluster: str = "cluster-b") -> Held:
    """What a look tells of a cluster, as the step gets it."""
    secrets = [secret_view(item) for item in api.objects]
    seen: Any = reading(**looked(api, store), secrets=secrets)
    return held_from_json(json.loads(json.dumps(held_in(seen, authority_of(store), cluster))))


def unrecorded(api: FakeApi, store: CaStore, now: datetime) -> list[Record]:
    side = view([link()], SERVER)["server"]
    secrets = [secret_view(item) for item in api.objects]
    found = unrecorded_in(secrets, {"server": side}, store.records(now), authority_of(store), now)
    return [item.record for item in found if item.record]


def reconciled(
    store: CaStore,
    *apis: FakeApi,
    restored: str = "",
    passphrase: str = PASSPHRASE,
    now: datetime = NOW,
    revoked: Sequence[Entry] = (),
    clusters: Sequence[str] = ("cluster-b",),
) -> Outcome:
    seen = [held(api, store, name) for api, name in zip(apis, clusters, strict=False)]
    records = [record for api in apis for record in unrecorded(api, store, now)]
    wanted = Wanted("Test Root CA", "P-256", 3650)
    task = Move(RECONCILE, "", passphrase, wanted, [], "default", clusters, revoked, [], keep_keys=False)
    return move(store, replace(task, unrecorded=records, held=seen, restored=restored), now=now, check_mode=False)


def generation(store: CaStore) -> str:
    return witness(store).split(" ", 1)[0]


def rotated(store: CaStore, api: FakeApi, tmp_path: Path) -> tuple[Path, Root, str]:
    """A rotation that is over for long, with a copy of its middle: the new root, and the fingerprint of the old one."""
    following, old = make_root(), public(store).trusted[0].fingerprint
    store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    copy = copied(store, tmp_path / "middle")
    run(api, store)
    store.switch(PASSPHRASE, seen=public(store).state)
    run(api, store)
    store.retire(PASSPHRASE, seen=public(store).state)
    run(api, store)
    store.finish(PASSPHRASE, seen=public(store).state, keep_keys=False)
    return copy, following, old


def test_a_retired_root_is_never_issued_from_again(store: CaStore, tmp_path: Path) -> None:
    """A6: on d3897ca C(site) issued from the retired root again, and wrote both into every gateway."""
    api = in_service(store)
    copy, new, old = rotated(store, api, tmp_path)
    certificate = api.objects[0]["data"]["tls.crt"]
    put_back(store, copy)
    assert public(store).issuing != new.view, "the control: by itself it would issue from the old root"
    reconciled(store, api, restored=generation(store))
    authority = public(store)
    assert authority.issuing == new.view
    assert (authority.trusted, authority.retiring, authority.phase) == ((new.view,), (old,), "retiring")
    api.calls.clear()
    run(api, store)
    assert api.calls == [], "what is in service stays as it is"
    assert trusted_in(api) == new.view.pem
    assert api.objects[0]["data"]["tls.crt"] == certificate
    assert [record.issuer for record in store.records(NOW)].count(new.view.fingerprint) == 1


def test_the_journal_says_that_a_backup_took_its_place(store: CaStore, tmp_path: Path) -> None:
    """Sibling of A6 and J: entries of what was done since are gone for good, and nothing told of it."""
    api = in_service(store)
    copy, _new, old = rotated(store, api, tmp_path)
    put_back(store, copy)
    before, known = len(journal_of(store)), generation(store)
    seen = int(note_of(api).split(" ", 1)[0])
    reconciled(store, api, restored=known, clusters=("cluster-b", "cluster-c"), now=NOW + DAY)
    switch, told, found = journal_of(store)[before:]
    assert (switch["kind"], switch["step"], found["kind"]) == ("rotation", "switch", "found")
    assert (told["kind"], told["generation"], told["seen"]) == ("reconciled", int(known), seen)
    assert (told["unseen"], told["phase"], told["key"]) == (["cluster-c"], "switched", "open")
    before, known = len(journal_of(store)), generation(store)
    reconciled(store, api, restored=known, now=NOW + DAY)
    retire, gone, told = journal_of(store)[before:]
    assert (retire["step"], gone["kind"], gone["root"]) == ("retire", "root-removed", old)
    assert (told["seen"], told["unseen"], told["phase"]) == (int(known), [], "retiring"), "nothing later was seen"
    assert store.check_journal().unsigned == 0


def test_every_step_that_a_backup_catches_up_with_is_told(store: CaStore, tmp_path: Path) -> None:
    """Sibling of A6 and J: of a switch and a retirement in one, the journal told the first only."""
    api = in_service(store)
    copy, _new, _old = rotated(store, api, tmp_path)
    put_back(store, copy)
    before = len(journal_of(store))
    reconciled(store, api, restored=generation(store), now=NOW + DAY)
    told = [(entry["kind"], entry.get("step")) for entry in journal_of(store)[before:]]
    steps = [("rotation", "switch"), ("rotation", "retire"), ("root-removed", None)]
    assert told == [*steps, ("reconciled", None), ("found", None)]


def test_a_root_that_was_taken_back_does_not_return(store: CaStore, tmp_path: Path) -> None:
    """Sibling of A6: the copy knows a prepared root that was abandoned since, because it was no good."""
    api, bad = in_service(store), make_root()
    store.prepare(PASSPHRASE, bad.key, bad.view.pem, seen=public(store).state, now=NOW)
    run(api, store)
    copy = copied(store, tmp_path / "middle")
    store.abandon(PASSPHRASE, seen=public(store).state)
    run(api, store)
    assert bad.view.pem not in trusted_in(api)
    put_back(store, copy)
    reconciled(store, api, restored=generation(store))
    run(api, store)
    assert bad.view.pem not in trusted_in(api)


def test_nothing_is_done_before_the_operator_has_named_the_copy(store: CaStore, tmp_path: Path) -> None:
    """A6: who put the older copy there does not get it taken for a backup, and a wrong passphrase does not help."""
    copy, api = copied(store, tmp_path / "older"), in_service(store)
    put_back(store, copy)
    before = witness(store)
    (lost,) = unrecorded(api, store, NOW)
    for restored in ("", "9", "true"):
        with refused("restore-unconfirmed") as failure:
            reconciled(store, api, restored=restored)
        text = str(failure.value)
        assert "generation 1, and clusters have seen generation 2" in text
        assert lost.serial in text
        assert text.endswith("run again with -e custom_ca_restored=1. [restore-unconfirmed]")
    with refused("wrong-passphrase"):
        reconciled(store, api, restored="1", passphrase="another passphrase")
    assert witness(store) == before
    assert reconciled(store, api, restored="1").changed
    assert [record.serial for record in store.records(NOW)] == [lost.serial]
    assert not reconciled(store, api).changed, "done once"
    run(api, store)


def test_a_cluster_that_hides_what_it_has_seen_stops_nobody_with_it_afterwards(store: CaStore, tmp_path: Path) -> None:
    """Sibling of D: it takes no part in the step, and shows the later state once the store has gone on."""
    copy, honest, hostile = copied(store, tmp_path / "older"), in_service(store), in_service(store)
    for _time in range(5):
        keep(store, [])
    put_note(hostile, witness(store))
    put_back(store, copy)
    assert codes(looked(hostile, store)) == ["store-rolled-back"], "the control"
    outcome = reconciled(store, honest, restored=generation(store), clusters=("cluster-b", "cluster-c"))
    assert "not looked at: cluster-c" in outcome.message
    assert codes(looked(hostile, store)) == []
    run(hostile, store)


@pytest.mark.parametrize("alone", [True, False])
def test_one_cluster_does_not_drop_a_root_that_others_trust(store: CaStore, tmp_path: Path, alone: bool) -> None:
    """Sibling of A and D: it takes the old root out of its own C(ca.crt), to have it dropped everywhere."""
    following = make_root()
    store.prepare(PASSPHRASE, following.key, following.view.pem, seen=public(store).state, now=NOW)
    store.switch(PASSPHRASE, seen=public(store).state)
    copy, honest, hostile = copied(store, tmp_path / "older"), in_service(store), in_service(store)
    put_back(store, copy)
    hostile.objects[0]["data"]["ca.crt"] = base64.b64encode(following.view.pem.encode()).decode()
    others = () if alone else (honest,)
    reconciled(store, hostile, *others, restored=generation(store), clusters=("cluster-b", "cluster-c"))
    assert public(store).phase == "switched"
    # The control: where all of them have dropped it, it goes.
    reconciled(store, hostile, hostile, restored=generation(store), clusters=("cluster-b", "cluster-c"))
    assert public(store).phase == "retiring"


def test_nothing_is_revoked_because_the_restored_store_does_not_know_it(store: CaStore, tmp_path: Path) -> None:
    """A6: the certificate that replaced a revoked one minutes later is not taken for the revoked one."""
    api = in_service(store)
    (stolen,) = store.records(NOW)
    copy = copied(store, tmp_path / "older")
    soon = NOW + timedelta(minutes=5)
    entry = Entry("cluster", "cluster-b", "keyCompromise", NOW)
    ensure(cast(Api, api), store, replace(work(), revoked=[entry]), soon)
    (_old, replacing) = sorted(store.records(soon), key=lambda record: record.issued_at)
    assert replacing.serial != stolen.serial
    put_back(store, copy)
    (found,) = unrecorded(api, store, soon)
    assert entry.revokes(found), "the control: when it was issued the certificate does not tell by itself"
    reconciled(store, api, restored=generation(store), revoked=[entry], now=soon)
    assert {record.serial: record.issued_at for record in store.records(soon)}[found.serial] == replacing.issued_at
    assert revoked_serials([entry], store.records(soon)) == {stolen.serial}


def test_what_gateways_refuse_is_not_let_in_again_unseen(store: CaStore, tmp_path: Path) -> None:
    """A6: a certificate that was issued and revoked after the backup is in no record and on no CRL of the store."""
    copy, api = copied(store, tmp_path / "older"), in_service(store)
    revoke(store, THEFT)
    run(api, store)
    put_back(store, copy)
    with refused("restore-unconfirmed") as failure:
        reconciled(store, api)
    assert f"add {{serial: '{THEFT}', date: '" in failure.value.message.fix
    assert ", reason: keyCompromise} to custom_ca_revoked" in failure.value.message.fix
    entry = Entry("serial", THEFT, "keyCompromise", NOW)
    with refused("restore-unconfirmed") as failure:
        reconciled(store, api, revoked=[entry])
    assert "custom_ca_revoked" not in str(failure.value), "the control: the operator has added it"
