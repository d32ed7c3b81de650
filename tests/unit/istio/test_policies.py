# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies: who is let in, and in which mode."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    authorization,
    others,
    peer_authentication,
    scopes,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.authorization import Call
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy
from tests.unit.istio.objects import GATE, HOST, ROOT, SHOP, TEAM, Object, entry, gateway, made, mesh_of

CALLER = "spiffe://cluster.local/ns/shop/sa/web"
HERE = Proxy(TEAM, {"app": "db"})


def policy(place: str, action: str, *rules: Object, **spec: Any) -> Object:
    return made("AuthorizationPolicy", place, action=action, rules=list(rules), **spec)


def source(**fields: list[str]) -> Object:
    return {"from": [{"source": fields}]}


def operation(**fields: list[str]) -> Object:
    return {"to": [{"operation": fields}]}


def when(key: str, **fields: list[str]) -> Object:
    return {"when": [{"key": key, **fields}]}


def verdict(*policies: Object, caller: str = CALLER, sni: str = HOST, http: bool = False) -> bool | None:
    found = authorization.policies_for(mesh_of(*policies), HERE)
    return authorization.judge(found, Call(caller, 3306, sni, http)).allowed


ALL: Object = {}


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ([], True),
        ([policy(f"{TEAM}/a", "ALLOW")], False),
        ([policy(f"{TEAM}/a", "ALLOW", ALL)], True),
        ([policy(f"{TEAM}/a", "DENY")], True),
        ([policy(f"{TEAM}/a", "DENY", ALL)], False),
        ([policy(f"{TEAM}/a", "ALLOW", ALL), policy(f"{TEAM}/b", "DENY", ALL)], False),
        ([policy(f"{TEAM}/a", "ALLOW"), policy(f"{TEAM}/b", "ALLOW", ALL)], True),
        ([policy(f"{TEAM}/a", "AUDIT")], True),
        ([policy(f"{TEAM}/a", "CUSTOM", ALL)], None),
        ([policy(f"{ROOT}/a", "DENY", ALL)], False),
        ([policy(f"{SHOP}/a", "DENY", ALL)], True),
        ([policy(f"{TEAM}/a", "DENY", ALL, selector={"matchLabels": {"app": "db"}})], False),
        ([policy(f"{TEAM}/a", "DENY", ALL, selector={"matchLabels": {"app": "web"}})], True),
        ([policy(f"{TEAM}/a", "DENY", ALL, targetRefs=[{"kind": "Gateway", "name": "g"}])], True),
    ],
)
def test_which_policies_count_and_in_which_order(policies: list[Object], allowed: bool | None) -> None:
    assert verdict(*policies) is allowed


def test_a_policy_that_is_only_tried_out_refuses_nobody() -> None:
    tried = policy(f"{TEAM}/a", "DENY", ALL)
    tried["metadata"]["annotations"] = {"istio.io/dry-run": "true"}
    assert verdict(tried) is True


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (source(namespaces=["shop"]), True),
        (source(namespaces=["sh*"]), True),
        (source(namespaces=["hop"]), False),
        (source(notNamespaces=["shop"]), False),
        (source(principals=["cluster.local/ns/shop/sa/web"]), True),
        (source(principals=["*/sa/web"]), True),
        (source(principals=["cluster.local/*"]), True),
        (source(principals=["cluster.local/ns/shop/sa/we"]), False),
        (source(notPrincipals=["*"]), False),
        (source(serviceAccounts=["shop/web"]), True),
        (source(serviceAccounts=["web"]), False),
        (source(trustDomains=["cluster.local"]), True),
        (source(namespaces=["shop"], notPrincipals=["*/sa/web"]), False),
        ({"from": [{"source": {"namespaces": ["x"]}}, {"source": {"namespaces": ["shop"]}}]}, True),
        (operation(ports=["3306"]), True),
        (operation(notPorts=["3306"]), False),
        (operation(ports=["1", "3306"]), True),
        (when("connection.sni", values=[HOST]), True),
        (when("connection.sni", values=["*.example.com"]), True),
        (when("connection.sni", notValues=[HOST]), False),
        (when("source.namespace", values=["shop"]), True),
        ({**source(namespaces=["shop"]), **operation(ports=["1"])}, False),
        (source(ipBlocks=["10.0.0.0/8"]), None),
    ],
)
def test_what_a_rule_asks_for(rule: Object, matches: bool | None) -> None:
    denied = None if matches is None else not matches
    assert verdict(policy(f"{TEAM}/a", "DENY", rule)) is denied
    assert verdict(policy(f"{TEAM}/a", "ALLOW", rule)) is matches


def test_an_account_without_a_namespace_is_of_the_policys() -> None:
    rule = source(serviceAccounts=["web"])
    assert verdict(policy(f"{TEAM}/a", "ALLOW", rule), caller="spiffe://cluster.local/ns/team/sa/web") is True


@pytest.mark.parametrize("caller", ["", "client.example"])
def test_who_has_no_identity_of_the_mesh(caller: str) -> None:
    assert verdict(policy(f"{TEAM}/a", "ALLOW", source(namespaces=["*"])), caller=caller) is False
    assert verdict(policy(f"{TEAM}/a", "DENY", source(notPrincipals=["cluster.local/*"])), caller=caller) is False
    assert verdict(policy(f"{TEAM}/a", "ALLOW", source(principals=["*"])), caller=caller) is bool(caller)


