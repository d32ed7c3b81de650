# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one table of all clusters, and its verdict. What one cluster has to know of another is told here. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
import itertools
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, get_args

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import presence
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import Presence
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.model import Destination, Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import CHECKS, NOBODY, Row, RowJson, Status

__all__ = ["ca_rows", "external_rows", "fqdn_rows", "inventory_rows", "place_rows", "report", "table"]


class Report(TypedDict):
    """:param counts: of rows, by status.
    :param table: its lines.
    """

    passed: bool
    counts: dict[Status, int]
    rows: list[RowJson]
    table: list[str]


# More links than this of which a check says nothing but ok are one line of the table.
FEW = 3
WIDTH = 118


def inventory_rows(findings: Sequence[Message] | None) -> list[Row]:
    """What the rules say; None where nobody asked them."""
    if findings is None:
        seen = "not checked: localhost is not in this run (--limit)"
        return [Row(NOBODY, NOBODY, "topology", "unknown", seen)]
    if not findings:
        return [Row(NOBODY, NOBODY, "topology", "ok", "the inventory is sound")]
    return [Row.of(NOBODY, NOBODY, "topology", finding) for finding in findings]


def ca_rows(problems: Sequence[Message] | None, state: str, told: Collection[Message] = ()) -> list[Row]:
    """Whether the CA could issue; None where nobody asked.

    :param told: what the rules say, of the CA's settings too, which is not said again.
    """
    if problems is None:
        seen = "not checked: localhost is not in this run (--limit)"
        return [Row(NOBODY, NOBODY, "ca", "unknown", seen)]
    if not problems:
        return [Row(NOBODY, NOBODY, "ca", "ok", state)]
    rows = [Row.of(NOBODY, NOBODY, "ca", problem) for problem in problems]
    left = [row for row in rows if not any(map(row.says, told))]
    return left or [Row(NOBODY, NOBODY, "ca", "unknown", "not checked, because the inventory has errors")]


def place_rows(seen: Sequence[Presence], unseen: Collection[str]) -> Iterator[Row]:
    """Hosts that are one cluster, and objects that lie in another one than they are of."""
    for message in presence.same_cluster(seen):
        yield Row.of(NOBODY, NOBODY, "topology", message)
    for message in presence.misplaced(seen, unseen):
        yield Row.of(message.where, NOBODY, "names", replace(message, where=""))


# -- where names lead to -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Servers:
    """The clusters that serve a link, as far as they were looked at, and the addresses of their ingress gateways."""

    addresses: Mapping[str, Sequence[str]]
    all_seen: bool

    @property
    def known(self) -> frozenset[str]:
        return frozenset(_plain(address) for found in self.addresses.values() for address in found)

    @property
    def without_address(self) -> list[str]:
        """Those of which no IP address is known: none yet, or a host name."""
        return sorted(cluster for cluster, found in self.addresses.items() if not any(map(_is_ip, found)))


def fqdn_rows(sights: Sequence[Sight], *, all_seen: bool) -> list[Row]:
    """Of every link that a cluster dials: where its egress gateway says that the name leads.

    :param all_seen: no cluster of the inventory is missing among the sights.
    """
    return [
        _fqdn_row(
            sight["cluster"],
            dialled,
            _Servers(
                {other["cluster"]: other["ingress"] for other in sights if dialled["link"] in other["serves"]}, all_seen
            ),
        )
        for sight in sights
        for dialled in sight["dials"]
    ]


def _fqdn_row(cluster: str, dialled: Destination, servers: _Servers) -> Row:
    def row(status: Status, seen: str) -> Row:
        # What is not known of many names alike is to be one line of the table.
        named = seen if status == "unknown" else f"{dialled['fqdn']}: {seen}"
        return Row(cluster, dialled["link"], "fqdn", status, named)

    if dialled["problem"]:
        return row("unknown", dialled["problem"])
    unresolved = sorted(pod for pod, addresses in dialled["pods"].items() if addresses == [])
    if unresolved:
        return Row.of(cluster, dialled["link"], "fqdn", _unresolved(dialled["fqdn"], unresolved))
    if any(addresses is None for addresses in dialled["pods"].values()):
        return row("unknown", "not known before the first run: the egress gateway does not know the link yet")
    found = sorted({_plain(address) for addresses in dialled["pods"].values() for address in addresses or ()})
    leads = f"resolves to {', '.join(found)}"
    if dialled["external"]:
        return row("ok", f"{leads}, an external server")
    if servers.known.issuperset(found):
        return row("ok", f"{leads}, the ingress gateway of {', '.join(sorted(servers.addresses))}")
    if not servers.all_seen:
        return row("unknown", f"{leads}; not known whether that is an ingress gateway: not every server was read")
    if servers.without_address:
        others = ", ".join(servers.without_address)
        return row("unknown", f"{leads}; the ingress gateway of {others} has no IP address to compare")
    elsewhere = Message.warning(
        "fqdn-elsewhere",
        where=dialled["fqdn"],
        what=f"{leads}, but the ingress gateways have {', '.join(sorted(servers.known))}",
        fix="correct the DNS record, unless the address is a proxy in front of the gateway",
    )
    return Row.of(cluster, dialled["link"], "fqdn", elsewhere)


