# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of one command in a pod.

PRIVATE to the collection. A websocket of which each message belongs to a channel, which its first byte names
(L(v4.channel.k8s.io,https://kubernetes.io/docs/reference/using-api/api-concepts/)). The C(kubernetes) package's own
client reads for as long as the other end writes, follows redirects with the credential, and reads certificate and key
anew for each command.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.bounded import BoundedSocket

# What is missing is told by the action, before anything of this is used.
with suppress(ImportError):
    from websocket import ABNF, WebSocket, WebSocketConnectionClosedException, WebSocketTimeoutException

__all__ = ["ERRORS", "OUTCOME", "OUTPUT", "Session"]

# Channels of the protocol.
OUTPUT, ERRORS, OUTCOME = 1, 2, 3
PROTOCOL = "v4.channel.k8s.io"


class Session:
    """A command that runs, and what it has written so far.

    :param found: connected to the API server; closed with the session.
    :param url: of the request, with http or https.
    :param credential: its headers.
    :param size: bytes that the API server may send, all in all.
    :raises WebSocketException: of the package websocket-client: it does not let us, in time.
    """

    def __init__(self, found: BoundedSocket, url: str, credential: Mapping[str, str], size: int) -> None:
        found.take(size)
        self._socket = found
        self._held: dict[int, list[str]] = {}
        self._open = True
        self._websocket = WebSocket(skip_utf8_validation=True)
        # "http" becomes "ws", and "https" becomes "wss".
        self._websocket.connect(  # type: ignore[no-untyped-call]
            f"ws{url.removeprefix('http')}",
            socket=found,
            header=[f"{name}: {value}" for name, value in credential.items()],
            subprotocols=[PROTOCOL],
            # Elsewhere the credential has no place.
            redirect_limit=0,
        )

    def is_open(self) -> bool:
        """Whether more may come."""
        return self._open

    def update(self, timeout: float) -> None:
        """Take the next message, or none where it is not there in time.

        :param timeout: seconds.
        """
        self._socket.settimeout(timeout)
        try:
            code, frame = self._websocket.recv_data_frame(control_frame=True)
        except WebSocketTimeoutException:
            return
        except WebSocketConnectionClosedException:
            self._open = False
            return
        if code == ABNF.OPCODE_CLOSE:
            self._open = False
        elif code in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
            data: bytes = frame.data
            self._held.setdefault(data[0], []).append(data[1:].decode("utf-8", "replace"))

    def read_channel(self, channel: int) -> str:
        """What a channel has brought since it was read."""
        return "".join(self._held.pop(channel, ()))

    def close(self) -> None:
        """End it, without a word to the other end: that could keep us."""
        self._socket.close()
