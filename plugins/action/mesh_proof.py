# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_proof; documented in plugins/modules/mesh_proof.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.address import await_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import Expected, Proof, Trusted, prove
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import (
    SIDES,
    ClusterAction,
    Variables,
    gateway_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import ClusterLook, Options, SideLook

Json = dict[str, Any]


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "look": {"type": "dict", "required": True},
        "issued": {"type": "dict", "default": {}},
        "earlier": {"type": "dict", "default": {}},
        "sides": {"type": "list", "elements": "str", "choices": list(SIDES), "default": list(SIDES)},
        "step": {"type": "str", "default": ""},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        api = variables.api()
        look: ClusterLook = params["look"]
        issued = params["issued"].get("sides") or {}
        warnings: list[Message] = []
        sights: dict[str, Json] = {}
        methods: dict[str, str] = {}
        pods: dict[str, list[str]] = {}
        links: dict[str, list[LinkSideJson]] = dict(params["earlier"].get("links") or {})
        for side in (side for side in SIDES if side in params["sides"] and side in look["sides"]):
            plan = look["sides"][side]
            shown: Json = {**plan, **issued.get(side, {})}
            proof = self._prove(api, variables, plan, shown) if _is_to_prove(plan, look["options"]) else Proof("none")
            warnings += proof.warnings
            methods[side], pods[side] = proof.method, proof.pods
            links[side] = _status(plan, shown, proof)
            if params["step"]:
                sights[side] = _sight(look, plan, shown, proof, params["step"])
        return {
            "changed": False,
            "methods": methods,
            "pods": pods,
            "warnings": [str(warning) for warning in warnings],
            "sights": list(sights.values()),
            "links": links,
        }

    def _prove(self, api: Api, variables: Variables, plan: SideLook, shown: Mapping[str, Any]) -> Proof:
        timeout, wait = variables.filled["mesh_gate_timeout"], variables.filled["mesh_gate_wait"]
        expected = Expected(
            serials=frozenset(shown.get("serials", shown["expected"])),
            trust=tuple(
                Trusted(item["secret"], frozenset(item["roots"]), frozenset(item["lists"])) for item in shown["trust"]
            ),
            endpoints=tuple(Endpoint(item["address"], item["port"], item["fqdn"]) for item in plan["endpoints"]),
        )
        proof = prove(api, gateway_of(plan), expected, timeout, wait=wait)
        if plan["await_address"]:
            proof.warnings.extend(await_address(api, gateway_of(plan), timeout, say=self._display.display))
        return proof


def _is_to_prove(plan: SideLook, options: Options) -> bool:
    """In a stage: where it has credentials to work on; else where the side has any."""
    return bool(plan["credentials"]) if options["existing"] else bool(plan["secrets"])


def _status(plan: SideLook, shown: Mapping[str, Any], proof: Proof) -> list[LinkSideJson]:
    """How each link of the side stands now: what was seen before, but for what was issued and proven since."""
    issued = {item["name"]: item["certificate"] for item in shown.get("credentials", ()) if "certificate" in item}
    root = next(iter(shown.get("issuers") or ()), "")
    links = []
    for link in plan["status"]:
        now, certificate = link.copy(), issued.get(link["secret"])
        if certificate:
            now["until"], now["root"] = certificate["not_after"], root
        if proof.method in ("exec", "handshake"):
            now["serving"] = now["ready"] = len(proof.pods)
        links.append(now)
    return links


def _sight(look: ClusterLook, plan: SideLook, shown: Mapping[str, Any], proof: Proof, step: str) -> Json:
    """What a step of a root rotation asks for."""
    looked = bool(plan["credentials"])
    return {
        "cluster": look["cluster"],
        "side": plan["side"],
        "step": step,
        "method": proof.method if looked else "none",
        "trust": shown["trust"] if looked else [],
        "issuers": shown["issuers"] if looked else [],
        "surplus": plan["surplus"],
        "problem": "",
    }
