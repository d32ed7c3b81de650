"""What the lab reads of processes."""

import os
from pathlib import Path


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


def memory_mib(pid: int) -> int:
    """Resident memory of a process and its children; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20 + sum(memory_mib(child) for child in children(pid))


def _children_of_task(task: Path) -> list[str]:
    return (task / "children").read_text().split()
