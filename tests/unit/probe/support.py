# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probes' tests share: links with probes, and servers on loopback that say something first, or answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, Probe
from tests.unit.support import CLIENT, link, view

FROM = {"namespace": "shop", "selector": {"app": "web"}}
# A greeting as MariaDB sends it: length, number, version 10 of the protocol, the server's own, and what follows.
GREETING = b"\x4a\x00\x00\x00\x0a11.4.2-MariaDB\x00\x07\x00\x00\x00salt"


def probed_link(kind: str = "mysql", *, protocol: str = "tcp", **changes: Any) -> tuple[ClientLink, Probe]:
    """A link as its client has it; keys of the link in capitals, those of the probe as they are."""
    of_link = {key.lower(): value for key, value in changes.items() if key.isupper()}
    of_probe = {key: value for key, value in changes.items() if not key.isupper()}
    given = link(protocol=protocol, probe={"type": kind, "from": FROM, **of_probe}, **of_link)
    (found,) = view([given], CLIENT)["client"]["links"]
    assert found["probe"] is not None
    return found, found["probe"]


@contextmanager
def server(says: bytes = b"", *, answers: bytes = b"", closes: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and what it was sent; it waits for a first word only where it has an answer to it."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                way, _address = listener.accept()
            except OSError:
                return
            way.sendall(says)
            if answers:
                heard.append(_request(way))
                way.sendall(answers)
            if closes:
                way.close()
            held.append(way)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        # A thread in accept() does not see that its socket was closed.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for way in held:
            way.close()


def _request(way: socket.socket) -> bytes:
    """All that comes at once: a shell's printf writes line by line."""
    found = way.recv(65536)
    way.settimeout(0.2)
    try:
        while part := way.recv(65536):
            found += part
    except TimeoutError:
        pass
    way.settimeout(None)
    return found
