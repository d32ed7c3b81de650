# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter preflight_report; documented in preflight_report.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import declared_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, MessageJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import Presence
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import (
    Report,
    ca_rows,
    external_rows,
    fqdn_rows,
    inventory_rows,
    place_rows,
    report,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import NOBODY, Row, row_of


def preflight_report(
    looks: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    everywhere: Mapping[str, Any],
    mesh_clusters: object,
    limited: bool,
) -> Report:
    names = {host: str(name or host) for host, name in names.items()}
    sights = [look["sight"] for look in looks.values() if look.get("sight")]
    # Of another type it is one of the findings.
    elsewhere = sorted(set(declared_in(mesh_clusters)) - set(names.values()))
    findings, problems = _messages(everywhere.get("findings")), _messages(everywhere.get("ca_problems"))
    rows = [
        *inventory_rows(findings),
        *ca_rows(problems, everywhere.get("ca_state", ""), findings or ()),
        *external_rows(everywhere.get("external")),
        *(row for host, look in looks.items() for row in _of_host(names[host], look, limited, findings or ())),
        *(_unseen(name, "in another part of the inventory: mesh_clusters names it") for name in elsewhere),
        *place_rows(_presences(looks), _not_seen(looks, names) | set(elsewhere)),
        *fqdn_rows(sights, all_seen=not elsewhere and len(sights) == len(looks)),
    ]
    return report(rows)


def _presences(looks: Mapping[str, Mapping[str, Any]]) -> list[Presence]:
    return [look["presence"] for look in looks.values() if look.get("presence")]


def _not_seen(looks: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> set[str]:
    return {names[host] for host, look in looks.items() if not look.get("presence")}


def _messages(found: Sequence[MessageJson] | None) -> list[Message] | None:
    return None if found is None else [Message.from_json(message) for message in found]


def _of_host(name: str, look: Mapping[str, Any], limited: bool, told: Sequence[Message]) -> Iterator[Row]:
    """:param told: what is said for all of the inventory."""
    rows = [row for row in map(row_of, look.get("rows", ())) if not any(map(row.says, told))]
    yield from rows
    if look.get("looked") or any(row.cluster == name for row in rows):
        return
    if "looked" in look:
        yield _unseen(name, "not checked, because the inventory has errors")
    elif limited and not look:
        yield _unseen(name, "not checked in this run (--limit)")
    else:
        what, fix = "reading this cluster did not finish", "see the error of its task, above this table"
        yield Row.of(name, NOBODY, "run", Message.error("look-unfinished", where="", what=what, fix=fix))


def _unseen(name: str, why: str) -> Row:
    return Row(name, NOBODY, "run", "unknown", why)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight_report": preflight_report}
