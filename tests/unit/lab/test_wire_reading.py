# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a connection is TLS, and by which name, is told from its first bytes."""

from __future__ import annotations

import ssl

import pytest

from tests.wire.reading import Connection, server_name


def hello(name: str | None) -> bytes:
    """What a client of OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


def test_a_handshake_tells_the_name_that_is_asked_for() -> None:
    sent = hello("db.server.example.com")
    assert server_name(sent) == "db.server.example.com"
    assert Connection(13306, sent).tls
    assert server_name(hello(None)) == ""


@pytest.mark.parametrize(
    ("sent", "tls"),
    [(b"GET / HTTP/1.1\r\n", False), (b"\x16\x03", True), (b"\x17\x03\x03\0\x05bytes", True), (b"", False)],
)
def test_what_is_no_whole_handshake_has_no_name(sent: bytes, tls: bool) -> None:
    assert server_name(sent) == ""
    assert Connection(13306, sent).tls is tls


def test_a_handshake_that_is_cut_off_anywhere_is_no_error() -> None:
    sent = hello("db.server.example.com")
    assert {server_name(sent[:length]) for length in range(len(sent))} <= {
        "",
        *("db.server.example.com"[:length] for length in range(22)),
    }
