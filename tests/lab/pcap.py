"""The little of the pcap format that finding payloads needs."""

import struct
from collections.abc import Iterator

_FILE_HEADER = 24
_RECORD_HEADER = 16
_ETHERNET_HEADER = 14
_IPV4 = 0x0800
_TCP = 6


def tcp_payloads(data: bytes) -> Iterator[bytes]:
    """Payloads of the TCP segments over IPv4 in a capture of an Ethernet interface."""
    position = _FILE_HEADER
    while position + _RECORD_HEADER <= len(data):
        (captured,) = struct.unpack_from("=I", data, position + 8)
        position += _RECORD_HEADER
        yield _payload(data[position : position + captured])
        position += captured


def _payload(frame: bytes) -> bytes:
    if len(frame) < _ETHERNET_HEADER + 20 or struct.unpack_from(">H", frame, 12)[0] != _IPV4:
        return b""
    packet = frame[_ETHERNET_HEADER:]
    if packet[9] != _TCP:
        return b""
    (total,) = struct.unpack_from(">H", packet, 2)
    segment = packet[(packet[0] & 0x0F) * 4 : total]
    return segment[(segment[12] >> 4) * 4 :]
