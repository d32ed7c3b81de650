# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions that the documentation asks for are enough, and lead to nothing else of others.

What cannot be proven without exec is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support.lab_mesh import CLUSTER_C, LOCKDOWN, MYSQL, Mesh, Run, locked_down
from tests.integration.support.preflight_reports import BESIDE_MESH_CA, run_preflight
from tests.integration.support.service_accounts import RBAC, documented_account, rule
from tests.integration.support.slow_cases import with_slow
from tests.lab import Lab

Json = dict[str, Any]

USER = "system:serviceaccount:crossmesh:crossmesh"
SYSTEM = "istio-system"
MESH_CA = "secret/istio-ca-secret"
EXTRA: Json = {**MYSQL, "name": "extra", "fqdn": "extra.server.example.com", "port": 3307, "tls_port": 13307}

BY_HANDSHAKE = ("proof-by-handshake", "istio-ingressgateway-0")
NOT_PROVEN = ("not-proven", "gateway istio-system/istio-egressgateway", "istio-egressgateway-0")


def test_the_documented_permissions_are_enough_from_the_first_run_to_the_teardown(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path) as kubeconfig:
        variables, links = {"mesh_kubeconfig": str(kubeconfig)}, [{**MYSQL, "strict_backend": True}]
        limited = locked_down(mesh, "default", variables=variables, links=links)
        first = limited.site()
        carried, names = mesh.carries(), mesh.names("cluster-a")
        last = limited.with_changes(links=[]).play("teardown")
    assert first.ok, first.output
    assert carried
    assert names >= LOCKDOWN
    assert not first.says("exec is forbidden")
    assert last.ok, last.output
    assert mesh.names("cluster-a") | mesh.names("cluster-b") == set()


@pytest.mark.slow
def test_without_exec_a_run_ends_well_and_says_what_it_could_not_prove(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path, without="crossmesh-proof") as kubeconfig:
        limited = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)})
        first, second = limited.site(), limited.site()
    assert first.ok, first.output
    assert first.reports(*BY_HANDSHAKE)
    assert first.reports(*NOT_PROVEN)
    assert mesh.carries()
    assert second.ok, second.output
    assert second.changed == 0
    assert second.reports(*BY_HANDSHAKE)
    assert second.reports(*NOT_PROVEN)


# -- what it does not lead to --------------------------------------------------------------------------------------


def wide(namespace: str, *rules: dict[str, list[str]]) -> list[Json]:
    """Rights beside those of the page."""
    metadata = {"name": "crossmesh-wide", "namespace": namespace}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "crossmesh-wide"}
    user = {"kind": "ServiceAccount", "name": "crossmesh", "namespace": "crossmesh"}
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [user],
        },
    ]


EVERY_SECRET = wide(SYSTEM, rule("", "secrets", "get list"))


def gets(lab: Lab, cluster: str, *what: str) -> bool:
    """Whether the account is given it."""
    done = lab.kubectl(cluster, "get", *what, "-o", "name", "--as", USER, check=False)
    assert done.returncode == 0 or "Forbidden" in done.stderr, done.stderr
    return done.returncode == 0


@contextmanager
def limited(mesh: Mesh, folder: Path, links: Sequence[str] = ("mysql",), more: Sequence[Json] = ()) -> Iterator[Mesh]:
    with documented_account(mesh.lab, folder, links=links, more=more) as kubeconfig:
        yield mesh.with_changes(variables={**mesh.variables, "mesh_kubeconfig": str(kubeconfig)})


@pytest.mark.parametrize("cluster", with_slow(["cluster-a", "cluster-b"], {"cluster-a"}))
def test_the_documented_account_reads_its_own_secrets_and_not_the_key_of_the_meshs_ca(
    linked_mesh: Mesh, tmp_path: Path, cluster: str
) -> None:
    lab, own = linked_mesh.lab, {"cluster-a": "client-credential", "cluster-b": "mysql-credential"}[cluster]
    with limited(linked_mesh, tmp_path):
        assert gets(lab, cluster, f"secret/{own}", "-n", SYSTEM)
        assert not gets(lab, cluster, MESH_CA, "-n", SYSTEM)
        assert not gets(lab, cluster, "secrets", "-n", SYSTEM)
        assert not gets(lab, cluster, "secrets", "-A")
    with limited(linked_mesh, tmp_path, more=EVERY_SECRET):
        assert gets(lab, cluster, MESH_CA, "-n", SYSTEM), "the control: who may read all Secrets of the namespace"


