# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came back of a question: the lines of M(_probe/scripts), read at this one edge. Pure.

PRIVATE to the collection. They come from a container and from a server, both foreign: what is not in the form that is
expected is as if it were not there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["Answer", "is_unasked", "read_answer", "shown"]

Tool = Literal["python3", "bash", "curl", "nc", "wget", "none", ""]
Port = Literal["open", "closed", "late", ""]
End = Literal["open", "closed", ""]

_TOOLS: tuple[Tool, ...] = ("python3", "bash", "curl", "nc", "wget", "none")
_PORTS: tuple[Port, ...] = ("open", "closed", "late")
_ENDS: tuple[End, ...] = ("open", "closed")
_Lines = list[tuple[str, list[str]]]
_Word = TypeVar("_Word", bound=str)
_HEX = re.compile(r"([0-9a-f]{2})+", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
# curl's own codes: no name, no connection, too late, nothing sent, broken off.
_NO_NAME, _NO_CONNECTION, _LATE, _NOTHING, _BROKEN = 6, 7, 28, 52, 56
_LONGEST = 120


@dataclass(frozen=True)
class Answer:
    """:param tool: that asked; empty where it did not come to that.
    :param names: what the name resolves to; None where nothing there could tell.
    :param port: whether the connection came about; empty where nothing there could tell.
    :param data: what the server sent first.
    :param end: whether the connection was still open then.
    :param status: of HTTP, where the tool tells no more.
    :param begun: there was a shell.
    :param finished: whether it came to its end in time.
    """

    tool: Tool = ""
    names: frozenset[str] | None = None
    port: Port = ""
    data: bytes = b""
    end: End = ""
    status: int = 0
    begun: bool = False
    finished: bool = True


def read_answer(output: str) -> Answer:
    lines = [(words[0], words[1:]) for words in map(str.split, output.splitlines()) if words]
    tool: Tool = _word(lines, "tool", _TOOLS) or ""
    port: Port = _word(lines, "port", _PORTS) or ""
    end: End = _word(lines, "end", _ENDS) or ""
    curl = next(_numbers(lines, "curl"), 0)
    if tool == "curl":
        port = _port_of_curl(curl, connected=any(key == "connected" and _is_above_zero(words) for key, words in lines))
        # Whatever else it ends with, it has not come to ask.
        tool = tool if port or curl == _NO_NAME else "none"
    elif tool == "bash" and not port:
        # What takes longer for a connection than a command may take has been ended.
        port = "late"
    names = [address for key, words in lines if key == "name" for address in map(_address, words) if address]
    has_names = any(key == "name" for key, _words in lines)
    return Answer(
        tool=tool,
        names=frozenset(names) if has_names or curl == _NO_NAME else None,
        port=port,
        data=b"".join(bytes.fromhex(hexes) for key, words in lines if key == "bytes" for hexes in _hex(words)),
        end=end or ("closed" if curl in (_NOTHING, _BROKEN) else ""),
        status=next(_numbers(lines, "status"), 0),
        begun=("shell", ["sh"]) in lines,
    )


def is_unasked(answer: Answer) -> bool:
    """Whether nothing there could ask: no shell, or no tool. An unknown or slow name ends it before one is chosen."""
    no_name = answer.names == frozenset() or (answer.begun and not answer.finished)
    return answer.tool in ("", "none") and not no_name


def _word(lines: _Lines, wanted: str, known: Sequence[_Word]) -> _Word | None:
    """The first line of a key, where it is one word that is known."""
    said = next((words for key, words in lines if key == wanted), [])
    return next((word for word in known if said == [word]), None)


def _is_above_zero(words: list[str]) -> bool:
    return any(digit in "123456789" for word in words for digit in word)


def _port_of_curl(code: int, *, connected: bool) -> Port:
    """Too late is its word for a connection that takes too long, and for an answer."""
    codes: dict[int, Port] = {_NO_CONNECTION: "closed", _LATE: "late"}
    return "open" if connected else codes.get(code, "")


def _numbers(lines: _Lines, wanted: str) -> Iterator[int]:
    for key, words in lines:
        if key == wanted and len(words) == 1 and _NUMBER.fullmatch(words[0]):
            yield int(words[0])


def _hex(words: list[str]) -> Iterator[str]:
    found = "".join(words)
    # The last line may have been cut off.
    found = found[: len(found) // 2 * 2]
    if _HEX.fullmatch(found):
        yield found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def shown(data: bytes) -> str:
    """For people, as Python writes bytes: none that a terminal would obey."""
    text = data[:_LONGEST].decode("latin-1").encode("unicode_escape").decode("ascii")
    return f"'{text}'" + (f" and {len(data) - _LONGEST} bytes more" if len(data) > _LONGEST else "")
