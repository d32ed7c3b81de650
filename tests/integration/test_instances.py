# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two instances of the collection on the same clusters do not touch each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.cluster_objects import clear_clusters
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

SYSTEM = ("-n", "istio-system")
# Its name begins like the first one's. It shares the gateways' ports: tls_port and egress port are the same.
SECOND: dict[str, Any] = {"mesh_instance": "default-2", "mesh_client_credential_prefix": "second-credential"}
ORDERS = {**MYSQL, "name": "orders", "fqdn": "orders.server.example.com", "port": 3307}


@pytest.fixture
def second_instance(restored_mesh: Mesh, tmp_path: Path) -> Iterator[Mesh]:
    """Another instance beside the tutorial's link, with another CA."""
    mesh = restored_mesh.with_changes(folder=tmp_path, variables=SECOND, links=[ORDERS])
    yield mesh
    clear_clusters(mesh.lab, mesh.hosts)


def _versions(mesh: Mesh, instance: str) -> dict[str, str]:
    found = [item for cluster in mesh.hosts for item in mesh.objects(cluster, instance=instance)]
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in found}


def _ports(mesh: Mesh) -> set[int]:
    places = (("cluster-a", "istio-egressgateway"), ("cluster-b", "istio-ingressgateway"))
    found = [mesh.get(cluster, "service", name, *SYSTEM)["spec"]["ports"] for cluster, name in places]
    return {port["port"] for ports in found for port in ports} & {13306, 15443}


def _carries(mesh: Mesh) -> bool:
    link = (mesh.links or [])[0]
    return mesh.carries(fqdn=link["fqdn"], port=link["port"])


@pytest.mark.parametrize("leaving", ["default", pytest.param("default-2", marks=pytest.mark.slow)])
def test_both_carry_over_the_same_ports_and_whichever_leaves_takes_nothing_of_the_other(
    restored_mesh: Mesh, second_instance: Mesh, leaving: str
) -> None:
    untouched = _versions(restored_mesh, "default")
    run = second_instance.site()
    assert run.ok, run.output
    assert _versions(restored_mesh, "default") == untouched
    assert eventually(lambda: _carries(second_instance))
    assert _carries(restored_mesh)
    assert restored_mesh.site().changed == 0
    instances = {"default": restored_mesh, "default-2": second_instance}
    leaver = instances.pop(leaving)
    ((staying, stays),) = instances.items()
    kept = _versions(stays, staying)
    run = leaver.play("teardown")
    assert run.ok, run.output
    assert _versions(stays, leaving) == {}
    assert _versions(stays, staying) == kept
    assert _ports(stays) == {13306, 15443}
    assert _carries(stays)
    assert stays.site().changed == 0


@pytest.mark.parametrize(
    ("variables", "links", "said"),
    [
        pytest.param(
            SECOND,
            [{**ORDERS, "name": "mysql"}],
            "Gateway istio-system/gateway-mysql: it belongs to instance default, cluster cluster-b",
            id="name-of-a-link",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"mesh_instance": "default-2"},
            [ORDERS],
            "Secret istio-system/client-credential: it belongs to instance default, cluster cluster-a",
            id="name-of-the-client-credential",
        ),
    ],
)
def test_a_name_that_the_other_instance_has_is_refused_with_its_owner(
    restored_mesh: Mesh, second_instance: Mesh, variables: dict[str, Any], links: list[dict[str, Any]], said: str
) -> None:
    before = state_snapshots.versions_everywhere(restored_mesh)
    run = second_instance.with_changes(variables=variables, links=links).site()
    assert run.code != 0
    assert run.reports("of-another-instance", said), run.output
    after = state_snapshots.versions_everywhere(restored_mesh)
    refused = [cluster for cluster in restored_mesh.hosts if run.recap[cluster]["failed"]]
    assert {cluster: after[cluster] for cluster in refused} == {cluster: before[cluster] for cluster in refused}
    assert restored_mesh.carries()
