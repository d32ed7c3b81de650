# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that sends what it likes, as slowly as it likes: bytes on a socket, without a library in between."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from tests.unit.support import Json

OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Wire:
    """One connection, seen from the server.

    :param stopped: set once the test is over.
    """

    peer: socket.socket
    stopped: threading.Event

    def request(self) -> bytes:
        """The request that came, up to the end of its headers; empty where the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.peer.recv(65536)
            if not piece:
                return b""
            data += piece
        return data

    def send(self, data: bytes) -> None:
        self.peer.sendall(data)

    def drip(self, data: bytes, pause: float = 0.01) -> None:
        """Send byte by byte."""
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.stopped.wait(pause):
                return

    def answer(self, body: bytes, *headers: bytes) -> None:
        lines = [b"Content-Length: %d" % len(body), *headers]
        self.send(OK + b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def upgrade(self, request: bytes) -> None:
        """Agree to a websocket (RFC 6455 section 4.2.2)."""
        self.send(self.agreement(request))

    @staticmethod
    def agreement(request: bytes) -> bytes:
        found = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
        assert found
        accept = base64.b64encode(hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )


def message(channel: int, data: bytes) -> bytes:
    """A message of a command's connection (RFC 6455 section 5.2)."""
    body = bytes([channel]) + data
    head = bytes([len(body)]) if len(body) < 126 else bytes([126]) + struct.pack(">H", len(body))
    return b"\x82" + head + body


END = message(3, b'{"status":"Success"}') + b"\x88\x00"


@dataclass
class Server:
    port: int
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def serving(
    behave: Callable[[Wire, bytes], None], tls: ssl.SSLContext | None = None, *, greets: bool = False
) -> Iterator[Server]:
    """A server that treats each request in this way.

    :param behave: is given the connection and the request.
    :param greets: it begins without one.
    """
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server, threads = Server(listener.getsockname()[1]), list[threading.Thread]()
        peers = list[socket.socket]()

        def talk(peer: socket.socket) -> None:
            # Who is left in the middle of a word has nothing to say of it.
            with peer, suppress(OSError):
                wire = Wire(tls.wrap_socket(peer, server_side=True) if tls else peer, stopped)
                while not stopped.is_set() and (request := b"-" if greets else wire.request()):
                    server.requests.append(request)
                    behave(wire, request)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    peer, _address = listener.accept()
                    peer.settimeout(5)
                    peers.append(peer)
                    threads.append(threading.Thread(target=talk, args=(peer,)))
                    threads[-1].start()

        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield server
        finally:
            stopped.set()
            for found in (listener, *peers):
                with suppress(OSError):
                    found.shutdown(socket.SHUT_RDWR)
            for thread in list(threads):
                thread.join()


def api_at(folder: Path, server: Server, settings: Json | None = None, **limits: float) -> Api:
    """Our client, with limits that a test can wait for.

    :param settings: of the cluster in the kubeconfig, where it is reached by TLS.
    """
    path = folder / f"kubeconfig-{server.port}"
    scheme = "http" if settings is None else "https"
    content = {
        "current-context": "cluster-b",
        "clusters": [{"name": "c", "cluster": {"server": f"{scheme}://127.0.0.1:{server.port}", **(settings or {})}}],
        "users": [{"name": "u", "user": {"token": "a-token"}}],
        "contexts": [{"name": "cluster-b", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    size = int(limits.pop("size", Limits.size))
    return Api(connection_of(str(path), "", {}, Path("/")), Limits(size=size, **limits))
