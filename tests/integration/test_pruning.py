# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not wanted any more goes, and nothing else; a run that would take everything away is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import MYSQL, Mesh

OTHER: dict[str, Any] = {
    **MYSQL,
    "name": "reports",
    "fqdn": "reports.server.example.com",
    "port": 3307,
    "tls_port": 13307,
}
BOTH = [MYSQL, OTHER]
SERVER_SIDE = {"Gateway/gateway-mysql", "VirtualService/mysql-virtual-service", "Secret/mysql-credential"}
CLIENT_SIDE = {
    "ServiceEntry/mysql-external",
    "Gateway/egressgateway-mysql",
    "DestinationRule/egressgateway-for-mysql",
    "DestinationRule/originate-mtls-for-mysql",
    "VirtualService/direct-mysql-through-egress-gateway",
}
CREDENTIAL = "Secret/client-credential"


def _ports(mesh: Mesh, cluster: str, gateway: str) -> set[int]:
    found = mesh.get(cluster, "service", gateway, "-n", "istio-system")
    return {port["port"] for port in found["spec"]["ports"]}


def _reports(mesh: Mesh) -> set[str]:
    return {name for cluster in mesh.hosts for name in mesh.names(cluster) if "reports" in name}


@pytest.fixture
def two_links(shared_mesh: Mesh) -> Mesh:
    mesh = shared_mesh.with_changes(links=BOTH)
    run = mesh.site()
    assert run.ok, run.output
    assert len(_reports(mesh)) == len(SERVER_SIDE) + len(CLIENT_SIDE)
    assert 13307 in _ports(mesh, "cluster-b", "istio-ingressgateway")
    return mesh


@pytest.mark.parametrize(
    "links",
    [
        pytest.param([MYSQL], id="removed-from-mesh_links"),
        pytest.param([MYSQL, {**OTHER, "state": "absent"}], id="state-absent", marks=pytest.mark.slow),
    ],
)
def test_a_link_that_is_not_wanted_goes_and_the_other_stays(two_links: Mesh, links: list[dict[str, Any]]) -> None:
    kept = {c: [i for i in two_links.objects(c) if "mysql-" in str(i["metadata"]["name"])] for c in two_links.hosts}
    mesh = two_links.with_changes(links=links)
    run = mesh.site()
    assert run.ok, run.output
    assert run.says("delete ServiceEntry istio-system/reports-external", "link reports is no longer wanted here")
    assert _reports(mesh) == set()
    assert _ports(mesh, "cluster-b", "istio-ingressgateway") == {15021, 80, 443, 13306}
    for cluster, items in kept.items():
        now = {item["metadata"]["uid"]: item for item in mesh.objects(cluster)}
        assert all(now[item["metadata"]["uid"]] == item for item in items), "an object of the other link was written"
    assert mesh.carries()
    assert mesh.site().changed == 0


@pytest.mark.slow
def test_a_cluster_that_leaves_the_servers_is_pruned_on_that_side(restored_mesh: Mesh) -> None:
    groups = {"mesh_servers": ["cluster-a"], "mesh_clients": ["cluster-b"]}
    mesh = restored_mesh.with_changes(groups=groups, links=[{**MYSQL, "fqdn": "mysql.client.example.com"}])
    run = mesh.site()
    assert run.ok, run.output
    assert mesh.names("cluster-b") == CLIENT_SIDE | {CREDENTIAL}
    assert mesh.names("cluster-a") == SERVER_SIDE
    assert _ports(mesh, "cluster-b", "istio-ingressgateway") == {15021, 80, 443}
    assert _ports(mesh, "cluster-b", "istio-egressgateway") == {80, 443, 15443}
    assert _ports(mesh, "cluster-a", "istio-egressgateway") == {80, 443}


@pytest.mark.slow
def test_a_cluster_that_leaves_one_of_its_two_groups_keeps_the_other_side(restored_mesh: Mesh) -> None:
    both = restored_mesh.with_changes(
        groups={"mesh_servers": ["cluster-a", "cluster-b"], "mesh_clients": ["cluster-a"]}
    )
    links = [{**MYSQL, "servers": ["cluster-b"]}, {**OTHER, "servers": ["cluster-a"], "clients": []}]
    assert both.with_changes(links=links).site().ok
    assert "Secret/reports-credential" in restored_mesh.names("cluster-a")
    run = restored_mesh.site()
    assert run.ok, run.output
    assert restored_mesh.names("cluster-a") == CLIENT_SIDE | {CREDENTIAL}
    assert _ports(restored_mesh, "cluster-a", "istio-ingressgateway") == {15021, 80, 443}
    assert restored_mesh.carries()


def test_a_cluster_that_is_to_leave_the_inventory_is_emptied(restored_mesh: Mesh) -> None:
    mesh = restored_mesh.with_changes(hosts={"cluster-a": {"mesh_cluster_state": "absent"}, "cluster-b": {}})
    run = mesh.site()
    assert run.ok, run.output
    assert mesh.names("cluster-a") == set()
    assert mesh.names("cluster-b") == SERVER_SIDE
    assert _ports(mesh, "cluster-a", "istio-egressgateway") == {80, 443}
    back = restored_mesh.site()
    assert back.ok, back.output
    assert restored_mesh.carries(), "it is a client again"


@pytest.mark.parametrize(
    ("description", "code"),
    [
        pytest.param({"links": None}, "links-undefined", id="mesh_links-undefined"),
        pytest.param({"links": []}, "prunes-everything", id="mesh_links-empty"),
        pytest.param({"links": [{**MYSQL, "state": "absent"}]}, "prunes-everything", id="all-absent"),
        pytest.param(
            {"groups": {"mesh_servers": [], "mesh_clients": []}, "hosts": {"cluster-a": {}, "cluster-b": {}}},
            "prunes-everything",
            id="groups-empty",
        ),
        pytest.param(
            {"hosts": {name: {"mesh_cluster_state": "absent"} for name in ("cluster-a", "cluster-b")}},
            "prunes-everything",
            id="all-clusters-absent",
        ),
    ],
)
def test_a_run_that_would_take_everything_away_is_refused(
    shared_mesh: Mesh, description: dict[str, Any], code: str
) -> None:
    before = state_snapshots.versions_everywhere(shared_mesh)
    run = shared_mesh.with_changes(**description).site()
    assert run.code != 0
    assert run.reports(code, "mesh_prune_all=true"), run.output
    assert state_snapshots.versions_everywhere(shared_mesh) == before


def test_everything_goes_when_that_is_said_in_so_many_words(restored_mesh: Mesh) -> None:
    run = restored_mesh.with_changes(links=[]).site("-e", "mesh_prune_all=true")
    assert run.ok, run.output
    assert all(restored_mesh.names(cluster) == set() for cluster in restored_mesh.hosts)
    assert _ports(restored_mesh, "cluster-b", "istio-ingressgateway") == {15021, 80, 443}
    assert _ports(restored_mesh, "cluster-a", "istio-egressgateway") == {80, 443}
