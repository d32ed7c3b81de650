# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One link, two servers: the nearest serves, the other takes over when it cannot be reached, and hands back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.support.lab_mesh import CLUSTER_C, MYSQL, Mesh
from tests.lab.wait import eventually

NEAR, FAR = "/mysql-0/", "/mysql-1/"
NEAR_GATEWAY = "cluster-b.istio-ingressgateway-0.proxy"


def mesh_with_servers(mesh: Mesh, servers: list[Any] | None, fqdn: str = MYSQL["fqdn"]) -> Mesh:
    """A link of two clusters; the client's gateway is in region eu, as cluster-b is, and cluster-c in us."""
    mesh.hosts = {"cluster-a": {}, "cluster-b": {}, "cluster-c": dict(CLUSTER_C)}
    mesh.groups = {"mesh_servers": ["cluster-b", "cluster-c"], "mesh_clients": ["cluster-a"]}
    mesh.links = [{**MYSQL, "fqdn": fqdn, **({"servers": servers} if servers else {})}]
    run = mesh.site()
    assert run.ok, run.output
    return mesh


@pytest.fixture
def near_and_far(mesh: Mesh) -> Mesh:
    at_b = mesh.lab.pod("cluster-b", "istio-ingressgateway-0").address
    at_c = mesh.lab.pod("cluster-c", "edge-0").address
    return mesh_with_servers(
        mesh,
        [
            {"name": "cluster-c", "address": at_c, "locality": "us/us-1"},
            {"name": "cluster-b", "address": at_b, "locality": "eu/eu-2"},
        ],
    )


def answers(mesh: Mesh, fqdn: str = MYSQL["fqdn"], times: int = 10) -> set[str]:
    """Which databases answer new connections; an empty text where none does."""
    found = set()
    for _ in range(times):
        said = mesh.lab.mysql_from("cluster-a", "mysql-client", "SELECT @@socket", fqdn=fqdn).stdout
        found.add(next((name for name in (NEAR, FAR) if name in said), ""))
    return found


@contextmanager
def stopped_process(mesh: Mesh, process: str) -> Iterator[None]:
    mesh.lab.stop(process)
    try:
        yield
    finally:
        mesh.lab.start(process)
        ready = f"http://{mesh.lab.pod('cluster-b', 'istio-ingressgateway-0').address}:15021/healthz/ready"
        probe = ["curl", "--silent", "--fail", "--max-time", "2", ready]
        eventually(lambda: mesh.lab.run("cluster-b", "mysql-0", probe).returncode == 0, within=60)


def test_the_nearest_serves_and_the_other_takes_over_while_it_is_away(near_and_far: Mesh) -> None:
    mesh = near_and_far
    eventually(lambda: answers(mesh) == {NEAR})
    with stopped_process(mesh, NEAR_GATEWAY):
        eventually(lambda: answers(mesh) == {FAR})
    eventually(lambda: answers(mesh) == {NEAR}, within=60)


@pytest.mark.slow
def test_a_name_with_two_addresses_is_served_by_both_and_by_one_while_the_other_is_away(mesh: Mesh) -> None:
    fqdn = "mysql.both.example.com"
    mesh_with_servers(mesh, None, fqdn)
    eventually(lambda: answers(mesh, fqdn) == {NEAR, FAR})
    with stopped_process(mesh, NEAR_GATEWAY):
        eventually(lambda: answers(mesh, fqdn) == {FAR})
    eventually(lambda: answers(mesh, fqdn) == {NEAR, FAR}, within=60)


def test_the_only_server_is_never_left_out(linked_mesh: Mesh) -> None:
    """A gateway that was away a moment ago is asked again at once: there is nobody else to ask."""
    eventually(linked_mesh.carries)
    with stopped_process(linked_mesh, NEAR_GATEWAY):
        assert not any(linked_mesh.carries() for _ in range(5))
        clusters = linked_mesh.lab.envoy("cluster-a", "istio-egressgateway-0", "clusters")
        assert "mysql.server.example.com" in clusters
        assert "failed_outlier_check" not in clusters
    eventually(linked_mesh.carries)
