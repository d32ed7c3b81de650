# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few edited inputs for every parser of foreign bytes, the same in each run; C(make fuzz) draws others for longer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.fuzz.corpus import Entry, entries
from tests.fuzz.judge import Target, judge
from tests.fuzz.targets import TARGETS, inputs_of

# Those in which each input is a whole look at a cluster.
WHOLE = {"preflight", "site"}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_foreign_bytes_are_a_value_or_one_coded_error(name: str) -> None:
    @settings(
        derandomize=True,
        max_examples=3 if name in WHOLE else 8,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs_of(TARGETS[name]))
    def run(tried: Any) -> None:
        judge(TARGETS[name], tried)

    run()


@pytest.mark.parametrize("entry", [pytest.param(entry, id=f"{entry.target}: {entry.name}") for entry in entries()])
def test_what_failed_once_fails_no_more(entry: Entry) -> None:
    judge(TARGETS[entry.target], entry.given)


def quoting(secret: str) -> None:
    raise CrossmeshError(Message.error("kubeconfig", where="x", what=f"it holds {secret}", fix="x"))


def uncoded(_given: object) -> None:
    raise CrossmeshError(Message.error("no-such-code", where="x", what="x", fix="x"))


def endless(_given: object) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda given: given["nowhere"], "KeyError"),
        (quoting, "quotes a secret"),
        (uncoded, "no such code"),
        (endless, "no end within"),
    ],
)
def test_the_judge_sees_what_a_parser_may_not_do(read: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: each kind of fault is one."""
    monkeypatch.setattr("tests.fuzz.judge.LIMIT", 0.05)
    with pytest.raises(AssertionError, match=told):
        judge(Target(list, read, secrets=("planted",)), "planted" if read is quoting else {})


def test_a_message_is_judged_as_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: were it not made visible, it would be seen."""
    monkeypatch.setattr("ansible_collections.crossmesh.mtls.plugins.module_utils._messages.visible", lambda text: text)
    with pytest.raises(AssertionError, match="shown as it came"):
        judge(Target(list, quoting), "\x1b[2J")
