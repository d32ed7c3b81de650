# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies in the two pictures of a report: the topology, and the time line. Pure: numbers, no markup.

PRIVATE to the collection.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Event, Link, Report
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.tone import Tone, of_event, of_link, worst

__all__ = ["Bar", "Box", "Line", "Pill", "Ruler", "Topology", "time_line", "topology_picture"]

# More links than these are drawn as bundles of the same clusters and state.
MOST_PILLS = 24
_PHONE = 500
_PILL, _GAP, _BOX = 30, 10, 58
_MARGIN = 4
_WORDS: Mapping[Tone, str] = MappingProxyType(
    {"bad": "problem", "due": "renewal overdue", "unknown": "not fully seen", "ok": "up"}
)
# Of one letter, in pixels of its height.
_LETTER = 0.56


@dataclass(frozen=True)
class Box:
    """A cluster."""

    x: int
    y: int
    width: int
    height: int
    title: str
    note: str
    name: str
    tone: Tone


@dataclass(frozen=True)
class Pill:
    """A link, or a bundle of links.

    :param title: as much of C(name) as fits.
    :param note: empty where there is no room for it.
    """

    x: int
    y: int
    width: int
    height: int
    title: str
    note: str
    name: str
    links: tuple[str, ...]
    tone: Tone


@dataclass(frozen=True)
class Line:
    """From a cluster to a link, or on to another cluster: a Bezier curve."""

    path: str
    tone: Tone


