"""Users of the clusters' API with exactly the rights that a test gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.integration.support.lab_mesh import CHECKOUT, CLUSTERS
from tests.lab import Lab

NAMESPACE = "crossmesh"
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
    with _account(lab, folder, name, [role, binding]) as path:
        yield path


@contextmanager
def documented_account(
    lab: Lab, folder: Path, *, without: str = "", lacking: tuple[str, str] = ("", "")
) -> Iterator[Path]:
    """The account of docs/permissions.md, without one of its roles, or one verb on one resource, if one is named."""
    text = (CHECKOUT / "docs/permissions.md").read_text(encoding="utf-8")
    objects = yaml.safe_load_all(text.partition("```yaml\n")[2].partition("```")[0])
    kept = [_lacking(item, *lacking) for item in objects if item["metadata"]["name"] != without]
    with _account(lab, folder, "crossmesh", kept) as path:
        yield path


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
def _account(lab: Lab, folder: Path, name: str, rights: Sequence[dict[str, Any]]) -> Iterator[Path]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    user = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}
    # The namespace stays: to delete one takes longer than all else.
    made = yaml.safe_dump_all([user, *rights])
    try:
        for cluster in CLUSTERS:
            lab.kubectl(cluster, "apply", "-f", "-", stdin=f"{yaml.safe_dump(namespace)}---\n{made}")
        path = folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(_kubeconfig(lab, name)), encoding="utf-8")
        yield path
    finally:
        for cluster in CLUSTERS:
            lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=made)


def _kubeconfig(lab: Lab, name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    tokens = {
        cluster: lab.kubectl(cluster, "-n", NAMESPACE, "create", "token", name).stdout.strip() for cluster in CLUSTERS
    }
    config["users"] = [{"name": cluster, "user": {"token": token}} for cluster, token in tokens.items()]
    for context in config["contexts"]:
        context["context"]["user"] = context["name"]
    return config
