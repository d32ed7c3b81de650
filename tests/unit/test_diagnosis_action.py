# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a diagnosis: what is in it, who may read it, and no secret however it came in."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_diagnosis
from ansible_collections.crossmesh.mtls.plugins.module_utils._redaction import Redaction
from tests.unit.pki.support import NOW, PASSPHRASE, make_root
from tests.unit.planted import KEY, PLANTED
from tests.unit.support import Json, link, run_action
from tests.unit.test_report_action import look_at, read, store_at, variables

FILES = {
    "README.md",
    "versions.json",
    "inventory.json",
    "topology.json",
    "preflight.txt",
    "preflight.json",
    "ca.json",
    "report.json",
    "clusters/001-cluster-a.json",
    "clusters/002-cluster-b.json",
}


def inventory(folder: Path, **more: Any) -> Json:
    """As a report has it, with a host's own variables in it."""
    found = variables(folder)
    found["hostvars"] = {host: {**own, **more} for host, own in found["hostvars"].items()}
    return {**found, **more}


def diagnosed(folder: Path, given: Json, **options: Any) -> Json:
    looks = options.pop("looks", {"cluster-a": {}, "cluster-b": {}})
    result = run_action(mesh_diagnosis, {"dir": str(folder / "out"), "looks": looks, **options}, given)
    assert "failed" not in result, result
    return result


def content_of(result: Json) -> dict[str, str]:
    """The text of each file, by its name in the one folder."""
    with tarfile.open(result["path"]) as archive:
        return {
            member.name.removeprefix("crossmesh-diagnosis/"): archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in archive
        }


def searched(result: Json, secret: str) -> list[str]:
    """Where a secret is found: in the files, in their names, and in the archive as it lies there."""
    files = content_of(result)
    packed = Path(result["path"]).read_bytes()
    found = [name for name, text in files.items() if secret in text or secret in json.loads(f'"{name}"')]
    raw = secret.encode()
    return found + [place for place, data in (("raw", packed), ("tar", gzip.decompress(packed))) if raw in data]


def sound(folder: Path, **options: Any) -> Json:
    """Of one cluster that was looked at and one that is away."""
    root = make_root(now=NOW)
    store_at(folder / "ca", root)
    away = {"msg": "away. [api-unreachable]", "errors": []}
    looks = {"cluster-a": away, "cluster-b": look_at(read(root), root)}
    return diagnosed(folder, inventory(folder), looks=looks, **options)


