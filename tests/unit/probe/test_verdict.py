# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a call broke, by what came back: the first thing in its order, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import Answer
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.verdict import fault_of, greeting
from tests.unit.probe.support import GREETING, probed_link
from tests.unit.probe.test_http2 import status as health

SEEN = "asked in pod shop/web-0"
OPEN = {"tool": "python3", "names": frozenset({"198.18.2.10"}), "port": "open", "end": "open"}
HTTP_503 = b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\n\r\nno healthy upstream"


def told(answer: dict[str, Any], kind: str = "mysql", **changes: Any) -> str:
    """The message of the fault; empty where there is none."""
    found = fault_of(*probed_link(kind, **changes), Answer(**{**OPEN, **answer}), SEEN)
    return str(found.message()) if found else ""


HTTP = {"kind": "http", "protocol": "http"}
GRPC = {"kind": "grpc", "protocol": "grpc"}
BANNER = {"kind": "tcp", "banner": "SSH-2.0"}


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({"data": GREETING}, {}),
        ({"data": GREETING, "names": None, "port": "", "tool": "nc"}, {}),
        ({}, {"kind": "tcp"}),
        # A server that speaks first and then ends the connection has answered.
        ({"data": b"bye", "end": "closed"}, {"kind": "tcp"}),
        ({"data": b"x SSH-2.0-OpenSSH", "end": "closed"}, BANNER),
        ({"data": b"HTTP/1.1 204 No Content\r\n\r\n", "end": "closed"}, HTTP),
        ({"data": b"HTTP/1.0 399 x\r\n\r\n"}, HTTP),
        ({"data": HTTP_503}, {**HTTP, "status": "503"}),
        ({"status": 200, "tool": "curl"}, HTTP),
        ({"data": health(1)}, GRPC),
        # By its virtual address, and where a link has none by any.
        ({"data": GREETING, "names": frozenset({"240.0.0.10"})}, {"ADDRESSES": ["240.0.0.10"]}),
        # One address of several is of use.
        ({"data": GREETING, "names": frozenset({"127.0.0.1", "198.18.2.10"})}, {}),
        # Requests are told apart by their host.
        ({"data": b"HTTP/1.1 200 OK\r\n\r\n"}, {**HTTP, "ADDRESSES": ["240.0.0.10"]}),
    ],
)
def test_an_answer_that_is_as_it_should_be(answer: dict[str, Any], asked: dict[str, Any]) -> None:
    assert told(answer, **asked) == ""


@pytest.mark.parametrize(
    ("answer", "asked", "place", "found", "code"),
    [
        ({"names": frozenset({"127.0.0.1"})}, {}, "name", "found 127.0.0.1", "name-elsewhere"),
        ({"names": frozenset({"::1", "127.0.0.1"})}, HTTP, "name", "not the pod's own", "name-elsewhere"),
        ({"names": frozenset()}, {}, "name", "found no address", "name-unknown"),
        ({"names": frozenset()}, {"ADDRESSES": ["240.0.0.10"]}, "name", "240.0.0.10; found no", "name-unknown"),
        # Whatever came back: it came from somewhere else.
        ({"data": GREETING}, {"ADDRESSES": ["240.0.0.10"]}, "name", "found 198.18.2.10", "name-elsewhere"),
        ({"port": "closed"}, {}, "hop 1", "found the connection was refused", "port-closed"),
        ({"port": "late"}, HTTP, "hop 1", "found no connection in time", "port-closed"),
        ({"end": "closed"}, {}, "answer", "closed without an answer", "no-answer"),
        ({}, {}, "answer", "found silence for 12 s, on a connection that stayed open", "no-answer"),
        ({"tool": "curl", "end": ""}, HTTP, "answer", "found no answer", "no-answer"),
        (
            {"end": "closed"},
            {"kind": "tcp"},
            "answer",
            "wanted a connection that stays open for 12 s; found",
            "no-answer",
        ),
        ({"end": "closed"}, BANNER, "answer", "closed without", "no-answer"),
        ({"data": b"\x1b[1m220 mail"}, BANNER, "answer", r"found '\x1b[1m220 mail'", "wrong-answer"),
        ({"data": HTTP_503}, HTTP, "answer", "found status 503", "wrong-answer"),
        (
            {"data": b"HTTP/1.1 200 OK\r\n\r\n"},
            {**HTTP, "status": "204"},
            "answer",
            "status 204; found status 200",
            "wrong-answer",
        ),
        ({"status": 502}, HTTP, "answer", "status 200 to 399; found status 502", "wrong-answer"),
        ({"data": b"SSH-2.0-x"}, HTTP, "answer", "found 9 bytes that are no HTTP", "wrong-answer"),
        ({"data": health(2)}, GRPC, "answer", "found NOT_SERVING", "wrong-answer"),
        ({"data": health(3)}, {**GRPC, "service": "a.B"}, "answer", "for a.B; found SERVICE_UNKNOWN", "wrong-answer"),
        ({"data": b"HTTP/1.1 400 x"}, GRPC, "answer", "found no HTTP/2: 'HTTP/1.1 400 x'", "wrong-answer"),
        ({"end": "closed"}, GRPC, "answer", "closed without", "no-answer"),
        (
            {"data": b"\x17\x00\x00\x00\xff\x10\x04Too many connections"},
            {},
            "answer",
            "found error 1040 of MySQL: 'Too many connections'",
            "wrong-answer",
        ),
        ({"data": b"HTTP/1.1 400 Bad Request"}, {}, "answer", "found 'HTTP/1.1 400 Bad Request'", "wrong-answer"),
    ],
)
def test_the_first_thing_that_is_wrong_is_told_with_its_place(
    answer: dict[str, Any], asked: dict[str, Any], place: str, found: str, code: str
) -> None:
    message = told(answer, **asked)
    assert message.startswith(f"link mysql, {place}, {SEEN}: wanted ")
    assert found in message
    assert "Fix: " in message
    assert message.endswith(f"[{code}]")


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (GREETING, "11.4.2-MariaDB"),
        (b"\x4a\x00\x00\x00\x0a8.4.0\x00", "8.4.0"),
        (b"\x4a\x00\x00\x00\x0a8.4.0", ""),
        (b"\x4a\x00\x00\x00\x098.4.0\x00", ""),
        (b"\x4a\x00\x00\x01\x0a8.4.0\x00", ""),
        (b"\x4a\x00\x00\x00\x0a\x00", ""),
        (b"\x4a\x00\x00\x00\x0a\xff\x00", ""),
        (b"", ""),
    ],
)
def test_a_greeting_is_version_10_of_the_protocol_with_a_server_version(data: bytes, version: str) -> None:
    assert greeting(data) == version
