# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a command and measuring it."""

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.lab import procfs

# Seconds between two looks at the memory: looking takes processor time too.
_LOOK = 0.25


class BenchError(Exception):
    """Something that makes the figures worthless; told in one line."""


@dataclass(frozen=True)
class Measured:
    """What one command cost.

    :param cpu: user and system seconds of the process and all that it started; steadier than the clock when others
        use the machine.
    :param memory: MiB that all its processes held at once, at the most; what they share is counted once.
    :param load: the machine's load average of the last minute, before the command.
    """

    wall: float
    cpu: float
    memory: float
    load: float
    stdout: str


def measure(argv: Sequence[str | Path], *, environment: Mapping[str, str], cwd: Path, stdin: str = "") -> Measured:
    """Run a command to its end.

    :raises BenchError: it failed.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(argv, env=environment, cwd=cwd, stdin=subprocess.PIPE, stdout=output, stderr=errors)
        assert process.stdin is not None
        with _watched(process.pid) as looks:
            process.stdin.write(stdin.encode())
            process.stdin.close()
            status, usage = _end(process)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        text, complaint = _text(output), _text(errors)
    if process.returncode:
        said = (complaint + text)[-4000:]
        raise BenchError(f"`{Path(argv[0]).name} {argv[-1]}` failed ({process.returncode}):\n{said}")
    # The kernel's own peak of the largest process holds where a short command ends between two looks.
    memory = max(*looks, usage.ru_maxrss / 1024)
    return Measured(wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=memory, load=load, stdout=text)


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The MiB that the process and all below it held at each look, for the length of the block."""
    looks = [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            looks.append(_held(pid) / 1024)

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield looks
    finally:
        over.set()
        watching.join()


def _held(pid: int) -> int:
    """KiB of a process and all below it; of what forks share, each has its proportion (proc(5), smaps_rollup)."""
    return _proportion(pid) + sum(_held(child) for child in procfs.children(pid))


def _proportion(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)


def _end(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    try:
        _pid, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        # Whoever ends the benchmark ends what it measures; its keys are removed next.
        process.terminate()
        process.wait()
        raise
    return status, usage


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
