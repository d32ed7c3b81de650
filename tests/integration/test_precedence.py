# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of Istio's precedence says what istiod does: a small part of `python -m tests.precedence`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.precedence.control_plane import ControlPlane
from tests.precedence.faults import FAULTS
from tests.precedence.generate import Generator
from tests.precedence.run import Look, Runner

pytestmark = pytest.mark.slow

SETS = 50
SEED = 1
# These show in so many sets that fifty hold some.
SEEDED = (
    "the youngest comes first",
    "exportTo does not matter",
    "DestinationRules are never merged",
    "a workload takes the oldest host, wherever it is",
    "any VirtualService is let in at a gateway",
    "no server of a Gateway is left out",
)


@pytest.fixture(scope="module")
def looks(lab: Lab) -> Iterator[list[Look]]:
    runner = Runner(ControlPlane(lab, "cluster-a"), Generator(SEED), SETS)
    runner.prepare()
    try:
        yield list(runner.batch(range(1, SETS + 1), 1))
    finally:
        runner.finish()


def test_the_model_says_what_istiod_does(looks: list[Look]) -> None:
    assert len(looks) == SETS
    assert [str(difference) for look in looks for difference in look.compare()[1]] == []


@pytest.mark.parametrize("name", SEEDED)
def test_a_fault_in_the_model_is_found(looks: list[Look], name: str) -> None:
    with FAULTS[name]():
        assert any(look.compare()[1] for look in looks)
