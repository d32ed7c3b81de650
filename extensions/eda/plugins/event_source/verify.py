# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbook verify finds, as events: a certificate that is due, drift, a call that gets no answer.

The playbook looks and judges; here its results become events, in the words of its modules' documentation. It is run
anew after each interval, by ansible-runner, in a folder of its own that is deleted after it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ansible_runner

DOCUMENTATION = r"""
---
short_description: Say what is wrong with the links, and what is due
description:
  - Runs playbook C(crossmesh.mtls.verify), which changes nothing, again and again, and makes an event of each thing
    that it finds.
  - An event has the key C(crossmesh) with C(kind), C(cluster) (the host), C(side), C(code) and C(message). A condition
    stays true until somebody acts on it, so that each run tells of it again; throttle rules.
  - C(due), a certificate that the next C(rotate_certificates) renews. C(alarm), one that should have been renewed long
    ago, a root or a CRL that ends; C(code) says which. C(drift), a cluster that is not as the inventory says. C(fault),
    a link that does not carry, or a gateway that does not serve what it should. C(error), what keeps the run from
    looking at all of it.
options:
  inventory:
    description: Path of the inventory.
    type: str
    required: true
  interval:
    description: Seconds from the end of one run to the beginning of the next.
    type: int
    default: 3600
  timeout:
    description: Seconds that one run may take.
    type: int
    default: 3600
  arguments:
    description: Further arguments of ansible-playbook, such as C(--limit prod).
    type: str
    default: ""
"""

EXAMPLES = r"""
- crossmesh.mtls.verify:
    inventory: /srv/meshes
    interval: 3600
"""

PLAYBOOK = "crossmesh.mtls.verify"
LOOK, CALL = "crossmesh.mtls.mesh_cluster_info", "crossmesh.mtls.mesh_probe"
_CODE = re.compile(r"\[([a-z0-9-]+)\]$")

Event = dict[str, Any]


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put events into the queue, for as long as the rulebook runs."""
    interval = float(args.get("interval", 3600))
    while True:
        for event in await asyncio.to_thread(findings, args):
            await queue.put({"crossmesh": event})
        await asyncio.sleep(interval)


def findings(args: dict[str, Any]) -> list[Event]:
    """What one run of the playbook finds."""
    # Inventory and arguments of the run are kept there, and results of its tasks.
    folder = tempfile.mkdtemp(prefix="crossmesh-verify-")
    try:
        run = ansible_runner.run(
            private_data_dir=folder,
            playbook=PLAYBOOK,
            inventory=str(Path(args["inventory"]).absolute()),
            cmdline=args.get("arguments") or None,
            timeout=int(args.get("timeout", 3600)),
            quiet=True,
        )
        found = list(events_of(run.events))
        return found or ([] if run.rc == 0 else [_unseen(run.status, run.rc)])
    finally:
        shutil.rmtree(folder)


def events_of(job_events: Iterable[dict[str, Any]]) -> Iterator[Event]:
    """What the results of the playbook's tasks tell.

    :param job_events: as ansible-runner keeps them.
    """
    for job_event in job_events:
        data = job_event.get("event_data") or {}
        result, cluster, action = data.get("res") or {}, data.get("host", ""), data.get("task_action")
        if action == LOOK:
            for error in result.get("errors") or ():
                yield _event("error", cluster, "", f"{error['where']}: {error['what']}", error["code"])
            for side, plan in (result.get("sides") or {}).items():
                yield from _of_side(cluster, side, plan)
        elif action == CALL:
            yield from (_event("fault", cluster, "client", text) for text in result.get("faults") or ())
        elif job_event.get("event") == "runner_on_failed" and cluster == "localhost":
            yield _event("error", cluster, "", str(result.get("msg", "")))


def _of_side(cluster: str, side: str, plan: dict[str, Any]) -> Iterator[Event]:
    """RV(crossmesh.mtls.mesh_cluster_info#module:sides)."""
    renewals = plan["renewals"]
    texts = {
        "error": plan["errors"],
        "alarm": plan["alarms"],
        "due": [] if plan["drifted"] else renewals,
        "drift": [line for line in plan["lines"] if line not in renewals] if plan["drifted"] else [],
        "fault": plan["faults"],
    }
    for kind, found in texts.items():
        yield from (_event(kind, cluster, side, text) for text in found)
    if not plan["served"]:
        yield _event("fault", cluster, side, "a gateway pod does not serve what its Secrets hold", "not-served")


def _event(kind: str, cluster: str, side: str, message: str, code: str = "") -> Event:
    ends = _CODE.search(message)
    return {
        "kind": kind,
        "cluster": cluster,
        "side": side,
        "code": code or (ends[1] if ends else ""),
        "message": message,
    }


def _unseen(status: str, code: int) -> Event:
    """A run that told nothing is no good news."""
    message = f"playbook verify ended as {status} ({code}) and looked at no cluster; run it by hand"
    return _event("error", "localhost", "", message, "verify-failed")
