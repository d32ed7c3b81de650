# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job adds to a run of ansible-playbook, and a slice to a job: site without a change, in each way to run it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from tests.integration.support.node_fleet import Fleet, fleet_on
from tests.integration.support.node_jobs import LOGIN, add_collection, documented_command, run_on, shell_variables
from tests.integration.support.runner_jobs import Platform, PrivateData
from tests.integration.support.runner_results import result_of
from tests.integration.support.ssh_nodes import Node
from tests.lab import Lab

from .process import BenchError, Measured, measure
from .samples import UNCHANGED, Sample, sample

DIRECT, RUN, PIPE, SSH = "ansible-playbook", "ansible-runner run", "runner by pipe", "runner over ssh"
WAYS = (DIRECT, RUN, PIPE, SSH)
_PLAYBOOK = "site.yml"


def jobs(lab: Lab, repeat: int) -> Iterator[Sample]:
    """Each way by turns, over both clusters and over a slice of one."""
    with (
        tempfile.TemporaryDirectory(prefix="crossmesh-bench-") as folder,
        fleet_on(lab, Path(folder), nodes=1) as fleet,
    ):
        made = run_on(fleet.nodes[0], fleet.platform, _PLAYBOOK)
        if not made.ok:
            raise BenchError(f"site failed:\n{made.output[-4000:]}")
        for _ in range(repeat):
            for way in WAYS:
                yield sample(way, UNCHANGED, 1, [_measured(way, fleet, fleet.platform)])
                yield sample(way, UNCHANGED, 1, [_measured(way, fleet, fleet.slices(2)[0])], clusters=1)


def _measured(way: str, fleet: Fleet, platform: Platform) -> Measured:
    (node,) = fleet.nodes
    work = node.home / "job" if way == SSH else platform.folder / "job"
    with (
        platform.private_data(seen_as=work, environment=_environment(work)) as data,
        tempfile.TemporaryDirectory(dir=platform.folder) as out,
    ):
        add_collection(data.folder / "collections")
        # AWX's verbosity, unless a template asks for more.
        arguments = (data.folder / "env/cmdline").read_text(encoding="utf-8").removeprefix("-vvv ")
        (data.folder / "env/cmdline").write_text(arguments, encoding="utf-8")
        if way in (PIPE, SSH):
            return _streamed(way, node, data, work, Path(out))
        # Where its variables say that it is.
        data.folder.rename(work)
        try:
            return _here(way, work, arguments)
        finally:
            work.rename(data.folder)


def _here(way: str, work: Path, arguments: str) -> Measured:
    if way == RUN:
        runner = [sys.executable, "-m", "ansible_runner", "run", str(work), "--playbook", _PLAYBOOK]
        return measure(runner, environment=_programs(), cwd=work)
    told = yaml.safe_load((work / "env/envvars").read_text(encoding="utf-8"))
    variables = ["-e", f"@{work / 'env/extravars'}", *shlex.split(arguments)]
    playbook: list[str | Path] = [
        _programs_in() / "ansible-playbook",
        "-i",
        work / "inventory/hosts",
        *variables,
        _PLAYBOOK,
    ]
    return measure(playbook, environment={**_programs(), **told}, cwd=work / "project")


def _streamed(way: str, node: Node, data: PrivateData, work: Path, out: Path) -> Measured:
    command, environment = documented_command(), shell_variables(node, data, _PLAYBOOK, work, out)
    script = command if way == SSH else command.replace(LOGIN, "bash -c")
    before = node.cpu_seconds()
    measured = measure(["bash", "-c", script], environment=environment, cwd=node.config.parent)
    job = result_of(data.number, out / "artifacts" / str(data.number), measured.stdout)
    if not job.ok:
        raise BenchError(f"site {way} failed: {job.status}\n{job.output[-4000:]}")
    return replace(measured, cpu=measured.cpu + node.cpu_seconds() - before)


def _environment(work: Path) -> Mapping[str, str]:
    return {"ANSIBLE_COLLECTIONS_PATH": str(work / "collections")}


def _programs() -> dict[str, str]:
    return {"PATH": f"{_programs_in()}{os.pathsep}{os.defpath}", "LC_ALL": "C.UTF-8", "HOME": os.environ["HOME"]}


def _programs_in() -> Path:
    return Path(sys.executable).parent
