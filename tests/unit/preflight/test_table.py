# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last word of a preflight: the table as it is, the report for machines, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action.mesh_preflight_table import ActionModule
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import report
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import Row, Status
from tests.unit.support import Json


def printed(status: Status, monkeypatch: pytest.MonkeyPatch, **arguments: str) -> Json:
    given: dict[str, Any] = {"report": report([Row("cluster-b", "-", "api", status, "x")]), **arguments}
    action = ActionModule.__new__(ActionModule)
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_arguments: {})
    monkeypatch.setattr(action, "validate_argument_spec", lambda _spec: (None, {"path": None, **given}))
    return action.run()


@pytest.mark.parametrize(
    ("status", "failed"), [("ok", False), ("warning", False), ("unknown", False), ("failed", True)]
)
def test_it_fails_where_a_check_failed_and_prints_the_table_in_any_case(
    status: Status, failed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = printed(status, monkeypatch)
    assert (result.get("failed", False), result["changed"]) == (failed, False)
    assert [status, "cluster-b", "-", "api", "x"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_relative_path_begins_where_the_command_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed("failed", monkeypatch, path="report.json")
    assert json.loads((tmp_path / "report.json").read_text())["counts"]["failed"] == 1


def test_a_report_that_cannot_be_written_fails_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = printed("ok", monkeypatch, path=str(tmp_path / "no" / "folder.json"))
    assert result["failed"]
    assert [error["code"] for error in result["errors"]] == ["report-not-written"]
    assert "Fix: set mesh_preflight_report" in result["msg"]
