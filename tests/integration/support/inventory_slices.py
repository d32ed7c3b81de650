# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts an inventory into the parts that AWX gives the jobs of a sliced template."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from tests.integration.support.lab_mesh import Mesh, Run, finished_run

Inventory = Mapping[str, Any]


def slice_of(inventory: Inventory, number: int, count: int, disabled: Collection[str] = ()) -> dict[str, Any]:
    """One slice of an inventory as an inventory of its own.

    As in AWX (Inventory.get_script_data, get_sliced_hosts): enabled hosts by name, and each slice takes one in turn.
    Every group stays with its variables and children, and has the members of the slice only; so hosts' variables.
    AWX makes no more slices than there are hosts, disabled ones too, so a slice can be empty.

    :param inventory: as in a YAML file.
    :param number: of the slice, from 1.
    :param count: as the template asks for.
    :param disabled: hosts that are disabled when this slice starts; others may have begun before.
    """
    everybody = _hosts(inventory["all"])
    slices = max(1, min(count, len(everybody)))
    enabled = sorted(everybody.keys() - disabled)
    kept = enabled[number - 1 :: slices] if number <= slices else []
    return {"all": _narrowed(inventory["all"], frozenset(kept), everybody, top=True)}


def slices_of(inventory: Inventory, count: int) -> list[dict[str, Any]]:
    """The slices of one launch."""
    slices = max(1, min(count, len(_hosts(inventory["all"]))))
    return [slice_of(inventory, number, slices) for number in range(1, slices + 1)]


def _hosts(group: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All hosts of a group and of those below it, with their own variables."""
    found: dict[str, dict[str, Any]] = {}
    for child in (group.get("children") or {}).values():
        for host, variables in _hosts(child or {}).items():
            found.setdefault(host, {}).update(variables)
    for host, variables in (group.get("hosts") or {}).items():
        found.setdefault(host, {}).update(variables or {})
    return found


def _narrowed(
    group: Mapping[str, Any], kept: frozenset[str], everybody: Mapping[str, Mapping[str, Any]], *, top: bool = False
) -> dict[str, Any]:
    found = {key: copy.deepcopy(value) for key, value in group.items() if key not in ("hosts", "children")}
    members = kept if top else kept & set(group.get("hosts") or {})
    # Of a host AWX knows one set of variables, wherever it stands.
    found["hosts"] = {host: dict(everybody[host]) if top else {} for host in sorted(members)}
    children = group.get("children") or {}
    found["children"] = {name: _narrowed(child or {}, kept, everybody) for name, child in children.items()}
    return found


@dataclass
class Slice(Mesh):
    """A mesh as one job of a sliced template sees it: the same clusters and CA store, and a part of the inventory."""

    number: int = 1
    count: int = 1

    def inventory(self) -> Path:
        whole = yaml.safe_load(super().inventory().read_text(encoding="utf-8"))
        path = self.folder / f"slice-{self.number}-of-{self.count}.yml"
        path.write_text(yaml.safe_dump(slice_of(whole, self.number, self.count)), encoding="utf-8")
        return path


def sliced(mesh: Mesh, count: int) -> list[Slice]:
    """The mesh as the jobs of one launch see it."""
    described = {item.name: getattr(mesh, item.name) for item in fields(Mesh)}
    return [Slice(**described, number=number, count=count) for number in range(1, count + 1)]


def play_at_once(slices: Iterable[Mesh], playbook: str | Path, *arguments: str) -> list[Run]:
    """Start a playbook in all slices, and wait until the last one has ended."""
    begun = [part.begin(playbook, *arguments) for part in slices]
    return [finished_run(process.communicate(timeout=900), process.returncode) for process in begun]
