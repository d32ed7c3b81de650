# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store moved on step by step: what each step leaves, what refuses it, and that a refusal changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca_rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Import, Outcome, Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import CLOCK_LIMIT
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import signed_by
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, PrivateKey, key_signs_for
from tests.unit.ca.support import USES, file_store, folder, keep, record
from tests.unit.pki.support import DAY, NOW, PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import refused, run_action

WANTED = Wanted("Test Root CA", "P-256", 3650)
ENTRY = Entry("cluster", "cluster-a", "keyCompromise", NOW)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, root = tmp_path_factory.mktemp("template") / "ca", make_root()
    file_store(path).create(PASSPHRASE, root.key, root.view.pem)
    leaf = make_leaf(root).view
    held = record_of(
        leaf,
        issuer=root.view,
        instance="default",
        cluster="cluster-a",
        side="client",
        links=[],
        secret="istio-system/client-credential",
        now=NOW,
    )
    keep(file_store(path), [held])
    return path


@pytest.fixture
def store(tmp_path: Path, template: Path) -> CaStore:
    return file_store(shutil.copytree(template, tmp_path / "ca"))


def public(store: CaStore) -> Authority:
    found = store.public()
    assert found is not None
    return found


def issuing(store: CaStore) -> CertificateView:
    found = public(store).issuing
    assert found is not None
    return found


def taken(store: CaStore, step: str, *, check: bool = False, now: timedelta = timedelta(), **changes: Any) -> Outcome:
    """One step, with every gate open: who holds a certificate is revoked, and nobody else is named."""
    before = store.public()
    seen = before.state if before else ""
    work = Move(step, seen, PASSPHRASE, WANTED, [], "default", [], [ENTRY], [], keep_keys=False)
    return move(store, replace(work, **changes), now=NOW + now, check_mode=check)


def at(store: CaStore, *steps: str) -> CaStore:
    for step in steps:
        taken(store, step)
    return store


