# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaigns' command line: `python -m tests.campaign`."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.integration.support.lab_mesh import Mesh, cleared_afterwards
from tests.lab import Lab, LabError
from tests.lab.settings import CHECKOUT

from .case import Case, Load, Outcome, perform
from .faults import CAMPAIGN as FAULTS
from .faults import faults
from .kills import CAMPAIGN as KILLS
from .kills import kills
from .rotations import settle
from .rounds import CAMPAIGN as ROUNDS
from .rounds import rounds
from .table import line, table

_OUTPUT = CHECKOUT / "tests/output/campaign.txt"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes: list[Outcome] = []
    failure = ""
    try:
        for outcome in _campaigns(Lab.load(), arguments):
            outcomes.append(outcome)
            print(line(outcome), file=sys.stderr, flush=True)
    except LabError as error:
        failure = f"campaign: {error}"
    except KeyboardInterrupt:
        failure = "campaign: interrupted"
    _OUTPUT.parent.mkdir(exist_ok=True)
    _OUTPUT.write_text(table(outcomes) + "\n", encoding="utf-8")
    print(table(outcomes))
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure or any(outcome.faults for outcome in outcomes) else 0


def _campaigns(lab: Lab, arguments: argparse.Namespace) -> Iterator[Outcome]:
    load = Load(arguments.rate, arguments.held)
    with (
        tempfile.TemporaryDirectory(prefix="crossmesh-campaign-") as folder,
        cleared_afterwards(Mesh(lab, Path(folder), secrets.token_urlsafe(24))) as mesh,
    ):
        settle(mesh)
        for case in _cases(mesh, arguments):
            if arguments.only in case.name:
                outcome = perform(case, mesh, load)
                yield outcome
                if outcome.faults:
                    # A case that went well has left nothing behind.
                    settle(mesh)


def _cases(mesh: Mesh, arguments: argparse.Namespace) -> Iterator[Case]:
    if ROUNDS in arguments.campaigns:
        yield from rounds(arguments.rounds)
    if KILLS in arguments.campaigns:
        yield from kills(mesh, arguments.every)
    if FAULTS in arguments.campaigns:
        yield from faults()


def _parser() -> argparse.ArgumentParser:
    known = (ROUNDS, KILLS, FAULTS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign", description="Rotate under load, with faults, and count what is lost."
    )
    parser.add_argument("campaigns", nargs="*", choices=known, default=known, help="which (all)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this (all)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="rounds of each rotation (10)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="kill at every Nth task boundary (1)")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="new connections a second (100)")
    parser.add_argument("--held", type=int, default=20, metavar="N", help="established sessions (20)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
