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
