# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run needs to be allowed is what docs/permissions.md grants, no less and no more."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight import permissions
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.permissions import Need
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import commands
from tests.unit.support import CHECKOUT, CLIENT, SERVER, Json, link, numbered, view

BOTH = {
    "mesh_cluster_name": "cluster-b",
    "groups": ["mesh_servers", "mesh_clients"],
    "mesh_ingress_gateway": {"namespace": "istio-gateways"},
    "mesh_egress_gateway": {"namespace": "istio-gateways"},
    "mesh_egress_lockdown": ["default"],
    "mesh_cluster_cidrs": ["10.0.0.0/8"],
}
# One link that the cluster serves and one that it dials, with all that asks for more.
EVERYTHING = [
    link(servers=["cluster-b"], clients=["cluster-x"], strict_backend=True),
    link(name="far", fqdn="far.example.com", servers=["cluster-x"], workloads={"namespaces": ["shop"]}),
]
PAGE = (CHECKOUT / "docs/permissions.md").read_text()


def documented(page: str) -> list[Json]:
    """The objects of its first block."""
    return list(yaml.safe_load_all(page.partition("```yaml\n")[2].partition("```")[0]))


def granted(page: str = PAGE) -> Iterator[Need]:
    """Every single permission of the page, with the namespace that it is bound in."""
    objects = documented(page)
    roles = {item["metadata"]["name"]: item["rules"] for item in objects if item["kind"] == "ClusterRole"}
    for binding in objects:
        if binding["kind"] == "ClusterRole":
            continue
        role = binding["roleRef"]["name"]
        for rule in roles[role]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        for verb in rule["verbs"]:
                            yield Need(role, verb, group, resource, binding["metadata"].get("namespace", ""), name)


def comparable(need: Need) -> tuple[str, ...]:
    """Without what the page leaves open: it grants all Services, a run asks for the gateways'."""
    name = need.name if need.resource in ("configmaps", "namespaces", "secrets") else ""
    return (need.role, need.verb, need.group, need.resource, need.namespace, name)


def test_the_page_grants_exactly_what_a_run_needs() -> None:
    needed = {comparable(need) for need in permissions.needs(view(EVERYTHING, BOTH))}
    allowed = {comparable(need) for need in granted()}
    assert needed - allowed == set(), "add it to docs/permissions.md"
    assert allowed - needed == set(), "no run needs it: take it out of docs/permissions.md"


def probed(number: int, *, namespace: str = "shop", required: bool = False) -> Json:
    place = {"namespace": namespace, "selector": {"app": "web"}}
    return numbered(number, probe={"type": "mysql", "from": place, "required": required})


def of_probes(links: list[Json]) -> list[Need]:
    return [need for need in permissions.needs(view(links, CLIENT)) if need.role == "crossmesh-probe"]


def test_the_page_grants_exactly_what_probes_need() -> None:
    assert {comparable(need) for need in of_probes([probed(1)])} == {
        comparable(need) for need in granted(section("Workloads that are asked"))
    }
    assert of_probes([link()]) == []
    server = permissions.needs(view([probed(1)], SERVER))
    assert [need for need in server if need.role == "crossmesh-probe"] == [], "only clients are asked"