def snapshot(store: CaStore) -> dict[str, bytes]:
    files = (path for path in folder(store).glob("**/*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder(store))): path.read_bytes() for path in files}


def names(store: CaStore, pattern: str) -> set[str]:
    return {path.name for path in folder(store).glob(pattern)}


def test_a_whole_rotation_leaves_the_new_root_alone_and_no_key_of_the_old_one(store: CaStore) -> None:
    old = issuing(store)
    phases = []
    for step in ("prepare", "switch", "retire", "finish"):
        assert taken(store, step).changed
        phases.append(public(store).phase)
        assert key_signs_for(issuing(store), store.signer(PASSPHRASE))
    assert phases == ["prepared", "switched", "retiring", "steady"]
    new = issuing(store)
    assert new != old
    assert public(store).trusted == (new,)
    assert names(store, "roots/*.key") == {f"{new.fingerprint}.key"}
    # What it has issued can still be told apart.
    assert f"{old.fingerprint}.crt" in names(store, "roots/*.crt")


def test_an_old_key_is_kept_where_that_is_asked_for(store: CaStore) -> None:
    old = issuing(store)
    at(store, "prepare", "switch", "retire")
    taken(store, "finish", keep_keys=True)
    assert f"{old.fingerprint}.key" in names(store, "roots/*.key")


def test_what_was_prepared_can_be_taken_back(store: CaStore) -> None:
    old = issuing(store)
    at(store, "prepare")
    (prepared,) = {root.fingerprint for root in public(store).trusted} - {old.fingerprint}
    at(store, "abandon")
    assert (public(store).phase, public(store).retiring) == ("retiring", (prepared,))
    at(store, "finish")
    assert (public(store).phase, public(store).trusted) == ("steady", (old,))
    assert names(store, "roots/*.key") == {f"{old.fingerprint}.key"}


PATHS: dict[str, tuple[str, ...]] = {
    "steady": (),
    "prepared": ("prepare",),
    "switched": ("prepare", "switch"),
    "retiring": ("prepare", "switch", "retire"),
}
BELONGS = {"prepare": "steady", "switch": "prepared", "abandon": "prepared", "retire": "switched", "finish": "retiring"}


@pytest.mark.parametrize("phase", PATHS)
def test_a_step_out_of_its_order_is_refused_and_changes_nothing(store: CaStore, phase: str) -> None:
    at(store, *PATHS[phase])
    before = snapshot(store)
    for step, own in BELONGS.items():
        if own != phase:
            with refused("wrong-phase"):
                taken(store, step)
    assert {name: text for name, text in snapshot(store).items() if name in before} == before
    assert public(store).phase == phase


@pytest.mark.parametrize("step", BELONGS)
def test_a_step_from_a_state_that_is_no_more_is_refused(store: CaStore, step: str) -> None:
    at(store, *PATHS[BELONGS[step]])
    before = public(store)
    with refused("another-run"):
        taken(store, step, seen="0" * 16)
    assert public(store) == before


@pytest.mark.parametrize("step", BELONGS)
def test_check_mode_says_so_and_writes_nothing(store: CaStore, step: str) -> None:
    at(store, *PATHS[BELONGS[step]])
    before = snapshot(store)
    outcome = taken(store, step, check=True)
    assert (outcome.changed, outcome.message) == (True, f"would {step}")
    assert snapshot(store) == before


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("step", ["switch", "retire", "finish"])
def test_a_gate_that_is_closed_names_all_that_it_waits_for(store: CaStore, step: str, check: bool) -> None:
    at(store, *PATHS[BELONGS[step]])
    before = snapshot(store)
    # A holder that nobody names any more counts as well.
    with refused("rotation-blocked", "left-inventory", "cluster-unseen") as failure:
        taken(store, step, check=check, clusters=["cluster-b"], revoked=[])
    head, *blocking = failure.value.messages
    assert f"phase {BELONGS[step]}: step {step}" in head.what
    assert [message.where for message in blocking] == ["cluster cluster-a", "cluster cluster-b"]
    assert snapshot(store) == before


@pytest.mark.parametrize("step", ["switch", "retire", "finish"])
def test_who_is_named_with_all_that_he_has_closes_no_gate(store: CaStore, step: str) -> None:
    """Whatever he shows or withholds: his cluster is in the inventory still."""
    at(store, *PATHS[BELONGS[step]])
    behind = Sight("cluster-a", "client", "leaves", "", (frozenset(),), frozenset({"0" * 64}))
    of_a_link = replace(ENTRY, kind="link", value="mysql")
    with pytest.raises(CrossmeshError) as failure:
        taken(store, step, clusters=["cluster-a"], sights=[behind], revoked=[of_a_link])
    assert {"rotation-blocked", "cluster-unseen"} <= {message.code for message in failure.value.messages}
    assert taken(store, step, clusters=["cluster-a"], sights=[behind]).changed


@pytest.mark.parametrize("step", [*BELONGS, "publish"])
def test_a_wrong_passphrase_changes_nothing(store: CaStore, step: str) -> None:
    at(store, *PATHS[BELONGS.get(step, "steady")])
    before = snapshot(store)
    with refused("wrong-passphrase"):
        taken(store, step, passphrase="another passphrase")
    assert snapshot(store) == before


def test_a_prepared_root_that_could_not_issue_does_not_take_over(store: CaStore) -> None:
    """There would be no way back from it."""
    at(store, "prepare")
    prepared = public(store).prepared
    assert prepared is not None
    key = folder(store) / "roots" / f"{prepared.fingerprint}.key"
    key.write_text("damaged", encoding="ascii")
    with pytest.raises(CrossmeshError):
        taken(store, "switch")
    assert public(store).phase == "prepared"


@pytest.mark.parametrize("step", ["prepare", "publish"])
@pytest.mark.parametrize("direction", [1, -1])
def test_with_a_clock_that_is_far_off_nothing_is_made(store: CaStore, step: str, direction: int) -> None:
    limit = int(CLOCK_LIMIT.total_seconds())
    before = snapshot(store)
    with refused("clock-wrong"):
        taken(store, step, clock_ahead=direction * limit)
    assert snapshot(store) == before
    # The control: a clock that is less off does no harm.
    assert taken(store, step, clock_ahead=direction * (limit - 1)).changed


def test_without_a_store_only_a_recovery_is_possible(tmp_path: Path) -> None:
    for step in (*BELONGS, "publish"):
        with refused("no-ca"):
            taken(file_store(tmp_path / "none"), step)
    assert list(tmp_path.iterdir()) == []


# -- a root of the user's own --------------------------------------------------------------------------------------


def brought(folder: Path, root: Root) -> Wanted:
    certificate, key = folder / "root.crt", folder / "root.key"
    certificate.write_text(root.view.pem, encoding="ascii")
    key.write_text(encrypt_private_key(root.key, "their own passphrase"), encoding="ascii")
    return replace(WANTED, source=Import(str(certificate), str(key), "their own passphrase", USES))


def test_the_next_root_can_be_brought_in(store: CaStore, tmp_path: Path) -> None:
    theirs = make_root()
    taken(store, "prepare", wanted=brought(tmp_path, theirs))
    at(store, "switch")
    assert issuing(store) == theirs.view
    assert key_signs_for(theirs.view, store.signer(PASSPHRASE))


@pytest.mark.parametrize("steps", [(), ("switch",), ("switch", "retire")])
def test_a_root_that_is_in_service_is_not_the_next_one(store: CaStore, tmp_path: Path, steps: tuple[str, ...]) -> None:
    theirs = brought(tmp_path, make_root())
    taken(store, "prepare", wanted=theirs)
    at(store, *steps)
    before = snapshot(store)
    with refused("root-in-service"):
        taken(store, "prepare", wanted=theirs)
    assert snapshot(store) == before


# -- revocation ----------------------------------------------------------------------------------------------------


def test_lists_come_for_all_roots_at_once_and_their_numbers_grow(store: CaStore) -> None:
    at(store, "prepare")
    assert taken(store, "publish").message == "1 certificates are revoked"
    first = store.lists()
    assert set(first) == {root.fingerprint for root in public(store).trusted}
    assert len(first) == 2
    assert all(signed_by(first[root.fingerprint], root) for root in public(store).trusted)
    assert sorted(len(item.revoked) for item in public(store).lists) == [0, 1]

    other = Entry("serial", "abc", "superseded", NOW)
    assert taken(store, "publish", revoked=[ENTRY, other]).changed
    for root, item in store.lists().items():
        assert item.number > first[root].number
    assert len(names(store, "lists/*.crl")) == 2


def test_numbers_grow_though_lists_were_taken_away_meanwhile_and_the_clock_went_back(store: CaStore) -> None:
    at(store, "publish")
    ((_, first),) = store.lists().items()
    taken(store, "publish", revoked=[])
    taken(store, "publish", now=-timedelta(hours=1))
    ((_, second),) = store.lists().items()
    assert second.number > first.number


def test_right_lists_are_left_alone_and_the_passphrase_is_not_needed(store: CaStore) -> None:
    at(store, "publish")
    before = snapshot(store)
    assert not taken(store, "publish", passphrase="").changed
    assert not taken(store, "publish", passphrase="", check=True).changed
    assert snapshot(store) == before
    # The control: in check mode what is due is told.
    assert taken(store, "publish", revoked=[], check=True).changed


def test_where_nothing_is_revoked_any_more_all_lists_go(store: CaStore) -> None:
    at(store, "publish")
    with refused("wrong-passphrase"):
        taken(store, "publish", revoked=[], passphrase="")
    outcome = taken(store, "publish", revoked=[])
    assert (outcome.changed, outcome.message) == (True, "nothing is revoked")
    assert (public(store).lists, names(store, "lists/*.crl")) == ((), set())


def test_a_rotation_takes_the_lists_along(store: CaStore) -> None:
    """A verifier with a list for one root refuses every certificate of a root that has none."""
    at(store, "publish")
    old = issuing(store)
    for step in ("prepare", "switch"):
        at(store, step)
        assert set(store.lists()) == {root.fingerprint for root in public(store).trusted} >= {old.fingerprint}
    # What was revoked was the old root's: with it the last list goes.
    at(store, "retire")
    assert (store.lists(), names(store, "lists/*.crl")) == ({}, set())


def test_a_rotation_that_is_abandoned_takes_its_list_back(store: CaStore) -> None:
    at(store, "publish", "prepare", "abandon")
    assert set(store.lists()) == {issuing(store).fingerprint}
    assert len(names(store, "lists/*.crl")) == 1


# -- a store that was lost -----------------------------------------------------------------------------------------


def recovered(tmp_path: Path, *lost: Root) -> CaStore:
    store = file_store(tmp_path / "new" / "ca")
    taken(store, "recover", lost=[root.view.pem for root in lost])
    return store


def test_a_recovery_trusts_what_the_clusters_hold_and_prepares_another_root(tmp_path: Path) -> None:
    lost = [make_root(), make_root()]
    store = recovered(tmp_path, *lost)
    assert public(store).phase == "prepared"
    assert {root.fingerprint for root in public(store).trusted} > {root.view.fingerprint for root in lost}
    for step in ("switch", "retire", "finish"):
        at(store, step)
    assert public(store).phase == "steady"
    assert key_signs_for(issuing(store), store.signer(PASSPHRASE))


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda store: store.signer(PASSPHRASE), "key-lost"),
        (lambda store: taken(store, "publish", revoked=[Entry("serial", "a", "superseded", NOW)]), "key-lost"),
        (lambda store: taken(store, "abandon"), "abandon-impossible"),
    ],
    ids=["issuing", "revoking", "abandoning"],
)
def test_before_the_new_root_issues_a_recovery_says_what_cannot_be(
    tmp_path: Path, work: Callable[[CaStore], object], code: str
) -> None:
    store = recovered(tmp_path, make_root())
    before = public(store)
    with refused(code):
        work(store)
    assert public(store) == before


