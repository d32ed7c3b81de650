# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every play pins, whatever the settings and the inventory of who runs it say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.support import CHECKOUT, Json

# The one in which no cluster needs another one (0012).
FREE = ("site.yml", "Join the meshes")


def plays() -> Iterator[Any]:
    for path in sorted((CHECKOUT / "playbooks").glob("*.yml")):
        for play in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield pytest.param(path.name, play, id=f"{path.stem}: {play['name']}")


@pytest.mark.parametrize(("book", "play"), [*plays()])
def test_a_play_is_pinned(book: str, play: Json) -> None:
    """Under ANSIBLE_STRATEGY=free a gate would be passed before other clusters have reached it."""
    assert play["become"] is False
    assert play["vars"]["ansible_become"] is False
    assert play["connection"] == "local"
    if play["hosts"] != "localhost":
        wanted = "free" if (book, play["name"]) == FREE else "linear"
        assert play["strategy"] == f"ansible.builtin.{wanted}"


# A variable that a user may set, and a default for it that counts for a key without a value as well.
DEFAULT = re.compile(r"(?<![\w.])(?:mesh|custom_ca)_\w+ \| default\(([^()]*)\)")


def unset_only(text: str) -> list[str]:
    return [found[0] for found in DEFAULT.finditer(text) if not found[1].endswith(", true")]


@pytest.mark.parametrize("path", [*CHECKOUT.glob("playbooks/**/*.yml"), *CHECKOUT.glob("roles/*/*/*.yml")], ids=str)
def test_a_default_counts_for_a_key_without_a_value(path: Path) -> None:
    assert unset_only(path.read_text(encoding="utf-8")) == []


def test_a_default_that_does_not_is_found() -> None:
    assert unset_only("mesh_x | default('') and custom_ca_x | default(1, true) or __mesh_x | default({})") == [
        "mesh_x | default('')"
    ]


# What the header of a playbook says may be given to one run, and the rows of the README's table of all of it.
GIVEN = re.compile(r"^# +-e (\w+)=", re.MULTILINE)
ROWS = re.compile(r"^\| `[^`]*?((?:mesh|custom_ca)_\w+)", re.MULTILINE)


def test_the_readme_has_all_that_one_run_may_be_told() -> None:
    books = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "playbooks").glob("*.yml")]
    given = {name for book in books for name in GIVEN.findall(book)}
    assert "mesh_rotate_phase" in given
    assert given <= {*ROWS.findall((CHECKOUT / "README.md").read_text(encoding="utf-8"))}


def test_there_are_gates_to_pass() -> None:
    found = [(param.values[0], param.values[1]["name"]) for param in plays() if param.values[1]["hosts"] != "localhost"]
    assert FREE in found
    assert len(found) > 12
