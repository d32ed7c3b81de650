# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as Ansible asks for them: looks as they come, tasks that failed, and files in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_results
from tests.unit.pki.support import NOW, make_root
from tests.unit.support import Json, run_action
from tests.unit.test_report_action import look_at, read, variables

AWAY: Json = {
    "msg": "https://a.example: cannot be reached. [api-unreachable]",
    "errors": [
        {
            "code": "api-unreachable",
            "level": "error",
            "where": "https://a.example",
            "what": "cannot be reached",
            "fix": "",
        }
    ],
}


def written(folder: Path, **options: Any) -> Json:
    """The result; the looks are one of a cluster in order, and one of a cluster that is away."""
    root = make_root(now=NOW)
    looks = {"cluster-a": AWAY, "cluster-b": {**look_at(read(root), root), "lists_due": "", "lists_wrong": False}}
    given = {"dir": str(folder / "out"), "playbook": "verify", "looks": looks, **options}
    return run_action(mesh_results, given, variables(folder))


def cases(folder: Path, playbook: str = "verify") -> dict[tuple[str, str, str], tuple[str, str]]:
    found = json.loads((folder / f"out/{playbook}.json").read_text())
    return {
        (suite["subject"], suite["name"], case["name"]): (case["status"], case["code"])
        for suite in found["suites"]
        for case in suite["cases"]
    }


def test_a_run_leaves_json_and_junit(tmp_path: Path) -> None:
    result = written(tmp_path, tasks={"journal": {"problems": [], "msg": "whole"}})
    assert "failed" not in result
    assert result["passed"] is False
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"verify.json", "verify.junit.xml"}
    found = cases(tmp_path)
    assert found["run", "verify", "journal"] == ("passed", "")
    assert found["cluster", "cluster-a", "look"] == ("failed", "api-unreachable")
    assert found["cluster", "cluster-b", "look"] == ("passed", "")
    assert found["link", "mysql", "client in cluster-a"] == ("skipped", "")
    assert found["link", "mysql", "server in cluster-b"] == ("passed", "")
    root = ET.parse(tmp_path / "out/verify.junit.xml").getroot()
    assert root.get("tests") == str(len(found))


@pytest.mark.parametrize(
    ("wrote", "status"), [(["credentials"], "passed"), (["manifests"], "skipped"), ([], "skipped")]
)
def test_of_a_cluster_that_is_both_sides_neither_side_is_forgotten(
    tmp_path: Path, wrote: list[str], status: str
) -> None:
    """The task came last for the other side, which needed nothing, so that it was skipped."""
    attempts = {
        "credentials": {"cluster-b": {"changed": False, "skipped": True}},
        "proof": {"cluster-b": {"pods": {"server": ["istio-ingressgateway-0"]}, "faults": [], "written": wrote}},
    }
    written(tmp_path, playbook="site", attempts=attempts)
    assert cases(tmp_path, "site")["cluster", "cluster-b", "credentials"] == (status, "")


def test_what_begins_says_that_it_has_not_ended(tmp_path: Path) -> None:
    topology = {"failed": True, "msg": "mysql: port: is missing. [missing]"}
    result = written(tmp_path, finished=False, tasks={"inventory": topology})
    assert result["passed"] is False
    assert cases(tmp_path) == {
        ("run", "verify", "inventory"): ("failed", "missing"),
        ("run", "verify", "run"): ("error", "run-unfinished"),
    }


def test_a_playbook_about_the_ca_alone_has_no_cluster(tmp_path: Path) -> None:
    result = written(tmp_path, playbook="move_ca", tasks={"ca": {"changed": True, "msg": "moved"}})
    assert result["passed"] is True
    assert cases(tmp_path, "move_ca") == {("run", "move_ca", "ca"): ("passed", "")}


def test_every_playbook_that_says_its_name_is_known() -> None:
    named = {
        line.split(": ")[1]
        for path in Path(__file__).parents[2].glob("playbooks/*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("mesh_side_playbook: ")
    }
    assert named == set(mesh_results.PLAYBOOKS)


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = written(tmp_path, dir=str(tmp_path / "file/out"))
    assert [error["code"] for error in result["errors"]] == ["results-not-written"]
