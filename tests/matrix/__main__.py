"""The command line: `python -m tests.matrix [2.16 ...]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.settings import CHECKOUT

from .environment import python_of, said_of, wanted_of
from .errors import MatrixError
from .interpreters import interpreter
from .versions import VERSIONS, Version

# What is run with each version, and what it is called.
PARTS: dict[str, tuple[str, ...]] = {
    "unit tests": ("--numprocesses", "auto", "-m", "not slow", "tests/unit", "tests/attacks"),
    "a link's whole life": ("tests/integration/test_whole_life.py",),
}


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.interpreters:
        return _interpreters(arguments.versions)
    rows = [(version, *_row(version)) for version in arguments.versions]
    for version, ok, text in rows:
        print(f"{version.name}: {'ok' if ok else 'FAILED'}: {text}")
    return 0 if all(ok for _version, ok, _text in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    names = ", ".join(version.name for version in VERSIONS)
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", type=_named, default=VERSIONS, help=f"of {names}; default: all"
    )
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


def _row(version: Version) -> tuple[bool, str]:
    """Whether all went well with a version, and what there is to say of it."""
    try:
        python = python_of(version)
    except MatrixError as error:
        return False, str(error)
    said, began = said_of(python), time.monotonic()
    print(f"{version.name}: {said}", flush=True)
    failed = [name for name, arguments in PARTS.items() if not _passes(python, arguments)]
    took = f"{time.monotonic() - began:.0f} s"
    return not failed, f"{said}, {took}" + (f"; failed: {', '.join(failed)}" if failed else "")


def _passes(python: Path, arguments: Sequence[str]) -> bool:
    return subprocess.run([python, "-m", "pytest", "-q", *arguments], cwd=CHECKOUT).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
