# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one side of one cluster, link by link, by the decisions of the run itself. Pure: the clock is an input.

PRIVATE to the collection. Nothing here judges anew what M(plan) judges: where the plan refuses, a row fails with the
same message, and what has no row of its own stands under C(run).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import authority_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Answers, Trial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest, Pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import no_ready_pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import READ_SECRETS
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import tcp_ports
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    DesiredLink,
    DesiredSide,
    ServerSide,
    gateway_port,
    is_server,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Level, Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import (
    difference,
    lifecycle,
    notices,
    plan,
    proxies,
    refusals,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import Foresight
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, Outlook, look_ahead
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import CA_STORE, NOBODY, Row

__all__ = ["Scene", "side_rows", "unseen_rows"]

READ_SERVICES, READ_PODS, READ_ROOTS = "get services", "list pods", "get configmaps"
UNKNOWN_KIND = "unknown-kind"


@dataclass(frozen=True)
class Scene:
    """One side of a cluster that was looked at.

    :param incomplete: why, by what could not be read.
    :param ask: tries writes on the API server.
    :param known: the rows that there are of this cluster already.
    """

    reading: Reading
    incomplete: Mapping[str, str]
    side: DesiredSide
    manifests: Sequence[Manifest]
    policy: Policy
    ask: Callable[[Sequence[Trial]], Answers]
    surroundings: Surroundings | None = None
    known: Sequence[Row] = ()

    @property
    def owner(self) -> names.Owner:
        return names.Owner(**self.side["owner"])

    @property
    def cluster(self) -> str:
        return self.owner.cluster

    @property
    def links(self) -> list[DesiredLink]:
        """The links that this run works on."""
        return [link for link in self.side["links"] if self.has(link)]

    def has(self, link: DesiredLink) -> bool:
        """Whether this run works on the link."""
        return self.policy.works_on(link["name"])

    @property
    def lacks_permissions(self) -> bool:
        """Whether a row fails for a permission already: what is lacking, and what grants it, is told there."""
        return any((row.check, row.status) == ("permission", "failed") for row in self.known)

    def lacking(self, *parts: str) -> str:
        """Why something cannot be told: parts of it could not be read."""
        # Behind a part may stand which objects of it.
        found = (why for part, why in self.incomplete.items() if part.partition(" (")[0] in parts)
        return "; ".join(dict.fromkeys(found))

    def of_link(self, link: DesiredLink) -> DesiredSide:
        """The side as if it had this link only; the client's one Secret is for all of them."""
        secrets = [item for item in self.side["secrets"] if item["link"] == link["name"]]
        alone = {**self.side, "links": [link], "ports": [gateway_port(link)], "secrets": secrets}
        return cast(DesiredSide, alone)


def unseen_rows(cluster: str, side: DesiredSide, why: str) -> list[Row]:
    """One row a link where nothing of the cluster could be seen."""
    return [Row(cluster, link["name"], "run", "unknown", why) for link in side["links"]]


def side_rows(scene: Scene, now: datetime) -> list[Row]:
    """Everything that the plan of this side depends on, and what the plan says."""
    rows = [
        *_gateway(scene),
        *(row for link in scene.links for row in (*_port(scene, link), *_names(scene, link))),
        *_client_credential(scene),
        *(_backends(scene, scene.side) if is_server(scene.side) else ()),
        *_trust(scene),
    ]
    return [*rows, *_run(scene, rows, now)]


def _gateway(scene: Scene) -> Iterator[Row]:
    if not scene.side["ports"]:
        return
    title = f"{scene.side['namespace']}/{scene.side['service']}"
    if why := scene.lacking(READ_SERVICES):
        yield Row(scene.cluster, NOBODY, "gateway", "unknown", f"{title}: {why}")
    else:
        yield from _rows(scene, NOBODY, "gateway", refusals.missing_gateway(scene.reading, scene.side))
    if why := scene.lacking(READ_PODS):
        yield Row(scene.cluster, NOBODY, "gateway", "unknown", f"pods of {title}: {why}")
        return
    if not scene.lacking(READ_SERVICES) and scene.reading["services"][scene.owner.side] is None:
        return
    pods = scene.reading["pods"][scene.owner.side]
    ready = [pod for pod in pods if pod["ready"]]
    silent = [pod for pod in ready if pod["problem"] and not pod["forbidden"]]
    strangers = scene.reading["strangers"][scene.owner.side]
    yield from _rows(scene, NOBODY, "gateway", map(_silent, silent))
    yield from _rows(scene, NOBODY, "gateway", map(notices.no_proxy, strangers))
    if not ready:
        selector = ",".join(f"{key}={value}" for key, value in sorted(scene.side["selector"].items()))
        without = f", {len(strangers)} without istio-proxy" if strangers else ""
        where = f"gateway {title} ({len(pods) + len(strangers)} pods with {selector}{without})"
        yield Row.of(scene.cluster, NOBODY, "gateway", no_ready_pod(where))
    elif not silent:
        yield Row(scene.cluster, NOBODY, "gateway", "ok", f"{title}: {len(ready)} of {len(pods)} pods ready")


def _silent(pod: Pod) -> Message:
    what, fix = f"does not answer: {pod['problem']}", "check the istio-proxy container of that pod"
    return Message.error("proxy-silent", where=f"pod {pod['name']}", what=what, fix=fix)


def _port(scene: Scene, link: DesiredLink) -> Iterator[Row]:
    side, reading = scene.of_link(link), scene.reading
    (number,) = side["ports"]
    if why := scene.lacking(READ_SERVICES, READ_PODS, "list gateways"):
        yield Row(scene.cluster, link["name"], "port", "unknown", f"{number}: {why}")
        return
    service = reading["services"][scene.owner.side]
    if service is None:
        yield Row(scene.cluster, link["name"], "port", "unknown", f"{number}: the gateway does not exist")
        return
    occupied = refusals.occupied_ports(reading, side, scene.owner)
    errors = [*occupied.errors, *plan.port_difference(reading, side, scene.owner).errors]
    if faults := errors or occupied.warnings:
        yield from _rows(scene, link["name"], "port", faults)
        return
    managers = service["owners"].get(f"{number}/TCP", ())
    if number not in tcp_ports(service["ports"]):
        seen = f"{number} is free"
    elif any(manager.startswith("crossmesh-") for manager in managers):
        seen = f"{number} is open already"
    else:
        seen = f"{number} was opened by others ({', '.join(managers) or 'unknown'}) and is used as it is"
    yield Row(scene.cluster, link["name"], "port", "ok", seen)


def _names(scene: Scene, link: DesiredLink) -> Iterator[Row]:
    wanted = [item for item in scene.manifests if item["metadata"]["labels"][names.LABEL_LINK] == link["name"]]
    kinds = {item["kind"] for item in wanted}
    plurals = [f"list {kind.plural}" for kind in names.KINDS if kind.kind in kinds]
    if why := scene.lacking(READ_SECRETS, *plurals):
        yield Row(scene.cluster, link["name"], "names", "unknown", why)
        return
    titles = {(item["kind"], item["metadata"]["name"]) for item in wanted}
    live = [
        item
        for item in plan.of_side(scene.reading["objects"], scene.owner)
        if (item["kind"], item["metadata"]["name"]) in titles
    ]
    found = difference.compare_objects(wanted, live, scene.owner, adopt=scene.policy.adopt, only=[link["name"]])
    errors = [
        *found.errors,
        *lifecycle.object_faults(wanted, live, scene.owner, scene.policy),
        *_of_secrets(scene, side := scene.of_link(link)),
    ]
    yield from _rows(scene, link["name"], "names", errors)
    if not errors:
        count = len(wanted) + len(side["secrets"])
        yield Row(scene.cluster, link["name"], "names", "ok", f"{count} objects, none of them made by others")


def _client_credential(scene: Scene) -> Iterator[Row]:
    """The Secret that all links of a client have in common."""
    shared = [item for item in scene.side["secrets"] if item["link"] == names.CLIENT_LINK]
    if not shared:
        return
    name = f"Secret {scene.side['namespace']}/{shared[0]['name']}"
    if why := scene.lacking(READ_SECRETS):
        yield Row(scene.cluster, NOBODY, "names", "unknown", f"{name}: {why}")
        return
    side = cast(DesiredSide, {**scene.side, "secrets": shared})
    errors = _of_secrets(scene, side)
    yield from _rows(scene, NOBODY, "names", errors)
    if not errors:
        yield Row(scene.cluster, NOBODY, "names", "ok", f"{name}: not made by others")


def _of_secrets(scene: Scene, side: DesiredSide) -> list[Message]:
    held = refusals.held_secrets(scene.reading, side, scene.owner, scene.policy)
    return [*held.values(), *refusals.overriding_secrets(scene.reading, side)]


def _backends(scene: Scene, side: ServerSide) -> Iterator[Row]:
    faults = notices.backend_faults(scene.reading, side)
    counts = {(item["service"], item["namespace"]): item["pods"] for item in scene.reading["backends"]}
    for link in side["links"]:
        if not scene.has(link):
            continue
        backend = link["backend"]
        why = scene.lacking(*(f"list {plural} in {backend['namespace']}" for plural in ("services", "pods")))
        pods = counts[(backend["service"], backend["namespace"])]
        if why:
            yield Row(scene.cluster, link["name"], "backend", "unknown", f"{backend['host']}: {why}")
        elif fault := faults.get(link["name"]):
            yield Row.of(scene.cluster, link["name"], "backend", fault)
        elif not pods:
            fault = Message.warning(
                "backend-empty", where=backend["host"], what="has no pods yet", fix="start the backend"
            )
            yield Row.of(scene.cluster, link["name"], "backend", fault)
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
    errors = [
        *refusals.trust_errors(scene.reading, authority, scene.owner, scene.policy),
        *refusals.unissuable_names(scene.side, authority, scene.policy).values(),
        *refusals.joined_trust(scene.reading, scene.side, authority).values(),
    ]
    yield from _rows(scene, NOBODY, "ca", errors)
    if not errors:
        yield Row(scene.cluster, NOBODY, "ca", "ok", "no Secret of ours here holds a root of another CA")


def _run(scene: Scene, rows: Sequence[Row], now: datetime) -> Iterator[Row]:
    """What the plan says, as far as no other row says it."""
    title = f"{scene.owner.side}'s side"
    if scene.incomplete:
        why = "; ".join(dict.fromkeys(scene.incomplete.values()))
        yield Row(scene.cluster, NOBODY, "run", "unknown", f"{title}: not everything could be read: {why}")
        return
    made, told = _ahead(scene, now)
    yield from told
    others = [error for error in made.errors if not _is_reported(error, [*scene.known, *rows, *told])]
    blocked = made.errors and not others
    messages = [*made.standing.alarms, *others, *([_blocked()] if blocked else [])]
    for message in messages:
        yield Row.of(scene.cluster, NOBODY, "run", _of_side(message, title))
    yield from _proxies(scene, made)
    if not made.errors and (scene.side["links"] or made.work.lines):
        yield Row(scene.cluster, NOBODY, "run", "ok", f"{title}: {len(made.work.lines) or 'nothing'} to do")


def _ahead(scene: Scene, now: datetime) -> tuple[plan.Plan, list[Row]]:
    """The plan, after what others have there and what the API server says of it, with the rows of both."""
    lost = list[Message]()

    def ask(trials: Sequence[Trial]) -> Answers:
        try:
            return scene.ask(trials)
        except CrossmeshError as error:
            lost.extend(error.messages)
            return Answers()

    authority = authority_from_json(scene.reading["authority"])
    case = Case(scene.reading, scene.side, scene.manifests, authority, scene.policy, now, scene.surroundings)
    found = look_ahead(case, ask)
    others = list(_others(scene, found.foresight)) if scene.surroundings else []
    rows = list(_rows(scene, NOBODY, "dry-run", lost) if lost else _of_rehearsal(scene, found))
    if found.rehearsal.denied and scene.lacks_permissions:
        return case.plan(found.foresight, replace(found.rehearsal, denied=None)), [*others, *rows]
    return found.plan, [*others, *rows]


def _others(scene: Scene, found: Foresight) -> Iterator[Row]:
    """What becomes of each link with all that others have there."""
    yield from _rows(scene, NOBODY, "others", found.of_side)
    for link in scene.links if found.complete else ():
        messages = found.by_link.get(link["name"], ())
        yield from _rows(scene, link["name"], "others", messages)
        if not messages:
            yield Row(scene.cluster, link["name"], "others", "ok", "nothing stands in its way")


def _of_rehearsal(scene: Scene, ahead: Outlook) -> Iterator[Row]:
    """What the API server says of the plan."""
    found, title = ahead.rehearsal, f"{scene.owner.side}'s side"
    if not ahead.tried:
        why = f"{title}: not tried, because of the failures in other rows"
        yield from [Row(scene.cluster, NOBODY, "dry-run", "unknown", why)] if ahead.plan.errors else []
        return
    messages = list(dict.fromkeys([*found.errors, *found.held.values(), *found.warnings, *found.notices]))
    yield from _rows(scene, NOBODY, "dry-run", messages)
    if denied := found.denied:
        row = Row.of(scene.cluster, NOBODY, "dry-run", denied)
        yield replace(row, status="unknown", fix="") if scene.lacks_permissions else row
    elif not messages:
        seen = f"{title}: the API server would accept {found.tried} writes"
        yield Row(scene.cluster, NOBODY, "dry-run", "ok", seen)


def _proxies(scene: Scene, made: plan.Plan) -> Iterator[Row]:
    """What a run would stop at in its proof; where it writes first, that may mend it."""
    told: set[str] = set()
    for fault in made.standing.faults:
        level: Level = "warning" if fault.outside or made.work.changed else "error"
        if fault.link not in told and not proxies.is_told(fault, made.standing.unbacked):
            yield Row.of(scene.cluster, fault.link, "proxies", fault.message(level))
        told.add(fault.link)
    yield from _rows(scene, NOBODY, "proxies", proxies.fresh(scene.reading, scene.owner, made.standing.faults))


def _blocked() -> Message:
    what = "site would stop here, because of the failures in other rows"
    return Message.error("blocked", where="", what=what, fix="fix those first")


def _of_side(message: Message, title: str) -> Message:
    return replace(message, where=f"{title}: {message.where}" if message.where else title)


def _is_reported(error: Message, rows: Sequence[Row]) -> bool:
    """Whether another row says it; kinds that the cluster does not know are asked for by discovery in any case."""
    return error.code == UNKNOWN_KIND or any(row.says(error) for row in rows)


def _rows(scene: Scene, link: str, check: str, messages: Iterable[Message]) -> Iterator[Row]:
    return (Row.of(scene.cluster, link, check, message) for message in messages)