def assert_ok(run: Run) -> None:
    assert run.ok, run.output


@pytest.mark.slow
def test_with_names_alone_links_are_made_kept_renewed_verified_and_taken_away(mesh: Mesh, tmp_path: Path) -> None:
    with limited(mesh, tmp_path, ["mysql", "extra"]) as user:
        both = user.with_changes(links=[MYSQL, EXTRA])
        assert_ok(both.site())
        again = both.site()
        assert_ok(again)
        assert again.changed == 0
        renewed = both.play("rotate_certificates", "-e", "mesh_rotate_force=true")
        assert_ok(renewed)
        assert renewed.changed > 0
        assert_ok(both.play("verify"))
        assert_ok(user.site())
        assert "Secret/extra-credential" not in mesh.names("cluster-b")
        assert "Secret/mysql-credential" in mesh.names("cluster-b")
        assert_ok(user.play("teardown"))
    assert mesh.names("cluster-a") | mesh.names("cluster-b") == set()


@pytest.mark.slow
def test_a_secret_whose_objects_are_gone_is_found_by_the_record_of_its_certificate(mesh: Mesh, tmp_path: Path) -> None:
    with limited(mesh, tmp_path, ["mysql", "extra"]) as user:
        assert_ok(user.with_changes(links=[MYSQL, EXTRA]).site())
        for name in ("gateway.networking.istio.io/gateway-extra", "virtualservice/extra-virtual-service"):
            mesh.lab.kubectl("cluster-b", "delete", name, "-n", SYSTEM)
        assert "Secret/extra-credential" in mesh.names("cluster-b")
        assert_ok(user.site())
    assert "Secret/extra-credential" not in mesh.names("cluster-b")


@pytest.mark.slow
def test_a_link_whose_name_the_role_lacks_is_refused_before_the_first_write(linked_mesh: Mesh, tmp_path: Path) -> None:
    before = linked_mesh.names("cluster-b")
    with limited(linked_mesh, tmp_path) as user:
        more = user.with_changes(links=[MYSQL, EXTRA])
        found, run = run_preflight(more), more.site()
    place = ("cluster-b", "-", "permission")
    assert found.reports(
        place, "not-permitted", "extra-credential", "in namespace istio-system", "crossmesh-credentials"
    )
    assert not any("mysql-credential" in row["seen"] for row in found.rows("failed").values())
    assert not run.ok
    assert run.reports("not-permitted", "get secrets (extra-credential, extra-credential-cacert)"), run.output
    assert linked_mesh.names("cluster-b") == before


# -- gateways in a namespace of their own, as in the example inventory ---------------------------------------------

APART = {"cluster-c": "gateways"}
NAMESPACE_OF = "namespace"


@pytest.mark.slow
def test_gateways_apart_from_istiod_keep_the_account_away_from_the_meshs_ca(mesh: Mesh, tmp_path: Path) -> None:
    link = {**MYSQL, "fqdn": "mysql.c.example.com"}
    apart = mesh.with_changes(
        links=[link],
        hosts={"cluster-a": {}, "cluster-c": CLUSTER_C},
        groups={"mesh_servers": ["cluster-c"], "mesh_clients": ["cluster-a"]},
    )
    with documented_account(mesh.lab, tmp_path, namespaces=APART) as kubeconfig:
        user = apart.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)})
        found = run_preflight(user)
        assert found.passed, found.run.output
        assert found.says(("cluster-c", "-", NAMESPACE_OF), "ok", "gateways: neither istiod nor")
        beside = ("cluster-a", "-", NAMESPACE_OF)
        assert found.reports(beside, BESIDE_MESH_CA, "namespace istio-system", "pod istiod", "a namespace of their own")
        assert not found.reports(beside, BESIDE_MESH_CA, "istio-ca-secret"), "the account cannot see that it is there"
        assert_ok(user.site())
        again = user.site()
        assert_ok(again)
        assert again.changed == 0
        assert_ok(user.play("verify"))
        for cluster, may in (("cluster-c", False), ("cluster-a", True)):
            assert not gets(mesh.lab, cluster, MESH_CA, "-n", SYSTEM)
            question = ("auth", "can-i", "create", "pods", "--subresource=exec", "-n", SYSTEM, "--as", USER)
            answer = mesh.lab.kubectl(cluster, *question, check=False).stdout.strip()
            assert answer == ("yes" if may else "no"), cluster
        assert_ok(user.play("teardown"))
    assert mesh.names("cluster-a") | mesh.names("cluster-c") == set()
