# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A code is in the catalogue, in the code base and in a test, or it is none."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._catalogue import CODES, RULES
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.lab.settings import CHECKOUT
from tests.unit.ca import test_revocation
from tests.unit.inventory.rules import test_ca as test_ca_settings
from tests.unit.inventory.test_validation import BAD_LINKS, WRONG

KNOWN = {**RULES, **CODES}
LEAST_BAD_INPUTS = 100


def trees(folder: str) -> list[ast.Module]:
    paths = (CHECKOUT / folder).rglob("*.py")
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths if path != Path(__file__)]


def parameters(node: ast.AST) -> tuple[str, list[str]]:
    """Name and parameters of what can be called; fields are a dataclass's parameters."""
    if isinstance(node, ast.FunctionDef):
        return node.name, [item.arg for item in node.args.args if item.arg not in ("self", "cls")]
    if isinstance(node, ast.ClassDef):
        fields = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
        return node.name, [field.id for field in fields if isinstance(field, ast.Name)]
    return "", []


def takes_a_code() -> dict[str, set[int]]:
    """What is called with a code, and at which place of its arguments."""
    found: dict[str, set[int]] = defaultdict(set)
    for tree in trees("plugins"):
        for name, given in map(parameters, ast.walk(tree)):
            if "code" in given:
                found[name].add(given.index("code"))
    return found


@cache
def named_in_code() -> frozenset[str]:
    """The codes that messages are made with; one whose name is put together is told by its beginning."""
    places = takes_a_code()
    calls = [node for tree in trees("plugins") for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return frozenset(code for call in calls for code in _codes_of(call, places))


def _codes_of(call: ast.Call, places: dict[str, set[int]]) -> Iterator[str]:
    name = str(getattr(call.func, "attr", None) or getattr(call.func, "id", ""))
    for place in places.get(name, ()):
        given = call.args[place] if len(call.args) > place else None
        part = given.values[0] if isinstance(given, ast.JoinedStr) else given
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def tried() -> list[str]:
    """The rule of every bad input that a test holds against the code."""
    settings = [
        finding.code
        for changes, _field in test_ca_settings.FAULTS
        for finding in test_ca_settings.check_ca_settings({**test_ca_settings.SOUND, **changes})
    ]
    revoked = [rule for _spoiled, _field, rule, _message, _fix in test_revocation.FAULTS]
    return [*(bad.rule for bad in BAD_LINKS), *(wrong.rule for wrong in WRONG), *settings, *revoked]


@cache
def written_in_tests(folder: str) -> frozenset[str]:
    nodes = (node for tree in trees(folder) for node in ast.walk(tree))
    return frozenset(str(node.value) for node in nodes if isinstance(node, ast.Constant))


@cache
def named_in_tasks() -> frozenset[str]:
    """The codes of messages that a playbook or a role makes itself."""
    paths = [path for part in ("playbooks", "roles") for path in (CHECKOUT / part).rglob("*.yml")]
    texts = (path.read_text(encoding="utf-8") for path in paths)
    return frozenset(code for text in texts for code in re.findall(r"(?:\.|\}\}) \[([a-z0-9-]+)\]", text))


def test_the_code_base_knows_no_other_codes_than_the_catalogue() -> None:
    names = named_in_code() | named_in_tasks()
    assert len(named_in_code()) > 100, "the probe finds them"
    assert {"no-ca", "left-out"} <= named_in_tasks(), "the other one too"
    for name in names:
        known = name in KNOWN or (name.endswith("-") and any(code.startswith(name) for code in KNOWN))
        assert known, f"{name}: add it to RULES or CODES in _catalogue.py"
    beginnings = tuple(name for name in names if name.endswith("-"))
    assert [code for code in KNOWN if code not in names and not code.startswith(beginnings)] == []


def test_a_code_stands_in_the_catalogue_once_and_is_in_kebab_case() -> None:
    assert set(RULES) & set(CODES) == set()
    assert [code for code in KNOWN if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_broken_by_a_test(rule: str) -> None:
    assert rule in tried(), "add a bad input: BAD_LINKS or WRONG in tests/unit/inventory/test_validation.py"


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_asserted_by_a_test(code: str) -> None:
    folder = "tests/unit" if code in named_in_code() else "tests/integration"
    assert any(
        re.search(rf"(^|\[|: ){re.escape(code)}($|\])", text)
        for text in written_in_tests(folder) | written_in_tests("tests/attacks")
    )


def test_there_are_many_bad_inputs_and_none_of_an_unknown_rule() -> None:
    assert len(tried()) >= LEAST_BAD_INPUTS
    assert set(tried()) <= set(RULES)


# -- one message ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "what", "fix", "text"),
    [
        ("here", "it is so", "mend it", "here: it is so. Fix: mend it. [x]"),
        ("here", "it is so.", "mend it.", "here: it is so. Fix: mend it. [x]"),
        ("here", "it is so", "", "here: it is so. [x]"),
        ("", "it is so", "mend it", "it is so. Fix: mend it. [x]"),
    ],
)
def test_a_message_becomes_one_line(where: str, what: str, fix: str, text: str) -> None:
    message = Message.error("x", where=where, what=what, fix=fix)
    assert str(message) == text
    assert Message.from_json(message.to_json()) == message


def test_a_message_has_the_level_that_it_is_made_with() -> None:
    made = [make("x", where="", what="y") for make in (Message.error, Message.warning, Message.notice, Message.alarm)]
    assert [message.level for message in made] == ["error", "warning", "notice", "alarm"]
