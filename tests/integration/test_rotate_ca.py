# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One root takes over from another while traffic flows; each phase is safe to stay in, and says what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import credential_secrets
from tests.integration.support.cluster_faults import EGRESS, frozen_agent, stopped_api_server
from tests.integration.support.credential_secrets import BOTH, CLIENT, SERVER
from tests.integration.support.foreign_certificates import record_another
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run, passed
from tests.integration.support.live_traffic import Traffic, live_traffic

SOON = ("-e", '{"mesh_gate_timeout": 3}')


def phase(mesh: Mesh, name: str, *arguments: str) -> Run:
    return mesh.play("rotate_ca", "-e", f"mesh_rotate_phase={name}", *arguments)


@contextmanager
def unnoticed(mesh: Mesh) -> Iterator[Traffic]:
    with live_traffic(mesh.lab, 20, held=3) as traffic:
        yield traffic
    assert traffic.lost == []
    assert traffic.broken_sessions == []


@pytest.fixture
def prepared_rotation(shared_mesh: Mesh) -> Iterator[Mesh]:
    passed(phase(shared_mesh, "prepare"))
    yield shared_mesh
    passed(shared_mesh.play("rotate_ca"))


def keys(mesh: Mesh) -> set[str]:
    return {path.stem for path in (mesh.store / "roots").glob("*.key")}


def identities(mesh: Mesh) -> dict[str, Any]:
    """What no rotation may touch: the meshes' own CAs, and the gateways' pods."""
    return {
        f"{cluster} {kind} {name}": mesh.get(cluster, kind, name, "-n", "istio-system")["metadata"]["uid"]
        + str(mesh.get(cluster, kind, name, "-n", "istio-system").get("data"))
        for cluster, kind, name in (
            ("cluster-a", "configmap", "istio-ca-root-cert"),
            ("cluster-b", "configmap", "istio-ca-root-cert"),
            ("cluster-a", "secret", "istio-ca-secret"),
            ("cluster-b", "secret", "istio-ca-secret"),
            ("cluster-a", "pod", "istio-egressgateway-0"),
            ("cluster-b", "pod", "istio-ingressgateway-0"),
        )
    }


def test_a_whole_rotation_in_one_run_under_load(shared_mesh: Mesh) -> None:
    before, untouched = credential_secrets.issuers(shared_mesh), identities(shared_mesh)
    old = credential_secrets.trusted_roots(shared_mesh, CLIENT)
    with unnoticed(shared_mesh):
        passed(shared_mesh.play("rotate_ca"))
    after = credential_secrets.issuers(shared_mesh)
    assert len(after) == 1
    assert after != before
    assert [old & credential_secrets.trusted_roots(shared_mesh, secret) for secret in BOTH] == [set(), set()]
    assert identities(shared_mesh) == untouched
    assert keys(shared_mesh) == credential_secrets.trusted_roots(shared_mesh, CLIENT), "the old root's key is destroyed"
    assert shared_mesh.site().changed == 0
    passed(shared_mesh.play("verify"))


