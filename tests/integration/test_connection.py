# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reads a cluster and what writes there go one way, whatever the environment holds; and which cluster it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.support.lab_mesh import CLUSTER_C as GATEWAYS
from tests.integration.support.lab_mesh import Mesh, Run
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.slow_cases import with_slow
from tests.lab import Lab

# Nothing of ours is ever there.
ELSEWHERE = "cluster-c"
PROBE = """
- hosts: cluster-a
  connection: local
  gather_facts: false
  tasks:
    - name: Write as kubernetes.core does by itself
      kubernetes.core.k8s:
        definition: {apiVersion: v1, kind: ConfigMap, metadata: {name: crossmesh-probe, namespace: default}}
"""


def token_of(lab: Lab, cluster: str) -> str:
    """Of an account that may do anything there."""
    lab.kubectl(cluster, "create", "serviceaccount", "crossmesh-test", "-n", "default")
    binding = ("--clusterrole=cluster-admin", "--serviceaccount=default:crossmesh-test")
    lab.kubectl(cluster, "create", "clusterrolebinding", "crossmesh-test", *binding)
    return lab.kubectl(cluster, "create", "token", "crossmesh-test", "-n", "default").stdout.strip()


@pytest.fixture
def awx(lab: Lab, tmp_path: Path) -> Any:
    """What AWX's credential for Kubernetes sets, by cluster."""
    used: list[str] = []

    def credential(cluster: str) -> dict[str, str]:
        used.append(cluster)
        server = _cluster_of(lab, cluster)
        authority = tmp_path / f"{cluster}.crt"
        authority.write_bytes(base64.b64decode(server["certificate-authority-data"]))
        return {
            "K8S_AUTH_HOST": server["server"],
            "K8S_AUTH_API_KEY": token_of(lab, cluster),
            "K8S_AUTH_VERIFY_SSL": "True",
            "K8S_AUTH_SSL_CA_CERT": str(authority),
        }

    yield credential
    for cluster in used:
        lab.kubectl(cluster, "delete", "serviceaccount", "crossmesh-test", "-n", "default", "--ignore-not-found")
        lab.kubectl(cluster, "delete", "clusterrolebinding", "crossmesh-test", "--ignore-not-found")
        lab.kubectl(cluster, "delete", "configmap", "crossmesh-probe", "-n", "default", "--ignore-not-found")


def _cluster_of(lab: Lab, cluster: str) -> dict[str, str]:
    config = yaml.safe_load(lab.kubeconfig.read_text())
    (context,) = (item["context"] for item in config["contexts"] if item["name"] == cluster)
    found: dict[str, str] = next(item["cluster"] for item in config["clusters"] if item["name"] == context["cluster"])
    return found


def assert_ok(run: Run) -> None:
    assert run.ok, run.output


# -- what the environment happens to hold --------------------------------------------------------------------------


