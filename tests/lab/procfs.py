# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab reads of processes."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import wait


def children(pid: int) -> list[int]:
    """Of all its threads: a Go program starts a child from whichever it happens to be on."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children_of_task(task)]
    except OSError:
        return []


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def sleeps(pid: int) -> bool:
    """Whether it waits for something to happen (proc_pid_stat(5)); what has happened already leaves it ready to run."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "S"


def memory_mib(pid: int) -> int:
    """Resident memory of a process and its children; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20 + sum(memory_mib(child) for child in children(pid))


def with_home_below(folder: Path) -> list[int]:
    """Processes that were started with a HOME in that folder."""
    mark = f"HOME={folder}/".encode()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _has(entry, mark)]


def end(find: Callable[[], list[int]], what: str) -> None:
    """Kill what `find` finds until it finds nothing more."""

    def none_left() -> bool:
        pids = find()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait.until(none_left, what=f"end of {what}", cure="see `ps` for processes that cannot be killed", timeout=20)


def _has(process: Path, mark: bytes) -> bool:
    try:
        environment = (process / "environ").read_bytes()
    except OSError:
        return False
    return any(variable.startswith(mark) for variable in environment.split(b"\0"))


def _children_of_task(task: Path) -> list[str]:
    return (task / "children").read_text().split()