@pytest.mark.slow
def test_phase_by_phase_with_every_other_playbook_in_between(shared_mesh: Mesh) -> None:
    """A nightly job in the middle of a rotation is certain: it keeps the phase."""
    with unnoticed(shared_mesh):
        old = credential_secrets.issuers(shared_mesh)
        serials = credential_secrets.serials(shared_mesh)
        passed(phase(shared_mesh, "prepare"))
        assert credential_secrets.serials(shared_mesh) == serials, "a phase about trust rewrites no leaf"
        assert [len(credential_secrets.trusted_roots(shared_mesh, secret)) for secret in BOTH] == [2, 2]
        assert shared_mesh.site().changed == 0
        passed(shared_mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
        assert credential_secrets.issuers(shared_mesh) == old
        assert passed(shared_mesh.play("verify")).says("phase prepared")

        passed(phase(shared_mesh, "switch"))
        new = credential_secrets.issuers(shared_mesh)
        assert not old & new
        assert [len(credential_secrets.trusted_roots(shared_mesh, secret)) for secret in BOTH] == [2, 2]
        assert shared_mesh.site().changed == 0
        passed(shared_mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
        assert credential_secrets.issuers(shared_mesh) == new
        assert passed(shared_mesh.play("verify")).says("phase switched")

        serials = credential_secrets.serials(shared_mesh)
        passed(phase(shared_mesh, "retire"))
        assert credential_secrets.serials(shared_mesh) == serials, "a phase about trust rewrites no leaf"
        assert [len(credential_secrets.trusted_roots(shared_mesh, secret)) for secret in BOTH] == [1, 1]
        assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_a_phase_can_be_repeated_and_one_that_comes_too_early_is_refused(prepared_rotation: Mesh) -> None:
    repeated = passed(phase(prepared_rotation, "prepare"))
    assert repeated.changed == 0
    early = phase(prepared_rotation, "retire")
    assert early.code != 0
    assert early.reports("phase-impossible", "phase retire", "switch first"), early.output
    assert early.changed == 0
    passed(phase(prepared_rotation, "switch"))
    assert passed(phase(prepared_rotation, "switch")).changed == 0
    late = phase(prepared_rotation, "abandon")
    assert late.code != 0
    assert late.reports("phase-impossible", "phase abandon", "continue with phase retire"), late.output
    passed(phase(prepared_rotation, "retire"))
    assert passed(phase(prepared_rotation, "retire")).changed == 0


@pytest.mark.slow
def test_a_prepared_root_can_be_taken_back(shared_mesh: Mesh) -> None:
    before = [credential_secrets.trusted_roots(shared_mesh, secret) for secret in BOTH]
    serials = credential_secrets.serials(shared_mesh)
    with unnoticed(shared_mesh):
        passed(phase(shared_mesh, "prepare"))
        passed(phase(shared_mesh, "abandon"))
    assert [credential_secrets.trusted_roots(shared_mesh, secret) for secret in BOTH] == before
    assert credential_secrets.serials(shared_mesh) == serials
    assert keys(shared_mesh) == before[0]
    assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_a_cluster_that_cannot_be_reached_blocks_by_name_and_the_others_go_on(shared_mesh: Mesh) -> None:
    with stopped_api_server(shared_mesh, "cluster-b"):
        run = shared_mesh.play("rotate_ca")
    assert run.code != 0
    assert run.reports("rotation-blocked", "stays in phase prepared"), run.output
    assert run.reports("cluster-unseen", "cluster cluster-b"), run.output
    assert len(credential_secrets.trusted_roots(shared_mesh, CLIENT)) == 2, "the work on the other is done"
    assert len(credential_secrets.trusted_roots(shared_mesh, SERVER)) == 1
    behind = phase(shared_mesh, "switch")
    assert behind.code != 0
    assert behind.reports("root-not-trusted", "cluster cluster-b, server's side"), behind.output
    passed(shared_mesh.play("rotate_ca"))
    assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_a_part_of_the_clusters_is_blocked_by_the_others(prepared_rotation: Mesh) -> None:
    limited = phase(prepared_rotation, "switch", "--limit", "cluster-a")
    assert limited.code != 0
    assert limited.reports("rotation-blocked", "stays in phase prepared"), limited.output
    assert limited.reports("cluster-unseen", "cluster cluster-b"), limited.output
    declared = {
        "mesh_clusters": {
            "cluster-a": ["mesh_clients"],
            "cluster-b": ["mesh_servers"],
            "cluster-z": ["mesh_clients"],
        }
    }
    elsewhere = phase(prepared_rotation.with_changes(variables=declared), "switch")
    assert elsewhere.code != 0
    assert elsewhere.reports("cluster-unseen", "cluster cluster-z"), elsewhere.output
    only = phase(prepared_rotation, "switch", "-e", '{"mesh_only_links": ["mysql"]}')
    assert only.code != 0
    assert only.reports("rotation-of-links"), only.output


@pytest.mark.slow
def test_a_cluster_that_has_left_blocks_until_it_is_revoked(prepared_rotation: Mesh) -> None:
    """Its certificate is still good: it would be refused, or nobody knows whether it is in use."""
    record_another(prepared_rotation, cluster="cluster-gone", serial="abc123", issued_at="2026-01-01T00:00:00Z")
    blocked = phase(prepared_rotation, "switch")
    assert blocked.code != 0
    assert blocked.reports("left-inventory", "cluster cluster-gone"), blocked.output
    entry = {"cluster": "cluster-gone", "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    passed(phase(prepared_rotation.with_changes(variables={"custom_ca_revoked": [entry]}), "switch"))
    # An expired one is dropped: it would block the rotations of the tests that follow.
    record_another(prepared_rotation, serial="abc123", not_after="2026-01-02T00:00:00Z")


def test_a_gateway_that_is_behind_keeps_the_phase_and_is_named(shared_mesh: Mesh) -> None:
    with unnoticed(shared_mesh):
        with frozen_agent(shared_mesh, EGRESS):
            run = shared_mesh.play("rotate_ca", *SOON)
            assert run.code != 0
            assert run.says("pod istio-egressgateway-0: trusts", "stays in phase prepared"), run.output
            again = phase(shared_mesh, "switch", *SOON)
            assert again.code != 0
            assert again.says("istio-egressgateway-0"), again.output
        passed(shared_mesh.play("rotate_ca"))


@pytest.mark.slow
def test_a_link_that_site_has_still_to_take_away_is_in_the_way(shared_mesh: Mesh) -> None:
    """It is in use until then, and nothing would renew its certificate."""
    without = shared_mesh.with_changes(links=[{**MYSQL, "name": "another", "fqdn": "another.server.example.com"}])
    with unnoticed(shared_mesh):
        run = without.play("rotate_ca")
        assert run.code != 0
        assert run.reports("rotation-blocked", "stays in phase prepared"), run.output
        assert run.reports("surplus-secret", "mysql-credential"), run.output
        passed(shared_mesh.play("rotate_ca"))


@pytest.mark.slow
def test_two_at_once_make_one_root(shared_mesh: Mesh) -> None:
    with unnoticed(shared_mesh):
        processes = [shared_mesh.begin("rotate_ca") for _ in range(2)]
        outputs = [process.communicate(timeout=300) for process in processes]
        codes = [process.returncode for process in processes]
        assert 0 in codes or any("[another-run]" in out + err for out, err in outputs), outputs
        for code, (out, _err) in zip(codes, outputs, strict=True):
            assert "Traceback" not in out
            assert code == 0 or "[another-run]" in out or "[rotation-blocked]" in out, out
        if 0 not in codes:
            passed(shared_mesh.play("rotate_ca"))
    assert len(list((shared_mesh.store / "roots").glob("*.key"))) == 1
    assert shared_mesh.site().changed == 0


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ('{"mesh_only_links": ["mysql"]}', "rotation-of-links"),
        ('{"mesh_rotate_phase": "switch"}', "phase-impossible"),
    ],
)
def test_a_refused_rotation_begins_in_no_cluster(shared_mesh: Mesh, argument: str, code: str) -> None:
    """One cluster tells of it, and none goes on without it; the other tests of this file do go on."""
    run = shared_mesh.play("rotate_ca", "-e", argument)
    assert run.code != 0
    assert run.reports(code), run.output
    assert run.changed == 0
    assert not run.says("TASK [crossmesh.mtls.mesh_side : Move the CA on by one step]"), run.output
    assert len(keys(shared_mesh)) == 1


def test_check_mode_says_the_steps_and_changes_nothing(shared_mesh: Mesh) -> None:
    before = credential_secrets.serials(shared_mesh)
    run = shared_mesh.play("rotate_ca", "--check")
    assert run.ok, run.output
    assert run.says("phase steady; to do: create the next root; trust both roots everywhere; let the new root issue"), (
        run.output
    )
    assert run.changed == 0
    assert credential_secrets.serials(shared_mesh) == before
    assert len(keys(shared_mesh)) == 1


@pytest.mark.slow
def test_a_wrong_passphrase_changes_nothing(shared_mesh: Mesh) -> None:
    run = shared_mesh.with_changes(passphrase="not the one of this store").play("rotate_ca")
    assert run.code != 0
    assert run.reports("wrong-passphrase"), run.output
    assert run.changed == 0
    assert len(keys(shared_mesh)) == 1
    assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_the_retired_key_can_be_kept(shared_mesh: Mesh) -> None:
    old = keys(shared_mesh)
    passed(shared_mesh.play("rotate_ca", "-e", '{"custom_ca_keep_retired_keys": true}'))
    assert old < keys(shared_mesh)
    assert shared_mesh.site().changed == 0


@pytest.mark.slow
def test_a_lost_ca_is_replaced_under_load(shared_mesh: Mesh, tmp_path: Path) -> None:
    lost = credential_secrets.trusted_roots(shared_mesh, CLIENT)
    shared_mesh.store.rename(tmp_path / "lost")
    refused = shared_mesh.play("rotate_ca")
    assert refused.code != 0
    assert refused.reports("no-ca"), refused.output
    limited = shared_mesh.play("rotate_ca", "-e", "custom_ca_lost=true", "--limit", "cluster-a")
    assert limited.code != 0
    assert limited.reports("lost-ca-unseen", "cluster-b"), limited.output
    assert not shared_mesh.store.exists()
    with unnoticed(shared_mesh):
        passed(shared_mesh.play("rotate_ca", "-e", "custom_ca_lost=true"))
    assert [credential_secrets.trusted_roots(shared_mesh, secret) & lost for secret in BOTH] == [set(), set()]
    assert shared_mesh.site().changed == 0
    again = shared_mesh.play("rotate_ca", "-e", "custom_ca_lost=true", "--check")
    assert again.says("to do: create the next root"), "a store that is there is not lost"
