# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of gRPC's health service and what its answer says, held against frames written out by hand."""

from __future__ import annotations

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.http2 import Health, health_answer, health_request

SETTINGS = bytes.fromhex("000000 04 00 00000000".replace(" ", ""))
# HEADERS of a response and its trailers: what stands in them is not looked at.
HEADERS = bytes.fromhex("000001 01 04 00000001 88".replace(" ", ""))
TRAILERS = bytes.fromhex("000001 01 05 00000001 88".replace(" ", ""))


def data(message: bytes, flags: int = 0) -> bytes:
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return len(body).to_bytes(3, "big") + bytes([0, flags]) + b"\0\0\0\x01" + body


def status(number: int) -> bytes:
    return SETTINGS + HEADERS + data(bytes([8, number])) + TRAILERS


@pytest.mark.parametrize(
    ("found", "health"),
    [
        (status(1), Health(True, "SERVING")),
        (status(2), Health(True, "NOT_SERVING")),
        (status(3), Health(True, "SERVICE_UNKNOWN")),
        (status(9), Health(True, "9")),
        (SETTINGS + HEADERS + data(b"") + TRAILERS, Health(True, "UNKNOWN")),
        # Trailers alone: the method is not there, or a proxy says no.
        (SETTINGS + TRAILERS, Health(True)),
        (SETTINGS, Health(True)),
        # Not whole yet.
        (status(1)[:-12], Health(True)),
        (SETTINGS + bytes.fromhex("000004030000000001 00000008".replace(" ", "")), Health(True, error="reset")),
        (
            SETTINGS + bytes.fromhex("0000080700 00000000 00000000 0000000d".replace(" ", "")),
            Health(True, error="given up"),
        ),
        # What nginx does once it has answered.
        (status(1) + bytes.fromhex("000004030000000001 00000000".replace(" ", "")), Health(True, "SERVING")),
        # A connection that ends in peace.
        (status(1) + bytes.fromhex("0000080700 00000000 00000001 00000000".replace(" ", "")), Health(True, "SERVING")),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Health(False)),
        (b"", Health(False)),
        (b"\xff" * 40, Health(False)),
    ],
)
def test_an_answer_is_read_as_far_as_it_came(found: bytes, health: Health) -> None:
    read = health_answer(found)
    assert (read.spoken, read.status) == (health.spoken, health.status)
    assert health.error in read.error if health.error else read.error == ""


def test_padding_is_no_part_of_a_message() -> None:
    body = b"\x02" + b"\0\0\0\0\x02\x08\x01" + b"\0\0"
    frame = len(body).to_bytes(3, "big") + b"\x00\x08" + b"\0\0\0\x01" + body
    assert health_answer(SETTINGS + HEADERS + frame) == Health(True, "SERVING")


def frames(request: bytes) -> list[tuple[int, int, bytes]]:
    rest, found = request.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []
    while rest:
        length = int.from_bytes(rest[:3], "big")
        found.append((rest[3], rest[4], rest[9 : 9 + length]))
        rest = rest[9 + length :]
    return found


def test_a_request_is_three_frames_with_one_message() -> None:
    settings, headers, message = frames(health_request("a.example.com", "shop.Orders"))
    assert settings == (4, 0, b"")
    # POST, http, and literals: their names by the static table, their values by length.
    path = b"/grpc.health.v1.Health/Check"
    fields = b"\x83\x86\x01\x0da.example.com\x04" + bytes([len(path)]) + path
    assert headers == (1, 4, fields + b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers")
    assert message == (0, 1, b"\0\0\0\0\x0d\x0a\x0bshop.Orders")
    assert frames(health_request("a.example.com", ""))[2] == (0, 1, b"\0\0\0\0\0")


def test_lengths_beyond_seven_bits_take_more_bytes() -> None:
    _settings, (_kind, _flags, fields), (_zero, _end, message) = frames(health_request("a" * 259, "b" * 200))
    # 259 is 127 and 132, which is 4 and one more of 128.
    assert fields.startswith(b"\x83\x86\x01\x7f\x84\x01" + b"a" * 259)
    assert message == b"\0\0\0\0\xcb\x0a\xc8\x01" + b"b" * 200
