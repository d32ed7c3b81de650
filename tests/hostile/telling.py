# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs with several lies each, and which of them a violation is of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from .judge import Violation, judge
from .lies import Liar, Lie, World, draw
from .scenarios import Honest, judged
from .stage import Stage

__all__ = ["Batch", "Finding", "Told", "batches", "coverage", "likeness", "pursue", "tell"]


@dataclass(frozen=True)
class Batch:
    """Lies that one run is told, each about another request."""

    honest: Honest
    lies: Sequence[Lie]


@dataclass(frozen=True)
class Told:
    """:param told: of the lies, those whose answer was asked for.
    :param held: whether the run waited for the liar, as it has to.
    """

    batch: Batch
    told: Sequence[Lie]
    violations: Sequence[Violation]
    held: bool
    seconds: float
    output: str = field(repr=False, default="")


@dataclass(frozen=True)
class Finding:
    lies: Sequence[Lie]
    violations: Sequence[Violation]
    output: str = field(repr=False, default="")


def batches(honest: Sequence[Honest], seed: int, size: int) -> Iterator[Batch]:
    """Without end, playbook by playbook."""
    by_scenario = {found.scenario.name: _batches(found, seed, size) for found in honest}
    order = sorted(
        (number / found.scenario.weight, found.scenario.name)
        for found in honest
        for number in range(found.scenario.weight)
    )
    for _place, name in cycle(order):
        yield next(by_scenario[name])


def _batches(honest: Honest, seed: int, size: int) -> Iterator[Batch]:
    """Lies that may be believed and lies that end the run for its cluster are told apart; slow ones alone."""
    waiting: dict[str, list[Lie]] = {"sly": [], "rude": [], "slow": []}
    for lie in draw(honest.scenario.name, honest.recorded, seed):
        kept = waiting[lie.sort]
        if lie.asked not in {other.asked for other in kept}:
            kept.append(lie)
        if len(kept) == (1 if lie.sort == "slow" else size):
            yield Batch(honest, tuple(kept))
            kept.clear()


def tell(stage: Stage, batch: Batch, world: World) -> Told:
    honest = batch.honest
    stage.put(honest.before)
    liar = Liar(batch.lies, world)
    stage.hostile.liar = liar
    ended = stage.play(honest.scenario.playbook, honest.variables, limit=honest.expected.limit)
    found = [*judge(honest.before, ended, honest.expected), *_executed(world)]
    told = [lie for lie in batch.lies if lie in liar.told]
    must_not = judged(found)
    return Told(batch, told, must_not, len(found) > len(must_not), ended.seconds, ended.run.output)


def _executed(world: World) -> Iterator[Violation]:
    """Whether a text of the liar's was taken for a template."""
    marker = Path(world.marker)
    if marker.exists():
        marker.unlink()
        yield Violation("executed", "a template of the liar's was executed")


def pursue(stage: Stage, told: Told, world: World) -> Iterator[Finding]:
    """The lies that each by itself, or not less than together, come to a violation."""
    if len(told.told) <= 1:
        yield Finding(told.told, told.violations, told.output)
        return
    half = len(told.told) // 2
    parts = [tell(stage, Batch(told.batch.honest, part), world) for part in (told.told[:half], told.told[half:])]
    bad = [part for part in parts if part.violations]
    if not bad:
        yield Finding(told.told, told.violations, told.output)
    for part in bad:
        yield from pursue(stage, part, world)


def likeness(violation: Violation) -> str:
    """The same for violations that are of one cause."""
    return f"{violation.kind}: {re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', '#', violation.what)[:120]}"


def coverage(told: Sequence[Told]) -> str:
    """Which kinds of answers were lied in, and how."""
    lies = [lie for run in told for lie in run.told]
    lines = [f"{'answer':<50} {'lies':>5} {'fields':>6} {'changes':>7} {'whole':>5}"]
    for kind in sorted({lie.asked.kind for lie in lies}):
        mine = [lie for lie in lies if lie.asked.kind == kind]
        fields, changes = ({getattr(lie, name) for lie in mine} for name in ("field", "change"))
        whole = sum(not lie.pointer for lie in mine)
        lines.append(f"{kind:<50} {len(mine):>5} {len(fields - {''}):>6} {len(changes):>7} {whole:>5}")
    runs = Counter(run.batch.honest.scenario.name for run in told)
    held = Counter(run.batch.honest.scenario.name for run in told if run.held)
    lines += ["", f"{'run':<20} {'runs':>5} {'lies':>5} {'held':>5}"]
    for name, count in sorted(runs.items()):
        mine = [lie for run in told for lie in run.told if run.batch.honest.scenario.name == name]
        lines.append(f"{name:<20} {count:>5} {len(mine):>5} {held[name]:>5}")
    lines.append(f"{len(lies)} lies in {len(told)} runs")
    return "\n".join(lines)
