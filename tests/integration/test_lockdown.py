# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces whose egress is locked down: what is closed, what still works, and what of others is in the way.

The lab has no CNI, so what a NetworkPolicy stops is decided in tests/unit/test_lockdown.py; here Istio does its part.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import LOCKDOWN, MYSQL, Mesh, Run, locked_down
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.web_servers import POD_WEB_SERVER
from tests.lab.wait import eventually

Json = dict[str, Any]

CLIENT, SHOP, OUTSIDER = "mysql-client", "shop-0", "outsider"
# Of no Service and no ServiceEntry.
PORT = 18080
OTHER: Json = {**MYSQL, "name": "other", "fqdn": "other.server.example.com", "port": 3307, "tls_port": 13307}
EGRESS = "istio-egressgateway.istio-system.svc.cluster.local"


def succeeded(run: Run) -> Run:
    assert run.ok, run.output
    return run


@pytest.fixture
def listener(shared_mesh: Mesh) -> Iterator[None]:
    """A server in the other cluster that neither mesh knows of."""
    process = shared_mesh.lab.popen("cluster-b", "mysql-0", [sys.executable, str(POD_WEB_SERVER), str(PORT)])
    try:
        eventually(lambda: reaches(shared_mesh, OUTSIDER))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def reaches(mesh: Mesh, pod: str) -> bool:
    """Whether a pod gets the listener's answer, by its address."""
    address = mesh.lab.pod("cluster-b", "mysql-0").address
    found = mesh.lab.run("cluster-a", pod, ["curl", "--silent", "--max-time", "10", f"http://{address}:{PORT}/"])
    return address in found.stdout


def carries(mesh: Mesh, pod: str, link: Json) -> bool:
    found = mesh.lab.mysql_from("cluster-a", pod, "SELECT 4711", fqdn=link["fqdn"], port=link["port"])
    return found.stdout.strip() == "4711"


def shown(mesh: Mesh, pod: str) -> set[str]:
    """The links' names that a pod's proxy has been told of at all."""
    clusters = mesh.lab.envoy("cluster-a", pod, "clusters")
    return {link["fqdn"] for link in (MYSQL, OTHER) if f"outbound|{link['port']}||{link['fqdn']}::" in clusters}


