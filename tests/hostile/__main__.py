# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python -m tests.hostile`."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.settings import CHECKOUT

from .forged import Forged
from .lies import World, draw
from .scenarios import SCENARIOS, Honest, honest_runs
from .scenery import HOSTILE
from .stage import Stage, staged
from .telling import Batch, Finding, Told, batches, coverage, likeness, pursue, tell

_OUTPUT = CHECKOUT / "tests/output/hostile"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [found for found in SCENARIOS if found.name in (arguments.scenarios or found.name)]
    if arguments.only:
        chosen = [found for found in SCENARIOS if found.name == arguments.only.split("-")[0]]
    with tempfile.TemporaryDirectory(prefix="crossmesh-hostile-") as name, ExitStack() as stack:
        passphrase = secrets.token_urlsafe(24)
        folders = [Path(name) / str(number) for number in range(1 if arguments.only else arguments.jobs)]
        stages = [stack.enter_context(staged(folder, passphrase)) for folder in folders]
        forged, honest = honest_runs(stages[0], chosen)
        for found in honest:
            print(f"honest {found.scenario.name}: {found.seconds:.1f} s, {len(found.recorded)} answers", flush=True)
        if arguments.only:
            return _alone(stages[0], honest[0], forged, arguments.only)
        return _campaign(stages, honest, forged, arguments)


def _alone(stage: Stage, honest: Honest, forged: Forged, name: str) -> int:
    seed = int(name.split("-")[1])
    lie = next(found for found in draw(honest.scenario.name, honest.recorded, seed) if found.name == name)
    told = tell(stage, Batch(honest, (lie,)), _world(stage, forged))
    print(f"{told.output}\n{lie}\ntold: {bool(told.told)}, {told.seconds:.1f} s")
    for violation in told.violations:
        print(f"  {violation.kind}: {violation.what}")
    return 1 if told.violations else 0


def _world(stage: Stage, forged: Forged) -> World:
    return World(forged, HOSTILE, stage.trap.url, stage.hostile.token, str(stage.folder / "marker"))


@dataclass
class _Campaign:
    """:param known: likenesses of violations whose lies were found already."""

    todo: Iterator[Batch]
    forged: Forged
    answers: int
    told: list[Told] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, stage: Stage) -> None:
        world = _world(stage, self.forged)
        while batch := self._next():
            told = tell(stage, batch, world)
            with self.lock:
                self.told.append(told)
                seen = {likeness(found) for found in told.violations}
                new = seen - self.known.keys()
                for found in seen:
                    self.known[found] = self.known.get(found, 0) + 1
            self._say(told, len(new))
            for finding in pursue(stage, told, world) if new else ():
                self._keep(finding)

    def _next(self) -> Batch | None:
        with self.lock:
            return next(self.todo) if sum(len(run.told) for run in self.told) < self.answers else None

    def _say(self, told: Told, new: int) -> None:
        scenario, count = told.batch.honest.scenario.name, sum(len(run.told) for run in self.told)
        found = f", {len(told.violations)} violations ({new} new)" if told.violations else ""
        print(f"{count:>5} {scenario:<10} {len(told.told)} lies, {told.seconds:.1f} s{found}", flush=True)

    def _keep(self, finding: Finding) -> None:
        with self.lock:
            self.findings.append(finding)
            print(_described(finding), flush=True)
            path = _OUTPUT / f"{finding.lies[0].name if finding.lies else len(self.findings)}.txt"
            path.write_text(f"{_described(finding)}\n\n{finding.output}", encoding="utf-8", errors="backslashreplace")


def _campaign(stages: Sequence[Stage], honest: Sequence[Honest], forged: Forged, arguments: argparse.Namespace) -> int:
    _OUTPUT.mkdir(parents=True, exist_ok=True)
    todo = batches(honest, arguments.seed, arguments.size)
    campaign = _Campaign(todo, forged, arguments.answers)
    with ThreadPoolExecutor(len(stages)) as pool:
        list(pool.map(campaign.work, stages))
    report = [coverage(campaign.told), *(_described(finding) for finding in campaign.findings)]
    report += [f"{count} runs: {found}" for found, count in sorted(campaign.known.items())]
    (_OUTPUT / "report.txt").write_text("\n".join(report) + "\n", encoding="utf-8", errors="backslashreplace")
    print("\n".join(report))
    return 1 if campaign.findings else 0


def _described(finding: Finding) -> str:
    lies = "\n".join(f"FOUND {lie}" for lie in finding.lies)
    return "\n".join([lies, *(f"      {found.kind}: {found.what}" for found in finding.violations)])


def _parser() -> argparse.ArgumentParser:
    names = [found.name for found in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile", description="Whole playbooks against an API server that lies."
    )
    parser.add_argument("scenarios", nargs="*", choices=[*names, []], help="which runs (all)")
    parser.add_argument("--answers", type=int, default=2000, metavar="N", help="how many answers are lies (2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what they are drawn from (1)")
    parser.add_argument("--size", type=int, default=8, metavar="N", help="lies that a run is told at most (8)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="runs at a time (2)")
    parser.add_argument("--only", default="", metavar="ID", help="one lie, by the name that it was reported with")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
