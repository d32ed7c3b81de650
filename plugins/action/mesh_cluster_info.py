# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_cluster_info; documented in plugins/modules/mesh_cluster_info.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import nothing_given
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading, still_holding
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_warning
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.identity import unidentified
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import read_surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, ReadingRequest
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import status, strays
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, look_ahead
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan, Work
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import presence_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster, witnesses_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.unrecorded import held_in, unrecorded_in
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import (
    SIDES,
    STAGES,
    ClusterAction,
    Variables,
    watching,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import PlanJson, SideLook
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "sides": {"type": "list", "elements": "str", "choices": list(SIDES), "default": list(SIDES)},
        "stage": {"type": "str", "choices": list(STAGES), "default": "all"},
        "existing": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "trust": {"type": "bool", "default": False},
        "details": {"type": "bool", "default": False},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        states: dict[Side, str] = {side: variables.side_state(side) for side in SIDES if side in params["sides"]}
        views = {state: variables.resolution(state).wanted() for state in sorted(set(states.values()), reverse=True)}
        # What is wanted here names more than what is to be taken away, which is known by its labels.
        view, now = next(iter(views.values())), datetime.now(UTC)
        request = view["request"]
        store, entries = variables.store(), variables.revoked()
        authority = authority_of(store)
        # Beyond serials only where trust is on the move, or something is revoked, or where that is asked for.
        trust = bool(authority.lists) or authority.rotates or params["trust"]
        api = variables.api()
        recorded = partial(store.secrets_of, request["instance"], request["cluster"], now)
        policy = variables.policy(params["stage"], existing=params["existing"], force=params["force"])
        wanted = {side: views[state][side] for side, state in states.items()}
        # What works on the credentials alone goes on whatever others do.
        foresees = not policy.existing and any(side["links"] for side in wanted.values())
        parts = read_cluster(api, replace(watching(view), recorded=recorded, whole=foresees), trust=trust)
        found = parts.reading
        if fault := variables.misled(found["identity"]["cluster_uid"], request["cluster"]):
            raise CrossmeshError(fault)
        removal = variables.removal(foreseen=True)
        # After the cluster: what another run has issued meanwhile is on record.
        records = store.records(now)
        unknown = unrecorded_in(found["secrets"], wanted, records, authority, now) if authority.issuing else []
        unrecorded = [item.record for item in unknown if item.record]
        kept = {request["cluster"]: witnesses_of(found["secrets"])}
        reading: Reading = {
            **found,
            **ca_reading(store, authority, entries, now, removal, [*records, *unrecorded], kept),
        }
        surroundings = (
            read_surroundings(api, [pod for side in wanted for pod in reading["pods"][side]], parts.whole)
            if foresees
            else None
        )
        sides: dict[Side, SideLook] = {}
        for side, desired in wanted.items():
            case = Case(reading, desired, render(side, desired), authority, policy, now, surroundings)
            ahead = look_ahead(case, partial(try_out, api))
            sides[side] = _side(ahead.plan, reading, desired, authority)
            sides[side]["alarms"] += [str(item.alarm) for item in unknown if item.side == side]
        return {
            "changed": False,
            "warnings": [
                *(f"{variables.cluster}: {line}" for line in _warnings(reading, sides, policy)),
                *(f"{variables.cluster}: {item.alarm}" for item in unknown),
                *map(str, self._left_behind(variables, request, states)),
            ],
            "cluster": request["cluster"],
            "instance": request["instance"],
            "identity": reading["identity"],
            "presence": presence_of(
                reading,
                request,
                list(wanted.values()),
                recognised=variables.recognises(reading["identity"]["cluster_uid"]),
            ),
            "unrecorded": [record.to_json() for record in unrecorded],
            "details": _details(reading, wanted) if params["details"] else "",
            "rolled_back": [str(Message.from_json(error)) for error in reading["doubts"]["rolled_back"]],
            "held": held_in(reading, authority, request["cluster"]),
            "phase": authority.phase,
            "state": authority.state,
            "lists_due": reading["lists_due"],
            "lists_wrong": reading["lists_wrong"],
            "awaited": reading["awaited"],
            "clock_ahead": int(reading["clock_ahead"]),
            "ca": ca_in_cluster(reading, request["instance"], request["cluster"]),
            "options": {key: params[key] for key in ("stage", "existing", "force")},
            "sides": sides,
            "settled": all(side["settled"] for side in sides.values()),
        }

    def _left_behind(
        self, variables: Variables, request: ReadingRequest, states: Mapping[Side, str]
    ) -> Sequence[Message]:
        """What the certificates of sides that are taken away allow, whatever the inventory gives the cluster."""
        gone = [side for side, state in states.items() if state == "absent"]
        # What another cluster has left here is taken away here alone.
        if not gone or request["cluster"] != variables.cluster:
            return []
        store, now = variables.store(), datetime.now(UTC)
        given = nothing_given(request["instance"], request["cluster"], gone)
        return still_holding(store, given, variables.revoked(), now, None)


def _details(reading: Reading, sides: Mapping[Side, DesiredSide]) -> str:
    """In JSON, likewise: see C(_manifests)."""
    # For a report alone, and imported for nobody else.
    from ansible_collections.crossmesh.mtls.plugins.module_utils._report.details import details_of

    return json.dumps(details_of(reading, sides))


def _side(plan: Plan, reading: Reading, desired: DesiredSide, authority: Authority) -> SideLook:
    """The plan of one side, and what the tasks that carry it out must know of the side."""
    side = desired["owner"]["side"]
    return {
        **_json(plan),
        "status": [
            link.to_json() for link in status.of_side(reading, desired, authority, plan.standing.faults, plan.pending)
        ],
        "side": side,
        "settled": plan.proven and not plan.errors,
        "manager": desired["manager"],
        "namespace": desired["namespace"],
        "service": desired["service"],
        "selector": desired["selector"],
        "links": [link["name"] for link in desired["links"]],
        "secrets": len(desired["secrets"]),
    }


def _json(plan: Plan) -> PlanJson:
    work, standing = plan.work, plan.standing
    return {
        "errors": _texts(plan.errors),
        "barring": _texts(plan.barring),
        "warnings": _texts(standing.warnings),
        "notices": _texts(standing.notices),
        "alarms": _texts(standing.alarms),
        "report": standing.report,
        "renewals": work.renewals,
        "lines": work.lines,
        "changed": work.changed,
        "drifted": work.drifted,
        "credentials": work.credentials,
        "trust": standing.trust,
        "issuers": standing.issuers,
        "surplus": work.surplus,
        "manifests": "" if plan.errors else _manifests(work),
        "moved": work.moved,
        "expected": standing.expected,
        "endpoints": [{"address": item.address, "port": item.port, "fqdn": item.fqdn} for item in standing.endpoints],
        "await_address": work.await_address,
        "served": standing.served,
        "faults": _texts([fault.message() for fault in standing.faults]),
        "judged": standing.judged,
        "unbacked": standing.unbacked,
        "proven": plan.proven,
    }


def _texts(messages: Sequence[Message]) -> list[str]:
    return [str(message) for message in messages]


def _manifests(work: Work) -> str:
    """In JSON: Ansible would otherwise look into each of their values whenever it hands the plan on."""
    found = {"strip": work.strip, "force": work.force, "write": work.write, "delete": work.delete}
    return json.dumps(found) if any(found.values()) else ""


def _warnings(reading: Reading, sides: Mapping[Side, SideLook], policy: Policy) -> list[str]:
    """Shown whether or not there is something to do; a line that both sides have comes once."""
    # A rotation need not be told that it is under way.
    of_sides = [
        line for side in sides.values() for line in (*side["warnings"], *(() if policy.existing else side["notices"]))
    ]
    of_cluster = [clock_warning(reading["clock_ahead"])]
    of_cluster += [] if policy.existing else [unidentified(reading["identity"]), *strays.warnings(reading)]
    return list(dict.fromkeys([*(str(message) for message in of_cluster if message), *of_sides]))
