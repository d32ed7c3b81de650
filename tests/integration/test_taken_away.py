# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken out of the inventory is told while its certificate is accepted, and refused where that is asked for."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.support import credential_secrets
from tests.integration.support.credential_secrets import BOTH, SERVER
from tests.integration.support.foreign_certificates import GONE, LINK, custom_ca_issuer, stolen_certificate
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import Mesh, passed
from tests.integration.support.live_traffic import live_traffic

# Who has a certificate of the store and is no cluster of the inventory: nobody else is left.
DECLARED = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]}


def test_who_was_taken_away_is_told_and_let_in_until_it_is_revoked(restored_mesh: Mesh) -> None:
    stolen = stolen_certificate(restored_mesh)
    told = passed(restored_mesh.site())
    assert told.reports("removed-still-valid", GONE, stolen.view.serial, "{cluster: 'cluster-gone'"), told.output
    assert GREETING in gateway_answer(restored_mesh, client_context(stolen)), "the control: it is let in"
    mesh = restored_mesh.with_changes(variables={"custom_ca_revoke_removed": True, "mesh_clusters": DECLARED})
    with live_traffic(restored_mesh.lab, 20, held=3) as traffic:
        run = passed(mesh.site())
        assert gateway_answer(restored_mesh, client_context(stolen)) == b""
        staying = custom_ca_issuer(restored_mesh.store, restored_mesh.passphrase).leaf("client", [LINK])
        assert GREETING in gateway_answer(restored_mesh, client_context(staying))
    assert not run.reports("removed-still-valid", GONE), run.output
    assert (traffic.lost, traffic.broken_sessions) == ([], [])
    assert mesh.site().changed == 0
    passed(mesh.play("verify"))
    passed(restored_mesh.site())
    assert [credential_secrets.revocation_lists(restored_mesh, secret) for secret in BOTH] == [[], []]


@pytest.mark.slow
def test_verify_says_it_and_a_nightly_rotation_does_not(restored_mesh: Mesh) -> None:
    stolen_certificate(restored_mesh)
    assert passed(restored_mesh.play("verify")).reports("removed-still-valid", GONE)
    assert not passed(restored_mesh.play("rotate_certificates")).reports("removed-still-valid", GONE)


@pytest.mark.slow
def test_check_mode_predicts_what_a_removal_revokes(restored_mesh: Mesh) -> None:
    stolen_certificate(restored_mesh)
    mesh = restored_mesh.with_changes(variables={"custom_ca_revoke_removed": True, "mesh_clusters": DECLARED})
    predicted, done = mesh.site("--check"), mesh.site()
    assert predicted.changes() == done.changes()
    assert done.changed > 0


@pytest.mark.slow
def test_a_teardown_says_what_its_clusters_hold(restored_mesh: Mesh) -> None:
    run = passed(restored_mesh.play("teardown"))
    assert run.reports("removed-still-valid", "cluster cluster-a", "{cluster: 'cluster-a'"), run.output
    assert run.reports("removed-still-valid", "cluster cluster-b", "{cluster: 'cluster-b'"), run.output


@pytest.mark.slow
def test_after_a_restore_a_revocation_reaches_what_is_in_service(restored_mesh: Mesh, tmp_path: Path) -> None:
    """The backup is older than the renewal: no record knows what gateways present."""
    backup = shutil.copytree(restored_mesh.store, tmp_path / "backup")
    passed(restored_mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
    passed(restored_mesh.play("verify"))
    in_service = credential_secrets.serials(restored_mesh)
    shutil.rmtree(restored_mesh.store)
    shutil.copytree(backup, restored_mesh.store)
    alarmed = restored_mesh.play("verify")
    assert not alarmed.ok
    assert alarmed.reports("unrecorded-certificate", "ALARM: Secret istio-system/client-credential"), alarmed.output
    generation = json.loads((backup / "authority.json").read_text(encoding="utf-8"))["generation"]
    passed(restored_mesh.play("reconcile_ca", "-e", f"custom_ca_restored={generation}"))
    entry = {"cluster": "cluster-a", "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    mesh = restored_mesh.with_changes(variables={"custom_ca_revoked": [entry]})
    passed(mesh.site())
    (found,) = credential_secrets.revocation_lists(mesh, SERVER)
    assert {f"{item.serial_number:x}" for item in found} & set(in_service), "what was in service is refused"
    assert mesh.carries()
    passed(mesh.play("verify"))
