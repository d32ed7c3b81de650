# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a report is made of.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import History, Last, last_of_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import external_servers
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import certificate_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import ClusterDetails, stored_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Journal, Run
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.runs import Awaited, marks_folder, runs_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import (
    Settings,
    Sight,
    Sources,
    StoredCertificate,
    located,
    topology_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables, world_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import (
    ClusterLook,
    ProofJson,
    is_seen,
    last_standings,
    why_unseen,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._schedule import Job

__all__ = ["MOST_DEEDS", "Given", "sources_of"]

Json = Mapping[str, Any]
_PLAYBOOK = "report"
# Minutes after which the next report is late where no schedule says it: a day and two hours.
_ONCE_A_DAY = 26 * 60
# Entries of the audit journal on a link's page; the playbook history has all.
MOST_DEEDS = 4


@dataclass(frozen=True)
class Given:
    """What the tasks before have found, and what the report is to know beside it.

    :param looks: by host; C(proofs) in their order.
    :param jobs: runs of the schedule.
    :param metrics: whether the report is to tell of runs though none has left a mark yet.
    """

    looks: Mapping[str, Json]
    proofs: Sequence[Json]
    names: Mapping[str, str]
    jobs: Sequence[Job] = ()
    metrics: bool = False


class _Held(NamedTuple):
    """What the CA store tells.

    :param histories: the last entries of its journal about each link.
    """

    authority: Authority | None
    records: Sequence[Record]
    journal: Journal
    histories: Mapping[str, Last]


def sources_of(variables: Variables, given: Given, before: Json) -> Sources:
    """Read it, or take it from what the tasks before have found.

    :param before: the last report as JSON; empty where there is none.
    """
    world = world_of(variables)
    store, now, instance = variables.store(), datetime.now(UTC), str(variables.filled["mesh_instance"])
    held = _held(store, now)
    hosts = {host: str(given.names.get(host) or host) for host in given.looks}
    proofs = dict(zip(given.looks, given.proofs, strict=False))
    seen = {host: look for host, look in given.looks.items() if is_seen(look)}
    unseen = {hosts[host]: why_unseen(look) for host, look in given.looks.items() if not is_seen(look)}
    return Sources(
        now=now,
        settings=Settings(
            instance,
            store.where,
            author_of(variables.task_vars).operator,
            timedelta(days=variables.days("custom_ca_renew_before_days")),
            timedelta(days=variables.days("custom_ca_leaf_validity_days")),
            next((job.missed_after for job in given.jobs if job.playbook == _PLAYBOOK), _ONCE_A_DAY),
        ),
        topology=topology_of(world),
        sights={look["cluster"]: _sight(look, proofs.get(host) or {}) for host, look in seen.items()},
        unseen=unseen,
        external=_external(world),
        authority=held.authority,
        records=held.records,
        journal=held.journal,
        histories=held.histories,
        previous=before,
        runs=_runs(instance, given.jobs, now) if given.metrics or Path(marks_folder(instance)).is_dir() else (),
    )


def _runs(instance: str, jobs: Iterable[Job], now: datetime) -> Sequence[Run]:
    """What the schedule starts, beside this very playbook."""
    others = (Awaited(job.playbook, job.missed_after) for job in jobs if job.playbook != _PLAYBOOK)
    return tuple(runs_of(others, marks_folder(instance), now))


def _sight(look: ClusterLook, proof: Json) -> Sight:
    details: ClusterDetails = json.loads(look.get("details") or '{"certificates": {}, "offers": {}}')
    plans = look["sides"]
    told = [line for plan in plans.values() for part in ("errors", "faults", "alarms") for line in plan[part]]
    return Sight(
        uid=look["identity"]["cluster_uid"],
        links=last_standings(look, cast(ProofJson, proof)),
        stored=stored_in(details, look["cluster"]),
        offers={(side, link): found for side, links in details["offers"].items() for link, found in links.items()},
        gateways={side: f"{plan['namespace']}/{plan['service']}" for side, plan in plans.items()},
        problems=tuple(dict.fromkeys([*told, *(proof.get("faults") or ())])),
        proof=(*(proof.get("report") or ()), *(proof.get("not_asked") or ())),
        probed="links" in proof,
    )


def _external(world: World) -> dict[str, StoredCertificate]:
    found = {}
    for server in external_servers(world.sound_links):
        directory = server.directory.expanduser()
        if view := certificate_in(directory):
            place = located("directory", str(directory), names.external(server.link))
            found[server.link] = StoredCertificate(view, place)
    return found


def _held(store: CaStore, now: datetime) -> _Held:
    """What the store holds. One that cannot be read is told of by a report like everything else."""
    try:
        history = store.history()
        return _Held(store.public(), store.records(now), _journal(history), last_of_links(history, MOST_DEEDS))
    except CrossmeshError as error:
        return _Held(None, (), Journal(tuple(map(str, error.messages)), 0, 0, "", "", "", ""), {})


def _journal(history: History) -> Journal:
    problems = (str(history.problem),) if history.problem else ()
    if not history.entries:
        return Journal(problems, *history.checked, "", "", "", "")
    last = history.entries[-1]
    return Journal(problems, *history.checked, last.time, last.kind, last.operator, last.run)
