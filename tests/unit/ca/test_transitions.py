# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a CA store as values: what was read goes in, what is to be changed comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation, transitions
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.transitions import NewRoot
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, signed_by
from tests.unit.pki.support import NOW, Root, make_root
from tests.unit.support import refused

OLD, NEW = make_root(), make_root()
ROOTS = {root.view.fingerprint: root for root in (OLD, NEW)}
OLD_NAME, NEW_NAME = ROOTS
REVOKED = (Revoked("a", NOW, "superseded"),)
CLOCK = int(NOW.timestamp())

STEADY = Index(OLD_NAME, (OLD_NAME,))
PREPARED = Index(OLD_NAME, (OLD_NAME, NEW_NAME), prepared=NEW_NAME)
SWITCHED = Index(NEW_NAME, (OLD_NAME, NEW_NAME))
RETIRING = Index(NEW_NAME, (NEW_NAME,), retiring=(OLD_NAME,))


def new(root: Root = NEW) -> NewRoot:
    return NewRoot(root.view, root.key, "an encrypted key")


def read(index: Index) -> Snapshot:
    """Without lists."""
    return Snapshot("store", "1", index, {name: ROOTS[name].view for name in index.trusted}, {})


def after(before: Snapshot, change: Change) -> Snapshot:
    """What a storage would read once the change is made."""
    lists = {**before.lists, **change.lists}
    return replace(read(change.index), lists={name: lists[name] for name in change.index.lists})


def listed(index: Index, *revoking: str) -> Snapshot:
    """With a list for each trusted root."""
    before = read(index)
    wanted = {name: REVOKED if name in revoking else () for name in index.trusted}
    return after(before, transitions.publish(before, wanted, {name: ROOTS[name].key for name in wanted}, now=NOW))


STEPS: dict[str, tuple[Index, Callable[[Snapshot, str], Change]]] = {
    "prepare": (STEADY, lambda found, seen: transitions.prepare(found, new(), seen=seen, now=NOW)),
    "switch": (PREPARED, lambda found, seen: transitions.switch(found, seen=seen)),
    "abandon": (PREPARED, lambda found, seen: transitions.abandon(found, seen=seen)),
    "retire": (SWITCHED, lambda found, seen: transitions.retire(found, seen=seen)),
    "finish": (RETIRING, lambda found, seen: transitions.finish(found, seen=seen, keep_keys=False)),
}


def taken(step: str, snapshot: Snapshot) -> Change:
    return STEPS[step][1](snapshot, snapshot.authority.state)


class TestPhases:
    def test_a_new_root_issues_at_once(self) -> None:
        change = transitions.create(new(OLD), "default")
        assert change == Change(STEADY, roots=(OLD.view,), keys={OLD_NAME: "an encrypted key"})

    @pytest.mark.parametrize(
        ("step", "expected"),
        [
            ("prepare", Change(PREPARED, roots=(NEW.view,), keys={NEW_NAME: "an encrypted key"})),
            ("switch", Change(SWITCHED)),
            ("abandon", Change(Index(OLD_NAME, (OLD_NAME,), retiring=(NEW_NAME,)))),
            ("retire", Change(RETIRING)),
            ("finish", Change(Index(NEW_NAME, (NEW_NAME,), retired=(OLD_NAME,)), destroyed=(OLD_NAME,))),
        ],
    )
    def test_each_step_is_one_change_of_the_index(self, step: str, expected: Change) -> None:
        assert taken(step, read(STEPS[step][0])) == expected

    @pytest.mark.parametrize("step", STEPS)
    def test_a_step_in_another_phase_is_refused(self, step: str) -> None:
        for index in (STEADY, PREPARED, SWITCHED, RETIRING):
            if index != STEPS[step][0]:
                with refused("wrong-phase") as failure:
                    taken(step, read(index))
                assert failure.value.message.where == "store"

    @pytest.mark.parametrize("step", STEPS)
    def test_a_step_from_another_state_is_refused_before_its_phase_is_looked_at(self, step: str) -> None:
        for index in (STEADY, PREPARED, SWITCHED, RETIRING):
            with refused("another-run"):
                STEPS[step][1](read(index), "0" * 16)

    def test_keys_are_kept_where_that_is_asked_for(self) -> None:
        found = read(RETIRING)
        change = transitions.finish(found, seen=found.authority.state, keep_keys=True)
        assert change.destroyed == ()


