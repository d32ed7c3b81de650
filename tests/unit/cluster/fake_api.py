# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server of a few objects in memory, for what is decided before and after its answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import METADATA_ONLY, ApiError, object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.refusal import read_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.support import Json

CORE = {
    "Namespace": "namespaces",
    "ResourceQuota": "resourcequotas",
    "Secret": "secrets",
    "Service": "services",
    "Pod": "pods",
    "ConfigMap": "configmaps",
}
KINDS = {kind.kind: kind for kind in names.KINDS}
# What a cluster with Istio answers to whoever asks what it is.
DISCOVERY: dict[str, Json] = {
    "/version": {"gitVersion": "v1.34.4"},
    "/api/v1/namespaces/kube-system": {"metadata": {"uid": "uid-of-cluster-b"}},
    **{
        f"/apis/{kind.api_version}": {
            "resources": [{"name": other.plural} for other in names.KINDS if other.group == kind.group]
        }
        for kind in names.KINDS
    },
}
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Call(NamedTuple):
    """One request that writes."""

    verb: str
    path: str
    manager: str
    body: Json


def collection_path(kind: str, namespace: str = "") -> str:
    if kind in CORE:
        return object_path("", "v1", CORE[kind], namespace)
    found = KINDS[kind]
    return object_path(found.group, found.version, found.plural, namespace)


