# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a store is older than what was seen of it elsewhere. Pure.

The signature of an index tells that a key made it, not that it is the last one: a whole folder can be put back to what
it was. A witness of another store, which is lost or has the same root, says nothing of this one.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import statement
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.witness import (
    Witness,
    witness_from_text,
    witness_of,
    witness_to_text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.signature import signed

__all__ = ["Doubts", "doubts", "latest", "rolled_back"]


@dataclass(frozen=True)
class Doubts:
    """What others have kept says against a store.

    :param rolled_back: why the store must not be used; None where nothing is against it.
    :param later: the latest witness of that, as text; empty for none.
    :param made_up: a warning for each that passes for a witness and is none, or is one of another store of this CA.
    """

    rolled_back: Message | None = None
    later: str = ""
    made_up: tuple[Message, ...] = ()


def latest(snapshot: Snapshot, kept: Collection[Witness]) -> Witness | None:
    """The latest state of the store that somebody has seen and this one does not lead to; None where there is none.

    :param snapshot: whose signatures were checked.
    """
    own = witness_of(snapshot.index)
    later = [witness for witness in kept if _follows(witness, own) and _is_true(witness, snapshot)]
    return max(later, key=lambda witness: witness.generation, default=None)


def rolled_back(snapshot: Snapshot, seen: Mapping[str, Sequence[Witness]]) -> Message | None:
    """Why a store must not be used, where somebody has seen a later one, or another one of the same generation.

    :param snapshot: whose signatures were checked.
    :param seen: what each cluster keeps, by its name; what no root of this store has signed counts for nothing.
    """
    found = {cluster: witness for cluster, kept in seen.items() if (witness := latest(snapshot, kept))}
    if not found:
        return None
    cluster = max(found, key=lambda name: found[name].generation)
    return Message.error(
        "store-rolled-back",
        where=snapshot.where,
        what=f"the CA store is at generation {snapshot.index.generation}, but cluster {cluster} got credentials of "
        f"generation {found[cluster].generation}: an older copy of the store lies in its place",
        fix="restore the newest copy of the folder, and find out who put an older one there. If this is the newest "
        "backup that is left, run playbook crossmesh.mtls.reconcile_ca, which shows what it lacks",
    )


def doubts(snapshot: Snapshot, seen: Mapping[str, Mapping[str, str]]) -> Doubts:
    """Hold against a store what was kept of it.

    :param seen: the texts: by cluster, then by the object that has it.
    """
    read = {
        cluster: [found for text in kept.values() if (found := witness_from_text(text))]
        for cluster, kept in seen.items()
    }
    last = latest(snapshot, [found for kept in read.values() for found in kept])
    told = [
        warn(snapshot, text, where)
        for kept in seen.values()
        for where, text in kept.items()
        for warn in (_made_up, _of_another_store)
    ]
    later = witness_to_text(last) if last else ""
    return Doubts(rolled_back(snapshot, read), later, tuple(filter(None, told)))


def _made_up(snapshot: Snapshot, text: str, where: str) -> Message | None:
    """The warning where something passes for a witness and is none: what it says would stop runs if it were true.

    :param text: what was kept; nothing is no lie.
    :param where: that has it, for messages.
    """
    witness = witness_from_text(text)
    own = witness_of(snapshot.index)
    if not text or (witness and (not _follows(witness, own) or _is_true(witness, snapshot))):
        return None
    return Message.warning(
        "ca-store-annotation",
        where=where,
        what=f"the annotation {names.ANNOTATION_WITNESS} is not as the CA has written it, and counts for nothing",
        fix="find out who changes it; the next certificate that is issued here replaces it",
    )


def _of_another_store(snapshot: Snapshot, text: str, where: str) -> Message | None:
    """The warning where a root of this store has signed for another one: the two cannot tell which is the older.

    A root that has issued for other instances signs for their stores as well, and one that is trusted no more did.
    """
    witness = witness_from_text(text)
    index = snapshot.index
    if witness is None or witness.identity == index.identity or not _is_true(witness, snapshot):
        return None
    if witness.signer in index.shared or witness.signer not in index.trusted:
        return None
    return Message.warning(
        "ca-store-begun-anew",
        where=where,
        what=f"its trust was written from another store of this CA, of generation {witness.generation}: whether the "
        "one in use is older, nothing tells",
        fix="if nobody has begun the store anew since (import of the same root, take_over_ca), restore it from a "
        "backup of before; else nothing: the next certificate that is issued here replaces the annotation "
        f"{names.ANNOTATION_WITNESS}",
    )


def _follows(witness: Witness, own: Witness) -> bool:
    if witness.identity != own.identity:
        return False
    if witness.generation == own.generation:
        return witness.digest != own.digest
    return witness.generation > own.generation


def _is_true(witness: Witness, snapshot: Snapshot) -> bool:
    root = {**snapshot.endorsers, **snapshot.roots}.get(witness.signer)
    text = statement(witness.identity, witness.generation, witness.digest)
    return root is not None and signed(root, text, witness.signature)
