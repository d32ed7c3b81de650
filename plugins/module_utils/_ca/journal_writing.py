# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a change of the store and the entries that tell of it are written as one. Pure.

The entries of a change come with the index that makes it: both are there, or neither. What happens without the key is
written after the last entry that is signed, and is signed with the next change.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.events import begun
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Head
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import (
    Author,
    Event,
    Link,
    chained,
    lines_of,
    links_of,
    repeated,
    segments_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import (
    changed,
    signed_fault,
    unsigned_fault,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["journalled", "noted"]

# Of what is not signed yet. A Kubernetes Secret holds 1 MiB.
_MOST_UNSIGNED = 512 * 1024
# Of it, as far as refusals may fill it: bundles and exports have the rest for themselves.
_MOST_REFUSED = _MOST_UNSIGNED // 2


def journalled(
    change: Change, before: Snapshot | None, segment: bytes, events: Sequence[Event], author: Author, now: datetime
) -> Change:
    """The change with the entries that tell of it, and with those that were not signed yet.

    :param before: what it was made from; None where there was no CA.
    :param segment: the last one that the index names, as it is stored; empty before the first entry.
    :raises CrossmeshError: the end of the journal is not as it was written: nothing is to follow on it.
    """
    if before is not None and not before.index.generation:
        # The format of an earlier release has no journal: what lies there nobody has looked at.
        before = None
    head, unsigned = (before.index.journal, before.unsigned) if before else (Head(), b"")
    if before is not None:
        _refuse_changed(before, segment)
    last, lines = chained(_beginning(head, before, unsigned, events), _last(head, unsigned), author, now, signed=True)
    if last == head:
        return change
    whole = [*_lines(segment if head.entries else b""), *_lines(unsigned), *lines]
    segments = tuple(segments_of(head.segment, whole))
    index = replace(change.index, journal=replace(last, segment=segments[-1].first))
    return replace(change, index=index, journal=segments)


def noted(before: Snapshot, events: Sequence[Event], author: Author, now: datetime) -> bytes:
    """What is not signed yet, with further entries; a refusal that is among them already is not told again.

    :raises CrossmeshError: it is not as it was written, or too much.
    """
    head, unsigned = before.index.journal, before.unsigned
    if fault := unsigned_fault(list(links_of(unsigned)), head):
        raise changed(before.where, fault)
    wanted = _unrepeated(events, unsigned, author)
    _last_entry, lines = chained(
        _beginning(head, before, unsigned, wanted), _last(head, unsigned), author, now, signed=False
    )
    text = "".join([*_lines(unsigned), *lines]).encode()
    most = _MOST_REFUSED if all(event.kind == "refused" for event in wanted) else _MOST_UNSIGNED
    if wanted and len(text) > most:
        raise CrossmeshError(_full(before.where))
    return text


def _unrepeated(events: Iterable[Event], unsigned: bytes, author: Author) -> list[Event]:
    """Without refusals that are told already: what stops every run would fill the room of all others."""
    return [event for event in events if event.kind != "refused" or not repeated(event, author, unsigned)]


def _refuse_changed(before: Snapshot, segment: bytes) -> None:
    head = before.index.journal
    fault = unsigned_fault(list(links_of(before.unsigned)), head)
    if head.entries:
        links = list(links_of(segment))
        # What the first one follows on is in another segment, which only verify reads.
        start = Head(head.segment - 1, links[0].before if links else "")
        fault = signed_fault(links, head, start=start) or fault
    if fault:
        raise changed(before.where, fault)


def _beginning(head: Head, before: Snapshot | None, unsigned: bytes, events: Iterable[Event]) -> list[Event]:
    """A journal that has no entry yet says since when it is kept."""
    wanted = list(events)
    if head.entries or unsigned or not wanted:
        return wanted
    return [begun(before.index.generation if before else 0), *wanted]


def _last(head: Head, unsigned: bytes) -> Head:
    links: list[Link] = list(links_of(unsigned))
    return replace(head, entries=links[-1].number, digest=links[-1].digest) if links else head


def _lines(data: bytes) -> list[str]:
    return [line.decode("ascii") + "\n" for line in lines_of(data)]


def _full(where: str) -> Message:
    return Message.error(
        "journal-full",
        where=f"{where}, audit journal",
        what="too many entries are not signed yet",
        fix="run playbook rotate_certificates with -e mesh_rotate_force=true, which opens the CA's key and signs them",
    )
