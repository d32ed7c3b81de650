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
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible_runner

DOCUMENTATION = r"""
---
short_description: Say what is wrong with the links, and what is due
description:
  - Runs playbook C(crossmesh.mtls.verify), which changes nothing, again and again, and makes an event of each thing
    that it finds.
  - An event has the key C(crossmesh) with C(kind), C(cluster) (the host, or C(external:LINK) for an external server),
    C(side), C(code) and C(message). A condition stays true until somebody acts on it, so that each run tells of it
    again; throttle rules.
  - C(due), a certificate or a CRL that the next C(rotate_certificates) renews. C(alarm), one that should have been
    renewed long ago, or a root that ends; C(code) says which. C(drift), a cluster that is not as the inventory says.
    C(fault), a link that does not carry, or a gateway that does not serve what it should. C(error), what keeps the run
    from looking at all of it.
  - A Secret that is missing, or is not as the inventory says, is C(due) and C(drift). C(rotate_certificates) renews one
    that is there, C(site) makes one that is missing.
  - C(code) is that of the message, which C(docs/messages.md) explains. Two are of the source itself. C(verify-failed),
    the run did not come to its end, or failed without saying why; run the playbook by hand. C(no-inventory), the
    source has no O(inventory); the rulebook ends with it.
options:
  inventory:
    description: Path of the inventory.
    type: str
    required: true
  extra_vars:
    description: Extra variables of the run, such as C(custom_ca_dir), where a rule's action is given the same.
    type: dict
    default: {}
  interval:
    description: Seconds from the end of one run to the beginning of the next.
    type: int
    default: 3600
  timeout:
    description: Seconds that one run may take.
    type: int
    default: 3600
  arguments:
    description: >-
      Further arguments of ansible-playbook, such as C(--limit prod,localhost). Without C(localhost), which no group
      has, a limit leaves out the plays on the controller.
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
EXTERNAL = "crossmesh.mtls.custom_ca_external"
CONTROLLER = "localhost"
_OK, _FAILED = "runner_on_ok", ("runner_on_failed", "runner_on_unreachable")
_CODE = re.compile(r"\[([a-z0-9-]+)\]$")

Event = dict[str, Any]


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put events into the queue, for as long as the rulebook runs.

    :raises ValueError: where the rulebook gives no inventory.
    """
    if not args.get("inventory"):
        fix = "set it to the path of the inventory, under the source in the rulebook"
        raise ValueError(f"source crossmesh.mtls.verify: inventory is missing. Fix: {fix}. [no-inventory]")
    interval = float(args.get("interval", 3600))
    while True:
        for event in await _look(args):
            await queue.put({"crossmesh": event})
        await asyncio.sleep(interval)


async def _look(args: dict[str, Any]) -> list[Event]:
    """A thread cannot be cancelled, and the process does not end before it: the run in it is told to stop."""
    stop = threading.Event()
    run = asyncio.get_running_loop().run_in_executor(None, findings, args, stop)
    try:
        return await asyncio.shield(run)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(run, return_exceptions=True)
        raise


def findings(args: dict[str, Any], stop: threading.Event) -> list[Event]:
    """What one run of the playbook finds.

    :param stop: ends the run once it is set.
    """
    # Inventory and arguments of the run are kept there, and results of its tasks. What a child still writes there while
    # it is deleted is no reason to end.
    with tempfile.TemporaryDirectory(prefix="crossmesh-verify-", ignore_cleanup_errors=True) as folder:
        run = ansible_runner.run(
            private_data_dir=folder,
            playbook=PLAYBOOK,
            inventory=str(Path(args["inventory"]).absolute()),
            extravars=args.get("extra_vars") or {},
            cmdline=args.get("arguments") or None,
            timeout=int(args.get("timeout", 3600)),
            cancel_callback=stop.is_set,
            quiet=True,
        )
        job_events = list(run.events)
        found = list(events_of(job_events))
        if _ended(run.status, job_events) and (found or run.rc == 0):
            return found
        return [*found, _unseen(run.status, run.rc)]


def _ended(status: str, job_events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all plays were run: one that is killed has failed as well, and has no statistics."""
    return status in ("successful", "failed") and any(item.get("event") == "playbook_on_stats" for item in job_events)


def events_of(job_events: Iterable[dict[str, Any]]) -> Iterator[Event]:
    """What the results of the playbook's tasks tell; a later task that fails for the same tells it no second time.

    :param job_events: as ansible-runner keeps them.
    """
    told = set[tuple[str, str]]()
    for job_event in job_events:
        data = job_event.get("event_data") or {}
        host = data.get("host", "")
        for event in _of_result(data.get("task_action", ""), host, data.get("res") or {}):
            told.add((host, event["message"]))
            yield event
        for text in _failures(job_event.get("event", ""), data):
            if (host, text) not in told:
                told.add((host, text))
                yield _event("error", host, "", text)


def _of_result(action: str, host: str, result: dict[str, Any]) -> Iterator[Event]:
    if action == LOOK:
        if reason := result.get("lists_due"):
            yield _event("due", host, "", f"the CRLs are due for renewal: {reason}", "crl-due")
        for side, plan in (result.get("sides") or {}).items():
            yield from _of_side(host, side, plan)
    elif action == CALL:
        yield from (_event("fault", host, "client", text) for text in result.get("faults") or ())
    elif action == EXTERNAL:
        for server in result.get("servers") or ():
            if server["action"] != "keep":
                yield _event("due", f"external:{server['link']}", "server", server["message"])
        yield from (_event("alarm", host, "server", text) for text in result.get("alarms") or ())


def _of_side(cluster: str, side: str, plan: dict[str, Any]) -> Iterator[Event]:
    """RV(crossmesh.mtls.mesh_cluster_info#module:sides)."""
    texts = {
        "error": plan["errors"],
        "alarm": plan["alarms"],
        "due": plan["renewals"],
        # With what is due: a Secret that is missing is both.
        "drift": plan["lines"] if plan["drifted"] else [],
        "fault": plan["faults"],
    }
    for kind, found in texts.items():
        yield from (_event(kind, cluster, side, text) for text in found)
    if not plan["served"]:
        yield _event("fault", cluster, side, "a gateway pod does not serve what its Secrets hold", "not-served")


def _failures(kind: str, data: dict[str, Any]) -> list[str]:
    """Why a task failed; the playbook keeps going after those that look, whose failure is in their result alone."""
    result, host = data.get("res") or {}, data.get("host", "")
    unseen = bool(result.get("errors")) or (data.get("task_action") == LOOK and "sides" not in result)
    if not (kind in _FAILED or (kind == _OK and unseen)):
        return []
    text = result.get("msg") or f"task {data.get('task', '')} failed without a message"
    if not isinstance(text, list):
        # Then it is a line for each of them.
        return str(text).splitlines() if result.get("errors") else [str(text)]
    # Of a cluster it is all that its look and its call have told.
    lines = [line for item in text for line in str(item).splitlines()] if host == CONTROLLER else []
    return [line.removeprefix("ALARM: ") for line in lines]


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
    """A run that does not tell all is no good news."""
    message = f"playbook verify ended as {status} ({code}), and what it told may not be all. Fix: run it by hand."
    return _event("error", CONTROLLER, "", f"{message} [verify-failed]")