@pytest.mark.parametrize(
    "rule", [operation(paths=["/x"]), source(requestPrincipals=["*"]), when("request.headers[a]", values=["b"])]
)
def test_what_only_http_has(rule: Object) -> None:
    """Beside tcp a DENY forgets it, so that it refuses more; an ALLOW forgets the whole rule."""
    assert verdict(policy(f"{TEAM}/a", "DENY", rule)) is False
    assert verdict(policy(f"{TEAM}/a", "ALLOW", rule)) is False
    assert verdict(policy(f"{TEAM}/a", "DENY", rule), http=True) is None
    assert verdict(policy(f"{TEAM}/a", "ALLOW", rule), http=True) is None


# -- PeerAuthentication --------------------------------------------------------------------------------------------


def peer(place: str, age: int = 5, mode: str = "", **spec: Any) -> Object:
    return made("PeerAuthentication", place, age, **{**({"mtls": {"mode": mode}} if mode else {}), **spec})


def mode(*policies: Object, port: int = 3306, namespace: str = TEAM) -> str:
    return peer_authentication.effective(mesh_of(*policies), namespace, {"app": "db"}).at(port)[0]


MINE: Any = {"selector": {"matchLabels": {"app": "db"}}}


@pytest.mark.parametrize(
    ("policies", "found"),
    [
        ([], "PERMISSIVE"),
        ([peer(f"{ROOT}/a", 5, "STRICT")], "STRICT"),
        ([peer(f"{ROOT}/a", 5, "STRICT"), peer(f"{TEAM}/a", 9, "DISABLE")], "DISABLE"),
        ([peer(f"{ROOT}/a", 5, "STRICT"), peer(f"{TEAM}/a", 9, "UNSET")], "STRICT"),
        ([peer(f"{ROOT}/a", 5, "STRICT"), peer(f"{TEAM}/a", 9)], "STRICT"),
        ([peer(f"{TEAM}/a", 5, "STRICT"), peer(f"{TEAM}/b", 1, "PERMISSIVE")], "PERMISSIVE"),
        ([peer(f"{TEAM}/a", 5, "STRICT"), peer(f"{TEAM}/b", 5, "PERMISSIVE")], "STRICT"),
        ([peer(f"{TEAM}/a", 1, "STRICT"), peer(f"{TEAM}/b", 9, "DISABLE", **MINE)], "DISABLE"),
        ([peer(f"{TEAM}/a", 1, "STRICT"), peer(f"{TEAM}/b", 9, "UNSET", **MINE)], "STRICT"),
        ([peer(f"{TEAM}/a", 1, "STRICT", selector={"matchLabels": {"app": "x"}})], "PERMISSIVE"),
        ([peer(f"{ROOT}/a", 1, "STRICT", **MINE)], "PERMISSIVE"),
        ([peer(f"{SHOP}/a", 1, "STRICT")], "PERMISSIVE"),
        ([peer(f"{TEAM}/a", 1, "STRICT", portLevelMtls={"3306": {"mode": "DISABLE"}}, **MINE)], "DISABLE"),
        ([peer(f"{TEAM}/a", 1, "STRICT", portLevelMtls={"3306": {"mode": "UNSET"}}, **MINE)], "STRICT"),
        ([peer(f"{TEAM}/a", 1, "STRICT", portLevelMtls={"3307": {"mode": "DISABLE"}}, **MINE)], "STRICT"),
        ([peer(f"{TEAM}/a", 1, "STRICT", portLevelMtls={"3306": {"mode": "DISABLE"}})], "STRICT"),
    ],
)
def test_the_narrowest_and_of_those_the_oldest_counts(policies: list[Object], found: str) -> None:
    assert mode(*policies) == found


def test_which_policy_decides() -> None:
    found = peer_authentication.effective(mesh_of(peer(f"{TEAM}/a", 1, "STRICT")), TEAM, {})
    assert found.source is not None
    assert found.source.title == "PeerAuthentication team/a"


# -- what is only named --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "context", "selector", "counts"),
    [
        (f"{GATE}/f", "GATEWAY", {}, True),
        (f"{GATE}/f", "ANY", {}, True),
        (f"{GATE}/f", "SIDECAR_INBOUND", {}, False),
        (f"{ROOT}/f", "GATEWAY", {}, True),
        (f"{SHOP}/f", "GATEWAY", {}, False),
        (f"{GATE}/f", "GATEWAY", {"istio": "egress"}, True),
        (f"{GATE}/f", "GATEWAY", {"istio": "ingress"}, False),
    ],
)
def test_which_envoy_filters_a_gateway_has(place: str, context: str, selector: dict[str, str], counts: bool) -> None:
    patches = [{"applyTo": "LISTENER", "match": {"context": context}}]
    found = made("EnvoyFilter", place, configPatches=patches, workloadSelector={"labels": selector})
    assert bool(others.filters_for(mesh_of(found), gateway())) is counts


def test_policies_of_the_gateway_api_on_a_host() -> None:
    ours = entry(f"{GATE}/ours")
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "ours"}
    mesh = mesh_of(
        ours,
        made("BackendTLSPolicy", f"{GATE}/p", targetRefs=[target]),
        made("BackendTLSPolicy", f"{SHOP}/elsewhere", targetRefs=[target]),
        made("XBackendTrafficPolicy", f"{GATE}/other", targetRefs=[{**target, "name": "other"}]),
    )
    service = scopes.scope_of(mesh, gateway()).services[HOST]
    assert [meta.title for meta in others.policies_on(mesh, service)] == ["BackendTLSPolicy gates/p"]