def test_the_archive_is_for_its_owner_and_its_names_are_always_the_same(tmp_path: Path) -> None:
    result = sound(tmp_path)
    path = Path(result["path"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name.startswith("crossmesh-diagnosis-default-")
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    assert set(content_of(result)) == FILES
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    assert {(member.mode, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0o600, 0, 0, "", "")
    }
    assert len({member.mtime for member in members}) == 1


def test_it_tells_versions_links_clusters_the_ca_and_what_is_in_it(tmp_path: Path) -> None:
    rows = [
        {"cluster": "cluster-b", "check": "api", "seen": "https://b: Kubernetes v1.37.2"},
        {"cluster": "cluster-b", "check": "permission", "seen": "all 40"},
    ]
    preflight = {"rows": rows, "counts": {"ok": 2}, "passed": True, "table": ["STATUS  CLUSTER"]}
    files = content_of(sound(tmp_path, preflight=preflight, journal={"problems": [], "signed": 3, "unsigned": 0}))
    found = json.loads(files["versions.json"])
    assert found["controller"].keys() >= {"crossmesh.mtls", "ansible-core", "Python", "kubernetes", "cryptography"}
    assert found["controller"]["kubernetes.core"]
    assert found["clusters"] == {"cluster-b": {"api": "https://b: Kubernetes v1.37.2"}}
    assert json.loads(files["preflight.json"])["rows"] == rows
    assert files["preflight.txt"] == "STATUS  CLUSTER\n"
    assert json.loads(files["inventory.json"])["links"] == {"mysql": ["client in cluster-a", "server in cluster-b"]}
    ca = json.loads(files["ca.json"])
    assert (ca["phase"], len(ca["trusted"]), ca["journal"]["signed"]) == ("steady", 1, 3)
    assert json.loads(files["report.json"])["links"][0]["name"] == "mysql"
    assert json.loads(files["clusters/001-cluster-a.json"])["look"]["msg"] == "away. [api-unreachable]"
    seen = json.loads(files["clusters/002-cluster-b.json"])["look"]["sides"]["server"]
    assert seen["status"][0]["link"] == "mysql"
    assert "manifests" not in seen
    for name in FILES - {"README.md"}:
        assert f"| {name} |" in files["README.md"]


def test_a_cluster_that_is_silent_is_named_on_the_screen_and_its_reason_in_the_page(
    tmp_path: Path, capsys: Any
) -> None:
    page = content_of(sound(tmp_path))["README.md"]
    assert "| clusters/001-cluster-a.json | cluster-a: its variables; **not seen**: away. [api-unreachable] |" in page
    assert "| clusters/002-cluster-b.json | cluster-b: its variables, what is there, plan and drift, proof |" in page
    told = capsys.readouterr().out
    assert "of clusters that were not seen: clusters/001-cluster-a.json; README.md in it says why" in told
    assert "002-cluster-b" not in told


def test_a_store_that_cannot_be_read_is_told_in_its_place(tmp_path: Path) -> None:
    store_at(tmp_path / "ca", make_root(now=NOW))
    (tmp_path / "ca/authority.json").write_text("{")
    files = content_of(diagnosed(tmp_path, inventory(tmp_path)))
    assert set(files) == FILES
    assert "authority.json" in json.loads(files["ca.json"])["not readable"][0]
    assert json.loads(files["report.json"])["phase"] == "unknown"


@pytest.mark.parametrize("links", [None, "none", [{"name": 7}], [link(port="x")], {"a": 1}])
def test_an_inventory_that_is_wrong_is_a_reason_to_make_one(tmp_path: Path, links: Any) -> None:
    result = diagnosed(tmp_path, inventory(tmp_path, mesh_links=links, mesh_instance=["no", "name"]))
    assert set(content_of(result)) == FILES


def test_what_lacks_is_told_in_the_page_and_in_the_result(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    def broken(*_given: Any) -> Json:
        raise RuntimeError(PASSPHRASE)

    monkeypatch.setattr(mesh_diagnosis, "sources_of", broken)
    result = diagnosed(tmp_path, inventory(tmp_path))
    files = content_of(result)
    assert ["[internal-error]" in line for line in result["missing"]] == [True]
    assert "not available: report.json; README.md in it says why" in capsys.readouterr().out
    assert "not available" in json.loads(files["report.json"])
    assert "RuntimeError" in files["README.md"]
    assert searched(result, PASSPHRASE) == []


def test_an_archive_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = {"dir": str(tmp_path / "file/out"), "looks": {}}
    result = run_action(mesh_diagnosis, given, inventory(tmp_path))
    assert [error["code"] for error in result["errors"]] == ["diagnosis-not-written"]


# -- secrets -------------------------------------------------------------------------------------------------------


def everywhere(folder: Path, text: str) -> Json:
    """A diagnosis with this text at every place where somebody else could have put it."""
    message = {"code": "x", "level": "error", "where": text, "what": text, "fix": text}
    annotated = {"metadata": {"annotations": {"note": text, "kubectl.kubernetes.io/last-applied-configuration": text}}}
    root = make_root(now=NOW)
    look = look_at(read(root), root)
    side = {**look["sides"]["server"], "lines": [text], "errors": [text], "unbacked": annotated, "manifests": text}
    looks = {
        "cluster-a": {"msg": text, "errors": [message]},
        "cluster-b": {
            **look,
            "warnings": [text],
            "sides": {"server": side},
            "details": look["details"],
            "beside": text,
        },
    }
    proofs = [{}, {"faults": [text], "warnings": [text], "report": [text], "beside": text}]
    given = inventory(
        folder,
        db_password=text,
        mesh_mysql_secret=text,
        mesh_context=text,
        mesh_kubeconfig=text,
        custom_ca_import_key=text,
        mesh_links=[link(external={"address": text, "port": 1, "trust": text, "pass": text}, comment=text)],
        mesh_ingress_gateway={"selector": {"istio": text}},
    )
    return diagnosed(
        folder,
        given,
        looks=looks,
        proofs=proofs,
        topology={"errors": [message], "warnings": [text]},
        preflight={"table": text.splitlines(), "rows": [{"cluster": "cluster-a", "check": "api", "seen": text}]},
        journal={"problems": [text]},
        external={"errors": [message], "alarms": [text], "servers": [{"link": text, "message": text}]},
    )


@pytest.mark.parametrize(("name", "planted"), PLANTED.items())
def test_no_secret_comes_into_it_wherever_it_stood(name: str, planted: tuple[str, str], tmp_path: Path) -> None:
    text, secret = planted
    result = everywhere(tmp_path, f"before {text} after")
    assert searched(result, secret) == []
    assert sum(result["redacted"].values()) > 10


def test_without_redaction_the_same_search_finds_it_in_each_file(tmp_path: Path, monkeypatch: Any) -> None:
    """The control: it is planted where it would come in, and what is found is what is searched for."""
    monkeypatch.setattr(Redaction, "value", lambda _self, value: value)
    monkeypatch.setattr(Redaction, "text", lambda _self, text: text)
    result = everywhere(tmp_path, "planted-4711-in-clear")
    found = searched(result, "planted-4711-in-clear")
    assert {*FILES - {"README.md", "versions.json"}, "tar"} <= set(found)
    # And what is chosen by name keeps out what no pattern would know.
    inside = content_of(result)
    assert "db_password" not in inside["inventory.json"]
    assert "mesh_mysql_secret" not in inside["inventory.json"]
    assert "comment" not in inside["inventory.json"]
    assert "beside" not in inside["clusters/002-cluster-b.json"]


def test_the_secrets_of_the_run_are_looked_for_by_their_values(tmp_path: Path) -> None:
    phrase = "four plain words together"
    given = inventory(tmp_path, mesh_api_key=phrase, mesh_context=f"a {phrase} b")
    result = diagnosed(tmp_path, given, topology={"warnings": [f"said {PASSPHRASE}"]})
    assert searched(result, phrase) == searched(result, PASSPHRASE) == []
    assert result["redacted"]["known"] >= 2


def test_what_was_taken_out_is_counted_in_the_page(tmp_path: Path) -> None:
    result = diagnosed(tmp_path, inventory(tmp_path), topology={"warnings": [KEY]})
    assert "| private key | private keys in PEM, encrypted ones too | 1 |" in content_of(result)["README.md"]
