# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All objects of a cluster by which Istio decides what becomes of a link, whoever made them.

PRIVATE to the collection. They are read in every look but those of rotations, which leave objects alone. What they say
is for M(_istio.parsing) to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api, ApiError, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item, get_object, list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Key, key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

try:
    import yaml

    _PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
except ImportError:
    pass

__all__ = ["KINDS", "Surroundings", "config_names", "read_surroundings"]

MESH_CONFIG = "istio"
REVISION = "istio.io/rev"
DEFAULT_REVISIONS = ("", "default")

_WRITTEN_TOO = [kind for kind in names.KINDS if kind.kind != "NetworkPolicy"]
# Of a kind that an older cluster has in another version, the versions follow one another.
KINDS: Sequence[names.Kind] = (
    names.Kind("Service", "", "v1", "services"),
    *_WRITTEN_TOO,
    names.Kind("EnvoyFilter", "networking.istio.io", "v1alpha3", "envoyfilters"),
    names.Kind("BackendTLSPolicy", "gateway.networking.k8s.io", "v1", "backendtlspolicies"),
    names.Kind("BackendTLSPolicy", "gateway.networking.k8s.io", "v1alpha3", "backendtlspolicies"),
    names.Kind("XBackendTrafficPolicy", "gateway.networking.x-k8s.io", "v1alpha1", "xbackendtrafficpolicies"),
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Surroundings:
    """:param mesh_config: MeshConfig, read as YAML; None where there is none, or it may not be read.
    :param namespaces: labels of each; None where they may not be listed.
    :param unseen: what could not be read, in the words of a permission, and why not.
    """

    objects: Sequence[Item] = ()
    mesh_config: object = None
    namespaces: Mapping[str, Mapping[str, str]] | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)


def read_surroundings(api: Api, pods: Sequence[Pod], known: Mapping[str, Sequence[Item]]) -> Surroundings:
    """What is there. What could not be read is told, and is no error: none of it is the run's own.

    :param pods: of the gateways: their revision is that of the control plane that counts.
    :param known: by kind, all objects of those kinds that need not be read again.
    """
    unseen: dict[str, str] = {}
    with ThreadPoolExecutor(PARALLEL) as pool:
        lists = [
            pool.submit(_permitted, partial(_list, api, kind), f"list {kind.plural}", unseen)
            for kind in KINDS
            if kind.kind not in known
        ]
        config = pool.submit(
            _permitted, partial(_mesh_config, api, pods), f"get configmaps in {names.ROOT_NAMESPACE}", unseen
        )
        namespaces = pool.submit(_permitted, partial(_namespaces, api), "list namespaces", unseen)
    objects: dict[Key, Item] = {}
    for items in (*known.values(), *(found.result() for found in lists)):
        for item in items or ():
            objects.setdefault(key_of(item), item)
    return Surroundings(list(objects.values()), config.result(), namespaces.result(), unseen)


def _permitted(read: Callable[[], Found], needed: str, unseen: dict[str, str]) -> Found | None:
    try:
        return read()
    except CrossmeshError as error:
        forbidden = isinstance(error, ApiError) and error.status == 403
        unseen[needed] = "403" if forbidden else error.message.what
        return None


def _list(api: Api, kind: names.Kind) -> list[Item]:
    """Nothing where the cluster does not know the kind."""
    try:
        found = list_objects(api, kind.kind, object_path(kind.group, kind.version, kind.plural))
    except ApiError as error:
        if error.status == 404:
            return []
        raise
    return [{**item, "kind": kind.kind} for item in found]


def _namespaces(api: Api) -> dict[str, dict[str, str]]:
    found = list_objects(api, "Namespace", object_path("", "v1", "namespaces"))
    return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in found}


def _mesh_config(api: Api, pods: Sequence[Pod]) -> object:
    name, *others = config_names(pods)
    if others:
        raise _unreadable(MESH_CONFIG, "the gateways are of several revisions")
    item = get_object(api, "ConfigMap", object_path("", "v1", "configmaps", names.ROOT_NAMESPACE, name))
    try:
        found: object = yaml.load((item.get("data") or {}).get("mesh", ""), Loader=_PARSER)
    # What is no date, or is nested too deep, is an error of another kind.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(name, "its mesh is no YAML") from error
    return found


def config_names(pods: Iterable[Pod]) -> list[str]:
    """Of the ConfigMap of the gateways' control plane; several where they are of several revisions."""
    revisions = {pod["labels"].get(REVISION, "") for pod in pods} or {""}
    return sorted({MESH_CONFIG if item in DEFAULT_REVISIONS else f"{MESH_CONFIG}-{item}" for item in revisions})


def _unreadable(name: str, what: str) -> CrossmeshError:
    where = f"ConfigMap {names.ROOT_NAMESPACE}/{name}"
    return CrossmeshError(Message.warning("not-foreseen", where=where, what=what, fix="see MeshConfig"))
