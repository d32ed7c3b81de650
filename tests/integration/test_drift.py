# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our objects, edited by hand: put back exactly as they were, and the run says whose hand it was."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.support.lab_mesh import Mesh, Run
from tests.lab.wait import eventually

Json = dict[str, Any]
SYSTEM = ("-n", "istio-system")
INGRESS = ("service", "istio-ingressgateway", *SYSTEM)


def _shape(mesh: Mesh) -> dict[str, Json]:
    """Of every object of ours what its owner would see: labels, spec, data; and the Services' specs."""
    shape = {}
    for cluster in mesh.hosts:
        services = mesh.get(cluster, "services", *SYSTEM)["items"]
        for item in [*mesh.objects(cluster), *services]:
            title = f"{cluster} {item['kind']} {item['metadata']['name']}"
            shape[title] = {key: item.get(key) for key in ("spec", "data", "type")}
            shape[title]["labels"] = item["metadata"]["labels"]
    return shape


def _patch(mesh: Mesh, manager: str, cluster: str, *target: str, patch: Json | list[Json]) -> None:
    kind = "json" if isinstance(patch, list) else "merge"
    mesh.lab.kubectl(cluster, "patch", *target, f"--type={kind}", f"--field-manager={manager}", "-p", json.dumps(patch))


def _port(mesh: Mesh, number: int) -> int:
    """Where the port stands in the ingress gateway's Service."""
    return [port["port"] for port in mesh.get("cluster-b", *INGRESS)["spec"]["ports"]].index(number)


@pytest.fixture(scope="module")
def shape_before(shared_mesh: Mesh) -> dict[str, Json]:
    return _shape(shared_mesh)


@dataclass(frozen=True)
class Drifted:
    """What each detector said before anything was put back."""

    verify: Run
    check: Run


@pytest.fixture(scope="module")
def drifted(shared_mesh: Mesh, shape_before: dict[str, Json]) -> Drifted:
    """Both detectors after many hands."""
    _disturb(shared_mesh)
    return Drifted(shared_mesh.play("verify"), shared_mesh.site("--check"))


@pytest.fixture(scope="module")
def healing_run(shared_mesh: Mesh, drifted: Drifted) -> Run:
    """One run after them."""
    assert not shared_mesh.carries()
    run = shared_mesh.site()
    assert run.ok, run.output
    return run


def _disturb(mesh: Mesh) -> None:
    _patch(
        mesh,
        "alice",
        "cluster-a",
        *("virtualservice", "direct-mysql-through-egress-gateway", *SYSTEM),
        patch=[{"op": "replace", "path": "/spec/tcp/0/match/0/port", "value": 3399}],
    )
    _patch(
        mesh,
        "bob",
        "cluster-a",
        *("destinationrule", "originate-mtls-for-mysql", *SYSTEM),
        patch={"spec": {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}}},
    )
    mesh.lab.kubectl("cluster-a", "delete", "serviceentry", "mysql-external", *SYSTEM)
    mesh.lab.kubectl("cluster-a", "delete", "secret", "client-credential", *SYSTEM)
    relabel = ("label", "gateway.networking.istio.io", "gateway-mysql", "crossmesh/link=other", "--overwrite")
    mesh.lab.kubectl("cluster-b", *relabel, "--field-manager=carol", *SYSTEM)
    surplus = {"data": {"ca.crl": base64.b64encode(b"none").decode(), "ca.crt": base64.b64encode(b"no").decode()}}
    _patch(mesh, "dave", "cluster-b", "secret", "mysql-credential", *SYSTEM, patch=surplus)
    removal = [{"op": "remove", "path": f"/spec/ports/{_port(mesh, 13306)}"}]
    _patch(mesh, "erin", "cluster-b", *INGRESS, patch=removal)


SAID = pytest.mark.parametrize(
    "said",
    [
        pytest.param("spec.tcp was changed by alice at 20", id="edited"),
        pytest.param("spec.trafficPolicy.connectionPool was changed by bob at 20", id="added"),
        pytest.param("write ServiceEntry istio-system/mysql-external: it does not exist", id="deleted"),
        pytest.param("issue Secret istio-system/client-credential: there is no certificate yet", id="secret-deleted"),
        pytest.param("label crossmesh/link is other, changed by carol at 20", id="relabelled"),
        pytest.param("write Secret istio-system/mysql-credential: trusted roots changed: had nothing", id="trust"),
        pytest.param("; also written by dave at 20", id="trust-by-whom"),
        pytest.param("open port 13306 on Service istio-system/istio-ingressgateway", id="port-removed"),
    ],
)


@SAID
def test_both_detectors_tell_each_line_of_drift_with_who_and_when(drifted: Drifted, said: str) -> None:
    assert drifted.verify.says(said), drifted.verify.output
    assert drifted.check.says(said), drifted.check.output


def test_verify_fails_for_drift_and_a_check_of_site_does_not(drifted: Drifted) -> None:
    assert (drifted.verify.code, drifted.check.code) == (2, 0)


