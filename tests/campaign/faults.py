# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails while a rotation is under way: API servers, agents, the network, the clock, the disk, a second rotation.

Each case ends with a run that finishes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from tests.integration.support.cluster_faults import EGRESS, frozen_agent, stopped_api_server
from tests.integration.support.lab_mesh import Mesh, Run
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.stepped_runs import stepped_run
from tests.lab.wait import eventually

from .case import Case
from .conditions import clock_off, cut_network, full_disk, small_disk
from .rotations import LEAVES, ROOT, ROTATIONS, Rotation, last_words, settle

CAMPAIGN = "faults"
START = "Validate the whole topology"
SOON = ("-e", '{"mesh_gate_timeout": 10}')
# Seconds, Istio's default. An attempt that Envoy has begun in the dark fails then, with all that wait for a connection.
CONNECT_TIMEOUT = 10.0
# Where the CA store is written to.
WRITES = {
    "prepare": "Prepare the next root",
    "switch": "Switch, let the new root issue",
    "leaves": "Switch, serve certificates of the new root",
    "retire": "Retire the old root",
    "finish": "Drop the root that leaves, destroy its key",
}

Fault = Callable[[Mesh], AbstractContextManager[None]]


def faults() -> Iterator[Case]:
    for rotation in ROTATIONS:
        for phase, play in rotation.phases.items():
            for cluster in ("cluster-a", "cluster-b"):
                name = f"{rotation.name}, {phase}: API server of {cluster} stopped"
                yield Case(CAMPAIGN, name, partial(_api_server, rotation, play, cluster))
        for phase, play in {"before": START, **rotation.phases}.items():
            name = f"{rotation.name}, {phase}: egress gateway's agent frozen"
            yield Case(CAMPAIGN, name, partial(_agent, rotation, play))
        for phase, play in rotation.phases.items():
            name = f"{rotation.name}, {phase}: network cut"
            yield Case(CAMPAIGN, name, partial(_network, rotation, play), loses=True)
        for offset in ("+1h", "-1h"):
            yield Case(CAMPAIGN, f"{rotation.name}: clock {offset}", partial(_clock, rotation, offset))
    for phase, play in WRITES.items():
        yield Case(CAMPAIGN, f"root rotation, {phase}: disk full", partial(_disk, ROOT, play, phase == "finish"))
    yield Case(CAMPAIGN, "leaf rotation, servers: disk full", partial(_disk, LEAVES, LEAVES.phases["servers"], False))
    for first, second in ((ROOT, ROOT), (ROOT, LEAVES), (LEAVES, LEAVES)):
        yield Case(CAMPAIGN, f"{first.name} and {second.name} at once", partial(_two, first, second))


def _api_server(rotation: Rotation, play: str, cluster: str, mesh: Mesh) -> str:
    run = _under(rotation, play, mesh, partial(stopped_api_server, cluster=cluster))
    said = run.reports("api-unreachable", cluster)
    assert run.ok or said, f"it does not say why: {last_words(run)}"
    rotation.go_on(mesh)
    return "finished: nothing was left to do there" if run.ok else "refused, and says which"


def _agent(rotation: Rotation, play: str, mesh: Mesh) -> str:
    run = _under(rotation, play, mesh, partial(frozen_agent, gateway=EGRESS), SOON)
    assert run.code != 0, "the gate let a pod pass that is behind"
    assert run.says(EGRESS[1]), f"it does not name the pod: {last_words(run)}"
    rotation.go_on(mesh)
    return f"refused, and names {EGRESS[1]}"


def _network(rotation: Rotation, play: str, mesh: Mesh) -> str:
    run = _under(rotation, play, mesh, lambda mesh: cut_network(mesh.lab), SOON)
    healed = time.monotonic()
    eventually(mesh.carries)
    with live_traffic(mesh.lab, 20) as traffic:
        rotation.go_on(mesh)
    lost = traffic.lost_from(healed + CONNECT_TIMEOUT)
    assert not lost, f"{len(lost)} connections were lost after it had healed: {lost[0]}"
    note = "finished while it was cut" if run.ok else f"refused: {last_words(run)}"
    return f"{note}; {len(traffic.lost)} of {len(traffic.attempts)} lost by what was begun before it healed"


def _clock(rotation: Rotation, offset: str, mesh: Mesh) -> str:
    run = mesh.play(rotation.playbook, *rotation.options, environment=clock_off(offset), in_order=True)
    direction = "ahead of" if offset.startswith("+") else "behind"
    said = " ".join(run.output.split())
    warning = re.search(rf"the clock of this controller is (59|60) min {direction} the API server", said)
    assert warning, f"nobody was warned: {last_words(run)}"
    assert warning.start() < said.index("changed: ["), "the warning came after something was changed"
    assert run.ok, f"the run has failed: {last_words(run)}"
    rotation.go_on(mesh)
    return "warned, and finished"


def _disk(rotation: Rotation, play: str, makes_room: bool, mesh: Mesh) -> str:
    """A step that removes a key first has room for what it then writes."""
    with small_disk(mesh):
        run = _under(rotation, play, mesh, full_disk)
        if makes_room and run.ok:
            rotation.go_on(mesh)
            return "finished: the key that goes makes room"
        assert run.code != 0, "the run has succeeded on a full disk"
        assert run.says("No space left on device"), f"it does not say why: {last_words(run)}"
        rotation.go_on(mesh)
    return "refused, and says why"


def _two(first: Rotation, second: Rotation, mesh: Mesh) -> str:
    """By turns, a task each: whatever can come between two tasks does."""
    before = _roots(mesh)
    # Its own inventory file, or one of them might read it while the other writes it.
    (mesh.folder / "second").mkdir(exist_ok=True)
    twin = mesh.with_changes(
        folder=mesh.folder / "second", variables={**mesh.variables, "custom_ca_dir": str(mesh.store)}
    )
    with (
        stepped_run(mesh, first.playbook, *first.options) as one,
        stepped_run(twin, second.playbook, *second.options) as other,
    ):
        going = [one, other]
        while going:
            going = [steps for steps in going if steps.step()]
        runs = [one.result(), other.result()]
    settle(mesh)
    made = len(_roots(mesh) - before)
    assert made == int(ROOT in (first, second)), f"{made} roots were made"
    return ", ".join("finished" if run.ok else f"refused: {last_words(run)}" for run in runs)


def _under(rotation: Rotation, play: str, mesh: Mesh, fault: Fault, options: tuple[str, ...] = ()) -> Run:
    """A run that meets a fault when it gets to a play, and has it to its end."""
    with stepped_run(mesh, rotation.playbook, *rotation.options, *options) as steps:
        steps.reach(play)
        with fault(mesh):
            return steps.finish()


def _roots(mesh: Mesh) -> set[str]:
    """All that the CA store has ever had, by fingerprint."""
    return {path.stem for path in (mesh.store / "roots").glob("*.crt")}
