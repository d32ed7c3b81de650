# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of the pcap format that finding payloads needs."""

import socket
import struct
from collections.abc import Iterator

# Address and port.
End = tuple[str, int]

_FILE_HEADER = 24
_RECORD_HEADER = 16
_ETHERNET_HEADER = 14
_IPV4 = 0x0800
_TCP = 6


def tcp_payloads(data: bytes) -> Iterator[bytes]:
    """Payloads of the TCP segments over IPv4 in a capture of an Ethernet interface."""
    for segment in _segments(data):
        yield segment[1]


def tcp_streams(data: bytes) -> dict[tuple[End, End], bytes]:
    """What each end sent to the other one, in the order of capture."""
    found: dict[tuple[End, End], bytes] = {}
    for ends, payload in _segments(data):
        found[ends] = found.get(ends, b"") + payload
    return found


def _segments(data: bytes) -> Iterator[tuple[tuple[End, End], bytes]]:
    position = _FILE_HEADER
    while position + _RECORD_HEADER <= len(data):
        (captured,) = struct.unpack_from("=I", data, position + 8)
        position += _RECORD_HEADER
        frame = data[position : position + captured]
        position += captured
        if len(frame) < _ETHERNET_HEADER + 20 or struct.unpack_from(">H", frame, 12)[0] != _IPV4:
            continue
        packet = frame[_ETHERNET_HEADER:]
        if packet[9] == _TCP:
            yield _segment(packet)


def _segment(packet: bytes) -> tuple[tuple[End, End], bytes]:
    (total,) = struct.unpack_from(">H", packet, 2)
    segment = packet[(packet[0] & 0x0F) * 4 : total]
    source, target = struct.unpack_from(">HH", segment)
    ends = (socket.inet_ntoa(packet[12:16]), source), (socket.inet_ntoa(packet[16:20]), target)
    return ends, segment[(segment[12] >> 4) * 4 :]
