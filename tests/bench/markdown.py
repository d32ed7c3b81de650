# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cost grows, as tables for docs/bench.md."""

import statistics
from collections.abc import Iterator, Sequence

from .contenders import BASELINE, SITE
from .figures import Group, Groups, Spread
from .kubectl import FLOOR
from .samples import ADDED, FIRST, REMOVED, UNCHANGED
from .scale import FLOOR_SPREAD, SITE_SPREAD
from .watching import Reading

_PHASES = (FIRST, UNCHANGED, ADDED, REMOVED)


def scale_tables(groups: Groups, readings: Sequence[Reading]) -> Iterator[list[str]]:
    """Those for which something was measured."""
    for size, site, floor, yardsticks in (
        ("links", SITE.name, FLOOR.name, [BASELINE.name]),
        ("clusters", SITE_SPREAD, FLOOR_SPREAD, []),
    ):
        if groups.of(site, ADDED):
            yield list(_growth(groups, size, site, [floor, *yardsticks]))
    if readings:
        yield list(_meshes(readings))


def _growth(groups: Groups, size: str, site: str, others: Sequence[str]) -> Iterator[str]:
    yield from _head(size, "", "Seconds", "CPU seconds", "MiB", *others)
    for number in sorted({_size(group, size) for group in groups.of(site, ADDED)}):
        for phase in _PHASES:
            measured, *rest = (_find(groups, who, phase, size, number) for who in (site, *others))
            if measured:
                yield _row(
                    str(number),
                    phase,
                    _short(measured.wall),
                    _short(measured.cpu),
                    _short(measured.memory),
                    *map(_both, rest),
                )


def _find(groups: Groups, who: str, phase: str, size: str, number: int) -> Group | None:
    return next((group for group in groups.of(who, phase) if _size(group, size) == number), None)


def _size(group: Group, size: str) -> int:
    return group.links if size == "links" else group.clusters


def _short(spread: Spread | None) -> str:
    return _median([spread.median]) if spread else ""


def _both(group: Group | None) -> str:
    return f"{group.wall.median:.1f} ({group.cpu.median:.1f} CPU)" if group and group.cpu else "not run"


def _meshes(readings: Sequence[Reading]) -> Iterator[str]:
    """Sizes and phases as columns, what was read as rows."""
    columns = list(dict.fromkeys((reading.links, reading.phase) for reading in readings))
    found: dict[tuple[str, str], dict[tuple[int, str], list[float]]] = {}
    for reading in readings:
        row = found.setdefault((reading.who, reading.what), {})
        row.setdefault((reading.links, reading.phase), []).append(reading.value)
    yield from _head("", "", *(f"{links}, {phase}" for links, phase in columns))
    for (who, what), values in found.items():
        yield _row(who, what, *(_median(values.get(column, ())) for column in columns))


def _median(values: Sequence[float]) -> str:
    if not values:
        return ""
    value = statistics.median(values)
    if value == int(value) or value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*(cell[:1].upper() + cell[1:] for cell in cells))
    yield "|---" * len(cells) + "|"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
