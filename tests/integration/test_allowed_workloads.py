"""Which workloads of a client's mesh may use a link: the egress gateway asks for their mesh identity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
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
