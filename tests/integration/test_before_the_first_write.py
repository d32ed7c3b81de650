# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster would not take, or is about to lose, stops a run before its first write; all playbooks agree on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import credential_secrets
from tests.integration.support.admission_faults import (
    POLICY,
    QUOTA,
    SYSTEM,
    mutating_webhook,
    present,
    quota_of_secrets,
    refusing_policy,
)
from tests.integration.support.credential_secrets import CLIENT, SERVER
from tests.integration.support.lab_mesh import CLUSTERS, MYSQL, Mesh, Run
from tests.integration.support.preflight_reports import run_preflight
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.slow_cases import with_slow
from tests.integration.support.state_snapshots import versions_in_cluster
from tests.lab.wait import eventually

Json = dict[str, Any]
Patch = Json | Sequence[Json]
B = "cluster-b"
GATEWAY = ("gateway.networking.istio.io", "gateway-mysql", "-n", SYSTEM)
SECRET = ("secret", "mysql-credential", "-n", SYSTEM)
INGRESS = ("service", "istio-ingressgateway", "-n", SYSTEM)
HOLD = "example.com/hold"
EXTRA = [
    {**MYSQL, "name": f"extra-{n}", "fqdn": f"extra-{n}.server.example.com", "port": 3310 + n, "tls_port": 13310 + n}
    for n in range(2)
]
BOTH = ("mysql", EXTRA[0]["name"])
FORCED = ("-e", "mesh_rotate_force=true")
AT_ONCE = ("-e", '{"mesh_gate_timeout": 3}')


def patch(mesh: Mesh, *target: str, patch: Patch, manager: str = "others") -> None:
    kind = "merge" if isinstance(patch, dict) else "json"
    mesh.lab.kubectl(B, "patch", *target, f"--type={kind}", f"--field-manager={manager}", "-p", json.dumps(patch))


def there(mesh: Mesh, *target: str) -> bool:
    return mesh.lab.kubectl(B, "get", *target, check=False).returncode == 0


# -- the cases -----------------------------------------------------------------------------------------------------


@contextmanager
def nothing(_mesh: Mesh, _folder: Path) -> Iterator[None]:
    yield


@contextmanager
def under_deletion(mesh: Mesh, _folder: Path) -> Iterator[None]:
    patch(mesh, *GATEWAY, patch={"metadata": {"finalizers": [HOLD]}})
    mesh.lab.kubectl(B, "delete", *GATEWAY, "--wait=false")
    try:
        yield
    finally:
        if there(mesh, *GATEWAY):
            patch(mesh, *GATEWAY, patch={"metadata": {"finalizers": None}})
        eventually(lambda: not there(mesh, *GATEWAY))


