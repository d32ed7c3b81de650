# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide of faults names what there is: codes, pages and their headings."""

from __future__ import annotations

import ast
import re

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._catalogue import CODES, RULES
from tests.lab.settings import CHECKOUT

DOCS = CHECKOUT / "docs"
GUIDE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
TOLD = "What is told"


def told() -> set[str]:
    """What stands in backticks, and looks like a code, in the columns of what is told."""
    found: set[str] = set()
    column = -1
    for line in GUIDE.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if TOLD in cells:
            column = cells.index(TOLD)
        elif not line.startswith("|"):
            column = -1
        elif column > 0:
            found |= set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", cells[column]))
    return found


def given_by_probes() -> set[str]:
    """Codes of the catalogue that stand in the wing that follows calls."""
    sources = (CHECKOUT / "plugins/module_utils/_probe").glob("*.py")
    nodes = (node for source in sources for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)} & {*CODES}


def anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_codes_that_the_guide_names_are_in_the_catalogue() -> None:
    assert len(told()) > 40, "the probe finds them"
    assert told() - {*CODES, *RULES} == set()


def test_the_guide_has_every_code_that_a_probe_or_a_handshake_of_verify_gives() -> None:
    assert {"answered-elsewhere", "no-answer", "anybody-let-in"} <= given_by_probes(), "the probe finds them"
    assert given_by_probes() - told() == set()


def test_the_guide_has_a_line_for_each_fault_of_the_lists_that_it_began_with() -> None:
    wanted = {
        f"{letter}{number}"
        for letter, last in (("A", 10), ("B", 10), ("C", 10), ("D", 12), ("E", 5))
        for number in range(1, last + 1)
    }
    assert wanted - set(re.findall(r"\b([A-E]\d+)\b", GUIDE)) == set()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https://)([^)]*)\)", GUIDE))))
def test_a_link_of_the_guide_leads_to_a_page_and_its_heading(link: str) -> None:
    page, _hash, anchor = link.partition("#")
    page = page or "troubleshooting.md"
    assert (DOCS / page).is_file()
    assert not anchor or anchor in anchors(page)
