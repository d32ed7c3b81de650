# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: C(python -m tests.fuzz). What it finds it makes small, shows, and keeps in the corpus."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from .corpus import entries, keep
from .judge import Target, judge
from .targets import TARGETS, inputs_of

# Inputs of one target at a time, before it is the next one's turn.
_ROUND = 200


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    names = arguments.targets or sorted(TARGETS)
    failed = {name for name in names if not _again(name)}
    turns = ((number, name) for number in itertools.count(arguments.seed) for name in names)
    until = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < until:
        number, name = next(turns)
        # What is known of a target would only be found again.
        if name not in failed and not _round(name, TARGETS[name], number):
            failed.add(name)
    print(f"{len(names)} targets, {len(failed)} failed" + "".join(f"\n  {name}" for name in sorted(failed)))
    return 1 if failed else 0


def _again(name: str) -> bool:
    """Whether all that is in the corpus is read as it should be."""
    sound = True
    for entry in entries():
        if entry.target == name and (what := _fault(TARGETS[name], entry.given)):
            print(f"{name}: {entry.name}: {what}", flush=True)
            sound = False
    return sound


def _fault(target: Target, tried: Any) -> str:
    try:
        judge(target, tried)
    except AssertionError as error:
        return str(error)
    return ""


def _round(name: str, target: Target, number: int) -> bool:
    """Whether none of these inputs made the parser fail."""
    last: list[Any] = []

    @seed(number)
    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs_of(target))
    def run(tried: Any) -> None:
        last[:] = [tried]
        judge(target, tried)

    begun = time.monotonic()
    try:
        run()
    except AssertionError as error:
        path = keep(name, str(error), last[0])
        print(f"{name}, seed {number}: {error}\n  kept as {path}", flush=True)
        return False
    print(f"{name}, seed {number}: {_ROUND} inputs, {time.monotonic() - begun:.1f} s", flush=True)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Foreign bytes for every parser of them.")
    parser.add_argument("targets", nargs="*", choices=[*sorted(TARGETS), []], help="which parsers (all)")
    parser.add_argument("--minutes", type=float, default=20, metavar="N", help="how long (20)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what the inputs are drawn from (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
