"""What is measured, one generator a part; each yields what it measured as soon as it has it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.lab import Lab
from tests.lab.settings import CHECKOUT

from .contenders import BASELINE, SITE, Contender, Joined, expect_traffic, objects
from .process import BenchError, Measured, measure
from .stage import CLIENT, INSTANCE, SERVER, Stage, stage

FIRST = "first run"
UNCHANGED = "no change"
PROCESS = "whole process"
TASKS = "tasks alone"
RENEWED = "all renewed"

ISSUER = "mesh_credentials"
COMMUNITY = "community.crypto"
FLOOR = "kubectl apply"
ROTATION = "rotate_certificates"

_CERTIFICATES = Path(__file__).with_name("certificates")
_ROTATE = SITE.playbook.with_name("rotate_certificates.yml")
_FLOOR = Contender(FLOOR, Path(), SITE.selector, "bench-floor")


@dataclass(frozen=True)
class Sample:
    """One measurement.

    :param links: how many links, or certificates where those are counted.
    """

    who: str
    phase: str
    links: int
    wall: float
    cpu: float | None
    load: float
    tasks: dict[str, int]


def joining(lab: Lab, contenders: list[Contender], counts: list[int], repeat: int) -> Iterator[Sample]:
    """The contenders by turns, so that a busy minute of the machine does not hit one of them only."""
    for count in counts:
        with stage(lab, count) as here:
            for _ in range(repeat):
                for contender in contenders:
                    yield from _join(contender, here, unchanged=1)


def fleet(lab: Lab, count: int, repeat: int) -> Iterator[Sample]:
    """Many links against one, with no change."""
    for links in (1, count):
        with stage(lab, links) as here:
            yield from _join(SITE, here, unchanged=repeat)


def rotation(lab: Lab, count: int, repeat: int) -> Iterator[Sample]:
    """All leaves of many links renewed, gates included, by turns with a run of site that changes nothing."""
    with stage(lab, count) as here:
        try:
            SITE.join(here)
            for _ in range(repeat):
                renewed = Joined.of(here.playbook(_ROTATE, "-e", "mesh_rotate_force=true"))
                yield _sample(ROTATION, RENEWED, count, renewed)
                yield _sample(SITE.name, UNCHANGED, count, SITE.join(here))
        finally:
            SITE.part(here)


def _join(contender: Contender, here: Stage, unchanged: int) -> Iterator[Sample]:
    count = len(here.links)
    try:
        yield _sample(contender.name, FIRST, count, contender.join(here))
        expect_traffic(here.lab, [here.links[0], here.links[-1]])
        for _ in range(unchanged):
            joined = contender.join(here)
            if joined.changed:
                raise BenchError(
                    f"{contender.name}: the second run changed something:\n{joined.measured.stdout[-4000:]}"
                )
            yield _sample(contender.name, UNCHANGED, count, joined)
    finally:
        contender.part(here)


def _sample(who: str, phase: str, count: int, joined: Joined) -> Sample:
    measured = joined.measured
    return Sample(who, phase, count, measured.wall, measured.cpu, measured.load, joined.tasks)


def floor(lab: Lab, counts: list[int], repeat: int) -> Iterator[Sample]:
    """kubectl applying what the site playbook has written, but Secrets: it can hardly be done faster."""
    for count in counts:
        with stage(lab, count) as here:
            try:
                SITE.join(here)
                manifests = {cluster: _manifests(lab, cluster) for cluster in (SERVER, CLIENT)}
            finally:
                SITE.part(here)
            for _ in range(repeat):
                try:
                    yield _apply(here, FIRST, manifests)
                    yield _apply(here, UNCHANGED, manifests)
                finally:
                    _FLOOR.part(here)


def _manifests(lab: Lab, cluster: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects(lab, cluster, SITE.selector)})


def _apply(here: Stage, phase: str, manifests: dict[str, str]) -> Sample:
    runs = [
        measure(
            ["kubectl", "--context", cluster, "apply", "--server-side", f"--field-manager={_FLOOR.manager}", "-f", "-"],
            environment=here.lab.environment,
            cwd=CHECKOUT,
            stdin=manifest,
        )
        for cluster, manifest in manifests.items()
    ]
    wall, cpu = sum(run.wall for run in runs), sum(run.cpu for run in runs)
    return Sample(_FLOOR.name, phase, len(here.links), wall, cpu, runs[0].load, {})


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
    yield Sample(who, PROCESS, count, measured.wall, measured.cpu, measured.load, {})
    tasks = [task["task"] for play in json.loads(measured.stdout)["plays"] for task in play["tasks"]]
    wall = sum(_seconds(task["duration"]) for task in tasks if task["name"] in names)
    yield Sample(who, TASKS, count, wall, None, measured.load, {})


def _seconds(duration: dict[str, str]) -> float:
    return (datetime.fromisoformat(duration["end"]) - datetime.fromisoformat(duration["start"])).total_seconds()
