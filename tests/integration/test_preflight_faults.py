# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a run's way fails the preflight as well, with a fix, and hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.preflight_reports import Preflight, run_preflight
from tests.integration.support.state_snapshots import folder_contents, versions_everywhere

# Work for both clusters, so that a run has something to refuse.
EXTRA = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}
OF_EXTRA = ("cluster-b", "extra", "port")


def with_work(mesh: Mesh, **changes: object) -> Mesh:
    return mesh.with_changes(**{"links": [MYSQL, EXTRA], **changes})


def looked_and_refused(mesh: Mesh) -> Preflight:
    """The preflight fails and changes nothing; so does the run that was not warned."""
    before, store = versions_everywhere(mesh), folder_contents(mesh.store)
    found = run_preflight(mesh)
    assert not found.passed, found.run.output
    assert all(row["fix"] and row["code"] for row in found.rows("failed", "warning").values())
    assert versions_everywhere(mesh) == before
    assert folder_contents(mesh.store) == store
    assert not mesh.site().ok, "the run succeeds where the preflight fails"
    return found


@pytest.mark.slow
def test_where_nothing_fails_the_run_succeeds(restored_mesh: Mesh) -> None:
    found = run_preflight(with_work(restored_mesh))
    assert found.passed
    assert with_work(restored_mesh).site().ok


def test_an_api_server_that_is_down(restored_mesh: Mesh) -> None:
    with stopped_api_server(restored_mesh, "cluster-b"):
        found, run = run_preflight(restored_mesh), restored_mesh.site()
    assert not found.passed
    assert not run.ok
    assert set(found.rows("failed")) == {("cluster-b", "-", "api")}
    assert found.reports(("cluster-b", "-", "api"), "api-unreachable", "context cluster-b")
    assert found.says(("cluster-b", "mysql", "run"), "unknown", "the API server could not be asked")
    assert found.says(("cluster-a", "mysql", "port"), "ok", "15443 is open already")
    assert found.says(("cluster-a", "mysql", "fqdn"), "unknown", "not known whether")


@pytest.mark.slow
def test_a_context_that_is_not_in_the_kubeconfig(restored_mesh: Mesh) -> None:
    found = looked_and_refused(
        with_work(restored_mesh, hosts={"cluster-a": {}, "cluster-b": {"mesh_context": "nowhere"}})
    )
    assert set(found.rows("failed")) == {("cluster-b", "-", "api")}
    assert found.reports(("cluster-b", "-", "api"), "kubeconfig", "context nowhere")


@pytest.mark.slow
def test_a_gateway_that_is_not_there(restored_mesh: Mesh) -> None:
    gone = {"cluster-a": {}, "cluster-b": {"mesh_ingress_gateway": {"service": "no-gateway"}}}
    found = looked_and_refused(with_work(restored_mesh, hosts=gone))
    assert set(found.rows("failed")) == {("cluster-b", "-", "gateway"), ("cluster-b", "-", "run")}
    assert found.reports(
        ("cluster-b", "-", "gateway"), "no-gateway", "Service istio-system/no-gateway", "mesh_ingress_gateway"
    )


def _patch(mesh: Mesh, operation: dict[str, object]) -> None:
    patch = json.dumps([operation])
    service = ("service", "istio-ingressgateway", "--type=json", "-p", patch)
    mesh.lab.kubectl("cluster-b", "-n", "istio-system", "patch", *service)


@pytest.fixture
def port_taken_for_udp(restored_mesh: Mesh) -> Iterator[None]:
    """The port is there, but not for TCP."""
    port = {"name": "quic", "port": 13307, "protocol": "UDP", "targetPort": 13307}
    place = len(restored_mesh.get("cluster-b", "-n", "istio-system", "service/istio-ingressgateway")["spec"]["ports"])
    _patch(restored_mesh, {"op": "add", "path": "/spec/ports/-", "value": port})
    yield
    _patch(restored_mesh, {"op": "remove", "path": f"/spec/ports/{place}"})


@pytest.mark.slow
@pytest.mark.usefixtures("port_taken_for_udp")
def test_a_port_that_is_taken(restored_mesh: Mesh) -> None:
    found = looked_and_refused(with_work(restored_mesh))
    assert set(found.rows("failed")) == {OF_EXTRA, ("cluster-b", "-", "run")}
    assert found.reports(OF_EXTRA, "port-not-tcp", "13307/UDP")
    assert found.says(("cluster-b", "mysql", "port"), "ok", "13306 is open already")


@pytest.fixture
def gateways_of_strangers(restored_mesh: Mesh) -> Iterator[None]:
    """Others have a Gateway under the name of a link's, and one that has the link's host on its port."""
    server = {
        "port": {"number": 13307, "name": "theirs", "protocol": "TLS"},
        "hosts": [EXTRA["fqdn"]],
        "tls": {"mode": "PASSTHROUGH"},
    }
    places = (("gateway-extra", "istio-system", "elsewhere"), ("theirs", "default", "ingressgateway"))
    made = yaml.safe_dump_all(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"istio": selected}, "servers": [server]},
        }
        for name, namespace, selected in places
    )
    restored_mesh.lab.kubectl("cluster-b", "apply", "-f", "-", stdin=made)
    yield
    restored_mesh.lab.kubectl("cluster-b", "delete", "-f", "-", stdin=made)


