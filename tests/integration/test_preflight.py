# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preflight before the first run: what it knows, what it may, and that it leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.preflight_reports import BESIDE_MESH_CA, run_preflight
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.state_snapshots import folder_contents, versions_everywhere

STRICT = {**MYSQL, "strict_backend": True}
FQDN = ("cluster-a", "mysql", "fqdn")
# A tcp link without an address takes its port (docs/shapes.md).
OTHERS = ("cluster-a", "mysql", "others")


def test_it_passes_before_the_first_run_and_leaves_no_trace_and_then_the_run_succeeds(mesh: Mesh) -> None:
    before = versions_everywhere(mesh)
    first, again = run_preflight(mesh), run_preflight(mesh, "--check")
    assert first.passed, first.run.output
    assert again.report == first.report, "check mode and a second time say the same"
    assert versions_everywhere(mesh) == before
    assert not mesh.store.exists()
    assert set(first.rows("warning", "failed", "unknown")) == {FQDN, OTHERS}
    assert first.says(FQDN, "unknown", "not known before the first run")
    assert mesh.site().ok
    before, store = versions_everywhere(mesh), folder_contents(mesh.store)
    after = run_preflight(mesh)
    assert after.passed
    assert set(after.rows("warning", "failed", "unknown")) == {OTHERS}
    address = mesh.get("cluster-b", "-n", "istio-system", "service/istio-ingressgateway")["status"]
    assert after.says(FQDN, "ok", f"resolves to {address['loadBalancer']['ingress'][0]['ip']}, the ingress gateway of")
    assert versions_everywhere(mesh) == before
    assert folder_contents(mesh.store) == store


def test_gateways_beside_istiod_are_a_warning_that_fails_nothing(mesh: Mesh) -> None:
    found = run_preflight(mesh)
    assert found.passed
    for cluster in mesh.hosts:
        place = (cluster, "-", "namespace")
        assert found.reports(
            place, BESIDE_MESH_CA, "istio-system", "pod istiod, Secret istio-ca-secret", "of their own"
        )


def test_the_table_has_a_line_for_every_row_and_the_count_of_each_status(mesh: Mesh) -> None:
    found = run_preflight(mesh)
    lines = found.run.output.splitlines()
    for row in found.report["rows"]:
        columns = [row["status"], row["cluster"], row["link"], row["check"]]
        assert [line for line in lines if line.split()[:4] == columns], row
    assert found.run.says(", ".join(f"{count} {status}" for status, count in found.report["counts"].items()))
    assert found.report["counts"]["ok"] > found.report["counts"]["unknown"] == 1


def test_the_documented_permissions_are_all_that_it_needs(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path) as kubeconfig:
        limited = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}, links=[STRICT])
        found = run_preflight(limited)
    assert found.passed
    assert set(found.rows("warning", "failed", "unknown")) == {FQDN, OTHERS}


@pytest.mark.parametrize(
    ("role", "place"),
    [
        ("crossmesh-read", "in all namespaces"),
        pytest.param("crossmesh-gateway", "in namespace istio-system", marks=pytest.mark.slow),
        pytest.param("crossmesh-backend", "in namespace default", marks=pytest.mark.slow),
        pytest.param("crossmesh-strict", "in namespace default", marks=pytest.mark.slow),
    ],
)
def test_a_role_that_is_missing_fails_it_and_the_run(mesh: Mesh, tmp_path: Path, role: str, place: str) -> None:
    with documented_account(mesh.lab, tmp_path, without=role) as kubeconfig:
        limited = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}, links=[STRICT])
        found, run = run_preflight(limited), limited.site()
    assert not found.passed
    assert found.reports(("cluster-b", "-", "permission"), "not-permitted", place, f"ClusterRole {role} of")
    assert {row["check"] for row in found.rows("failed").values()} == {"permission"}
    assert not run.ok


def test_one_verb_that_is_missing_is_named_with_its_resource_and_namespace(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path, lacking=("patch", "services")) as kubeconfig:
        limited = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)})
        found, run = run_preflight(limited), limited.site()
    assert set(found.rows("failed")) == {("cluster-a", "-", "permission"), ("cluster-b", "-", "permission")}
    for cluster, service in (("cluster-a", "istio-egressgateway"), ("cluster-b", "istio-ingressgateway")):
        seen = f"may not patch services ({service}) in namespace istio-system"
        assert found.reports((cluster, "-", "permission"), "not-permitted", seen, "ClusterRole crossmesh-gateway")
    assert not run.ok


def test_without_exec_it_passes_with_a_warning_and_does_not_know_what_only_pods_tell(
    mesh: Mesh, tmp_path: Path
) -> None:
    with documented_account(mesh.lab, tmp_path, without="crossmesh-proof") as kubeconfig:
        found = run_preflight(mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}))
    assert found.passed
    assert set(found.rows("warning")) == {OTHERS, ("cluster-a", "-", "permission"), ("cluster-b", "-", "permission")}
    assert {check for _cluster, _link, check in found.rows("unknown")} == {"istio", "fqdn"}
    assert found.says(FQDN, "unknown", "exec is forbidden (403)")
