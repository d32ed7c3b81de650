# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree for GitOps: what is in it, that it stays the same bytes, and that nothing of others is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.action import mesh_render
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.inventory_values import marked
from tests.unit.support import CLIENT, MYSQL, SERVER, Json, numbered, run_action, view

LOCKED: Json = {"mesh_egress_lockdown": ["shop"], "mesh_cluster_cidrs": ["10.0.0.0/8"]}
TREE = [
    "cluster-a/gateway-ports/kustomization.yaml",
    "cluster-a/gateway-ports/services.yaml",
    "cluster-a/kustomization.yaml",
    "cluster-a/links/mysql.yaml",
    "cluster-b/gateway-ports/kustomization.yaml",
    "cluster-b/gateway-ports/services.yaml",
    "cluster-b/kustomization.yaml",
    "cluster-b/links/mysql.yaml",
]


def rendered(folder: Path | str, links: list[Json], check: bool = False, **shared: Any) -> Json:
    """What one run over both clusters says.

    :param shared: variables; C(cluster_a) is what the first cluster has of its own.
    """
    own: Json = shared.pop("cluster_a", {})
    known = {"mesh_links": links, **shared}
    hosts: Json = {
        "cluster-a": {"inventory_hostname": "cluster-a", "group_names": CLIENT["groups"], **known, **own},
        "cluster-b": {"inventory_hostname": "cluster-b", "group_names": SERVER["groups"], **known},
    }
    groups = {
        group: [name for name, host in hosts.items() if group in host["group_names"]]
        for group in ("mesh_servers", "mesh_clients")
    }
    return run_action(mesh_render, {"path": str(folder)}, {**known, "groups": groups, "hostvars": hosts}, check=check)


