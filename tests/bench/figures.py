# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples to the figures that are aimed at, as a table and as JSON."""

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from .contenders import BASELINE, SITE
from .jobs import DIRECT, WAYS
from .kubectl import FLOOR
from .parts import COMMUNITY, ISSUER, ROTATION
from .samples import ADDED, FIRST, PROCESS, REMOVED, RENEWED, TASKS, UNCHANGED, Sample
from .scale import FLOOR_SPREAD, SITE_SPREAD
from .watching import Reading

# What is aimed at: how many times the yardstick's speed, or how many seconds more.
_SPEED_AIMS = {(10, FIRST): 10.0, (10, UNCHANGED): 15.0}
_ISSUING_AIM = 300.0
_FLEET_AIM = 5.0


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


@dataclass(frozen=True)
class Group:
    """All samples of one kind."""

    who: str
    phase: str
    links: int
    clusters: int
    samples: tuple[Sample, ...]

    @property
    def wall(self) -> Spread:
        return Spread.of([sample.wall for sample in self.samples])

    @property
    def cpu(self) -> Spread | None:
        used = [sample.cpu for sample in self.samples if sample.cpu is not None]
        return Spread.of(used) if used else None

    @property
    def memory(self) -> Spread | None:
        held = [sample.memory for sample in self.samples if sample.memory is not None]
        return Spread.of(held) if held else None

    @property
    def load(self) -> Spread:
        return Spread.of([sample.load for sample in self.samples])

    @property
    def tasks(self) -> str:
        """How many tasks each host went through; all variants, should the samples differ."""
        variants = {", ".join(f"{host} {n}" for host, n in sorted(sample.tasks.items())) for sample in self.samples}
        return " or ".join(sorted(variants))


@dataclass(frozen=True)
class Figure:
    """A standing figure: what was measured, against what, and the aim."""

    what: str
    measured: str
    aim: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "missed"}[self.met]


class Groups:
    def __init__(self, samples: Sequence[Sample]) -> None:
        by_kind: dict[tuple[str, str, int, int], list[Sample]] = {}
        for sample in samples:
            by_kind.setdefault((sample.who, sample.phase, sample.links, sample.clusters), []).append(sample)
        self.all = [Group(*kind, tuple(alike)) for kind, alike in by_kind.items()]

    def find(self, who: str, phase: str, links: int | None = None) -> Group | None:
        matching = (group for group in self.all if (group.who, group.phase) == (who, phase))
        return next((group for group in matching if links is None or group.links == links), None)

    def counts(self, who: str, phase: str) -> list[int]:
        return sorted(group.links for group in self.of(who, phase))

    def of(self, who: str, phase: str) -> list[Group]:
        return [group for group in self.all if (group.who, group.phase) == (who, phase)]


def figures(groups: Groups, fleet: int | None) -> Iterator[Figure]:
    """Those that the samples allow.

    :param fleet: the number of links that is held against one link.
    """
    yield from _speed(groups)
    yield from _above_floor(groups)
    yield from _tasks(groups)
    yield from _rotation(groups)
    yield from _fleet(groups, fleet)
    yield from _slopes(groups)
    yield from _issuing(groups)
    yield from _jobs(groups)


def _speed(groups: Groups) -> Iterator[Figure]:
    for phase in (FIRST, UNCHANGED):
        for links in groups.counts(SITE.name, phase):
            ours, theirs = groups.find(SITE.name, phase, links), groups.find(BASELINE.name, phase, links)
            if ours and theirs and ours.cpu and theirs.cpu:
                wall = theirs.wall.median / ours.wall.median
                cpu = theirs.cpu.median / ours.cpu.median
                aim = _SPEED_AIMS.get((links, phase))
                yield Figure(
                    f"site, {links} links, {phase}",
                    f"the baseline's time / {wall:.1f}, its CPU seconds / {cpu:.1f}",
                    f"/ {aim:.0f}" if aim else "",
                    wall >= aim if aim else None,
                )


def _above_floor(groups: Groups) -> Iterator[Figure]:
    for phase in (FIRST, UNCHANGED):
        for links in groups.counts(FLOOR.name, phase):
            ours, least = groups.find(SITE.name, phase, links), groups.find(FLOOR.name, phase, links)
            if ours and least:
                times = ours.wall.median / least.wall.median
                yield Figure(f"site over kubectl, {links}, {phase}", f"{times:.1f} times its time", "", None)


def _tasks(groups: Groups) -> Iterator[Figure]:
    for phase in (FIRST, UNCHANGED):
        found = {
            links: group.tasks
            for links in groups.counts(SITE.name, phase)
            if (group := groups.find(SITE.name, phase, links))
        }
        if len(found) > 1:
            measured = "; ".join(f"{links} links: {tasks}" for links, tasks in found.items())
            yield Figure(f"tasks of each host, {phase}", measured, "the same", len(set(found.values())) == 1)


def _rotation(groups: Groups) -> Iterator[Figure]:
    for links in groups.counts(ROTATION, RENEWED):
        renewed, unchanged = groups.find(ROTATION, RENEWED, links), groups.find(SITE.name, UNCHANGED, links)
        if renewed and unchanged:
            times = renewed.wall.median / unchanged.wall.median
            yield Figure(
                f"rotation of {links} links' leaves", f"{times:.1f} times a run of site without a change", "", None
            )


