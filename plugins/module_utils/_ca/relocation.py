# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a CA from one storage to another: it is in one of them at any moment, or in none that a run goes on with.

The old place is marked first, against the version that was read, so nothing that another run does there is lost. Then
all of it is copied as it is, signatures and journal included, and read back. Who is stopped in between does it again.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import transitions, vouching
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import moved
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author, Segment, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_writing import noted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import digest_of, record_to_text
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import (
    Change,
    OvertakenError,
    Snapshot,
    Storage,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Relocation", "relocate"]


@dataclass(frozen=True)
class Relocation:
    """What was done, or would be."""

    changed: bool
    message: str


def relocate(source: Storage, target: Storage, instance: str, *, author: Author, check_mode: bool) -> Relocation:
    """Bring the CA of an instance to a place, unless it is there.

    :param author: whom the journal names.
    :raises CrossmeshError: both hold one, or what is there is not to be believed.
    """
    while True:
        with suppress(OvertakenError):
            return _relocated(source, target, instance, author, check_mode=check_mode)


def _relocated(source: Storage, target: Storage, instance: str, author: Author, *, check_mode: bool) -> Relocation:
    there, here = source.snapshot(records=True), target.snapshot(records=True)
    if here is not None and not here.moved:
        if there is not None and not there.moved:
            raise _occupied(source, target)
        return _completed(source, there, target, here, check_mode=check_mode)
    if there is None or (here is not None and _went_on(source, there, target, here)):
        return _taken_back(source, target, here, author, check_mode=check_mode)
    if there.moved and there.moved != target.place:
        vouching.refuse_unvouched(there)
    _refuse_unbelievable(there, instance)
    if here is not None and not _follows(there.index, here.index):
        raise _occupied(source, target)
    if not there.moved:
        CaStore(source, instance).check_journal()
    words = f"moved from {source.where} to {target.where}"
    if check_mode:
        return Relocation(True, f"would be {words}")
    if not there.moved:
        target.refuse_unwritable()
        source.leave(target.place, _told(source, there, source.place, target.place, author))
    if here is not None:
        # An older copy: the CA went on from there.
        target.destroy()
    _copy(source, target)
    CaStore(target, instance).check_journal()
    return Relocation(True, words)


def _completed(
    source: Storage, there: Snapshot | None, target: Storage, here: Snapshot, *, check_mode: bool
) -> Relocation:
    """Where it is in its place, but a move may have been stopped before the last of what is copied."""
    lacks = there is not None and there.index == here.index and there.unsigned and not here.unsigned
    if there is None or not lacks or there.moved != target.place:
        return Relocation(False, f"kept: the CA is in {target.where}")
    if not check_mode:
        target.note(there.unsigned, here.version)
    return Relocation(True, f"moved the end of its audit journal from {source.where} to {target.where}")


def _taken_back(
    source: Storage, target: Storage, here: Snapshot | None, author: Author, *, check_mode: bool
) -> Relocation:
    """Where the other place holds nothing, or an older copy: go on where a move began that was not completed."""
    if here is None:
        return Relocation(False, "there is no CA")
    if here.moved != source.place:
        vouching.refuse_unvouched(here)
    if not check_mode:
        target.leave("", _told(target, here, source.place, target.place, author))
    words = "would be taken back" if check_mode else "taken back"
    return Relocation(True, f"{words} into {target.where}, which a move that was stopped had left")


def _told(storage: Storage, seen: Snapshot, before: str, after: str, author: Author) -> str:
    """Write into the journal that the CA is about to move, without the key: it is signed in its new place.

    :returns: the version that stands then.
    """
    storage.note(noted(seen, [moved(before, after)], author, datetime.now(UTC)), seen.version)
    found = storage.snapshot()
    if found is None:
        raise OvertakenError
    return found.version


def _went_on(source: Storage, there: Snapshot, target: Storage, here: Snapshot) -> bool:
    """Whether both places are marked for each other, and it is here that the CA was last.

    So it stands where a way back was stopped before the older copy was removed. Of two that are the same, the one
    with more of the journal is the later: what is not signed yet is only ever added to.
    """
    if (there.moved, here.moved) != (target.place, source.place) or not _follows(here.index, there.index):
        return False
    return not _follows(there.index, here.index) or len(here.unsigned) > len(there.unsigned)


def _follows(later: Index, earlier: Index) -> bool:
    """Whether a store is what became of another one."""
    return later.identity == earlier.identity and later.generation >= earlier.generation


def _refuse_unbelievable(there: Snapshot, instance: str) -> None:
    vouching.refuse_unvouched(replace(there, moved=""))
    transitions.refuse_others(there, instance)


def _copy(source: Storage, target: Storage) -> None:
    """Copy what is marked, and read it back.

    :raises OvertakenError: somebody has taken the mark away meanwhile, or made a CA in the other place.
    """
    there = source.snapshot(records=True)
    if there is None or there.moved != target.place:
        raise OvertakenError
    kept = source.kept(there)
    records = {record.serial: digest_of(record_to_text(record)) for record in there.records}
    change = Change(
        index=there.index,
        roots=kept.certificates,
        keys=kept.keys,
        lists=there.lists,
        records=there.records,
        ledger=records if there.index.issued else None,
        journal=tuple(_segments(source, there)),
        observed=there.observed.decode() if there.index.observed else None,
    )
    made = target.commit(change, None)
    if there.unsigned:
        target.note(there.unsigned, made.version)
    found = target.snapshot(records=True)
    if found is None:
        raise OvertakenError
    same = replace(found, where=there.where, version=there.version, moved=there.moved)
    if same != there or target.kept(found) != kept:
        raise CrossmeshError(_differs(source, target))


def _segments(source: Storage, there: Snapshot) -> Iterator[Segment]:
    head = there.index.journal
    if not head.entries:
        return
    for data in source.segments(there):
        # One that is missing or changed is told by the check of the whole.
        first = next((link.number for link in links_of(data)), 0)
        yield Segment(first, data.decode("ascii", "replace"), closed=True)
    yield Segment(head.segment, source.last_segment(there).decode("ascii", "replace"), closed=False)


def _occupied(source: Storage, target: Storage) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "store-occupied",
            where=target.where,
            what=f"there is a CA here, and another one, or an older copy, in {source.where}: nothing was moved",
            fix="find out which of them the clusters trust (playbook verify with each), and remove the other "
            "(role custom_ca with custom_ca_state: absent)",
        )
    )


def _differs(source: Storage, target: Storage) -> Message:
    return Message.error(
        "store-copy-differs",
        where=target.where,
        what=f"what was copied does not read as it does in {source.where}",
        fix="find out who writes there; then remove what is here (role custom_ca with custom_ca_state: absent), and "
        "run playbook crossmesh.mtls.move_ca again",
    )
