# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is revoked is refused from the same run on, and nobody else notices."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CRLNumber

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.integration.support import credential_secrets
from tests.integration.support.cluster_faults import EGRESS, INGRESS, frozen_agent
from tests.integration.support.credential_secrets import BOTH, CLIENT, SERVER
from tests.integration.support.foreign_certificates import GONE, LINK, custom_ca_issuer, stolen_certificate
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import Mesh, passed
from tests.integration.support.live_traffic import live_traffic

SOON = ("-e", '{"mesh_gate_timeout": 3}')


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def revoking(mesh: Mesh, **entry: Any) -> Mesh:
    return mesh.with_changes(variables={"custom_ca_revoked": [{"date": now(), "reason": "keyCompromise", **entry}]})


def nothing_is_revoked_any_more(mesh: Mesh) -> None:
    passed(mesh.site())
    assert [credential_secrets.revocation_lists(mesh, secret) for secret in BOTH] == [[], []]
    assert mesh.carries()


@pytest.fixture
def stolen_leaf(restored_mesh: Mesh) -> Leaf:
    return stolen_certificate(restored_mesh)


def test_a_revoked_client_is_refused_and_others_are_not(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    context = client_context(stolen_leaf)
    assert GREETING in gateway_answer(restored_mesh, context), "it is let in before"
    mesh, before = revoking(restored_mesh, cluster=GONE), credential_secrets.serials(restored_mesh)
    with live_traffic(restored_mesh.lab, 20, held=3) as traffic:
        passed(mesh.site())
        assert gateway_answer(restored_mesh, context) == b""
        assert GREETING in gateway_answer(
            restored_mesh,
            client_context(custom_ca_issuer(restored_mesh.store, restored_mesh.passphrase).leaf("client", [LINK])),
        )
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    assert credential_secrets.serials(restored_mesh) == before, "what is not revoked is not touched"
    assert mesh.site().changed == 0
    passed(mesh.play("verify"))
    nothing_is_revoked_any_more(restored_mesh)


def test_what_is_still_entitled_is_issued_anew_in_the_same_run(restored_mesh: Mesh) -> None:
    before = credential_secrets.serials(restored_mesh)
    mesh = revoking(restored_mesh, link="mysql")
    with live_traffic(restored_mesh.lab, 20, held=3) as traffic:
        passed(mesh.site())
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    assert not set(before) & set(credential_secrets.serials(restored_mesh))
    revoked = {
        f"{entry.serial_number:x}"
        for crl in credential_secrets.revocation_lists(restored_mesh, SERVER)
        for entry in crl
    }
    assert set(before) <= revoked
    assert mesh.site().changed == 0
    nothing_is_revoked_any_more(restored_mesh)


@pytest.mark.slow
def test_a_rotation_of_certificates_publishes_too(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    passed(revoking(restored_mesh, cluster=GONE).play("rotate_certificates"))
    assert gateway_answer(restored_mesh, client_context(stolen_leaf)) == b""
    assert restored_mesh.carries()


@pytest.mark.slow
def test_verify_says_that_a_list_is_due(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    run = revoking(restored_mesh, cluster=GONE).play("verify")
    assert run.code != 0
    assert run.reports("crl-due", "has no CRL yet"), run.output


@pytest.mark.slow
def test_lists_are_what_openssl_takes_for_right(restored_mesh: Mesh, stolen_leaf: Leaf, tmp_path: Path) -> None:
    mesh = revoking(restored_mesh, cluster=GONE)
    passed(mesh.site())
    (first,) = credential_secrets.revocation_lists(restored_mesh, SERVER)
    (root,) = (restored_mesh.store / "roots").glob("*.crt")
    path = tmp_path / "list.crl"
    path.write_bytes(first.public_bytes(Encoding.PEM))
    checked = subprocess.run(
        ["openssl", "crl", "-in", str(path), "-CAfile", str(root), "-noout", "-verify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "verify OK" in checked.stderr + checked.stdout
    leaf = tmp_path / "leaf.crt"
    leaf.write_text(stolen_leaf.certificate_pem, encoding="ascii")
    refused = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", str(path), "-CAfile", str(root), str(leaf)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "certificate revoked" in refused.stderr + refused.stdout
    mesh.variables["custom_ca_revoked"].append({"serial": "abcdef", "date": now()})
    passed(mesh.site())
    (second,) = credential_secrets.revocation_lists(restored_mesh, SERVER)
    assert _number(second) > _number(first)
    assert {crl.signature for crl in credential_secrets.revocation_lists(restored_mesh, CLIENT)} == {second.signature}


@pytest.mark.slow
def test_revocation_in_every_phase_of_a_root_rotation(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    """A list for each root that is trusted, or everybody is refused."""
    mesh, context = revoking(restored_mesh, cluster=GONE), client_context(stolen_leaf)
    with live_traffic(restored_mesh.lab, 20, held=3) as traffic:
        passed(restored_mesh.play("rotate_ca", "-e", "mesh_rotate_phase=prepare"))
        passed(mesh.site())
        assert gateway_answer(restored_mesh, context) == b""
        assert [len(credential_secrets.revocation_lists(restored_mesh, secret)) for secret in BOTH] == [2, 2]
        passed(mesh.play("rotate_ca", "-e", "mesh_rotate_phase=switch"))
        mesh.variables["custom_ca_revoked"].append({"cluster": "cluster-a", "date": now()})
        passed(mesh.play("rotate_certificates"))
        assert [len(credential_secrets.revocation_lists(restored_mesh, secret)) for secret in BOTH] == [2, 2]
        passed(mesh.play("rotate_ca", "-e", "mesh_rotate_phase=retire"))
        assert [len(credential_secrets.revocation_lists(restored_mesh, secret)) for secret in BOTH] == [1, 1]
        assert gateway_answer(restored_mesh, context) == b"", "its root is trusted no more"
        # The other way round: lists are there already when a rotation begins.
        passed(mesh.play("rotate_ca"))
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    assert mesh.site().changed == 0
    nothing_is_revoked_any_more(restored_mesh)


def test_a_typing_error_is_told(shared_mesh: Mesh) -> None:
    run = revoking(shared_mesh, cluster="cluster-zzz").site()
    assert run.ok
    assert run.reports("revokes-nothing", "[WARNING]: cluster-a: custom_ca_revoked", "cluster-zzz"), run.output
    wrong = shared_mesh.with_changes(
        variables={"custom_ca_revoked": [{"cluster": "cluster-a", "date": "2099-01-01"}]}
    ).site()
    assert wrong.code != 0
    assert wrong.reports("revoked-date", "custom_ca_revoked[0]"), wrong.output
    assert wrong.changed == 0


def _number(crl: Any) -> int:
    number: int = crl.extensions.get_extension_for_class(CRLNumber).value.crl_number
    return number


@pytest.mark.slow
def test_a_client_that_could_not_be_given_another_certificate_is_not_cut_off(restored_mesh: Mesh) -> None:
    """Its gateway still presents the revoked one: lists wait until it has the next."""
    mesh = revoking(restored_mesh, link="mysql")
    with live_traffic(restored_mesh.lab, 20) as traffic:
        with frozen_agent(restored_mesh, EGRESS):
            run = mesh.site(*SOON)
            assert run.code != 0
            assert run.reports("crl-withheld", "cluster-a"), run.output
        server_only = mesh.play("rotate_certificates", "-e", "mesh_rotate_side=server")
        assert server_only.code != 0
        assert server_only.reports("crl-withheld", "the side not in mesh_rotate_side"), server_only.output
        assert credential_secrets.revocation_lists(restored_mesh, SERVER) == []
        passed(mesh.site())
    assert len(credential_secrets.revocation_lists(restored_mesh, SERVER)) == 1
    assert traffic.lost == []


@pytest.mark.slow
def test_as_long_as_a_gateway_has_not_got_its_list_every_run_says_so(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    mesh, context = revoking(restored_mesh, cluster=GONE), client_context(stolen_leaf)
    with frozen_agent(restored_mesh, INGRESS):
        runs = [mesh.site(*SOON), mesh.site(*SOON), mesh.play("verify")]
        assert GREETING in gateway_answer(restored_mesh, context), "who is revoked is let in still"
    assert [run.ok for run in runs] == [False, False, False]
    assert runs[1].reports("not-served", "has CRLs nothing for mysql-credential"), runs[1].output
    passed(mesh.site())
    assert gateway_answer(restored_mesh, context) == b""
    passed(mesh.play("verify"))


@pytest.mark.slow
def test_check_mode_predicts_what_a_revocation_changes(restored_mesh: Mesh, stolen_leaf: Leaf) -> None:
    mesh = revoking(restored_mesh, cluster=GONE)
    predicted, done = mesh.site("--check"), mesh.site()
    assert predicted.changes() == done.changes()
    assert done.changed > 0


@pytest.mark.slow
def test_a_run_over_a_part_does_not_cut_off_who_is_still_entitled(restored_mesh: Mesh) -> None:
    """Its certificate is revoked, and only a run that takes it in can give it another one."""
    before = credential_secrets.serials(restored_mesh)
    mesh = revoking(restored_mesh, cluster="cluster-a")
    run = mesh.site("--limit", "localhost,cluster-b")
    assert run.code != 0
    assert run.reports("crl-withheld", "cluster-a"), run.output
    assert restored_mesh.carries()
    assert credential_secrets.serials(restored_mesh) == before
    passed(mesh.site())
    assert restored_mesh.carries()
