# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_probe; documented in plugins/modules/mesh_probe.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import PLACES, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_connections
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    ClientLink,
    DesiredSide,
    ServerLink,
    is_client,
    is_server,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import NOT_ASKED, LinkSideJson, first_fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.handshakes import (
    Handshakes,
    Server,
    shake_hands,
    stranger,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.passage import Counted, located, strayed
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import TIMEOUT, WAIT
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.workload import Asked, ask_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import watch_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import (
    SIDES,
    ClusterAction,
    Variables,
    gateway_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import ClusterLook, SideLook, is_seen

Json = dict[str, Any]
UNREACHABLE = "api-unreachable"
_LET_IN = ("anybody-let-in", "stranger-let-in")
# The one that ends in the gateway of a side.
HOPS: Mapping[Side, int] = {"client": 1, "server": 2}


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {"look": {"type": "dict", "required": True}}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        if not is_seen(params["look"]):
            return _not_looked_at(params["look"])
        try:
            return self._probe(variables, params)
        except CrossmeshError as error:
            # It may have gone away since it was looked at.
            return _not_looked_at(failure(error))

    def _probe(self, variables: Variables, params: dict[str, Any]) -> Json:
        look: ClusterLook = params["look"]
        links: dict[Side, list[LinkSideJson]] = {}
        result: Json = {"changed": False, "links": links, "faults": [], "warnings": [], "not_asked": [], "report": []}
        for side in (side for side in SIDES if side in look["sides"]):
            plan = look["sides"][side]
            desired = variables.resolution(variables.side_state(side)).wanted()[side]
            shaken = _shaken(variables, desired, plan)
            probed = [link for link in _dialled(desired, plan) if link["probe"]]
            # Else nobody has to log in.
            waits = TIMEOUT * -(-len(probed) // PARALLEL)
            asked = _asked(variables.api(waits), probed, plan) if probed else []
            faults = [*shaken.faults, *_gone(side, plan), *(item.fault for item in asked if item.fault)]
            links[side] = [_standing(link, faults, asked) for link in plan["status"]]
            result["faults"] += _told(plan["status"], faults)
            result["warnings"] += [str(item.unasked) for item in asked if item.unasked]
            result["not_asked"] += [str(message) for message in shaken.unasked]
            result["report"] += _report(side, shaken, asked)
        return result


def _not_looked_at(look: Json) -> Json:
    """What the look before could not see, told now, as how it ends the play for this cluster."""
    errors = look.get("errors") or []
    told = {"msg": look.get("msg", "the cluster was not looked at"), "errors": errors}
    is_away = any(error["code"] == UNREACHABLE for error in errors)
    return {"changed": False, "unreachable": True, **told} if is_away else {"failed": True, **told}


def _written(plan: SideLook) -> frozenset[str]:
    """The links that a call can be made over: the run works on them, and they have a certificate."""
    return frozenset(link["link"] for link in plan["status"] if link["until"]) & frozenset(plan["judged"])


def _dialled(desired: DesiredSide, plan: SideLook) -> list[ClientLink]:
    return [link for link in desired["links"] if link["name"] in _written(plan)] if is_client(desired) else []


def _asked(api: Api, links: Sequence[ClientLink], plan: SideLook) -> list[Asked]:
    """What became of the probes, which way an answer came, and how far a call without one."""
    egress, watch = gateway_of(plan), watch_of(links)
    before, found = read_connections(api, egress, watch), []
    # Where the look has told of something in the gateway, it is that.
    sound = {link["link"] for link in plan["status"] if not link["broken"]}
    # Counters around no more than are asked at once, so that little else falls between.
    for start in range(0, len(links), PARALLEL):
        some = links[start : start + PARALLEL]
        asked = ask_links(api, some)
        after = read_connections(api, egress, watch)
        by_name = {link["name"]: link for link in some if link["name"] in sound}
        found += [
            _on_its_way(item, by_name[item.link], before, after) if item.link in by_name and item.seen else item
            for item in asked
        ]
        before = after
    return found


def _on_its_way(asked: Asked, link: ClientLink, before: Counted, after: Counted) -> Asked:
    if asked.fault:
        return replace(asked, fault=located(asked.fault, link, before, after))
    fault = strayed(link, asked.seen, before, after, silent=asked.silent)
    return replace(asked, fault=fault, silent=False) if fault else asked


def _gone(side: Side, plan: SideLook) -> list[Fault]:
    """Of links whose gateway has no ready pod, to which a Service would lead."""
    title, hop = f"gateway {plan['namespace']}/{plan['service']}", HOPS[side]
    fix = "start the gateway: see its Deployment, why its pods are not ready, and the selector in the inventory"
    return [
        Fault("no-ready-pod", link["link"], hop, "", "a ready pod of the gateway", "none", fix, seen=title)
        for link in plan["status"]
        if link["link"] in _written(plan) and not link["ready"]
    ]


def _shaken(variables: Variables, desired: DesiredSide, plan: SideLook) -> Handshakes:
    """Handshakes with our own ingress gateways where they are served, with external servers where they are dialled."""
    roots = "".join(root.pem for root in authority_of(variables.store()).trusted)
    written = _written(plan)
    if not is_server(desired):
        return shake_hands(_external_servers(_dialled(desired, plan), desired, roots), "")
    links = [link for link in desired["links"] if link["name"] in written]
    servers = _own_servers(links, plan, roots) if roots else []
    identities = [link["client_identities"][0] for link in links]
    return shake_hands(servers, stranger(identities, datetime.now(UTC)) if servers else "")


def _own_servers(links: Sequence[ServerLink], plan: SideLook, roots: str) -> list[Server]:
    names = {(link["fqdn"], link["tls_port"]): link["name"] for link in links}
    return [
        Server(names[place], Endpoint(item["address"], item["port"], item["fqdn"]), roots)
        for item in plan["endpoints"]
        if (place := (item["fqdn"], item["port"])) in names
    ]


def _external_servers(links: Sequence[ClientLink], desired: DesiredSide, roots: str) -> list[Server]:
    trusts = {secret["name"]: secret["trust"] for secret in desired["secrets"]}
    return [
        Server(link["name"], Endpoint(endpoint["address"], link["tls_port"], link["sni"]), trust, ours=False)
        for link in links
        for endpoint in link["endpoints"]
        if link["external"] and (trust := trusts.get(link["credential"]) or roots)
    ]


def _standing(link: LinkSideJson, faults: Sequence[Fault], asked: Sequence[Asked]) -> LinkSideJson:
    """How the link stands now: the first place at which it is broken, of the look before and of what was asked."""
    now = link.copy()
    if first := next(iter(_to_tell(link, faults)), None):
        now["broken"], now["cause"] = first.place, first.code
    if any(item.unasked for item in asked if item.link == link["link"]):
        now["answer"] = NOT_ASKED
    return now


def _told(links: Sequence[LinkSideJson], faults: Sequence[Fault]) -> list[str]:
    return [str(fault.message()) for link in links for fault in _to_tell(link, faults)]


def _to_tell(link: LinkSideJson, faults: Sequence[Fault]) -> list[Fault]:
    """Who is let in that must not be, whatever else is wrong; then where the call breaks.

    Not where the look has told of something before that.
    """
    of_link = [fault for fault in faults if fault.link == link["link"]]
    let_in = [fault for fault in of_link if fault.code in _LET_IN]
    first = first_fault((fault for fault in of_link if fault not in let_in), link["link"])
    is_first = first and (not link["broken"] or first.hop < PLACES.index(link["broken"]))
    return [*let_in[:1], *([first] if first and is_first else [])]


def _report(side: Side, shaken: Handshakes, asked: Sequence[Asked]) -> list[str]:
    """What was done, for people: nothing that was not asked counts."""
    answered = sum(1 for item in asked if item.seen)
    silent = listed(item.link for item in asked if item.silent)
    lines = [f"{side} side: {shaken.asked} handshakes from the controller"] if shaken.asked else []
    lines += [f"{side} side: {answered} of {len(asked)} probes asked"] if asked else []
    if any(item.silent for item in asked):
        lines.append(
            f"{side} side: open for {WAIT} s, and the server said nothing (a tcp probe without banner): {silent}"
        )
    return lines
