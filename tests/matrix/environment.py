# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual environment for each version, made of hashed pins and kept in the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.lab.settings import CHECKOUT

from .errors import MatrixError
from .interpreters import interpreter
from .versions import VERSIONS, Version

__all__ = ["python_of", "said_of", "wanted_of"]

PINS = Path(__file__).parent
ASKED = (
    "import platform, json, ansible.release, ansible_collections, pathlib;"
    "of = [pathlib.Path(p, 'kubernetes/core/MANIFEST.json') for p in ansible_collections.__path__];"
    "core = json.loads(next(p for p in of if p.exists()).read_text())['collection_info']['version'];"
    "print(f'ansible-core {ansible.release.__version__}, Python {platform.python_version()}, kubernetes.core {core}')"
)


def wanted_of(version: Version) -> Path:
    """The packages that a version is run with, beside their pins; there are none where all other checks run on it."""
    return PINS / f"{version.name}.in"


def python_of(version: Version) -> Path:
    """The Python of the version's environment, which is made where there is none yet."""
    if not wanted_of(version).exists():
        return Path(sys.executable)
    command = ["tests/tools/make-venv", f"matrix-{version.name}", interpreter(version.pythons)]
    command.append(str(wanted_of(version).with_suffix(".txt")))
    made = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        raise MatrixError("its packages could not be installed: see the lines above")
    python = Path(made.stdout.strip()) / "bin/python"
    if version.collections:
        _borrow(python, python_of(next(other for other in VERSIONS if other.name == version.collections)))
    return python


def _borrow(borrower: Path, lender: Path) -> None:
    """Put kubernetes.core of another environment beside an ansible-core that comes without."""
    there, here = (next(python.parents[1].glob("lib/python*/site-packages")) for python in (lender, borrower))
    link = here / "ansible_collections/kubernetes"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(there / "ansible_collections/kubernetes")


def said_of(python: Path) -> str:
    """The versions that are in an environment."""
    return subprocess.run([python, "-c", ASKED], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
