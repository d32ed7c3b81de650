# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection did not come about, or broke: in words of ours.

PRIVATE to the collection. Libraries quote what they were given: headers with their token, proxies with their password,
the beginning of an answer. What is told of an error is its type, and what the operating system or OpenSSL says.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

# What is missing is told by the action, before anything of this is used.
with suppress(ImportError):
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, ReadTimeoutError

__all__ = ["causes", "reason_of"]


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what is inside of it, to the bottom."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        held = (getattr(inner, "reason", None), *inner.args, inner.__cause__, inner.__context__)
        inner = next((item for item in held if isinstance(item, BaseException)), None)


def reason_of(error: BaseException) -> str:
    """In one line, without a word of what was sent or answered."""
    chain = list(causes(error))
    told = [_of_urllib3(item) for item in chain]
    last = next((words for item in reversed(chain) if (words := _of_the_system(item))), "")
    return ": ".join(dict.fromkeys(filter(None, [*told, last]))) or type(error).__name__


def _of_urllib3(error: BaseException) -> str:
    # In this order: the second is a kind of the third.
    kinds = {
        ProxyError: "Unable to connect to proxy",
        NewConnectionError: "Failed to establish a new connection",
        ConnectTimeoutError: "Connection timed out",
        ReadTimeoutError: "Read timed out",
    }
    return next((words for kind, words in kinds.items() if isinstance(error, kind)), "")


def _of_the_system(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        # Python sets it only where OpenSSL gave a reason.
        return f"TLS: {reason}" if (reason := getattr(error, "reason", None)) else "TLS failed"
    if isinstance(error, socket.gaierror):
        return f"[Errno {error.errno}] {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    # Python's own has no number.
    return "timed out" if isinstance(error, TimeoutError) else ""
