# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies without an Envoy: streams to istiod that say who they are, so that its debug pages tell what they would get.

istiod speaks gRPC. What is needed of it is one request a stream and an open connection, so this is HTTP/2 with prior
knowledge and no library: frames that istiod sends are counted, not read.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK, _END_HEADERS = 1, 4
_LARGEST_WINDOW = 2**31 - 1
TYPES = {
    "CDS": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "LDS": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "RDS": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

Value = str | Mapping[str, "Value"]


@dataclass(frozen=True)
class Node:
    """Who a stream is for.

    :param gateway: whether it is a gateway's proxy, else a workload's.
    """

    name: str
    namespace: str
    address: str
    labels: Mapping[str, str]
    gateway: bool = False
    dns_capture: bool = False

    @property
    def proxy(self) -> str:
        """As istiod's debug pages call it."""
        return f"{self.name}.{self.namespace}"

    @property
    def identity(self) -> str:
        kind = "router" if self.gateway else "sidecar"
        return f"{kind}~{self.address}~{self.proxy}~{self.namespace}.svc.cluster.local"

    @property
    def metadata(self) -> dict[str, Value]:
        found: dict[str, Value] = {
            "NAME": self.name,
            "NAMESPACE": self.namespace,
            "ISTIO_VERSION": "1.31.0",
            "LABELS": dict(self.labels),
            "SERVICE_ACCOUNT": self.name,
            "MESH_ID": "cluster.local",
            "INTERCEPTION_MODE": "REDIRECT",
        }
        return {**found, "DNS_CAPTURE": "true"} if self.dns_capture else found


class Connection:
    """Streams of many nodes over one connection, open until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=30)
        self._authority = f"{host}:{port}"
        self._next = 1
        self._lock = threading.Lock()
        window = struct.pack(">HI", 4, _LARGEST_WINDOW)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, window))
        self._socket.sendall(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - 65535)))
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def open(self, node: Node, routes: Iterable[str] = ()) -> None:
        """Subscribe a node to everything; to clusters last, so that who has them has the rest."""
        routes = list(routes)
        requests = [_request(node, "LDS"), *([_request(None, "RDS", routes)] if routes else []), _request(None, "CDS")]
        with self._lock:
            stream, self._next = self._next, self._next + 2
            out = _frame(_HEADERS, _END_HEADERS, stream, self._headers())
            for message in requests:
                out += _frame(_DATA, 0, stream, b"\0" + struct.pack(">I", len(message)) + message)
            self._socket.sendall(out)

    def _headers(self) -> bytes:
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": _PATH,
            ":authority": self._authority,
            "content-type": "application/grpc",
            "te": "trailers",
        }
        # Literals that are not indexed, so that neither side keeps a table.
        return b"".join(b"\0" + _literal(name) + _literal(value) for name, value in fields.items())

    def _read(self) -> None:
        """Answer what has to be answered until the connection ends."""
        taken = 0
        try:
            while header := self._exactly(9):
                length, kind, flags = int.from_bytes(header[:3], "big"), header[3], header[4]
                body = self._exactly(length)
                if kind == _DATA:
                    taken += length
                    stream = int.from_bytes(header[5:], "big")
                    self._send(_frame(_WINDOW_UPDATE, 0, stream, struct.pack(">I", length)) if length else b"")
                    if taken > 2**24:
                        self._send(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", taken)))
                        taken = 0
                elif kind == _SETTINGS and not flags & _ACK:
                    self._send(_frame(_SETTINGS, _ACK, 0, b""))
                elif kind == _PING and not flags & _ACK:
                    self._send(_frame(_PING, _ACK, 0, body))
        except OSError:
            return

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(data)

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            part = self._socket.recv(count - len(found))
            if not part:
                return b""
            found += part
        return found

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._reader.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def _literal(text: str) -> bytes:
    """A string of HPACK, not compressed; shorter than 127 bytes each."""
    data = text.encode()
    return bytes([len(data)]) + data


# -- protocol buffers, as far as a DiscoveryRequest needs them ------------------------------------------------------


def _request(node: Node | None, kind: str, names: Iterable[str] = ()) -> bytes:
    own = _field(2, _field(1, node.identity.encode()) + _field(3, _struct(node.metadata))) if node else b""
    return own + b"".join(_field(3, name.encode()) for name in names) + _field(4, TYPES[kind].encode())


def _struct(values: Mapping[str, Value]) -> bytes:
    return b"".join(_field(1, _field(1, key.encode()) + _field(2, _value(value))) for key, value in values.items())


def _value(value: Value) -> bytes:
    return _field(3, value.encode()) if isinstance(value, str) else _field(5, _struct(value))


def _field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
