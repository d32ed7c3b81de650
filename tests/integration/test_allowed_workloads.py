# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads of a client's mesh may use a link: the egress gateway asks for their mesh identity."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.state_snapshots import versions_in_cluster
from tests.lab.wait import eventually

# The client's pod runs in namespace default, as the ServiceAccount mysql-client.
OTHER: dict[str, Any] = {
    **MYSQL,
    "name": "other",
    "fqdn": "other.server.example.com",
    "port": 3307,
    "tls_port": 13307,
}


def with_workloads(mesh: Mesh, **workloads: list[str]) -> Mesh:
    changed = mesh.with_changes(links=[{**MYSQL, "workloads": workloads}, OTHER])
    run = changed.site()
    assert run.ok, run.output
    return changed


def carries_other(mesh: Mesh) -> bool:
    return mesh.carries(fqdn=OTHER["fqdn"], port=OTHER["port"])


LISTEN = """
import socket, sys
sys.stdout.reconfigure(errors="backslashreplace")
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as session:
    session.settimeout(3)
    try:
        print(session.recv(200).decode("ascii", "replace"))
    except OSError:
        pass
"""


def greeting(mesh: Mesh) -> str:
    """What a workload hears of the database before it says anything."""
    argv = [sys.executable, "-c", LISTEN, MYSQL["fqdn"], str(MYSQL["port"])]
    return mesh.lab.run("cluster-a", "mysql-client", argv).stdout


def test_service_accounts_are_refused_before_the_server_has_spoken(restored_mesh: Mesh) -> None:
    mesh = with_workloads(restored_mesh, service_accounts=["shop/mysql-client"])
    assert eventually(lambda: greeting(mesh).strip() == "")
    # The control: by namespace the same workload is refused as well, at its first byte, and has heard the greeting.
    mesh = with_workloads(restored_mesh, namespaces=["shop"])
    assert eventually(lambda: "_password" in greeting(mesh))
    assert not mesh.carries()
    mesh = with_workloads(restored_mesh, service_accounts=["default/mysql-client"])
    assert eventually(mesh.carries)
    assert mesh.site().changed == 0


def test_another_trust_domain_is_refused_before_anything_is_written(restored_mesh: Mesh) -> None:
    named = {**MYSQL, "workloads": {"service_accounts": ["default/mysql-client"]}}
    mesh = restored_mesh.with_changes(links=[named], variables={"mesh_trust_domain": "prod.example.com"})
    before = versions_in_cluster(mesh, "cluster-a")
    run = mesh.site()
    assert not run.ok
    assert run.reports("trust-domain-differs", "link mysql", "mesh_trust_domain: cluster.local"), run.output
    assert versions_in_cluster(mesh, "cluster-a") == before


@pytest.mark.parametrize(
    ("refusing", "allowing"),
    [
        pytest.param(
            {"namespaces": ["shop"]},
            {"namespaces": ["shop", "default"]},
            id="by namespace",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"service_accounts": ["shop/mysql-client"]},
            {"service_accounts": ["default/mysql-client"]},
            id="by service account",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"namespaces": ["shop"], "service_accounts": ["default/other"]},
            {"namespaces": ["shop"], "service_accounts": ["default/mysql-client"]},
            id="by either",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_workload_that_is_not_named_is_refused_on_this_link_alone(
    restored_mesh: Mesh, refusing: dict[str, list[str]], allowing: dict[str, list[str]]
) -> None:
    mesh = with_workloads(restored_mesh, **refusing)
    eventually(lambda: not mesh.carries())
    # The control: the other link of the same gateway, and the same workload once it is named.
    assert eventually(lambda: carries_other(mesh))
    named = with_workloads(restored_mesh, **allowing)
    eventually(named.carries)
    assert carries_other(named)
    assert named.site().changed == 0
    # Without `workloads` the policy goes.
    assert "AuthorizationPolicy/egressgateway-mysql-workloads" in named.names("cluster-a")
    run = restored_mesh.site()
    assert run.ok, run.output
    assert "AuthorizationPolicy/egressgateway-mysql-workloads" not in restored_mesh.names("cluster-a")
    eventually(restored_mesh.carries)
