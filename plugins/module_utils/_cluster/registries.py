# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where others keep a list of clusters: kubeconfig files, Argo CD, Open Cluster Management.

PRIVATE to the collection. Whoever may write there can call a cluster as he likes, and lead anywhere by it: what comes
of it is a wish, of which an inventory takes what it allows (M(_inventory/selection)). No credential is part of it. What
is wrong with one costs that one its place, and only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import argocd
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import Connection, refuse, server_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, list_each
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import contexts_of, title_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError

__all__ = ["of_argocd", "of_kubeconfig", "of_ocm"]


def of_kubeconfig(connection: Connection, kubeconfig: str) -> Iterator[Known]:
    """The contexts.

    :param kubeconfig: as C(mesh_kubeconfig) is to have it.
    :raises CrossmeshError: it cannot be used, or is none.
    """
    if not connection.files:
        raise refuse(connection.where, "it has no contexts", "set from_kubeconfig to a kubeconfig")
    for known in contexts_of(connection):
        way = {"mesh_kubeconfig": kubeconfig, "mesh_context": known.name}
        yield _judged(replace(known, way=way), title_of(connection, known.name))


def of_argocd(hub: Api, namespace: str, kubeconfig: str, context: str) -> Iterator[Known]:
    """What Argo CD has registered; the credentials stay where they are.

    :param kubeconfig: as C(mesh_argocd_kubeconfig) is to have it; likewise the context.
    :raises CrossmeshError: the hub cannot be asked.
    """
    path = object_path("", "v1", "secrets", namespace)
    for title, secret in list_each(hub, "Secret", path, {"labelSelector": argocd.SELECTOR}):
        if isinstance(secret, CrossmeshError):
            yield Known(title, fault=secret.message)
        elif argocd.is_registration(secret):
            place = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
            hosts = {"kubeconfig": kubeconfig, "context": context, "secret": place}
            # An inventory may have these for all, as that of AWX does: two ways at once are none.
            elsewhere = {"mesh_kubeconfig": "", "mesh_context": ""}
            way = {**elsewhere, **{f"mesh_argocd_{key}": value for key, value in hosts.items()}}
            yield _registered(secret, place, f"Secret {place} of Argo CD, {hub.where}", way)


def _registered(secret: Item, place: str, where: str, way: Mapping[str, str]) -> Known:
    # No cluster's name, as it has a slash.
    name = place
    try:
        name = argocd.text_in(secret, "name", where)
        server = argocd.text_in(secret, "server", where)
    except CrossmeshError as error:
        return Known(name, fault=error.message)
    return _judged(Known(name, server, secret["metadata"].get("labels", {}), way=way), where)


def of_ocm(hub: Api) -> Iterator[Known]:
    """The clusters that a hub of Open Cluster Management has accepted. It holds no credential for them.

    https://open-cluster-management.io/docs/concepts/cluster-inventory/managedcluster/

    :raises CrossmeshError: the hub cannot be asked.
    """
    path = object_path("cluster.open-cluster-management.io", "v1", "managedclusters")
    for title, found in list_each(hub, "ManagedCluster", path):
        if isinstance(found, CrossmeshError):
            yield Known(title, fault=found.message)
        # Any cluster may ask to be one of them.
        elif found.get("spec", {}).get("hubAcceptsClient"):
            yield _accepted(found, hub.where)


def _accepted(found: Item, where: str) -> Known:
    name, status = found["metadata"]["name"], found.get("status", {})
    servers: list[dict[str, Any]] = found["spec"].get("managedClusterClientConfigs", [])
    server = next((item["url"] for item in servers if item.get("url")), "")
    claims = {item["name"]: item["value"] for item in status.get("clusterClaims", [])}
    known = Known(name, server, found["metadata"].get("labels", {}), claims)
    return _judged(known, f"ManagedCluster {name}, {where}")


def _judged(known: Known, where: str) -> Known:
    """The same, without an address that may hold a password: it becomes a variable that anybody sees."""
    try:
        server_of(f"the server of {where}", known.server)
    except CrossmeshError as error:
        return replace(known, server="", fault=known.fault or error.message)
    return known
