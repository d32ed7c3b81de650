# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.store`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from .course import PHASES, course_in, course_in_secrets
from .secret_stopping import SECRET_FAULTS, SECRET_WORKS, secret_points
from .secret_tampering import secret_cases, told_of_secrets
from .stopping import FAULTS
from .tampering import Told, cases, told
from .work import WORKS, Point, points

PLACES = ("files", "secrets")
# What was done, and where it was stopped.
Stopped = tuple[str, str, list[Point]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.store",
        description="The CA store with all that keeps it tampered with, and stopped at each operation on that.",
    )
    parser.add_argument("part", nargs="?", choices=["tampering", "stopping"], help="one of the two (both)")
    parser.add_argument("--in", dest="place", choices=PLACES, help="where the store is kept (each of them)")
    given = parser.parse_args(argv)
    places, violations = [given.place] if given.place else PLACES, 0
    with tempfile.TemporaryDirectory(prefix="crossmesh-store-") as name:
        folder = Path(name)
        for place in places:
            if given.part != "stopping":
                found = _tampered_files(folder) if place == "files" else _tampered_secrets()
                violations += _tampering(place, found)
            if given.part != "tampering":
                stopped = _stopped_files(folder) if place == "files" else _stopped_secrets()
                violations += _stopping(place, stopped)
    return 1 if violations else 0


def _tampered_files(folder: Path) -> Iterator[tuple[str, Iterator[Told]]]:
    course, numbers = course_in(folder / "tampering"), count()
    for phase in PHASES:
        yield phase, (told(course, case, folder / f"case-{next(numbers)}") for case in cases(course, phase))


def _tampered_secrets() -> Iterator[tuple[str, Iterator[Told]]]:
    course = course_in_secrets()
    for phase in PHASES:
        yield phase, (told_of_secrets(course, case) for case in secret_cases(course, phase))


def _stopped_files(folder: Path) -> Iterator[Stopped]:
    for work in WORKS:
        for fault in FAULTS:
            yield work.name, fault.name, list(points(work, fault, folder / "stopping"))


def _stopped_secrets() -> Iterator[Stopped]:
    for work in SECRET_WORKS:
        for fault in SECRET_FAULTS:
            yield work.name, fault.name, list(secret_points(work, fault))


def _tampering(place: str, phases: Iterable[tuple[str, Iterator[Told]]]) -> int:
    ends, codes, violations = Counter[str](), Counter[str](), 0
    for phase, outcomes in phases:
        for found in outcomes:
            ends[found.ends] += 1
            codes.update(set(found.codes))
            violations += len(found.violations)
            for violation in found.violations:
                print(f"VIOLATION {place}, {found.case}: {violation}", flush=True)
        print(f"tampering, {place}, phase {phase}: {sum(ends.values())} cases so far, {dict(ends)}", flush=True)
    print(f"errors: {dict(codes.most_common())}")
    print(f"tampering, {place}: {sum(ends.values())} cases, {dict(ends)}, {violations} violations", flush=True)
    return violations


def _stopping(place: str, works: Iterable[Stopped]) -> int:
    operations = violations = 0
    for work, fault, found in works:
        operations += len(found)
        violations += sum(bool(point.fault) for point in found)
        for point in found:
            if point.fault:
                print(f"VIOLATION {place}, {work}, {fault} at operation {point.step}: {point.fault}", flush=True)
        print(f"stopping, {place}, {work}, {fault}: {len(found)} operations", flush=True)
    print(f"stopping, {place}: {operations} operations, {violations} violations", flush=True)
    return violations


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