@dataclass
class FakeApi:
    """Answers reads out of ``objects``, with ``statuses`` (by path) instead where given; does and remembers writes.

    Permits everything but what is ``denied``: verb and resource.

    What is tried only, ``dry``, is remembered apart: it is refused by the Status in ``refused`` (by path), or answered
    as ``admission`` makes it; there is no answer to what is in ``lost`` (by path), as where a connection breaks.

    Every write gives an object another version, and one that names another version than the present is refused.
    """

    objects: list[Json] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    forbidden_writes: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    accepted: list[tuple[str, str]] = field(default_factory=list)
    where: str = "context cluster-b of kubeconfig"
    clock_ahead: float = 0.0
    denied: set[tuple[str, str]] = field(default_factory=set)
    user: str = "lab-admin"
    nobody: bool = False
    owned: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    dry_calls: list[Call] = field(default_factory=list)
    refused: dict[str, tuple[int, Json]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    admission: Callable[[Json], Json] = lambda item: item

    def __post_init__(self) -> None:
        self.objects = copy.deepcopy(self.objects)
        for item in self.objects:
            item["metadata"].setdefault("resourceVersion", "0")

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Json:
        self.reads.append(path)
        self.accepted.append((path, accept))
        self._lose(path)
        self._refuse(path)
        if path in DISCOVERY:
            return copy.deepcopy(DISCOVERY[path])
        selector = dict(pair.split("=") for pair in (query or {}).get("labelSelector", "").split(",") if pair)
        in_place = [item for item in self.objects if path in self._collections(item)]
        if in_place or self._is_collection(path):
            fields = dict(pair.split("=") for pair in (query or {}).get("fieldSelector", "").split(",") if pair)
            labelled = [
                item
                for item in in_place
                if selector.items() <= (item["metadata"].get("labels") or {}).items()
                and all(item["metadata"][field.removeprefix("metadata.")] == value for field, value in fields.items())
            ]
            # As an API server does: an empty list of this form is null.
            return {"items": copy.deepcopy(labelled) or (None if accept == METADATA_ONLY else [])}
        item = self._at(path)
        if item is None:
            raise api_error(path, 404)
        return copy.deepcopy(item)

    def review(self, attributes: Mapping[str, str]) -> bool:
        resource = "/".join(attributes[key] for key in ("resource", "subresource") if key in attributes)
        return (attributes["verb"], resource) not in self.denied

    def whoami(self) -> str:
        self._refuse(REVIEW)
        return self.user

    def apply(self, path: str, body: Mapping[str, Any], manager: str, *, force: bool, dry: bool = False) -> Json:
        return self._try("apply", path, body, manager) if dry else self._write("apply", path, body, manager)

    def merge(self, path: str, body: Mapping[str, Any], manager: str, *, dry: bool = False) -> Json:
        return self._try("merge", path, body, manager) if dry else self._write("merge", path, body, manager)

    def delete(self, path: str, *, dry: bool = False) -> Json:
        found = self._at(path)
        if found is None:
            raise api_error(path, 404)
        if dry:
            return self._try("delete", path, {}, "")
        self.calls.append(Call("delete", path, "", {}))
        if not found["metadata"].get("finalizers"):
            self.objects.remove(found)
        return copy.deepcopy(found)

    def _try(self, verb: str, path: str, body: Mapping[str, Any], manager: str) -> Json:
        self.dry_calls.append(Call(verb, path, manager, copy.deepcopy(dict(body))))
        self._lose(path)
        if path in self.refused:
            raise api_error(path, *self.refused[path])
        there = self._at(path) if verb == "merge" else None
        return self.admission(_patched(copy.deepcopy(there) if there else {}, copy.deepcopy(dict(body))))

    def proxy_request(self, namespace: str, pod: str, path: str, timeout: float) -> str:
        """The answer of a pod, to every question or to this one."""
        return self.answers.get(f"{pod} {path}") or self.answers[pod]

    def _write(self, verb: str, path: str, body: Mapping[str, Any], manager: str) -> Json:
        self._refuse(path)
        if path in self.forbidden_writes:
            raise api_error(path, 403)
        item = self._at(path)
        metadata = item["metadata"] if item else {}
        version = body["metadata"].get("resourceVersion")
        if version is not None and version != metadata.get("resourceVersion", ""):
            raise api_error(path, 409)
        self.calls.append(Call(verb, path, manager, copy.deepcopy(dict(body))))
        if item is None:
            item = {"kind": body["kind"], "metadata": {**body["metadata"]}}
            self.objects.append(item)
        item["data"] = self._merged(path, item.get("data", {}), body["data"], manager if verb == "apply" else "")
        item["type"] = body.get("type", item.get("type"))
        labels = {**item["metadata"].get("labels", {}), **body["metadata"].get("labels", {})}
        notes = {**item["metadata"].get("annotations", {}), **body["metadata"].get("annotations", {})}
        item["metadata"] |= {"labels": labels, "annotations": notes, "resourceVersion": str(len(self.calls))}
        return copy.deepcopy(item)

    def _merged(self, path: str, data: Json, given: Json, manager: str) -> Json:
        """Server-side apply: what a manager leaves out goes, unless another one applied it too."""
        if manager:
            before = self.owned.get((path, manager), frozenset())
            self.owned[path, manager] = frozenset(given)
            for (place, other), keys in self.owned.items():
                if place == path and other != manager:
                    self.owned[place, other] = keys - {key for key in given if given[key] != data.get(key)}
            held = frozenset[str]().union(*(keys for (place, _), keys in self.owned.items() if place == path))
            data = {key: value for key, value in data.items() if key not in before - held}
        return {key: value for key, value in {**data, **given}.items() if value is not None}

    def _at(self, path: str) -> Json | None:
        for item in self.objects:
            metadata = item["metadata"]
            if path == f"{collection_path(item['kind'], metadata['namespace'])}/{metadata['name']}":
                return item
        return None

    def _lose(self, path: str) -> None:
        if path in self.lost:
            what = "cannot reach the API server: Read timed out"
            raise CrossmeshError(Message.error("api-unreachable", where=self.where, what=what, fix="x"))

    def _refuse(self, path: str) -> None:
        if path in self.statuses:
            raise api_error(path, self.statuses[path])

    @staticmethod
    def _collections(item: Json) -> tuple[str, str]:
        return collection_path(item["kind"]), collection_path(item["kind"], item["metadata"]["namespace"])

    @staticmethod
    def _is_collection(path: str) -> bool:
        return path.rpartition("/")[2] in {*CORE.values(), *(kind.plural for kind in names.KINDS)}


REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 422: "Invalid"}


def _patched(item: Json, patch: Json) -> Json:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            item.pop(key, None)
        elif isinstance(value, dict):
            item[key] = _patched(item[key] if isinstance(item.get(key), dict) else {}, value)
        else:
            item[key] = value
    return item


def api_error(path: str, status: int, told: Json | None = None) -> ApiError:
    """As the API server tells it; who is forbidden something lacks the permission."""
    cannot = 'secrets is forbidden: User "lab" cannot get resource "secrets" in API group ""' if status == 403 else ""
    told = told or {"reason": REASONS.get(status, ""), "message": cannot}
    refusal = read_refusal(status, json.dumps(told).encode(), "")
    return ApiError(refusal.message("x", f"the API server refused GET {path}"), refusal=refusal)
