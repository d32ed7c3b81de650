# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, one generator a part; each yields what it measured as soon as it has it."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.lab import Lab

from . import kubectl
from .contenders import BASELINE, SITE, Contender, Joined, expect_traffic
from .kubectl import FLOOR
from .process import BenchError, Measured
from .samples import FIRST, PROCESS, RENEWED, TASKS, UNCHANGED, Sample, sample
from .stage import INSTANCE, SERVER, Stage, stage

ISSUER = "mesh_credentials"
COMMUNITY = "community.crypto"
ROTATION = "rotate_certificates"

_CERTIFICATES = Path(__file__).with_name("certificates")
_ROTATE = SITE.playbook.with_name("rotate_certificates.yml")


def joining(lab: Lab, contenders: list[Contender], counts: list[int], repeat: int) -> Iterator[Sample]:
    """The contenders by turns, so that a busy minute of the machine does not hit one of them only."""
    for count in counts:
        with stage(lab, count) as here:
            for _ in range(repeat):
                for contender in contenders:
                    yield from _join(contender, here)


def rotation(lab: Lab, count: int, repeat: int) -> Iterator[Sample]:
    """All leaves of many links renewed, gates included, by turns with a run of site that changes nothing."""
    with stage(lab, count) as here:
        try:
            SITE.join(here)
            for _ in range(repeat):
                renewed = Joined.of(here.playbook(_ROTATE, "-e", "mesh_rotate_force=true"))
                yield _joined(ROTATION, RENEWED, count, renewed)
                yield _joined(SITE.name, UNCHANGED, count, SITE.join(here))
        finally:
            SITE.part(here)


def _join(contender: Contender, here: Stage) -> Iterator[Sample]:
    count = len(here.links)
    try:
        yield _joined(contender.name, FIRST, count, contender.join(here))
        expect_traffic(here.lab, [here.links[0], here.links[-1]])
        joined = contender.join(here)
        if joined.changed:
            raise BenchError(f"{contender.name}: the second run changed something:\n{joined.measured.stdout[-4000:]}")
        yield _joined(contender.name, UNCHANGED, count, joined)
    finally:
        contender.part(here)


def _joined(who: str, phase: str, count: int, joined: Joined) -> Sample:
    return sample(who, phase, count, [joined.measured], tasks=joined.tasks)


def floor(lab: Lab, counts: list[int], repeat: int) -> Iterator[Sample]:
    """kubectl applying what the site playbook has written."""
    for count in counts:
        with stage(lab, count) as here:
            try:
                SITE.join(here)
                written = kubectl.manifests(here)
            finally:
                SITE.part(here)
            for _ in range(repeat):
                try:
                    for phase in (FIRST, UNCHANGED):
                        yield sample(FLOOR.name, phase, count, kubectl.apply(here, written))
                finally:
                    FLOOR.part(here)


def certificates(lab: Lab, count: int, yardstick: int, repeat: int) -> Iterator[Sample]:
    """One task that issues many and writes their Secrets, against community.crypto's three tasks that write files."""
    with stage(lab, count, bench_secrets=_secrets(count)) as ours, stage(lab, yardstick) as theirs:
        for _ in range(repeat):
            try:
                ours.playbook(_CERTIFICATES / "authority.yml")
                measured = _with_durations(ours, _CERTIFICATES / "issue.yml")
                yield from _timed(ISSUER, measured, {"Issue the certificates"}, count)
            finally:
                SITE.part(ours)
            measured = _with_durations(
                theirs, BASELINE.playbook, "--tags", "certificates", "--limit", f"localhost:{SERVER}"
            )
            per_link = {"Make the keys", "Request the certificates", "Sign the certificates"}
            yield from _timed(COMMUNITY, measured, per_link, yardstick)
            theirs.forget()


def _secrets(count: int) -> list[dict[str, Any]]:
    names = [f"bench-{number:03}" for number in range(count)]
    return [
        {
            "name": f"{name}-credential",
            "link": name,
            "labels": _labels(name),
            "role": "server",
            "common_name": name,
            "sans": [f"{name}.server.example.com"],
        }
        for name in names
    ]


def _labels(link: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "crossmesh",
        "crossmesh/instance": INSTANCE,
        "crossmesh/cluster": SERVER,
        "crossmesh/side": "server",
        "crossmesh/link": link,
    }


def _with_durations(here: Stage, playbook: Path, *options: str) -> Measured:
    return here.playbook(playbook, *options, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")


def _timed(who: str, measured: Measured, names: set[str], count: int) -> Iterator[Sample]:
    """The whole process, and its tasks alone."""
    yield Sample(who, PROCESS, count, measured.wall, measured.cpu, measured.load)
    tasks = [task["task"] for play in json.loads(measured.stdout)["plays"] for task in play["tasks"]]
    wall = sum(_seconds(task["duration"]) for task in tasks if task["name"] in names)
    yield Sample(who, TASKS, count, wall, None, measured.load)


def _seconds(duration: dict[str, str]) -> float:
    return (datetime.fromisoformat(duration["end"]) - datetime.fromisoformat(duration["start"])).total_seconds()
