# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call of somebody else's module that ends in time.

PRIVATE to the collection. kubernetes.core waits for an API server without end, and has no option for it. What Ansible
has, C(timeout) of a task, leaves the module's process behind, and says nothing of the cause.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["in_time"]

_LATE = MappingProxyType({"failed": True, "late": True})
# Seconds from one look for processes to the next, once the time is over.
_AGAIN = 0.1


def in_time(seconds: float, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a call, which runs in processes that it starts; where it takes longer, a failure that says C(late).

    Then those processes are ended, and whatever it starts from then on, until it returns. Where the operating system
    does not tell which they are (no /proc), it has no limit.

    :param seconds: none are left where it is not positive.
    """
    if seconds <= 0:
        return dict(_LATE)
    ended, returned, others = threading.Event(), threading.Event(), frozenset(_children(os.getpid()))

    def end() -> None:
        started = [child for child in _children(os.getpid()) if child not in others]
        if started:
            ended.set()
        for process in [found for child in started for found in (*_descendants(child), child)]:
            # One that has ended is nobody's any more.
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def watch() -> None:
        left = seconds
        while not returned.wait(left):
            end()
            left = _AGAIN

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        result = call()
    finally:
        returned.set()
        # What is started after the call is not its own.
        watcher.join()
    return dict(_LATE) if ended.is_set() else result


def _descendants(parent: int) -> Iterator[int]:
    for child in _children(parent):
        yield from _descendants(child)
        yield child


def _children(parent: int) -> Iterator[int]:
    """See proc_pid_task(5); the kernel notes each child with the thread that has started it."""
    with suppress(OSError):
        for found in Path(f"/proc/{parent}/task").glob("*/children"):
            yield from map(int, found.read_text(encoding="ascii").split())
