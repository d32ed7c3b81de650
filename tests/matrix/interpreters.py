# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Python of a certain version is to be had on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import MatrixError

__all__ = ["interpreter"]

MAKES_VENVS = "import ensurepip, venv"


def interpreter(names: Sequence[str]) -> str:
    """The first of these that runs and can make a virtual environment.

    :param names: as on PATH, `python3.12`.
    """
    for candidate in (path for name in names for path in _candidates(name)):
        if subprocess.run([candidate, "-c", MAKES_VENVS], capture_output=True).returncode == 0:
            return candidate
    raise MatrixError(
        f"this machine has no {' or '.join(names)} with venv: install it, as with pyenv or uv, or run this on Debian 13"
    )


def _candidates(name: str) -> Iterator[str]:
    # Of pyenv, what is on PATH is a script that may know no such version.
    if found := shutil.which(name):
        yield found
    if root := _said("pyenv", "root"):
        yield from map(str, sorted(Path(root).glob(f"versions/*/bin/{name}"), reverse=True))
    if found := _said("uv", "python", "find", "--no-python-downloads", name):
        yield found


def _said(*command: str) -> str:
    """What a program prints, where there is such a program and it knows an answer."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
