# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of clusters that are kept elsewhere, and the variables that lead to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError

from ansible_collections.crossmesh.mtls.plugins.inventory import clusters
from tests.unit.registries import MANAGED, REGISTERED, SECRETS, Hub, argocd_secret, managed_cluster, parsed
from tests.unit.support import CHECKOUT

CONTEXTS: dict[str, Any] = {
    "current-context": "cluster-a",
    "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example:6443"}} for name in "ab"],
    "users": [{"name": "u", "user": {"token": "planted-token-of-a-user"}}],
    "contexts": [
        {"name": "cluster-a", "context": {"cluster": "a", "user": "u"}},
        {"name": "arn:aws:eks:b", "context": {"cluster": "b", "user": "u"}},
    ],
}
OF_CONTEXTS = {
    "source": "kubeconfig",
    "clusters": ["cluster-a", "cluster-b"],
    "names": {"arn:aws:eks:b": "cluster-b"},
}


def kubeconfig(folder: Path) -> None:
    (folder / "kubeconfig").write_text(yaml.safe_dump(CONTEXTS))


def variables(found: Any, host: str) -> dict[str, Any]:
    return {name: value for name, value in found.get_host(host).get_vars().items() if name.startswith("mesh_")}


def test_a_context_becomes_a_host_under_the_name_that_it_is_given(tmp_path: Path) -> None:
    kubeconfig(tmp_path)
    found = parsed(tmp_path, Hub(), OF_CONTEXTS)
    assert set(found.hosts) == {"cluster-a", "cluster-b"}
    assert variables(found, "cluster-b") == {"mesh_kubeconfig": "", "mesh_context": "arn:aws:eks:b"}
    told = found.get_host("cluster-b").get_vars()["crossmesh_cluster"]
    assert told == {"name": "arn:aws:eks:b", "server": "https://b.example:6443", "labels": {}, "claims": {}}


@pytest.mark.parametrize(
    ("given", "told"),
    [({"stric": True}, r"stric: .*write strict.*\[unknown-key\]"), ({"clusters": []}, r"clusters: .*\[missing\]")],
)
def test_what_ansible_would_pass_over_is_refused(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    kubeconfig(tmp_path)
    with pytest.raises(AnsibleParserError, match=told):
        parsed(tmp_path, Hub(), {**OF_CONTEXTS, **given})
    assert parsed(tmp_path, Hub(), OF_CONTEXTS).hosts


def test_a_secret_of_argo_cd_becomes_a_host_that_names_the_secret(tmp_path: Path) -> None:
    hub = Hub(**{SECRETS: {"items": [argocd_secret("cluster-b")]}})
    given = {"source": "argocd", "from_kubeconfig": str(tmp_path / "hub"), "from_context": "hub", "clusters": ["*"]}
    (tmp_path / "hub").touch()
    found = parsed(tmp_path, hub, given)
    assert variables(found, "cluster-b") == {
        # An inventory that has these for all is that of examples/awx.
        "mesh_kubeconfig": "",
        "mesh_context": "",
        "mesh_argocd_kubeconfig": str(tmp_path / "hub"),
        "mesh_argocd_context": "hub",
        "mesh_argocd_secret": "argocd/cluster-cluster-b",
    }


def test_a_cluster_of_ocm_becomes_a_host_with_its_labels_and_claims(tmp_path: Path) -> None:
    hub = Hub(**{MANAGED: {"items": [managed_cluster("cluster-b"), managed_cluster("cluster-c", accepted=False)]}})
    compose = {"mesh_context": "crossmesh_cluster.name"}
    found = parsed(tmp_path, hub, {"source": "ocm", "clusters": ["*"], "compose": compose})
    assert set(found.hosts) == {"cluster-b"}
    assert variables(found, "cluster-b") == {"mesh_context": "cluster-b"}
    told = found.get_host("cluster-b").get_vars()["crossmesh_cluster"]
    assert (told["labels"], told["claims"]) == ({"cloud": "aws"}, {"id.k8s.io": "4711"})
    assert told["server"] == "https://m.example:6443"


def test_groups_come_of_expressions_and_of_values_with_a_prefix(tmp_path: Path) -> None:
    hub = Hub(**{SECRETS: {"items": [argocd_secret("cluster-a"), argocd_secret("cluster-b")]}})
    groups = {"mesh_servers": "inventory_hostname == 'cluster-b'"}
    keyed = [{"key": "crossmesh_cluster.labels.region", "prefix": "region"}]
    given = {"source": "argocd", "clusters": ["cluster-*"], "groups": groups, "keyed_groups": keyed}
    found = parsed(tmp_path, hub, given).get_groups_dict()
    assert (found["mesh_servers"], found["region_eu"]) == (["cluster-b"], ["cluster-a", "cluster-b"])


def test_the_examples_take_a_cluster_without_the_label(tmp_path: Path) -> None:
    secrets = [argocd_secret("prod-a"), argocd_secret("prod-b")]
    secrets[1]["metadata"]["labels"] = dict(REGISTERED)
    items = [managed_cluster("prod-a"), managed_cluster("prod-b")]
    items[0]["status"]["clusterClaims"] += [{"name": "region.open-cluster-management.io", "value": "eu"}]
    hub = Hub(**{SECRETS: {"items": secrets}, MANAGED: {"items": items}})
    for text in clusters.EXAMPLES.strip().split("\n\n"):
        # Below its file's name; all but the first are comments: sanity of older ansible-core takes one document.
        lines = text.splitlines()[1:]
        example = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines))
        if example["source"] != "kubeconfig":
            del example["plugin"]
            found = parsed(tmp_path, hub, {**example, "from_kubeconfig": "", "strict": True})
            assert set(found.hosts) == {"prod-a", "prod-b"}
            assert found.get_groups_dict()["region_eu"] == ["prod-a"]


