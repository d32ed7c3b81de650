# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CronJobs of playbook schedule are such that an API server takes them."""

from __future__ import annotations

from pathlib import Path

from tests.integration.support.lab_mesh import Mesh


def scheduled(mesh: Mesh) -> Path:
    folder = mesh.folder / "schedule"
    run = mesh.play("schedule", "-e", f"mesh_schedule_dir={folder}", "-e", "mesh_schedule_image=ee:1")
    assert run.ok, run.output
    return folder


def test_an_api_server_takes_the_cronjobs(mesh: Mesh) -> None:
    path = scheduled(mesh.with_changes(variables={"mesh_schedule_namespace": "default"})) / "kubernetes/cronjobs.yaml"
    # Without defaults of the server's own: it judges what is written.
    dry_run = ("apply", "--dry-run=server", "--validate=strict", "-f")
    assert "created (server dry run)" in mesh.lab.kubectl("cluster-a", *dry_run, str(path)).stdout
    broken = path.with_name("broken.yaml")
    broken.write_text(path.read_text().replace("concurrencyPolicy: Forbid", "concurrencyPolicy: Never"))
    found = mesh.lab.kubectl("cluster-a", *dry_run, str(broken), check=False)
    assert "concurrencyPolicy" in found.stderr, "the control"
