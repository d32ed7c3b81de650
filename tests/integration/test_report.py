# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report says how the link stands: in order, broken, and with a cluster that is away; and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from tests.integration.support.changed_objects import patched
from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.cluster_objects import resource_versions
from tests.integration.support.credential_secrets import BOTH, serial
from tests.integration.support.lab_mesh import CLUSTERS, Mesh
from tests.integration.support.state_snapshots import folder_contents
from tests.unit.support import CHECKOUT, Json

SERVER = "cluster-b"
SCHEMA = json.loads((CHECKOUT / "docs/report.schema.json").read_text(encoding="utf-8"))


def reported(mesh: Mesh, folder: str = "out") -> Json:
    """The report that a run writes, which ends well whatever it finds."""
    run = mesh.play("report", "-e", f"mesh_report_dir={mesh.folder / folder}")
    assert run.ok, run.output
    found: Json = json.loads((mesh.folder / folder / "report.json").read_text())
    jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
    return found


def test_a_link_in_order_is_up_proven_and_has_the_certificates_of_its_secrets(restored_mesh: Mesh) -> None:
    before = [resource_versions(restored_mesh.lab, cluster) for cluster in CLUSTERS]
    kept = folder_contents(restored_mesh.store)
    found = reported(restored_mesh)
    (mysql,) = found["links"]
    assert (mysql["state"], mysql["proven"], mysql["last_proven"]) == ("up", True, found["made_at"])
    held = {item["fingerprint"]: item for item in found["certificates"]}
    for end, place in zip(mysql["ends"], BOTH, strict=True):
        assert held[end["certificate"]]["serial"] == serial(restored_mesh, place)
        assert end["key_location"] == f"Secret istio-system/{place[1]} in cluster {place[0]}"
        assert end["serving"] == end["ready"] > 0
    # Istio lets both gateways speak these, and says so in its proxies' configuration.
    assert mysql["tls"]["versions"] == ["TLSv1.2", "TLSv1.3"]
    assert mysql["tls"]["read_at"] == ["client", "server"]
    assert found["journal"]["problems"] == []
    assert found["journal"]["last_kind"]
    assert found["coverage"]["complete"] is True
    assert [resource_versions(restored_mesh.lab, cluster) for cluster in CLUSTERS] == before
    assert folder_contents(restored_mesh.store) == kept


def test_a_broken_link_and_what_has_changed_are_told_and_end_no_run(restored_mesh: Mesh) -> None:
    reported(restored_mesh, "changed")
    nowhere = {"spec": {"selector": {"istio": "nowhere"}}}
    with patched(
        restored_mesh, SERVER, "gateways.networking.istio.io", "gateway-mysql", nowhere, namespace="istio-system"
    ):
        found = reported(restored_mesh, "changed")
    (mysql,) = found["links"]
    assert (mysql["state"], mysql["broken_at"], mysql["where"]) == ("broken", "hop 2", [SERVER])
    assert mysql["cause"]
    assert mysql["proven"] is False
    assert mysql["last_proven"] == found["since"]
    assert ("link state", "mysql", "up", "broken") in [tuple(change.values()) for change in found["changes"]]


def test_a_cluster_that_is_away_is_said_and_its_certificate_comes_from_the_records(restored_mesh: Mesh) -> None:
    issued = serial(restored_mesh, BOTH[1])
    with stopped_api_server(restored_mesh, SERVER):
        found = reported(restored_mesh, "away")
    assert [item["cluster"] for item in found["coverage"]["unseen"]] == [SERVER]
    (mysql,) = found["links"]
    assert (mysql["state"], mysql["where"]) == ("not seen", [SERVER])
    known = next(item for item in found["certificates"] if item["cluster"] == SERVER and item["next_due"])
    assert (known["serial"], known["in_service"]) == (issued, False)


def test_a_query_answers_and_writes_nothing(restored_mesh: Mesh) -> None:
    before = {path.name for path in Path(restored_mesh.folder).iterdir()}
    asked = json.dumps({"mesh_report_query": "links[?days_left < `3000`].name"})
    run = restored_mesh.play("report", "-e", asked, environment={"ANSIBLE_STDOUT_CALLBACK": "crossmesh.mtls.brief"})
    assert run.ok, run.output
    assert '[\n  "mysql"\n]' in run.output
    assert {path.name for path in Path(restored_mesh.folder).iterdir()} - before <= {"hosts.yml"}
