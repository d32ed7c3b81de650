# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a store, short enough to be kept where the store is used. Pure.

A witness is the generation of an index with that signature. Nobody can make one up, so whoever keeps it can withhold it
and no more. C(doubts) holds a store against it.

PRIVATE to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index, digest_of_index

__all__ = ["Witness", "witness_from_text", "witness_of", "witness_to_text"]


@dataclass(frozen=True)
class Witness:
    """What was seen of an index.

    :param identity: of the store.
    :param digest: SHA-256 of what the signature is over, in hexadecimal.
    :param signer: fingerprint of the root that signed.
    :param signature: in base64.
    """

    generation: int
    identity: str
    digest: str
    signer: str
    signature: str


def witness_of(index: Index) -> Witness:
    """What is to be kept of a signed index."""
    return Witness(index.generation, index.identity, digest_of_index(index), index.signer, index.signature)


def witness_to_text(witness: Witness) -> str:
    """One line, such as an annotation can hold."""
    return f"{witness.generation} {witness.identity} {witness.digest} {witness.signer} {witness.signature}"


def witness_from_text(text: str) -> Witness | None:
    """The same read back; None where it is none, as anybody may have written it."""
    parts = text.split(" ")
    if len(parts) != 5 or not (parts[0].isascii() and parts[0].isdecimal() and len(parts[0]) < 16):
        return None
    return Witness(int(parts[0]), *parts[1:])
