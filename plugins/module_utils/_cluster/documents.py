# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server answers, held against the shapes that Kubernetes and Istio give it.

PRIVATE to the collection. The one place at which its documents come in: behind it a field that a run reads has its
type, or is not there; null counts as not there, and a list that is null as empty, as Go writes it. What has another
shape is one error, with the object and the field, and never the value: that can be a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mapping, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api

__all__ = [
    "ACCESS_REVIEW",
    "ANSWER",
    "ARGOCD_CONFIG",
    "CLUSTER_NAMESPACE",
    "RESOURCES",
    "USER_REVIEW",
    "VERSION",
    "Fields",
    "Item",
    "get_document",
    "get_object",
    "hold",
    "list_objects",
    "malformed",
    "version_of",
]

# An object as an API server gives it, of a shape that was looked at.
Item = dict[str, Any]


# -- shapes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """:param types: of which one is due; a truth value is no number, although Python counts it as one."""

    types: tuple[type, ...]
    words: str


@dataclass(frozen=True)
class Each:
    """A list."""

    of: Shape


@dataclass(frozen=True)
class Named:
    """A mapping with names of somebody's own, such as labels."""

    of: Shape


@dataclass(frozen=True)
class Fields:
    """A mapping with known fields; others may be there, and are nobody's concern.

    :param needed: those without which it is nothing.
    """

    known: Mapping[str, Shape]
    needed: frozenset[str] = frozenset()


Shape: TypeAlias = "Leaf | Each | Named | Fields"

TEXT = Leaf((str,), "a text")
NUMBER = Leaf((int,), "a whole number")
TRUTH = Leaf((bool,), "true or false")
OPAQUE = Leaf((dict,), "a mapping")
PORT = Leaf((int, str), "a port")
TEXTS = Each(TEXT)


def _fields(*needed: str, **known: Shape) -> Fields:
    return Fields(known, frozenset(needed))


METADATA: Mapping[str, Shape] = {
    "name": TEXT,
    "namespace": TEXT,
    "uid": TEXT,
    "labels": Named(TEXT),
    "annotations": Named(TEXT),
    "creationTimestamp": TEXT,
    "deletionTimestamp": TEXT,
    "resourceVersion": TEXT,
    "finalizers": TEXTS,
    "ownerReferences": Each(_fields("kind", "name", kind=TEXT, name=TEXT)),
}
_TLS = _fields(tls=_fields(credentialName=TEXT))
_SERVER = _fields(
    port=_fields(number=NUMBER, protocol=TEXT, name=TEXT),
    hosts=TEXTS,
    bind=TEXT,
    tls=_fields(credentialName=TEXT),
)
_CONTAINERS = Each(_fields("name", name=TEXT, restartPolicy=TEXT))
_RULE = _fields(
    ports=Each(_fields(port=PORT, endPort=NUMBER, protocol=TEXT)), to=Each(_fields(ipBlock=_fields(cidr=TEXT)))
)
_SERVICE_PORT = _fields("port", port=NUMBER, name=TEXT, protocol=TEXT, targetPort=PORT)
# Of each kind what is read beside the metadata; of all others the spec is opaque.
_CONTENT: Mapping[str, Mapping[str, Shape]] = {
    "Gateway": {"spec": _fields(selector=Named(TEXT), servers=Each(_SERVER))},
    "DestinationRule": {
        "spec": _fields(
            trafficPolicy=_fields(tls=_fields(credentialName=TEXT), portLevelSettings=Each(_TLS)),
        )
    },
    "NetworkPolicy": {"spec": _fields(policyTypes=TEXTS, egress=Each(_RULE))},
    "Service": {
        "spec": _fields(type=TEXT, selector=Named(TEXT), ports=Each(_SERVICE_PORT), externalIPs=TEXTS),
        "status": _fields(loadBalancer=_fields(ingress=Each(_fields(ip=TEXT, hostname=TEXT)))),
    },
    "Pod": {
        "spec": _fields(serviceAccountName=TEXT, containers=_CONTAINERS, initContainers=_CONTAINERS),
        "status": _fields(conditions=Each(_fields("type", "status", type=TEXT, status=TEXT))),
    },
    "Secret": {"type": TEXT, "data": Named(TEXT), "immutable": TRUTH},
    "ConfigMap": {"data": Named(TEXT)},
    "Lease": {"spec": _fields(holderIdentity=TEXT)},
    "ManagedCluster": {
        "spec": _fields(hubAcceptsClient=TRUTH, managedClusterClientConfigs=Each(_fields(url=TEXT))),
        "status": _fields(clusterClaims=Each(_fields("name", "value", name=TEXT, value=TEXT))),
    },
    "ResourceQuota": {"status": _fields(hard=Named(TEXT), used=Named(TEXT))},
}

VERSION = _fields(gitVersion=TEXT)
RESOURCES = _fields("resources", resources=Each(_fields("name", name=TEXT)))
ACCESS_REVIEW = _fields("status", status=_fields(allowed=TRUTH))
# To a write: what it was for is known.
ANSWER = _fields(spec=OPAQUE, metadata=Fields(METADATA))
_STORED = _fields("metadata", metadata=Fields(METADATA, frozenset({"resourceVersion"})))
USER_REVIEW = _fields("status", status=_fields(userInfo=_fields(username=TEXT)))
# In a Secret of Argo CD.
ARGOCD_CONFIG = _fields(
    bearerToken=TEXT,
    tlsClientConfig=_fields(insecure=TRUTH, serverName=TEXT, caData=TEXT, certData=TEXT, keyData=TEXT),
)
CLUSTER_NAMESPACE = _fields("metadata", metadata=Fields(METADATA, frozenset({"uid"})))