@contextmanager
def owned(mesh: Mesh, _folder: Path) -> Iterator[None]:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": SYSTEM}}
    with present(mesh, B, owner):
        uid = mesh.get(B, "configmap", "theirs", "-n", SYSTEM)["metadata"]["uid"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": uid}
        patch(mesh, *GATEWAY, patch={"metadata": {"ownerReferences": [reference]}})
        try:
            yield
        finally:
            patch(mesh, *GATEWAY, patch={"metadata": {"ownerReferences": None}})


@contextmanager
def immutable(mesh: Mesh, _folder: Path) -> Iterator[None]:
    patch(mesh, *SECRET, patch={"immutable": True})
    try:
        yield
    finally:
        mesh.lab.kubectl(B, "delete", *SECRET)


@contextmanager
def refused_by_policy(mesh: Mesh, _folder: Path) -> Iterator[None]:
    with refusing_policy(mesh, B):
        yield


def room_for(count: int) -> Callable[[Mesh, Path], AbstractContextManager[None]]:
    return lambda mesh, _folder: quota_of_secrets(mesh, B, room=count)


@contextmanager
def unnamed_port(mesh: Mesh, _folder: Path) -> Iterator[None]:
    spec = {"selector": {"istio": "ingressgateway"}, "ports": [{"port": 443, "targetPort": 8443}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bare", "namespace": SYSTEM}, "spec": spec}
    with present(mesh, B, service):
        yield


@contextmanager
def renamed_port(mesh: Mesh, _folder: Path) -> Iterator[None]:
    ports = [port["port"] for port in mesh.get(B, *INGRESS)["spec"]["ports"]]
    path = f"/spec/ports/{ports.index(MYSQL['tls_port'])}/name"
    patch(mesh, *INGRESS, patch=[{"op": "replace", "path": path, "value": "mysql"}], manager="helm")
    try:
        yield
    finally:
        patch(mesh, *INGRESS, patch=[{"op": "replace", "path": path, "value": f"tls-{MYSQL['tls_port']}"}])


@contextmanager
def pod_without_proxy(mesh: Mesh, _folder: Path) -> Iterator[None]:
    # Nobody schedules it: it bears the labels, and gets no connection.
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "debug", "namespace": SYSTEM, "labels": {"istio": "ingressgateway"}},
        "spec": {"containers": [{"name": "shell", "image": "shell"}]},
    }
    with present(mesh, B, pod):
        yield
    eventually(lambda: not there(mesh, "pod", "debug", "-n", SYSTEM))


@contextmanager
def added_to(mesh: Mesh, folder: Path) -> Iterator[None]:
    """A webhook adds a name to the Gateway's server, as it did when somebody touched the object last."""
    add = [{"op": "add", "path": "/spec/servers/0/name", "value": "added"}]
    with mutating_webhook(mesh, B, folder, add):
        mesh.lab.kubectl(B, "annotate", *GATEWAY, "others/touched=once")
        assert mesh.get(B, *GATEWAY)["spec"]["servers"][0]["name"] == "added"
        yield
    mesh.lab.kubectl(B, "annotate", *GATEWAY, "others/touched-")


@contextmanager
def changed_by(mesh: Mesh, folder: Path) -> Iterator[None]:
    change = [{"op": "replace", "path": "/spec/selector", "value": {"istio": "elsewhere"}}]
    with mutating_webhook(mesh, B, folder, change):
        yield


@dataclass(frozen=True)
class Case:
    """What is wrong in the server's cluster.

    :param code: of the message that all three playbooks have; empty for none.
    :param parts: of that message.
    :param links: beside the one that stands.
    """

    fault: Callable[[Mesh, Path], AbstractContextManager[None]]
    passes: bool
    code: str = ""
    parts: tuple[str, ...] = ()
    links: Sequence[Json] = ()
    host: Json = field(default_factory=dict)


TITLE = f"Gateway {SYSTEM}/gateway-mysql"
CASES: dict[str, Case] = {
    "nothing, which is the control": Case(nothing, True),
    "C1: under deletion": Case(under_deletion, False, "under-deletion", (TITLE, HOLD)),
    "C2: an owner that is not ours": Case(owned, False, "owned-by-others", (TITLE, "ConfigMap theirs")),
    "C3: immutable": Case(immutable, False, "immutable-secret", (f"Secret {SYSTEM}/mysql-credential",)),
    "C4: a policy": Case(
        refused_by_policy, False, "admission-refused", (POLICY, f"Gateway {SYSTEM}/gateway-extra-0"), EXTRA[:1]
    ),
    "C4: a full quota": Case(room_for(0), False, "quota-exceeded", (QUOTA,), EXTRA[:1]),
    "C10: a quota with room for one of two": Case(room_for(1), False, "quota-exceeded", (QUOTA, "2 would"), EXTRA),
    "C5: a webhook that adds": Case(added_to, True, "admission-adds", (TITLE, "spec.servers[0].name")),
    "a webhook that changes": Case(
        changed_by, False, "admission-changes", (f"Gateway {SYSTEM}/gateway-extra-0", "spec.selector"), EXTRA[:1]
    ),
    "C7: our port under another name": Case(renamed_port, True),
    "C9: a pod without a proxy": Case(pod_without_proxy, True, "no-proxy", ("pod istio-system/debug",)),
    "B8, C10: a port without a name": Case(
        unnamed_port,
        False,
        "port-unnamed",
        ("Service istio-system/bare",),
        host={"mesh_ingress_gateway": {"service": "bare"}},
    ),
}


SLOW = {
    "C1: under deletion",
    "C2: an owner that is not ours",
    "C4: a full quota",
    "C9: a pod without a proxy",
    "C10: a quota with room for one of two",
    "C5: a webhook that adds",
    "a webhook that changes",
    "C7: our port under another name",
    "C3: immutable",
    "B8, C10: a port without a name",
}


@pytest.mark.parametrize("name", with_slow(CASES, SLOW))
def test_site_verify_and_preflight_agree(restored_mesh: Mesh, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    mesh = restored_mesh.with_changes(links=[MYSQL, *case.links], hosts={"cluster-a": {}, B: case.host})
    with case.fault(mesh, tmp_path):
        before = versions_in_cluster(mesh, B)
        preflight = run_preflight(mesh)
        verify, site = mesh.play("verify", *AT_ONCE), mesh.site(*AT_ONCE)
        after = versions_in_cluster(mesh, B)
    ends = {"preflight": preflight.passed, "verify": verify.ok, "site": site.ok}
    assert ends == dict.fromkeys(ends, case.passes), site.output
    assert after == before, "nothing was written in that cluster"
    if case.code:
        for run in (verify, site):
            assert run.reports(case.code, *case.parts), run.output
        assert [row for row in preflight.report["rows"] if row["code"] == case.code], preflight.run.output
    assert "Traceback" not in verify.output + site.output


@pytest.mark.slow
def test_the_words_of_a_policy_are_not_shown_and_permissions_are_not_blamed(restored_mesh: Mesh) -> None:
    mesh = restored_mesh.with_changes(links=[MYSQL, *EXTRA[:1]])
    with refusing_policy(mesh, B):
        run = mesh.site()
    assert run.recap[B]["changed"] == 0
    assert not run.says("the words of the policy")
    assert not run.says("docs/permissions.md")
    # The control: without the policy it is written.
    again = mesh.site()
    assert again.ok, again.output


@pytest.mark.slow
def test_with_room_in_the_quota_it_is_written(restored_mesh: Mesh) -> None:
    with quota_of_secrets(restored_mesh, B, room=2):
        run = restored_mesh.with_changes(links=[MYSQL, *EXTRA]).site()
    assert run.ok, run.output


def test_check_mode_tries_it_as_well(restored_mesh: Mesh) -> None:
    mesh = restored_mesh.with_changes(links=[MYSQL, *EXTRA[:1]])
    with refusing_policy(mesh, B):
        run = mesh.site("--check")
    assert not run.ok
    assert run.reports("admission-refused", POLICY), run.output
    assert mesh.site("--check").ok


ROLE = """
- name: Serve
  hosts: mesh_servers
  connection: local
  gather_facts: false
  roles:
    - crossmesh.mtls.mesh_ingress_server
"""


def test_a_role_used_alone_tries_it_too(restored_mesh: Mesh) -> None:
    mesh = restored_mesh.with_changes(links=[MYSQL, *EXTRA[:1]])
    playbook = mesh.write_playbook(ROLE, "role.yml")
    with refusing_policy(mesh, B):
        before = versions_in_cluster(mesh, B)
        run = mesh.play(playbook)
        assert versions_in_cluster(mesh, B) == before
    assert run.reports("admission-refused", POLICY), run.output


def test_without_the_permission_to_write_nothing_is_half_written(restored_mesh: Mesh, tmp_path: Path) -> None:
    """The documented account has all that a dry run needs; without one verb the run stops before its first write."""
    mesh = restored_mesh.with_changes(links=[MYSQL, *EXTRA[:1]])
    with documented_account(mesh.lab, tmp_path, links=BOTH, lacking=("create", "virtualservices")) as kubeconfig:
        before = versions_in_cluster(mesh, B)
        run = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}).site()
        after = versions_in_cluster(mesh, B)
    assert not run.ok
    assert run.reports("not-permitted", "VirtualService"), run.output
    assert after == before
    with documented_account(mesh.lab, tmp_path, links=BOTH) as kubeconfig:
        assert mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)}).site().ok


