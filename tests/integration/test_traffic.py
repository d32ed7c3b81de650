# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs beside live traffic: nobody loses a connection."""

from __future__ import annotations

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.live_traffic import live_traffic

RATE = 25.0
EXTRA = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}


def test_runs_without_a_change_and_one_more_link_cost_no_connection(restored_mesh: Mesh) -> None:
    with live_traffic(restored_mesh.lab, RATE) as traffic:
        unchanged = [restored_mesh.site() for _ in range(2)]
        added = restored_mesh.with_changes(links=[MYSQL, EXTRA]).site()
    assert [run.changed for run in unchanged] == [0, 0]
    assert added.ok, added.output
    assert added.changed > 0
    assert traffic.rate >= 20
    assert traffic.lost == []
    assert traffic.broken_sessions == []


def test_the_traffic_notices_a_link_that_is_taken_away(restored_mesh: Mesh) -> None:
    """The control."""
    with live_traffic(restored_mesh.lab, RATE) as traffic:
        gone = restored_mesh.with_changes(links=[EXTRA]).site()
    assert gone.ok, gone.output
    assert traffic.lost
