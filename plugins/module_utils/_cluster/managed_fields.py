# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns what in an object: C(metadata.managedFields) (Kubernetes, Server-Side Apply) read. Pure.

PRIVATE to the collection. Whoever may write an object may have written these too: an entry without a manager is one
of a manager without a name, and fields of another shape are as if they were not there. An entry has one time for all
of its fields, of the last write that changed any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ManagedFields
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mapping, mappings, parse_json, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed

__all__ = ["Writer", "entries_of", "field_owners", "makers_of", "owners_of", "port_owners", "times_of"]

Entries = Sequence[ManagedFields]


class Writer(NamedTuple):
    """A field manager.

    :param at: when it last wrote something that it holds (RFC 3339); empty where that is not known.
    """

    manager: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.manager} at {self.at}" if self.at else self.manager


def entries_of(metadata: Mapping[str, Any]) -> list[ManagedFields]:
    """The entries of an object: what has another form than Kubernetes gives it says nothing of anybody."""
    return [
        {
            "manager": text(entry.get("manager")),
            "time": text(entry.get("time")),
            "fieldsV1": {**mapping(entry.get("fieldsV1"))},
        }
        for entry in mappings(metadata.get("managedFields"))
    ]


def makers_of(managed_fields: Entries) -> str:
    """The names of all managers of an object."""
    return listed({entry.get("manager", "") for entry in managed_fields}, "an unknown manager")


def times_of(managed_fields: Entries) -> dict[str, str]:
    """When each manager last wrote something that it holds, by its name."""
    return dict(sorted((entry["manager"], entry.get("time", "")) for entry in managed_fields))


def port_owners(managed_fields: Entries) -> dict[str, list[str]]:
    """Managers of each port of a Service, by C(NUMBER/PROTOCOL)."""
    owners: dict[str, list[str]] = {}
    for entry in managed_fields:
        ports = mapping(mapping(_fields(entry).get("f:spec")).get("f:ports"))
        for port in filter(None, map(_port_in, ports)):
            owners.setdefault(port, []).append(entry["manager"])
    return owners


def _fields(entry: ManagedFields) -> Json:
    return mapping(entry.get("fieldsV1"))


def _port_in(key: str) -> str:
    """The port in the key of a list's entry, such as C(k:{"port":443,"protocol":"TCP"}); empty where it is none."""
    try:
        port = mapping(parse_json(key[2:]) if key.startswith("k:") else None)
    except ValueError:
        return ""
    return f"{port['port']}/{port.get('protocol', 'TCP')}" if isinstance(port.get("port"), int) else ""


def field_owners(managed_fields: Entries, root: str) -> dict[str, list[Writer]]:
    """Managers of every leaf below C(root) (such as C(spec) or C(data)), by dotted path."""
    owners: dict[str, list[Writer]] = {}
    for entry in managed_fields:
        fields = _fields(entry)
        for path in _leaves(mapping(fields[f"f:{root}"]), root) if f"f:{root}" in fields else ():
            owners.setdefault(path, []).append(Writer(entry["manager"], entry.get("time", "")))
    return owners


def _leaves(fields: Json, path: str) -> Iterator[str]:
    children = {key[2:]: value for key, value in fields.items() if key.startswith("f:")}
    if not children:
        yield path
    for name, value in children.items():
        yield from _leaves(mapping(value), f"{path}.{name}")


def owners_of(owners: Mapping[str, Sequence[Writer]], path: str, but: Collection[str]) -> list[Writer]:
    """Managers other than C(but) of a path, of what lies below it, or of the nearest field above it."""
    below = {m for p, managers in owners.items() if p == path or p.startswith(path + ".") for m in managers}
    while not below and "." in path:
        path = path.rpartition(".")[0]
        below = set(owners.get(path, ()))
    return sorted(writer for writer in below if writer.manager not in but)
