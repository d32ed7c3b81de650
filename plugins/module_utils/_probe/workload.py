# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask what links are asked, by exec in workloads' pods.

PRIVATE to the collection. A pod that is not there, a forbidden exec, a container without a program that asks: then it
was not asked, which says nothing of the link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    PARALLEL,
    Api,
    ApiError,
    RefusedError,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import ANSWER, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, Probe
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import Answer, is_unasked, read_answer
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import LIMIT, TIMEOUT, commands
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.verdict import fault_of

__all__ = ["Asked", "ask_links"]

_PROXY = "istio-proxy"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_FIX_TOOLS = (
    "probe from a container that has sh, and python3, bash (with timeout, dd and od) or nc; for http also curl or wget"
)
_FIX_EXEC = "allow list on pods, and get and create on pods/exec, in that namespace"

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What became of one link's question.

    :param seen: where it was asked, in words; empty where it was not.
    :param unasked: why it could not be asked, a warning; None where it was.
    :param fault: where the call broke; also that it could not be asked, where it has to be.
    :param silent: nothing is wrong, and nothing came: the connection stayed open, which is all that was asked for.
    """

    link: str
    seen: str = ""
    unasked: Message | None = None
    fault: Fault | None = None
    silent: bool = False


@dataclass(frozen=True)
class _Place:
    """A container to ask from, or why there is none."""

    namespace: str
    pod: str = ""
    container: str = ""
    problem: str = ""
    fix: str = ""


def ask_links(api: Api, links: Sequence[ClientLink]) -> list[Asked]:
    """Of all links that have something to ask, in their order."""
    probes = [(link, probe) for link in links if (probe := link["probe"])]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(partial(_ask, api), probes))


def _ask(api: Api, item: tuple[ClientLink, Probe]) -> Asked:
    link, probe = item
    place = _place(api, probe)
    if place.problem:
        return _not_asked(link, probe, f"namespace {place.namespace}", place.problem, place.fix)
    seen = f"asked in pod {place.namespace}/{place.pod}"
    try:
        answer = _answer(api, place, link, probe)
    except RefusedError as error:
        return _not_asked(link, probe, seen, _reason(error), _FIX_EXEC)
    if is_unasked(answer):
        what = (
            "no shell there, and no python3"
            if not (answer.begun or answer.tool)
            else f"nothing there that can ask for {probe['type']}"
        )
        return _not_asked(link, probe, seen, what, _FIX_TOOLS)
    fault = fault_of(link, probe, answer, seen)
    return Asked(link["name"], seen, fault=fault, silent=not (fault or answer.data or answer.status))


def _answer(api: Api, place: _Place, link: ClientLink, probe: Probe) -> Answer:
    answer = Answer()
    for command in commands(link, probe):
        done = api.execute(place.namespace, place.pod, place.container, command, TIMEOUT, LIMIT)
        answer = replace(read_answer(done.output), finished=done.finished)
        if answer.begun or answer.tool or answer.names is not None or not done.finished:
            break
    return answer


def _not_asked(link: ClientLink, probe: Probe, where: str, what: str, fix: str) -> Asked:
    if probe["required"]:
        wanted = f"an answer to the probe of type {probe['type']}"
        fault = Fault("probe-not-asked", link["name"], ANSWER, "", wanted, f"it was not asked: {what}", fix, seen=where)
        return Asked(link["name"], fault=fault)
    message = Message.warning(
        "probe-not-asked", where=f"link {link['name']}, {where}", what=f"the probe was not asked: {what}", fix=fix
    )
    return Asked(link["name"], unasked=message)


def _place(api: Api, probe: Probe) -> _Place:
    namespace = probe["namespace"]
    labels = ",".join(f"{key}={value}" for key, value in sorted(probe["selector"].items()))
    try:
        pods = list_objects(api, "Pod", object_path("", "v1", "pods", namespace), {"labelSelector": labels})
    except ApiError as error:
        return _Place(namespace, problem=error.message.what, fix=_FIX_EXEC)
    except CrossmeshError as error:
        return _Place(namespace, problem=_reason(error), fix=error.message.fix)
    ready = sorted((pod["metadata"]["name"], pod) for pod in pods if _is_ready(pod))
    if not ready:
        fix = "correct probe.from, or wait until such a pod is ready"
        return _Place(namespace, problem=f"no ready pod there has the labels {labels}", fix=fix)
    name, pod = ready[0]
    container = probe["container"] or _container(pod)
    if not container:
        fix = "choose a pod in probe.from that has an application beside its proxy"
        return _Place(namespace, problem=f"pod {name} has no container but its proxy", fix=fix)
    return _Place(namespace, name, container)


def _reason(error: CrossmeshError) -> str:
    """Why it could not be asked; a cluster that is away is none, as nothing else can be asked there either.

    :raises CrossmeshError: it is that.
    """
    if error.message.code == "api-unreachable":
        raise error
    return error.message.what


def _is_ready(pod: Json) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _container(pod: Json) -> str:
    """As kubectl chooses it, but for the proxy: what it opens does not go through itself."""
    names = [item["name"] for item in pod.get("spec", {}).get("containers", ())]
    chosen = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    if chosen in names and chosen != _PROXY:
        return str(chosen)
    return next((str(name) for name in names if name != _PROXY), "")
