# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public part of a store: its phase, what tells its states apart, and which lists go with which bundle."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import (
    Authority,
    Phase,
    authority_from_json,
    authority_to_json,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, issue_crl
from tests.unit.pki.support import DAY, NOW, Root, make_root

OLD, NEW, THEIRS = make_root(), make_root(), make_root()


def list_of(root: Root) -> Crl:
    return issue_crl(root=root.view, key=root.key, revoked=[], number=1, validity=DAY, now=NOW)


ABSENT = Authority("/srv/ca", None, ())
STEADY = Authority("/srv/ca", OLD.view, (OLD.view,))
PREPARED = Authority("/srv/ca", OLD.view, (OLD.view, NEW.view), prepared=NEW.view)
SWITCHED = Authority("/srv/ca", NEW.view, (OLD.view, NEW.view))
RETIRING = Authority("/srv/ca", NEW.view, (NEW.view,), retiring=(OLD.view.fingerprint,))
LISTED = replace(PREPARED, lists=(list_of(OLD), list_of(NEW)))
ALL: list[tuple[Authority, Phase]] = [
    (ABSENT, "absent"),
    (STEADY, "steady"),
    (PREPARED, "prepared"),
    (SWITCHED, "switched"),
    (RETIRING, "retiring"),
    (LISTED, "prepared"),
]


@pytest.mark.parametrize(("authority", "phase"), ALL)
def test_the_phase_follows_from_the_roots(authority: Authority, phase: Phase) -> None:
    assert authority.phase == phase


@pytest.mark.parametrize("authority", [row[0] for row in ALL])
def test_comes_back_from_a_reading_as_it_was(authority: Authority) -> None:
    assert authority_from_json(json.loads(json.dumps(authority_to_json(authority)))) == authority


def test_every_phase_is_a_state_of_its_own_and_so_is_every_root() -> None:
    other = Authority("/srv/ca", NEW.view, (NEW.view,))
    states = [item.state for item in (ABSENT, STEADY, PREPARED, SWITCHED, RETIRING, other)]
    assert len(set(states)) == len(states)


def test_lists_do_not_change_the_state_of_the_roots() -> None:
    assert LISTED.state == PREPARED.state


def test_a_root_that_retires_is_known_and_a_strangers_is_not() -> None:
    assert RETIRING.known == {OLD.view.fingerprint, NEW.view.fingerprint}


def test_lists_go_with_our_own_roots_and_with_no_strangers() -> None:
    assert LISTED.lists_for(LISTED.trusted) == LISTED.lists
    assert LISTED.lists_for([NEW.view]) == LISTED.lists
    assert LISTED.lists_for([*LISTED.trusted, THEIRS.view]) == ()
    assert PREPARED.lists_for(PREPARED.trusted) == ()
