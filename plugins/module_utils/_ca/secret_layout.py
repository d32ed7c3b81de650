# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where in the Secrets of a CA store. Pure.

::

    NAME                  the head, replaced as a whole:
      authority.json      as in a folder: the index, signed by the root that issues
      FINGERPRINT.crt, .key (encrypted)    each root that the index names
      unsigned.jsonl      entries of the audit journal that follow on the last one that the index names
      moved               where the CA is kept in its place; no run goes on with it here
      pieces.json         of what else there is, in which Secrets it stands
      unfinished          in place of all that: the CA is being made or removed
    NAME-<16 hex digits>  a piece, written before a head names it, and never changed: records, their ledger, a CRL, a
                          segment of the journal, what runs have seen of clusters; what is longer than one may be
                          stands in several
    NAME (Lease)          held by whoever writes

The digits are random. So no two writers ever write one piece, and one that the head does not name is nobody's.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from binascii import Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.chunks import MOST_BYTES
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Damaged
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import object_path
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import Item
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json

__all__ = [
    "CLOSED",
    "INDEX",
    "LARGEST",
    "LAST",
    "LEDGER",
    "LISTS",
    "MANAGER",
    "MOVED",
    "OBSERVED",
    "PIECES",
    "RECORDS",
    "RIGHTS",
    "UNFINISHED",
    "UNSIGNED",
    "Contents",
    "Pieces",
    "Place",
    "certificate",
    "contents_of",
    "cut",
    "key",
    "pieces_from_bytes",
    "pieces_to_bytes",
    "revocations",
    "segment",
    "size_of",
]

MANAGER = "crossmesh-ca-store"
TYPE = "crossmesh/ca-store"
LABEL_STORE = "crossmesh/ca-store"

# Keys of the head.
INDEX, UNSIGNED, PIECES, MOVED, UNFINISHED = "authority.json", "unsigned.jsonl", "pieces.json", "moved", "unfinished"
# Of a piece.
CONTENT = "content"
# What pieces hold.
RECORDS, LEDGER, LISTS, CLOSED, LAST = "records", "ledger", "crl/", "journal/", "journal"
OBSERVED = "observed"

# Bytes. A Secret holds 1 MiB (Kubernetes, core/v1 MaxSecretSize); the head has the most that may wait to be signed,
# half of that, and room for roots.
LARGEST_PIECE, LARGEST = MOST_BYTES, 768 * 1024
_DIGITS = 12
_ID = re.compile("[0-9a-f]{16}")

# What a user needs in the namespace: group, resource, verbs.
RIGHTS = (
    ("", "secrets", ("get", "list", "create", "update", "delete")),
    ("coordination.k8s.io", "leases", ("get", "create", "update", "delete")),
)

# What a Secret holds, by its keys.
Contents = Mapping[str, bytes]
# In which Secrets each thing stands, by the ends of their names.
Pieces = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Place:
    """Where in a cluster a store is.

    :param name: of the head and the Lease; those of all pieces begin with it.
    :param instance: whose it is, for people; the store itself says so with its key.
    """

    namespace: str
    name: str
    instance: str = names.DEFAULT_INSTANCE

    @cached_property
    def collection(self) -> str:
        return object_path("", "v1", "secrets", self.namespace)

    def path(self, piece: str = "") -> str:
        """Of the head, or of a piece."""
        return f"{self.collection}/{self._name(piece)}"

    @property
    def labels(self) -> dict[str, str]:
        return {
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
            names.LABEL_INSTANCE: self.instance,
            LABEL_STORE: self.name,
        }

    @property
    def selector(self) -> str:
        return f"{LABEL_STORE}={self.name}"

    def piece_of(self, item: Item) -> str:
        """The piece that a Secret is; empty where it is none: whoever may write one may write our label onto it."""
        name = str(item["metadata"]["name"])
        piece = name.removeprefix(f"{self.name}-")
        return piece if name != piece and _ID.fullmatch(piece) else ""

    def head(self, contents: Contents, version: str = "") -> Item:
        """The head as it is sent.

        :param version: that it follows on; empty where there is none.
        """
        return self._secret("", contents, {"resourceVersion": version} if version else {})

    def piece(self, piece: str, content: bytes) -> Item:
        return {**self._secret(piece, {CONTENT: content}, {}), "immutable": True}

    def title(self, piece: str = "") -> str:
        """For messages."""
        return f"Secret {self.namespace}/{self._name(piece)}"

    def _name(self, piece: str) -> str:
        return f"{self.name}-{piece}" if piece else self.name

    def _secret(self, piece: str, contents: Contents, metadata: Mapping[str, str]) -> Item:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": TYPE,
            "metadata": {
                "name": self._name(piece),
                "namespace": self.namespace,
                "labels": self.labels,
                **metadata,
            },
            "data": {key: base64.b64encode(value).decode() for key, value in contents.items()},
        }


def certificate(fingerprint: str) -> str:
    """The head's key for a root."""
    return f"{fingerprint}.crt"


def key(fingerprint: str) -> str:
    """The head's key for the encrypted key of a root."""
    return f"{fingerprint}.key"


def revocations(fingerprint: str, number: int) -> str:
    """What a piece holds: the CRL of a root."""
    return f"{LISTS}{fingerprint}/{number}"


def segment(first: int) -> str:
    """What a piece holds: a closed segment of the journal. Their order is that of their texts."""
    return f"{CLOSED}{first:0{_DIGITS}}"


def contents_of(item: Item, where: str, damaged: Damaged) -> Contents:
    """What a Secret holds."""
    try:
        return {name: base64.b64decode(value, validate=True) for name, value in item.get("data", {}).items()}
    except (Error, ValueError):
        raise damaged(f"{where} is not in base64") from None


def size_of(contents: Contents) -> int:
    """Bytes, as Kubernetes counts them."""
    return sum(map(len, contents.values()))


def cut(content: bytes, most: int = LARGEST_PIECE) -> Iterator[tuple[str, bytes]]:
    """Pieces for some content, each with a name that nobody else gives.

    :param most: bytes of one.
    """
    for start in range(0, max(1, len(content)), most):
        yield secrets.token_hex(8), content[start : start + most]


def pieces_to_bytes(pieces: Pieces) -> bytes:
    """The document in the head."""
    return json.dumps({name: list(ids) for name, ids in pieces.items()}, sort_keys=True).encode()


def pieces_from_bytes(data: bytes, where: str, damaged: Damaged) -> Pieces:
    """The same read back: it leads to no other Secret than a piece of this store."""
    try:
        found: Any = parse_json(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(map(_are_ids, found.values())):
        raise damaged(f"{where} does not name its pieces")
    return {name: tuple(ids) for name, ids in found.items()}


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and _ID.fullmatch(item) for item in value)