@dataclass(frozen=True)
class Topology:
    width: int
    height: int
    boxes: tuple[Box, ...]
    pills: tuple[Pill, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Bundle:
    clients: tuple[str, ...]
    servers: tuple[str, ...]
    links: tuple[Link, ...]
    tone: Tone


def topology_picture(report: Report, width: int) -> Topology:
    """Clients' clusters on the left, servers' on the right, the links between them.

    :param width: in pixels.
    """
    bundles = _bundles(report)
    # Names need a part of a phone that on a desktop lines have.
    side, middle = (round(width * share) for share in ((0.22, 0.3) if width > _PHONE else (0.3, 0.28)))
    left = _MARGIN
    centre, right = (width - middle) // 2, width - _MARGIN - side
    height = max(_column(len(bundles), _PILL), *(_column(len(_names(bundles, end)), _BOX) for end in _ENDS)) + _MARGIN
    first = (height - len(bundles) * (_PILL + _GAP) + _GAP) // 2
    tops = [first + index * (_PILL + _GAP) for index in range(len(bundles))]
    pills = tuple(_pill(bundle, centre, top, middle) for bundle, top in zip(bundles, tops, strict=True))
    boxes: list[Box] = []
    lines: list[Line] = []
    for end, x in (("clients", left), ("servers", right)):
        placed = _boxes(report, bundles, end, x, side, height)
        boxes += placed.values()
        lines += _lines(bundles, pills, end, placed)
    return Topology(width, height, tuple(boxes), pills, tuple(lines))


_ENDS = ("clients", "servers")


def _bundles(report: Report) -> list[_Bundle]:
    """Each link alone where there is room; the same clusters' links together otherwise, apart by how they stand."""
    together = len(report.links) > MOST_PILLS
    found: dict[tuple[object, ...], list[Link]] = defaultdict(list)
    for link in report.links:
        tone = of_link(link, report.renew_before_days)
        found[link.servers, link.clients, tone, "" if together else link.name].append(link)
    bundles = [
        _Bundle(links[0].clients, links[0].servers, tuple(links), of_link(links[0], report.renew_before_days))
        for links in found.values()
    ]
    return sorted(bundles, key=lambda item: (item.servers, item.clients, item.links[0].name))


def _names(bundles: Sequence[_Bundle], end: str) -> list[str]:
    """The clusters of one end, by where their links lie, so that few lines cross."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, bundle in enumerate(bundles):
        for name in getattr(bundle, end):
            places[name].append(index)
    return sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))


def _column(count: int, height: int) -> int:
    return count * (height + _GAP) + _MARGIN


def _pill(bundle: _Bundle, x: int, y: int, width: int) -> Pill:
    count, first = len(bundle.links), bundle.links[0]
    name = first.name if count == 1 else f"{count} links"
    note = f"{first.protocol} :{first.port}" if count == 1 else _WORDS[bundle.tone]
    room = width - 38
    note = note if _wide(name, 13) + _wide(note, 11) + 12 <= room else ""
    title = _fitting(name, room - (_wide(note, 11) + 12 if note else 0), 13)
    return Pill(x, y, width, _PILL, title, note, name, tuple(link.name for link in bundle.links), bundle.tone)


def _boxes(report: Report, bundles: Sequence[_Bundle], end: str, x: int, width: int, height: int) -> Mapping[str, Box]:
    found, seen = _names(bundles, end), {cluster.name: cluster.seen for cluster in report.clusters}
    step = height / max(len(found), 1)
    boxes = {}
    for index, name in enumerate(found):
        of_it = [bundle for bundle in bundles if name in getattr(bundle, end)]
        count = sum(len(bundle.links) for bundle in of_it)
        word = "dials" if end == "clients" else "serves"
        # An external server is no cluster: who dials it says how it stands.
        known = seen.get(name, True)
        note = f"{word} {count} link{'' if count == 1 else 's'}" if known else "not looked at"
        tone = worst(bundle.tone for bundle in of_it) if known else "unknown"
        top = round(step * (index + 0.5) - _BOX / 2)
        boxes[name] = Box(x, top, width, _BOX, _fitting(name, width - 24, 14), note, name, tone)
    return boxes


def _lines(bundles: Sequence[_Bundle], pills: Sequence[Pill], end: str, boxes: Mapping[str, Box]) -> list[Line]:
    ports: dict[str, list[int]] = defaultdict(list)
    for index, bundle in enumerate(bundles):
        for name in getattr(bundle, end):
            ports[name].append(index)
    lines = []
    for name, indexes in ports.items():
        box = boxes[name]
        for order, index in enumerate(indexes):
            pill = pills[index]
            y = box.y + box.height * (order + 1) / (len(indexes) + 1)
            middle = pill.y + pill.height / 2
            start, stop = (box.x + box.width, pill.x) if end == "clients" else (pill.x + pill.width, box.x)
            before, after = (y, middle) if end == "clients" else (middle, y)
            lines.append(Line(_curve(start, before, stop, after), bundles[index].tone))
    return lines


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x1 + x2) / 2
    return f"M{x1:.0f} {y1:.1f}C{half:.0f} {y1:.1f} {half:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"


def _wide(text: str, size: int) -> float:
    return len(text) * size * _LETTER


def _fitting(text: str, width: float, size: int) -> str:
    most = max(int(width / (size * _LETTER)), 4)
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True)
class Bar:
    """So many things that end at about one time."""

    x: float
    height: float
    count: int
    days: str
    tone: Tone


@dataclass(frozen=True)
class Lane:
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Ruler:
    """The time line.

    :param ticks: where a number of days is, and its word.
    :param renewal: where the time begins in which certificates are to be renewed.
    """

    width: int
    bin: int
    ticks: tuple[tuple[float, str], ...]
    renewal: float
    lanes: tuple[Lane, ...]


_TICKS = ((0, "today"), (7, "7 d"), (30, "30 d"), (90, "90 d"), (365, "1 y"), (1095, "3 y"), (3650, "10 y"))
_LANES = (("certificate", "Certificates"), ("crl", "CRLs"), ("root", "Roots"))
_BIN = 8
_TALLEST = 34


def time_line(report: Report, width: int) -> Ruler:
    """What ends when, on a scale that gives the next days the most room.

    :param width: of the scale, in pixels.
    """
    longest = max([event.days_left for event in report.timeline] + [90])

    def place(days: float) -> float:
        return round(math.log1p(max(days, 0)) / math.log1p(longest) * width, 1)

    lanes = []
    for kind, title in _LANES:
        bins: dict[int, list[Event]] = defaultdict(list)
        for event in report.timeline:
            if event.kind == kind:
                bins[int(place(event.days_left) // _BIN)].append(event)
        most = max((len(found) for found in bins.values()), default=1)
        bars = tuple(_bar(index, found, most, report) for index, found in sorted(bins.items()))
        lanes.append(Lane(title, bars))
    ticks = tuple((place(days), word) for days, word in _TICKS if days <= longest)
    return Ruler(width, _BIN, ticks, place(report.renew_before_days), tuple(lanes))


def _bar(index: int, events: Sequence[Event], most: int, report: Report) -> Bar:
    days = sorted({event.days_left for event in events})
    span = f"{days[0]} d" if len(days) == 1 else f"{days[0]} to {days[-1]} d"
    height = max(6.0, round(_TALLEST * math.sqrt(len(events) / most), 1))
    return Bar(index * _BIN, height, len(events), span, worst(of_event(event, report) for event in events))
