# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a store is older than what was seen of it elsewhere. Pure.

The signature of an index tells that a key made it, not that it is the last one: a whole folder can be put back to what
it was. A witness is the generation of an index with that signature, short enough to be kept where the store is used.
Nobody can make one up, so whoever keeps it can withhold it and no more.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index, digest_of_index, statement
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.signature import signed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView

__all__ = ["Witness", "rolled_back", "witness_from_text", "witness_of", "witness_to_text"]


@dataclass(frozen=True)
class Witness:
    """What was seen of an index.

    :param digest: SHA-256 of what the signature is over, in hexadecimal.
    :param signer: fingerprint of the root that signed.
    :param signature: in base64.
    """

    generation: int
    digest: str
    signer: str
    signature: str


def witness_of(index: Index) -> Witness:
    """What is to be kept of a signed index."""
    return Witness(index.generation, digest_of_index(index), index.signer, index.signature)


def witness_to_text(witness: Witness) -> str:
    """One line, such as an annotation can hold."""
    return f"{witness.generation} {witness.digest} {witness.signer} {witness.signature}"


def witness_from_text(text: str) -> Witness | None:
    """The same read back; None where it is none, as anybody may have written it."""
    parts = text.split(" ")
    if len(parts) != 4 or not (parts[0].isascii() and parts[0].isdecimal() and len(parts[0]) < 16):
        return None
    return Witness(int(parts[0]), *parts[1:])


def rolled_back(snapshot: Snapshot, seen: Mapping[str, Sequence[Witness]]) -> Message | None:
    """Why a store must not be used, where somebody has seen a later one, or another one of the same generation.

    :param snapshot: whose signatures were checked.
    :param seen: what each cluster keeps, by its name; what no root of this store has signed counts for nothing.
    """
    own = witness_of(snapshot.index)
    # What a lost store has seen says nothing of the one that replaces it.
    known = {**snapshot.endorsers, **snapshot.roots}
    roots = {name: root for name, root in known.items() if name not in snapshot.index.inherited}
    later = [
        (witness.generation, cluster)
        for cluster, kept in seen.items()
        for witness in kept
        if _follows(witness, own) and _true(witness, roots.get(witness.signer))
    ]
    if not later:
        return None
    generation, cluster = max(later)
    return Message.error(
        "store-rolled-back",
        where=snapshot.where,
        what=f"the CA store is at generation {own.generation}, but cluster {cluster} got credentials of generation "
        f"{generation}: an older copy of the store lies in its place",
        fix="restore the newest copy of the folder. If there is none, move it away and run playbook rotate_ca with "
        "-e custom_ca_lost=true, and find out who can write to the folder",
    )


def _follows(witness: Witness, own: Witness) -> bool:
    if witness.generation == own.generation:
        return witness.digest != own.digest
    return witness.generation > own.generation


def _true(witness: Witness, root: CertificateView | None) -> bool:
    return root is not None and signed(root, statement(witness.generation, witness.digest), witness.signature)
