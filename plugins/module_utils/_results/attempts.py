# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a run have left, as Ansible registers it, in the words of a check. Pure.

PRIVATE to the collection. A result is foreign: it may lack whatever a task that ended early did not come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mappings, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, MessageJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import Case, Status

__all__ = ["NOT_MADE", "Attempt", "attempt_of", "case_of", "lines_of"]

_CODE = re.compile(r"\[([a-z0-9-]+)\]$")


@dataclass(frozen=True)
class Attempt:
    """:param end: C(none) where the run did not come to it, or had nothing to do.
    :param told: why it failed.
    """

    end: Literal["none", "done", "failed"]
    told: tuple[str, ...] = ()


NOT_MADE = Attempt("none")


def attempt_of(result: Json) -> Attempt:
    """:param result: of a task; empty where it was not run."""
    errors = [str(Message.from_json(cast(MessageJson, error))) for error in mappings(result.get("errors"))]
    # Under `failed_when: false` a task that failed has its errors, and says that it has not failed.
    if errors or result.get("failed") or result.get("unreachable"):
        return Attempt("failed", tuple(errors or lines_of(result.get("msg"))))
    # The audit journal's check fails no task.
    if problems := lines_of(result.get("problems")):
        return Attempt("failed", tuple(problems))
    if not result or result.get("skipped"):
        return NOT_MADE
    return Attempt("done", tuple(lines_of(result.get("msg"))))


def lines_of(words: object) -> list[str]:
    """What a message of a task says: a text, or a list of them."""
    found = words if isinstance(words, (list, tuple)) else [words]
    return [line for item in found for line in text(item).splitlines() if line]


def case_of(name: str, status: Status, messages: Iterable[str] = ()) -> Case:
    lines = tuple(messages)
    found = _CODE.search(lines[0]) if lines else None
    return Case(name, status, found[1] if found else "", lines)
