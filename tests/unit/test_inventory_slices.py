# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's tests of slices rest on: an inventory is cut as AWX cuts it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from tests.integration.support.inventory_slices import slice_of, slices_of

CLIENTS = ("c1", "c2", "c3", "c10")
INVENTORY: dict[str, Any] = {
    "all": {
        "vars": {"mesh_links": []},
        "hosts": {"c1": {"mesh_context": "one"}},
        "children": {
            "mesh_clients": {"vars": {"side": "client"}, "hosts": {name: {} for name in CLIENTS}},
            "mesh_servers": {"hosts": {"c2": {"mesh_context": "two"}}, "children": {"far": {"hosts": {"c4": None}}}},
        },
    }
}


def hosts(inventory: dict[str, Any]) -> list[str]:
    return list(inventory["all"]["hosts"])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [["c1", "c10", "c2", "c3", "c4"]]),
        (2, [["c1", "c2", "c4"], ["c10", "c3"]]),
        (3, [["c1", "c3"], ["c10", "c4"], ["c2"]]),
        (9, [["c1"], ["c10"], ["c2"], ["c3"], ["c4"]]),
    ],
)
def test_hosts_go_round_by_their_names_as_texts(count: int, expected: list[list[str]]) -> None:
    """And there are no more slices than hosts."""
    before = copy.deepcopy(INVENTORY)
    assert [hosts(part) for part in slices_of(INVENTORY, count)] == expected
    assert before == INVENTORY


def test_a_disabled_host_counts_for_the_number_of_slices_so_that_one_can_be_empty() -> None:
    disabled = ("c10", "c3")
    parts = [slice_of(INVENTORY, number, 5, disabled) for number in range(1, 6)]
    assert [hosts(part) for part in parts] == [["c1"], ["c2"], ["c4"], [], []]


def test_a_host_that_is_disabled_between_two_starts_is_done_twice_or_never() -> None:
    """Each slice is cut when it starts."""
    first, second = slice_of(INVENTORY, 1, 2), slice_of(INVENTORY, 2, 2, ["c1"])
    assert (hosts(first), hosts(second)) == (["c1", "c2", "c4"], ["c2", "c4"])


def test_groups_keep_variables_and_children_and_the_members_of_the_slice() -> None:
    part = slice_of(INVENTORY, 2, 2)
    assert part["all"]["vars"] == {"mesh_links": []}
    assert part["all"]["children"] == {
        "mesh_clients": {"vars": {"side": "client"}, "hosts": {"c10": {}, "c3": {}}, "children": {}},
        "mesh_servers": {"hosts": {}, "children": {"far": {"hosts": {}, "children": {}}}},
    }


def test_ansible_reads_a_slice_with_the_variables_of_its_hosts_and_of_no_other(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(slice_of(INVENTORY, 1, 2)), encoding="utf-8")
    found = InventoryManager(loader=DataLoader(), sources=[str(path)])
    groups = found.get_groups_dict()
    assert sorted(groups["mesh_servers"]) == ["c2", "c4"]
    assert sorted(groups["mesh_clients"]) == ["c1", "c2"]
    assert {host.name: host.vars.get("mesh_context") for host in found.get_hosts()} == {
        "c1": "one",
        "c2": "two",
        "c4": None,
    }