def _fleet(groups: Groups, fleet: int | None) -> Iterator[Figure]:
    one = groups.find(SITE.name, UNCHANGED, 1)
    many = groups.find(SITE.name, UNCHANGED, fleet) if fleet else None
    if one and many and one.cpu and many.cpu:
        more = many.wall.median - one.wall.median
        cpu = many.cpu.median - one.cpu.median
        yield Figure(
            f"site, {many.links} links, no change",
            f"{more:.1f} s more than one link, {cpu:.1f} CPU seconds more",
            f"{_FLEET_AIM:.0f} s more",
            more <= _FLEET_AIM,
        )


def _slopes(groups: Groups) -> Iterator[Figure]:
    for who, unit in ((SITE.name, "link"), (FLOOR.name, "link"), (SITE_SPREAD, "cluster"), (FLOOR_SPREAD, "cluster")):
        for phase in (FIRST, UNCHANGED, ADDED, REMOVED):
            found = groups.of(who, phase)
            sizes = [group.links if unit == "link" else group.clusters for group in found]
            if len(set(sizes)) > 1:
                wall, cpu, memory = (
                    slope(sizes, [spread.median for spread in spreads if spread])
                    for spreads in zip(*((group.wall, group.cpu, group.memory) for group in found), strict=True)
                )
                yield Figure(
                    f"one more {unit}, {who}, {phase}",
                    f"{wall * 1000:.0f} ms, {cpu * 1000:.0f} ms CPU, {memory:.2f} MiB",
                    "",
                    None,
                )


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """What one more costs: of the straight line that lies closest (least squares)."""
    return statistics.linear_regression(sizes, values).slope


def _issuing(groups: Groups) -> Iterator[Figure]:
    ours, theirs = groups.find(ISSUER, TASKS), groups.find(COMMUNITY, TASKS)
    if ours and theirs:
        rate, yardstick = ours.links / ours.wall.median, theirs.links / theirs.wall.median
        yield Figure(
            f"certificates, {ours.links} in a task",
            f"{rate:.0f} a second against {yardstick:.2f}: {rate / yardstick:.0f} times{_by_cpu(groups)}",
            f"{_ISSUING_AIM:.0f} times",
            rate >= _ISSUING_AIM * yardstick,
        )


def _by_cpu(groups: Groups) -> str:
    ours, theirs = groups.find(ISSUER, PROCESS), groups.find(COMMUNITY, PROCESS)
    if not (ours and theirs and ours.cpu and theirs.cpu):
        return ""
    times = (ours.links / ours.cpu.median) / (theirs.links / theirs.cpu.median)
    return f"; {times:.0f} times by CPU seconds of the whole process"


def _jobs(groups: Groups) -> Iterator[Figure]:
    """What a job adds to a run, and what of a job does not become less with its clusters."""
    for who in WAYS:
        whole, part = (_of_clusters(groups, who, clusters) for clusters in (2, 1))
        direct = _of_clusters(groups, DIRECT, 2)
        if whole and part and direct and whole.cpu and part.cpu and direct.cpu:
            wall = whole.wall.median - direct.wall.median
            cpu = whole.cpu.median - direct.cpu.median
            cluster = whole.cpu.median - part.cpu.median
            measured = (
                f"{wall:.2f} s, {cpu:.2f} CPU more than {DIRECT}; {cluster:.2f} CPU a cluster, "
                f"{part.cpu.median - cluster:.2f} CPU a job"
            )
            yield Figure(f"a job, {who}", measured, "", None)


def _of_clusters(groups: Groups, who: str, clusters: int) -> Group | None:
    return next((group for group in groups.of(who, UNCHANGED) if group.clusters == clusters), None)


def table(groups: Groups, found: Sequence[Figure]) -> str:
    head = f"{'':<20}{'':<17}{'clusters':>8}{'links':>6}  "
    lines = [f"{head}{'seconds':<24}{'CPU seconds':<24}{'MiB':<10}{'load':<20}runs"]
    for group in groups.all:
        label = f"{group.who:<20}{group.phase:<17}{group.clusters:>8}{group.links:>6}  "
        memory = f"{group.memory.median:.0f}" if group.memory else "-"
        row = f"{group.wall!s:<24}{group.cpu or '-'!s:<24}{memory:<10}{group.load!s:<20}"
        lines.append(f"{label}{row}{len(group.samples)}")
    lines += ["", f"{'':<55}{'aim':<11}{'':<7}measured"]
    lines += [f"{f.what:<55}{f.aim:<11}{f.verdict:<7}{f.measured}" for f in found]
    return "\n".join(lines)


def report(groups: Groups, found: Sequence[Figure], readings: Sequence[Reading]) -> dict[str, Any]:
    return {
        "machine": {
            "processors": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            **{name: version(name) for name in ("ansible-core", "cryptography", "kubernetes")},
        },
        "figures": [asdict(figure) for figure in found],
        "measured": [
            {
                "who": group.who,
                "phase": group.phase,
                "links": group.links,
                "clusters": group.clusters,
                "seconds": asdict(group.wall),
                "cpu_seconds": asdict(group.cpu) if group.cpu else None,
                "memory_mib": asdict(group.memory) if group.memory else None,
                "samples": [asdict(sample) for sample in group.samples],
            }
            for group in groups.all
        ],
        "meshes": [asdict(reading) for reading in readings],
    }