@pytest.mark.slow
def test_what_nobody_asked_for_leads_nothing_elsewhere(mesh: Mesh, awx: Any) -> None:
    strange = {**awx(ELSEWHERE), "KUBECONFIG": "/nowhere"}
    # The probe: kubernetes.core by itself follows it.
    assert_ok(mesh.play(mesh.write_playbook(PROBE), environment=strange))
    assert mesh.get(ELSEWHERE, "configmap", "crossmesh-probe", "-n", "default")
    assert_ok(mesh.play("site", environment=strange))
    assert {"Gateway/egressgateway-mysql", "Secret/client-credential"} <= mesh.names("cluster-a")
    assert {"Gateway/gateway-mysql", "Secret/mysql-credential"} <= mesh.names("cluster-b")
    assert mesh.names(ELSEWHERE) == set()
    assert mesh.carries()
    assert_ok(mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true", environment=strange))
    assert_ok(mesh.play("teardown", environment=strange))
    assert [mesh.names(cluster) for cluster in ("cluster-a", "cluster-b", ELSEWHERE)] == [set()] * 3


def test_a_context_or_a_plays_own_environment_leads_nothing_elsewhere(mesh: Mesh) -> None:
    strange = {"K8S_AUTH_CONTEXT": ELSEWHERE, "K8S_AUTH_KUBECONFIG": str(mesh.lab.kubeconfig)}
    assert_ok(mesh.play(mesh.write_playbook(PROBE), environment=strange))
    assert mesh.get(ELSEWHERE, "configmap", "crossmesh-probe", "-n", "default")
    mesh.lab.kubectl(ELSEWHERE, "delete", "configmap", "crossmesh-probe", "-n", "default")
    play = mesh.write_playbook(
        "- hosts: mesh_servers:mesh_clients\n  connection: local\n  gather_facts: false\n"
        f"  environment: {json.dumps(strange)}\n"
        "  roles: [crossmesh.mtls.custom_ca, crossmesh.mtls.mesh_ingress_server, crossmesh.mtls.mesh_egress_client]\n",
        "roles.yml",
    )
    assert_ok(mesh.play(play, environment=strange))
    assert "Gateway/gateway-mysql" in mesh.names("cluster-b")
    assert mesh.names(ELSEWHERE) == set()


# -- what is asked for by name -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_environment_is_followed_by_reads_and_writes_where_it_is_asked_for(mesh: Mesh, awx: Any) -> None:
    of_environment = {"mesh_kubeconfig": "environment", "mesh_context": ""}
    hosts: dict[str, Any] = {"cluster-a": {}, "cluster-b": of_environment}
    given = awx("cluster-b")
    asked = mesh.with_changes(hosts=hosts)
    run = asked.play("site", "-vvv", environment=given)
    assert_ok(run)
    assert given["K8S_AUTH_API_KEY"] not in run.output
    assert {"Gateway/gateway-mysql", "Secret/mysql-credential"} <= mesh.names("cluster-b")
    assert mesh.carries()
    again = asked.play("site", environment=given)
    assert again.ok
    assert again.changed == 0
    assert_ok(asked.play("teardown", environment=given))
    assert mesh.names("cluster-b") == set()


def test_an_address_and_a_token_of_the_inventory_are_followed_by_reads_and_writes(mesh: Mesh, awx: Any) -> None:
    """As custom credentials of AWX hand them over: one a cluster, the CA in PEM."""
    given = {name: awx(name) for name in ("cluster-a", "cluster-b")}
    hosts = {
        name: {
            "mesh_kubeconfig": "",
            "mesh_context": "",
            "mesh_api_host": found["K8S_AUTH_HOST"],
            "mesh_api_ca_cert": Path(found["K8S_AUTH_SSL_CA_CERT"]).read_text(),
            "mesh_api_key": found["K8S_AUTH_API_KEY"],
        }
        for name, found in given.items()
    }
    described = mesh.with_changes(hosts=hosts)
    strange = awx(ELSEWHERE)
    for playbook in ("preflight", "site", "verify"):
        run = described.play(playbook, "-vvv", environment=strange)
        assert_ok(run)
        assert not [name for name, found in given.items() if found["K8S_AUTH_API_KEY"] in run.output]
    assert mesh.carries()
    assert mesh.names(ELSEWHERE) == set()
    assert_ok(described.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
    assert_ok(described.play("teardown"))
    assert [mesh.names(cluster) for cluster in ("cluster-a", "cluster-b")] == [set()] * 2


# -- kubeconfigs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", with_slow(["{name}", "{name}:", "none:{name}"], {"{name}:", "none:{name}"}))
def test_a_list_of_relative_kubeconfigs(mesh: Mesh, given: str) -> None:
    (mesh.folder / "kube.config").write_bytes(mesh.lab.kubeconfig.read_bytes())
    (mesh.folder / "kube.config").chmod(0o600)
    run = mesh.with_changes(variables={"mesh_kubeconfig": given.format(name="kube.config")}).site()
    assert_ok(run)
    assert "Gateway/gateway-mysql" in mesh.names("cluster-b")


def test_a_plugin_that_fails_stops_before_anything_is_written(mesh: Mesh, tmp_path: Path) -> None:
    config = yaml.safe_load(mesh.lab.kubeconfig.read_text())
    for user in config["users"]:
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "crossmesh-no-such-plugin"}
        user["user"] = {"exec": plugin}
    path = tmp_path / "plugin.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    broken = mesh.with_changes(variables={"mesh_kubeconfig": str(path)})
    for playbook in ("preflight", "site"):
        run = broken.play(playbook)
        assert not run.ok
        assert run.reports("credential-plugin", "crossmesh-no-such-plugin is not installed"), run.output
    assert mesh.names("cluster-a") | mesh.names("cluster-b") == set()


def test_a_user_without_a_credential_is_told_so(mesh: Mesh, tmp_path: Path) -> None:
    config = yaml.safe_load(mesh.lab.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {}
    path = tmp_path / "nobody.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    run = mesh.with_changes(variables={"mesh_kubeconfig": str(path)}).play("preflight")
    assert not run.ok
    assert run.reports("anonymous", "system:anonymous") or run.says("401"), run.output


# -- which cluster it is -------------------------------------------------------------------------------------------


def with_other_context(mesh: Mesh, tmp_path: Path, name: str, cluster: str) -> Path:
    """A kubeconfig in which a context of this name leads to that cluster."""
    config: Mapping[str, Any] = yaml.safe_load(mesh.lab.kubeconfig.read_text())
    (context,) = (item for item in config["contexts"] if item["name"] == cluster)
    path = tmp_path / "other.kubeconfig"
    path.write_text(yaml.safe_dump({**config, "contexts": [{**context, "name": name}]}))
    return path


def test_two_hosts_that_are_one_cluster_are_refused_before_anything_is_written(mesh: Mesh, tmp_path: Path) -> None:
    """Of which no inventory can tell: two kubeconfigs."""
    wrong = {"mesh_kubeconfig": str(with_other_context(mesh, tmp_path, "cluster-b", "cluster-a"))}
    described = mesh.with_changes(hosts={"cluster-a": {}, "cluster-b": wrong})
    for playbook in ("preflight", "site"):
        run = described.play(playbook)
        assert not run.ok
        assert run.reports("same-cluster", "cluster-a, cluster-b", "link mysql"), run.output
    assert mesh.names("cluster-a") | mesh.names("cluster-b") == set()


def test_a_context_that_leads_to_another_cluster_than_last_time_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    assert_ok(mesh.site())
    before = mesh.names("cluster-a")
    wrong: dict[str, Any] = {"mesh_kubeconfig": str(with_other_context(mesh, tmp_path, "cluster-a", ELSEWHERE))}
    described = mesh.with_changes(hosts={"cluster-a": {**wrong, **GATEWAYS}, "cluster-b": {}})
    for playbook in ("site", "rotate_ca", "teardown"):
        run = described.play(playbook)
        assert not run.ok
        assert run.reports("another-cluster", "cluster-a", "mesh_cluster_uid"), run.output
        assert mesh.names(ELSEWHERE) == set()
    assert mesh.names("cluster-a") == before
    # Another cluster has taken its place: said once, and remembered.
    uid = mesh.get(ELSEWHERE, "namespace", "kube-system")["metadata"]["uid"]
    told = {**wrong, **GATEWAYS, "mesh_cluster_uid": uid}
    assert_ok(described.with_changes(hosts={"cluster-a": told, "cluster-b": {}}).site())
    assert "Gateway/egressgateway-mysql" in mesh.names(ELSEWHERE)
    assert_ok(described.play("verify"))


@pytest.mark.slow
def test_objects_in_the_wrong_cluster_are_named_and_can_be_taken_away(mesh: Mesh, tmp_path: Path) -> None:
    wrong = {"mesh_kubeconfig": str(with_other_context(mesh, tmp_path, "cluster-a", ELSEWHERE))}
    assert_ok(mesh.with_changes(hosts={"cluster-a": {**wrong, **GATEWAYS}, "cluster-b": {}}).site())
    left = mesh.names(ELSEWHERE)
    assert "Gateway/egressgateway-mysql" in left
    uid = mesh.get("cluster-a", "namespace", "kube-system")["metadata"]["uid"]
    sound = mesh.with_changes(
        hosts={"cluster-a": {"mesh_cluster_uid": uid}, "cluster-b": {}, ELSEWHERE: GATEWAYS},
        groups={"mesh_servers": ["cluster-b"], "mesh_clients": ["cluster-a", ELSEWHERE]},
        links=[{**(mesh.links or [])[0], "clients": ["cluster-a"]}],
    )
    for playbook in ("preflight", "site", "verify"):
        run = sound.play(playbook)
        assert run.reports("misplaced-objects", "bear the name of cluster-a"), run.output
    at_home = mesh.names("cluster-a")
    refused = sound.play("teardown", "--limit", "cluster-a", "-e", "mesh_misplaced_from=cluster-a")
    assert refused.reports("misplaced-from")
    assert_ok(sound.play("teardown", "--limit", ELSEWHERE, "-e", "mesh_misplaced_from=cluster-a"))
    assert mesh.names(ELSEWHERE) == set()
    assert mesh.names("cluster-a") == at_home
    again = sound.play("verify")
    assert_ok(again)
    assert not again.reports("misplaced-objects")


@pytest.mark.slow
def test_a_user_who_may_not_see_which_cluster_it_is_is_told_so(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path, lacking=("get", "namespaces")) as kubeconfig:
        run = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}).site()
    assert_ok(run)
    assert run.reports("cluster-unidentified", "kube-system")
