# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import LiveCredential, read_live
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.renewal import CHECKS, Inputs, decide, trust_decision
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root


@pytest.fixture(scope="module")
def sound_inputs(root: Root, leaf: Leaf) -> Inputs:
    """A credential with which nothing is wrong."""
    return Inputs(
        now=NOW,
        role="server",
        wanted_sans=frozenset(leaf.view.sans),
        key_type="P-256",
        renew_before=30 * DAY,
        live=LiveCredential(leaf.view, key_matches=True),
        issuing_root=root.view,
    )


def changed_leaf(inputs: Inputs, **changes: Any) -> Inputs:
    assert inputs.live is not None
    assert inputs.live.leaf is not None
    return replace(inputs, live=replace(inputs.live, leaf=replace(inputs.live.leaf, **changes)))


def changed_live(inputs: Inputs, **changes: Any) -> Inputs:
    assert inputs.live is not None
    return replace(inputs, live=replace(inputs.live, **changes))


def serial(inputs: Inputs) -> str:
    assert inputs.live is not None
    assert inputs.live.leaf is not None
    return inputs.live.leaf.serial


TABLE: list[tuple[str, Callable[[Inputs], Inputs], str]] = [
    ("missing", lambda i: replace(i, live=None), "there is no certificate yet"),
    ("unreadable", lambda i: changed_live(i, leaf=None, problem="it is cut off"), "it is cut off"),
    ("key-mismatch", lambda i: changed_live(i, key_matches=False), "the key does not belong to certificate"),
    ("usage-changed", lambda i: replace(i, role="client"), "had serverAuth, want clientAuth"),
    ("usage-changed", lambda i: changed_leaf(i, eku=("serverAuth", "clientAuth")), "had clientAuth, serverAuth, want"),
    ("usage-changed", lambda i: changed_leaf(i, is_ca=True), "had a CA"),
    (
        "san-changed",
        lambda i: replace(i, wanted_sans=frozenset({"new.example.com"})),
        "SAN changed: had mysql.server.example.com, want new.example.com",
    ),
    ("issuer-changed", lambda i: replace(i, issuing_root=make_root().view), "issuer changed: had CN=Test Root CA"),
    ("issuer-changed", lambda i: replace(i, issuing_root=None), "a root that is still to be made"),
    ("chain-changed", lambda i: changed_live(i, chain=(make_root().view,)), "had CN=Test Root CA"),
    ("revoked", lambda i: replace(i, revoked=frozenset({serial(i)})), "is revoked"),
    (
        "expires",
        lambda i: replace(i, now=NOW + 60 * DAY),
        "expires at 2026-08-30T12:00:00Z, to be renewed since 2026-07",
    ),
    ("expires", lambda i: replace(i, now=NOW + 90 * DAY), "expired at 2026-08-30T12:00:00Z"),
    ("key-type-changed", lambda i: replace(i, key_type="RSA-3072"), "had P-256, want RSA-3072"),
    ("forced", lambda i: replace(i, force=True), "asked for"),
]


@pytest.mark.parametrize(("reason", "spoil", "message"), TABLE)
def test_each_reason_to_issue(
    sound_inputs: Inputs, reason: str, spoil: Callable[[Inputs], Inputs], message: str
) -> None:
    decision = decide(spoil(sound_inputs))
    assert (decision.action, decision.reason) == ("issue", reason)
    assert message in decision.message


def test_the_table_above_knows_every_check() -> None:
    assert {reason for reason, _check in CHECKS} <= {reason for reason, _spoil, _message in TABLE}


def test_what_is_in_order_is_kept(sound_inputs: Inputs) -> None:
    decision = decide(sound_inputs)
    assert (decision.action, decision.reason) == ("keep", "valid")
    assert decision.message == "valid until 2026-08-30T12:00:00Z, to be renewed from 2026-07-31T12:00:00Z"


def test_the_last_second_before_renewal_is_kept(sound_inputs: Inputs) -> None:
    assert decide(replace(sound_inputs, now=NOW + 60 * DAY - timedelta(seconds=1))).action == "keep"


def test_the_order_of_names_means_nothing(root: Root, sound_inputs: Inputs) -> None:
    leaf = make_leaf(root, sans=["b.example.com", "a.example.com"])
    live = read_live(leaf.certificate_pem, leaf.key_pem, where="Secret")
    wanted = frozenset({"a.example.com", "b.example.com"})
    assert decide(replace(sound_inputs, live=live, wanted_sans=wanted)).action == "keep"


def test_renewing_under_a_root_that_ends_first_would_bring_nothing(sound_inputs: Inputs) -> None:
    root = make_root(validity=20 * DAY)
    leaf = make_leaf(root)
    ending = replace(sound_inputs, issuing_root=root.view, live=LiveCredential(leaf.view, key_matches=True))
    assert (decide(ending).action, decide(ending).reason) == ("keep", "ends-with-root")
    assert decide(replace(ending, now=NOW + 20 * DAY)).reason == "expires"


