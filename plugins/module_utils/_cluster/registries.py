# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where others keep a list of clusters: kubeconfig files, Argo CD, Open Cluster Management.

PRIVATE to the collection. Whoever may write there can call a cluster as he likes, and lead anywhere by it: what comes
of it is a wish, of which an inventory takes what it allows (M(_inventory/selection)). No credential is part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import argocd
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import Connection, refuse, server_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import contexts_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["of_argocd", "of_kubeconfig", "of_ocm"]


def of_kubeconfig(connection: Connection, kubeconfig: str) -> Iterator[Known | Message]:
    """The contexts.

    :param kubeconfig: as C(mesh_kubeconfig) is to have it.
    :raises CrossmeshError: it cannot be used, or is none.
    """
    if not connection.files:
        raise refuse(connection.where, "it has no contexts", "set from_kubeconfig to a kubeconfig")
    for name, server in contexts_of(connection):
        yield _judged(Known(name, server, way={"mesh_kubeconfig": kubeconfig, "mesh_context": name}), connection.where)


def of_argocd(hub: Api, namespace: str, kubeconfig: str, context: str) -> Iterator[Known | Message]:
    """What Argo CD has registered; the credentials stay where they are.

    :param kubeconfig: as C(mesh_argocd_kubeconfig) is to have it; likewise the context.
    :raises CrossmeshError: the hub cannot be asked.
    """
    path = object_path("", "v1", "secrets", namespace)
    for secret in list_objects(hub, "Secret", path, {"labelSelector": argocd.SELECTOR}):
        if argocd.is_registration(secret):
            place = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
            hosts = {"kubeconfig": kubeconfig, "context": context, "secret": place}
            way = {f"mesh_argocd_{key}": value for key, value in hosts.items()}
            yield _registered(secret, f"Secret {place} of Argo CD, {hub.where}", way)


def _registered(secret: Item, where: str, way: Mapping[str, str]) -> Known | Message:
    try:
        name, server = (argocd.text_in(secret, key, where) for key in ("name", "server"))
    except CrossmeshError as error:
        return error.message
    return _judged(Known(name, server, secret["metadata"].get("labels", {}), way=way), where)


def of_ocm(hub: Api) -> Iterator[Known | Message]:
    """The clusters that a hub of Open Cluster Management has accepted. It holds no credential for them.

    https://open-cluster-management.io/docs/concepts/cluster-inventory/managedcluster/

    :raises CrossmeshError: the hub cannot be asked.
    """
    path = object_path("cluster.open-cluster-management.io", "v1", "managedclusters")
    for found in list_objects(hub, "ManagedCluster", path):
        spec, name = found.get("spec", {}), found["metadata"]["name"]
        # Any cluster may ask to be one of them.
        if spec.get("hubAcceptsClient"):
            servers: list[dict[str, Any]] = spec.get("managedClusterClientConfigs", [])
            server = next((item["url"] for item in servers if item.get("url")), "")
            claims = {item["name"]: item["value"] for item in found.get("status", {}).get("clusterClaims", [])}
            known = Known(name, server, found["metadata"].get("labels", {}), claims)
            yield _judged(known, f"ManagedCluster {name}, {hub.where}")


def _judged(known: Known, where: str) -> Known | Message:
    """The same, unless its address may hold a password: it becomes a variable that anybody sees."""
    try:
        server_of(f"the server of {where}", known.server)
    except CrossmeshError as error:
        return error.message
    return known
