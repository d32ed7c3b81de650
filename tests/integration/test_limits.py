# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over a part: of the links, or of the clusters."""

from __future__ import annotations

from typing import Any

from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.lab.wait import eventually

OTHER: dict[str, Any] = {
    **MYSQL,
    "name": "reports",
    "fqdn": "reports.server.example.com",
    "port": 3307,
    "tls_port": 13307,
}
ONLY_REPORTS = ("-e", '{"mesh_only_links": ["reports"]}')


def _versions(mesh: Mesh, link: str) -> dict[str, str]:
    return {
        f"{cluster} {item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for cluster in mesh.hosts
        for item in mesh.objects(cluster)
        if item["metadata"]["labels"]["crossmesh/link"] == link
    }


def test_no_ca_is_made_by_a_run_that_did_not_look_at_every_cluster(mesh: Mesh) -> None:
    run = mesh.site("--limit", "localhost,cluster-b")
    assert run.code != 0
    assert run.says("there is no CA yet", "cluster-a", "without --limit"), run.output
    assert not mesh.store.exists()
    assert all(mesh.names(cluster) == set() for cluster in mesh.hosts)
    assert mesh.site().ok


def test_with_a_ca_in_place_a_run_can_be_limited_to_one_cluster(shared_mesh: Mesh) -> None:
    run = shared_mesh.site("--limit", "localhost,cluster-b")
    assert run.ok, run.output
    assert "cluster-a" not in run.recap
    assert run.changed == 0


def test_mesh_only_links_works_on_that_link_alone(restored_mesh: Mesh) -> None:
    """The other link is to change too, and one is to go: neither does."""
    changed = {**MYSQL, "tls_port": 13399}
    before = _versions(restored_mesh, "mysql")
    mesh = restored_mesh.with_changes(links=[changed, OTHER])
    run = mesh.site(*ONLY_REPORTS)
    assert run.ok, run.output
    assert _versions(mesh, "reports")
    assert _versions(mesh, "mysql") == before
    ports = mesh.get("cluster-b", "service", "istio-ingressgateway", "-n", "istio-system")["spec"]["ports"]
    assert {port["port"] for port in ports} == {15021, 80, 443, 13306, 13307}
    assert mesh.carries()
    assert eventually(lambda: mesh.carries(fqdn=OTHER["fqdn"], port=OTHER["port"]))
    assert restored_mesh.with_changes(links=[OTHER]).site(*ONLY_REPORTS).changed == 0, (
        "mysql is not this run's to prune"
    )
    gone = restored_mesh.with_changes(links=[MYSQL, {**OTHER, "state": "absent"}]).site(*ONLY_REPORTS)
    assert gone.ok, gone.output
    assert _versions(restored_mesh, "reports") == {}
    assert _versions(restored_mesh, "mysql") == before


def test_a_link_that_does_not_exist_is_refused(shared_mesh: Mesh) -> None:
    run = shared_mesh.site("-e", '{"mesh_only_links": ["reprots"]}')
    assert run.code != 0
    assert run.reports("unknown-link", "reprots"), run.output
