# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_proof; documented in plugins/modules/mesh_proof.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.address import await_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import (
    Expected,
    Proof,
    Trusted,
    UnprovenError,
    prove,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import BackendFault, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson, first_fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import faults_of, watch_of
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
        "manifests": {"type": "bool", "default": False},
        "earlier": {"type": "dict", "default": {}},
        "sides": {"type": "list", "elements": "str", "choices": list(SIDES), "default": list(SIDES)},
        "step": {"type": "str", "default": ""},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        look: ClusterLook = params["look"]
        issued, earlier = params["issued"].get("sides") or {}, params["earlier"]
        methods: dict[Side, str] = dict(earlier.get("methods") or {})
        pods: dict[Side, list[str]] = dict(earlier.get("pods") or {})
        links: dict[Side, list[LinkSideJson]] = dict(earlier.get("links") or {})
        warnings: list[str] = []
        sights: list[Json] = []
        result = {
            "changed": False,
            "methods": methods,
            "pods": pods,
            "warnings": warnings,
            "sights": sights,
            "links": links,
            "written": sorted({*(earlier.get("written") or ()), *_written(issued, manifests=params["manifests"])}),
        }
        if self._task.check_mode:
            return result
        timeout, wait = variables.filled["mesh_gate_timeout"], variables.filled["mesh_gate_wait"]
        # For each side the proof itself, and an address.
        api = variables.api(waits=len(SIDES) * (2 * timeout + wait))
        for side in (side for side in SIDES if side in params["sides"] and side in look["sides"]):
            plan = look["sides"][side]
            shown: Json = {**plan, **issued.get(side, {})}
            proof = Proof("none")
            try:
                if _is_to_prove(plan, look["options"]):
                    strict = not (look["options"]["existing"] or plan["errors"])
                    proof = self._prove(api, variables, plan, shown, strict=strict)
            except CrossmeshError as error:
                links[side] = _status(plan, shown, error.proof if isinstance(error, UnprovenError) else None)
                return {**result, **self.refused(error, variables)}
            warnings += map(str, proof.warnings)
            methods[side], pods[side] = proof.method, proof.pods
            links[side] = _status(plan, shown, proof)
            if params["step"]:
                sights.append(_sight(look, plan, shown, proof, params["step"]))
        return result

    def _prove(
        self, api: Api, variables: Variables, plan: SideLook, shown: Mapping[str, Any], *, strict: bool
    ) -> Proof:
        """:param strict: whether links that are not as they are meant hold it: certificates are renewed in any case."""
        timeout, wait = variables.filled["mesh_gate_timeout"], variables.filled["mesh_gate_wait"]
        links = _links(variables, plan)
        expected = Expected(
            serials=frozenset(shown.get("serials", shown["expected"])),
            trust=tuple(
                Trusted(item["secret"], frozenset(item["roots"]), frozenset(item["lists"])) for item in shown["trust"]
            ),
            endpoints=tuple(Endpoint(item["address"], item["port"], item["fqdn"]) for item in plan["endpoints"]),
            holders=_holders(_status(plan, shown, None)),
            watch=watch_of(links) if links else None,
            judge=partial(_faults, links, plan["unbacked"]),
            strict=strict,
        )
        proof = prove(api, gateway_of(plan), expected, timeout, wait=wait, say=self.say)
        if plan["await_address"]:
            proof.warnings.extend(await_address(api, gateway_of(plan), timeout, say=self.say))
        return proof


def _written(issued: Json, *, manifests: bool) -> Iterator[str]:
    """What a run has written before this proof, in the words of its results."""
    if issued:
        yield "credentials"
    if manifests:
        yield "manifests"


def _links(variables: Variables, plan: SideLook) -> list[DesiredLink]:
    """The links that the pods are judged by."""
    if not plan["judged"]:
        return []
    wanted = variables.resolution(variables.side_state(plan["side"])).wanted()[plan["side"]]["links"]
    return [link for link in wanted if link["name"] in plan["judged"]]


def _faults(
    links: Sequence[DesiredLink], unbacked: Mapping[str, BackendFault], pod: Pod, service: Service | None
) -> list[Fault]:
    return [fault for item in faults_of(pod, links, service) if (fault := item.beside(unbacked))]


def _holders(links: Sequence[LinkSideJson]) -> dict[str, str]:
    """Whose a certificate is, by its serial; a client's one certificate is for many links."""
    found: dict[str, list[LinkSideJson]] = {}
    for link in links:
        found.setdefault(link.get("serial", ""), []).append(link)
    return {
        number: f"Secret {of[0]['secret']}, " + (f"link {of[0]['link']}" if len(of) == 1 else f"{len(of)} links")
        for number, of in found.items()
    }


def _is_to_prove(plan: SideLook, options: Options) -> bool:
    """In a stage: where it has credentials to work on; else where the side has any."""
    return bool(plan["credentials"]) if options["existing"] else bool(plan["secrets"])


def _status(plan: SideLook, shown: Mapping[str, Any], proof: Proof | None) -> list[LinkSideJson]:
    """How each link of the side stands now: what was seen before, but for what was issued and seen since.

    :param proof: None where it has failed.
    """
    issued = {item["name"]: item["certificate"] for item in shown.get("credentials", ()) if "certificate" in item}
    root = next(iter(shown.get("issuers") or ()), "")
    links = []
    for link in plan["status"]:
        now, certificate = link.copy(), issued.get(link["secret"])
        if certificate:
            now["until"], now["root"] = certificate["not_after"], root
            now["serial"] = serial(certificate.get("serial", ""))
        if proof is None or proof.method != "none":
            now["serving"], now["ready"], now["unseen"] = _counts(now, proof)
            first = first_fault(proof.faults, link["link"]) if proof else None
            now["broken"], now["cause"] = (first.place, first.code) if first else ("", "")
        links.append(now)
    return links


def _counts(link: LinkSideJson, proof: Proof | None) -> tuple[int, int, int]:
    """Of the pods that are ready: how many serve the link, how many there are, and how many could not be asked."""
    if proof is None:
        return 0, link["ready"] or 1, 0
    broken = {fault.pod for fault in proof.faults if fault.link == link["link"]}
    held = {link.get("serial", ""), link["secret"]}
    behind = {pod for pod, lacking in proof.lacking.items() if held & lacking}
    asked, bad = len(proof.pods), len(broken | behind)
    if proof.method == "exec":
        return asked - bad, asked, 0
    ready = max(link["ready"], asked)
    return (ready - bad, ready, 0) if proof.method == "handshake" else (asked - bad, ready, ready - asked)


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