def _unresolved(fqdn: str, pods: Sequence[str]) -> Message:
    what, fix = (
        f"does not resolve in {', '.join(pods)}",
        "make it resolve in this cluster to the servers' ingress gateway",
    )
    return Message.error("fqdn-unresolved", where=fqdn, what=what, fix=fix)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _plain(address: str) -> str:
    """One form for one address (RFC 5952)."""
    return str(ipaddress.ip_address(address)) if _is_ip(address) else address


def external_rows(found: Mapping[str, Any] | None) -> Iterator[Row]:
    """What a look at the directories of external servers has shown (module custom_ca_external)."""
    if not found:
        return
    for error in found.get("errors", ()):
        yield Row.of(NOBODY, NOBODY, "external", Message.from_json(error))
    for item in found.get("servers", ()):
        messages = [Message.from_json(message) for message in item["messages"]]
        yield from (Row.of(NOBODY, item["link"], "external", message) for message in messages)
        if not any(message.level == "warning" for message in messages):
            due = f"{item['action']}: {item['message']}"
            seen = "its certificate is up to date" if item["action"] == "keep" else due
            yield Row(NOBODY, item["link"], "external", "ok", seen)


# -- the table -----------------------------------------------------------------------------------------------------


def report(rows: Iterable[Row]) -> Report:
    """Everything for people and for machines; passed where no row failed."""
    ordered = _ordered(rows)
    counts = Counter(row.status for row in ordered)
    return {
        "passed": not counts["failed"],
        "counts": {status: counts[status] for status in get_args(Status)},
        "rows": [row.to_json() for row in ordered],
        "table": table(ordered),
    }


def _ordered(rows: Iterable[Row]) -> list[Row]:
    """Each row once, what is about everybody first."""
    places = {check: place for place, check in enumerate(CHECKS)}
    once = dict.fromkeys(rows)
    return sorted(once, key=lambda row: (row.cluster != NOBODY, row.cluster, places[row.check], row.link))


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of equal columns; below a row that is not ok stands its fix, and behind that its code."""
    shown = list(_folded(rows))
    heads = ("STATUS", "CLUSTER", "LINK", "CHECK", "SEEN")
    cells = [(row.status, row.cluster, row.link, row.check) for row in shown]
    widths = [max(len(value) for value in column) for column in zip(heads, *cells, strict=False)]
    lines = [_line(heads, widths, heads[-1])]
    for row, first in zip(shown, cells, strict=True):
        code = f" [{row.code}]" if row.code else ""
        seen, *more = _wrapped(row.seen if row.fix else row.seen + code, widths)
        lines.append(_line(first, widths, seen))
        fix = _wrapped(f"Fix: {row.fix}.{code}", widths) if row.fix else []
        lines += [_line(("",) * 4, widths, text) for text in (*more, *fix)]
    counts = Counter(row.status for row in rows)
    return [*lines, ", ".join(f"{counts[status]} {status}" for status in get_args(Status))]


def _folded(rows: Sequence[Row]) -> Iterator[Row]:
    """Many links of which one check says the same are one line."""
    for _key, group in itertools.groupby(rows, lambda row: (row.cluster, row.check)):
        members = list(group)
        for alike in _alike(members):
            if len(alike) <= FEW:
                yield from alike
            elif alike[0].status == "ok":
                yield replace(alike[0], link=f"{len(alike)} links", seen="all of them")
            else:
                yield replace(alike[0], link=f"{len(alike)} links")


def _alike(rows: Sequence[Row]) -> Collection[list[Row]]:
    groups: dict[Row, list[Row]] = {}
    for row in rows:
        of_all = replace(row, link="", seen="" if row.status == "ok" else row.seen)
        groups.setdefault(row if row.link == NOBODY else of_all, []).append(row)
    return groups.values()


def _wrapped(text: str, widths: Sequence[int]) -> list[str]:
    room = max(40, WIDTH - sum(widths[:4]) - 8)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _line(cells: Sequence[str], widths: Sequence[int], last: str) -> str:
    return "  ".join([*(cell.ljust(width) for cell, width in zip(cells[:4], widths, strict=False)), last]).rstrip()
