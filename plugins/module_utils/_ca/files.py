# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that only their owner may read, put in place as a whole or not at all.

PRIVATE to the collection.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["TEMPORARY", "locked", "refuse_open", "reported", "sync_folder", "write_whole"]

# What a killed process may leave of a file, with a random number for the asterisk.
TEMPORARY = ".crossmesh-*.tmp"
STORE = "the CA store"


def refuse_open(path: Path, what: str = STORE) -> None:
    """Stop where others than the owner may read or write.

    :param what: the subject of the message.
    """
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return
    private = 0o700 if path.is_dir() else 0o600
    raise CrossmeshError(
        Message.error(
            "open-to-others",
            where=str(path),
            what=f"{what} is open to other users: its mode is {mode:04o}",
            fix=f"find out who could read it, then: chmod {private:04o} {path}",
        )
    )


def refuse_unwritable(path: Path) -> None:
    """Stop where nothing could be written at a path, or at the folder in which it would have to be made."""
    folder = next(place for place in (path, *path.parents) if place.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return
    reason = f"{folder} is {'not writable for this user' if folder.is_dir() else 'not a folder'}"
    raise CrossmeshError(_file_error(str(path), f"the CA store cannot be written: {reason}"))


def _file_error(where: str, what: str) -> Message:
    fix = "check the folder's file system, owner and permissions, then run again"
    return Message.error("file-error", where=where, what=what, fix=fix)


@contextmanager
def reported(path: Path, verb: str, what: str = STORE) -> Iterator[None]:
    """Turn what the operating system refuses into the one error type.

    :param what: the subject of the message.
    """
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a file in it is not text"
        name = error.filename if isinstance(error, OSError) else None
        raise CrossmeshError(_file_error(str(name or path), f"{what} cannot be {verb}: {reason}")) from error


@contextmanager
def locked(path: Path, make_folder: Callable[[], object]) -> Iterator[None]:
    """Hold a lock file: one writer at a time; the kernel lets go when the process ends, however it ends.

    A file, as some file systems lock no directory.

    :param make_folder: makes the folder of the file where it is missing.
    """
    descriptor = _lock(path, make_folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, make_folder: Callable[[], object]) -> int:
    while True:
        make_folder()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another holder may have removed the file while this call waited for it: that lock keeps nobody out.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def write_whole(path: Path, text: str, *, durable: bool = True) -> None:
    """Put a file in place as a whole, or not at all.

    :param durable: it outlasts a power cut once this returns; else only once its folder is synced.
    """
    temporary = path.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
