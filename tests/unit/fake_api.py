# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server of a few objects in memory, for what is decided before and after its answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.crossmesh.mtls.plugins.module_utils import names
from ansible_collections.crossmesh.mtls.plugins.module_utils.api import ApiError, object_path
from tests.unit.support import Json

CORE = {"Secret": "secrets", "Service": "services", "Pod": "pods", "ConfigMap": "configmaps"}
KINDS = {kind.kind: kind for kind in names.KINDS}


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
    """Answers reads out of ``objects``, with ``statuses`` (by path) instead where given, and remembers writes."""

    objects: list[Json] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    where: str = "context cluster-b of kubeconfig"

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Json:
        self.reads.append(path)
        self._refuse(path)
        selector = dict(pair.split("=") for pair in (query or {}).get("labelSelector", "").split(",") if pair)
        in_place = [item for item in self.objects if path in self._collections(item)]
        if in_place or self._is_collection(path):
            labelled = [item for item in in_place if selector.items() <= (item["metadata"].get("labels") or {}).items()]
            return {"items": copy.deepcopy(labelled)}
        for item in self.objects:
            metadata = item["metadata"]
            if path == f"{collection_path(item['kind'], metadata['namespace'])}/{metadata['name']}":
                return copy.deepcopy(item)
        raise api_error(path, 404)

    def apply(self, path: str, body: Mapping[str, Any], manager: str, *, force: bool) -> Json:
        return self._write("apply", path, body, manager)

    def merge(self, path: str, body: Mapping[str, Any], manager: str) -> Json:
        return self._write("merge", path, body, manager)

    def proxy_request(self, namespace: str, pod: str, path: str, timeout: float) -> str:
        return self.answers[pod]

    def _write(self, verb: str, path: str, body: Mapping[str, Any], manager: str) -> Json:
        self._refuse(path)
        self.calls.append(Call(verb, path, manager, copy.deepcopy(dict(body))))
        return dict(body)

    def _refuse(self, path: str) -> None:
        if path in self.statuses:
            raise api_error(path, self.statuses[path])

    @staticmethod
    def _collections(item: Json) -> tuple[str, str]:
        return collection_path(item["kind"]), collection_path(item["kind"], item["metadata"]["namespace"])

    @staticmethod
    def _is_collection(path: str) -> bool:
        return path.rpartition("/")[2] in {*CORE.values(), *(kind.plural for kind in names.KINDS)}


def api_error(path: str, status: int) -> ApiError:
    return ApiError(what=f"the API server refused GET {path}", where="x", why=f"{status}", cure="x", status=status)