# -- adoption and teardown -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_object_is_not_adopted_with_its_former_owner(restored_mesh: Mesh, tmp_path: Path) -> None:
    labels = json.dumps({"metadata": {"labels": {"crossmesh/side": None, "app.kubernetes.io/managed-by": None}}})
    with owned(restored_mesh, tmp_path):
        restored_mesh.lab.kubectl(B, "patch", *GATEWAY, "--type=merge", "-p", labels)
        run = restored_mesh.site("-e", "mesh_adopt=true")
    assert not run.ok
    assert run.reports("owned-by-others", TITLE, "ConfigMap theirs"), run.output
    again = restored_mesh.site("-e", "mesh_adopt=true")
    assert again.ok, again.output


@pytest.mark.slow
def test_a_teardown_says_what_still_waits_for_a_finalizer(restored_mesh: Mesh) -> None:
    patch(restored_mesh, *GATEWAY, patch={"metadata": {"finalizers": [HOLD]}})
    try:
        run = restored_mesh.play("teardown", *AT_ONCE)
        assert not run.ok
        assert run.reports("under-deletion", TITLE, HOLD), run.output
        assert restored_mesh.names(B) == {"Gateway/gateway-mysql"}, "all else is gone"
        again = restored_mesh.play("teardown", *AT_ONCE)
        assert again.reports("under-deletion", TITLE, HOLD), again.output
    finally:
        patch(restored_mesh, *GATEWAY, patch={"metadata": {"finalizers": None}})
    eventually(lambda: not there(restored_mesh, *GATEWAY))
    assert restored_mesh.play("teardown").ok


# -- certificates do not wait --------------------------------------------------------------------------------------


