# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part C: who may write the folder that playbook render keeps turns it on nothing else of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.support import MYSQL, numbered
from tests.unit.test_render_action import rendered


@pytest.mark.parametrize("place", ["cluster-b", "cluster-b/links", "cluster-b/links/mysql.yaml"])
def test_nothing_is_written_or_removed_through_a_symbolic_link(tmp_path: Path, place: str) -> None:
    folder, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    rendered(folder, [MYSQL])
    os.rename(folder / place, elsewhere)
    (folder / place).symlink_to(elsewhere)
    before = {path: path.read_bytes() for path in [elsewhere, *elsewhere.rglob("*")] if path.is_file()}
    assert before
    changed = rendered(folder, [{**MYSQL, "max_connection_duration": "1h"}])
    assert [error["code"] for error in changed["errors"]] == ["file-not-ours"]
    rendered(folder, [numbered(1, servers=["cluster-a"], clients=[])], mesh_prune_all=True)
    assert {path: path.read_bytes() for path in before} == before
