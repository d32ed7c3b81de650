# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit journal of a CA store: what an entry is, how entries are chained, and how they are cut into segments. Pure.

::

    entry 1  ◄── before ──  entry 2  ◄── before ──  ...  ◄── before ──  entry n        the index names n and its hash,
                                                                                        and the CA's key signs the index
                                          entry n + 1  ◄── before ──  entry n + 2      not yet signed

An entry is one line: a JSON object (RFC 8259) in ASCII, its keys sorted, without spaces. Its hash is SHA-256 of that
line without the line's end, in hexadecimal; C(before) is the hash of the entry before it, and 64 zeros in the first.

PRIVATE to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Head
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import digest_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import (
    NOTHING,
    Json,
    mapping,
    parse_json,
    text,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = [
    "MOST_BYTES",
    "Author",
    "Event",
    "Kind",
    "Line",
    "Link",
    "Segment",
    "Value",
    "bounded",
    "chained",
    "lines_of",
    "links_of",
    "read",
    "repeated",
    "segments_of",
]

Value: TypeAlias = str | int | Sequence[str]
# docs/journal.md says when each is written, and with which fields.
Kind = Literal[
    "begun",
    "created",
    "recovered",
    "taken-over",
    "reconciled",
    "imported",
    "root-trusted",
    "root-removed",
    "rotation",
    "key-destroyed",
    "issued",
    "found",
    "revoked",
    "revocation-ended",
    "crl",
    "crls-removed",
    "bundle",
    "exported",
    "moved",
    "observed",
    "refused",
]

# Of one segment, unless a single entry is longer: far below what a Kubernetes Secret holds (1 MiB).
MOST_BYTES = 256 * 1024
_LONGEST_TEXT = 1000
# Kinds of entries of what is done without the CA's key.
_KEYLESS: tuple[Kind, ...] = ("begun", "bundle", "exported", "moved", "refused")
# What tells an entry from another one of the same.
_OF_ITS_TIME = ("before", "entry", "key", "playbook", "run", "time")


@dataclass(frozen=True)
class Author:
    """Who causes what is written.

    :param run: tells one Ansible run from another.
    :param operator: the name by which the controller knows who started it.
    :param playbook: what was run.
    """

    run: str = ""
    operator: str = ""
    playbook: str = ""


@dataclass(frozen=True)
class Event:
    """Something that is to be an entry."""

    kind: Kind
    fields: Mapping[str, Value] = field(default_factory=dict)


class Segment(NamedTuple):
    """Entries that are stored together.

    :param first: number of the first one.
    :param lines: all of them, each with its line's end.
    :param closed: no entry is ever added to it.
    """

    first: int
    lines: str
    closed: bool


class Link(NamedTuple):
    """An entry as a part of the chain; number 0 and nothing else where a line is no entry.

    :param digest: the entry's own hash.
    :param keyless: whether it can have been written without the CA's key.
    """

    number: int
    before: str
    digest: str
    keyless: bool


class Line(NamedTuple):
    """A stored line.

    :param entry: what it says, whoever wrote it; empty where it is no entry.
    """

    entry: Json
    link: Link


def chained(
    events: Iterable[Event], last: Head, author: Author, now: datetime, *, signed: bool
) -> tuple[Head, list[str]]:
    """Turn events into entries that follow on another one.

    :param signed: whether the CA's key is open, so that the index which names them is signed in the same call.
    :returns: the new last entry, and the lines.
    """
    number, before, lines = last.entries, last.digest, []
    for event in events:
        number += 1
        entry = {
            **_told(event, author),
            "before": before,
            "entry": number,
            "key": "open" if signed else "closed",
            "playbook": bounded(author.playbook),
            "run": bounded(author.run),
            "time": timestamp(now),
        }
        line = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        lines.append(line + "\n")
        before = digest_of(line.encode())
    return Head(number, before, last.segment), lines


def repeated(event: Event, author: Author, data: bytes) -> bool:
    """Whether stored entries tell the same of the same operator already, be it of another run.

    :param data: entries that are as they were written.
    """
    told = _told(event, author)
    entries = (mapping(parse_json(line)) for line in lines_of(data))
    return any({key: entry[key] for key in entry.keys() - _OF_ITS_TIME} == told for entry in entries)


def _told(event: Event, author: Author) -> dict[str, Value]:
    fields = {key: bounded(value) for key, value in event.fields.items()}
    return {**fields, "kind": event.kind, "operator": bounded(author.operator)}


def bounded(value: Value) -> Value:
    """A value that may come from elsewhere, without what a terminal obeys, and no longer than people read."""
    if isinstance(value, str):
        return visible(value[:_LONGEST_TEXT])[:_LONGEST_TEXT]
    return value if isinstance(value, int) else [str(bounded(item)) for item in value]


def segments_of(first: int, lines: Iterable[str]) -> Iterator[Segment]:
    """Cut entries into segments; all but the last one are closed."""
    held, size, number = list[str](), 0, first
    for number, line in enumerate(lines, first):
        if held and size + len(line) > MOST_BYTES:
            yield Segment(number - len(held), "".join(held), closed=True)
            held, size = [], 0
        held.append(line)
        size += len(line)
    yield Segment(number + 1 - len(held), "".join(held), closed=False)


def read(data: bytes) -> Iterator[Line]:
    """Read stored lines, whatever they are."""
    return map(_line, lines_of(data))


def links_of(data: bytes) -> Iterator[Link]:
    """The same as parts of the chain alone."""
    return (line.link for line in read(data))


def lines_of(data: bytes) -> list[bytes]:
    """Entries as they are stored, each without its line's end."""
    lines = data.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _line(line: bytes) -> Line:
    try:
        entry = mapping(parse_json(line.decode("ascii")))
    except ValueError:
        return Line(NOTHING, Link(0, "", digest_of(line), keyless=False))
    number = entry.get("entry")
    counted = number if isinstance(number, int) and not isinstance(number, bool) else 0
    keyless = entry.get("key") == "closed" and entry.get("kind") in _KEYLESS
    return Line(entry, Link(counted, text(entry.get("before")), digest_of(line), keyless))
