# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one side of one cluster, link by link, by the decisions of the run itself. Pure: the clock is an input.

PRIVATE to the collection. Nothing here judges anew what M(plan) judges: where the plan refuses, a row fails in the
same words, and what has no row of its own stands under C(run).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import authority_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import tcp_ports
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import difference, notices, plan
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import CA_STORE, NOBODY, Row, told

__all__ = ["Scene", "side_rows", "unseen_rows"]

Json = dict[str, Any]

READ_SERVICES, READ_PODS, READ_SECRETS, READ_ROOTS = "get services", "list pods", "get, list secrets", "get configmaps"


@dataclass(frozen=True)
class Scene:
    """One side of a cluster that was looked at.

    :param incomplete: why, by what could not be read.
    :param known: what rows say already of this cluster.
    """

    reading: Json
    incomplete: Mapping[str, str]
    side: Mapping[str, Any]
    manifests: Sequence[Json]
    policy: Policy
    known: Collection[str] = ()

    @property
    def owner(self) -> names.Owner:
        return names.Owner(**self.side["owner"])

    @property
    def cluster(self) -> str:
        return self.owner.cluster

    @property
    def links(self) -> list[Mapping[str, Any]]:
        """The links that this run works on."""
        return [link for link in self.side["links"] if not self.policy.only or link["name"] in self.policy.only]

    def lacking(self, *parts: str) -> str:
        """Why something cannot be told: parts of it could not be read."""
        return "; ".join(dict.fromkeys(why for part, why in self.incomplete.items() if part in parts))

    def of_link(self, link: Mapping[str, Any]) -> dict[str, Any]:
        """The side as if it had this link only; the client's one Secret is for all of them."""
        port = link["tls_port" if self.owner.side == "server" else "egress_port"]
        secrets = [item for item in self.side["secrets"] if item["link"] == link["name"]]
        return {**self.side, "links": [link], "ports": [port], "secrets": secrets}


def unseen_rows(cluster: str, side: Mapping[str, Any], why: str) -> list[Row]:
    """One row a link where nothing of the cluster could be seen."""
    return [Row(cluster, link["name"], "run", "unknown", why) for link in side["links"]]


def side_rows(scene: Scene, now: datetime) -> list[Row]:
    """Everything that the plan of this side depends on, and what the plan says."""
    rows = [
        *_gateway(scene),
        *(row for link in scene.links for row in (_port(scene, link), _names(scene, link))),
        *_client_credential(scene),
        *(_backends(scene) if scene.owner.side == "server" else ()),
        *_trust(scene),
    ]
    return [*rows, *_run(scene, rows, now)]


def _gateway(scene: Scene) -> Iterator[Row]:
    if not scene.side["ports"]:
        return
    title = f"{scene.side['namespace']}/{scene.side['service']}"
    if why := scene.lacking(READ_SERVICES):
        yield Row(scene.cluster, NOBODY, "gateway", "unknown", f"{title}: {why}")
    elif missing := plan.missing_gateway(scene.reading, scene.side):
        yield told(scene.cluster, NOBODY, "gateway", "failed", missing[0])
    if why := scene.lacking(READ_PODS):
        yield Row(scene.cluster, NOBODY, "gateway", "unknown", f"pods of {title}: {why}")
        return
    if not scene.lacking(READ_SERVICES) and scene.reading["services"][scene.owner.side] is None:
        return
    pods = scene.reading["pods"][scene.owner.side]
    ready = [pod for pod in pods if pod["ready"]]
    silent = [pod for pod in ready if pod["problem"] and not pod["forbidden"]]
    for pod in silent:
        seen, cure = f"pod {pod['name']} cannot be asked: {pod['problem']}", "look at that pod's istio-proxy"
        yield Row(scene.cluster, NOBODY, "gateway", "failed", seen, cure)
    if not ready:
        selector = ",".join(f"{key}={value}" for key, value in sorted(scene.side["selector"].items()))
        seen = f"{title}: none of {len(pods)} pods with {selector} is ready, so that nothing can be proven"
        yield Row(scene.cluster, NOBODY, "gateway", "warning", seen, "start the gateway, or correct the selector")
    elif not silent:
        yield Row(scene.cluster, NOBODY, "gateway", "ok", f"{title}: {len(ready)} of {len(pods)} pods ready")


def _port(scene: Scene, link: Mapping[str, Any]) -> Row:
    side, reading = scene.of_link(link), scene.reading
    (number,) = side["ports"]
    if why := scene.lacking(READ_SERVICES, READ_PODS, "list gateways"):
        return Row(scene.cluster, link["name"], "port", "unknown", f"{number}: {why}")
    service = reading["services"][scene.owner.side]
    if service is None:
        return Row(scene.cluster, link["name"], "port", "unknown", f"{number}: there is no gateway to have it")
    occupied = plan.occupied_ports(reading, side, scene.owner)
    errors = [*occupied.errors, *plan.port_difference(reading, side, scene.owner).errors]
    if errors:
        return _joined(scene, link["name"], "port", errors)
    if occupied.warnings:
        return replace(_joined(scene, link["name"], "port", occupied.warnings), status="warning")
    managers = service["owners"].get(f"{number}/TCP", ())
    if number not in tcp_ports(service["ports"]):
        seen = f"{number} is free"
    elif any(manager.startswith("crossmesh-") for manager in managers):
        seen = f"{number} is open already"
    else:
        seen = f"{number} was opened by others ({', '.join(managers) or 'unknown'}), and is used as it is"
    return Row(scene.cluster, link["name"], "port", "ok", seen)


