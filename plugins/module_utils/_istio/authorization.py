# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AuthorizationPolicies: whether a workload or a gateway lets somebody in, and which policy decides. Pure.

PRIVATE to the collection. Those of its own namespace and of the root namespace count that select it. DENY comes before
ALLOW; where there is any ALLOW, only what one of them names gets in
(L(Istio,https://istio.io/latest/docs/concepts/security/#implicit-enablement)). What can only be asked of HTTP does not
count in a DENY for other traffic, and makes a rule of an ALLOW void
(L(Istio,https://istio.io/latest/docs/concepts/security/#using-istio-authorization-on-plain-tcp-protocols)).
A selector names labels, and a policy with C(targetRefs) is for waypoints and gateways of the Gateway API
(L(Istio,https://istio.io/latest/docs/reference/config/security/authorization-policy/#AuthorizationPolicy)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    AuthorizationPolicy,
    Condition,
    Meta,
    Proxy,
    Rule,
)

__all__ = ["Call", "Verdict", "judge", "policies_for"]

# Values of a condition that only HTTP has.
_HTTP_ONLY = ("hosts", "paths", "methods", "requestPrincipals", "request.")
_SAME = {
    "source.principal": "principals",
    "source.namespace": "namespaces",
    "source.serviceAccount": "serviceAccounts",
    "source.trustDomain": "trustDomains",
    "destination.port": "ports",
}


@dataclass(frozen=True)
class Call:
    """A connection, as far as policies look at it.

    :param principal: who calls, as its certificate names it first, such as C(spiffe://…); empty without mutual TLS.
    :param port: of the pod, not of its Service.
    :param sni: empty without TLS.
    """

    principal: str
    port: int
    sni: str = ""
    http: bool = False


@dataclass(frozen=True)
class Verdict:
    """:param allowed: None where it depends on more than a call says.
    :param by: the policies that decide, or might.
    """

    allowed: bool | None
    by: tuple[Meta, ...] = ()


def policies_for(mesh: Mesh, proxy: Proxy) -> list[AuthorizationPolicy]:
    """The policies that a proxy goes by."""
    places = (mesh.settings.root, proxy.namespace)
    return [
        policy
        for policy in sorted(mesh.authorization_policies, key=lambda policy: policy.meta.age)
        if policy.meta.namespace in places and not policy.targeted and selects(policy.selector, proxy.labels)
    ]


def judge(policies: Iterable[AuthorizationPolicy], call: Call) -> Verdict:
    effective = [policy for policy in policies if not policy.dry_run]
    perhaps: list[Meta] = [policy.meta for policy in effective if policy.action == "CUSTOM"]
    for policy in effective:
        if policy.action == "DENY":
            matched = _any(_matches(rule, policy, call) for rule in policy.rules)
            if matched:
                return Verdict(False, (policy.meta,))
            if matched is None:
                perhaps.append(policy.meta)
    allowing = [policy for policy in effective if policy.action == "ALLOW"]
    results = [_any(_matches(rule, policy, call) for rule in policy.rules) for policy in allowing]
    if not allowing or True in results:
        return Verdict(None if perhaps else True, tuple(perhaps))
    if None in results:
        return Verdict(None, (*perhaps, *(policy.meta for policy in allowing)))
    return Verdict(False, tuple(policy.meta for policy in allowing))


def _any(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if True in found:
        return True
    return None if None in found else False


def _all(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if False in found:
        return False
    return None if None in found else True


def _not(result: bool | None) -> bool | None:
    return None if result is None else not result


def _matches(rule: Rule, policy: AuthorizationPolicy, call: Call) -> bool | None:
    everything = [*rule.conditions, *(item for part in (*rule.sources, *rule.operations) for item in part)]
    if policy.action == "ALLOW" and not call.http and any(_is_http_only(item) for item in everything):
        return False
    namespace = policy.meta.namespace
    return _all(
        [
            _one_of(rule.sources, call, namespace),
            _one_of(rule.operations, call, namespace),
            *(_holds(item, call, namespace) for item in _that_count(rule.conditions, call)),
        ]
    )


def _one_of(parts: Sequence[Sequence[Condition]], call: Call, namespace: str) -> bool | None:
    if not parts:
        return True
    return _any(_all(_holds(item, call, namespace) for item in _that_count(part, call)) for part in parts)


def _that_count(conditions: Iterable[Condition], call: Call) -> Iterator[Condition]:
    return (item for item in conditions if call.http or not _is_http_only(item))


def _is_http_only(condition: Condition) -> bool:
    return condition.key.startswith(_HTTP_ONLY) and bool(condition.values or condition.exceptions)


def _holds(condition: Condition, call: Call, namespace: str) -> bool | None:
    key = _SAME.get(condition.key, condition.key)
    wanted = _any(_is(key, value, call, namespace) for value in condition.values) if condition.values else True
    refused = _any(_is(key, value, call, namespace) for value in condition.exceptions)
    return _all([wanted, _not(refused)])


def _is(key: str, value: str, call: Call, namespace: str) -> bool | None:
    if key == "principals":
        return _fits(value, call.principal) if value == "*" else _fits_identity(value, call.principal)
    if key == "namespaces":
        pattern = ".*".join(map(re.escape, value.split("*")))
        return re.fullmatch(f".*/ns/{pattern}/.*", call.principal) is not None
    if key == "serviceAccounts":
        place, slash, account = value.rpartition("/")
        return call.principal.endswith(f"/ns/{place if slash else namespace}/sa/{account}")
    if key == "trustDomains":
        scheme, _slashes, rest = call.principal.partition("//")
        return scheme == "spiffe:" and _fits(value, rest.partition("/")[0])
    if key == "ports":
        return value == str(call.port)
    if key == "connection.sni":
        return _fits(value, call.sni)
    return None


def _fits_identity(pattern: str, principal: str) -> bool:
    """As C(_fits), of what follows C(spiffe://), which a policy does not write."""
    identity = principal.removeprefix("spiffe://")
    return identity != principal and _fits(pattern, identity)


def _fits(pattern: str, text: str) -> bool:
    """As Istio reads a value: C(*), a prefix, a suffix, or the whole."""
    if pattern == "*":
        return bool(text)
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
