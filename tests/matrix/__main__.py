# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.matrix [2.16 ...]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.settings import CHECKOUT

from .environment import python_of, said_of, wanted_of
from .errors import MatrixError
from .interpreters import interpreter
from .versions import VERSIONS, Version

Parts = Mapping[str, Sequence[str]]

# What is run with each version, and what it is called. Programs are those of the version's environment.
PYTEST = ("python", "-m", "pytest", "-q")
# What is not shipped, tools and examples, is tested with the packages that it is worked on with.
NOT_SHIPPED = "--ignore=tests/unit/tools"
LIFE: Parts = {
    "unit tests": (*PYTEST, "--numprocesses", "auto", "-m", "not slow", NOT_SHIPPED, "tests/unit", "tests/attacks"),
    "a link's whole life": (*PYTEST, "tests/integration/test_whole_life.py"),
}
SANITY: Parts = {"sanity": ("tests/tools/sanity",)}


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.interpreters:
        return _interpreters(arguments.versions)
    parts = SANITY if arguments.sanity else LIFE
    rows = [(version, *_row(version, parts)) for version in arguments.versions]
    for version, ok, text in rows:
        print(f"{version.name}: {'ok' if ok else 'FAILED'}: {text}")
    return 0 if all(ok for _version, ok, _text in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    names = ", ".join(version.name for version in VERSIONS)
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", type=_named, default=VERSIONS, help=f"of {names}; default: all"
    )
    parser.add_argument("--sanity", action="store_true", help="run ansible-test sanity instead of the tests")
    parser.add_argument("--interpreters", action="store_true", help="only print the Python of each that has pins")
    return parser


def _named(name: str) -> Version:
    found = next((version for version in VERSIONS if version.name == name), None)
    if found is None:
        raise argparse.ArgumentTypeError(f"{name} is none of the supported lines of ansible-core")
    return found


def _interpreters(versions: Sequence[Version]) -> int:
    try:
        for version in versions:
            if wanted_of(version).exists():
                print(version.name, interpreter(version.pythons))
    except MatrixError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1
    return 0


def _row(version: Version, parts: Parts) -> tuple[bool, str]:
    """Whether all went well with a version, and what there is to say of it."""
    try:
        python = python_of(version)
    except MatrixError as error:
        return False, str(error)
    said = said_of(python)
    print(f"{version.name}: {said}", flush=True)
    results = [_result(name, python, command) for name, command in parts.items()]
    return all(ok for ok, _text in results), "; ".join([said, *(text for _ok, text in results)])


def _result(name: str, python: Path, command: Sequence[str]) -> tuple[bool, str]:
    """Whether one part went well with the programs beside a Python, and how long it took."""
    environment = os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    began = time.monotonic()
    ok = subprocess.run(command, cwd=CHECKOUT, env=environment).returncode == 0
    return ok, f"{name} {'passed' if ok else 'FAILED'} in {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
