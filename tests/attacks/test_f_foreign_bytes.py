# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign bytes: what clusters, stores and files say reaches no terminal as it is, and ends no run with a traceback."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_preflight_table, mesh_summary
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, shown, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import report
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import api_row
from ansible_collections.crossmesh.mtls.plugins.plugin_utils import _action
from tests.unit.support import Json, run_action

# Clears the screen and draws; C1's one-byte form of the same; turns the direction of text; ends a line.
CLEAR, DRAWN = "\x1b[2J\x1b[HALL CLUSTERS OK", r"\u001b[2J\u001b[HALL CLUSTERS OK"
OBEYED = (CLEAR, "\x9b2J", "\u202e", "\u2028", "\ud800", "\ue000", "\r", "\n")
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def obeyed(text: str) -> list[str]:
    """What of a text a terminal may obey, or nobody sees."""
    return [letter for letter in text if unicodedata.category(letter) in UNSEEN and letter != "\n"]


def action_of(work: Any) -> ModuleType:
    """An action of this collection that does this."""
    kind = type("ActionModule", (_action.Action,), {"work": work, "PACKAGES": {}})
    module = ModuleType("an_action")
    module.ActionModule = kind  # type: ignore[attr-defined]
    return module


# -- terminals, tables, JSON, reports ------------------------------------------------------------------------------


@pytest.mark.parametrize("category", sorted(UNSEEN))
def test_every_letter_that_is_no_print_is_written_out(category: str) -> None:
    """F1: one function knows them all, and a letter of each is its control."""
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category]
    assert obeyed(letters[0]) or letters[0] == "\n" or obeyed(letters[1])
    assert obeyed(visible("".join(letters))) == []
    assert visible(letters[0]).startswith("\\u")


@pytest.mark.parametrize("text", ["Gateway shop/a", "größe 日本 🚀", r"a \u001b that was written so"])
def test_what_prints_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_version_draws_no_verdict() -> None:
    """F1: on d3897ca an API server's version string drew ALL CLUSTERS OK on the terminal of who ran preflight."""
    row = api_row("cluster-a", "context a", CLEAR, "admin")
    told = "\n".join(report([row])["table"])
    assert DRAWN in told
    assert obeyed(told) == []
    assert obeyed(CLEAR) == ["\x1b", "\x1b"]


@pytest.mark.parametrize("foreign", OBEYED)
def test_whatever_an_action_returns_is_visible(foreign: str) -> None:
    """F1: plan lines, warnings, facts: whoever builds them cannot forget it, as every result goes one way out."""
    held = {"lines": [f"write Gateway {foreign}"], "warnings": [foreign], "sides": {foreign: {"report": (foreign,)}}}
    result = run_action(action_of(lambda *_arguments: held), {}, {})
    assert obeyed(repr(foreign).encode().decode("unicode_escape", "ignore")) or foreign in ("\n", "\ud800")
    for part in (
        *result["lines"],
        *result["warnings"],
        *result["sides"],
        *next(iter(result["sides"].values()))["report"],
    ):
        assert visible(foreign) in part
        assert foreign not in part


def test_a_line_break_in_a_name_begins_no_line() -> None:
    """F1, a sibling: a name with a line break would put a line of its own among those that people read."""
    result = run_action(action_of(lambda *_arguments: {"lines": ["delete Gateway x\nok: all links carry"]}), {}, {})
    assert result["lines"] == [r"delete Gateway x\u000aok: all links carry"]


def test_lines_that_were_put_together_stay_lines() -> None:
    def work(*_arguments: object) -> Json:
        raise CrossmeshError(Message.error("a", where="x\ny", what="one"), Message.error("b", where=CLEAR, what="two"))

    result = run_action(action_of(work), {}, {})
    assert result["msg"].splitlines() == [r"x\u000ay: one. [a]", rf"{DRAWN}: two. [b]"]


def test_a_report_for_machines_holds_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F1, a sibling: JSON's own escapes come back as the bytes once a machine has read the report."""
    rows = [{"cluster": "a", "link": "-", "check": "api", "seen": CLEAR}]
    given: Json = {"report": {"table": [CLEAR], "rows": rows, "counts": {"failed": 0}}, "path": str(tmp_path / "r")}
    printed = io.StringIO()
    monkeypatch.setattr(mesh_preflight_table, "Display", lambda: SimpleNamespace(display=printed.write))
    run_action(mesh_preflight_table, given, {})
    read = json.loads((tmp_path / "r").read_text())
    assert read["rows"][0]["seen"] == DRAWN
    assert printed.getvalue() == DRAWN
    assert obeyed(json.loads(json.dumps(CLEAR))) != []


def test_the_last_table_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(mesh_summary, "Display", lambda: SimpleNamespace(display=printed.write))
    run_action(mesh_summary, {"looks": {f"a{CLEAR}": {}}}, {})
    assert DRAWN in printed.getvalue()
    assert obeyed(printed.getvalue()) == []


def test_a_diff_is_visible_and_keeps_its_lines() -> None:
    """F1, a sibling: what others put into an object is shown by --diff."""
    diff = [{"before": f"a\n{CLEAR}", "after": {"host": CLEAR}}]
    result = run_action(action_of(lambda *_arguments: {"diff": diff}), {}, {})
    assert result["diff"] == [{"before": f"a\n{DRAWN}", "after": {"host": DRAWN}}]
    assert shown("a\nb", lines=True) == "a\nb"


# -- an error that nobody foresaw ----------------------------------------------------------------------------------

SECRET = "planted-passphrase"


def broken(*_arguments: object) -> Json:
    raise KeyError(SECRET)


def test_an_unforeseen_error_is_a_failure_with_a_place_and_no_text() -> None:
    """F2: an action ended with Python's own words: Task failed: 'manager'; they can hold what did not fit."""
    result = run_action(action_of(broken), {}, {})
    assert [error["code"] for error in result["errors"]] == ["internal-error"]
    assert result["failed"] is True
    assert "KeyError" in result["msg"]
    assert "plugins/plugin_utils/_action.py, line " in result["msg"]
    assert SECRET not in repr(result)
    with pytest.raises(KeyError, match=SECRET):
        broken()


@pytest.mark.parametrize("error", [TypeError(SECRET), AttributeError(SECRET), RecursionError(SECRET), OSError(SECRET)])
def test_no_kind_of_error_gets_past_the_boundary(error: Exception) -> None:
    def work(*_arguments: object) -> Json:
        raise error

    result = run_action(action_of(work), {}, {})
    assert type(error).__name__ in result["msg"]
    assert SECRET not in repr(result)
