# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_history_info; documented in plugins/modules/mesh_history_info.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import Entry, History, Names, about
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import declared_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import aligned
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import wholeness
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contracts

_UNTOLD = "the journal begins after {} changes of the store, of which it has no entry"
_HEADS = ("WHEN", "WHO", "RUN", "PLAYBOOK", "WHAT", "WHICH")


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {"of": {"type": "str", "default": ""}}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        store, name = variables.store(), str(params["of"])
        history = store.history()
        entries = history.entries
        if name and entries:
            entries = about(history, name, _names(variables, store.records(datetime.now(UTC))))
        problems = [str(history.problem)] if history.problem else []
        # By itself, not as a result: a callback would quote and fold the lines.
        end = str(history.problem or wholeness(store, history.checked))
        Display().display("\n".join(map(visible, _lines(history, entries, end))))
        return {
            "changed": False,
            "entries": [_to_json(entry) for entry in entries],
            "problems": problems,
            "warnings": problems,
            "signed": history.checked.signed,
            "unsigned": history.checked.unsigned,
            "untold": history.untold,
        }


def _names(variables: Variables, records: Iterable[Record]) -> Names:
    """What the inventory calls links and clusters, and the DNS names of certificates."""
    links = sound_links(variables.given.get("mesh_links"))
    clusters = contracts(variables.task_vars, variables.templar, ("mesh_cluster_name",)).values()
    aliases: dict[str, list[str]] = defaultdict(list)
    for link in links:
        aliases[link["fqdn"]].append(link["name"])
    for record in records:
        for dns_name in record.sans:
            aliases[dns_name].append(record.serial)
    known = {
        *(link["name"] for link in links),
        *(str(cluster["mesh_cluster_name"]) for cluster in clusters),
        *declared_in(variables.filled.get("mesh_clusters")),
    }
    return Names(known, aliases)


def _to_json(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.number,
        "time": entry.time,
        "operator": entry.operator,
        "run": entry.run,
        "playbook": entry.playbook,
        "kind": entry.kind,
        "which": entry.which,
        "signed": entry.signed,
        "fields": dict(entry.fields),
    }


def _lines(history: History, entries: Sequence[Entry], end: str) -> list[str]:
    """For people: a table, and whether it can be believed."""
    count = f"{len(entries)} of {len(history.entries)} entries; " if history.entries else ""
    return [
        *(aligned([_HEADS, *map(_row, entries)]) if entries else []),
        *([_UNTOLD.format(history.untold)] if history.untold else []),
        f"{count}{end}",
    ]


def _row(entry: Entry) -> tuple[str, ...]:
    waits = "" if entry.signed else "; not signed"
    return (
        entry.time or "-",
        entry.operator or "-",
        entry.short_run or "-",
        entry.playbook or "-",
        entry.kind,
        entry.which + waits,
    )