def files_in(folder: Path) -> dict[str, str]:
    """All files but the mark of the folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".crossmesh-render")
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(found)}


def documents(folder: Path, path: str) -> list[Json]:
    return list(yaml.safe_load_all((folder / path).read_text()))


def test_each_cluster_is_a_folder_of_its_links_and_of_the_ports_they_need(tmp_path: Path) -> None:
    result = rendered(tmp_path / "tree", [MYSQL])
    assert result["changed"]
    assert list(files_in(tmp_path / "tree")) == result["files"] == TREE
    assert result["lines"] == [*(f"write {path}" for path in [".crossmesh-render", *TREE])]


def test_a_links_file_holds_what_site_writes(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL, numbered(1)])
    for cluster, side, given in (("cluster-a", "client", CLIENT), ("cluster-b", "server", SERVER)):
        found = view([MYSQL, numbered(1)], given)
        wanted = render(side, found[side])  # type: ignore[arg-type, literal-required]
        there = [
            *documents(tmp_path, f"{cluster}/links/mysql.yaml"),
            *documents(tmp_path, f"{cluster}/links/link-1.yaml"),
        ]
        assert sorted(map(str, there)) == sorted(map(str, wanted))


def test_a_kustomization_names_every_file_beside_it(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL, numbered(1)], cluster_a=LOCKED)
    (found,) = documents(tmp_path, "cluster-a/kustomization.yaml")
    assert found["resources"] == ["links/client.yaml", "links/link-1.yaml", "links/mysql.yaml"]
    (ports,) = documents(tmp_path, "cluster-a/gateway-ports/kustomization.yaml")
    assert ports["resources"] == ["services.yaml"]
    assert {item["kind"] for item in documents(tmp_path, "cluster-a/links/client.yaml")} == {"Sidecar", "NetworkPolicy"}


def test_two_gateways_that_are_one_service_have_one_document(tmp_path: Path) -> None:
    """Kustomize refuses one object twice."""
    one = {"namespace": "istio-system", "service": "edge"}
    both = {
        "group_names": ["mesh_clients", "mesh_servers"],
        "mesh_ingress_gateway": one,
        "mesh_egress_gateway": one,
    }
    links = [{**MYSQL, "servers": ["cluster-b"]}, numbered(1, servers=["cluster-a"], clients=[])]
    rendered(tmp_path, links, cluster_a=both)
    (service,) = documents(tmp_path, "cluster-a/gateway-ports/services.yaml")
    assert [port["port"] for port in service["spec"]["ports"]] == [15443, 30001]


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    partner = {key: value for key, value in MYSQL.items() if key not in ("tls_port", "backend")}
    partner |= {"external": {"address": "db.example.net", "port": 13306, "ca": "/srv/crossmesh/mysql"}}
    rendered(tmp_path, [partner], custom_ca_passphrase="correct horse battery", mesh_api_key="token-of-a-cluster")
    text = "".join(files_in(tmp_path).values())
    assert "db.example.net" in text, "the control"
    assert [word for word in ("kind: Secret", "correct horse", "token-of-a-cluster") if word in text] == []


def test_the_same_inventory_gives_the_same_bytes_in_whatever_order_it_is_written(tmp_path: Path) -> None:
    links = [numbered(number) for number in range(5)]
    rendered(tmp_path / "one", links)
    rendered(tmp_path / "two", links[::-1])
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")


def test_values_of_which_ansible_knows_where_they_stand_are_written_as_they_are(tmp_path: Path) -> None:
    rendered(tmp_path, [{**MYSQL, "tls_port": marked(13306), "fqdn": marked(MYSQL["fqdn"])}])
    (service,) = documents(tmp_path, "cluster-b/gateway-ports/services.yaml")
    assert [port["port"] for port in service["spec"]["ports"]] == [13306]


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = rendered(tmp_path, [MYSQL])
    assert (result["changed"], result["lines"]) == (False, ["nothing to write: 8 files are as the inventory says"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_change_of_one_link_is_a_change_of_its_files_alone(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL, numbered(1)])
    result = rendered(tmp_path, [MYSQL, numbered(1, max_connection_duration="1h")])
    assert result["lines"] == ["write cluster-a/links/link-1.yaml"]
    (change,) = result["diff"]
    assert change["after_header"] == "cluster-a/links/link-1.yaml"
    assert ("1h" in change["before"], "1h" in change["after"]) == (False, True)


def test_files_of_a_link_and_of_a_cluster_that_are_gone_vanish(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL, numbered(1)])
    result = rendered(tmp_path, [MYSQL])
    assert [line for line in result["lines"] if line.startswith("remove")] == [
        "remove cluster-a/links/link-1.yaml",
        "remove cluster-b/links/link-1.yaml",
    ]
    rendered(tmp_path, [MYSQL], cluster_a={"mesh_cluster_state": "absent"})
    assert not (tmp_path / "cluster-a").exists()
    assert (tmp_path / "cluster-b/links/mysql.yaml").exists()


def test_an_empty_list_of_links_removes_all_of_them_only_when_that_is_said(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL])
    refused = rendered(tmp_path, [])
    assert [error["code"] for error in refused["errors"]] == ["prunes-everything"]
    assert list(files_in(tmp_path)) == TREE
    rendered(tmp_path, [], mesh_prune_all=True)
    assert files_in(tmp_path) == {}


def test_check_mode_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    foretold = rendered(tmp_path / "tree", [MYSQL], check=True)
    assert not (tmp_path / "tree").exists()
    assert foretold == rendered(tmp_path / "tree", [MYSQL])


def test_clusters_of_other_slices_keep_their_files(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL])
    declared = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": ["mesh_servers"]}
    (tmp_path / "cluster-a").rename(tmp_path / "cluster-c")
    (tmp_path / "cluster-b").rename(tmp_path / "cluster-d")
    rendered(tmp_path, [MYSQL], mesh_clusters=declared)
    assert (tmp_path / "cluster-c/links/mysql.yaml").exists(), "another slice's"
    assert not (tmp_path / "cluster-d").exists(), "nobody's"


# -- what is not ours ----------------------------------------------------------------------------------------------


def refusal(result: Json) -> Json:
    (error,) = result["errors"]
    assert result["failed"]
    return dict(error)


def test_a_folder_that_is_not_empty_and_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("a repository")
    assert refusal(rendered(tmp_path, [MYSQL]))["code"] == "folder-not-ours"
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert rendered(tmp_path / "clusters", [MYSQL])["changed"], "the control: a folder below it"


def test_the_tree_of_another_instance_is_refused(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL], mesh_instance="blue")
    before = files_in(tmp_path)
    error = refusal(rendered(tmp_path, [MYSQL], mesh_instance="green"))
    assert (error["code"], "blue" in error["what"]) == ("folder-not-ours", True)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("path", ["", "a file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, path: str) -> None:
    if path:
        (tmp_path / path).write_text("")
    code = "folder-not-ours" if path else "folder-not-given"
    assert refusal(rendered(tmp_path / path if path else "", [MYSQL]))["code"] == code


def test_files_of_others_beside_the_trees_own_stay_as_they_are(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL, numbered(1)])
    theirs = ["README.md", "cluster-a/links/own.yaml", "cluster-a/overlay/kustomization.yaml", "cluster-x/links/a.yaml"]
    for path in theirs:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("kind: ConfigMap\n")
    rendered(tmp_path, [MYSQL], cluster_a={"mesh_cluster_state": "absent"})
    assert [path for path in theirs if (tmp_path / path).read_text() != "kind: ConfigMap\n"] == []
    assert not (tmp_path / "cluster-a/links/mysql.yaml").exists(), "the control: ours in the same folder is gone"


def test_a_file_of_others_under_a_name_of_ours_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    rendered(tmp_path, [MYSQL])
    theirs = tmp_path / "cluster-b/links/link-1.yaml"
    theirs.write_text("kind: ConfigMap\n")
    error = refusal(rendered(tmp_path, [MYSQL, numbered(1)]))
    assert (error["code"], "cluster-b/links/link-1.yaml" in error["what"]) == ("file-not-ours", True)
    assert theirs.read_text() == "kind: ConfigMap\n"
    assert not (tmp_path / "cluster-a/links/link-1.yaml").exists()
    theirs.write_text((tmp_path / "cluster-b/links/mysql.yaml").read_text())
    assert rendered(tmp_path, [MYSQL, numbered(1)])["changed"], "the control: one of ours"


def test_a_folder_that_cannot_be_made_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(rendered(tmp_path / "file" / "tree", [MYSQL]))
    assert (error["code"], "Not a directory" in error["what"]) == ("folder-not-written", True)
