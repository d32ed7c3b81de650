# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.precedence --sets 2000 --seed 1`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.lab import Lab, LabError
from tests.lab.settings import CHECKOUT

from .compare import Difference
from .control_plane import ControlPlane
from .faults import FAULTS
from .generate import Generator, Set
from .run import Look, Runner

_OUTPUT = CHECKOUT / "tests/output"


class Tally:
    """What came of all sets so far."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.sets = self.facts = self.differing = 0
        # In how many sets each seeded fault was found.
        self.found: Counter[str] = Counter()

    def add(self, look: Look, *, faults: bool) -> None:
        facts, differences = look.compare()
        self.sets += 1
        self.facts += facts
        if differences:
            self.differing += 1
            _show(look.made, differences)
        for name, fault in FAULTS.items() if faults else ():
            with fault():
                self.found[name] += bool(look.compare()[1])

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def missed(self) -> list[str]:
        return [name for name in FAULTS if not self.found[name]]


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    tally, failure = Tally(), ""
    try:
        _run(arguments, tally)
    except LabError as error:
        failure = f"precedence: {error}"
    except KeyboardInterrupt:
        failure = "precedence: interrupted"
    print(
        f"seed {arguments.seed}: {tally.sets} sets, {tally.facts} facts, {tally.differing} sets with differences, "
        f"{tally.seconds:.0f} s"
    )
    if arguments.faults:
        for name in FAULTS:
            print(f"seeded fault: {name}: found in {tally.found[name]} sets")
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure or tally.differing or (arguments.faults and tally.missed) else 0


def _run(arguments: argparse.Namespace, tally: Tally) -> None:
    lab = Lab.load()
    print(f"lab {lab.settings.name}, {arguments.cluster}", file=sys.stderr, flush=True)
    runner = Runner(ControlPlane(lab, arguments.cluster), Generator(arguments.seed), arguments.batch)
    runner.prepare()
    last = arguments.first + arguments.sets
    for start in range(arguments.first, last, arguments.batch):
        numbers = range(start, min(start + arguments.batch, last))
        for look in runner.batch(numbers, start):
            tally.add(look, faults=arguments.faults)
        print(f"{tally.sets} sets, {tally.seconds:.0f} s", file=sys.stderr, flush=True)
    runner.finish()


def _show(made: Set, differences: Sequence[Difference]) -> None:
    for difference in differences:
        print(difference, flush=True)
    _OUTPUT.mkdir(exist_ok=True)
    path = _OUTPUT / f"precedence-{made.number}.json"
    path.write_text(json.dumps(made.objects, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.precedence",
        description="Hold the model of Istio's precedence against what a real istiod gives to proxies.",
    )
    parser.add_argument("--sets", type=int, default=2000, metavar="N", help="how many sets (2000)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="the number of the first (1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what they are drawn from (1)")
    parser.add_argument("--batch", type=int, default=40, metavar="N", help="sets at a time (40)")
    parser.add_argument("--cluster", default="cluster-a", help="of the running lab (cluster-a)")
    parser.add_argument("--faults", action="store_true", help="seed faults in the model as well: each must be found")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