def test_the_root_that_was_lost_is_not_the_next_one(tmp_path: Path) -> None:
    """Brought in as the next root, it would replace itself, and nothing could ever be issued."""
    lost = make_root()
    with refused("root-in-service"):
        taken(file_store(tmp_path / "new" / "ca"), "recover", lost=[lost.view.pem], wanted=brought(tmp_path, lost))
    assert not (tmp_path / "new").exists()


class RotatedMeanwhile(CaStore):
    """Another run lets the next root issue once this one has the key of the root before."""

    def signer(self, passphrase: str) -> PrivateKey:
        key = super().signer(passphrase)
        at(file_store(self.where), "prepare", "switch")
        return key


def test_records_that_another_run_kept_from_being_added_are_told(store: CaStore) -> None:
    unrecorded = [record(make_leaf(make_root()))]
    with refused("another-run"):
        taken(file_store(folder(store), RotatedMeanwhile), "publish", unrecorded=unrecorded)
    assert unrecorded[0] not in store.records(NOW)
    # The control: the next run.
    taken(store, "publish", unrecorded=unrecorded)
    assert unrecorded[0] in store.records(NOW)


def test_lists_can_be_published_beside_a_root_that_has_expired(tmp_path: Path) -> None:
    store, short = file_store(tmp_path / "ca"), make_root(validity=DAY)
    store.create(PASSPHRASE, short.key, short.view.pem)
    at(store, "prepare")
    taken(store, "publish", revoked=[Entry("serial", "abc", "superseded", NOW)], now=2 * DAY)
    assert set(store.lists()) == {root.fingerprint for root in public(store).trusted} - {short.view.fingerprint}


def test_nothing_is_recovered_where_nothing_was_lost(store: CaStore, tmp_path: Path) -> None:
    with refused("no-ca-lost"):
        recovered(tmp_path)
    assert not (tmp_path / "new").exists()
    before = snapshot(store)
    with refused("ca-exists"):
        taken(store, "recover", lost=[make_root().view.pem])
    assert snapshot(store) == before


# -- the module ----------------------------------------------------------------------------------------------------


def test_the_action_tells_phase_and_state_and_never_a_key(tmp_path: Path) -> None:
    store, root = CaStore(FileStorage(tmp_path / "ca")), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    variables = {"custom_ca_dir": store.where, "custom_ca_passphrase": PASSPHRASE}
    result = run_action(custom_ca_rotation, {"step": "prepare", "seen": public(store).state}, variables)
    assert (result["changed"], result["phase"], result["state"]) == (True, "prepared", public(store).state)
    assert len(result["authority"]["trusted"]) == 2
    output = json.dumps(result)
    assert PASSPHRASE not in output
    assert "PRIVATE KEY" not in output