class TestRecovery:
    def test_begins_with_the_lost_roots_trusted_and_another_one_prepared(self) -> None:
        change = transitions.recover(new(), [OLD.view], "default")
        assert change.index == replace(PREPARED, keyless=(OLD_NAME,), inherited=(OLD_NAME,))
        assert (change.roots, set(change.keys)) == ((NEW.view, OLD.view), {NEW_NAME})
        assert read(change.index).authority.phase == "prepared"

    def test_cannot_be_taken_back(self) -> None:
        with refused("abandon-impossible"):
            taken("abandon", read(replace(PREPARED, keyless=(OLD_NAME,))))

    def test_ends_with_the_lost_roots_forgotten(self) -> None:
        assert taken("finish", read(replace(RETIRING, keyless=(OLD_NAME,)))).index.keyless == ()

    def test_needs_a_place_where_there_is_no_ca(self) -> None:
        transitions.refuse_occupied(None)
        with refused("ca-exists"):
            transitions.refuse_occupied(read(STEADY))

    def test_what_needs_the_lost_key_is_refused(self) -> None:
        found = read(replace(PREPARED, keyless=(OLD_NAME,)))
        transitions.refuse_keyless(found, NEW_NAME)
        with refused("key-lost"):
            transitions.refuse_keyless(found, OLD_NAME)


class TestLists:
    def test_are_made_for_all_roots_under_one_number(self) -> None:
        found = listed(PREPARED, OLD_NAME)
        assert found.index.lists == {OLD_NAME: CLOCK, NEW_NAME: CLOCK}
        assert found.index.last_number == CLOCK
        for name, item in found.lists.items():
            assert signed_by(item, ROOTS[name].view)
            assert (item.number, len(item.revoked)) == (CLOCK, int(name == OLD_NAME))

    @pytest.mark.parametrize(
        ("last", "hours", "expected"), [(0, 0, CLOCK), (CLOCK, -1, CLOCK + 1), (CLOCK + 100, 0, CLOCK + 101)]
    )
    def test_numbers_only_grow_whatever_the_clock_says(self, last: int, hours: int, expected: int) -> None:
        found = read(replace(STEADY, last_number=last))
        change = transitions.publish(found, {OLD_NAME: REVOKED}, {OLD_NAME: OLD.key}, now=NOW + timedelta(hours=hours))
        assert change.index.last_number == change.lists[OLD_NAME].number == expected

    def test_all_go_where_nothing_is_revoked_and_the_number_stays(self) -> None:
        change = transitions.publish(listed(STEADY, OLD_NAME), {}, {}, now=NOW)
        assert change == Change(replace(STEADY, last_number=CLOCK))

    def test_a_prepared_root_gets_an_empty_one_beside_those_that_are_there(self) -> None:
        before = listed(STEADY, OLD_NAME)
        change = taken("prepare", before)
        assert change.index.lists == {OLD_NAME: CLOCK, NEW_NAME: CLOCK + 1}
        assert set(change.lists) == {NEW_NAME}
        assert change.lists[NEW_NAME].revoked == ()

    def test_the_last_one_goes_with_the_old_root_unless_something_is_left_in_it(self) -> None:
        assert taken("retire", listed(SWITCHED, OLD_NAME)).index.lists == {}
        assert taken("retire", listed(SWITCHED, NEW_NAME)).index.lists == {NEW_NAME: CLOCK}

    def test_an_abandoned_root_takes_its_own_along(self) -> None:
        assert taken("abandon", listed(PREPARED, OLD_NAME)).index.lists == {OLD_NAME: CLOCK}

    def test_those_that_fit_into_no_secret_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(revocation, "LARGEST", 100)
        with refused("crl-too-large"):
            listed(STEADY, OLD_NAME)