@SAID
def test_the_run_says_what_it_found_and_whose_it_was(healing_run: Run, said: str) -> None:
    assert healing_run.says(said), healing_run.output


def test_everything_is_as_it_was(shared_mesh: Mesh, shape_before: dict[str, Json], healing_run: Run) -> None:
    now, issued = _shape(shared_mesh), "cluster-a Secret client-credential"
    assert now[issued].pop("data").keys() == shape_before[issued]["data"].keys()
    wanted = {**shape_before, issued: {key: value for key, value in shape_before[issued].items() if key != "data"}}
    assert _without_node_port(now) == _without_node_port(wanted)
    assert eventually(shared_mesh.carries)


def _without_node_port(shape: dict[str, Json]) -> dict[str, Json]:
    """A port that was taken away gets another node port."""
    text = json.dumps(shape, default=str)
    loaded: dict[str, Json] = json.loads(text)
    for item in loaded.values():
        for port in (item["spec"] or {}).get("ports", []):
            port.pop("nodePort", None)
    return loaded


def test_after_it_a_run_changes_nothing(shared_mesh: Mesh, healing_run: Run) -> None:
    run = shared_mesh.site()
    assert run.ok, run.output
    assert run.changed == 0


@pytest.fixture
def healed_mesh(shared_mesh: Mesh, healing_run: Run) -> Iterator[Mesh]:
    """Tests that end in a refusal put back by hand what they did."""
    before = _shape(shared_mesh)
    yield shared_mesh
    assert _shape(shared_mesh) == before


def test_a_key_that_others_added_to_a_secret_is_taken_out(healed_mesh: Mesh) -> None:
    patch = {"data": {"ca.crl": base64.b64encode(b"none").decode()}}
    _patch(healed_mesh, "dave", "cluster-b", "secret", "mysql-credential", *SYSTEM, patch=patch)
    run = healed_mesh.site()
    assert run.ok, run.output
    assert run.says("Secret istio-system/mysql-credential: others added ca.crl")


@pytest.mark.slow
def test_an_object_that_lost_one_of_our_labels_is_not_touched_until_that_is_said(healed_mesh: Mesh) -> None:
    target = ("gateway.networking.istio.io", "gateway-mysql", *SYSTEM)
    healed_mesh.lab.kubectl("cluster-b", "label", *target, "crossmesh/side-")
    version = healed_mesh.get("cluster-b", *target)["metadata"]["resourceVersion"]
    run = healed_mesh.site()
    assert run.code != 0
    assert run.reports("label-lost", "Gateway istio-system/gateway-mysql", "crossmesh/side")
    assert run.recap["cluster-a"]["failed"] == 0
    assert healed_mesh.get("cluster-b", *target)["metadata"]["resourceVersion"] == version
    adopted = healed_mesh.site("-e", "mesh_adopt=true")
    assert adopted.ok, adopted.output


def _fingerprint(certificate: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.strip())).hexdigest()


def test_a_root_that_the_store_does_not_know_stops_the_run(healed_mesh: Mesh) -> None:
    """A trust edited by hand looks like the credentials of another store: nothing is issued over them."""
    target = ("cluster-b", "secret", "mysql-credential", *SYSTEM)
    trusted = healed_mesh.get(*target)["data"]["ca.crt"]
    foreign = healed_mesh.get("cluster-b", "configmap", "istio-ca-root-cert", *SYSTEM)["data"]["root-cert.pem"]
    edited = base64.b64encode(base64.b64decode(trusted) + foreign.encode()).decode()
    _patch(healed_mesh, "mallory", *target, patch={"data": {"ca.crt": edited}})
    run = healed_mesh.site()
    assert run.code != 0
    assert run.reports("wrong-store", str(healed_mesh.store), _fingerprint(foreign)[:8]), run.output
    assert healed_mesh.get(*target)["data"]["ca.crt"] == edited
    _patch(healed_mesh, "mallory", *target, patch={"data": {"ca.crt": trusted}})
    assert healed_mesh.site().changed == 0


def test_our_port_edited_by_hand_is_an_error_that_names_the_hand_and_the_fix(healed_mesh: Mesh) -> None:
    path = f"/spec/ports/{_port(healed_mesh, 13306)}/targetPort"
    _patch(healed_mesh, "erin", "cluster-b", *INGRESS, patch=[{"op": "replace", "path": path, "value": 9999}])
    run = healed_mesh.site()
    assert run.code != 0
    where = "Service istio-system/istio-ingressgateway, port 13306"
    assert run.reports("port-changed", where, "targetPort", "erin", "targetPort 13306"), run.output
    assert healed_mesh.get("cluster-b", *INGRESS)["spec"]["ports"][_port(healed_mesh, 13306)]["targetPort"] == 9999
    _patch(healed_mesh, "erin", "cluster-b", *INGRESS, patch=[{"op": "replace", "path": path, "value": 13306}])
    assert healed_mesh.site().ok
