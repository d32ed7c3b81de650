# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit journal as people read it: its entries, whether they are as written, and what each is about. Pure.

PRIVATE to the collection. Whoever can write to the store can forge an entry, so whatever form one has it is read: text
is made visible and cut, and what is neither text, whole number nor list of texts counts as not there. Whether an entry
can be believed is what C(problem) and C(signed) say.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Line, Value, bounded, read
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked, checked
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import place
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import text
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short

__all__ = ["NO_ENTRY", "Entry", "History", "Last", "Names", "about", "history_of", "last_of_links"]

# The kind of a line that is no entry, or none any more.
NO_ENTRY = "no entry"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEAD = ("before", "entry", "key", "kind", "operator", "playbook", "run", "time")
# More names are told by their number.
_FEW = 3
# Digits of a serial number or fingerprint that are enough to name it, and to find one that is like it.
_FEWEST_DIGITS, _LIKE = 8, 4
_MOST_OFFERED = 3
NOTHING_CHECKED = Checked(0, 0)


@dataclass(frozen=True)
class Entry:
    """One entry of the journal (docs/journal.md).

    :param number: 0 where it has none.
    :param time: when it was written, by the controller's clock (RFC 3339, UTC).
    :param playbook: empty in entries of earlier releases.
    :param signed: whether the CA's key vouches for it.
    :param fields: what it tells beside the above.
    """

    number: int
    time: str
    operator: str
    run: str
    playbook: str
    kind: str
    signed: bool
    fields: Mapping[str, Value] = field(default_factory=dict)

    @property
    def which(self) -> str:
        """What it is about, in words."""
        told = (words(self.fields[name]) for name, words in _WORDS.items() if name in self.fields)
        return ", ".join(filter(None, told))

    @property
    def short_run(self) -> str:
        """As much of the run as tells it from others at a glance: a job's number, or the beginning of a UUID."""
        return short(self.run) if _UUID.fullmatch(self.run) else self.run

    @property
    def certificate(self) -> str:
        """Serial number of the certificate that it is about; empty where it is about none."""
        return text(self.fields.get("serial"))

    @property
    def names(self) -> Iterator[str]:
        """Links, clusters and places, as it names them; a Secret or directory by its last part too."""
        for key in ("links", "clusters", "unseen", "cluster", "place"):
            yield from _texts(self.fields.get(key))
        yield from (place.rpartition("/")[2] for place in _texts(self.fields.get("place")))

    @property
    def digits(self) -> Iterator[str]:
        """Serial numbers and fingerprints of certificates and roots."""
        for key in ("serial", "fingerprint", "root", "roots", "added", "removed"):
            yield from _texts(self.fields.get(key))


@dataclass(frozen=True)
class History:
    """A whole journal.

    :param entries: oldest first, those that are not signed yet last.
    :param problem: that it is not as it was written, and which entry is the first that is not; None where it is.
    """

    entries: tuple[Entry, ...] = ()
    checked: Checked = NOTHING_CHECKED
    problem: Message | None = None

    @property
    def untold(self) -> int:
        """How many changes were made to the store before its journal began: of these there is no entry."""
        begun = next((item.fields.get("generation") for item in self.entries if item.kind == "begun"), 0)
        return begun if isinstance(begun, int) else 0


@dataclass
class Last:
    """The last entries of something, oldest first.

    :param count: how many it has in all.
    """

    entries: deque[Entry]
    count: int = 0


@dataclass(frozen=True)
class Names:
    """What can be asked for beside what the journal names.

    :param known: links and clusters of the inventory.
    :param aliases: DNS names of certificates, with the link or the serial numbers that have it.
    """

    known: Collection[str] = ()
    aliases: Mapping[str, Collection[str]] = field(default_factory=dict)


def history_of(snapshot: Snapshot, segments: Iterable[bytes]) -> History:
    """Read a journal, whatever it holds.

    :param segments: all up to the last one that the index names.
    """
    lines = [line for segment in segments for line in read(segment)]
    found, problem = Checked(0, 0), None
    try:
        found = checked(snapshot, [line.link for line in lines])
    except CrossmeshError as error:
        problem = error.message
    entries = [_entry(line, signed=problem is None) for line in lines]
    entries += [_entry(line, signed=False) for line in read(snapshot.unsigned)]
    return History(tuple(entries), found, problem)


def _entry(line: Line, *, signed: bool) -> Entry:
    entry = line.entry
    time, operator, run, playbook, kind = (
        str(bounded(text(entry.get(name)))) for name in ("time", "operator", "run", "playbook", "kind")
    )
    others = {str(bounded(name)): value for name, value in entry.items() if name not in _HEAD and _is_value(value)}
    fields = {name: bounded(value) for name, value in others.items()}
    return Entry(line.link.number, time, operator, run, playbook, kind or NO_ENTRY, signed, fields)


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _texts(value: Value | None) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return () if value is None or isinstance(value, int) else value


