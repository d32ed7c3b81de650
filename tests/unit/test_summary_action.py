# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of clusters that its part of the inventory lacks."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_summary
from tests.unit.support import run_action

DECLARED: dict[str, Any] = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": None}


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ({"host-a": "cluster-a"}, "cluster-b"),
        ({"host-a": ""}, "cluster-a, cluster-b"),
        ({"cluster-a": "", "host-b": "cluster-b"}, ""),
    ],
    ids=["another slice", "by its own name", "the whole inventory"],
)
def test_clusters_that_only_mesh_clusters_names_are_said_and_not_covered(
    names: dict[str, str], lacking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: dict[str, Any] = {host: {} for host in names}
    result = run_action(mesh_summary, {"looks": looks, "names": names}, {"mesh_clusters": DECLARED})
    said = capsys.readouterr().out
    if lacking:
        assert f"not in this part of the inventory: {lacking}\n" in said
        assert f"this inventory lacks {lacking}, which mesh_clusters names" in result["not_covered"]
        assert "[not-covered]" in result["not_covered"]
    else:
        assert "not in this part" not in said
        assert result["not_covered"] == ""


def test_without_mesh_clusters_nothing_is_lacking() -> None:
    assert run_action(mesh_summary, {"looks": {"host-a": {}}, "names": {"host-a": ""}}, {})["not_covered"] == ""


@pytest.mark.parametrize(
    ("looks", "line"),
    [
        ({"host-a": {"msg": "away. [api-unreachable]"}}, "no link is known of the clusters that were seen"),
        ({}, "there are no links here"),
    ],
    ids=["silent", "none"],
)
def test_no_row_is_told_apart_from_no_link(
    looks: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_action(mesh_summary, {"looks": looks, "names": dict.fromkeys(looks, "")}, {})
    assert capsys.readouterr().out.splitlines()[0] == line
