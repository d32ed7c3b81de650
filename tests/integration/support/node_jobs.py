# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on nodes: ansible-runner transmit, worker and process over OpenSSH, with the command line of docs/nodes.md."""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.integration.support.lab_mesh import CHECKOUT
from tests.integration.support.runner_jobs import Platform, PrivateData
from tests.integration.support.runner_results import Job, result_of
from tests.integration.support.ssh_nodes import Node
from tests.tools import package

# The part of the documented command line that goes to the node.
LOGIN = 'ssh -F ssh_config "$NODE"'
# Seconds.
_LONGEST = 600

Variables = Mapping[str, object]


@dataclass(frozen=True)
class NodeJob:
    """A job that is under way.

    :param out: the folder that C(ansible-runner process) fills.
    """

    number: int
    out: Path
    process: subprocess.Popen[bytes]

    def has_begun(self, play: str, task: str) -> bool:
        """Whether its events tell that this task of this play has begun, by parts of their names."""
        return any(play in event.get("play", "") and task in event.get("task", "") for event in self._events())

    def result(self) -> Job:
        self.process.wait(timeout=_LONGEST)
        return result_of(self.number, self.out / "artifacts" / str(self.number), self._printed)

    @property
    def _printed(self) -> str:
        return (self.out / "printed").read_text(encoding="utf-8")

    def _events(self) -> Iterator[Mapping[str, str]]:
        for path in self.out.glob(f"artifacts/{self.number}/job_events/*.json"):
            # One may be half written.
            with suppress(ValueError):
                event = json.loads(path.read_text(encoding="utf-8"))
                if event["event"] == "playbook_on_task_start":
                    yield event["event_data"]


@contextmanager
def job_on(
    node: Node,
    platform: Platform,
    playbook: str,
    variables: Variables = MappingProxyType({}),
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    command: str = "",
) -> Iterator[NodeJob]:
    """A job of its own private data directory, which is deleted here and on the node.

    :param environment: further variables of a credential's.
    :param command: in place of the one in the documentation.
    """
    work = node.home / f"job-{secrets.token_hex(4)}"
    collections = {"ANSIBLE_COLLECTIONS_PATH": str(work / "collections")}
    with (
        platform.private_data(variables, environment={**environment, **collections}, seen_as=work) as data,
        tempfile.TemporaryDirectory(prefix="out_", dir=platform.folder) as folder,
    ):
        out = Path(folder)
        add_collection(data.folder / "collections")
        with (out / "printed").open("wb") as printed:
            process = subprocess.Popen(
                ["bash", "-c", command or documented_command()],
                cwd=node.config.parent,
                env=shell_variables(node, data, playbook, work, out),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            yield NodeJob(data.number, out, process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_on(
    node: Node,
    platform: Platform,
    playbook: str,
    variables: Variables = MappingProxyType({}),
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    command: str = "",
) -> Job:
    with job_on(node, platform, playbook, variables, environment=environment, command=command) as job:
        return job.result()


def run_at_once(
    places: Iterable[tuple[Node, Platform]], playbook: str, variables: Variables = MappingProxyType({})
) -> list[Job]:
    """One job on each node, all at the same time."""
    with ThreadPoolExecutor() as pool:
        begun = [pool.submit(run_on, node, platform, playbook, variables) for node, platform in places]
        return [job.result() for job in begun]


def shell_variables(node: Node, data: PrivateData, playbook: str, work: Path, out: Path) -> dict[str, str]:
    """What the documented command line names, and nothing of whoever started the tests."""
    named = {"JOB": data.folder, "PLAYBOOK": playbook, "ID": data.number, "NODE": node.name, "WORK": work, "OUT": out}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {"PATH": programs, "LC_ALL": "C.UTF-8", **{name: str(value) for name, value in named.items()}}


def documented_command() -> str:
    text = (CHECKOUT / "docs/nodes.md").read_text(encoding="utf-8")
    return text.partition("```bash\n")[2].partition("```")[0]


def add_collection(folder: Path) -> None:
    """What its package holds, as ansible-galaxy would install it."""
    for name in _shipped():
        copy = folder / "ansible_collections/crossmesh/mtls" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, copy)


@functools.cache
def _shipped() -> tuple[str, ...]:
    return tuple(package.shipped(CHECKOUT))