def test_what_probes_lack_is_a_warning_that_says_when_verify_fails_for_it() -> None:
    links = [probed(1), probed(2, required=True), probed(3), probed(4, namespace="other")]
    told = [permissions.describe(group) for group in permissions.of_group(of_probes(links))]
    assert {message.level for message in told} == {"warning"}
    few, many = "the probe of link-4", "the probe of link-1, link-2, link-3, and fails, as it is required of link-2"
    assert [message.seen for message in told] == [
        f"may not list pods in namespace other, so verify cannot ask {few}",
        f"may not get, create pods/exec in namespace other, so verify cannot ask {few}",
        f"may not list pods in namespace shop, so verify cannot ask {many}",
        f"may not get, create pods/exec in namespace shop, so verify cannot ask {many}",
    ]
    assert "crossmesh-probe" in told[0].fix


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_page_lists_all_that_is_run_by_exec() -> None:
    """Who lets nothing else pass would lock runs out otherwise."""
    page = section("What is run by exec")
    watch = Watch(frozenset({(3306, "mysql.example.com")}))
    asked = {getattr(envoy, name) for name in envoy.__all__ if name.isupper()}
    assert len(asked) == 4, "the probe finds them"
    asked |= {f"{path[: path.rindex('=')]}=REGEX" for path in (watch.question, watch.question_of_counts)}
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == asked
    (dialled,) = view([probed(1)], CLIENT)["client"]["links"]
    assert dialled["probe"]
    run = {f"{program} {option} SCRIPT" for program, option, *_script in commands(dialled, dialled["probe"])}
    assert set(re.findall(r"`(\S+ -c SCRIPT)`", page)) == run


def test_the_command_of_the_page_prints_the_names_of_an_inventorys_secrets() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("ansible localhost ")]
    program, *words = shlex.split(line)
    inventory = str(CHECKOUT / "inventories/example")
    command = [str(Path(sys.executable).parent / program), *(inventory if word == "meshes" else word for word in words)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1].strip('"}') == "mysql-credential", "of the one link that it has"


def test_the_page_explains_every_role() -> None:
    for role in {need.role for need in granted()}:
        assert f"| `{role}` |" in PAGE


def written(**changes: Any) -> set[tuple[str, str]]:
    found = permissions.needs(view([link()], changes.pop("variables", SERVER)), **changes)
    return {(need.resource, need.namespace) for need in found if need.verb == "patch"}


def test_each_side_writes_its_own_kinds_in_the_namespace_of_its_gateway() -> None:
    edge = {"mesh_ingress_gateway": {"namespace": "edge"}, "mesh_egress_gateway": {"namespace": "out"}}
    server = {"secrets", "services", "gateways", "virtualservices"}
    assert written(variables={**SERVER, **edge}) == {(resource, "edge") for resource in server}
    client = server | {"serviceentries", "destinationrules"}
    assert written(variables={**CLIENT, **edge}) == {(resource, "out") for resource in client}


def test_what_is_ours_already_has_to_be_taken_away() -> None:
    gone = {"variables": {**SERVER, "mesh_cluster_state": "absent"}}
    assert written(**gone) == set()
    assert written(**gone, holding={("Gateway", "istio-system", ""), ("PeerAuthentication", "default", "")}) == {
        ("services", "istio-system"),
        ("gateways", "istio-system"),
        ("peerauthentications", "default"),
    }


def test_what_may_be_anybodys_beside_workloads_is_no_reason_to_fail() -> None:
    """A run goes on without deleting it."""
    holding = {("Gateway", "istio-system", ""), ("PeerAuthentication", "default", ""), ("Sidecar", "shop", "")}

    def failing(**changes: Any) -> set[str]:
        found = permissions.needs(view([link(**changes)], SERVER), holding)
        return {need.resource for need in found if need.verb == "delete" and not need.lacking}

    assert failing() == {"gateways", "virtualservices", "secrets"}
    assert failing(strict_backend=True) == failing() | {"peerauthentications"}


def of_secrets(**changes: Any) -> dict[str, list[str]]:
    """Verbs by the names of Secrets."""
    found: dict[str, list[str]] = {}
    for need in permissions.needs(view([link()], changes.pop("variables", SERVER)), **changes):
        if need.resource == "secrets":
            assert (need.namespace, need.role) == ("istio-system", "crossmesh-credentials")
            found.setdefault(need.name, []).append(need.verb)
    return found


EVERY_VERB = ["get", "create", "patch", "delete"]


def test_secrets_are_asked_for_by_name_and_never_listed() -> None:
    assert of_secrets() == {"mysql-credential": EVERY_VERB, "mysql-credential-cacert": ["get"]}
    assert of_secrets(variables=CLIENT) == {"client-credential": EVERY_VERB, "client-credential-cacert": ["get"]}


