# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of the clusters' API with exactly the rights that a test gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.integration.support.lab_mesh import CHECKOUT, CLUSTERS
from tests.lab import Lab

NAMESPACE = "crossmesh"
PAGES_GATEWAYS, LABS_GATEWAYS = "istio-gateways", "istio-system"
RBAC = "rbac.authorization.k8s.io"

Rule = dict[str, list[str]]


def rule(group: str, resources: str, verbs: str) -> Rule:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


READ: tuple[Rule, ...] = (
    rule("", "pods", "list"),
    rule("", "configmaps", "get"),
    rule("", "services", "get list"),
    rule("", "secrets", "get list"),
    rule("networking.istio.io", "serviceentries gateways destinationrules virtualservices", "get list"),
    rule("security.istio.io", "peerauthentications authorizationpolicies", "get list"),
)
WRITE_OBJECTS: tuple[Rule, ...] = (
    rule("", "services", "patch"),
    rule("networking.istio.io", "serviceentries gateways destinationrules virtualservices", "create patch delete"),
    rule("security.istio.io", "peerauthentications authorizationpolicies", "create patch delete"),
)


@contextmanager
def service_account(lab: Lab, folder: Path, name: str, rules: Sequence[Rule]) -> Iterator[Path]:
    """A service account with these rights in every cluster; its kubeconfig has the lab's contexts."""
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    }
    with _account(lab, folder, name, {cluster: [role, binding] for cluster in CLUSTERS}) as path:
        yield path


@contextmanager
def documented_account(
    lab: Lab,
    folder: Path,
    *,
    links: Sequence[str] = ("mysql",),
    namespaces: Mapping[str, str] = MappingProxyType({}),
    without: str = "",
    lacking: tuple[str, str] = ("", ""),
    more: Sequence[dict[str, Any]] = (),
) -> Iterator[Path]:
    """The account of docs/permissions.md, without one of its roles, or one verb on one resource, if one is named.

    :param links: whose Secrets it may read and write.
    :param namespaces: of the gateways, by cluster; where it is not given, the lab's.
    :param more: objects beside its own.
    """
    text = (CHECKOUT / "docs/permissions.md").read_text(encoding="utf-8")
    objects = yaml.safe_load_all(text.partition("```yaml\n")[2].partition("```")[0])
    kept = [_lacking(_for_links(item, links), *lacking) for item in objects if item["metadata"]["name"] != without]
    rights = {
        cluster: [*(_in_place(item, namespaces.get(cluster, LABS_GATEWAYS)) for item in kept), *more]
        for cluster in CLUSTERS
    }
    with _account(lab, folder, "crossmesh", rights) as path:
        yield path


@contextmanager
def store_account(lab: Lab, folder: Path, cluster: str) -> Iterator[Path]:
    """The account of docs/permissions.md that keeps the CA in Secrets of one cluster, and may do nothing else.

    What it has kept goes with it.
    """
    text = (CHECKOUT / "docs/permissions.md").read_text(encoding="utf-8")
    section = text.partition("## The CA's Secrets\n")[2]
    objects = list(yaml.safe_load_all(section.partition("```yaml\n")[2].partition("```")[0]))
    rights = {other: objects if other == cluster else [] for other in CLUSTERS}
    with _account(lab, folder, "crossmesh", rights) as path:
        try:
            yield path
        finally:
            lab.kubectl(cluster, "delete", "secrets,leases", "-n", NAMESPACE, "-l", "crossmesh/ca-store")


def _for_links(item: dict[str, Any], links: Sequence[str]) -> dict[str, Any]:
    """The page's names of Secrets are those of its example; what is no role, as it is."""
    rules = [
        {**granted, "resourceNames": _named(granted["resourceNames"], links)}
        if granted["resources"] == ["secrets"]
        else granted
        for granted in item.get("rules", ())
    ]
    return {**item, "rules": rules} if "rules" in item else item


def _named(example: Sequence[str], links: Sequence[str]) -> list[str]:
    found = (name.replace("mysql", link) for name in example for link in links)
    return list(dict.fromkeys(found))


def _in_place(item: dict[str, Any], namespace: str) -> dict[str, Any]:
    """What the page has in its gateways' namespace, in this one instead."""
    metadata = item["metadata"]
    there = namespace if metadata.get("namespace") == PAGES_GATEWAYS else metadata.get("namespace")
    return {**item, "metadata": {**metadata, "namespace": there}} if there else item


def _lacking(item: dict[str, Any], verb: str, resource: str) -> dict[str, Any]:
    """A role in which a verb on a resource is not granted any more; what is no role, as it is."""
    if "rules" not in item:
        return item
    rules = [
        {
            **granted,
            "resources": [name],
            "verbs": [given for given in granted["verbs"] if (given, name) != (verb, resource)],
        }
        for granted in item["rules"]
        for name in granted["resources"]
    ]
    return {**item, "rules": [granted for granted in rules if granted["verbs"]]}


@contextmanager
def _account(lab: Lab, folder: Path, name: str, rights: Mapping[str, Sequence[dict[str, Any]]]) -> Iterator[Path]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    user = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
    # The namespace stays: to delete one takes longer than all else.
    made = {cluster: yaml.safe_dump_all([user, *rights[cluster]]) for cluster in CLUSTERS}
    try:
        for cluster in CLUSTERS:
            lab.kubectl(cluster, "apply", "-f", "-", stdin=f"{yaml.safe_dump(namespace)}---\n{made[cluster]}")
        path = folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(_kubeconfig(lab, name)), encoding="utf-8")
        yield path
    finally:
        for cluster in CLUSTERS:
            lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=made[cluster])


def _kubeconfig(lab: Lab, name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    tokens = {
        cluster: lab.kubectl(cluster, "-n", NAMESPACE, "create", "token", name).stdout.strip() for cluster in CLUSTERS
    }
    config["users"] = [{"name": cluster, "user": {"token": token}} for cluster, token in tokens.items()]
    for context in config["contexts"]:
        context["context"]["user"] = context["name"]
    return config
