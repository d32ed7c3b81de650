# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cost of a run grows with links and with clusters."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.lab import Lab

from . import kubectl, watching
from .contenders import BASELINE, SITE, Contender, expect_traffic
from .kubectl import FLOOR, Manifests
from .process import BenchError, Measured
from .samples import ADDED, FIRST, REMOVED, UNCHANGED, Sample, sample
from .stage import CLIENT, CLIENTS, GATEWAY, SERVER, SERVERS, Member, Stage, stage
from .watching import Reading, settle

# The same contenders where every cluster of the inventory is a namespace.
SITE_SPREAD = "site, namespaces"
FLOOR_SPREAD = "kubectl, namespaces"

# Its time grows by eleven seconds a link.
_BASELINE_LINKS = 10
_PHASES = (FIRST, UNCHANGED, ADDED, REMOVED)


def links(lab: Lab, counts: Sequence[int], repeat: int) -> Iterator[Sample | Reading]:
    """The lab's two clusters with more and more links; who is measured takes turns."""
    for count in counts:
        # One more, which is added and removed.
        with stage(lab, count + 1) as here:
            for contender in (SITE, BASELINE):
                contender.part(here)
            for _ in range(repeat):
                written: list[Manifests] = []
                yield from _watched(here, count, written)
                with _parted(FLOOR, here):
                    yield from _kubectl(here, FLOOR.name, written)
            if count <= _BASELINE_LINKS:
                with _parted(BASELINE, here):
                    # It prunes nothing, so that none can be removed.
                    for measured in _cycle(BASELINE, here, BASELINE.name, _PHASES[:3]):
                        yield measured
                        expect_traffic(lab, [here.links[0], here.links[count - 1]])


def clusters(lab: Lab, counts: Sequence[int], links: int, repeat: int) -> Iterator[Sample | Reading]:
    """More and more clusters with as many links each, half of them servers and half clients."""
    for count in counts:
        with stage(lab, links + 1, members(count)) as here:
            for _ in range(repeat):
                written: list[Manifests] = []
                with _namespaces(here):
                    for measured in _cycle(SITE, here, SITE_SPREAD, _PHASES):
                        yield measured
                        if measured.phase in (FIRST, ADDED):
                            written.append(_whole(here, links + (measured.phase == ADDED)))
                with _namespaces(here):
                    yield from _kubectl(here, FLOOR_SPREAD, written)


def members(count: int) -> list[Member]:
    """Servers on the one API server, clients on the other."""
    sides = ((SERVERS, SERVER), (CLIENTS, CLIENT))
    return [
        Member(f"c{number:02}", *sides[(number - 1) % len(sides)], namespace=f"gw{number:02}")
        for number in range(1, count + 1)
    ]


def _watched(here: Stage, count: int, written: list[Manifests]) -> Iterator[Sample | Reading]:
    """The site playbook's cycle, and what it does to the meshes."""
    lab = here.lab
    with _parted(SITE, here):
        settle(lab)
        before = watching.istiods(lab)
        yield from watching.read(lab, watching.BEFORE, count, before)
        for measured in _cycle(SITE, here, SITE.name, _PHASES):
            if measured.phase in (FIRST, ADDED):
                newest = here.links[-1 if measured.phase == ADDED else count - 1]
                yield watching.carried(lab, newest, measured.phase, count)
                written.append(kubectl.manifests(here))
                settle(lab)
                yield from watching.read(lab, measured.phase, count, before)
            yield measured
            settle(lab)
            before = watching.istiods(lab)


def _cycle(contender: Contender, here: Stage, who: str, phases: Sequence[str]) -> Iterator[Sample]:
    """A first run, one without a change, one link added, one removed."""
    for phase in phases:
        here.describe(here.links if phase == ADDED else here.lasting)
        settle(here.lab)
        joined = contender.join(here)
        if bool(joined.changed) == (phase == UNCHANGED):
            said = joined.measured.stdout[-4000:]
            raise BenchError(f"{who}, {phase}: {joined.changed} tasks changed something:\n{said}")
        yield sample(who, phase, here.links_of_each, [joined.measured], tasks=joined.tasks, clusters=len(here.members))


def _kubectl(here: Stage, who: str, written: Sequence[Manifests]) -> Iterator[Sample]:
    """The same with what the site playbook has written."""
    few, more = written
    count = here.links_of_each
    for phase in _PHASES:
        settle(here.lab)
        runs: list[Measured] = kubectl.apply(here, more if phase == ADDED else few)
        if phase == REMOVED:
            runs += kubectl.delete(here, kubectl.beyond(more, few))
        yield sample(who, phase, count, runs, clusters=len(here.members))


@contextmanager
def _parted(contender: Contender, here: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        contender.part(here)


def _whole(here: Stage, count: int) -> Manifests:
    """What was written; nothing carries traffic there, so that the objects are counted."""
    written = kubectl.manifests(here)
    for member, items in written.items():
        expected = count * (2 if member.group == SERVERS else 5)
        if len(items) != expected:
            raise BenchError(f"{member.name}: {len(items)} objects instead of {expected}")
    return written


@contextmanager
def _namespaces(here: Stage) -> Iterator[None]:
    """Gateway namespaces with a Service each and no pod, for the length of the block."""
    _remove_namespaces(here)
    for context in (SERVER, CLIENT):
        items = [item for member in here.members if member.context == context for item in _gateway(member)]
        made = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        here.lab.kubectl(context, "apply", "-f", "-", stdin=made)
    try:
        yield
    finally:
        _remove_namespaces(here)
        here.forget()


def _remove_namespaces(here: Stage) -> None:
    for context in (SERVER, CLIENT):
        names = [member.namespace for member in here.members if member.context == context]
        here.lab.kubectl(context, "delete", "namespace", "--ignore-not-found", *names, timeout=600)


def _gateway(member: Member) -> Iterator[dict[str, Any]]:
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": member.namespace}}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": GATEWAY, "namespace": member.namespace},
        "spec": {"selector": member.selector, "ports": [{"name": "https", "port": 443, "targetPort": 8443}]},
    }
