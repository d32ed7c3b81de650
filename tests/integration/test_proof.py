# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run ends well when every ready gateway pod serves what was issued, not before."""

from __future__ import annotations

import signal

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh

pytestmark = pytest.mark.slow

CLUSTER, POD = "cluster-a", "istio-egressgateway-0"
# The client's certificate names its links: with one more link it is issued anew.
EXTRA = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}


def test_a_gateway_that_is_cut_off_from_its_mesh_fails_the_run_until_it_is_back(restored_mesh: Mesh) -> None:
    changed = restored_mesh.with_changes(links=[MYSQL, EXTRA], variables={"mesh_gate_timeout": 5})
    restored_mesh.lab.signal(CLUSTER, POD, "pilot-agent", signal.SIGSTOP)
    try:
        run = changed.site()
    finally:
        restored_mesh.lab.signal(CLUSTER, POD, "pilot-agent", signal.SIGCONT)
    assert not run.ok
    assert run.recap["cluster-a"]["failed"] == 1
    assert run.recap["cluster-b"]["failed"] == 0
    assert run.reports("not-served", "gateway istio-system/istio-egressgateway")
    assert run.reports("not-served", "pod istio-egressgateway-0: serves", "after 5 s")
    again = changed.site()
    assert again.ok, again.output
