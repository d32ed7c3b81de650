# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's command line: `python -m tests.bench`."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence

from tests.lab import Lab, LabError
from tests.lab.settings import CHECKOUT

from . import scale
from .contenders import BASELINE, SITE
from .figures import Groups, figures, report, table
from .jobs import jobs
from .markdown import scale_tables
from .parts import certificates, floor, joining, rotation
from .process import BenchError
from .samples import Sample
from .watching import Reading

_PARTS = (SITE.name, BASELINE.name, "floor", "certificates", "rotation", "fleet", "jobs")
_OUTPUT = CHECKOUT / "tests/output/bench.json"
# community.crypto's time grows with the number; more would only take longer.
_YARDSTICK_LINKS = 10
# Of all clusters, where the clusters grow in number.
_FLEET_LINKS = 10


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    samples: list[Sample] = []
    readings: list[Reading] = []
    failure = ""
    try:
        for found in _measure(Lab.load(), arguments):
            if isinstance(found, Sample):
                samples.append(found)
            else:
                readings.append(found)
            print(found, file=sys.stderr, flush=True)
    except (BenchError, LabError) as error:
        failure = f"bench: {error}"
    except KeyboardInterrupt:
        failure = "bench: interrupted"
    groups = Groups(samples)
    standing = list(figures(groups, max(arguments.fleet, default=None)))
    _OUTPUT.parent.mkdir(exist_ok=True)
    _OUTPUT.write_text(json.dumps(report(groups, standing, readings), indent=2) + "\n")
    print(table(groups, standing))
    for lines in scale_tables(groups, readings):
        print("", *lines, sep="\n")
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure else 0


def _measure(lab: Lab, arguments: argparse.Namespace) -> Iterator[Sample | Reading]:
    parts, repeat = arguments.only, arguments.repeat
    contenders = [contender for contender in (BASELINE, SITE) if contender.name in parts]
    if contenders:
        yield from joining(lab, contenders, arguments.links, repeat)
    if "floor" in parts:
        yield from floor(lab, arguments.links, repeat)
    if "certificates" in parts:
        yield from certificates(lab, arguments.certificates, _YARDSTICK_LINKS, repeat)
    if "rotation" in parts:
        yield from rotation(lab, arguments.rotation, repeat)
    if "fleet" in parts:
        yield from scale.links(lab, arguments.fleet, repeat)
        yield from scale.clusters(lab, arguments.clusters, _FLEET_LINKS, repeat)
    if "jobs" in parts:
        yield from jobs(lab, repeat)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the standing figures.")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, help="parts to measure (all)")
    parser.add_argument("--links", nargs="+", type=int, default=[1, 10], metavar="N", help="numbers of links (1 10)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions of each (3)")
    for name, sizes, what in (("--fleet", [1, 10, 50, 200], "links"), ("--clusters", [2, 10, 40], "clusters")):
        known = " ".join(map(str, sizes))
        parser.add_argument(
            name,
            nargs="*",
            type=int,
            default=sizes,
            metavar="N",
            help=f"{what} of the fleet ({known}); none leaves it out",
        )
    parser.add_argument("--rotation", type=int, default=50, metavar="N", help="links whose leaves are renewed (50)")
    parser.add_argument("--certificates", type=int, default=500, metavar="N", help="certificates in a task (500)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
