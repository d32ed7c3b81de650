"""Running a command and measuring it."""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class BenchError(Exception):
    """Something that makes the figures worthless; told in one line."""


@dataclass(frozen=True)
class Measured:
    """What one command cost.

    :param cpu: user and system seconds of the process and all that it started; steadier than the clock when others
        use the machine.
    :param load: the machine's load average of the last minute, before the command.
    """

    wall: float
    cpu: float
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
        process.stdin.write(stdin.encode())
        process.stdin.close()
        status, usage = _end(process)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        text, complaint = _text(output), _text(errors)
    if process.returncode:
        said = (complaint + text)[-4000:]
        raise BenchError(f"`{Path(argv[0]).name} {argv[-1]}` failed ({process.returncode}):\n{said}")
    return Measured(wall=wall, cpu=usage.ru_utime + usage.ru_stime, load=load, stdout=text)


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
