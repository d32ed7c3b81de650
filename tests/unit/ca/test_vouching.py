# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store's keys vouch for, as values: an index that was changed is one error, with what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Endorsement, Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.vouching import (
    endorsed,
    inheriting,
    refuse_unbelievable,
    refuse_unfit,
    refuse_unvouched,
    sealed,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.signature import sign, signed
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import refused

FIRST, SECOND, THIRD, STRANGER = (make_root() for _ in range(4))
FOURTH = "0" * 64
A, B, C, X = (root.view.fingerprint for root in (FIRST, SECOND, THIRD, STRANGER))
ROOTS = {root.view.fingerprint: root for root in (FIRST, SECOND, THIRD, STRANGER)}


def read(index: Index, **changes: Any) -> Snapshot:
    trusted = {name: ROOTS[name].view for name in index.trusted}
    endorsers = {item.by: ROOTS[item.by].view for item in index.endorsements.values() if item.by not in trusted}
    return replace(Snapshot("store", "1", index, trusted, {}, endorsers), **changes)


def signed_by_issuer(index: Index) -> Index:
    return sealed(index, ROOTS[index.signer].key, after=index.generation)


STEADY = signed_by_issuer(Index(A, (A,)))
PREPARED = signed_by_issuer(endorsed(Index(A, (A, B), prepared=B), B, FIRST.key, by=A))
SWITCHED = signed_by_issuer(replace(PREPARED, issuing=B, prepared=""))
LATER = signed_by_issuer(endorsed(replace(SWITCHED, trusted=(B, C), prepared=C, retired=(A,)), C, SECOND.key, by=B))
ABANDONED = signed_by_issuer(replace(PREPARED, trusted=(A,), prepared="", retiring=(B,)))
RECOVERED = signed_by_issuer(Index(A, (A, B), prepared=B, keyless=(A,), inherited=(A,)))


@pytest.mark.parametrize("index", [STEADY, PREPARED, SWITCHED, LATER, ABANDONED, RECOVERED])
def test_what_its_key_signed_is_believed(index: Index) -> None:
    refuse_unvouched(read(index))


@pytest.mark.parametrize("key_type", ["P-256", "P-384", "RSA-2048"])
def test_a_word_holds_for_its_text_its_key_and_nothing_else(key_type: str) -> None:
    root = make_root(key_type)
    word = sign(root.key, "a text")
    assert signed(root.view, "a text", word)
    for view, text, signature in (
        (FIRST.view, "a text", word),
        (root.view, "another", word),
        (root.view, "a text", sign(FIRST.key, "a text")),
        (root.view, "a text", ""),
        (root.view, "a text", "no base64!"),
        (root.view, "a text", word[:-8]),
    ):
        assert not signed(view, text, signature)


@pytest.mark.parametrize(
    ("index", "changes"),
    [
        (STEADY, {"trusted": (A, X)}),
        (STEADY, {"generation": 7}),
        (STEADY, {"issued": "0" * 64}),
        (STEADY, {"retired": (X,), "inherited": (X,)}),
        (PREPARED, {"prepared": "", "trusted": (A,), "endorsements": {}}),
        (PREPARED, {"issuing": B, "prepared": ""}),
        (SWITCHED, {"issuing": A}),
        (STEADY, {"signature": PREPARED.signature}),
        (STEADY, {"signature": ""}),
    ],
)
def test_an_index_that_was_changed_is_not_believed(index: Index, changes: Any) -> None:
    with refused("store-unvouched") as failure:
        refuse_unvouched(read(replace(index, **changes)))
    assert "did not sign its index" in failure.value.message.what


def test_a_root_needs_the_word_of_the_one_before_it_or_of_that_ones_line() -> None:
    own_word = Endorsement(B, sign(STRANGER.key, f"CA store, root {B} may follow root {A}"))
    for index, why in (
        (replace(SWITCHED, endorsements={}), f"no endorsement leads to root {A[:8]}"),
        (
            replace(PREPARED, endorsements={B: replace(PREPARED.endorsements[B], signature=own_word.signature)}),
            "endorse",
        ),
        (replace(LATER, retired=(A, X)), f"no endorsement leads to root {X[:8]}"),
    ):
        with refused("store-unvouched") as failure:
            refuse_unvouched(read(signed_by_issuer(index)))
        assert why in failure.value.message.what
    # Whom the lost one's successor names was not endorsed, and is believed by the word of who signs.
    refuse_unvouched(read(signed_by_issuer(inheriting(replace(LATER, retired=(A, X))))))


def test_what_was_inherited_is_inherited_again_and_nothing_else() -> None:
    """A store is taken over twice: once from an earlier release or after a loss, and once as a copy."""
    once = inheriting(replace(LATER, retired=(A, X)))
    assert once.inherited == (X,)
    assert inheriting(once) == once
    # A word by one that was inherited leads nowhere by itself.
    of_his = endorsed(replace(once, retired=(A, X, FOURTH)), FOURTH, STRANGER.key, by=X)
    assert inheriting(of_his).inherited == tuple(sorted((X, FOURTH)))
    assert inheriting(replace(LATER, inherited=(A,))).inherited == (), "the control"


def test_an_index_that_nobody_would_believe_is_not_written() -> None:
    before = read(SWITCHED)
    refuse_unbelievable(Change(LATER, roots=(THIRD.view,)), before)
    refuse_unbelievable(Change(STEADY, roots=(FIRST.view,)), None)
    stranger = signed_by_issuer(replace(LATER, retired=(A, X)))
    with pytest.raises(RuntimeError, match="no endorsement leads to root"):
        refuse_unbelievable(Change(stranger, roots=(THIRD.view,)), before)


def test_roots_that_endorse_each_other_have_no_line_without_end() -> None:
    circle = endorsed(PREPARED, A, SECOND.key, by=B)
    assert circle.line == (A, B)
    refuse_unvouched(read(signed_by_issuer(circle)))


def test_a_list_of_another_number_than_the_index_names_is_not_believed() -> None:
    old, new = (
        issue_crl(root=FIRST.view, key=FIRST.key, revoked=(), number=number, validity=DAY, now=NOW) for number in (1, 2)
    )
    index = signed_by_issuer(replace(STEADY, lists={A: 2}))
    refuse_unvouched(read(index, lists={A: new}))
    with refused("store-unvouched"):
        refuse_unvouched(read(index, lists={A: old}))


def test_what_no_key_signed_is_told_with_its_roots_and_the_way_out() -> None:
    with refused("store-unsigned") as failure:
        refuse_unvouched(read(Index(A, (A, X))))
    message = failure.value.message
    assert A in message.what
    assert X in message.what
    assert message.fix.endswith(f"custom_ca_take_over={A},{X}")


def test_a_certificate_that_is_no_root_is_trusted_nowhere() -> None:
    leaf = make_leaf(FIRST).view
    forged = Root(leaf, FIRST.key)
    refuse_unfit([FIRST.view], "store")
    with refused("root-unfit") as failure:
        refuse_unfit([FIRST.view, forged.view], "store")
    assert "it is not a CA" in failure.value.message.what
    index = signed_by_issuer(Index(A, (A, leaf.fingerprint), inherited=(leaf.fingerprint,)))
    with refused("store-unvouched") as failure:
        refuse_unvouched(Snapshot("store", "1", index, {A: FIRST.view, leaf.fingerprint: leaf}, {}))
    assert "it is not a CA" in failure.value.message.what
