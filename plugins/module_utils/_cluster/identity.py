# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, in the API server's words, and which cluster it is that answers.

PRIVATE to the collection.
"""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, ApiError, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import CLUSTER_NAMESPACE, get_document
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Identity
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["FIRST_NAMESPACE", "NO_IDENTITY", "read_identity", "unidentified"]

# It is made with the cluster, and cannot be deleted: its uid is the cluster's.
FIRST_NAMESPACE = "kube-system"
NO_IDENTITY: Identity = {"user": "", "cluster_uid": ""}
_ANONYMOUS = "system:anonymous"


def read_identity(api: Api) -> Identity:
    """Ask both.

    :raises CrossmeshError: the API server takes us for nobody, or could not be asked.
    """
    return {"user": _user(api), "cluster_uid": _cluster_uid(api)}


def _user(api: Api) -> str:
    try:
        user = api.whoami()
    except ApiError as error:
        # Before Kubernetes 1.28 there is no such review; and an administrator can take the right to it away.
        if error.status not in (403, 404):
            raise
        user = _ANONYMOUS if error.status == 403 and api.nobody else ""
    if user == _ANONYMOUS:
        what = f"the API server does not know who asks: requests of this context are those of {_ANONYMOUS}"
        fix = "give the context a user with a credential in the kubeconfig, or choose another one with mesh_context"
        raise CrossmeshError(Message.error("anonymous", where=api.where, what=what, fix=fix))
    return user


def _cluster_uid(api: Api) -> str:
    try:
        path = object_path("", "v1", "namespaces", name=FIRST_NAMESPACE)
        return str(get_document(api, CLUSTER_NAMESPACE, path)["metadata"]["uid"])
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return ""


def unidentified(identity: Identity) -> Message | None:
    """The notice where it is not known which cluster it is."""
    if identity["cluster_uid"]:
        return None
    what = f"not permitted to get namespace {FIRST_NAMESPACE}, so it is not known which cluster this is"
    fix = "bind ClusterRole crossmesh-read as docs/permissions.md has it now"
    return Message.notice("cluster-unidentified", where="", what=what, fix=fix)
