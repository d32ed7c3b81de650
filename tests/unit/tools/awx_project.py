# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the AWX project that people copy: what it tells AWX to make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tests.unit.support import CHECKOUT, Json

__all__ = ["PROJECT", "calls", "named"]

PROJECT = CHECKOUT / "examples/awx"


class _Loader(yaml.SafeLoader):
    """With Ansible's tag for what is no template of this playbook."""


def _text(loader: yaml.SafeLoader, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("!unsafe", _text)


def play() -> Json:
    (found,) = yaml.load((PROJECT / "controller.yml").read_text(encoding="utf-8"), Loader=_Loader)
    return dict(found)


def calls(module: str = "") -> Iterator[tuple[str, Json]]:
    """Modules and what they are given, with the play's defaults."""
    found = play()
    for task in found["tasks"]:
        (name,) = (key for key in task if key.startswith("awx.awx."))
        if not module or name == f"awx.awx.{module}":
            yield name.removeprefix("awx.awx."), {**found["module_defaults"].get(name, {}), **task[name]}


def named(module: str) -> dict[str, Json]:
    return {given["name"]: given for _name, given in calls(module)}
