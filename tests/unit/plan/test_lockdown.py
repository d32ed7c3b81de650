# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace whose egress is locked down: what is written, what it closes, and what of others is in its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ForeignPolicy, PolicyRule
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.lockdown import warnings
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from tests.unit.cluster.network import Connection, Pod, allows
from tests.unit.plan.test_plan import POLICY, plan_of, reading
from tests.unit.support import CLIENT, Json, link, view
from tests.unit.test_templates import manifests

CIDRS = ["10.0.0.0/16", "10.96.0.0/12", "fd00:10::/32"]
LOCKED: Json = {"mesh_egress_lockdown": ["shop"], "mesh_cluster_cidrs": CIDRS}
OWNER = Owner("default", "cluster-a", "client")
SIDECAR, NETWORK_POLICY = "Sidecar shop/egress-lockdown", "NetworkPolicy shop/egress-lockdown"


def written(**changes: Any) -> dict[str, Json]:
    return manifests("client", [link()], **{**LOCKED, **changes})


# -- what is written -----------------------------------------------------------------------------------------------


def test_a_namespace_gets_a_sidecar_and_a_network_policy_that_belong_to_no_link() -> None:
    found = written()
    assert found[SIDECAR]["spec"] == {
        "egress": [{"hosts": ["*/*"]}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    known = {kind.kind: kind.api_version for kind in names.KINDS}
    for title in (SIDECAR, NETWORK_POLICY):
        assert found[title]["apiVersion"] == known[title.partition(" ")[0]]
        assert found[title]["metadata"]["labels"] == OWNER.labels("client")


def test_without_a_lock_down_there_is_neither() -> None:
    assert {SIDECAR, NETWORK_POLICY}.isdisjoint(manifests("client", [link()]))
    # The control.
    assert {SIDECAR, NETWORK_POLICY} <= set(written())


def test_the_last_link_of_a_cluster_opens_no_namespace() -> None:
    elsewhere = link(clients=["cluster-c"])
    assert set(manifests("client", [elsewhere], **LOCKED)) == {SIDECAR, NETWORK_POLICY}


@pytest.mark.parametrize(
    ("links", "changes"),
    [
        ([], {}),
        ([link(state="absent")], {}),
        ([link()], {"mesh_cluster_state": "absent"}),
        ([link()], {"groups": ["mesh_servers"]}),
    ],
    ids=["no link at all", "no link any more", "a cluster that leaves", "no client"],
)
def test_where_nothing_of_ours_is_wanted_it_goes_as_well(links: list[Json], changes: Json) -> None:
    found = view(links, {**CLIENT, **LOCKED, **changes})
    assert (found["client"]["lockdowns"], found["request"]["lockdown"]) == ([], [])


# -- who sees a link -----------------------------------------------------------------------------------------------

WORKLOADS = {"namespaces": ["shop", "web"], "service_accounts": ["billing/reports", "shop/cart"]}


def exported(**changes: Any) -> dict[str, Any]:
    found = manifests("client", [link(workloads=WORKLOADS)], **changes)
    return {title.partition("/")[2]: item["spec"].get("exportTo") for title, item in found.items()}


def test_a_link_of_some_workloads_is_shown_to_them_and_to_the_gateway_alone() -> None:
    seen = exported(**LOCKED)
    narrowed = ["billing", "istio-system", "shop", "web"]
    assert seen.pop("mysql-external") == seen.pop("direct-mysql-through-egress-gateway") == narrowed
    # Rules of one host that are exported differently are not merged.
    assert set(seen.values()) == {None}
    assert {"egressgateway-for-mysql", "originate-mtls-for-mysql", "egressgateway-mysql"} <= set(seen)


def test_others_and_clusters_without_a_lock_down_keep_istios_default() -> None:
    assert set(exported().values()) == {None}
    assert all("exportTo" not in item["spec"] for item in written().values())


# -- what the policy lets through ----------------------------------------------------------------------------------

SHOP, LEGACY = Pod("shop", {"app": "cart"}), Pod("legacy")
GATEWAY = Pod("istio-system", {"istio": "egressgateway", "app": "istio-egressgateway"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})

PASSES = {
    "DNS in a pod": Connection(SHOP, "172.16.0.10", 53, "UDP", DNS),
    "DNS by TCP": Connection(SHOP, "172.16.0.10", 53, pod=DNS),
    "a node's DNS cache": Connection(SHOP, "169.254.20.10", 53, "UDP"),
    "the egress gateway": Connection(SHOP, "172.16.0.11", 15443, pod=GATEWAY),
    "the control plane, outside of ipBlocks": Connection(SHOP, "172.16.0.12", 15012, pod=Pod("istio-system")),
    "a Service": Connection(SHOP, "10.96.3.4", 443),
    "a pod of the cluster": Connection(SHOP, "10.0.7.8", 3306, pod=LEGACY),
    "the cluster's IPv6": Connection(SHOP, "fd00:10::7", 443),
}
STOPS = {
    "the internet": Connection(SHOP, "203.0.113.80", 443),
    "the internet by UDP": Connection(SHOP, "203.0.113.80", 443, "UDP"),
    "DNS of the internet": Connection(SHOP, "203.0.113.53", 53, "UDP"),
    "a service of the internet on DNS's port": Connection(SHOP, "203.0.113.53", 53),
    "the other cluster's ingress gateway": Connection(SHOP, "198.51.100.7", 13306),
    "the cloud's metadata": Connection(SHOP, "169.254.169.254", 80),
    "what is just beside the networks": Connection(SHOP, "10.1.0.1", 443),
    "IPv6": Connection(SHOP, "2001:db8::7", 443),
    "IPv4 in IPv6": Connection(SHOP, "::ffff:10.0.0.1", 443),
}


@pytest.mark.parametrize("connection", PASSES.values(), ids=PASSES)
def test_the_policy_lets_through_what_a_workload_needs(connection: Connection) -> None:
    assert allows([written()[NETWORK_POLICY]], connection)


@pytest.mark.parametrize("connection", STOPS.values(), ids=STOPS)
def test_the_policy_stops_all_else(connection: Connection) -> None:
    policy = written()[NETWORK_POLICY]
    assert not allows([policy], connection)
    # The controls: without it, and from another namespace.
    assert allows([], connection)
    assert allows([policy], replace(connection, source=LEGACY))


def test_the_gateways_own_rule_is_about_its_own_namespace_and_labels() -> None:
    gateway = {"namespace": "edge", "service": "out", "selector": {"app": "out"}}
    _dns, to_gateway, _cluster = written(mesh_egress_gateway=gateway)[NETWORK_POLICY]["spec"]["egress"]
    alone = {**written()[NETWORK_POLICY]}
    alone["spec"] = {**alone["spec"], "egress": [to_gateway]}
    reached = Connection(SHOP, "172.16.0.11", 15443, pod=Pod("edge", {"app": "out"}))
    assert allows([alone], reached)
    assert not allows([alone], replace(reached, pod=Pod("edge", {"app": "other"})))
    assert not allows([alone], replace(reached, pod=Pod("shop", {"app": "out"})))


def test_a_policy_of_others_adds_to_it_which_is_why_it_is_reported() -> None:
    theirs = policy_of_others([{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}])
    manifest = {
        "metadata": {"namespace": "shop", "name": "theirs"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": theirs["egress"]},
    }
    assert allows([written()[NETWORK_POLICY], manifest], STOPS["the internet"])
    assert not allows([written()[NETWORK_POLICY], manifest], STOPS["the other cluster's ingress gateway"])


# -- what of others is in its way ----------------------------------------------------------------------------------


def policy_of_others(egress: list[PolicyRule], namespace: str = "shop") -> ForeignPolicy:
    return {"namespace": namespace, "name": "theirs", "egress": egress}


def said_of(egress: list[PolicyRule], namespace: str = "shop") -> list[Message]:
    side = view([link()], {**CLIENT, **LOCKED})["client"]
    return warnings(reading(network_policies=[policy_of_others(egress, namespace)]), side)


WIDER: dict[str, tuple[list[PolicyRule], str]] = {
    "everything": ([{}], "every address (every port)"),
    "a port": ([{"ports": [{"port": 443}]}], "every address (port 443/TCP)"),
    "every port of a protocol": ([{"ports": [{"protocol": "UDP"}]}], "every address (every port/UDP)"),
    "ports": ([{"ports": [{"port": 1, "endPort": 9, "protocol": "UDP"}]}], "every address (ports 1 to 9/UDP)"),
    "a network": ([{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}], "203.0.113.0/24 (every port)"),
    "a wider network": ([{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}], "10.0.0.0/8 (every port)"),
    "IPv6": ([{"to": [{"ipBlock": {"cidr": "::/0"}}]}], "::/0 (every port)"),
    "two": ([{}, {"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]}], "every address (every port), 192.0.2.7/32 (every"),
}


@pytest.mark.parametrize(("egress", "ways"), WIDER.values(), ids=WIDER)
def test_a_policy_of_others_that_allows_more_is_reported(egress: list[PolicyRule], ways: str) -> None:
    (warning,) = said_of(egress)
    assert (warning.code, warning.where) == ("wider-policy", "NetworkPolicy shop/theirs")
    assert f": {ways}" in warning.what


@pytest.mark.parametrize(
    "egress",
    [
        [],
        [{"to": [{"podSelector": {}}]}],
        [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}],
        [{"to": [{"ipBlock": {"cidr": "10.0.3.0/24"}}, {"ipBlock": {"cidr": "fd00:10:1::/48"}}]}],
    ],
    ids=["nothing", "pods of the namespace", "pods of all", "the cluster's own networks"],
)
def test_a_policy_of_others_that_allows_no_more_is_left_alone(egress: list[PolicyRule]) -> None:
    assert said_of(egress) == []


def test_a_policy_of_another_namespace_does_not_matter() -> None:
    assert said_of([{}], namespace="legacy") == []


THEIR_SIDECAR: Json = {"namespace": "shop", "name": "default"}


def locked_plan(policy: Any = POLICY, **found: Any) -> Plan:
    wanted = list(written().values())
    return plan_of(reading(**found), side="client", variables={**CLIENT, **LOCKED}, manifests=wanted, policy=policy)


def test_a_sidecar_of_others_forbids_the_run() -> None:
    assert sidecars_of_others(locked_plan(sidecars=[THEIR_SIDECAR])) == ["Sidecar shop/default"]
    # The control.
    assert sidecars_of_others(locked_plan()) == []


def sidecars_of_others(plan: Plan) -> list[str]:
    return [error.where for error in plan.errors if error.code == "foreign-sidecar"]


def test_it_does_not_forbid_a_rotation_or_a_run_for_some_links() -> None:
    for policy in (replace(POLICY, existing=True), replace(POLICY, only=frozenset({"mysql"}))):
        assert sidecars_of_others(locked_plan(policy, sidecars=[THEIR_SIDECAR])) == []
    adopting = replace(POLICY, existing=True, adopt=True)
    assert sidecars_of_others(locked_plan(adopting, sidecars=[THEIR_SIDECAR])) != []


def test_what_was_locked_down_is_opened_by_name_and_not_by_a_run_for_some_links() -> None:
    live = [{**item, "metadata": {**item["metadata"], "managedFields": []}} for item in written().values()]
    kinds = {"Sidecar", "NetworkPolicy"}
    found = reading(objects=[item for item in live if item["kind"] in kinds])
    opened = plan_of(found, side="client", variables=CLIENT)
    assert {item["kind"] for item in opened.work.delete} == kinds
    assert f"delete {SIDECAR}: the namespace's lock-down is no longer wanted here" in opened.work.lines
    limited = plan_of(found, side="client", variables=CLIENT, policy=replace(POLICY, only=frozenset({"mysql"})))
    assert limited.work.delete == []
