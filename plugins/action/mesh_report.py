# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_report; documented in plugins/modules/mesh_report.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import text
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import external_servers
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import certificate_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import ClusterDetails, stored_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Journal, Report
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
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import ClusterLook, ProofJson, last_standings
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.files import previous_report, write_report
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.query import HAS_JMESPATH, answer
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contracts

Json = Mapping[str, Any]
DEFAULT_FOLDER = "crossmesh-report"
_NOT_LOOKED_AT = "not looked at in this run (--limit)"
# More links that are not up are told by the page.
MOST_LINES = 20


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "looks": {"type": "dict", "required": True},
        "proofs": {"type": "list", "elements": "dict", "default": []},
        "names": {"type": "dict", "default": {}},
        "dir": {"type": "path", "default": ""},
        "query": {"type": "str", "default": ""},
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
        written = list(map(str, write_report(folder, report))) if writes else []
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


def report_content(variables: Variables, looks: Json, proofs: Sequence[Json], names: Json) -> Json:
    """The report as JSON where nothing is written, and no last one is known."""
    params = {"looks": looks, "proofs": proofs, "names": names}
    return to_json(report_of(_sources(variables, params, {})))


def _sources(variables: Variables, params: dict[str, Any], before: Json) -> Sources:
    clusters = contracts(variables.task_vars, variables.templar, ("mesh_cluster_name", "mesh_cluster_state"))
    world = World(variables=clusters, groups=frozenset(), shared={"mesh_links": None, **variables.filled})
    store, now = variables.store(), datetime.now(UTC)
    authority, records, journal = _held(store, now)
    hosts = {host: str(params["names"].get(host) or host) for host in params["looks"]}
    proofs = dict(zip(params["looks"], params["proofs"], strict=False))
    seen = {host: cast(ClusterLook, look) for host, look in params["looks"].items() if "sides" in look}
    unseen = {hosts[host]: _why_unseen(look) for host, look in params["looks"].items() if "sides" not in look}
    return Sources(
        now=now,
        settings=Settings(
            str(variables.filled["mesh_instance"]),
            store.where,
            author_of(variables.task_vars).operator,
            timedelta(days=variables.days("custom_ca_renew_before_days")),
        ),
        topology=topology_of(world),
        sights={look["cluster"]: _sight(look, proofs.get(host) or {}) for host, look in seen.items()},
        unseen=unseen,
        external=_external(world),
        authority=authority,
        records=records,
        journal=journal,
        previous=before,
    )


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


def _held(store: CaStore, now: datetime) -> tuple[Authority | None, Sequence[Record], Journal]:
    """What the store holds. One that cannot be read is told of by a report like everything else."""
    try:
        return store.public(), store.records(now), _journal(store)
    except CrossmeshError as error:
        return None, (), Journal(tuple(map(str, error.messages)), 0, 0, "", "", "", "")


def _journal(store: CaStore) -> Journal:
    problems: tuple[str, ...] = ()
    checked, last = Checked(0, 0), {}
    try:
        checked, last = store.check_journal(), dict(store.last_entry())
    except CrossmeshError as error:
        problems = tuple(map(str, error.messages))
    times, kind, operator, run = (text(last.get(key)) for key in ("time", "kind", "operator", "run"))
    return Journal(problems, checked.signed, checked.unsigned, times, kind, operator, run)


def _lines(report: Report) -> list[str]:
    """For people: how many are up, what is not, and what is not known."""
    told = [f"{link.name}: {link.state} in {listed(link.where)}" for link in report.links if link.state != "up"]
    more = [f"and {len(told) - MOST_LINES} more"] if len(told) > MOST_LINES else []
    unseen = [f"not looked at: {item.cluster}: {item.why}" for item in report.coverage.unseen]
    return [f"{report.summary.up} of {report.summary.links} links are up", *told[:MOST_LINES], *more, *unseen]
