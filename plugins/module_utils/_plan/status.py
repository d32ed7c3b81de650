# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each link of a side stands: its certificate, the root of it, and how many gateway pods serve it. Pure.

PRIVATE to the collection. A side tells of itself; who serves a link and who dials it is put together once all clusters
were looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypedDict, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import PLACES, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import issuer_of, live_credential

__all__ = ["LinkSide", "LinkSideJson", "aligned", "first_fault", "next_due", "of_side", "standing", "table"]

# Links of which nothing is to be told but that they are up: more of them than this are one line.
MOST_ROWS = 12
# More clusters than this are a number.
MOST_NAMES = 3
NOTHING = "-"
HEADS = ("LINK", "FROM", "TO", "CERTIFICATES UNTIL", "ROOT", "SERVED", "CAUSE", "STATE")
NOT_ASKED = "not asked"
NOTHING_PENDING: Mapping[str, str] = MappingProxyType({})
NOTHING_WRITTEN: Mapping[str, Sequence[str]] = MappingProxyType({})


class LinkSideJson(TypedDict):
    """The fields of a LinkSide."""

    link: str
    cluster: str
    side: str
    secret: str
    until: str
    root: str
    serving: int
    ready: int
    unseen: int
    serial: str
    broken: str
    cause: str
    answer: str
    refused: str
    touched: bool


@dataclass(frozen=True)
class LinkSide:
    """One side of a link as a look has seen it.

    :param until: when its certificate expires (RFC 3339); empty where there is none.
    :param root: fingerprint of the root that issued it; empty where that is not one of the custom CA.
    :param serving: of C(ready) gateway pods, those that serve it.
    :param unseen: of them, those that could not be asked (exec is forbidden there).
    :param serial: of its certificate.
    :param broken: the first place of a call at which the link is not as it is meant, such as C(hop 2); empty for none.
    :param cause: the code of what is wrong there.
    :param answer: C(NOT_ASKED) where the link's probe could not be asked.
    :param refused: the code of what forbids to write what it lacks; empty where nothing does.
    :param touched: whether a run has something of it to write.
    """

    link: str
    cluster: str
    side: str
    secret: str
    until: str
    root: str
    serving: int
    ready: int
    unseen: int
    serial: str = ""
    broken: str = ""
    cause: str = ""
    answer: str = ""
    refused: str = ""
    touched: bool = False

    def to_json(self) -> LinkSideJson:
        return cast(LinkSideJson, asdict(self))


def of_side(
    reading: Reading,
    side: DesiredSide,
    authority: Authority,
    faults: Sequence[Fault] = (),
    pending: Mapping[str, str] = NOTHING_PENDING,
) -> list[LinkSide]:
    """Each link of a side, by the Secret that its gateway presents, and by what its pods do.

    :param faults: of all its links.
    :param pending: the links of which something is to be written, and the code of what forbids it, if so.
    """
    owner = names.Owner(**side["owner"])
    ready = [pod for pod in reading["pods"][owner.side] if pod["ready"]]
    held = {item["name"]: item for item in reading["secrets"] if item["namespace"] == side["namespace"]}
    parsed = {name: live_credential(held.get(name)) for name in {link["credential"] for link in side["links"]}}
    leaves = {name: live.leaf for name, live in parsed.items() if live and live.leaf}
    roots = {name: issuer_of(leaf, authority) for name, leaf in leaves.items()}
    found = []
    for link in side["links"]:
        name = link["credential"]
        leaf = leaves.get(name)
        number = serial(leaf.serial) if leaf else ""
        bad = {fault.pod for fault in faults if fault.link == link["name"]}
        serving = [
            pod
            for pod in ready
            if number and number in (pod["serials"] or ()) and f"{pod['namespace']}/{pod['name']}" not in bad
        ]
        unseen = [pod for pod in ready if pod["forbidden"]]
        until = timestamp(leaf.not_after) if leaf else ""
        first = first_fault(faults, link["name"])
        found.append(
            LinkSide(
                link["name"],
                owner.cluster,
                owner.side,
                name,
                until,
                roots.get(name, ""),
                len(serving),
                len(ready),
                len(unseen),
                number,
                first.place if first else "",
                first.code if first else "",
                refused=pending.get(link["name"], ""),
                touched=not pending.keys().isdisjoint((link["name"], names.CLIENT_LINK)),
            )
        )
    return found


def first_fault(faults: Iterable[Fault], link: str) -> Fault | None:
    """Where a call over the link breaks first; None where nothing is wrong with it."""
    return min((fault for fault in faults if fault.link == link), key=lambda fault: fault.hop, default=None)