def _names(scene: Scene, link: Mapping[str, Any]) -> Row:
    wanted = [item for item in scene.manifests if item["metadata"]["labels"][names.LABEL_LINK] == link["name"]]
    kinds = {item["kind"] for item in wanted}
    plurals = [f"list {kind.plural}" for kind in names.KINDS if kind.kind in kinds]
    if why := scene.lacking(READ_SECRETS, *plurals):
        return Row(scene.cluster, link["name"], "names", "unknown", why)
    titles = {(item["kind"], item["metadata"]["name"]) for item in wanted}
    live = [
        item
        for item in plan.of_side(scene.reading["objects"], scene.owner)
        if (item["kind"], item["metadata"]["name"]) in titles
    ]
    found = difference.compare_objects(wanted, live, scene.owner, adopt=scene.policy.adopt, only=[link["name"]])
    side = scene.of_link(link)
    errors = [*found.errors, *plan.strangers(scene.reading, side, scene.owner, scene.policy)]
    if errors:
        return _joined(scene, link["name"], "names", errors)
    count = len(wanted) + len(side["secrets"])
    return Row(scene.cluster, link["name"], "names", "ok", f"{count} objects, none of them in the hands of others")


def _client_credential(scene: Scene) -> Iterator[Row]:
    """The Secret that all links of a client have in common."""
    shared = [item for item in scene.side["secrets"] if item["link"] == names.CLIENT_LINK]
    if not shared:
        return
    name = f"Secret {scene.side['namespace']}/{shared[0]['name']}"
    if why := scene.lacking(READ_SECRETS):
        yield Row(scene.cluster, NOBODY, "names", "unknown", f"{name}: {why}")
        return
    side = {**scene.side, "secrets": shared}
    errors = plan.strangers(scene.reading, side, scene.owner, scene.policy)
    if errors:
        yield _joined(scene, NOBODY, "names", errors)
    else:
        yield Row(scene.cluster, NOBODY, "names", "ok", f"{name}: not in the hands of others")


def _backends(scene: Scene) -> Iterator[Row]:
    faults = dict(notices.backend_faults(scene.reading, scene.side))
    counts = {(item["service"], item["namespace"]): item["pods"] for item in scene.reading["backends"]}
    for link in scene.links:
        backend = link["backend"]
        why = scene.lacking(*(f"list {plural} in {backend['namespace']}" for plural in ("services", "pods")))
        pods = counts[(backend["service"], backend["namespace"])]
        if why:
            yield Row(scene.cluster, link["name"], "backend", "unknown", f"{backend['host']}: {why}")
        elif fault := faults.get(link["name"]):
            cure = "install the backend, with that port and its sidecars, or correct the link's backend"
            yield Row(scene.cluster, link["name"], "backend", "warning", fault, cure)
        elif not pods:
            yield Row(
                scene.cluster, link["name"], "backend", "warning", f"{backend['host']} has no pods yet", "start it"
            )
        else:
            yield Row(
                scene.cluster, link["name"], "backend", "ok", f"{backend['host']}: {pods} of {pods} pods in the mesh"
            )


def _trust(scene: Scene) -> Iterator[Row]:
    """Whether the CA is the one that this cluster knows, and no mesh's own."""
    if not scene.side["secrets"]:
        return
    if why := scene.lacking(READ_SECRETS, READ_ROOTS, CA_STORE):
        yield Row(scene.cluster, NOBODY, "ca", "unknown", why)
        return
    authority = authority_from_json(scene.reading["authority"])
    errors = plan.trust_errors(scene.reading, authority, scene.owner, scene.policy)
    for error in errors:
        yield told(scene.cluster, NOBODY, "ca", "failed", error)
    if not errors:
        yield Row(scene.cluster, NOBODY, "ca", "ok", "no Secret of ours here holds a root of another CA")


def _run(scene: Scene, rows: Sequence[Row], now: datetime) -> Iterator[Row]:
    """What the plan says, as far as no other row says it."""
    title = f"{scene.owner.side}'s side"
    if scene.incomplete:
        why = "; ".join(dict.fromkeys(scene.incomplete.values()))
        yield Row(scene.cluster, NOBODY, "run", "unknown", f"{title}: not all could be read: {why}")
        return
    authority = authority_from_json(scene.reading["authority"])
    made = plan.make_plan(scene.reading, scene.side, scene.manifests, authority, scene.policy, now)
    for alarm in made["alarms"]:
        yield told(scene.cluster, NOBODY, "run", "warning", f"{title}: {alarm}")
    others = [error for error in made["errors"] if not _is_told(error, scene, rows)]
    if others:
        yield _joined(scene, NOBODY, "run", [f"{title}: {error}" for error in others])
    elif made["errors"]:
        seen = f"{title}: refused, for what other rows say"
        yield Row(scene.cluster, NOBODY, "run", "failed", seen, "see to those first")
    elif scene.side["links"] or made["lines"]:
        yield Row(scene.cluster, NOBODY, "run", "ok", f"{title}: {len(made['lines']) or 'nothing'} to do")


def _is_told(error: str, scene: Scene, rows: Sequence[Row]) -> bool:
    """Whether another row has said it; kinds that the cluster does not know are asked for by discovery as well."""
    if error in plan.missing_kinds(scene.reading, scene.manifests):
        return True
    seen = error.partition(". Cure: ")[0]
    return seen in scene.known or any(seen in row.seen for row in rows)


def _joined(scene: Scene, link: str, check: str, errors: Sequence[str]) -> Row:
    """Several refusals of one thing, in one row."""
    parts = [told(scene.cluster, link, check, "failed", error) for error in errors]
    return Row(
        scene.cluster,
        link,
        check,
        "failed",
        "; ".join(part.seen for part in parts),
        "; ".join(dict.fromkeys(part.cure for part in parts)),
    )
