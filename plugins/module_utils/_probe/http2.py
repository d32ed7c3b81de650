# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of HTTP/2 as one question of gRPC needs: C(grpc.health.v1.Health/Check). Pure.

PRIVATE to the collection. RFC 9113 (frames), RFC 7541 (field lines, here never compressed), gRPC over HTTP/2, gRPC
Health Checking Protocol. What is sent needs no answer first, so that it goes out in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Health", "health_answer", "health_request"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x7
_END_STREAM, _END_HEADERS, _PADDED = 0x1, 0x4, 0x8
_STREAM = 1
_HEAD = 9
# Of RFC 7541's static table: those that are whole, and names of others.
_POST, _HTTP = 3, 6
_AUTHORITY, _PATH, _CONTENT_TYPE = 1, 4, 31
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


@dataclass(frozen=True)
class Health:
    """:param spoken: whether it is HTTP/2 at all.
    :param status: of the service, in the protocol's words; empty where there is no such message.
    :param error: why the server gave the request up; empty where it did not.
    """

    spoken: bool
    status: str = ""
    error: str = ""


def health_request(authority: str, service: str) -> bytes:
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    fields = bytes([0x80 | _POST, 0x80 | _HTTP])
    fields += _indexed(_AUTHORITY, authority.encode()) + _indexed(_PATH, b"/grpc.health.v1.Health/Check")
    fields += _indexed(_CONTENT_TYPE, b"application/grpc") + _literal(b"te", b"trailers")
    return (
        PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, _STREAM, fields)
        + _frame(_DATA, _END_STREAM, _STREAM, b"\x00" + len(message).to_bytes(4, "big") + message)
    )


def health_answer(data: bytes) -> Health:
    frames = list(_frames(data))
    if not frames or frames[0][0] != _SETTINGS:
        return Health(False)
    status = _status(b"".join(_unpadded(flags, content) for kind, flags, content in frames if kind == _DATA))
    # A server may reset what it has answered: it needs no more of the request.
    return Health(True, status, "" if status else _error(frames))


def _error(frames: Sequence[tuple[int, int, bytes]]) -> str:
    for kind, _flags, content in frames:
        if kind == _RST_STREAM and (number := int.from_bytes(content[:4], "big")):
            return f"the request was reset (error {number})"
        if kind == _GOAWAY and (number := int.from_bytes(content[4:8], "big")):
            return f"the connection was given up (error {number})"
    return ""


def _status(body: bytes) -> str:
    """Of a HealthCheckResponse, whose one field is number 1; what is not there is 0."""
    if len(body) < 5 or body[0] != 0:
        return ""
    message = body[5 : 5 + int.from_bytes(body[1:5], "big")]
    if len(message) < int.from_bytes(body[1:5], "big"):
        return ""
    number = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    return STATUSES.get(number, str(number))


def _frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and content of each that is whole."""
    while len(data) >= _HEAD:
        length = int.from_bytes(data[:3], "big")
        if len(data) < _HEAD + length:
            return
        yield data[3], data[4], data[_HEAD : _HEAD + length]
        data = data[_HEAD + length :]


def _unpadded(flags: int, content: bytes) -> bytes:
    if not flags & _PADDED or not content:
        return content
    return content[1 : len(content) - content[0]]


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def _indexed(name: int, value: bytes) -> bytes:
    """A value under a name of the static table, not to be remembered (section 6.2.2)."""
    head = bytes([name]) if name < 0x0F else bytes([0x0F, name - 0x0F])
    return head + _text(value)


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + _text(name) + _text(value)


def _text(value: bytes) -> bytes:
    """With its length in front, in seven bits or more (section 5.1)."""
    length = len(value)
    return (bytes([length]) if length < 0x7F else b"\x7f" + _varint(length - 0x7F)) + value


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first, as HPACK and protocol buffers have it."""
    found = b""
    while number >= 0x80:
        found, number = found + bytes([0x80 | number & 0x7F]), number >> 7
    return found + bytes([number])