def table(sides: Iterable[LinkSideJson], changed: Mapping[str, Sequence[str]], now: datetime) -> list[str]:
    """One line a link, or one for all of which nothing is to be told.

    :param sides: of C(LinkSide.to_json), of all clusters.
    :param changed: by cluster, what the run has written there.
    """
    by_link: dict[str, list[LinkSideJson]] = {}
    for side in sides:
        by_link.setdefault(side["link"], []).append(side)
    rows = [_row(link, found, changed, now) for link, found in sorted(by_link.items())]
    shown = [row for row in rows if row[-1] != "up"] if len(rows) > MOST_ROWS else rows
    rest = len(rows) - len(shown)
    return [
        *(aligned(_told([HEADS, *shown])) if shown else []),
        *([f"{rest} links are up, nothing changed"] if rest else []),
    ]


def next_due(sides: Iterable[LinkSideJson], renew_before: timedelta) -> str:
    """When the first certificate is due to be renewed."""
    ends = sorted(side["until"] for side in sides if side["until"])
    return timestamp(datetime.fromisoformat(ends[0]) - renew_before) if ends else ""


def _row(
    link: str, sides: Sequence[LinkSideJson], changed: Mapping[str, Sequence[str]], now: datetime
) -> tuple[str, ...]:
    servers = [side for side in sides if side["side"] == "server"]
    clients = [side for side in sides if side["side"] == "client"]
    ends = sorted(side["until"] for side in sides if side["until"])
    roots = sorted({short(side["root"]) for side in sides if side["root"]})
    return (
        link,
        _clusters(clients),
        _clusters(servers),
        f"{ends[0][:10]} ({(datetime.fromisoformat(ends[0]) - now).days} d)" if ends else "none",
        ", ".join(roots) or NOTHING,
        " ".join(_served(found) for found in (clients, servers) if found) or NOTHING,
        _cause(sides),
        _state(sides, changed),
    )


def _clusters(sides: Iterable[LinkSideJson]) -> str:
    found = sorted({side["cluster"] for side in sides})
    return ", ".join(found) if len(found) <= MOST_NAMES else f"{len(found)} clusters"


def _served(sides: Sequence[LinkSideJson]) -> str:
    """Of the gateway pods of all these clusters, how many serve the link."""
    return f"{sum(side['serving'] for side in sides)}/{sum(side['ready'] for side in sides)}"


def _state(sides: Sequence[LinkSideJson], changed: Mapping[str, Sequence[str]]) -> str:
    word, found = standing(sides, changed)
    return f"{word} in {_clusters(found)}" if found else word


def standing(
    sides: Sequence[LinkSideJson], changed: Mapping[str, Sequence[str]] = NOTHING_WRITTEN
) -> tuple[str, list[LinkSideJson]]:
    """The worst that there is, and the sides of which that is so; none of them where the link is up."""
    for word, found in (
        ("refused", [side for side in sides if side["refused"]]),
        ("no certificate", [side for side in sides if not side["until"]]),
        *((f"broken at {hop}", [side for side in sides if side["broken"] == hop]) for hop in _broken(sides)),
        ("not served", [side for side in sides if side["serving"] + side["unseen"] < side["ready"]]),
        ("not proven", [side for side in sides if side["unseen"]]),
        ("no ready gateway pod", [side for side in sides if not side["ready"]]),
        (NOT_ASKED, [side for side in sides if side["answer"] == NOT_ASKED]),
        ("up, changed", [side for side in sides if side["touched"] and changed.get(side["cluster"])]),
    ):
        if found:
            return word, found
    return "up", []


def _broken(sides: Iterable[LinkSideJson]) -> list[str]:
    """In the order of a call: what comes later may be for want of what comes before."""
    return sorted({side["broken"] for side in sides if side["broken"]}, key=PLACES.index)


def _cause(sides: Sequence[LinkSideJson]) -> str:
    """Of what forbids to write it, or of the first place at which it is broken, wherever that is."""
    if refused := [side["refused"] for side in sides if side["refused"]]:
        return refused[0]
    first = next(iter(_broken(sides)), "")
    return next((side["cause"] for side in sides if first and side["broken"] == first), NOTHING)


def _told(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Without the column of causes where there is none."""
    at = HEADS.index("CAUSE")
    has_causes = any(row[at] != NOTHING for row in rows[1:])
    return [row if has_causes else (*row[:at], *row[at + 1 :]) for row in rows]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
