# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server's Secrets and Leases in memory, as far as a CA store asks for them: versions, names, sizes."""

from __future__ import annotations

import base64
import copy
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_layout as layout
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_layout import Place
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_storage import SecretStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from tests.unit.cluster.fake_api import api_error
from tests.unit.support import Json

# By their paths.
Objects = dict[str, Json]

# Kubernetes, core/v1 MaxSecretSize.
LARGEST_SECRET = 1024 * 1024
PLACE = Place("crossmesh", "crossmesh-ca")


def named_pieces(head: Json) -> dict[str, list[str]]:
    """In which pieces each thing stands that a head names; nothing while it is being made or removed."""
    found: dict[str, list[str]] = json.loads(base64.b64decode(head["data"].get(layout.PIECES, "e30=")))
    return found


def nothing(_verb: str, _path: str) -> None:
    """Nobody stands in the way."""


@dataclass
class FakeCluster:
    """:param namespaces: those that exist.
    :param denied: verbs and resources that are not permitted.
    :param before: is told of each request before it is done, and may raise; so C(after) it.
    :param writes: verbs and paths of what was done.
    """

    namespaces: frozenset[str] = frozenset({PLACE.namespace})
    denied: frozenset[tuple[str, str]] = frozenset()
    before: Callable[[str, str], None] = nothing
    after: Callable[[str, str], None] = nothing
    where: str = "CA store crossmesh/crossmesh-ca of context management"
    address: str = "https://management.example.com:6443"
    objects: Objects = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        there = (int(item["metadata"]["resourceVersion"]) for item in self.objects.values())
        self._versions, self._lock = count(max(there, default=0) + 1), threading.RLock()

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "") -> Json:
        self._permit("get" if self._is_object(path) else "list", path)
        self.reads.append(path)
        self.before("get", path)
        with self._lock:
            if self._is_object(path):
                return copy.deepcopy(self._present(path))
            wanted = dict(pair.split("=") for pair in (query or {}).get("labelSelector", "").split(",") if pair)
            found = [
                {"metadata": copy.deepcopy(item["metadata"])}
                for place, item in sorted(self.objects.items())
                if place.startswith(f"{path}/") and wanted.items() <= item["metadata"].get("labels", {}).items()
            ]
            return {"items": found or None}

    def create(self, path: str, body: Mapping[str, Any], manager: str, *, dry: bool = False) -> Json:
        self._permit("create", path)
        self.before("create", path)
        with self._lock:
            if path.split("/namespaces/")[1].split("/")[0] not in self.namespaces:
                details = {"kind": "namespaces", "name": PLACE.namespace}
                raise api_error(path, 404, {"reason": "NotFound", "details": details})
            place = f"{path}/{body['metadata']['name']}"
            if place in self.objects:
                raise api_error(path, 409)
            return copy.deepcopy(dict(body)) if dry else self._kept("create", place, body)

    def replace(self, path: str, body: Mapping[str, Any], manager: str) -> Json:
        self._permit("update", path)
        self.before("update", path)
        with self._lock:
            found = self._present(path)
            if body["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
                raise api_error(path, 409)
            if found.get("immutable"):
                raise api_error(path, 422)
            return self._kept("update", path, body)

    def delete(self, path: str, *, version: str = "", dry: bool = False) -> Json:
        self._permit("delete", path)
        self.before("delete", path)
        with self._lock:
            found = self._present(path)
            if version and version != found["metadata"]["resourceVersion"]:
                raise api_error(path, 409)
            self.writes.append(("delete", path))
            del self.objects[path]
        self.after("delete", path)
        return found

    def review(self, attributes: Mapping[str, str]) -> bool:
        return (attributes["verb"], attributes["resource"]) not in self.denied

    def storage(self, place: Place = PLACE) -> SecretStorage:
        return SecretStorage(cast(Api, self), place)

    # -- for tests -----------------------------------------------------------------------------------------------

    def secrets(self) -> dict[str, Json]:
        """By their names."""
        return {item["metadata"]["name"]: item for item in self.objects.values() if item["kind"] == "Secret"}

    def put(self, item: Json) -> None:
        """What somebody else writes."""
        path = f"{PLACE.collection}/{item['metadata']['name']}"
        self.objects[path] = {**item, "metadata": {**item["metadata"], "resourceVersion": str(next(self._versions))}}

    def _kept(self, verb: str, place: str, body: Mapping[str, Any]) -> Json:
        size = sum(len(base64.b64decode(value)) for value in body.get("data", {}).values())
        if size > LARGEST_SECRET:
            raise api_error(place, 422)
        item = copy.deepcopy(dict(body))
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[place] = item
        self.writes.append((verb, place))
        self.after(verb, place)
        return copy.deepcopy(item)

    def _present(self, path: str) -> Json:
        if path not in self.objects:
            raise api_error(path, 404)
        return self.objects[path]

    def _permit(self, verb: str, path: str) -> None:
        resource = path.split("/namespaces/")[1].split("/")[1]
        if (verb, resource) in self.denied:
            raise api_error(path, 403)

    @staticmethod
    def _is_object(path: str) -> bool:
        return len(path.split("/namespaces/")[1].split("/")) == 3
