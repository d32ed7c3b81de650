# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is older than what clusters have seen of it, and what nobody can make a run believe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.doubts import doubts, rolled_back
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.vouching import endorsed, sealed
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import (
    Witness,
    witness_from_text,
    witness_of,
    witness_to_text,
)
from tests.unit.pki.support import make_root

OLD, NEW, STRANGER = make_root(), make_root(), make_root()
A, B = OLD.view.fingerprint, NEW.view.fingerprint
FIRST = sealed(Index(A, (A,)), OLD.key, after=0)
SECOND = sealed(endorsed(replace(FIRST, trusted=(A, B), prepared=B), B, OLD.key, by=A), OLD.key, after=1)
THIRD = sealed(replace(SECOND, issuing=B, prepared=""), NEW.key, after=2)


def read(index: Index) -> Snapshot:
    views = {A: OLD.view, B: NEW.view}
    return Snapshot("store", "1", index, {name: views[name] for name in index.trusted}, {})


@pytest.mark.parametrize("index", [FIRST, SECOND, THIRD])
def test_comes_back_as_it_was_and_fits_an_annotation(index: Index) -> None:
    text = witness_to_text(witness_of(index))
    assert witness_from_text(text) == witness_of(index)
    assert len(text) < 1024


@pytest.mark.parametrize(
    "text",
    ["", "1", "x a b c", "1 a b c", "-1 i a b c", "1 i a b c d", "1\n2 i a b", "\u0661 i a b c", "9" * 99 + " i a b c"],
)
def test_what_is_none_is_none(text: str) -> None:
    assert witness_from_text(text) is None


def test_an_older_store_is_told_with_the_cluster_that_has_seen_the_latest() -> None:
    seen = {"cluster-a": [witness_of(SECOND)], "cluster-b": [witness_of(FIRST), witness_of(THIRD)]}
    assert rolled_back(read(THIRD), seen) is None
    error = rolled_back(read(SECOND), seen)
    assert error is not None
    assert error.code == "store-rolled-back"
    assert "at generation 2, but cluster cluster-b" in error.what
    # The root that signed the third is not known to the first: other roots in the clusters tell of that.
    error = rolled_back(read(FIRST), seen)
    assert error is not None
    assert "cluster-a got credentials of generation 2" in error.what


def test_a_store_that_went_on_from_an_older_copy_is_told_while_it_is_no_further() -> None:
    other = sealed(replace(FIRST, issued="0" * 64), OLD.key, after=1)
    assert other.generation == SECOND.generation
    assert rolled_back(read(other), {"cluster-a": [witness_of(SECOND)]}) is not None
    assert rolled_back(read(other), {"cluster-a": [witness_of(other)]}) is None


def test_a_cluster_cannot_make_up_what_it_has_seen() -> None:
    true = witness_of(SECOND)
    own = sealed(replace(FIRST, issuing=STRANGER.view.fingerprint), STRANGER.key, after=98)
    made_up = [
        replace(true, generation=99),
        replace(true, digest="0" * 64),
        replace(true, signature=witness_of(FIRST).signature),
        replace(true, generation=99, signer=B),
        witness_of(own),
        Witness(99, true.identity, "", "", ""),
    ]
    assert rolled_back(read(FIRST), {"cluster-a": made_up}) is None
    assert rolled_back(read(FIRST), {"cluster-a": [*made_up, true]}) is not None, "the control"


def test_another_store_of_the_same_root_is_told_unless_it_may_have_one() -> None:
    """Else who put the format of an earlier release back, and had it taken over, would silence all clusters."""
    again = sealed(replace(FIRST, identity="another"), OLD.key, after=0)
    seen = {"cluster-b": {"istio-system/mysql": witness_to_text(witness_of(SECOND))}}

    def codes(index: Index, **kept: str) -> list[str]:
        found = doubts(read(index), {"cluster-b": kept} if kept else seen)
        assert found.rolled_back is None
        return [warning.code for warning in found.made_up]

    assert codes(again) == ["ca-store-begun-anew"]
    (warning,) = doubts(read(again), seen).made_up
    assert (warning.where, "of generation 2" in warning.what) == ("istio-system/mysql", True)
    assert codes(THIRD) == [], "the same store"
    assert codes(again, secret=witness_to_text(witness_of(again))) == []
    assert codes(again, secret=witness_to_text(replace(witness_of(SECOND), digest="0" * 64))) == [], "nobody signed it"
    # A copy that another instance has taken over has the root in common, until it is replaced and after.
    assert codes(sealed(replace(again, instance="blue", shared=(A,)), OLD.key, after=0)) == []
    parted = endorsed(replace(again, issuing=B, trusted=(B,), retired=(A,)), B, OLD.key, by=A)
    snapshot = replace(read(sealed(parted, NEW.key, after=1)), endorsers={A: OLD.view})
    assert doubts(snapshot, seen).made_up == ()


def test_what_a_lost_store_has_seen_does_not_stop_the_one_that_replaces_it() -> None:
    index = Index(A, (A, B), prepared=B, keyless=(A,), inherited=(A,), identity="another")
    replacing = sealed(index, NEW.key, after=0)
    seen = {"cluster-a": [witness_of(SECOND)]}
    assert rolled_back(read(replacing), seen) is None
    assert rolled_back(read(FIRST), seen) is not None, "the control"
