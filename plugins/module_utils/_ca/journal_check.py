# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a journal is the one that was written: which entry is the first that is not. Pure.

The hash of the last entry is signed with the index, so whatever was done to the entries up to it is noticed. Which
entry it was done to follows from the numbers and hashes of those beside it. Who edits an entry and writes all that
follow anew changes the last one: then that one is named, and that it may not be the first is said.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Head
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Link, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Checked", "changed", "checked", "signed_fault", "unsigned_fault"]


class Checked(NamedTuple):
    """How many entries a journal has that is as it was written.

    :param unsigned: those after the last signed one.
    """

    signed: int
    unsigned: int

    def __str__(self) -> str:
        waiting = f"; {self.unsigned} more are not yet signed" if self.unsigned else ""
        return f"the audit journal is whole: {self.signed} entries are signed{waiting}"


def checked(snapshot: Snapshot, links: Sequence[Link]) -> Checked:
    """Hold a whole journal against the index.

    :param links: of all segments that the storage has up to the last one that the index names.
    :raises CrossmeshError: an entry is not as it was written; the first one is named.
    """
    head, unsigned = snapshot.index.journal, list(links_of(snapshot.unsigned))
    if fault := signed_fault(links, head) or unsigned_fault(unsigned, head):
        raise changed(snapshot.where, fault)
    return Checked(head.entries, len(unsigned))


def signed_fault(links: Sequence[Link], end: Head, *, start: Head | None = None) -> str:
    """The first entry that is not as it was signed, and what was done to it; empty where all are.

    :param links: from the entry after C(start) on.
    :param end: the last entry that counts, as the index names it.
    :param start: the entry before the first of these; None for the beginning of the journal.
    """
    start = start or Head()
    if fault := _chain_fault(links, start, end):
        return fault
    last = start.entries + len(links)
    if last < end.entries:
        return f"entry {last + 1} is missing, and all that follow it up to entry {end.entries}, which is signed"
    if last and links and links[-1].digest != end.digest:
        return _edited(last)
    return ""


def unsigned_fault(links: Sequence[Link], start: Head) -> str:
    """The same of entries that follow on the last one that is signed, and are not signed yet."""
    if fault := _chain_fault(links, start, None):
        return fault
    forged = [link.number for link in links if not link.keyless]
    return (
        f"entry {forged[0]} was added: only who has the CA's key writes such, and none has signed it" if forged else ""
    )


def changed(where: str, fault: str) -> CrossmeshError:
    """The error of a journal with a fault."""
    return CrossmeshError(
        Message.error(
            "journal-changed",
            where=f"{where}, audit journal",
            what=fault,
            fix="restore it from a backup as new as the rest of the store (the folder journal; of Secrets all "
            "together), and find out who can write there. If there is none, take the store away, keep it as evidence, "
            "and run playbook rotate_ca with -e custom_ca_lost=true, which begins another one",
        )
    )


def _chain_fault(links: Sequence[Link], start: Head, end: Head | None) -> str:
    before = start.digest
    for place, link in enumerate(links):
        number = start.entries + 1 + place
        if end and number > end.entries:
            return f"entry {link.number or number} was added after entry {end.entries}, the last one that is signed"
        if link.number != number:
            return _misplaced(links, place, number, end)
        if link.before != before:
            return _edited(number - 1 if place and _intact(links, place, end) else number)
        before = link.digest
    return ""


def _edited(number: int) -> str:
    return f"entry {number} was edited, or one before it was and all from there to here were chained anew"


def _intact(links: Sequence[Link], place: int, end: Head | None) -> bool:
    """Whether an entry is as it was, as far as the one after it, or the index, knows its hash.

    Of two entries that do not follow on each other, it is the first that was edited where the second is intact.
    """
    if place + 1 < len(links):
        return links[place].digest == links[place + 1].before
    return end is None or links[place].digest == end.digest


def _misplaced(links: Sequence[Link], place: int, number: int, end: Head | None) -> str:
    """What was done where another entry stands than the one of this number."""
    found, often = links[place].number, Counter(link.number for link in links)
    if not found:
        return f"entry {number} was edited: it is no entry any more"
    known = end.entries if end else number + len(links) - place
    stranger = often[found] > 1 or not 1 <= found <= known
    if often[number] and stranger:
        return f"entry {found} was added before entry {number}"
    if often[number]:
        return f"entry {number} is not in its place: entry {found} stands there"
    if stranger:
        return f"entry {number} was edited, or removed: one that says to be entry {found} stands in its place"
    return f"entry {number} is missing: entry {found} stands in its place"
