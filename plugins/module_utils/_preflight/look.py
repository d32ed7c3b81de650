# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at a cluster before a run: everything is asked, and no answer that is missing hides another. Writes nothing.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import NO_REVOCATION, ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api, ApiError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import RESOURCES, VERSION, get_document
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import (
    EXEC_TIMEOUT,
    IDENTITY,
    Parts,
    Request,
    not_permitted,
    read_parts,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import (
    Surroundings,
    config_names,
    read_surroundings,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, Desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import strays
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import witnesses_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import permissions
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.mesh_ca import mesh_ca_rows
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.model import Destination, Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.permissions import Need
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import (
    CA_STORE,
    NOBODY,
    WHOLE_CLUSTER,
    Row,
    api_row,
    clock_row,
    crd_rows,
    istio_row,
    permission_rows,
)

__all__ = ["Look", "look", "unreachable"]

Asked = TypeVar("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Look:
    """What was found.

    :param reading: as M(reading) has it, empty in place of what could not be read.
        None without the cluster; so the sight.
    :param surroundings: None where there is no link.
    :param incomplete: why, by what was to be read.
    """

    rows: list[Row]
    reading: Reading | None = None
    surroundings: Surroundings | None = None
    incomplete: dict[str, str] = field(default_factory=dict)
    sight: Sight | None = None


def unreachable(cluster: str, error: CrossmeshError) -> Look:
    """The cluster could not be asked at all."""
    rows = [Row.of(cluster, NOBODY, "api", message) for message in error.messages]
    return Look(rows, incomplete={WHOLE_CLUSTER: "the API server could not be asked"})


def look(
    api: Api,
    request: Request,
    view: Desired,
    store: CaStore,
    entries: Sequence[revocation.Entry],
    now: datetime,
) -> Look:
    """Ask everything that a run depends on."""
    try:
        version = _version(api)
    except CrossmeshError as error:
        return unreachable(request.cluster, error)
    recorded = partial(store.secrets_of, request.instance, request.cluster, now)
    parts = read_parts(api, replace(request, recorded=recorded, whole=bool(request.links)))
    incomplete = {needed: f"not permitted: {needed}" for needed in parts.denied}
    incomplete |= {needed: error.message.seen for needed, error in parts.failed.items()}
    try:
        kept = {request.cluster: witnesses_of(parts.reading["secrets"])}
        held = ca_reading(store, authority_of(store), entries, now, seen=kept)
    except CrossmeshError as error:
        incomplete[CA_STORE] = error.message.seen
        held = {**ca_reading(store, Authority(store.where, None, ()), (), now), **NO_REVOCATION}
    reading: Reading = {**parts.reading, **held}
    pods = _ready(reading)
    rows = [
        _api(api, request, version, parts),
        clock_row(request.cluster, api.clock_ahead),
        *(Row.of(request.cluster, NOBODY, "names", message) for message in strays.warnings(reading)),
        *_permissions(api, request, view, parts, reading),
        *crd_rows(request.cluster, permissions.wanted_kinds(view), _served(api)),
        *_istio(api, request, view, pods),
        *mesh_ca_rows(api, request.cluster, [view[side]["namespace"] for side in names.SIDES if view[side]["links"]]),
    ]
    surroundings = None
    if request.links:
        gateways = [pod for found in reading["pods"].values() for pod in found]
        surroundings = read_surroundings(api, gateways, parts.whole)
    return Look(rows, reading, surroundings, incomplete, _sight(api, request, view, reading))


def _version(api: Api) -> str:
    try:
        return str(get_document(api, VERSION, "/version").get("gitVersion", "(unknown version)"))
    except ApiError as error:
        if error.status != 403:
            raise
        return "(version not permitted to read)"


def _api(api: Api, request: Request, version: str, parts: Parts) -> Row:
    if fault := parts.failed.get(IDENTITY):
        return Row.of(request.cluster, NOBODY, "api", fault.message)
    return api_row(request.cluster, api.where, version, parts.reading["identity"]["user"])


def _permissions(api: Api, request: Request, view: Desired, parts: Parts, reading: Reading) -> list[Row]:
    owners = [request.owner("server"), request.owner("client")]
    configs = config_names(pod for pods in reading["pods"].values() for pod in pods)
    needed = permissions.needs(view, permissions.held(reading, owners), configs)
    try:
        answers = _reviewed(api, needed)
    except CrossmeshError as error:
        if parts.denied:
            return [Row.of(request.cluster, NOBODY, "permission", not_permitted("", parts.denied))]
        return permission_rows(request.cluster, {}, error.message.seen)
    return permission_rows(request.cluster, answers, "")


def _reviewed(api: Api, needed: Sequence[Need]) -> dict[Need, bool]:
    """What is permitted. Who may do something to all objects of a resource is not asked for each of many names."""
    wide = {need: replace(need, name="") for need in needed if need.name and need.resource == "secrets"}
    questions = [*dict.fromkeys(wide.values())]
    everywhere = dict(zip(questions, _together(lambda need: api.review(need.attributes), questions), strict=True))
    left = [need for need in needed if not everywhere.get(wide.get(need, need), False)]
    answers = dict(zip(left, _together(lambda need: api.review(need.attributes), left), strict=True))
    return {need: answers.get(need, True) for need in needed}


def _served(api: Api) -> dict[str, frozenset[str] | str]:
    """What every API group of ours serves, by discovery, or why that is not known."""
    groups = {kind.group: kind.version for kind in names.KINDS}

    def serves(group: str) -> frozenset[str] | str:
        try:
            answer = get_document(api, RESOURCES, f"/apis/{group}/{groups[group]}")
        except ApiError as error:
            return frozenset() if error.status == 404 else error.message.what
        except CrossmeshError as error:
            return error.message.seen
        return frozenset(resource["name"] for resource in answer["resources"])

    return dict(zip(groups, _together(serves, groups), strict=True))


def _istio(api: Api, request: Request, view: Desired, pods: Mapping[names.Side, Sequence[Pod]]) -> list[Row]:
    """The version of the gateways that links go through."""
    used = [side for side in names.SIDES if view[side]["links"]]
    asked = {pod["name"]: pod for side in used for pod in pods[side]}.values()
    if not used:
        return []
    versions = _ask_each(api, asked, envoy.SERVER_INFO, envoy.istio_version)
    return [istio_row(request.cluster, versions, _silence(asked, "gateway"))]


def _ready(reading: Reading) -> dict[names.Side, list[Pod]]:
    """The gateways' ready pods, by side."""
    return {side: [pod for pod in pods if pod["ready"]] for side, pods in reading["pods"].items()}


def _ask_each(api: Api, pods: Iterable[Pod], path: str, read: Callable[[str], Found]) -> dict[str, Found]:
    """What is read in the answer of each pod; nothing of one that could not be asked before, or cannot now."""

    def ask(pod: Pod) -> Found | None:
        if pod["problem"]:
            return None
        try:
            return read(api.proxy_request(pod["namespace"], pod["name"], path, EXEC_TIMEOUT))
        except (CrossmeshError, ValueError):
            return None

    asked = list(pods)
    answers = zip(asked, _together(ask, asked), strict=True)
    return {pod["name"]: answer for pod, answer in answers if answer is not None}


def _silence(pods: Iterable[Pod], what: str) -> str:
    """Why pods tell nothing."""
    problems = sorted({pod["problem"] for pod in pods if pod["problem"]})
    return "; ".join(problems) or f"no ready {what} pod answered"


def _sight(api: Api, request: Request, view: Desired, reading: Reading) -> Sight:
    service = reading["services"]["server"]
    return {
        "cluster": request.cluster,
        "ingress": service["addresses"] if service else [],
        "serves": [link["name"] for link in view["server"]["links"]],
        "dials": _destinations(api, view["client"]["links"], _ready(reading)["client"]),
    }


def _destinations(api: Api, links: Sequence[ClientLink], pods: Sequence[Pod]) -> list[Destination]:
    """Where the name of every dialled link leads to, in the words of each egress gateway pod."""
    if not links:
        return []
    answers = _ask_each(api, pods, envoy.CLUSTERS, envoy.addresses)
    problem = "" if answers else _silence(pods, "egress gateway")
    return [
        {
            "link": link["name"],
            "fqdn": link["fqdn"],
            "external": link["external"],
            "problem": problem,
            "pods": {pod: known.get(envoy.outbound(link["tls_port"], link["fqdn"])) for pod, known in answers.items()},
        }
        for link in links
    ]


def _together(ask: Callable[[Asked], Found], of: Iterable[Asked]) -> list[Found]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(ask, of))
