# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job that ran elsewhere has ended: its stream may be cut anywhere, and ansible-runner exits 0."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.support.runner_results import Job, result_of

PLAYBOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that: {{verdict}}
"""
RUNNER = (sys.executable, "-m", "ansible_runner")
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "LC_ALL": "C.UTF-8"}


def streamed(folder: Path, verdict: str) -> tuple[bytes, int]:
    """What a worker answers, and its exit code."""
    (folder / "job/project").mkdir(parents=True)
    (folder / "job/project/play.yml").write_text(PLAYBOOK.replace("{{verdict}}", verdict), encoding="utf-8")
    environment = {**ENVIRONMENT, "HOME": str(folder)}
    transmit = [*RUNNER, "transmit", str(folder / "job"), "--playbook", "play.yml"]
    sent = subprocess.run(transmit, env=environment, capture_output=True, check=True).stdout
    worker = [*RUNNER, "worker", "--private-data-dir", str(folder / "work"), "--delete"]
    answered = subprocess.run(worker, env=environment, input=sent, capture_output=True, check=False)
    return answered.stdout, answered.returncode


def processed(folder: Path, stream: bytes) -> tuple[int, Job]:
    process = [*RUNNER, "process", str(folder)]
    done = subprocess.run(process, env=ENVIRONMENT, input=stream, capture_output=True, check=False)
    return done.returncode, result_of(1, folder / "artifacts", done.stdout.decode())


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return streamed(tmp_path_factory.mktemp("job"), "true")[0]


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_cut_stream_is_no_success_although_ansible_runner_exits_0(tmp_path: Path, stream: bytes, part: float) -> None:
    code, job = processed(tmp_path, stream[: int(len(stream) * part)])
    assert (code, job.ok, job.ended) == (0, False, False)


def test_the_whole_stream_is_a_success(tmp_path: Path, stream: bytes) -> None:
    code, job = processed(tmp_path, stream)
    assert (code, job.ok, job.status, job.rc) == (0, True, "successful", 0)


def test_a_play_that_fails_is_no_success_although_ansible_runner_exits_0(tmp_path: Path) -> None:
    answered, of_worker = streamed(tmp_path, "false")
    code, job = processed(tmp_path / "out", answered)
    assert of_worker != 0
    assert (code, job.ok, job.ended, job.status) == (0, False, True, "failed")