_SPEC: Mapping[str, Shape] = {"spec": OPAQUE}


def _shape_of(kind: str, *needed: str) -> Fields:
    metadata = Fields(METADATA, frozenset(needed))
    return Fields({**_CONTENT.get(kind, _SPEC), "metadata": metadata}, frozenset({"metadata"}))


# One that was asked for by its name needs not tell it.
_SINGLE = {kind: _shape_of(kind) for kind in _CONTENT}
_LISTED = {kind: _shape_of(kind, "name", "namespace") for kind in _CONTENT} | {
    "Namespace": _shape_of("", "name"),
    "ManagedCluster": _shape_of("ManagedCluster", "name"),
}
_LIST = _fields("items", items=Each(OPAQUE))


# -- what comes in -------------------------------------------------------------------------------------------------


def list_objects(
    api: Api, kind: str, path: str, query: Mapping[str, str] | None = None, accept: str = ""
) -> list[Item]:
    """The objects of a list.

    :param kind: theirs; an API server leaves it out of a list.
    :param accept: the form in which they are wanted; empty for the whole.
    :raises CrossmeshError: the API server cannot be asked, refuses, or one of them has another shape.
    """
    answer = api.get(path, query or {}, **({"accept": accept} if accept else {}))
    # As Go writes an empty list; one that is not there is no list.
    if "items" in mapping(answer) and answer["items"] is None:
        return []
    items: list[Item] = _held(api, answer, _LIST, lambda: f"list of {kind} objects")["items"]
    shape = _LISTED.get(kind) or _shape_of(kind, "name", "namespace")
    return [_held(api, item, shape, partial(_title, kind, item, place)) for place, item in enumerate(items)]


def get_object(api: Api, kind: str, path: str) -> Item:
    """:raises CrossmeshError: the API server cannot be asked, refuses, or it has another shape."""
    return _held(api, api.get(path), _SINGLE.get(kind) or _shape_of(kind), lambda: path)


def get_document(api: Api, shape: Fields, path: str) -> Item:
    """What is no object.

    :raises CrossmeshError: the API server cannot be asked, refuses, or it has another shape.
    """
    return _held(api, api.get(path), shape, lambda: path)


def version_of(answer: object, where: str) -> str:
    """The C(resourceVersion) that an object has after a write.

    :raises CrossmeshError: the answer has none: with an empty one, the next write would be held against nothing.
    """
    return str(hold(answer, _STORED, where)["metadata"]["resourceVersion"])


def _held(api: Api, value: object, shape: Shape, title: Callable[[], str]) -> Item:
    """:param title: of the object, asked for where something is wrong with it: a mesh can have thousands."""
    return _of_shape(value, shape, lambda: f"{api.where}, {title()}")


def malformed(where: str, what: str) -> CrossmeshError:
    """:param where: the API server and the object.
    :param what: which field is not as it should be.
    """
    return CrossmeshError(
        Message.error(
            "malformed-object",
            where=where,
            what=what,
            fix="look at it with kubectl get -o yaml; where it is sound there, find out what changes the API server's "
            "answers on the way to this machine",
        )
    )


def _title(kind: str, item: object, place: int) -> str:
    metadata = mapping(mapping(item).get("metadata"))
    name = "/".join(filter(None, (text(metadata.get("namespace")), text(metadata.get("name")))))
    return f"{kind} {name}" if name else f"{kind} (number {place + 1} of the list)"


# -- held against its shape ----------------------------------------------------------------------------------------


def hold(value: object, shape: Shape, where: str) -> Item:
    """The same document without what is null.

    :raises CrossmeshError: it has another shape.
    """
    return _of_shape(value, shape, lambda: where)


def _of_shape(value: object, shape: Shape, where: Callable[[], str]) -> Item:
    try:
        _hold(value, shape, "")
    except _ShapeError as error:
        raise malformed(where(), str(error)) from None
    return cast(Item, value)


class _ShapeError(ValueError):
    """Which field is not as it should be."""


def _hold(value: object, shape: Shape, path: str) -> None:
    if isinstance(shape, Leaf):
        if not isinstance(value, shape.types) or (isinstance(value, bool) and bool not in shape.types):
            raise _not_so(path, value, shape.words)
    elif isinstance(shape, Each):
        if not isinstance(value, list):
            raise _not_so(path, value, "a list")
        _hold_each(value, shape.of, path)
    elif not isinstance(value, dict):
        raise _not_so(path, value, "a mapping")
    elif isinstance(shape, Named):
        _drop_null(value, value)
        for key, item in value.items():
            _hold(item, shape.of, f"{path}.{key}")
    else:
        _hold_fields(value, shape, path)


def _hold_each(items: Sequence[object], shape: Shape, path: str) -> None:
    for place, item in enumerate(items):
        _hold(item, shape, f"{path}[{place}]")


def _hold_fields(value: dict[str, object], shape: Fields, path: str) -> None:
    _drop_null(value, shape.known)
    for key in sorted(shape.needed):
        if key not in value:
            raise _ShapeError(f"it has no {_below(path, key)}")
    for key, of in shape.known.items():
        if key in value:
            _hold(value[key], of, _below(path, key))


def _drop_null(value: dict[str, object], keys: Mapping[str, object]) -> None:
    for key in [key for key in keys if key in value and value[key] is None]:
        del value[key]


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


_WORDS: Mapping[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


def _not_so(path: str, value: object, words: str) -> _ShapeError:
    found = _WORDS.get(type(value), type(value).__name__)
    return _ShapeError(f"{path or 'it'} is {found}, and should be {words}")
