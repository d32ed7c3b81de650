# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of a checkout start as documents name them: `python -m tests.<name>`, with nothing set beforehand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.support import CHECKOUT

COMMANDS = sorted(found.parent.name for found in CHECKOUT.glob("tests/*/__main__.py"))

# All of a command but its __main__, as not every command can be asked for anything less than its work.
_IMPORT = (
    "import importlib, pkgutil, sys\n"
    "package = importlib.import_module(sys.argv[1])\n"
    "for module in pkgutil.iter_modules(package.__path__):\n"
    "    if module.name != '__main__':\n"
    "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_checkout_needs_nothing_set(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", _IMPORT, f"tests.{name}"]
    run = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_there_are_commands() -> None:
    assert {"bench", "campaign", "precedence"} <= set(COMMANDS)
