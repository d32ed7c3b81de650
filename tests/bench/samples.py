# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement, and what can be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .process import Measured

FIRST = "first run"
UNCHANGED = "no change"
ADDED = "one link added"
REMOVED = "one link removed"
PROCESS = "whole process"
TASKS = "tasks alone"
RENEWED = "all renewed"


@dataclass(frozen=True)
class Sample:
    """One measurement.

    :param links: how many links, or certificates where those are counted.
    :param memory: MiB.
    """

    who: str
    phase: str
    links: int
    wall: float
    cpu: float | None
    load: float
    tasks: Mapping[str, int] = field(default_factory=dict)
    memory: float | None = None
    clusters: int = 2

    def __str__(self) -> str:
        cpu = f"{self.cpu:.2f} s CPU, " if self.cpu is not None else ""
        memory = f"{self.memory:.0f} MiB, " if self.memory is not None else ""
        where = f"{self.links}" if self.clusters == 2 else f"{self.links} on {self.clusters}"
        return f"{self.who}, {where}, {self.phase}: {self.wall:.2f} s, {cpu}{memory}load {self.load:.2f}"


def sample(
    who: str,
    phase: str,
    links: int,
    runs: Sequence[Measured],
    *,
    tasks: Mapping[str, int] | None = None,
    clusters: int = 2,
) -> Sample:
    """Of commands that ran one after the other."""
    return Sample(
        who,
        phase,
        links,
        wall=sum(run.wall for run in runs),
        cpu=sum(run.cpu for run in runs),
        load=runs[0].load,
        tasks=tasks or {},
        memory=max(run.memory for run in runs),
        clusters=clusters,
    )
