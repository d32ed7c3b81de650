# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of certificates in chunks that are never changed, for a place where each object costs a request. Pure.

Who issues some certificates writes one chunk, not all of them. Certificates that were issued together expire together:
a chunk of which few records still count is given up, and these come along with the new ones.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Damaged
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json

__all__ = ["MOST_BYTES", "Chunk", "chunk_from_bytes", "chunk_to_bytes", "repacked"]

# The text of each record by its serial.
Chunk = Mapping[str, str]

# Of one chunk, unless a single record is longer: a quarter of what a Kubernetes Secret holds.
MOST_BYTES = 256 * 1024


def chunk_to_bytes(chunk: Chunk) -> bytes:
    """The document that a storage keeps."""
    return json.dumps(chunk, sort_keys=True).encode()


def chunk_from_bytes(data: bytes, *, where: str, damaged: Damaged) -> Chunk:
    """The same read back; whether its records are as they were written is for the ledger to tell."""
    try:
        found = parse_json(data)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise damaged(f"{where} holds no records")
    return found


def repacked(
    chunks: Mapping[str, Chunk], counting: Collection[str], added: Chunk
) -> tuple[tuple[str, ...], tuple[Chunk, ...]]:
    """How records are kept after a change.

    :param chunks: those that are there, by their names.
    :param counting: serials of all records that count afterwards.
    :param added: records that come in.
    :returns: names of the chunks that stay, and further ones.
    """
    kept, loose = list[str](), dict[str, str]()
    for name, chunk in chunks.items():
        alive = {serial: text for serial, text in chunk.items() if serial in counting and serial not in added}
        # Half empty, by records or by room.
        if 2 * len(alive) > len(chunk) and 2 * _size(chunk) > MOST_BYTES:
            kept.append(name)
        else:
            loose |= alive
    return tuple(kept), tuple(_packed({**loose, **added}))


def _packed(records: Mapping[str, str]) -> Iterator[Chunk]:
    chunk, size = dict[str, str](), 0
    for serial, text in records.items():
        length = _length(serial, text)
        if chunk and size + length > MOST_BYTES:
            yield chunk
            chunk, size = {}, 0
        chunk[serial] = text
        size += length
    if chunk:
        yield chunk


def _size(chunk: Chunk) -> int:
    return sum(_length(serial, text) for serial, text in chunk.items())


def _length(serial: str, text: str) -> int:
    """In the document: quotes and line ends of a text are written out there."""
    return len(json.dumps({serial: text}))
