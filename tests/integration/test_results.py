# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of real runs, as programs are told: in order, broken, with a cluster away, and after a kill."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import jsonschema

from tests.integration.support.changed_objects import patched
from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.lab_mesh import Mesh, Run
from tests.unit.results.test_results import misshapen
from tests.unit.support import CHECKOUT, Json

CLIENT, SERVER = "cluster-a", "cluster-b"
SCHEMA = json.loads((CHECKOUT / "docs/results.schema.json").read_text(encoding="utf-8"))
Cases = dict[tuple[str, str, str], tuple[str, str]]


def told(mesh: Mesh, playbook: str) -> tuple[Json, Cases]:
    """The results, and each case of them; the XML has the same."""
    folder = mesh.folder / "results"
    found: Json = json.loads((folder / f"{playbook}.json").read_text())
    jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
    cases = {
        (suite["subject"], suite["name"], case["name"]): (case["status"], case["code"])
        for suite in found["suites"]
        for case in suite["cases"]
    }
    root = ET.parse(folder / f"{playbook}.junit.xml").getroot()
    assert misshapen(root) == []
    assert root.get("tests") == str(len(cases))
    return found, cases


def played(mesh: Mesh, playbook: str, *arguments: str) -> tuple[Run, Json, Cases]:
    run = mesh.play(playbook, "-e", f"mesh_results_dir={mesh.folder / 'results'}", *arguments)
    found, cases = told(mesh, playbook)
    # One verdict in both.
    assert found["passed"] is run.ok, run.output
    return run, found, cases


def not_passed(cases: Cases) -> Cases:
    return {place: end for place, end in cases.items() if end[0] != "passed"}


def test_a_mesh_in_order_passes_every_check_of_verify_and_preflight(restored_mesh: Mesh) -> None:
    _run, found, cases = played(restored_mesh, "verify")
    assert not_passed(cases) == {}
    assert found["finished"] is True
    assert {place for place in cases if place[0] == "link"} == {
        ("link", "mysql", f"client in {CLIENT}"),
        ("link", "mysql", f"server in {SERVER}"),
    }
    assert cases.keys() >= {("run", "verify", check) for check in ("inventory", "journal", "crls", "coverage")}
    _run, _found, rows = played(restored_mesh, "preflight")
    assert ("cluster", SERVER, "permission") in rows


def test_site_tells_what_it_did_and_with_check_that_nothing_is_proven(restored_mesh: Mesh) -> None:
    _run, _found, cases = played(restored_mesh, "site")
    assert cases["cluster", SERVER, "proof"] == ("passed", "")
    _run, found, tried = played(restored_mesh, "site", "--check")
    assert found["check_mode"] is True
    assert tried["cluster", SERVER, "proof"] == ("skipped", "")


def test_a_broken_link_fails_verify_with_the_code_of_its_fault(restored_mesh: Mesh) -> None:
    nowhere = {"spec": {"selector": {"istio": "nowhere"}}}
    with patched(
        restored_mesh, SERVER, "gateways.networking.istio.io", "gateway-mysql", nowhere, namespace="istio-system"
    ):
        _run, found, cases = played(restored_mesh, "verify")
    status, code = cases["link", "mysql", f"server in {SERVER}"]
    assert (status, bool(code)) == ("failed", True)
    assert cases["cluster", SERVER, "drift"][0] == "failed"
    assert cases["cluster", CLIENT, "drift"][0] == "passed", "the control: nothing was changed there"
    assert found["counts"]["failed"] >= 2


def test_a_cluster_that_is_away_fails_its_look_alone_also_where_nobody_is_left(restored_mesh: Mesh) -> None:
    with stopped_api_server(restored_mesh, SERVER):
        _run, _found, cases = played(restored_mesh, "verify")
        assert cases["cluster", SERVER, "look"] == ("failed", "api-unreachable")
        assert cases["cluster", CLIENT, "look"] == ("passed", "")
        # Of this run the other one is no part.
        _run, _found, alone = played(restored_mesh, "site", "--limit", f"{SERVER}:localhost")
    assert alone["cluster", SERVER, "look"] == ("failed", "api-unreachable")
    assert alone["cluster", CLIENT, "look"] == ("skipped", "")


def test_a_rotation_of_certificates_and_a_refusal_of_one_of_the_root_stand_in_the_results(restored_mesh: Mesh) -> None:
    _run, _found, cases = played(restored_mesh, "rotate_certificates", "-e", "mesh_rotate_force=true")
    assert cases["cluster", SERVER, "credentials"] == ("passed", "")
    _run, _found, refused = played(restored_mesh, "rotate_ca", "-e", '{"mesh_only_links": ["mysql"]}')
    assert refused["run", "rotate_ca", "steps"] == ("failed", "rotation-of-links")


def test_a_gate_that_does_not_open_stands_in_the_results_with_the_cluster_that_it_waits_for(
    restored_mesh: Mesh,
) -> None:
    with stopped_api_server(restored_mesh, SERVER):
        run, _found, cases = played(restored_mesh, "rotate_ca")
    status, code = cases["run", "rotate_ca", "ca"]
    assert (status, run.says(f"[{code}]")) == ("failed", True)
    assert cases["cluster", SERVER, "look"] == ("failed", "api-unreachable")
    assert cases["cluster", CLIENT, "look"] == ("passed", "")


def test_an_inventory_that_is_wrong_leaves_its_rule(restored_mesh: Mesh) -> None:
    wrong = restored_mesh.with_changes(links=[{"name": "mysql"}])
    run, found, cases = played(wrong, "site")
    assert not run.ok
    assert cases["run", "site", "inventory"] == ("failed", "missing")
    assert (found["finished"], cases["run", "site", "run"][1]) == (False, "run-unfinished")


def test_a_teardown_tells_of_each_cluster(restored_mesh: Mesh) -> None:
    _run, found, cases = played(restored_mesh, "teardown")
    assert found["finished"] is True
    assert {place for place in cases if place[2] == "look"} == {("cluster", name, "look") for name in (CLIENT, SERVER)}