@contextmanager
def applied(mesh: Mesh, *manifests: Json) -> Iterator[None]:
    """Objects of others in the clients' cluster, for the length of the block."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    mesh.lab.kubectl("cluster-a", "apply", "--server-side", "--field-manager=ops", "-f", "-", stdin=text)
    try:
        yield
    finally:
        mesh.lab.kubectl("cluster-a", "delete", "--ignore-not-found", "-f", "-", stdin=text)


def manifest(kind: str, namespace: str, name: str, **spec: Any) -> Json:
    group = "networking.k8s.io" if kind == "NetworkPolicy" else "networking.istio.io"
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}


# -- what is closed ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("listener")
def test_an_address_outside_of_the_registry_is_out_of_reach_and_the_link_is_not(restored_mesh: Mesh) -> None:
    assert reaches(restored_mesh, CLIENT)
    mesh = locked_down(restored_mesh, "default")
    succeeded(mesh.site())
    eventually(lambda: not reaches(mesh, CLIENT))
    assert mesh.carries()
    # The controls: the same from a namespace that is not locked down, with a sidecar and without.
    assert reaches(mesh, SHOP)
    assert reaches(mesh, OUTSIDER)
    assert succeeded(mesh.site()).changed == 0
    succeeded(restored_mesh.site())
    assert LOCKDOWN.isdisjoint(restored_mesh.names("cluster-a"))
    eventually(lambda: reaches(restored_mesh, CLIENT))


def test_a_pod_without_a_sidecar_is_refused_by_the_egress_gateway(restored_mesh: Mesh) -> None:
    gateway = restored_mesh.lab.pod("cluster-a", "istio-egressgateway-0").address
    tls = ["openssl", "s_client", "-connect", f"{gateway}:15443", "-servername", MYSQL["fqdn"], "-quiet"]
    refused = restored_mesh.lab.run("cluster-a", OUTSIDER, tls)
    assert "alert certificate required" in refused.stderr
    # The controls: that port answers for this name only, and a pod with a sidecar comes through it.
    assert (
        "alert certificate required" not in restored_mesh.lab.run("cluster-a", OUTSIDER, [*tls[:-2], "x.test"]).stderr
    )
    with restored_mesh.lab.capture("cluster-a", "istio-egressgateway-0", "tcp port 15443") as wire:
        assert restored_mesh.carries()
    assert MYSQL["fqdn"].encode() in wire.payload


@pytest.mark.slow
def test_two_links_of_different_namespaces_on_one_egress_gateway(restored_mesh: Mesh) -> None:
    links = [
        {**MYSQL, "workloads": {"namespaces": ["default"]}},
        {**OTHER, "workloads": {"service_accounts": ["shop/shop"]}},
    ]
    mesh = locked_down(restored_mesh, "default", "shop", links=links)
    succeeded(mesh.site())
    eventually(lambda: carries(mesh, CLIENT, MYSQL) and carries(mesh, SHOP, OTHER))
    eventually(lambda: not carries(mesh, CLIENT, OTHER) and not carries(mesh, SHOP, MYSQL))
    assert shown(mesh, CLIENT) == {MYSQL["fqdn"]}
    assert shown(mesh, SHOP) == {OTHER["fqdn"]}
    assert succeeded(mesh.site()).changed == 0
    # The control: without `workloads` each works from both.
    open_to_all = locked_down(restored_mesh, "default", "shop", links=[MYSQL, OTHER])
    succeeded(open_to_all.site())
    eventually(lambda: all(carries(mesh, pod, link) for pod in (CLIENT, SHOP) for link in (MYSQL, OTHER)))
    assert shown(mesh, CLIENT) == shown(mesh, SHOP) == {MYSQL["fqdn"], OTHER["fqdn"]}


# -- what of others is in the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="for the namespace"),
        pytest.param(
            {"workloadSelector": {"labels": {"app": "shop"}}, "egress": [{"hosts": ["./*"]}]},
            id="for some pods",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_sidecar_of_others_refuses_the_run_before_anything_is_written(restored_mesh: Mesh, spec: Json) -> None:
    spec = spec or {"egress": [{"hosts": ["*/*"]}]}
    with applied(restored_mesh, manifest("Sidecar", "shop", "theirs", **spec)):
        before = state_snapshots.versions_everywhere(restored_mesh)
        run = locked_down(restored_mesh, "shop").site()
        assert run.code != 0
        assert run.reports("foreign-sidecar", "Sidecar shop/theirs"), run.output
        assert state_snapshots.versions_everywhere(restored_mesh) == before
        # The control: in a namespace that is not locked down it is nobody's business.
        succeeded(locked_down(restored_mesh, "default").site())


@pytest.mark.slow
def test_a_sidecar_of_others_under_our_name_is_taken_over_if_that_is_said(restored_mesh: Mesh) -> None:
    mesh = locked_down(restored_mesh, "shop")
    with applied(restored_mesh, manifest("Sidecar", "shop", "egress-lockdown", egress=[{"hosts": ["./*"]}])):
        refused = mesh.site()
        assert refused.code != 0
        assert refused.reports("not-ours", "Sidecar shop/egress-lockdown", "made by ops", "mesh_adopt=true")
        succeeded(mesh.site("-e", "mesh_adopt=true"))
        found = mesh.get("cluster-a", "sidecars", "egress-lockdown", "-n", "shop")
        assert found["spec"]["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
        assert succeeded(mesh.site()).changed == 0


def test_policies_of_others_that_allow_more_are_reported_and_others_are_not(restored_mesh: Mesh) -> None:
    wide = manifest("NetworkPolicy", "shop", "wide", podSelector={}, egress=[{}], policyTypes=["Egress"])
    block = {"ipBlock": {"cidr": restored_mesh.lab.cluster("cluster-a").pod_network}}
    narrow = manifest("NetworkPolicy", "shop", "narrow", podSelector={}, egress=[{"to": [block]}])
    narrow["spec"]["policyTypes"] = ["Egress"]
    with applied(restored_mesh, wide, narrow):
        run = succeeded(locked_down(restored_mesh, "shop").site())
    assert run.reports("wider-policy", "[WARNING]: cluster-a: NetworkPolicy shop/wide", "every address (every port)"), (
        run.output
    )
    assert "shop/narrow" not in run.output


def test_a_rule_of_others_that_hides_the_way_is_reported_before_the_run(restored_mesh: Mesh) -> None:
    rule = manifest(
        "DestinationRule", "default", "everything", host="*.local", trafficPolicy={"tls": {"mode": "SIMPLE"}}
    )
    # Whoever it selects: the others of its namespace are without ours as well.
    selective = {**rule, "spec": {**rule["spec"], "workloadSelector": {"matchLabels": {"app": "nobody"}}}}
    with applied(restored_mesh, selective):
        eventually(lambda: not restored_mesh.carries())
    eventually(restored_mesh.carries)
    with applied(restored_mesh, rule):
        eventually(lambda: not restored_mesh.carries())
        looked = succeeded(restored_mesh.site("--check"))
    said = (
        "cluster-missing",
        "[WARNING]: cluster-a: DestinationRule default/everything",
        "link mysql: workloads of namespace default fail",
    )
    assert looked.reports(*said), looked.output
    # The control.
    eventually(restored_mesh.carries)
    assert not succeeded(restored_mesh.site()).reports(said[0])


@pytest.mark.slow
def test_a_rule_of_others_beside_ours_with_another_export_is_reported_before_the_run(restored_mesh: Mesh) -> None:
    with applied(restored_mesh, manifest("DestinationRule", "istio-system", "theirs", host=EGRESS, exportTo=["*"])):
        eventually(lambda: not restored_mesh.carries())
        looked = restored_mesh.site("--check")
        assert not looked.ok
    assert looked.reports("cluster-missing", "DestinationRule istio-system/theirs", "link mysql"), looked.output
    # The control.
    eventually(restored_mesh.carries)


# -- how long it lasts ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_others_change_or_delete_is_put_back(restored_mesh: Mesh) -> None:
    mesh = locked_down(restored_mesh, "shop")
    succeeded(mesh.site())
    patch = {"spec": {"policyTypes": ["Ingress"], "egress": []}}
    target = ("networkpolicy/egress-lockdown", "-n", "shop")
    mesh.lab.kubectl("cluster-a", "patch", *target, "--type=merge", "-p", json.dumps(patch), "--field-manager=ops")
    mesh.lab.kubectl("cluster-a", "delete", "sidecar/egress-lockdown", "-n", "shop")
    drifted = mesh.play("verify")
    assert drifted.code != 0
    assert drifted.says("Sidecar shop/egress-lockdown: it does not exist", "was changed by ops"), drifted.output
    succeeded(mesh.site())
    succeeded(mesh.play("verify"))
    assert mesh.get("cluster-a", *target)["spec"]["policyTypes"] == ["Egress"]


@pytest.mark.slow
def test_a_run_for_some_links_and_a_teardown(restored_mesh: Mesh) -> None:
    mesh = locked_down(restored_mesh, "default", "shop")
    limited = succeeded(mesh.site("-e", '{"mesh_only_links": ["mysql"]}'))
    assert limited.changed == 0
    assert LOCKDOWN.isdisjoint(mesh.names("cluster-a"))
    succeeded(mesh.site())
    assert mesh.names("cluster-a") >= LOCKDOWN
    succeeded(mesh.play("teardown"))
    assert mesh.names("cluster-a") == set()


@pytest.mark.slow
def test_the_documented_permissions_are_enough_and_needed_only_here(restored_mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(restored_mesh.lab, tmp_path, without="crossmesh-lockdown-read") as kubeconfig:
        variables = {"mesh_kubeconfig": str(kubeconfig)}
        succeeded(restored_mesh.with_changes(variables=variables).site())
        refused = locked_down(restored_mesh, "default", variables=variables).site()
        assert refused.code != 0
        # Sidecars are listed to foresee what links meet, too.
        assert refused.reports("not-permitted", "403 for: list networkpolicies."), refused.output
    with documented_account(restored_mesh.lab, tmp_path) as kubeconfig:
        variables = {"mesh_kubeconfig": str(kubeconfig)}
        succeeded(locked_down(restored_mesh, "default", variables=variables).site())
        assert restored_mesh.names("cluster-a") >= LOCKDOWN
        succeeded(restored_mesh.with_changes(variables=variables).site())
        assert LOCKDOWN.isdisjoint(restored_mesh.names("cluster-a"))
