# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: one entry in an inventory carries MySQL between two meshes."""

from __future__ import annotations

from tests.integration.support.lab_mesh import Mesh


def test_a_row_written_in_one_mesh_is_read_in_the_other(shared_mesh: Mesh) -> None:
    shared_mesh.lab.mysql("CREATE TABLE IF NOT EXISTS rows_seen (id INT); INSERT INTO rows_seen VALUES (4711)")
    try:
        assert "4711" in shared_mesh.lab.mysql_local("SELECT id FROM rows_seen")
    finally:
        shared_mesh.lab.mysql_local("DROP TABLE rows_seen")


def test_a_second_run_changes_nothing(shared_mesh: Mesh) -> None:
    run = shared_mesh.site()
    assert run.ok, run.output
    assert run.changed == 0


def test_a_run_ends_with_a_table_of_every_link_and_says_when_the_next_renewal_is_due(shared_mesh: Mesh) -> None:
    for playbook in ("site", "verify"):
        run = shared_mesh.play(playbook)
        assert run.ok, run.output
        (row,) = [line.split() for line in run.output.splitlines() if line.startswith("mysql ")]
        assert row[:3] == ["mysql", "cluster-a", "cluster-b"]
        assert row[-3:] == ["1/1", "1/1", "up"], "each side's one gateway pod serves it"
        assert run.says("CERTIFICATES UNTIL", "next renewal due: ")


def test_a_run_that_changes_nothing_costs_a_cluster_one_task(shared_mesh: Mesh) -> None:
    run = shared_mesh.site()
    assert run.ok, run.output
    assert [run.count(cluster) for cluster in ("cluster-a", "cluster-b")] == [1, 1]


def test_a_number_may_be_given_on_the_command_line(shared_mesh: Mesh) -> None:
    run = shared_mesh.site("-e", "mesh_gate_timeout=20")
    assert run.ok, run.output
    refused = shared_mesh.site("-e", "mesh_gate_timeout=20s")
    assert not refused.ok
    assert refused.says("mesh_gate_timeout: '20s': is not a whole number"), refused.output
