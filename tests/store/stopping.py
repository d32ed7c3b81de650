# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a process at the n-th operation on files below a folder: kill it, or let the operation fail.

Operations are what Python tells its audit hooks (PEP 578) of files, so that whatever a store comes to do is among them;
and writing and syncing, of which it does not tell.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError

__all__ = ["FAULTS", "KILLED", "Fault", "Outcome", "stopped"]

# By path, or by descriptor.
NAMED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.scandir", "os.listdir", "os.link"}
BY_DESCRIPTOR = {"fcntl.flock", "os.truncate"}
# Seconds after which a process counts as one that hangs.
PATIENCE = 60
_DONE, _DONE_ALL_THE_SAME, _REFUSED, _OTHER = 0, 4, 3, 1


@dataclass(frozen=True)
class Fault:
    """:param number: of the error (errno); 0 kills.
    :param lasting: every later operation fails as well.
    """

    name: str
    number: int
    lasting: bool = True


KILLED = Fault("killed", 0)
FAULTS = (
    KILLED,
    Fault("disk full", errno.ENOSPC),
    Fault("disk full once", errno.ENOSPC, lasting=False),
    Fault("I/O error", errno.EIO),
    Fault("I/O error once", errno.EIO, lasting=False),
)


@dataclass(frozen=True)
class Outcome:
    """:param reached: the operation was there; else the work was done before.
    :param fault: what went wrong beside what was meant to; empty where nothing did.
    :param refused: the work ended in errors of the collection.
    """

    reached: bool
    fault: str = ""
    refused: bool = False


def stopped(work: Callable[[], object], folder: Path, step: int, fault: Fault) -> Outcome:
    """Do the work in a process of its own, which is stopped at its n-th operation below a folder."""
    child = os.fork()
    if not child:
        _work(work, _Stepper(str(folder), step, fault))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == _DONE:
        return Outcome(reached=False)
    if status == -signal.SIGKILL and not fault.number:
        return Outcome(reached=True)
    if status in (_REFUSED, _DONE_ALL_THE_SAME) and fault.number:
        return Outcome(reached=True, refused=status == _REFUSED)
    return Outcome(reached=True, fault=f"ended with {status}")


def _work(work: Callable[[], object], stepper: _Stepper) -> None:
    status = _OTHER
    try:
        signal.alarm(PATIENCE)
        stepper.watch()
        work()
        status = _DONE_ALL_THE_SAME if stepper.met else _DONE
    except CrossmeshError:
        status = _REFUSED if stepper.met else _OTHER
    finally:
        os._exit(status)


class _Stepper:
    """Only ever in a child process: neither an audit hook nor the rest is taken back."""

    def __init__(self, folder: str, step: int, fault: Fault) -> None:
        self._folder, self._step, self._fault = folder, step, fault
        self._count = 0

    @property
    def met(self) -> bool:
        return self._count >= self._step

    def watch(self) -> None:
        sys.addaudithook(self._hook)
        for name in ("fsync", "fdatasync", "write", "pwrite"):
            setattr(os, name, self._counted(getattr(os, name)))
        really_open = builtins.open

        def opened(file: Any, mode: str = "r", *args: Any, **keywords: Any) -> Any:
            found = really_open(file, mode, *args, **keywords)
            return _Torn(found, self.count) if set(mode) & set("wax+") else found

        for module in (builtins, io):
            module.open = opened  # type: ignore[attr-defined]

    def count(self) -> None:
        self._count += 1
        if self._count == self._step and not self._fault.number:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault.number and (self._count == self._step or (self.met and self._fault.lasting)):
            raise OSError(self._fault.number, os.strerror(self._fault.number))

    def _counted(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **keywords: object) -> object:
            self.count()
            return function(*args, **keywords)

        return call

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if event in BY_DESCRIPTOR or (event in NAMED and str(args[0]).startswith(self._folder)):
            self.count()


class _Torn:
    """A file of which half is written when it comes to the operation."""

    def __init__(self, file: Any, count: Callable[[], None]) -> None:
        self._file, self._count = file, count

    def __enter__(self) -> _Torn:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: Any) -> int:
        half = len(text) // 2
        self._file.write(text[:half])
        self._file.flush()
        self._count()
        self._file.write(text[half:])
        return len(text)
