# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns what in an object: C(metadata.managedFields) (Kubernetes, Server-Side Apply) read. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ManagedFields, Spec

__all__ = ["entries_of", "field_owners", "owners_of", "port_owners"]

Entries = Sequence[ManagedFields]


def entries_of(metadata: Mapping[str, Any]) -> list[ManagedFields]:
    """The entries of an object: what has another form than Kubernetes gives it says nothing of anybody."""
    given = metadata.get("managedFields")
    found = (entry for entry in given if isinstance(entry, dict)) if isinstance(given, list) else ()
    return [{"manager": _text(entry.get("manager")), "fieldsV1": _map(entry.get("fieldsV1"))} for entry in found]


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _map(found: object) -> Spec:
    return found if isinstance(found, dict) else {}


def port_owners(managed_fields: Entries) -> dict[str, list[str]]:
    """Managers of each port of a Service, by C(NUMBER/PROTOCOL)."""
    owners: dict[str, list[str]] = {}
    for entry in managed_fields:
        for key in _map(_map(entry.get("fieldsV1", {}).get("f:spec")).get("f:ports")):
            if port := _port(key):
                owners.setdefault(port, []).append(entry["manager"])
    return owners


def _port(key: str) -> str:
    """C(NUMBER/PROTOCOL) of an item of a list that is keyed by both; empty for anything else."""
    if not key.startswith("k:"):
        return ""
    try:
        port = _map(json.loads(key[2:]))
    # Nested too deep is an error of another kind.
    except (ValueError, RecursionError):
        return ""
    return f"{port['port']}/{port.get('protocol', 'TCP')}" if isinstance(port.get("port"), int) else ""


def field_owners(managed_fields: Entries, root: str) -> dict[str, list[str]]:
    """Managers of every leaf below C(root) (such as C(spec) or C(data)), by dotted path."""
    owners: dict[str, list[str]] = {}
    for entry in managed_fields:
        fields = entry.get("fieldsV1", {})
        for path in _leaves(fields[f"f:{root}"], root) if f"f:{root}" in fields else ():
            owners.setdefault(path, []).append(entry["manager"])
    return owners


def _leaves(fields: object, path: str) -> Iterator[str]:
    children = {key[2:]: value for key, value in _map(fields).items() if key.startswith("f:")}
    if not children:
        yield path
    for name, value in children.items():
        yield from _leaves(value, f"{path}.{name}")


def owners_of(owners: Mapping[str, Sequence[str]], path: str, but: str) -> list[str]:
    """Managers other than C(but) of a path, of what lies below it, or of the nearest field above it."""
    below = {m for p, managers in owners.items() if p == path or p.startswith(path + ".") for m in managers}
    while not below and "." in path:
        path = path.rpartition(".")[0]
        below = set(owners.get(path, ()))
    return sorted(below - {but})