# -- what an entry is about, in words ------------------------------------------------------------------------------


def _after(word: str) -> Callable[[Value], str]:
    return lambda value: f"{word} {value}"


def _some(word: str, words: str) -> Callable[[Value], str]:
    """The names of a few things of one kind, or how many there are."""
    return lambda value: _named(word, words, _texts(value))


def _roots(what: str) -> Callable[[Value], str]:
    """The same of roots, by what is done with them."""
    return lambda value: _named(f"{what}root", f"roots {what}".rstrip(), [*map(short, _texts(value))])


def _named(word: str, words: str, found: Sequence[str]) -> str:
    if not found:
        return ""
    return f"{len(found)} {words}" if len(found) > _FEW else f"{word} {listed(found)}"


# In the order in which they are told. A store is one instance's, and a serial number tells what a fingerprint does.
_WORDS: Mapping[str, Callable[[Value], str]] = {
    "action": str,
    "codes": lambda value: listed(_texts(value)),
    "where": str,
    "step": str,
    "serial": _after("certificate"),
    "side": lambda value: f"{value} side",
    "cluster": lambda value: place(str(value)),
    "clusters": _some("cluster", "clusters"),
    "links": _some("link", "links"),
    "place": str,
    "added": _roots("added "),
    "removed": _roots("removed "),
    "number": _after("number"),
    "revoked": lambda value: f"{value} revoked",
    "root": _roots(""),
    "roots": _roots(""),
    "subject": str,
    "reason": str,
    "since": _after("since"),
    "not_after": _after("until"),
    "records": lambda value: f"{value} records",
    "from": _after("from"),
    "to": _after("to"),
    "generation": _after("generation"),
    "seen": _after("clusters have seen generation"),
    "unseen": _some("without cluster", "clusters were not looked at"),
    "phase": _after("phase"),
}


# -- what the history of something is ------------------------------------------------------------------------------


def about(history: History, name: str, names: Names) -> tuple[Entry, ...]:
    """The entries that name something, or a certificate that was issued to it.

    :param name: of a link, cluster, Secret or directory; a DNS name of a certificate; a serial number or fingerprint,
        or at least its first eight digits.
    :raises CrossmeshError: nobody knows it.
    """
    wanted = {name, *names.aliases.get(name, ())}
    digits = {form for item in wanted for form in _digits(item)}
    found = [item for item in history.entries if _names(item, wanted, digits)]
    if not found and name not in names.known and name not in names.aliases:
        raise CrossmeshError(_unknown(history, name, names))
    certificates = {item.certificate for item in found if item.certificate}
    chosen = {id(item) for item in found}
    return tuple(item for item in history.entries if id(item) in chosen or item.certificate in certificates)


def last_of_links(history: History, most: int) -> Mapping[str, Last]:
    """The last entries of each link, as C(about) finds them.

    :param most: so many of each.
    """
    found: dict[str, Last] = {}
    links_of: dict[str, Sequence[str]] = {}
    for item in history.entries:
        links = _texts(item.fields.get("links"))
        if item.certificate:
            # A revocation names the certificate alone, and comes after it was issued.
            links = links_of.setdefault(item.certificate, links)
        for link in dict.fromkeys(links):
            last = found.setdefault(link, Last(deque(maxlen=most)))
            last.entries.append(item)
            last.count += 1
    return found


def _names(entry: Entry, wanted: Collection[str], digits: Collection[str]) -> bool:
    return any(item in wanted for item in entry.names) or any(
        item.startswith(form) for form in digits for item in entry.digits
    )


def _digits(name: str) -> set[str]:
    """A serial number or fingerprint as the journal writes it: OpenSSL has upper case, colons and leading zeros."""
    written = name.replace(":", "").lower()
    if not set(written) <= set("0123456789abcdef"):
        return set()
    # Zeros in front are none of the digits that tell one from others.
    return {form for form in (written, written.lstrip("0")) if len(form.lstrip("0")) >= _FEWEST_DIGITS}


def _unknown(history: History, name: str, names: Names) -> Message:
    words = {*names.known, *names.aliases, *(word for item in history.entries for word in item.names)}
    near = get_close_matches(name, words, n=_MOST_OFFERED)
    for form in _digits(name):
        there = {item for entry in history.entries for item in entry.digits}
        near += sorted(item for item in there if form[:_LIKE] == item[:_LIKE] or form[-_LIKE:] == item[-_LIKE:])
    offered = ", ".join(near[:_MOST_OFFERED])
    return Message.error(
        "history-unknown",
        where=f"mesh_history_of: {name}",
        what="nothing of this name is in the audit journal or in the inventory",
        fix=f"write {offered}"
        if offered
        else "leave mesh_history_of out to see everything, and look for the name there",
    )
