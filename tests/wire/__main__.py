# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.wire --sets 60 --seed 1`."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.integration.support.lab_mesh import Mesh, cleared_afterwards
from tests.lab import Lab, LabError
from tests.lab.settings import CHECKOUT
from tests.precedence.generate import Generator

from . import sets
from .stage import Seen, Stage

_OUTPUT = CHECKOUT / "tests/output"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    seen: list[Seen] = []
    failures: list[str] = []
    began = time.monotonic()
    try:
        _run(arguments, seen, failures)
    except (AssertionError, LabError) as error:
        failures.append(str(error))
    except KeyboardInterrupt:
        failures.append("interrupted")
    print(f"seed {arguments.seed}: {summary(seen)}, {time.monotonic() - began:.0f} s")
    for failure in failures:
        print(f"wire: {failure}", file=sys.stderr)
    return 1 if failures or any(found.faults for found in seen) else 0


def summary(seen: Sequence[Seen]) -> str:
    """What is counted: of sets that a run ended with 0 beside, and of those that it was refused beside."""
    parts = [f"{len(seen)} sets, {sum(len(found.others.kinds) for found in seen)} objects"]
    for code, name in ((0, "ran with 0"), (2, "refused")):
        of_code = [found for found in seen if bool(found.code) == bool(code)]
        parts.append(
            f"{name}: {len(of_code)} ({sum(found.answered for found in of_code)} answered, "
            f"{sum(found.connections for found in of_code)} TLS connections to the link's name; in plain text from the "
            f"egress gateway {_count(of_code, 'egress')}, from the workload {_count(of_code, 'workload')})"
        )
    parts.append(f"read in the plain leg: {sum(found.control for found in seen)}")
    return "; ".join(parts)


def _count(seen: Sequence[Seen], who: str) -> int:
    return sum(any(who in sender for sender in found.readable) for found in seen)


def _run(arguments: argparse.Namespace, seen: list[Seen], failures: list[str]) -> None:
    lab = Lab.load()
    print(f"lab {lab.settings.name}", file=sys.stderr, flush=True)
    generator, last = Generator(arguments.seed), arguments.first + arguments.sets
    with (
        tempfile.TemporaryDirectory(prefix="crossmesh-wire-") as folder,
        cleared_afterwards(Mesh(lab, Path(folder), secrets.token_urlsafe(24))) as mesh,
    ):
        stage = Stage(mesh, arguments.links)
        with stage.standing(Path(folder)):
            (control,) = stage.batch([sets.control()])
            if not control.code or not control.readable:
                failures.append(f"the control is not as it must be: {control}")
            for start in range(arguments.first, last, arguments.links):
                numbers = range(start, min(start + arguments.links, last))
                for found in stage.batch(sets.batch(generator, arguments.seed, numbers, arguments.links)):
                    seen.append(found)
                    _show(found)
                print(summary(seen), file=sys.stderr, flush=True)


def _show(found: Seen) -> None:
    others = found.others
    for fault in found.faults:
        print(f"set {others.number}, {others.link['name']}: {fault}", flush=True)
    if found.code and found.readable:
        print(f"set {others.number}, {others.link['name']}: refused; readable from {found.readable}", flush=True)
    if not found.code and not found.answered:
        print(f"set {others.number}, {others.link['name']}: the run ended with 0, and nothing answers", flush=True)
    if found.faults or found.readable or not (found.code or found.answered):
        _OUTPUT.mkdir(exist_ok=True)
        content = {"link": others.link, "older": others.older, "younger": others.younger}
        (_OUTPUT / f"wire-{others.number}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.wire",
        description="Listen between two clusters while others' random objects stand beside links.",
    )
    parser.add_argument("--sets", type=int, default=60, metavar="N", help="how many sets (60)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="the number of the first (1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what they are drawn from (1)")
    parser.add_argument("--links", type=int, default=12, metavar="N", help="links, and with them sets at a time (12)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
