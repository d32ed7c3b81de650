# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_results; documented in plugins/modules/mesh_results.py."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, shown_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import row_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import topology_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.attempts import (
    NOT_MADE,
    Attempt,
    attempt_of,
    lines_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.clusters import (
    ClusterRun,
    Kind,
    Scope,
    cluster_suites,
    link_suites,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.junit import to_junit
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import Case, Results, Suite
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.run import (
    Heading,
    Lists,
    coverage,
    crls,
    made,
    of_rows,
    tasks,
    unfinished,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._typed_json import plain_json
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables, world_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import (
    ClusterLook,
    ProofJson,
    is_seen,
    last_standings,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._whole_files import SHARED, write_whole_file

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Playbook:
    """What a playbook is about.

    :param clusters: how it is with clusters; None where it is about the controller alone, or brings rows of a table.
    """

    clusters: Kind | None
    links: bool = False


PLAYBOOKS: Mapping[str, Playbook] = {
    "move_ca": Playbook(None),
    "preflight": Playbook(None),
    "reconcile_ca": Playbook("look"),
    "rotate_ca": Playbook("apply", links=True),
    "rotate_certificates": Playbook("apply", links=True),
    "site": Playbook("apply", links=True),
    "take_over_ca": Playbook(None),
    "teardown": Playbook("apply"),
    "verify": Playbook("verify", links=True),
}


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "dir": {"type": "path", "required": True},
        "playbook": {"type": "str", "choices": sorted(PLAYBOOKS), "required": True},
        "finished": {"type": "bool", "default": True},
        "tasks": {"type": "dict", "default": {}},
        "withheld": {"type": "dict", "default": {}},
        "rows": {"type": "list", "elements": "dict", "default": []},
        "looks": {"type": "dict", "default": {}},
        "names": {"type": "dict", "default": {}},
        "attempts": {"type": "dict", "default": {}},
        "stopped": {"type": "dict", "default": {}},
        "not_covered": {"type": "str", "default": ""},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        check, kind = bool(self._task.check_mode), PLAYBOOKS[params["playbook"]].clusters
        heading = Heading(
            params["playbook"],
            str(variables.filled["mesh_instance"]),
            timestamp(datetime.now(UTC)),
            author_of(variables.task_vars).run,
            check,
        )
        scope = Scope(kind or "look", check, frozenset(variables.filled["mesh_only_links"]))
        results = made(heading, _suites(variables, params, scope), finished=params["finished"])
        written = _write(Path(params["dir"]), results)
        return {"changed": False, "playbook": results.playbook, "passed": results.passed, "files": written}


def _suites(variables: Variables, params: dict[str, Any], scope: Scope) -> list[Suite]:
    if params["rows"]:
        return of_rows([row_of(row) for row in params["rows"]], params["playbook"])
    playbook = PLAYBOOKS[params["playbook"]]
    hosts = params["looks"] if playbook.clusters and params["finished"] else ()
    clusters = [_cluster_run(host, params) for host in hosts]
    ends = _ends(variables) if playbook.links and params["finished"] else {}
    of_run = Suite("run", params["playbook"], tuple(_of_run(params, clusters, ends, scope)))
    return [of_run, *cluster_suites(clusters, scope), *link_suites(ends, clusters, scope)]


def _of_run(
    params: dict[str, Any], clusters: Sequence[ClusterRun], links: Collection[str], scope: Scope
) -> Iterator[Case]:
    yield from tasks(params["tasks"], scope)
    if not params["finished"]:
        yield unfinished(params["playbook"])
        return
    if links and any(found.seen for found in clusters):
        yield crls(_lists(params["looks"].values()), params["withheld"], scope)
    if clusters:
        yield coverage(clusters, links, scope, params["not_covered"] if scope.strict else "")


def _ends(variables: Variables) -> dict[str, list[tuple[str, str]]]:
    """Cluster and side of both ends of each link of the inventory."""
    ends = topology_of(world_of(variables)).ends
    return {link: [(place.cluster, place.side) for place in places] for link, places in ends.items()}


def _lists(looks: Collection[Json]) -> Lists:
    due = {str(look.get("lists_due") or "") for look in looks} - {""}
    # As for verify: a cluster without Secrets needs no CRL.
    wrong = any(look.get("lists_wrong") and _drifted(look) for look in looks)
    return Lists(sorted(due), wrong)


def _drifted(look: Json) -> bool:
    return any(plan["drifted"] for plan in look.get("sides", {}).values())


def _cluster_run(host: str, params: dict[str, Any]) -> ClusterRun:
    look: Json = params["looks"][host]
    results: dict[str, Json] = {check: found.get(host) or {} for check, found in params["attempts"].items()}
    found = ClusterRun(
        name=str(params["names"].get(host) or host),
        look=_looked(look),
        attempts={check: attempt_of(result) for check, result in results.items()},
        stopped=tuple(lines_of(params["stopped"].get(host))),
    )
    return _with_sides(found, cast(ClusterLook, look), results.get("proof", {})) if found.seen else found


def _looked(look: Json) -> Attempt:
    """Whether a look has come to an end; what it then found to be wrong has checks of its own."""
    if not look:
        return NOT_MADE
    return Attempt("done") if is_seen(look) else attempt_of({**look, "failed": True})


def _with_sides(found: ClusterRun, look: ClusterLook, proof: Json) -> ClusterRun:
    def lines(part: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line for plan in look["sides"].values() for line in cast(Json, plan)[part]))

    return replace(
        found,
        attempts={check: _of_both_sides(check, made, proof) for check, made in found.attempts.items()},
        errors=lines("errors"),
        faults=(*lines("faults"), *(proof.get("faults") or ())),
        unserved=lines("report"),
        alarms=lines("alarms"),
        lines=lines("lines"),
        drifted=_drifted(cast(Json, look)),
        served=all(plan["served"] for plan in look["sides"].values()),
        settled=bool(cast(Json, look).get("settled")),
        stopped=(*found.stopped, *(cast(Json, look).get("rolled_back") or ())),
        links=last_standings(look, cast(ProofJson, proof)),
    )


def _of_both_sides(check: str, made: Attempt, proof: Json) -> Attempt:
    """What was written for either side: Ansible keeps what a task has returned for the last one."""
    return Attempt("done") if made == NOT_MADE and check in (proof.get("written") or ()) else made


def _write(folder: Path, results: Results) -> list[str]:
    """One file for programs of one's own, and one for those that show tests."""
    document = json.dumps(plain_json(results), indent=1) + "\n"
    contents = {f"{results.playbook}.json": document, f"{results.playbook}.junit.xml": to_junit(results)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole_file(folder / name, content.encode(), SHARED)
    except OSError as error:
        message = Message.error(
            "results-not-written",
            where=f"mesh_results_dir: {shown_path(str(folder))}",
            what=f"cannot write the results: {error.strerror}",
            fix="set mesh_results_dir to a folder that can be made and written to",
        )
        raise CrossmeshError(message) from None
    return [str(folder / name) for name in contents]
