# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that only their owner may read, put in place as a whole or not at all.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = [
    "STORE",
    "TEMPORARY",
    "open_own",
    "read_private",
    "refuse_exposed",
    "refuse_linked",
    "refuse_open",
    "refuse_unwritable",
    "reported",
    "sync_folder",
    "write_whole",
]

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


def refuse_exposed(folder: Path) -> None:
    """Stop where others than the owner may read or write a folder, or could put another one in its place."""
    refuse_open(folder)
    _refuse_stranger(folder, folder.stat())
    # By the way it is called, and by the way it lies once links are followed.
    for place in dict.fromkeys([*Path(os.path.abspath(folder)).parents, *folder.resolve().parents]):
        _refuse_shared(place, place.lstat())


def refuse_linked(folder: Path) -> None:
    """Stop where a link lies in the place of a folder: a writer would remove what is there, as leftovers of its own."""
    if not folder.is_symlink():
        return
    raise CrossmeshError(
        Message.error(
            "not-a-file",
            where=str(folder),
            what=f"it is a symbolic link, where a folder of {STORE} belongs",
            fix="find out who put it there, then remove it, or restore the folder from a backup",
        )
    )


def _refuse_shared(place: Path, found: os.stat_result) -> None:
    # Owner and group do not count: in a container they are those of the machine or of a volume, and a team shares one.
    if stat.S_ISLNK(found.st_mode) or found.st_mode & stat.S_ISVTX or not found.st_mode & stat.S_IWOTH:
        return
    raise CrossmeshError(
        Message.error(
            "folder-open-to-others",
            where=str(place),
            what=f"everybody may write to a folder above {STORE}, and put another store in its place",
            fix=f"chmod o-w {place}, or set custom_ca_dir to a folder below none that everybody may write to",
        )
    )


def _refuse_stranger(path: Path, found: os.stat_result) -> None:
    if found.st_uid in (0, os.geteuid()):
        return
    raise CrossmeshError(
        Message.error(
            "owned-by-another",
            where=str(path),
            what=f"it belongs to user {found.st_uid}, who could change {STORE}",
            fix="find out who put it there; then run as that user, or restore it from a backup with its owner",
        )
    )


def read_private(path: Path) -> bytes:
    """Read a file that nobody but its owner, or the superuser, could have put there.

    :raises FileNotFoundError: there is none.
    :raises CrossmeshError: it is a link, a pipe or anything else than a file, or it belongs to somebody else.
    """
    # A pipe would be waited for without end.
    with open(open_own(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        return file.read()


def open_own(path: Path, flags: int) -> int:
    """Open a file by itself: no link is followed, and it is ours."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise CrossmeshError(_no_file(path)) from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CrossmeshError(_no_file(path))
        _refuse_stranger(path, found)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _no_file(path: Path) -> Message:
    return Message.error(
        "not-a-file",
        where=str(path),
        what="it is a symbolic link, a pipe or a folder, where a file belongs",
        fix="find out who put it there, then remove it, or restore the file from a backup",
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
