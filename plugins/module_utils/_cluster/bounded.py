# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that end in time, however their other end behaves.

PRIVATE to the collection. Libraries bound each single read: who sends a byte now and then is waited for without end.
Here a time limit is the moment at which all of it has to be there.
"""

from __future__ import annotations

import io
import time
from typing import Any
from urllib.parse import urlsplit

__all__ = ["BoundedSocket", "TooMuchError", "open_socket", "with_bounded_sockets"]

# Bytes. A length that the other end names is no reason to reserve that much.
MOST_AT_ONCE = 256 * 1024


class TooMuchError(Exception):
    """The other end sent more than was to be taken."""


class BoundedSocket:
    """A socket whose time limit is for everything that is read until the next one is set.

    :param found: a connected socket, with TLS or without.
    """

    def __init__(self, found: Any) -> None:
        self._socket = found
        self._until: float | None = None
        self._left: int | None = None
        self.settimeout(found.gettimeout())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        self._socket.settimeout(seconds)

    @property
    def _io_refs(self) -> int:
        """How many files of the socket are open, as urllib3's TLS inside of TLS counts them."""
        found: int = self._socket._io_refs
        return found

    @_io_refs.setter
    def _io_refs(self, number: int) -> None:
        self._socket._io_refs = number

    def take(self, size: int) -> None:
        """Take no more than so many bytes from now on."""
        self._left = size

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.expect()
        data: bytes = self._socket.recv(min(size, MOST_AT_ONCE), flags)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise TooMuchError
        return data

    def expect(self) -> None:
        """Let the next read take as long as is left of the time limit.

        :raises TimeoutError: nothing is left.
        """
        if self._until is None:
            return
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)

    def makefile(self, mode: str = "rb", *_arguments: Any, **_options: Any) -> io.BufferedReader:
        """For whoever reads HTTP."""
        return io.BufferedReader(_Reads(self, self._socket.makefile(mode, buffering=0)), MOST_AT_ONCE)


class _Reads(io.RawIOBase):
    """What is read of a bounded socket by way of a file."""

    def __init__(self, bounded: BoundedSocket, found: io.RawIOBase) -> None:
        self._bounded, self._found = bounded, found

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._bounded.expect()
        return self._found.readinto(buffer)

    def close(self) -> None:
        self._found.close()
        super().close()


def _bounded(found: Any) -> BoundedSocket:
    """Once: what is read of one through another one waits until its buffer is full."""
    return found if isinstance(found, BoundedSocket) else BoundedSocket(found)


class _Bounded:
    """What a connection of urllib3 becomes."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = _bounded(self.sock)

    def _connect_tls_proxy(self, *arguments: Any, **options: Any) -> BoundedSocket:
        """TLS to a proxy; what is spoken inside of it, TLS again, is read by urllib3 piece by piece."""
        return BoundedSocket(super()._connect_tls_proxy(*arguments, **options))  # type: ignore[misc]

    def _tunnel(self) -> None:
        """Ask a proxy for the way to the server (CONNECT, RFC 9110 section 9.3.6)."""
        found, limit = self.sock, self.sock.gettimeout()
        self.sock = _bounded(found)
        super()._tunnel()  # type: ignore[misc]
        # TLS is spoken over the socket itself, and its handshake has the time limit anew.
        found.settimeout(limit)
        self.sock = found


def with_bounded_sockets(manager: Any) -> Any:
    """A manager of connections of urllib3, whose connections end in time."""
    manager.pool_classes_by_scheme = {
        scheme: _bounded_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


def _bounded_pool(pool: Any) -> Any:
    connection = type(pool.ConnectionCls.__name__, (_Bounded, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def open_socket(manager: Any, url: str, connect: float) -> Any:
    """Connect as a request would, through a proxy where there is one, and hand over the socket.

    :param manager: of bounded sockets.
    :param url: of the server, with http or https.
    :param connect: seconds.
    :raises OSError: or HTTPError of urllib3: there is no connection.
    """
    pool, server = manager.connection_from_url(url), urlsplit(url)
    connection = pool._new_conn()
    connection.timeout = connect
    if pool.proxy and server.scheme == "https":
        pool._prepare_proxy(connection)
        return connection.sock
    if pool.proxy:
        # A command in a pod is no request that a proxy could forward.
        connection.set_tunnel(server.hostname, server.port or 80, headers=pool.proxy_headers)
    connection.connect()
    return connection.sock
