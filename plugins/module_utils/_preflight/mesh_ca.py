# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether gateways share a namespace with the key of the mesh's own CA.

PRIVATE to the collection. RBAC ends at the namespace: who may run commands in the gateways' pods may do so in istiod's
beside them, and who may make one Secret there can have a token of any of its ServiceAccounts put into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    METADATA_OF_ONE,
    METADATA_ONLY,
    Api,
    ApiError,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import NOBODY, Row

__all__ = ["CHECK", "mesh_ca_rows"]

CHECK = "namespace"
# istiod keeps a CA of its own making in the first, and takes a given one from the second.
KEYS = ("istio-ca-secret", "cacerts")
ISTIOD = "app=istiod"


def mesh_ca_rows(api: Api, cluster: str, namespaces: Iterable[str]) -> list[Row]:
    """:param namespaces: of the gateways that links go through."""
    return [_row(api, cluster, namespace) for namespace in sorted(set(namespaces))]


def _row(api: Api, cluster: str, namespace: str) -> Row:
    try:
        seen = [*_control_planes(api, namespace), *_keys(api, namespace)]
    except CrossmeshError as error:
        return Row(cluster, NOBODY, CHECK, "unknown", f"{namespace}: {error.message.seen}")
    if not seen:
        return Row(cluster, NOBODY, CHECK, "ok", f"{namespace}: neither istiod nor the mesh's own CA is there")
    return Row.of(cluster, NOBODY, CHECK, _beside(namespace, seen))


def _control_planes(api: Api, namespace: str) -> Iterator[str]:
    path = object_path("", "v1", "pods", namespace)
    found = list_objects(api, "Pod", path, {"labelSelector": ISTIOD}, METADATA_ONLY)
    yield from (f"pod {item['metadata']['name']}" for item in found[:1])


def _keys(api: Api, namespace: str) -> Iterator[str]:
    """Only that they are there; a user who may not know that cannot read them either."""
    for name in KEYS:
        try:
            api.get(object_path("", "v1", "secrets", namespace, name), accept=METADATA_OF_ONE)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
        else:
            yield f"Secret {name}"


def _beside(namespace: str, seen: Iterable[str]) -> Message:
    return Message.warning(
        "gateway-beside-mesh-ca",
        where=f"namespace {namespace}",
        what=f"the gateways stand beside the mesh's own CA ({', '.join(seen)}): the permissions that a run has for "
        "them lead to its key",
        fix="run gateways in a namespace of their own, and name it in mesh_ingress_gateway and mesh_egress_gateway "
        "(docs/permissions.md)",
    )
