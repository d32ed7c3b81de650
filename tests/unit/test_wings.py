# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wings of module_utils, from the ground up: an import may only point down."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.settings import CHECKOUT

UTILS = CHECKOUT / "plugins/module_utils"
PACKAGE = "ansible_collections.crossmesh.mtls.plugins.module_utils"
GROUND = "ground"
# What each wing may build on, besides itself.
BELOW = {
    GROUND: set(),
    "_istio": {GROUND},
    "_pki": {GROUND},
    "_cluster": {GROUND, "_istio", "_pki"},
    "_ca": {GROUND, "_istio", "_pki", "_cluster"},
    "_inventory": {GROUND, "_istio", "_pki", "_cluster", "_ca"},
    "_proxy": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory"},
    "_probe": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory", "_proxy"},
    "_plan": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory", "_proxy", "_probe"},
    "_issue": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory", "_proxy", "_probe", "_plan"},
    "_report": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory", "_proxy", "_probe", "_plan", "_issue"},
    "_diagnosis": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory"},
    "_results": {
        GROUND,
        "_istio",
        "_pki",
        "_cluster",
        "_ca",
        "_inventory",
        "_proxy",
        "_probe",
        "_plan",
        "_issue",
        "_report",
        "_preflight",
    },
    "_preflight": {GROUND, "_istio", "_pki", "_cluster", "_ca", "_inventory", "_proxy", "_probe", "_plan", "_issue"},
}


def wing_of(module: str) -> str:
    """The wing of a module's dotted name below module_utils."""
    first, _dot, rest = module.partition(".")
    return first if rest or first in BELOW else GROUND


def upward_imports(source: str, own: str) -> Iterator[str]:
    """Imports that a module of the wing ``own`` must not have."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            wing = wing_of((node.module or "").removeprefix(PACKAGE).lstrip("."))
            if wing != own and wing not in BELOW[own]:
                yield f"{own} imports {wing} ({node.module})"


@pytest.mark.parametrize("path", sorted(UTILS.rglob("*.py")), ids=lambda path: str(path.relative_to(UTILS)))
def test_imports_point_down(path: Path) -> None:
    module = ".".join(path.relative_to(UTILS).with_suffix("").parts)
    assert list(upward_imports(path.read_text(encoding="utf-8"), wing_of(module))) == []


def test_an_import_that_points_up_is_found() -> None:
    source = f"from {PACKAGE}._plan.plan import make_plan"
    assert list(upward_imports(source, "_cluster")) == [f"_cluster imports _plan ({PACKAGE}._plan.plan)"]


def test_every_file_is_private_to_the_collection() -> None:
    assert [
        path.name for path in UTILS.iterdir() if path.name not in ("__pycache__", *BELOW) and path.name[0] != "_"
    ] == []
