# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an API server has an object of the kinds that the collection writes. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveObject, Manifest

__all__ = ["Key", "Place", "key_of", "place_of"]

# Kind, namespace, name.
Key = tuple[str, str, str]

_CORE = {"Secret": "secrets", "Service": "services"}
_KINDS = {kind.kind: kind for kind in names.KINDS}


@dataclass(frozen=True)
class Place:
    """:param resource: plural, with its group where it has one, as quotas count it."""

    kind: str
    namespace: str
    name: str
    resource: str
    path: str

    @property
    def key(self) -> Key:
        return self.kind, self.namespace, self.name

    @property
    def title(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def key_of(item: Mapping[str, Any] | LiveObject | Manifest) -> Key:
    return item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]


def place_of(manifest: Manifest) -> Place:
    kind, metadata = manifest["kind"], manifest["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    known = _KINDS.get(kind)
    if known is None:
        return Place(kind, namespace, name, _CORE[kind], object_path("", "v1", _CORE[kind], namespace, name))
    path = object_path(known.group, known.version, known.plural, namespace, name)
    return Place(kind, namespace, name, f"{known.plural}.{known.group}", path)