def test_a_context_that_is_broken_costs_itself_its_place(tmp_path: Path) -> None:
    broken = [
        {"name": "x"},
        {"name": "y", "context": {"cluster": "y"}},
        {"name": "nowhere", "context": {"cluster": "deleted"}},
        {"name": "nobody", "context": {"cluster": "b", "user": "deleted"}},
    ]
    content = {**CONTEXTS, "contexts": [*CONTEXTS["contexts"], *broken]}
    content["clusters"] = [*CONTEXTS["clusters"], {"name": "y", "cluster": None}]
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    assert set(parsed(tmp_path, Hub(), {**OF_CONTEXTS, "strict": True}).hosts) == {"cluster-a", "cluster-b"}
    with pytest.raises(AnsibleParserError, match=r"context x of .*set from_kubeconfig and from_context"):
        parsed(tmp_path, Hub(), {**OF_CONTEXTS, "clusters": ["x"]})
    for name, told in {"nowhere": "has no cluster deleted", "nobody": "has no user deleted"}.items():
        with pytest.raises(AnsibleParserError, match=told):
            parsed(tmp_path, Hub(), {**OF_CONTEXTS, "clusters": [name], "strict": True})


def test_of_two_contexts_of_one_name_the_first_counts_as_it_does_for_the_connection(tmp_path: Path) -> None:
    second = {"name": "cluster-a", "context": {"cluster": "b", "user": "u"}}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump({**CONTEXTS, "contexts": [*CONTEXTS["contexts"], second]}))
    told = parsed(tmp_path, Hub(), OF_CONTEXTS).get_host("cluster-a").get_vars()["crossmesh_cluster"]
    assert told["server"] == "https://a.example:6443"


@pytest.mark.parametrize("strict", [True, False])
def test_a_cluster_that_is_wanted_and_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], strict: bool
) -> None:
    hub = Hub(**{SECRETS: {"items": [argocd_secret("cluster-b")]}})
    given = {"source": "argocd", "clusters": ["cluster-b", "cluster-z"], "strict": strict}
    words = "clusters: cluster-z: no cluster in the list is called so"
    if strict:
        with pytest.raises(AnsibleParserError, match=rf"{words}.*\[cluster-left-out\]"):
            parsed(tmp_path, hub, given)
    else:
        assert set(parsed(tmp_path, hub, given).hosts) == {"cluster-b"}
        assert words in " ".join(capsys.readouterr().err.split())


def test_a_hub_that_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AnsibleParserError, match=r"refused GET /api/v1/namespaces/argocd/secrets: 404"):
        parsed(tmp_path, Hub(), {"source": "argocd", "clusters": ["*"]})


def test_what_has_no_contexts_is_no_source_of_them(tmp_path: Path) -> None:
    with pytest.raises(AnsibleParserError, match=r"from_kubeconfig: in-cluster"):
        parsed(tmp_path, Hub(), {**OF_CONTEXTS, "from_kubeconfig": "in-cluster"})


def listed(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """What C(ansible-inventory) says to a file of this name."""
    kubeconfig(folder)
    path = folder / name
    path.write_text(yaml.safe_dump({"plugin": "crossmesh.mtls.clusters", **OF_CONTEXTS}))
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(path), "--list"],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "KUBECONFIG": str(folder / "kubeconfig"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_ansible_takes_a_file_by_its_ending_and_prints_no_credential(tmp_path: Path) -> None:
    """The control is the name of the context, which lies beside the token."""
    found = listed(tmp_path, "fleet.crossmesh.yml")
    assert found.returncode == 0, found.stderr
    assert set(json.loads(found.stdout)["_meta"]["hostvars"]) == {"cluster-a", "cluster-b"}
    assert "arn:aws:eks:b" in found.stdout
    assert "planted-token" not in found.stdout + found.stderr
    assert listed(tmp_path, "fleet.yml").returncode != 0
