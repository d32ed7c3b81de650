# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's side of tests/integration/support/talkative_runs.py: writes down all that a callback is given."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.vars.hostvars import HostVars, HostVarsVars

DOCUMENTATION = """
name: witness
type: aggregate
short_description: Writes down all that a callback is given
description: Results, arguments, fields, variables and whatever hangs on them, to the file that the environment names.
"""

# What hangs on what hangs on a result: beyond that it is the inventory over and over again.
DEPTH = 5
# They make what they hold only as they are read: to ask them for an inventory's passphrase is to evaluate it oneself.
LAZY = (HostVars, HostVarsVars)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "witness"
    CALLBACK_NEEDS_ENABLED = True

    def __getattribute__(self, name: str) -> Any:
        """Every event there is, those that come with later versions of Ansible too."""
        if name.startswith("v2_") and name != "v2_on_any":
            return lambda *given, **named: self._note(name, [*given, *named.values()])
        return super().__getattribute__(name)

    def _note(self, event: str, given: list[Any]) -> None:
        with open(os.environ["CROSSMESH_WITNESS"], "a", encoding="utf-8") as file:
            file.write(f"== {event}\n")
            file.writelines(f"{text}\n" for text in _texts(given, DEPTH, set()))


def _texts(value: Any, depth: int, seen: set[int]) -> Iterator[str]:
    if isinstance(value, LAZY):
        return
    if isinstance(value, (str, bytes)):
        yield value if isinstance(value, str) else value.decode("latin-1")
    elif isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield from _texts(key, depth, seen)
            yield from _texts(item, depth, seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in list(value):
            yield from _texts(item, depth, seen)
    elif depth and id(value) not in seen and not isinstance(value, (type, int, float, type(None))):
        seen.add(id(value))
        for item in list(getattr(value, "__dict__", {}).values()):
            yield from _texts(item, depth - 1, seen)
