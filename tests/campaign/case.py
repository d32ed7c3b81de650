# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case of a campaign: something is done to a mesh under load, and what became of the connections is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.live_traffic import Traffic, live_traffic

# Seconds; far more than a connection takes on a busy machine, less than any fault lasts.
STALLED = 3.0


@dataclass(frozen=True)
class Load:
    """What runs beside every case.

    :param rate: new connections a second.
    :param held: established sessions, each of which asks every half second.
    """

    rate: float
    held: int


@dataclass(frozen=True)
class Case:
    """What is done, and what it may cost.

    :param act: does it; its answer is a note for the table, an AssertionError what was not as it must be.
    :param loses: the fault itself takes connections away, or keeps them waiting; if it does neither, it was none.
    """

    campaign: str
    name: str
    act: Callable[[Mesh], str]
    loses: bool = False


@dataclass
class Outcome:
    """How a case went.

    :param faults: what was not as it must be.
    :param seconds: from the first to the last connection.
    """

    case: Case
    traffic: Traffic = field(default_factory=Traffic)
    faults: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0


def perform(case: Case, mesh: Mesh, load: Load) -> Outcome:
    """Do it, and judge it."""
    outcome = Outcome(case)
    began = time.monotonic()
    try:
        with live_traffic(mesh.lab, load.rate, held=load.held) as outcome.traffic:
            outcome.note = case.act(mesh)
    except AssertionError as fault:
        outcome.faults.append(str(fault))
    outcome.seconds = time.monotonic() - began
    outcome.faults += _faults_of_traffic(case, outcome.traffic, load)
    return outcome


def _when(traffic: Traffic) -> str:
    moments = [made.began - traffic.attempts[0].began for made in traffic.attempts if made.error]
    return f"{len(moments)} between {moments[0]:.0f} s and {moments[-1]:.0f} s"


def _faults_of_traffic(case: Case, traffic: Traffic, load: Load) -> list[str]:
    if not traffic.attempts:
        return ["there were no connections"]
    faults = []
    if traffic.rate < 0.9 * load.rate:
        faults.append(f"only {traffic.rate:.0f} new connections a second")
    if case.loses:
        noticed = traffic.lost or traffic.slowest > STALLED
        return faults if noticed else [*faults, "no connection was lost or waited: the fault was none"]
    if traffic.lost:
        faults.append(f"connections were lost, {_when(traffic)}: {traffic.lost[0]}")
    if traffic.broken_sessions:
        faults.append(f"held sessions broke: {traffic.broken_sessions[0]}")
    return faults