def test_what_a_secret_holds_is_read_with_its_faults(root: Root, leaf: Leaf) -> None:
    sound = read_live(leaf.certificate_pem + root.view.pem, leaf.key_pem, where="Secret")
    assert sound == LiveCredential(leaf.view, chain=(root.view,), key_matches=True)
    damaged = read_live(b"\xff", leaf.key_pem, where="Secret")
    assert damaged.leaf is None
    assert damaged.problem


# -- whatever comes together ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Situation:
    """A credential, what is wrong with it, and its distance from its renewal.

    :param faults: reasons of TABLE that have nothing to do with time.
    :param left: until the certificate's end; negative after it.
    :param gain: how much longer its root lasts.
    """

    faults: tuple[str, ...]
    left: timedelta
    renew_before: timedelta
    gain: timedelta

    @property
    def due(self) -> bool:
        """Whether time alone asks for a new certificate, and could give one that lasts longer."""
        return self.left <= NOTHING or (self.gain > NOTHING and self.left <= self.renew_before)

    def inputs(self, sound_inputs: Inputs) -> Inputs:
        assert sound_inputs.issuing_root is not None
        end = NOW + self.left
        timed = replace(
            changed_leaf(sound_inputs, not_after=end),
            renew_before=self.renew_before,
            issuing_root=replace(sound_inputs.issuing_root, not_after=end + self.gain),
        )
        for fault in self.faults:
            timed = FAULTS[fault](timed)
        return timed


NOTHING = timedelta(0)
# The faults of TABLE that can come together with each other and with any time.
FAULTS = {reason: spoil for reason, spoil, _message in TABLE if reason not in ("missing", "unreadable", "expires")}
ORDER = [reason for reason, _check in CHECKS]

# Around the very moments where a decision turns, too.
moments = st.integers(min_value=0, max_value=400 * 86400) | st.sampled_from([0, 1, 30 * 86400 - 1, 30 * 86400])
lengths = moments.map(lambda value: timedelta(seconds=value))
situations = st.builds(
    Situation,
    faults=st.lists(st.sampled_from(sorted(FAULTS)), unique=True, max_size=3).map(tuple),
    left=lengths | lengths.map(lambda length: -length),
    renew_before=lengths,
    gain=lengths,
)
sound = situations.map(lambda situation: replace(situation, faults=()))


@given(situation=situations)
def test_what_is_past_its_renewal_is_never_kept(sound_inputs: Inputs, situation: Situation) -> None:
    decision = decide(situation.inputs(sound_inputs))
    assert not (situation.due and decision.action == "keep")


@given(situation=situations)
def test_what_is_wrong_is_never_kept(sound_inputs: Inputs, situation: Situation) -> None:
    decision = decide(situation.inputs(sound_inputs))
    assert not (situation.faults and decision.action == "keep")


@given(situation=situations)
def test_what_need_not_be_renewed_never_is(sound_inputs: Inputs, situation: Situation) -> None:
    decision = decide(situation.inputs(sound_inputs))
    needed = bool(situation.faults) or situation.due
    assert needed or decision.action == "keep"


@given(situation=situations)
def test_of_many_reasons_the_first_of_the_list_is_told(sound_inputs: Inputs, situation: Situation) -> None:
    expected = [*situation.faults, *(["expires"] if situation.due else [])]
    assume(expected)
    assert decide(situation.inputs(sound_inputs)).reason == min(expected, key=ORDER.index)


@given(situation=sound)
def test_time_alone_never_gives_another_reason(sound_inputs: Inputs, situation: Situation) -> None:
    decision = decide(situation.inputs(sound_inputs))
    assert decision.reason in (("expires",) if situation.due else ("valid", "ends-with-root"))


@given(situation=sound, validity=lengths)
def test_a_renewal_settles_it(sound_inputs: Inputs, situation: Situation, validity: timedelta) -> None:
    """Else every run would renew: also under a root that ends before the new certificate should."""
    assume(validity > situation.renew_before)
    inputs = situation.inputs(sound_inputs)
    assert inputs.issuing_root is not None
    assume(inputs.issuing_root.not_after > NOW)
    renewed = changed_leaf(inputs, not_after=min(NOW + validity, inputs.issuing_root.not_after))
    assert decide(renewed).action == "keep"


def test_trust_is_compared_as_a_set(root: Root) -> None:
    other = make_root().view
    assert trust_decision((root.view, other), (other, root.view)).action == "keep"
    decision = trust_decision((root.view,), (root.view, other))
    assert (decision.action, decision.reason) == ("write", "trust-changed")
    assert other.fingerprint[:8] in decision.message
    assert other.fingerprint not in decision.message
    assert "had nothing" in trust_decision((), (root.view,)).message
