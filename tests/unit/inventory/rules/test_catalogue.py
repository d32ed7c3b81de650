# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule is in the catalogue, in the code and in a test, or it is none."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.catalogue import RULES
from tests.lab.settings import CHECKOUT
from tests.unit.ca import test_revocation
from tests.unit.inventory.rules import test_ca as test_ca_settings
from tests.unit.inventory.test_validation import BAD_LINKS, WRONG

LEAST_BAD_INPUTS = 100


def named_in_code() -> Iterator[str]:
    """What findings are made with; a rule whose name is put together is told by its beginning."""
    for path in (CHECKOUT / "plugins/module_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "_finding") and node.args:
                first = node.args[0]
                part = first.values[0] if isinstance(first, ast.JoinedStr) else first
                if isinstance(part, ast.Constant):
                    yield str(part.value)


def tried() -> list[str]:
    """The rule of every bad input that a test holds against the code."""
    settings = [
        finding.rule
        for changes, _field in test_ca_settings.FAULTS
        for finding in test_ca_settings.check_ca_settings({**test_ca_settings.SOUND, **changes})
    ]
    revoked = [rule for _spoiled, _field, rule, _message, _cure in test_revocation.FAULTS]
    return [*(bad.rule for bad in BAD_LINKS), *(wrong.rule for wrong in WRONG), *settings, *revoked]


def test_the_code_knows_no_other_rules_than_the_catalogue() -> None:
    names = set(named_in_code())
    assert len(names) > 30, "the probe finds them"
    for name in names:
        assert name in RULES or (name.endswith("-") and any(rule.startswith(name) for rule in RULES)), name
    beginnings = tuple(name for name in names if name.endswith("-"))
    assert [rule for rule in RULES if rule not in names and not rule.startswith(beginnings)] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_broken_by_a_test(rule: str) -> None:
    assert rule in tried()


def test_there_are_many_bad_inputs_and_none_of_an_unknown_rule() -> None:
    assert len(tried()) >= LEAST_BAD_INPUTS
    assert set(tried()) <= set(RULES)
