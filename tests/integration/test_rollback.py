# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An older copy of the CA store lies in its place: every run stops, until the operator says that it is the newest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.support import credential_secrets, state_snapshots
from tests.integration.support.lab_mesh import Mesh


@pytest.mark.slow
def test_an_older_copy_of_the_store_stops_every_run_until_it_is_reconciled(restored_mesh: Mesh, tmp_path: Path) -> None:
    mesh = restored_mesh
    backup = shutil.copytree(mesh.store, tmp_path / "backup")
    renewed = mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true")
    assert renewed.ok, renewed.output
    verified = mesh.play("verify")
    assert verified.ok, verified.output
    before, serials = state_snapshots.versions_everywhere(mesh), credential_secrets.serials(mesh)
    shutil.rmtree(mesh.store)
    shutil.copytree(backup, mesh.store)
    for playbook in ("site", "rotate_certificates", "rotate_ca", "verify"):
        run = mesh.play(playbook)
        assert not run.ok
        assert run.reports("store-rolled-back", "cluster-", "reconcile_ca"), run.output
        assert run.changed == 0
    told = mesh.play("reconcile_ca")
    assert not told.ok
    generation = json.loads((backup / "authority.json").read_text(encoding="utf-8"))["generation"]
    assert told.reports("restore-unconfirmed", f"custom_ca_restored={generation}", *serials), told.output
    done = mesh.play("reconcile_ca", "-e", f"custom_ca_restored={generation}")
    assert done.ok, done.output
    assert state_snapshots.versions_everywhere(mesh) == before, "nothing is written to a cluster"
    run = mesh.site()
    assert run.ok, run.output
    assert (run.changed, credential_secrets.serials(mesh)) == (0, serials), "what is in service stays"
    verified = mesh.play("verify")
    assert verified.ok, verified.output
    assert mesh.carries()
