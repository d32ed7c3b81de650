# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One writer at a time, and no wait without end: who holds the lock is told to those who give up.

PRIVATE to the collection.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.files import STORE, open_own
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = ["PATIENCE", "locked"]

# Seconds; as long as for one answer of an API server.
PATIENCE = 60.0
# Seconds between two attempts: the kernel has no wait with a time limit that a thread could use.
PAUSE = 0.01
# Bytes of what a holder says of itself; who can write to the folder could say more.
LONGEST = 1024


@contextmanager
def locked(
    path: Path, make_folder: Callable[[], object], *, patience: float = PATIENCE, what: str = STORE
) -> Iterator[None]:
    """Hold a lock file: one writer at a time; the kernel lets go when the process ends, however it ends.

    A file, as some file systems lock no directory.

    :param make_folder: makes the folder of the file where it is missing.
    :param patience: seconds to wait for another holder.
    :param what: the subject of the message.
    :raises CrossmeshError: another holder did not let go in time.
    """
    descriptor = _lock(path, make_folder, patience, what)
    try:
        _leave_word(descriptor, _word())
        yield
    finally:
        _leave_word(descriptor, b"")
        os.close(descriptor)


def _lock(path: Path, make_folder: Callable[[], object], patience: float, what: str) -> int:
    until = time.monotonic() + patience
    while True:
        make_folder()
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK)
        try:
            if _is_free(descriptor) and _is_in_place(descriptor, path):
                return descriptor
            if time.monotonic() > until:
                raise CrossmeshError(_held(path, patience, what, _holder(descriptor)))
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(PAUSE)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_in_place(descriptor: int, path: Path) -> bool:
    """Another holder may have removed the file meanwhile: that lock keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _word() -> bytes:
    word = {"pid": os.getpid(), "host": socket.gethostname(), "since": timestamp(datetime.now(UTC))}
    return json.dumps(word).encode()


def _leave_word(descriptor: int, word: bytes) -> None:
    """For those who wait; a disk that has no room for it keeps nobody from his work."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, word, 0)


def _holder(descriptor: int) -> str:
    """What the holder has left, if it is that: anybody who can write to the folder may have written it."""
    with suppress(OSError, ValueError):
        word = parse_json(os.pread(descriptor, LONGEST, 0))
        if isinstance(word, dict) and word.keys() >= {"pid", "host", "since"}:
            return f"process {word['pid']} on {word['host']}, since {word['since']}"
    return "a process that has left no word"


def _held(path: Path, patience: float, what: str, holder: str) -> Message:
    return Message.error(
        "lock-held",
        where=str(path),
        what=f"{what} was held by another writer for {patience:g} s: {holder}",
        fix="wait until that run has ended, then run again; if it hangs, end that process: its lock goes with it. "
        "mesh_api_timeout sets how long to wait",
    )
