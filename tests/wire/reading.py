# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture between clusters holds: TLS by the names that were asked for, and what can be read."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab import Capture

_HANDSHAKE, _DATA = b"\x16\x03", b"\x17\x03"
_CLIENT_HELLO, _SERVER_NAME = 1, 0


@dataclass(frozen=True)
class Connection:
    """What one side sent on one connection.

    :param port: to which it was sent.
    """

    port: int
    sent: bytes

    @property
    def tls(self) -> bool:
        """One that stood already when the capture began has no handshake in it."""
        return self.sent.startswith((_HANDSHAKE, _DATA))

    @property
    def server_name(self) -> str:
        return server_name(self.sent)


def connections(wire: Capture, ports: frozenset[int]) -> list[Connection]:
    """What was sent to servers on these ports, connection by connection; nothing of those that carried nothing."""
    return [
        Connection(target[1], sent) for (_source, target), sent in wire.streams.items() if target[1] in ports and sent
    ]


def server_name(sent: bytes) -> str:
    """The SNI of a ClientHello; empty where there is none."""
    try:
        return _server_name(sent)
    except IndexError:
        return ""


def _server_name(sent: bytes) -> str:
    if not sent.startswith(_HANDSHAKE) or sent[5] != _CLIENT_HELLO:
        return ""
    # Record, handshake, version and random; then session, ciphers and compression, each with its length.
    at = 5 + 4 + 2 + 32
    at += 1 + sent[at]
    at += 2 + _number(sent, at)
    at += 1 + sent[at]
    end = at + 2 + _number(sent, at)
    at += 2
    while at + 4 <= min(end, len(sent)):
        kind, length = _number(sent, at), _number(sent, at + 2)
        if kind == _SERVER_NAME:
            # A list of one: its length, the kind of name, the name's length.
            return sent[at + 9 : at + 4 + length].decode("ascii", "replace")
        at += 4 + length
    return ""


def _number(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]
