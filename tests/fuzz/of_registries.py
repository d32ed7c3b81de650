# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Argo CD and Open Cluster Management have registered: as an inventory lists it, and as a run connects by it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.argocd import connection_to_registered
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.registries import of_argocd, of_ocm
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from tests.unit.registries import MANAGED, SECRETS, TOKEN, Hub, argocd_secret, config, managed_cluster
from tests.unit.support import Json

from .judge import Target
from .of_keys import leaf_key, pems

__all__ = ["TARGETS"]


def _hub(path: str, document: Any) -> Any:
    return Hub(**{path: document})


def _connected(secret: Any) -> None:
    hub = _hub(f"{SECRETS}/cluster-cluster-b", secret)
    configuration(connection_to_registered(hub, "argocd/cluster-cluster-b"))


def _config_of(data: bytes) -> None:
    """The JSON of a Secret, which an edit of the Secret would reach in Base64 alone."""
    secret = argocd_secret("cluster-b")
    secret["data"]["config"] = base64.b64encode(data).decode()
    _connected(secret)


def _configs() -> list[bytes]:
    certificate, key = (base64.b64encode(pem).decode() for pem in leaf_key())
    root = base64.b64encode(pems()[0]).decode()
    users: Iterable[Json] = (
        {"tlsClientConfig": {"caData": root, "serverName": "kubernetes"}},
        {"bearerToken": "", "tlsClientConfig": {"certData": certificate, "keyData": key}},
        {"awsAuthConfig": {"clusterName": "cluster-b"}},
    )
    return [config(**changes).encode() for changes in users]


def _listed(path: str, read: Callable[[Any], Iterable[Known]]) -> Callable[[Any], None]:
    def listing(document: Any) -> None:
        faults = [known.fault for known in read(_hub(path, document)) if known.fault]
        if faults:
            raise CrossmeshError(*faults)

    return listing


def _list(kind: str, *items: Json) -> Json:
    return {"kind": f"{kind}List", "metadata": {}, "items": [*items]}


TARGETS: Mapping[str, Target] = {
    "argocd-secret": Target(lambda: [argocd_secret("cluster-b")], _connected, secrets=(TOKEN,)),
    "argocd-config": Target(_configs, _config_of, secrets=(TOKEN,)),
    "argocd-clusters": Target(
        lambda: [_list("Secret", argocd_secret("cluster-b"), argocd_secret("cluster-c"))],
        _listed(SECRETS, lambda hub: of_argocd(hub, "argocd", "kubeconfig", "hub")),
        secrets=(TOKEN,),
    ),
    "managed-clusters": Target(
        lambda: [_list("ManagedCluster", managed_cluster("a"), managed_cluster("b", accepted=False))],
        _listed(MANAGED, of_ocm),
    ),
}