def test_a_secret_that_no_link_needs_any_more_has_to_be_taken_away() -> None:
    wanted, old = (("Secret", "istio-system", f"{name}-credential") for name in ("mysql", "old"))
    assert of_secrets(holding={wanted, old}) == {**of_secrets(), "old-credential": ["get", "delete"]}


def test_what_is_ours_is_told_by_its_labels() -> None:
    owner = Owner("default", "cluster-b", "server")
    other = Owner("blue", "cluster-b", "server")
    reading: Any = {
        "objects": [
            {"kind": kind, "metadata": {"namespace": "istio-system", "labels": labels}}
            for kind, labels in (("Gateway", owner.labels("mysql")), ("VirtualService", other.labels("mysql")))
        ],
        "secrets": [
            {"namespace": "istio-system", "name": "mysql-credential", "labels": owner.labels("mysql")},
            {"namespace": "shop", "name": "theirs", "labels": {}},
        ],
    }
    assert permissions.held(reading, [owner]) == {
        ("Gateway", "istio-system", ""),
        ("Secret", "istio-system", "mysql-credential"),
    }


def test_only_the_proof_by_exec_may_be_missing() -> None:
    optional = {need.resource for need in permissions.needs(view(EVERYTHING, BOTH)) if need.lacking}
    foreseeing = {"services", "sidecars", "envoyfilters", "backendtlspolicies", "xbackendtrafficpolicies", "configmaps"}
    assert optional == {"namespaces", "pods/exec"} | foreseeing


@pytest.mark.parametrize(("links", "namespaces"), [([], set()), ([link()], {"egress"})])
def test_only_pods_of_a_side_with_links_are_asked(links: list[Json], namespaces: set[str]) -> None:
    gateways = {side: {"namespace": side, "service": "edge"} for side in ("ingress", "egress")}
    variables = {**CLIENT, **{f"mesh_{side}_gateway": gateway for side, gateway in gateways.items()}}
    asked = {need.namespace for need in permissions.needs(view(links, variables)) if need.resource == "pods/exec"}
    assert asked == namespaces


@pytest.mark.parametrize(
    ("denied", "seen", "fix"),
    [
        (
            [
                Need("crossmesh-gateway", "create", "networking.istio.io", "gateways", "istio-system"),
                Need("crossmesh-gateway", "patch", "networking.istio.io", "gateways", "istio-system"),
            ],
            "may not create, patch gateways.networking.istio.io in namespace istio-system",
            "bind ClusterRole crossmesh-gateway of docs/permissions.md to the user of this context, by a RoleBinding "
            "in namespace istio-system",
        ),
        (
            [Need("crossmesh-read", "list", "networking.istio.io", "gateways")],
            "may not list gateways.networking.istio.io in all namespaces",
            "bind ClusterRole crossmesh-read of docs/permissions.md to the user of this context, by a "
            "ClusterRoleBinding",
        ),
        (
            [Need("crossmesh-gateway", "patch", "", "services", "istio-system", "istio-ingressgateway")],
            "may not patch services (istio-ingressgateway) in namespace istio-system",
            "bind ClusterRole crossmesh-gateway of docs/permissions.md to the user of this context, by a RoleBinding "
            "in namespace istio-system",
        ),
    ],
)
def test_what_is_missing_is_told_with_what_grants_it(denied: list[Need], seen: str, fix: str) -> None:
    (error,) = map(permissions.describe, permissions.of_group(denied))
    assert (error.code, error.level, error.seen, error.fix) == ("not-permitted", "error", seen, fix)


def test_a_review_asks_for_the_subresource_by_itself() -> None:
    need = Need("crossmesh-proof", "get", "", "pods/exec", "istio-system")
    assert need.attributes == {
        "verb": "get",
        "resource": "pods",
        "subresource": "exec",
        "namespace": "istio-system",
    }
