# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis of real clusters: whole, with one away, with a CA store that cannot be read; and without a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import yaml

from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.cluster_objects import resource_versions
from tests.integration.support.credential_secrets import BOTH
from tests.integration.support.lab_mesh import CLUSTERS, Mesh
from tests.integration.support.state_snapshots import folder_contents
from tests.unit.support import Json
from tests.unit.test_diagnosis_action import content_of

SERVER = "cluster-b"


def diagnosed(mesh: Mesh, *arguments: str) -> tuple[Path, dict[str, str]]:
    """The archive and its files; the run ends well whatever it finds."""
    folder = mesh.folder / "diagnosis"
    before = set(folder.glob("*"))
    run = mesh.play("diagnose", "-e", f"mesh_diagnose_dir={folder}", *arguments)
    assert run.ok, run.output
    (path,) = set(folder.glob("*")) - before
    return path, content_of({"path": str(path)})


def secrets_of(mesh: Mesh) -> list[str]:
    """What nobody is to find: keys of gateways, keys of the kubeconfig, the passphrase; also as they are stored."""
    found = [mesh.passphrase]
    for cluster, name in BOTH:
        key = mesh.get(cluster, "secret", name, "-n", "istio-system")["data"]["tls.key"]
        found += [key, *base64.b64decode(key).decode().splitlines()[1:-1]]
    users: list[Json] = [item["user"] for item in yaml.safe_load(mesh.lab.kubeconfig.read_text())["users"]]
    return found + [str(user[key]) for user in users for key in ("token", "client-key-data") if key in user]


def test_it_has_all_of_both_clusters_changes_nothing_and_holds_no_secret(restored_mesh: Mesh) -> None:
    before = [resource_versions(restored_mesh.lab, cluster) for cluster in CLUSTERS]
    kept = folder_contents(restored_mesh.store)
    path, files = diagnosed(restored_mesh)
    assert path.stat().st_mode & 0o777 == 0o600
    versions = json.loads(files["versions.json"])["clusters"][SERVER]
    assert "Kubernetes v1." in versions["api"]
    assert versions["istio"]
    rows = json.loads(files["preflight.json"])["rows"]
    assert {row["check"] for row in rows} >= {"permission", "clock", "gateway", "ca"}
    assert of_server(files)["look"]["sides"]["server"]["served"] is True
    assert json.loads(files["report.json"])["links"][0]["state"] == "up"
    assert json.loads(files["ca.json"])["journal"]["problems"] == []
    assert "not available" not in files["README.md"]
    secrets = secrets_of(restored_mesh)
    assert len(secrets) > 4
    assert [secret for secret in secrets for text in files.values() if secret in text] == []
    # The control: the same search finds what is no secret.
    assert any("mysql-credential" in text for text in files.values())
    assert [resource_versions(restored_mesh.lab, cluster) for cluster in CLUSTERS] == before
    assert folder_contents(restored_mesh.store) == kept


def of_server(files: dict[str, str]) -> Json:
    (found,) = (json.loads(text) for name, text in files.items() if name.endswith(f"{SERVER}.json"))
    return dict(found)


def test_a_cluster_that_is_away_is_told_in_its_file(restored_mesh: Mesh) -> None:
    with stopped_api_server(restored_mesh, SERVER):
        _path, files = diagnosed(restored_mesh)
    assert of_server(files)["look"]["errors"][0]["code"] == "api-unreachable"
    assert json.loads(files["report.json"])["coverage"]["unseen"][0]["cluster"] == SERVER


def test_where_the_ca_store_cannot_be_read_clusters_are_looked_at_as_far_as_that_goes(restored_mesh: Mesh) -> None:
    broken = restored_mesh.folder / "broken"
    broken.mkdir(mode=0o700)
    (broken / "authority.json").touch(mode=0o600)
    (broken / "authority.json").write_text("{")
    _path, files = diagnosed(restored_mesh.with_changes(variables={"custom_ca_dir": str(broken)}))
    assert "authority.json" in json.loads(files["ca.json"])["not readable"][0]
    assert json.loads(files["report.json"])["phase"] == "unknown"
    seen = {row["check"] for row in json.loads(files["preflight.json"])["rows"] if row["cluster"] == SERVER}
    assert {"permission", "istio", "gateway"} <= seen
