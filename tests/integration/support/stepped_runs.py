# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping a playbook exactly between two tasks: to look, to do something there, or to kill it.

Before each task the run tells the test which one it is, and waits. Clusters that do not wait for each other (strategy
free) may be within a task then, as they would be whenever somebody pulls the plug.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.integration.support.lab_mesh import Mesh, Run, finished_run
from tests.lab import procfs

CALLBACKS = Path(__file__).with_name("callback")
VARIABLE = "CROSSMESH_BOUNDARIES"
# Seconds; the first bounds a task, the second all that is left of a run.
TASK, RUN = 180.0, 900.0


@dataclass(frozen=True)
class Boundary:
    """The moment before a task.

    :param number: from 1.
    """

    number: int
    play: str
    task: str

    def __str__(self) -> str:
        return f"{self.number}, {self.play}: {self.task}"


@dataclass
class Steps:
    """A run that goes on only when it is told to.

    :param reached: the boundaries up to now; it waits at the last one.
    """

    _listener: socket.socket
    _mark: str
    _run: Future[Run]
    _channel: socket.socket | None = None
    _lines: BinaryIO | None = None
    reached: list[Boundary] = field(default_factory=list)

    def step(self) -> Boundary | None:
        """Let the next task begin; return when the one after it is about to, or nothing when the run has ended."""
        if self._channel:
            self._channel.sendall(b"\n")
        else:
            self._connect()
        line = self._lines.readline() if self._lines else b""
        if not line:
            return None
        self.reached.append(Boundary(len(self.reached) + 1, *json.loads(line)))
        return self.reached[-1]

    def reach(self, before: str) -> Boundary:
        """Go on to the first task to which this applies.

        :param before: a part of the name of a play or a task.
        """
        while boundary := self.step():
            if before in str(boundary):
                return boundary
        raise AssertionError(f"nothing is called {before}: {', '.join(map(str, self.reached))}")

    def finish(self) -> Run:
        """Let it run to its end."""
        deadline = time.monotonic() + RUN
        while self.step():
            assert time.monotonic() < deadline, f"the run has not ended within {RUN:.0f} s: {self.reached[-1]}"
        return self.result()

    def result(self) -> Run:
        """How it went, after its last step."""
        return self._run.result(timeout=TASK)

    def kill(self) -> None:
        """SIGKILL to the run and to all that it has started.

        Ansible's workers are in sessions of their own, so the run's process group would not be all of it.
        """
        procfs.end(lambda: _processes(self._mark), "the run")
        self.result()

    def _connect(self) -> None:
        """Wait for the run's first task; it may end before it has any, on a bad option for example."""
        deadline = time.monotonic() + TASK
        while not (self._channel or self._run.done()):
            assert time.monotonic() < deadline, f"no task has begun within {TASK:.0f} s"
            with suppress(TimeoutError):
                self._channel, _address = self._listener.accept()
                self._channel.settimeout(TASK)
                self._lines = self._channel.makefile("rb")


@contextmanager
def stepped_run(
    mesh: Mesh, playbook: str | Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Steps]:
    """A run that waits at each task boundary; killed if it has not ended with the block."""
    with (
        # A socket's path holds 108 bytes, which a test's own folder may exceed.
        tempfile.TemporaryDirectory(prefix="crossmesh-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
        ThreadPoolExecutor(1) as reader,
    ):
        path = f"{folder}/boundaries"
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(0.1)
        asked = {
            VARIABLE: path,
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "boundaries",
        }
        process = mesh.begin(playbook, *arguments, environment={**(environment or {}), **asked})
        # Read all the time: a run that cannot print would not go on.
        run = reader.submit(lambda: finished_run(process.communicate(), process.returncode))
        steps = Steps(listener, f"{VARIABLE}={path}", run)
        try:
            yield steps
        finally:
            steps.kill()


def kill_at_task(mesh: Mesh, playbook: str | Path, *arguments: str, at: int) -> Boundary | None:
    """Kill a run right before its task of that number, from 1; nothing if it ended with fewer."""
    with stepped_run(mesh, playbook, *arguments) as steps:
        while boundary := steps.step():
            if boundary.number == at:
                return boundary
    return None


@dataclass
class Paused:
    """Where a run waits; how it ended, when its `with` block has."""

    boundary: Boundary
    run: Run | None = None


@contextmanager
def paused_run(
    mesh: Mesh, playbook: str | Path, *arguments: str, before: str, environment: Mapping[str, str] | None = None
) -> Iterator[Paused]:
    """A run that waits while the block is executed, and then goes on to its end.

    :param before: as in Steps.reach.
    """
    with stepped_run(mesh, playbook, *arguments, environment=environment) as steps:
        waiting = Paused(steps.reach(before))
        yield waiting
        waiting.run = steps.finish()


def _processes(mark: str) -> list[int]:
    """Those that have inherited this assignment in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
