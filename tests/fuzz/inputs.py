# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What parsers are given: sound documents and files, in which something was edited. Hypothesis draws, and makes small.

An edit of a PEM block is made in what it encodes, else nothing behind base64 would ever be reached.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

__all__ = ["PLANTED", "edited_bytes", "edited_documents"]

CLEAR = "\x1b[2J\x1b[HALL CLUSTERS OK"
LONG = "9" * 5000
# What takes the place of a value: each type, and texts that something may choke on, or a terminal obey.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 2**70, 1.5, "", " ", "a", CLEAR, "\u202e\x9b2J", "a\nok: b", LONG, "\u0663"),
    *([], {}, [None], [[]], [7], ["a"], {"": None}, {"a": {}}, {"name": []}, {CLEAR: CLEAR}, [{}], [{"name": "a"}]),
    *("-----BEGIN CERTIFICATE-----", "{{ nowhere }}", "../../x", "1.2.3.4/33", "::1%eth0", "*", "a" * 300, "\x00"),
    *("true", "2026-01-01T00:00:00Z", "9999-99-99T00:00:00Z", "%s%n", "[" * 2000, "a,b:c/d=e"),
)
PIECES = (
    *(b"", b"\x00", b"\xff" * 9, b"\n", b'"', b"\x30\x84", b"[" * 3000),
    *(CLEAR.encode(), b"-----END CERTIFICATE-----\n"),
)
_BLOCK = re.compile(rb"(-----BEGIN ([A-Z0-9 ]+)-----\n)([A-Za-z0-9+/=\n]+)(-----END \2-----)")

# Of each secret of a seed.
PLANTED = "planted"

Edit = tuple[int, int, int]
# Somewhere in a seed, by a share of its length, so that one edit fits all seeds.
_PLACE = st.integers(0, 2**16 - 1)
_NUMBER = st.integers(0, 255)
_EDITS: st.SearchStrategy[list[Edit]] = st.lists(st.tuples(_NUMBER, _PLACE, _NUMBER), max_size=4)


@st.composite
def edited_bytes(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    data: bytes = draw(st.sampled_from(seeds))
    blocks = [*_BLOCK.finditer(data)]
    if blocks and draw(_NUMBER) % 2:
        block = blocks[draw(_NUMBER) % len(blocks)]
        inner = _edited(base64.b64decode(block[3]), draw(_EDITS))
        armoured = block[1] + base64.encodebytes(inner) + block[4]
        return data[: block.start()] + armoured + data[block.end() :]
    return _edited(data, draw(_EDITS))


def _edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    for kind, place, number in edits:
        at = len(data) * place >> 16
        data = _BYTES[kind % len(_BYTES)](data, at, number)
    return data


_BYTES: tuple[Callable[[bytes, int, int], bytes], ...] = (
    lambda data, at, number: data[:at] + bytes([number]) + data[at + 1 :],
    lambda data, at, number: data[:at] + data[at + 1 + number % 16 :],
    lambda data, at, _number: data[:at],
    lambda data, at, number: data[:at] + PIECES[number % len(PIECES)] + data[at:],
    lambda data, at, number: data[: at + number] + data[at:],
)


@st.composite
def edited_documents(draw: st.DrawFn, seeds: Sequence[Any]) -> Any:
    """Of plain values, as JSON and YAML give them."""
    found = [copy.deepcopy(draw(st.sampled_from(seeds)))]
    for kind, place, number in draw(_EDITS):
        nodes = list(_nodes(found))
        holder, key = nodes[len(nodes) * place >> 16]
        _DOCUMENTS[kind % len(_DOCUMENTS)](found, holder, key, number)
    return found[0] if found else None


def _nodes(found: Any) -> Iterator[tuple[Any, Any]]:
    """Each value, as what holds it and under which key."""
    for key in list(found) if isinstance(found, dict) else range(len(found)):
        yield found, key
        if isinstance(found[key], (dict, list)):
            yield from _nodes(found[key])


def _replace(_all: Any, holder: Any, key: Any, number: int) -> None:
    holder[key] = copy.deepcopy(VALUES[number % len(VALUES)])


def _remove(_all: Any, holder: Any, key: Any, _number: int) -> None:
    if len(holder) > 1:
        del holder[key]


def _rename(_all: Any, holder: Any, key: Any, number: int) -> None:
    names = [value for value in VALUES if isinstance(value, str)]
    if isinstance(holder, dict):
        holder[names[number % len(names)]] = holder.pop(key)


def _add(_all: Any, holder: Any, _key: Any, number: int) -> None:
    value = copy.deepcopy(VALUES[number % len(VALUES)])
    if isinstance(holder, list):
        holder.append(value)
    else:
        holder[f"key-{number}"] = value


def _swap(everything: Any, holder: Any, key: Any, number: int) -> None:
    """What stands in another place of the document, sound as it is."""
    nodes = list(_nodes(everything))
    other, name = nodes[number * len(nodes) >> 8]
    # A secret in the place of a name is no secret.
    if PLANTED not in repr(other[name]):
        holder[key] = copy.deepcopy(other[name])


def _repeat(_all: Any, holder: Any, key: Any, _number: int) -> None:
    if isinstance(holder, list):
        holder.insert(0, copy.deepcopy(holder[key]))


_DOCUMENTS = (_replace, _replace, _remove, _rename, _add, _swap, _repeat)
