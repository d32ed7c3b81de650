# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of one cluster in memory, and what an API server does to them. Pure.

Server-side apply as far as the collection and kubernetes.core use it: who owns which field, conflicts, and what a
manager leaves out (Kubernetes, Server-Side Apply). Lists are atomic, but for the ports of a Service.
"""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = ["KINDS", "Kind", "Memory", "StatusError"]

Json = dict[str, Any]
# A field: keys of mappings, and what names a port in a list of ports.
FieldPath = tuple[str, ...]

# Of an object's metadata nobody owns these.
_OF_THE_SERVER = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"}
)


@dataclass(frozen=True)
class Kind:
    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def _istio(name: str, plural: str, group: str = "networking", version: str = "v1") -> Kind:
    return Kind(name, f"{group}.istio.io", version, plural)


# What a cluster with Istio has of what a run reads.
KINDS = (
    Kind("Namespace", "", "v1", "namespaces", namespaced=False),
    Kind("ConfigMap", "", "v1", "configmaps"),
    Kind("Pod", "", "v1", "pods"),
    Kind("ResourceQuota", "", "v1", "resourcequotas"),
    Kind("Secret", "", "v1", "secrets"),
    Kind("Service", "", "v1", "services"),
    Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
    _istio("DestinationRule", "destinationrules"),
    _istio("EnvoyFilter", "envoyfilters", version="v1alpha3"),
    _istio("Gateway", "gateways"),
    _istio("ServiceEntry", "serviceentries"),
    _istio("Sidecar", "sidecars"),
    _istio("VirtualService", "virtualservices"),
    _istio("AuthorizationPolicy", "authorizationpolicies", "security"),
    _istio("PeerAuthentication", "peerauthentications", "security"),
)


class StatusError(Exception):
    """What an API server says in place of an answer."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes


