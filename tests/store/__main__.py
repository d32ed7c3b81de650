# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.store`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .course import PHASES, course_in
from .stopping import FAULTS
from .tampering import cases, told
from .work import WORKS, points


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.store",
        description="The CA store with each of its files tampered with, and stopped at each operation on them.",
    )
    parser.add_argument("part", nargs="?", choices=["tampering", "stopping"], help="one of the two (both)")
    part = parser.parse_args(argv).part
    with tempfile.TemporaryDirectory(prefix="crossmesh-store-") as folder:
        found = 0 if part == "stopping" else _tampering(Path(folder) / "tampering")
        found += 0 if part == "tampering" else _stopping(Path(folder) / "stopping")
    return 1 if found else 0


def _tampering(folder: Path) -> int:
    course, ends, codes, violations = course_in(folder), Counter[str](), Counter[str](), 0
    for phase in PHASES:
        for number, case in enumerate(cases(course, phase)):
            found = told(course, case, folder / f"{phase}-{number}")
            ends[found.ends] += 1
            codes.update(set(found.codes))
            violations += len(found.violations)
            for violation in found.violations:
                print(f"VIOLATION {case}: {violation}", flush=True)
        print(f"tampering, phase {phase}: {sum(ends.values())} cases so far, {dict(ends)}", flush=True)
    print(f"errors: {dict(codes.most_common())}")
    print(f"tampering: {sum(ends.values())} cases, {dict(ends)}, {violations} violations", flush=True)
    return violations


def _stopping(folder: Path) -> int:
    count = violations = 0
    for work in WORKS:
        for fault in FAULTS:
            found = list(points(work, fault, folder))
            count += len(found)
            violations += sum(bool(point.fault) for point in found)
            for point in found:
                if point.fault:
                    print(f"VIOLATION {work.name}, {fault.name} at operation {point.step}: {point.fault}", flush=True)
            print(f"stopping, {work.name}, {fault.name}: {len(found)} operations", flush=True)
    print(f"stopping: {count} operations, {violations} violations", flush=True)
    return violations


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
