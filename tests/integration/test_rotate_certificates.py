# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates are renewed while traffic flows: cluster by cluster, each proven before the next begins."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.support import credential_secrets
from tests.integration.support.cluster_faults import INGRESS, frozen_agent, stopped_api_server
from tests.integration.support.credential_secrets import CLIENT
from tests.integration.support.foreign_certificates import custom_ca_issuer, put_into_server_secret
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.stepped_runs import stepped_run

FORCED = ("-e", "mesh_rotate_force=true")
SOON = ("-e", '{"mesh_gate_timeout": 3}')


def rotate(mesh: Mesh, *arguments: str) -> Run:
    return mesh.play("rotate_certificates", *arguments)


def test_nothing_is_renewed_before_its_time(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    run = rotate(shared_mesh)
    assert run.ok, run.output
    assert run.changed == 0
    assert credential_secrets.serials(shared_mesh) == before


def test_all_are_renewed_under_load_and_nobody_notices(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    with live_traffic(shared_mesh.lab, 50, held=5) as traffic:
        run = rotate(shared_mesh, *FORCED)
    assert run.ok, run.output
    assert not set(before) & set(credential_secrets.serials(shared_mesh))
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    servers, clients = (run.output.index(f"PLAY [Rotate the {side}' certificates") for side in ("servers", "clients"))
    assert servers < run.output.index("changed: [cluster-b]") < clients < run.output.index("changed: [cluster-a]")
    assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_one_cluster_only(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    assert rotate(shared_mesh, *FORCED, "--limit", "cluster-a").ok
    after = credential_secrets.serials(shared_mesh)
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, False]


def test_a_side_that_there_is_not_is_refused(shared_mesh: Mesh) -> None:
    run = rotate(shared_mesh, *FORCED, "-e", "mesh_rotate_side=both")
    assert run.code != 0
    assert run.reports("rotate-side", "both"), run.output
    assert run.changed == 0


def test_check_mode_says_what_would_be_renewed(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    run = rotate(shared_mesh, *FORCED, "--check", "--diff")
    assert run.ok, run.output
    assert run.changed == 2
    assert run.says("renewal was asked for")
    assert credential_secrets.serials(shared_mesh) == before


@pytest.mark.slow
def test_a_certificate_that_has_come_of_age_is_renewed(shared_mesh: Mesh) -> None:
    """Of 90 days 89 are to be left: the next run that is told so renews."""
    before = credential_secrets.serials(shared_mesh)
    aged = shared_mesh.with_changes(variables={"custom_ca_leaf_validity_days": 120, "custom_ca_renew_before_days": 100})
    run = rotate(aged)
    assert run.ok, run.output
    assert not set(before) & set(credential_secrets.serials(shared_mesh))
    assert rotate(aged).changed == 0


def test_an_expired_certificate_comes_back_with_one_run(shared_mesh: Mesh) -> None:
    expired = custom_ca_issuer(shared_mesh.store, shared_mesh.passphrase).leaf(
        "server", [MYSQL["fqdn"]], age=timedelta(days=2)
    )
    put_into_server_secret(shared_mesh, expired)
    assert not shared_mesh.carries()
    run = rotate(shared_mesh)
    assert run.ok, run.output
    assert shared_mesh.carries()


def test_a_cluster_that_cannot_be_reached_is_left_out_and_named(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    with stopped_api_server(shared_mesh, "cluster-b"):
        run = rotate(shared_mesh, *FORCED)
    assert run.code != 0
    assert run.recap["cluster-b"]["failed"] == 1
    assert run.reports("api-unreachable", "context cluster-b"), run.output
    after = credential_secrets.serials(shared_mesh)
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, False]
    assert shared_mesh.carries()


def test_a_cluster_that_is_lost_on_the_way_is_left_out_and_named(shared_mesh: Mesh) -> None:
    """It was there when the run looked, and is gone when its turn comes: nothing of it was written."""
    before = credential_secrets.serials(shared_mesh)
    with stepped_run(shared_mesh, "rotate_certificates", *FORCED) as steps:
        steps.reach("Rotate the servers' certificates")
        with stopped_api_server(shared_mesh, "cluster-b"):
            run = steps.finish()
    assert run.code != 0
    assert run.reports("left-out", "cluster-b"), run.output
    after = credential_secrets.serials(shared_mesh)
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, False]
    assert shared_mesh.carries()


@pytest.mark.parametrize("batch", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_gateway_that_is_behind_costs_its_cluster_its_turn_alone(shared_mesh: Mesh, batch: int) -> None:
    """Its certificate is written and not in use; the client's cluster gets its own all the same."""
    old = credential_secrets.serial(shared_mesh, CLIENT)
    with live_traffic(shared_mesh.lab, 20) as traffic, frozen_agent(shared_mesh, INGRESS):
        run = rotate(shared_mesh, *FORCED, *SOON, "-e", json.dumps({"mesh_rotate_serial": batch}))
    assert run.code != 0
    assert run.reports("not-served", "istio-ingressgateway-0"), run.output
    assert run.reports("rotation-unproven"), run.output
    assert not run.says("[rotation-stopped]")
    assert {host: run.recap[host]["failed"] for host in ("cluster-a", "cluster-b")} == {"cluster-a": 0, "cluster-b": 1}
    assert credential_secrets.serial(shared_mesh, CLIENT) != old, "it had its turn"
    again = rotate(shared_mesh)
    assert again.ok, again.output
    assert traffic.lost == []


def test_where_exec_is_forbidden_the_run_says_how_it_was_seen(shared_mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(shared_mesh.lab, tmp_path, without="crossmesh-proof") as kubeconfig:
        asked = shared_mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig), "mesh_gate_wait": 1})
        run = rotate(asked, *FORCED)
    assert run.ok, run.output
    assert run.reports("proof-by-handshake", "istio-ingressgateway-0"), run.output
    assert run.reports("not-proven", "waited 1 s instead (mesh_gate_wait)"), run.output
    assert shared_mesh.carries()


def test_one_side_only_and_nothing_that_site_has_still_to_make(shared_mesh: Mesh) -> None:
    client = credential_secrets.serial(shared_mesh, CLIENT)
    extra = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}
    run = rotate(shared_mesh.with_changes(links=[MYSQL, extra]), *FORCED, "-e", "mesh_rotate_side=server")
    assert run.ok, run.output
    assert run.changed == 1
    assert credential_secrets.serial(shared_mesh, CLIENT) == client
    assert "Secret/extra-credential" not in shared_mesh.names("cluster-b")
