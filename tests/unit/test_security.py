# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/security.md says is shown by a test, a test shows."""

from __future__ import annotations

import re

import pytest

from tests.unit.support import CHECKOUT

PAGE = (CHECKOUT / "docs/security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:tests/[a-z/]+/)?test_[a-z_0-9]+(?:\.py)?)`", PAGE)))
ATTACKS = "".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests/attacks").glob("test_*.py"))


def stands(name: str) -> bool:
    """Whether there is such a file, of the lab where no folder is named, or such an attack."""
    if "/" in name:
        return (CHECKOUT / name).is_file()
    if name.endswith(".py"):
        return (CHECKOUT / "tests/integration" / name).is_file()
    return f"def {name}(" in ATTACKS


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_stands(name: str) -> None:
    assert stands(name)


def test_what_does_not_stand_is_seen() -> None:
    assert not stands("test_nothing_of_the_kind")
    assert not stands("test_nothing_of_the_kind.py")
    assert not stands("tests/unit/test_runner_results.py")
    assert any("/" in name for name in NAMED)
    assert len(NAMED) > 30


@pytest.mark.parametrize("path", sorted((CHECKOUT / "tests/attacks").glob("test_*.py")), ids=lambda path: path.stem)
def test_every_file_of_attacks_has_its_part(path: object) -> None:
    letter = re.search(r"test_([a-z])_", str(path))
    assert letter
    assert re.search(rf"\b{letter[1]}: ", PAGE)
