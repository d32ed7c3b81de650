# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a CA store: which root issues, which are trusted, which lists count. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Damaged", "Index", "index_from_json", "index_to_json"]

VERSION = 1

Damaged = Callable[[str], CrossmeshError]


@dataclass(frozen=True)
class Index:
    """Fingerprints of roots, each in the order in which they came.

    :param keyless: roots of a lost store, of which only the certificate was found in the clusters.
    :param retired: roots that were trusted once; of them the certificate is kept, and the key if that was asked for.
    :param lists: the number of the revocation list that counts, by root.
    :param last_number: of any list ever made (RFC 5280 section 5.2.3: numbers only grow).
    """

    issuing: str
    trusted: tuple[str, ...]
    prepared: str = ""
    retiring: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    keyless: tuple[str, ...] = ()
    lists: Mapping[str, int] = field(default_factory=dict)
    last_number: int = 0

    @property
    def roots(self) -> frozenset[str]:
        """All that are named: what else a storage holds was never used, or is needed no more."""
        return frozenset({*self.trusted, *self.retiring, *self.retired})

    @property
    def needed_keys(self) -> frozenset[str]:
        """Roots without whose key the store is damaged."""
        return frozenset({self.issuing, self.prepared} - {"", *self.keyless})


def index_to_json(index: Index) -> dict[str, Any]:
    """Plain values for a storage."""
    return {"version": VERSION, **asdict(index)}


def index_from_json(content: Mapping[str, Any], *, name: str, where: str, damaged: Damaged) -> Index:
    """The same read back.

    :param name: of the document, for messages.
    :param where: of the store, for messages.
    :param damaged: makes the error of the storage that it was read from.
    """
    values = dict(content)
    version = values.pop("version", None)
    if version != VERSION:
        raise CrossmeshError(
            Message.error(
                "store-version",
                where=where,
                what=f"{name} has version {version!r}; this collection reads {VERSION}",
                fix="use the version of the collection that wrote it, or a newer one",
            )
        )
    for key in ("trusted", "retiring", "retired", "keyless"):
        listed = values.get(key, [])
        if not isinstance(listed, list) or not all(map(_is_fingerprint, listed)):
            raise damaged(f"{name} does not list the {key} roots")
        values[key] = tuple(listed)
    try:
        index = Index(**values)
    except TypeError as error:
        raise damaged(f"{name} has not the keys that it should have") from error
    fault = _fault(index)
    if fault:
        raise damaged(f"{name} {fault}")
    return index


def _fault(index: Index) -> str:
    if not index.trusted:
        return "does not list the trusted roots"
    if not _is_fingerprint(index.issuing) or not (index.prepared == "" or _is_fingerprint(index.prepared)):
        return "does not name the root that issues"
    if not isinstance(index.lists, dict) or not all(map(_is_number, [*index.lists.values(), index.last_number])):
        return "does not tell the numbers of the lists"
    # Which of them need one depends on the clock: an expired root has none.
    if not set(index.lists) <= set(index.trusted):
        return "has a list for a root that is not trusted"
    if not {index.issuing, index.prepared} - {""} <= set(index.trusted):
        return "trusts other roots than the one that issues"
    return ""


def _is_fingerprint(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
