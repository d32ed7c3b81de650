# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs are lied to, what they begin with, and what an honest run of each comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .forged import Forged, forge
from .judge import Expected, Violation, judge, names_by_cluster, roots_of, signature
from .lies import Recorded
from .scenery import CLUSTERS, HONEST, HOSTILE, LINKS, fresh
from .server import Answer, Asked
from .stage import Stage, State

__all__ = ["SCENARIOS", "Honest", "Scenario", "honest_runs", "judged"]

Json = dict[str, Any]

# A run that is lied to may take as many times as long as an honest one on this machine.
_TIMES = 8.0
# What is waited for in any case: an API server that says nothing, or is busy.
_WAITS = 75.0


@dataclass(frozen=True)
class Scenario:
    """:param waits: for all clusters, by its nature: one that cannot be seen holds it.
    :param weight: how often it is run.
    """

    name: str
    playbook: str
    state: str
    variables: Json = field(default_factory=dict)
    waits: bool = False
    weight: int = 2


_REVOKED = {"cluster": HOSTILE, "reason": "cessationOfOperation"}
_ONE = {"mesh_only_links": ["mysql"]}
_FORCE = {"mesh_rotate_force": True}
SCENARIOS = (
    Scenario("more", "site", "one link", weight=3),
    Scenario("same", "site", "settled"),
    Scenario("one", "site", "settled", _ONE),
    Scenario("new", "site", "empty", waits=True, weight=1),
    Scenario("verify", "verify", "settled", weight=3),
    Scenario("report", "report", "settled", weight=1),
    Scenario("renew", "rotate_certificates", "settled", _FORCE, weight=3),
    Scenario("renewone", "rotate_certificates", "settled", {**_FORCE, **_ONE}),
    Scenario("revoke", "rotate_certificates", "settled", {"custom_ca_revoked": [_REVOKED]}),
    Scenario("root", "rotate_ca", "settled", waits=True),
    Scenario("lost", "rotate_ca", "store lost", {"custom_ca_lost": True}, waits=True, weight=1),
)


@dataclass(frozen=True)
class Honest:
    """What a scenario begins with and comes to, where nobody lies.

    :param variables: of the scenario, with what only a run knows.
    """

    scenario: Scenario
    variables: Json
    before: State
    recorded: Sequence[Recorded]
    expected: Expected
    seconds: float


def states(stage: Stage) -> dict[str, State]:
    """Each made by runs from the one before."""
    found = {"empty": State({name: fresh(name) for name in CLUSTERS}, {})}
    stage.put(found["empty"])
    for name, links in (("one link", LINKS[:1]), ("settled", LINKS)):
        ended = stage.play("site", {}, links)
        assert ended.run.ok, ended.run.output[-4000:]
        found[name] = _kept(ended.state)
    found["store lost"] = State(found["settled"].memories, {})
    return found


def _kept(state: State) -> State:
    return State({name: memory.copy() for name, memory in state.memories.items()}, state.store)


def honest_runs(stage: Stage, scenarios: Sequence[Scenario]) -> tuple[Forged, list[Honest]]:
    """:raises AssertionError: an honest run does not pass the judgements."""
    there = states(stage)
    forged = forge(there["settled"].memories)
    names = names_by_cluster(there["settled"])
    return forged, [_honest(stage, scenario, there, names, forged) for scenario in scenarios]


def _honest(
    stage: Stage,
    scenario: Scenario,
    there: Mapping[str, State],
    names: Mapping[str, frozenset[str]],
    forged: Forged,
) -> Honest:
    before, recorded = there[scenario.state], list[Recorded]()

    def record(asked: Asked, answer: Answer) -> Answer:
        recorded.append(Recorded(asked, answer))
        return answer

    variables = _dated(scenario.variables)
    stage.put(before)
    stage.hostile.liar = record
    ended = stage.play(scenario.playbook, variables)
    after = ended.state
    own = roots_of(there["settled"])
    expected = Expected(
        names=names,
        roots=own,
        liars=frozenset({forged.fingerprint}),
        signatures={cluster: signature(before, after, cluster) for cluster in HONEST},
        objects=frozenset({*before.memories[HOSTILE].objects, *after.memories[HOSTILE].objects}),
        ports=frozenset({15443, *(link["tls_port"] for link in LINKS)}),
        secrets=stage.secrets,
        waits=scenario.waits,
        limit=_TIMES * ended.seconds + _WAITS,
    )
    assert ended.run.ok, f"{scenario.name}: {ended.run.output[-4000:]}"
    assert not (faults := judge(before, ended, expected)), f"{scenario.name}: {faults}"
    return Honest(scenario, variables, before, recorded, expected, ended.seconds)


def _dated(variables: Json) -> Json:
    """What is revoked is revoked from now on."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    revoked = [{**entry, "date": now} for entry in variables.get("custom_ca_revoked", ())]
    return {**variables, "custom_ca_revoked": revoked} if revoked else variables


def judged(violations: Sequence[Violation]) -> list[Violation]:
    """Those that must not be: a run that has to see all clusters may be held by one of them."""
    return [found for found in violations if found.kind != "held"]
