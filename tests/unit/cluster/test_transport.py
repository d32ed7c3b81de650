# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection failed, in words that hold nothing of what was sent or answered."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import cast

import pytest
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from websocket import WebSocketProxyException

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.transport import causes, reason_of

HERE = cast(HTTPConnection, "HTTPConnection(host='b.example', port=6443)")
NO_NAME = socket.gaierror(-2, "Name or service not known")


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectTimeoutError("SECRET"), "Connection timed out"),
        (ReadTimeoutError(cast(ConnectionPool, None), "", "SECRET"), "Read timed out"),
        (raised_from(NameResolutionError("b", HERE, NO_NAME), NO_NAME), "new connection: [Errno -2] Name or service"),
        (
            ProxyError(
                "SECRET", raised_from(NewConnectionError(HERE, "SECRET"), OSError(errno.ECONNREFUSED, "SECRET"))
            ),
            "Unable to connect to proxy: Failed to establish a new connection: [Errno 111] Connection refused",
        ),
        (ProtocolError("SECRET", ConnectionResetError(errno.ECONNRESET, "SECRET")), "Connection reset by peer"),
        (SSLError(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] SECRET")), "TLS"),
        (LocationParseError("SECRET"), "LocationParseError"),
        (WebSocketProxyException("failed CONNECT via proxy: SECRET"), "WebSocketProxyException"),
        (ValueError("Invalid header value b'Bearer SECRET'"), "ValueError"),
    ],
)
def test_a_reason_quotes_nothing(error: Exception, words: str) -> None:
    found = reason_of(error)
    assert words in found
    assert "SECRET" not in found
    assert "\n" not in found


def test_errors_that_lead_to_each_other_have_an_end() -> None:
    first, second = ValueError("x"), OSError("y")
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]
