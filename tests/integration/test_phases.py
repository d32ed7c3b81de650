# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In each phase of a root rotation all else goes on and keeps it: other playbooks, a new cluster, a revocation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.integration.support import credential_secrets
from tests.integration.support.cluster_faults import EGRESS, frozen_agent
from tests.integration.support.credential_secrets import BOTH, CLIENT
from tests.integration.support.foreign_certificates import GONE, stolen_certificate
from tests.integration.support.gateway_handshakes import GREETING, client_context, gateway_answer
from tests.integration.support.lab_mesh import MYSQL, REPORTS, Mesh, passed
from tests.integration.support.live_traffic import live_traffic

# How many roots are trusted in each phase.
PHASES = {"prepared": 2, "switched": 2, "retiring": 1}
JOINING = ("cluster-b", "client-credential")


def reach(mesh: Mesh, phase: str) -> None:
    passed(mesh.play("rotate_ca", "-e", "mesh_rotate_phase=prepare"))
    if phase in ("switched", "retiring"):
        passed(mesh.play("rotate_ca", "-e", "mesh_rotate_phase=switch"))
    if phase == "retiring":
        # The old root is on its way out, and stays there while a gateway is behind.
        with frozen_agent(mesh, EGRESS):
            behind = mesh.play("rotate_ca", "-e", "mesh_rotate_phase=retire", "-e", '{"mesh_gate_timeout": 3}')
        assert behind.code != 0
        assert behind.reports("rotation-blocked", "stays in phase retiring"), behind.output


def nightly_runs_change_no_root(mesh: Mesh) -> None:
    roots, issuers = credential_secrets.trusted_roots(mesh, CLIENT), credential_secrets.issuers(mesh)
    assert passed(mesh.site()).changed == 0
    passed(mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
    assert [credential_secrets.trusted_roots(mesh, secret) for secret in BOTH] == [roots, roots]
    assert credential_secrets.issuers(mesh) == issuers


def a_cluster_that_joins_gets_what_the_others_have(mesh: Mesh) -> None:
    everybody = {"mesh_servers": ["cluster-a", "cluster-b"], "mesh_clients": ["cluster-a", "cluster-b"]}
    links = [{**MYSQL, "servers": ["cluster-b"], "clients": ["cluster-a"]}, REPORTS]
    passed(mesh.with_changes(groups=everybody, links=links).site())
    assert credential_secrets.trusted_roots(mesh, JOINING) == credential_secrets.trusted_roots(mesh, CLIENT)
    assert credential_secrets.issuer(mesh, JOINING) == credential_secrets.issuer(mesh, CLIENT)
    passed(mesh.site())
    assert "Secret/client-credential" not in mesh.names("cluster-b")


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_all_else_goes_on(linked_mesh: Mesh, phase: str) -> None:
    with live_traffic(linked_mesh.lab, 100, held=20) as traffic:
        reach(linked_mesh, phase)
        nightly_runs_change_no_root(linked_mesh)
        a_cluster_that_joins_gets_what_the_others_have(linked_mesh)

        context = client_context(stolen_certificate(linked_mesh))
        assert GREETING in gateway_answer(linked_mesh, context), "it is let in before"
        entry = {"cluster": GONE, "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        revoking = linked_mesh.with_changes(variables={"custom_ca_revoked": [entry]})
        passed(revoking.site())
        assert gateway_answer(linked_mesh, context) == b""
        assert [len(credential_secrets.revocation_lists(linked_mesh, secret)) for secret in BOTH] == [PHASES[phase]] * 2

        assert passed(revoking.play("verify")).says(f"phase {phase}"), (
            "nothing of all this has gone on with the rotation"
        )
        passed(revoking.play("rotate_ca"))
    assert traffic.rate > 90
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    assert [len(credential_secrets.trusted_roots(linked_mesh, secret)) for secret in BOTH] == [1, 1]
