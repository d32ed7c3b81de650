# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One gateway Service for both sides: a cluster that serves and dials through the same pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.support.lab_mesh import MYSQL, REPORTS, Mesh
from tests.lab.wait import eventually

INGRESS = {
    "namespace": "istio-system",
    "service": "istio-ingressgateway",
    "selector": {"istio": "ingressgateway"},
}
TO_B = {**MYSQL, "servers": ["cluster-b"], "clients": ["cluster-a"]}
BOTH_SIDES = ["cluster-a", "cluster-b"]


@pytest.fixture
def one_gateway(mesh: Mesh) -> Mesh:
    mesh.hosts = {"cluster-a": {"mesh_egress_gateway": INGRESS}, "cluster-b": {}}
    mesh.groups = {"mesh_servers": BOTH_SIDES, "mesh_clients": BOTH_SIDES}
    mesh.links = [TO_B, REPORTS]
    run = mesh.site()
    assert run.ok, run.output
    assert _ports(mesh) == {13307, 15443}
    return mesh


def _ports(mesh: Mesh) -> set[int]:
    found = mesh.get("cluster-a", "service", "istio-ingressgateway", "-n", "istio-system")
    return {port["port"] for port in found["spec"]["ports"]} - {15021, 80, 443}


def test_both_ports_stay_through_a_second_run_and_the_link_carries(one_gateway: Mesh) -> None:
    assert eventually(one_gateway.carries)
    run = one_gateway.site()
    assert run.ok, run.output
    assert run.changed == 0
    assert _ports(one_gateway) == {13307, 15443}


@pytest.mark.parametrize(
    ("kept", "ports"),
    [
        pytest.param(TO_B, {15443}, id="client"),
        pytest.param(REPORTS, {13307}, id="server", marks=pytest.mark.slow),
    ],
)
def test_a_side_that_stays_keeps_its_port_when_the_other_goes(
    one_gateway: Mesh, kept: dict[str, Any], ports: set[int]
) -> None:
    run = one_gateway.with_changes(links=[kept]).site()
    assert run.ok, run.output
    assert _ports(one_gateway) == ports
    assert one_gateway.carries() == (kept is TO_B)