@dataclass
class Memory:
    """Objects by kind, namespace and name, and the fields that each manager owns.

    :param probes: how often workloads have called over a link.
    :param seen: the data of all Secrets that somebody wanted to write, dry or not, accepted or not.
    """

    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    owned: dict[tuple[str, str, str], dict[str, set[FieldPath]]] = field(default_factory=dict)
    version: int = 1
    probes: int = 0
    seen: list[Json] = field(default_factory=list)

    def copy(self) -> Memory:
        return Memory(copy.deepcopy(self.objects), copy.deepcopy(self.owned), self.version)

    # -- reads --------------------------------------------------------------------------------------------------

    def get(self, kind: str, namespace: str, name: str) -> Json:
        key = (kind, namespace, name)
        if key not in self.objects:
            raise StatusError(404, "NotFound", f'{kind} "{name}" not found')
        return self._with_fields(key)

    def list(self, kind: str, namespace: str, labels: Mapping[str, str], fields: Mapping[str, str]) -> list[Json]:
        return [
            self._with_fields(key)
            for key in sorted(self.objects)
            if self._is_asked(key, kind, namespace, labels, fields)
        ]

    def _is_asked(
        self, key: tuple[str, str, str], kind: str, namespace: str, labels: Mapping[str, str], fields: Mapping[str, str]
    ) -> bool:
        metadata = self.objects[key]["metadata"]
        return (
            key[0] == kind
            and namespace in ("", key[1])
            and labels.items() <= (metadata.get("labels") or {}).items()
            and all(metadata.get(name.removeprefix("metadata.")) == value for name, value in fields.items())
        )

    def _with_fields(self, key: tuple[str, str, str]) -> Json:
        item = copy.deepcopy(self.objects[key])
        entries = [
            {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": _fields_v1(paths)}
            for manager, paths in sorted(self.owned.get(key, {}).items())
            if paths
        ]
        item["metadata"]["managedFields"] = entries
        return item

    # -- writes -------------------------------------------------------------------------------------------------

    def put(self, item: Json, manager: str = "kubectl") -> None:
        """What others have made."""
        self.apply(_key(item), item, manager, force=True)

    def apply(self, key: tuple[str, str, str], body: Json, manager: str, *, force: bool, dry: bool = False) -> Json:
        """:raises StatusError: another manager owns a field with another value, and nothing is forced."""
        self._witness(key, body)
        given, before = dict(_leaves(body)), self.owned.get(key, {})
        live = copy.deepcopy(self.objects.get(key)) or _new(body)
        flat = dict(_leaves(live))
        conflicts = [
            path
            for path, value in given.items()
            for other, paths in before.items()
            if other != manager and path in paths and path in flat and flat[path] != value
        ]
        if conflicts and not force:
            names = tuple("." + ".".join(path) for path in conflicts)
            raise StatusError(409, "Conflict", f"Apply failed with {len(names)} conflict(s)", names)
        owned = {other: paths - set(conflicts) for other, paths in before.items() if other != manager}
        held = set().union(*owned.values()) if owned else set()
        gone = before.get(manager, set()) - set(given) - held
        merged = {path: value for path, value in {**flat, **given}.items() if path not in gone}
        owned[manager] = set(given)
        return self._keep(key, live, merged, owned, dry=dry)

    def merge(self, key: tuple[str, str, str], patch: Json, manager: str, *, dry: bool = False) -> Json:
        """JSON merge patch (RFC 7386)."""
        self._witness(key, patch)
        live = copy.deepcopy(self.get(*key))
        live["metadata"].pop("managedFields")
        version = patch.get("metadata", {}).get("resourceVersion")
        if version is not None and version != live["metadata"]["resourceVersion"]:
            raise StatusError(409, "Conflict", "the object has been modified")
        before, after = dict(_leaves(live)), dict(_leaves(_patched(copy.deepcopy(live), patch)))
        changed = {path for path, value in after.items() if before.get(path) != value}
        owned = {other: (paths & set(after)) - changed for other, paths in self.owned.get(key, {}).items()}
        owned[manager] = owned.get(manager, set()) | changed
        return self._keep(key, live, after, owned, dry=dry)

    def delete(self, key: tuple[str, str, str], *, dry: bool = False) -> Json:
        item = self.get(*key)
        if not dry:
            del self.objects[key]
            self.owned.pop(key, None)
        return item

    def _keep(
        self,
        key: tuple[str, str, str],
        live: Json,
        leaves: Mapping[FieldPath, Any],
        owned: dict[str, set[FieldPath]],
        *,
        dry: bool,
    ) -> Json:
        item = _nested(leaves)
        known = {name: value for name, value in live["metadata"].items() if name in _OF_THE_SERVER}
        item = {**item, "metadata": {**item.get("metadata", {}), **known}}
        item |= {name: live[name] for name in ("apiVersion", "kind")}
        if item != self.objects.get(key):
            item["metadata"]["resourceVersion"] = str(self.version + 1)
        kept = (self.objects.get(key), self.owned.get(key))
        self.objects[key], self.owned[key] = item, owned
        answer = self._with_fields(key)
        if dry:
            self._back(key, *kept)
        else:
            self.version += 1
        return answer

    def _back(self, key: tuple[str, str, str], item: Json | None, owned: dict[str, set[FieldPath]] | None) -> None:
        if item is None:
            del self.objects[key], self.owned[key]
        else:
            self.objects[key], self.owned[key] = item, owned or {}

    def _witness(self, key: tuple[str, str, str], body: Json) -> None:
        if key[0] == "Secret":
            self.seen.append({"namespace": key[1], "name": key[2], "data": dict(body.get("data") or {})})


def _key(item: Json) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def _new(body: Json) -> Json:
    metadata = {name: value for name, value in body["metadata"].items() if name in ("name", "namespace")}
    metadata |= {
        "uid": str(uuid.uuid4()),
        "resourceVersion": "0",
        "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "generation": 1,
    }
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}


def _leaves(item: Json) -> Iterator[tuple[FieldPath, Any]]:
    for name, value in item.items():
        if name == "metadata":
            own = {key: entry for key, entry in value.items() if key not in _OF_THE_SERVER}
            yield from _below(("metadata",), own, is_service=False) if own else ()
        elif name not in ("apiVersion", "kind"):
            yield from _below((name,), value, is_service=item.get("kind") == "Service")


def _below(path: FieldPath, value: Any, *, is_service: bool) -> Iterator[tuple[FieldPath, Any]]:
    if is_service and path == ("spec", "ports"):
        for port in value or ():
            name = json.dumps({"port": port["port"], "protocol": port.get("protocol", "TCP")}, separators=(",", ":"))
            yield from _below((*path, f"k:{name}"), {"protocol": "TCP", **port}, is_service=False)
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _below((*path, name), inner, is_service=is_service)
    elif value is not None:
        yield path, value


def _nested(leaves: Mapping[FieldPath, Any]) -> Json:
    item: Json = {}
    for path, value in leaves.items():
        place = item
        for name in path[:-1]:
            place = place.setdefault(name, {})
        if value == {}:
            place.setdefault(path[-1], {})
        else:
            place[path[-1]] = copy.deepcopy(value)
    ports = item.get("spec", {}).get("ports") if isinstance(item.get("spec"), dict) else None
    if isinstance(ports, dict):
        item["spec"]["ports"] = list(ports.values())
    return item


def _fields_v1(paths: set[FieldPath]) -> Json:
    found: Json = {}
    for path in sorted(paths):
        place = found
        for name in path:
            place = place.setdefault(name if name.startswith("k:") else f"f:{name}", {})
    return found


def _patched(item: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(item) if isinstance(item, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _patched(result.get(name), value)
    return result