@pytest.mark.usefixtures("gateways_of_strangers")
def test_strangers_under_our_names_and_in_our_way(restored_mesh: Mesh) -> None:
    found = looked_and_refused(with_work(restored_mesh))
    named = ("cluster-b", "extra", "names")
    others = ("cluster-b", "extra", "others")
    assert set(found.rows("failed")) == {named, others, OF_EXTRA, ("cluster-b", "-", "run")}
    assert found.reports(named, "not-ours", "Gateway istio-system/gateway-extra", "mesh_adopt=true")
    assert found.reports(others, "way-in-missing", "has no server for extra.server.example.com, port 13307")
    assert found.reports(OF_EXTRA, "host-taken-in-namespace", "Gateway default/theirs, port 13307")


@pytest.mark.slow
def test_a_wrong_passphrase(restored_mesh: Mesh) -> None:
    found = looked_and_refused(with_work(restored_mesh, passphrase="another passphrase"))
    assert set(found.rows("failed")) == {("-", "-", "ca")}
    assert found.reports(("-", "-", "ca"), "wrong-passphrase")
    assert "another passphrase" not in found.run.output


def test_a_ca_store_that_cannot_be_read(restored_mesh: Mesh) -> None:
    restored_mesh.store.chmod(0o755)
    try:
        found = looked_and_refused(with_work(restored_mesh))
    finally:
        restored_mesh.store.chmod(0o700)
    assert set(found.rows("failed")) == {("-", "-", "ca")}
    assert found.reports(("-", "-", "ca"), "open-to-others", "its mode is 0755", "chmod 0700")
    assert found.says(("cluster-b", "-", "run"), "unknown", "the CA store is open to other users")
    assert found.says(OF_EXTRA, "ok", "13307 is free")


@pytest.mark.slow
def test_another_ca_than_the_clusters_know(restored_mesh: Mesh) -> None:
    found = looked_and_refused(
        with_work(restored_mesh, variables={"custom_ca_dir": str(restored_mesh.folder / "empty")})
    )
    assert not (restored_mesh.folder / "empty").exists()
    assert found.reports(("-", "-", "ca"), "wrong-store")
    assert found.reports(("cluster-b", "-", "ca"), "wrong-store", "uses root")


def test_faults_of_the_inventory(restored_mesh: Mesh) -> None:
    found = looked_and_refused(with_work(restored_mesh, links=[MYSQL, {**EXTRA, "tls_port": 3307}]))
    assert set(found.rows("failed")) == {("-", "-", "topology")}
    assert found.reports(("-", "-", "topology"), "same-port", "extra: tls_port: 3307")
    assert found.says(("cluster-b", "-", "run"), "unknown", "because the inventory has errors")
    assert found.says(("-", "-", "ca"), "ok", "usable")


def test_a_name_that_does_not_resolve_is_told_once_the_gateway_knows_the_link(restored_mesh: Mesh) -> None:
    """A run does not fail for it: it leaves DNS alone, and the name may come later."""
    nowhere = {**EXTRA, "fqdn": "extra.nowhere.example.com"}
    mesh, place = with_work(restored_mesh, links=[MYSQL, nowhere]), ("cluster-a", "extra", "fqdn")
    assert run_preflight(mesh).says(place, "unknown", "not known before the first run")
    assert mesh.site().ok
    found = run_preflight(mesh)
    assert not found.passed
    assert set(found.rows("failed")) == {place}
    assert found.reports(place, "fqdn-unresolved", "istio-egressgateway-0")
    assert found.says(("cluster-a", "mysql", "fqdn"), "ok", "the ingress gateway of cluster-b")


def test_many_faults_at_once_are_told_at_once(restored_mesh: Mesh) -> None:
    broken = {"cluster-a": {"mesh_context": "nowhere"}, "cluster-b": {"mesh_ingress_gateway": {"service": "none"}}}
    found = looked_and_refused(with_work(restored_mesh, hosts=broken, passphrase="another passphrase"))
    assert {("-", "-", "ca"), ("cluster-a", "-", "api"), ("cluster-b", "-", "gateway")} <= set(found.rows("failed"))
    assert found.run.says("STATUS CLUSTER LINK CHECK SEEN", "4 failed", "failed checks: 4")


def test_a_run_over_one_cluster_says_what_it_did_not_look_at(restored_mesh: Mesh) -> None:
    run = restored_mesh.play("preflight", "--limit", "cluster-b")
    assert run.ok, run.output
    assert run.says("unknown - - topology not checked: localhost is not in this run")
    assert "cluster-a" not in run.output
    found = run_preflight(restored_mesh, "--limit", "cluster-b,localhost")
    assert found.passed
    assert found.says(("cluster-a", "-", "run"), "unknown", "not checked in this run (--limit)")


def test_without_localhost_too_a_fault_ends_it_with_an_error(restored_mesh: Mesh) -> None:
    hosts = {"cluster-a": {}, "cluster-b": {"mesh_context": "nowhere"}}
    run = restored_mesh.with_changes(hosts=hosts).play("preflight", "--limit", "cluster-b")
    assert not run.ok
    assert run.says("failed cluster-b - api", "[kubeconfig]", "failed checks: 1")
