"""The command line: `python -m tests.precedence --sets 2000 --seed 1`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from tests.lab import Lab, LabError
from tests.lab.settings import CHECKOUT

from .control_plane import ControlPlane
from .generate import Generator
from .run import Outcome, Runner

_OUTPUT = CHECKOUT / "tests/output"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    runner = Runner(ControlPlane(Lab.load(), arguments.cluster), Generator(arguments.seed), arguments.batch)
    started, outcomes, failure = time.monotonic(), [], ""
    try:
        runner.prepare()
        numbers = list(range(arguments.first, arguments.first + arguments.sets))
        for start in range(0, len(numbers), arguments.batch):
            for outcome in runner.batch(numbers[start : start + arguments.batch], arguments.first + start):
                outcomes.append(outcome)
                _show(outcome)
            print(f"{len(outcomes)} sets, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        runner.finish()
    except LabError as error:
        failure = f"precedence: {error}"
    except KeyboardInterrupt:
        failure = "precedence: interrupted"
    bad = [outcome for outcome in outcomes if outcome.differences]
    facts = sum(outcome.facts for outcome in outcomes)
    print(
        f"seed {arguments.seed}: {len(outcomes)} sets, {facts} facts, {len(bad)} sets with differences, "
        f"{time.monotonic() - started:.0f} s"
    )
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure or bad else 0


def _show(outcome: Outcome) -> None:
    if not outcome.differences:
        return
    for difference in outcome.differences:
        print(difference, flush=True)
    _OUTPUT.mkdir(exist_ok=True)
    path = _OUTPUT / f"precedence-{outcome.made.number}.json"
    path.write_text(json.dumps(outcome.made.objects, indent=1), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.precedence",
        description="Hold the model of Istio's precedence against what a real istiod gives to proxies.",
    )
    parser.add_argument("--sets", type=int, default=2000, metavar="N", help="how many sets (2000)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="the number of the first (1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what they are drawn from (1)")
    parser.add_argument("--batch", type=int, default=20, metavar="N", help="sets at a time (20)")
    parser.add_argument("--cluster", default="cluster-a", help="of the running lab (cluster-a)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
