# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture holds, by who sent it to whom."""

from __future__ import annotations

import struct

from tests.lab import pcap

A, B = ("10.0.0.1", 40000), ("10.0.0.2", 13306)
OTHER = ("10.0.0.1", 40001)


def frame(source: pcap.End, target: pcap.End, payload: bytes, *, protocol: int = 6, padding: bytes = b"") -> bytes:
    addresses = bytes(int(part) for host, _port in (source, target) for part in host.split("."))
    total = struct.pack(">H", 40 + len(payload))
    ip = b"\x45\0" + total + b"\0" * 4 + bytes([64, protocol]) + b"\0\0" + addresses
    tcp = struct.pack(">HH", source[1], target[1]) + b"\0" * 8 + b"\x50" + b"\0" * 7
    return b"\0" * 12 + b"\x08\0" + ip + tcp + payload + padding


def capture(*frames: bytes) -> bytes:
    return b"\0" * 24 + b"".join(b"\0" * 8 + struct.pack("=II", len(one), len(one)) + one for one in frames)


def test_each_ends_bytes_are_put_together_connection_by_connection() -> None:
    data = capture(
        frame(A, B, b"one "), frame(B, A, b"answer"), frame(OTHER, B, b"else"), frame(A, B, b"two", padding=b"\0\0")
    )
    assert pcap.tcp_streams(data) == {(A, B): b"one two", (B, A): b"answer", (OTHER, B): b"else"}
    assert b"".join(pcap.tcp_payloads(data)) == b"one answerelsetwo"


def test_what_is_no_tcp_and_what_was_cut_off_is_passed_over() -> None:
    data = capture(frame(A, B, b"datagram", protocol=17), frame(A, B, b"bytes"))
    assert pcap.tcp_streams(data) == {(A, B): b"bytes"}
    assert pcap.tcp_streams(capture()) == {}
