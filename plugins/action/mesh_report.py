# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_report; documented in plugins/modules/mesh_report.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import History, Last, last_of_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import external_servers
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import certificate_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import ClusterDetails, stored_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Journal, Report, Run
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.runs import Awaited, marks_folder, runs_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.schema import to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import (
    Settings,
    Sight,
    Sources,
    StoredCertificate,
    located,
    topology_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables, lacks
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import LOOKS, ClusterLook, ProofJson, last_standings
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.files import (
    previous_report,
    write_metrics,
    write_report,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.query import HAS_JMESPATH, answer
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._schedule import JOBS, Job
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contracts

Json = Mapping[str, Any]
DEFAULT_FOLDER = "crossmesh-report"
_NOT_LOOKED_AT = "not looked at in this run (--limit)"
_PLAYBOOK = "report"
# Minutes after which the next report is late where no schedule says it: a day and two hours.
_ONCE_A_DAY = 26 * 60
# More links that are not up are told by the page.
MOST_LINES = 20
# Entries of the audit journal on a link's page; the playbook history has all.
MOST_DEEDS = 4


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        **LOOKS,
        "dir": {"type": "path", "default": ""},
        "query": {"type": "str", "default": ""},
        "metrics_dir": {"type": "path", "default": ""},
        "schedule": JOBS,
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        if params["query"] and not HAS_JMESPATH:
            raise lacks("jmespath")
        # A question alone leaves nothing behind.
        writes = bool(params["dir"] or not params["query"])
        folder = Path(params["dir"] or DEFAULT_FOLDER)
        before, unreadable = previous_report(folder)
        report = report_of(_sources(variables, params, before))
        content = to_json(report)
        answered = answer(params["query"], content) if params["query"] else None
        written = _written(report, folder, params["metrics_dir"]) if writes else []
        lines = json.dumps(answered, indent=2).splitlines() if params["query"] else _lines(report)
        # By itself, not as a result: a callback would quote and fold the lines.
        Display().display("\n".join(map(visible, [*lines, *(f"written: {path}" for path in written[:1])])))
        return {
            "changed": False,
            "summary": content["summary"],
            "answer": answered,
            "files": written,
            "warnings": [str(unreadable)] if unreadable else [],
        }


def _written(report: Report, folder: Path, metrics: str) -> list[str]:
    """Every file, the page first; the metrics last, since they say that a report was made."""
    paths = write_report(folder, report)
    return list(map(str, [*paths, *([write_metrics(Path(metrics), report)] if metrics else [])]))


def report_content(variables: Variables, looks: Json, proofs: Sequence[Json], names: Json) -> Json:
    """The report as JSON where nothing is written, and no last one is known."""
    params = {"looks": looks, "proofs": proofs, "names": names, "metrics_dir": "", "schedule": ()}
    return to_json(report_of(_sources(variables, params, {})))


class _Held(NamedTuple):
    """What the CA store tells.

    :param histories: the last entries of its journal about each link.
    """

    authority: Authority | None
    records: Sequence[Record]
    journal: Journal
    histories: Mapping[str, Last]


def _sources(variables: Variables, params: dict[str, Any], before: Json) -> Sources:
    clusters = contracts(variables.task_vars, variables.templar, ("mesh_cluster_name", "mesh_cluster_state"))
    world = World(variables=clusters, groups=frozenset(), shared={"mesh_links": None, **variables.filled})
    store, now, instance = variables.store(), datetime.now(UTC), str(variables.filled["mesh_instance"])
    held = _held(store, now)
    hosts = {host: str(params["names"].get(host) or host) for host in params["looks"]}
    jobs = [Job(**job) for job in params["schedule"]]
    proofs = dict(zip(params["looks"], params["proofs"], strict=False))
    seen = {host: cast(ClusterLook, look) for host, look in params["looks"].items() if "sides" in look}
    unseen = {hosts[host]: _why_unseen(look) for host, look in params["looks"].items() if "sides" not in look}
    return Sources(
        now=now,
        settings=Settings(
            instance,
            store.where,
            author_of(variables.task_vars).operator,
            timedelta(days=variables.days("custom_ca_renew_before_days")),
            next((job.missed_after for job in jobs if job.playbook == _PLAYBOOK), _ONCE_A_DAY),
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
        runs=_runs(instance, jobs, now) if params["metrics_dir"] or Path(marks_folder(instance)).is_dir() else (),
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


def _why_unseen(look: Json) -> str:
    """The first thing that a look has told of, or that there was none."""
    errors = [Message.from_json(error).seen for error in look.get("errors") or ()]
    return (errors or [str(look.get("msg") or _NOT_LOOKED_AT)])[0]


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


def _lines(report: Report) -> list[str]:
    """For people: how many are up, what is not, what is not known, and which scheduled runs failed or did not come."""
    told = [f"{link.name}: {link.state} in {listed(link.where)}" for link in report.links if link.state != "up"]
    more = [f"and {len(told) - MOST_LINES} more"] if len(told) > MOST_LINES else []
    unseen = [f"not looked at: {item.cluster}: {item.why}" for item in report.coverage.unseen]
    runs = [f"scheduled run of {run.playbook}: {run.state}" for run in report.runs if run.state != "good"]
    return [f"{report.summary.up} of {report.summary.links} links are up", *told[:MOST_LINES], *more, *unseen, *runs]
