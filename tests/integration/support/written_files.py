# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file that is written while something runs, read the moment it is closed: a short life does not hide it."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# fanotify(7): an event brings the file itself, open, even if its name is gone already.
_CLASS_NOTIFY, _CLOEXEC, _NONBLOCK = 0x0, 0x1, 0x2
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_CLOSE_WRITE = 0x8
_HERE = -100
_EVENT = struct.Struct("=IBBHQii")


@dataclass
class Watch:
    """What was written, by path."""

    _contents: dict[str, list[bytes]] = field(default_factory=dict)

    def keep(self, path: str, content: bytes) -> None:
        """A log is closed as often as a process ends that has it open: what only grew counts once."""
        kept = self._contents.setdefault(path, [])
        if kept and content.startswith(kept[-1]):
            kept[-1] = content
        else:
            kept.append(content)

    @property
    def files(self) -> dict[str, bytes]:
        """A path that was written more than once has all its contents, one after the other."""
        return {path: b"".join(contents) for path, contents in self._contents.items()}


@dataclass(frozen=True)
class Scope:
    """What belongs to the thing that is watched.

    :param variable: an assignment in the environment that all its processes inherit; files of processes that are known
        not to have it are not kept. One that is gone before it can be asked counts as its own.
    :param leaving_out: folders whose files are not kept.
    """

    variable: str
    leaving_out: tuple[Path, ...]

    def holds(self, path: str, pid: int) -> bool:
        return not path.startswith(tuple(f"{folder}/" for folder in self.leaving_out)) and self._knows(pid)

    def _knows(self, pid: int) -> bool:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return True
        return not environment or self.variable.encode() in environment.split(b"\0")


@contextmanager
def watch_written_files(folders: Collection[Path], scope: Scope) -> Iterator[Watch]:
    """Watch the file systems of these folders, all of each."""
    watch, ended = Watch(), threading.Event()
    descriptor = _marked({folder.stat().st_dev: folder for folder in folders}.values())
    reader = threading.Thread(target=_read, args=(descriptor, watch, scope, ended))
    reader.start()
    try:
        yield watch
    finally:
        ended.set()
        reader.join()
        os.close(descriptor)


def _marked(folders: Collection[Path]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.fanotify_init(_CLASS_NOTIFY | _CLOEXEC | _NONBLOCK, os.O_RDONLY | os.O_CLOEXEC)
    _check(descriptor)
    for folder in folders:
        mask = ctypes.c_uint64(_CLOSE_WRITE)
        _check(libc.fanotify_mark(descriptor, _MARK_ADD | _MARK_FILESYSTEM, mask, _HERE, os.fsencode(folder)))
    return descriptor


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"fanotify: {os.strerror(ctypes.get_errno())}")


def _read(descriptor: int, watch: Watch, scope: Scope, ended: threading.Event) -> None:
    while True:
        # Asked before the look, so that the last look comes after the end.
        last = ended.is_set()
        while select.select([descriptor], [], [], 0)[0]:
            for file, pid in _events(os.read(descriptor, 65536)):
                _keep(file, pid, watch, scope)
        if last:
            return
        select.select([descriptor], [], [], 0.05)


def _events(buffer: bytes) -> Iterator[tuple[int, int]]:
    while buffer:
        length, _version, _reserved, _metadata, _mask, file, pid = _EVENT.unpack_from(buffer)
        assert file >= 0, "the queue of events ran over: some files were not seen"
        yield file, pid
        buffer = buffer[length:]


def _keep(file: int, pid: int, watch: Watch, scope: Scope) -> None:
    try:
        path = os.readlink(f"/proc/self/fd/{file}").removesuffix(" (deleted)")
        if scope.holds(path, pid):
            watch.keep(path, os.pread(file, os.fstat(file).st_size, 0))
    finally:
        os.close(file)
