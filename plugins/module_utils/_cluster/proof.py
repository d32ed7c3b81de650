# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until every ready pod of a gateway serves what was issued and does what its links mean; say how that was seen.

PRIVATE to the collection. A pod is asked through exec. Where exec is forbidden a handshake tells, if the controller can
reach the ingress; where neither is open nothing is proven, and the result says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint, presented
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, SecretTrust, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import (
    Gateway,
    gateway_pods,
    read_service,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.waiting import Waiting
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short

__all__ = ["Expected", "Proof", "Trusted", "UnprovenError", "lag", "no_ready_pod", "prove"]

# Seconds between two looks.
INTERVAL = 0.2
# More than these, and a message counts the rest.
MOST_LINKS, MOST_SERIALS = 5, 3
_ALLOW_EXEC = "allow exec in the gateway's pods (docs/permissions.md)"


@dataclass(frozen=True)
class Trusted:
    """What a gateway has to trust for one Secret, no less and no more.

    :param roots: fingerprints.
    :param lists: identities of revocation lists.
    """

    secret: str
    roots: frozenset[str]
    lists: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Expected:
    """What every ready pod has to serve.

    :param serials: of leaf certificates.
    :param trust: empty asks nothing about trust.
    :param holders: by serial, what its certificate is for, in words.
    :param watch: what of a pod's proxy to look at; None for nothing.
    :param judge: what a pod does not do of the links.
    :param strict: whether that holds the proof; else it is told in warnings.
    """

    serials: frozenset[str]
    trust: tuple[Trusted, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    holders: Mapping[str, str] = field(default_factory=dict)
    watch: Watch | None = None
    judge: Callable[[Pod, Service | None], Sequence[Fault]] = lambda _pod, _service: ()
    strict: bool = True


@dataclass
class Proof:
    """What was seen: the pods that answered, and what could not be asked.

    :param faults: what they do not do of links.
    :param lacking: by pod, the serials that it does not serve, and the Secrets whose trust it does not have.
    """

    method: str
    pods: list[str] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lacking: dict[str, frozenset[str]] = field(default_factory=dict)


class UnprovenError(CrossmeshError):
    """What can be seen is still not as expected.

    :param proof: what was seen in the pods; None where one of them could not be seen.
    """

    def __init__(self, messages: Sequence[Message], proof: Proof | None) -> None:
        super().__init__(*messages)
        self.proof = proof


def prove(
    api: Api,
    gateway: Gateway,
    expected: Expected,
    timeout: float,
    *,
    wait: float = 0.0,
    say: Callable[[str], object] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    shake: Callable[[Endpoint], str | None] | None = None,
) -> Proof:
    """Look until all ready pods are as expected.

    :param timeout: seconds.
    :param wait: seconds to let pass where nothing can be seen.
    :param say: told every few seconds what is waited for.
    :param shake: the serial that an endpoint presents, empty for none, None where there is no way to it.
    :raises CrossmeshError: when what can be seen is still behind then.
    """
    waiting = Waiting(timeout, say, clock, pause)
    title = f"{api.where}: gateway {gateway.namespace}/{gateway.service}"
    service = read_service(api, gateway) if expected.watch else None
    while True:
        found = gateway_pods(api, gateway, trust=bool(expected.trust), watch=expected.watch)
        pods = [pod for pod in found if pod["ready"]]
        method, behind = _look(pods, expected, shake or presented)
        faults = [fault for pod in pods for fault in expected.judge(pod, service)]
        holding = [fault for fault in faults if expected.strict and not fault.outside]
        if not behind and not holding:
            if pods and method == "none":
                pause(wait)
            return _conclude(gateway, pods, method, wait, faults)
        if waiting.over:
            seen = replace(_conclude(gateway, pods, method, wait, faults), lacking=_lacking(pods, expected))
            whole = method == "exec" and not any(pod["problem"] for pod in pods)
            raise UnprovenError(_messages(gateway, behind, holding, timeout), seen if whole else None)
        waiting.pause(INTERVAL, f"{title}: {_waited_for(behind, holding)}")


def _waited_for(behind: Mapping[str, str], faults: Sequence[Fault]) -> str:
    broken = [f"link {fault.link}, hop {fault.hop}: {fault.code}" for fault in faults]
    return "; ".join(filter(None, [_places(behind), *_some(broken)]))


def _messages(gateway: Gateway, behind: Mapping[str, str], faults: Sequence[Fault], timeout: float) -> list[Message]:
    """The links first: what keeps one from working is why a pod has not what was issued."""
    return [*_by_link(faults), *([_not_served(gateway, behind, timeout)] if behind else [])]


def _lacking(pods: Sequence[Pod], expected: Expected) -> dict[str, frozenset[str]]:
    return {
        f"{pod['namespace']}/{pod['name']}": expected.serials.difference(pod["serials"] or ())
        | {wanted.secret for wanted in expected.trust if _distrust(pod["trust"] or {}, wanted)}
        for pod in pods
    }


def _by_link(faults: Sequence[Fault]) -> list[Message]:
    """One message a link, of a few links, and how many more there are."""
    first = {fault.link: fault for fault in sorted(faults, key=lambda fault: -fault.hop)}
    shown = [first[link] for link in sorted(first)][:MOST_LINKS]
    messages = [fault.message() for fault in shown]
    if more := len(first) - len(shown):
        what = f"{more} more links are not as they are meant: {', '.join(_some(sorted(first)[MOST_LINKS:]))}"
        messages.append(
            Message.error("links-broken", where="", what=what, fix="run playbook verify to see all of them")
        )
    return messages


def _some(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - MOST_LINKS
    return [*lines[:MOST_LINKS], *([f"and {rest} more"] if rest > 0 else [])]


def _places(behind: Mapping[str, str]) -> str:
    return "; ".join(f"{place}: {reason}" for place, reason in sorted(behind.items()))


def _not_served(gateway: Gateway, behind: Mapping[str, str], timeout: float) -> Message:
    return Message.error(
        "not-served",
        where=f"gateway {gateway.namespace}/{gateway.service}",
        what=f"the gateway does not serve what was issued: {_places(behind)}; after {timeout:.0f} s",
        fix="check that pod's istio-proxy log and istiod, and that no other run is active, then run again; "
        "mesh_gate_timeout sets how long to wait",
    )


def _look(
    pods: Sequence[Pod], expected: Expected, shake: Callable[[Endpoint], str | None]
) -> tuple[str, dict[str, str]]:
    """How it was seen, and who is behind; handshakes only where they are needed and tell something."""
    asked = [pod for pod in pods if not pod["forbidden"]]
    behind = {f"pod {pod['name']}": reason for pod in asked if (reason := lag(pod, expected))}
    if not pods:
        return "none", {}
    if behind or len(asked) == len(pods):
        return "exec", behind
    return _by_handshakes(expected, shake) if expected.endpoints else ("none", {})


def _by_handshakes(expected: Expected, shake: Callable[[Endpoint], str | None]) -> tuple[str, dict[str, str]]:
    behind = {}
    for endpoint in expected.endpoints:
        found = shake(endpoint)
        if found is None:
            return "none", {}
        if found not in expected.serials:
            place = f"{endpoint.fqdn} at {endpoint.address}:{endpoint.port}"
            behind[place] = f"presents {found or 'no certificate'}, not {listed(expected.serials)}"
    return "handshake", behind


def lag(pod: Pod, expected: Expected) -> str:
    """Why a pod is behind; empty if it is not."""
    if pod["problem"]:
        return pod["problem"]
    serials, trust = pod["serials"] or (), pod["trust"] or {}
    missing = expected.serials - set(serials)
    if missing:
        held = listed(serials) if len(serials) <= MOST_SERIALS else f"{len(serials)} other certificates"
        return f"serves {held}, not {', '.join(_some(sorted(_title(found, expected) for found in missing)))}"
    for wanted in expected.trust:
        if reason := _distrust(trust, wanted):
            return reason
    return ""


def _title(serial: str, expected: Expected) -> str:
    holder = expected.holders.get(serial, "")
    return f"{serial} ({holder})" if holder else serial


def _distrust(trusted: Mapping[str, SecretTrust], wanted: Trusted) -> str:
    found = trusted.get(wanted.secret, {"roots": (), "lists": ()})
    roots, lists = set(found["roots"]), set(found["lists"])
    if roots != wanted.roots:
        return f"trusts {listed(map(short, roots))} for {wanted.secret}, not {listed(map(short, wanted.roots))}"
    if lists != wanted.lists:
        return f"has CRLs {listed(lists)} for {wanted.secret}, not {listed(wanted.lists)}"
    return ""


def _conclude(gateway: Gateway, pods: Sequence[Pod], method: str, wait: float, faults: Sequence[Fault]) -> Proof:
    seen = _how_seen(gateway, pods, method, wait)
    return replace(
        seen, warnings=[*seen.warnings, *(fault.message("warning") for fault in faults)], faults=list(faults)
    )


def _how_seen(gateway: Gateway, pods: Sequence[Pod], method: str, wait: float) -> Proof:
    title = f"gateway {gateway.namespace}/{gateway.service}"
    names = ", ".join(pod["name"] for pod in pods if pod["forbidden"])
    asked = [pod["name"] for pod in pods if not pod["forbidden"]]
    if not pods:
        return Proof(method, warnings=[no_ready_pod(title)])
    if method == "exec":
        return Proof(method, asked)
    if method == "handshake":
        what = f"exec is forbidden in {names}; checked by handshakes instead, which reach one pod each"
        return Proof(method, asked, [Message.warning("proof-by-handshake", where=title, what=what, fix=_ALLOW_EXEC)])
    what = (
        f"not proven for {names}: exec is forbidden there, and no handshake from here reaches the gateway; waited "
        f"{wait:.0f} s instead (mesh_gate_wait)"
    )
    return Proof("wait", asked, [Message.warning("not-proven", where=title, what=what, fix=_ALLOW_EXEC)])


def no_ready_pod(title: str) -> Message:
    """The warning where there is nobody to ask.

    :param title: of the gateway.
    """
    fix = "start the gateway, or correct the selector"
    return Message.warning("no-ready-pod", where=title, what="has no ready pod, so nothing can be proven", fix=fix)