@contextmanager
def port_led_elsewhere(mesh: Mesh) -> Iterator[None]:
    ports = [port["port"] for port in mesh.get(B, *INGRESS)["spec"]["ports"]]
    path = f"/spec/ports/{ports.index(MYSQL['tls_port'])}/targetPort"
    patch(mesh, *INGRESS, patch=[{"op": "replace", "path": path, "value": 9999}], manager="erin")
    try:
        yield
    finally:
        patch(mesh, *INGRESS, patch=[{"op": "replace", "path": path, "value": MYSQL["tls_port"]}], manager="erin")


def renewed(mesh: Mesh, before: list[str]) -> list[bool]:
    return [old != new for old, new in zip(before, credential_secrets.serials(mesh), strict=True)]


def rotate(mesh: Mesh) -> Run:
    return mesh.play("rotate_certificates", *FORCED)


@pytest.mark.slow
def test_a_port_that_is_wrong_keeps_no_certificate_from_its_renewal(restored_mesh: Mesh) -> None:
    before = credential_secrets.serials(restored_mesh)
    with port_led_elsewhere(restored_mesh):
        run = rotate(restored_mesh)
    assert renewed(restored_mesh, before) == [True, True], run.output
    assert not run.ok
    assert run.reports("port-changed", "port 13306", "erin"), run.output
    assert not run.says("[left-out]")
    # The control: with the port in order the same ends well.
    again = rotate(restored_mesh)
    assert again.ok, again.output


@pytest.mark.slow
def test_site_renews_as_well_and_writes_no_manifest(restored_mesh: Mesh) -> None:
    before = credential_secrets.serials(restored_mesh)
    other = restored_mesh.with_changes(variables={"custom_ca_key_type": "P-384"}, links=[MYSQL, *EXTRA[:1]])
    with port_led_elsewhere(restored_mesh):
        run = other.site(*AT_ONCE)
    assert renewed(restored_mesh, before)[credential_secrets.BOTH.index(SERVER)], run.output
    assert run.reports("port-changed", "port 13306"), run.output
    assert run.recap[B]["failed"] == 1
    assert not {name for name in restored_mesh.names(B) if "extra" in name}


def test_an_immutable_secret_is_the_only_one_that_is_not_renewed(restored_mesh: Mesh, tmp_path: Path) -> None:
    before = credential_secrets.serials(restored_mesh)
    with immutable(restored_mesh, tmp_path):
        run = rotate(restored_mesh)
        changed = renewed(restored_mesh, before)
    assert changed == [secret == CLIENT for secret in credential_secrets.BOTH]
    assert run.reports("immutable-secret", f"Secret {SYSTEM}/mysql-credential"), run.output


# -- an API server that is busy ------------------------------------------------------------------------------------

FLOW = "flowcontrol.apiserver.k8s.io/v1"
BUSY = "crossmesh-busy"


@contextmanager
def busy_for(mesh: Mesh, user: str) -> Iterator[None]:
    """Every request of a user is answered with 429 and a time to come back (API priority and fairness)."""
    level = {
        "apiVersion": FLOW,
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": BUSY},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0,
                "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    }
    account = {"kind": "ServiceAccount", "serviceAccount": {"name": user, "namespace": user}}
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}]
    schema = {
        "apiVersion": FLOW,
        "kind": "FlowSchema",
        "metadata": {"name": BUSY},
        "spec": {
            # 1 is kept for the exempt.
            "matchingPrecedence": 2,
            "priorityLevelConfiguration": {"name": BUSY},
            "rules": [{"subjects": [account], "resourceRules": rules}],
        },
    }
    with present(mesh, B, level, schema):
        yield


def rejected(mesh: Mesh) -> bool:
    metrics = mesh.lab.kubectl(B, "get", "--raw", "/metrics").stdout
    lines = [line for line in metrics.splitlines() if line.startswith("apiserver_flowcontrol_rejected_requests_total")]
    return any(f'flow_schema="{BUSY}"' in line for line in lines)


def test_a_busy_api_server_is_waited_for(restored_mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(restored_mesh.lab, tmp_path) as kubeconfig:
        mesh = restored_mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)})
        with busy_for(mesh, "crossmesh"):
            process = mesh.begin("verify")
            eventually(lambda: rejected(mesh))
            assert process.poll() is None, "it waits"
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors


def test_the_file_leaves_nothing_behind(restored_mesh: Mesh) -> None:
    """Policies and webhooks would meet the tests of other files."""
    for cluster in CLUSTERS:
        found = restored_mesh.get(cluster, "validatingadmissionpolicies,mutatingwebhookconfigurations")["items"]
        assert [item["metadata"]["name"] for item in found if "example.com" in item["metadata"]["name"]] == []
