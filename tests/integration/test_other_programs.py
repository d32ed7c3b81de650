# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks by other programs that run some: each sees the same links, and a rulebook renews what is due.

`make ways` installs the programs and says where they are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.integration.support.credential_secrets import serials
from tests.integration.support.lab_mesh import Mesh, Run, finished_run
from tests.lab.wait import eventually

pytestmark = pytest.mark.slow

Command = list[str]
# Seconds that a program may take.
_LONGEST = 600


@pytest.fixture(scope="session")
def programs() -> Path:
    return Path(os.environ["CROSSMESH_WAYS"]) / "bin"


def environment(mesh: Mesh, programs: Path) -> dict[str, str]:
    """The checkout's own ansible-playbook for all of them, in a home without settings."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs), os.environ["PATH"]])
    return {**os.environ, **mesh.environment(), "PATH": path, "HOME": str(mesh.folder)}


def run(mesh: Mesh, programs: Path, command: Command) -> Run:
    ended = subprocess.run(
        command,
        cwd=mesh.folder,
        env=environment(mesh, programs),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
    return finished_run((ended.stdout, None), ended.returncode)


# -- ansible-navigator, ansible-runner, ansible-pull


def by_navigator(mesh: Mesh, playbook: str) -> Command:
    options = ["--ee", "false", "-m", "stdout", "--pae", "false", "--lf", str(mesh.folder / "navigator.log")]
    return ["ansible-navigator", "run", f"crossmesh.mtls.{playbook}", "-i", str(mesh.inventory()), *options]


def by_runner(mesh: Mesh, playbook: str) -> Command:
    program = """
import sys
import ansible_runner

folder, playbook, inventory = sys.argv[1:]
sys.exit(ansible_runner.run(private_data_dir=folder, playbook=playbook, inventory=inventory).rc)
"""
    job = mesh.folder / "job"
    job.mkdir(exist_ok=True)
    return [sys.executable, "-c", program, str(job), f"crossmesh.mtls.{playbook}", str(mesh.inventory())]


def by_pull(mesh: Mesh, playbook: str) -> Command:
    repository = mesh.folder / "repository"
    if not repository.exists():
        repository.mkdir()
        (repository / f"{playbook}.yml").write_text(f"- import_playbook: crossmesh.mtls.{playbook}\n")
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        for git in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "--message", "fleet")):
            subprocess.run(["git", *git], cwd=repository, check=True)
    options = ["-U", str(repository), "-d", str(mesh.folder / "checkout"), "-l", "all"]
    return ["ansible-pull", *options, "-i", str(mesh.inventory()), "-i", "localhost,", f"{playbook}.yml"]


@pytest.mark.parametrize("way", [by_navigator, by_runner, by_pull])
def test_verify_tells_the_same_whoever_runs_it(
    linked_mesh: Mesh, programs: Path, way: Callable[[Mesh, str], Command]
) -> None:
    """The control is a cluster that has drifted."""
    settled = run(linked_mesh, programs, way(linked_mesh, "verify"))
    assert settled.ok, settled.output
    assert {"cluster-a", "cluster-b"} <= settled.recap.keys(), settled.output
    linked_mesh.lab.kubectl(
        "cluster-b", "delete", "gateways.networking.istio.io", "gateway-mysql", "-n", "istio-system"
    )
    drifted = run(linked_mesh, programs, way(linked_mesh, "verify"))
    assert not drifted.ok
    assert drifted.says("write Gateway istio-system/gateway-mysql"), drifted.output


def test_a_navigator_makes_the_link_and_keeps_no_artifact(mesh: Mesh, programs: Path) -> None:
    """The control is a run that is asked to keep one."""
    made = run(mesh, programs, by_navigator(mesh, "site"))
    assert made.ok, made.output
    assert mesh.carries()
    assert not list(mesh.folder.rglob("*artifact*.json"))
    kept = [
        word if word != "false" or before != "--pae" else "true" for before, word in pairs(by_navigator(mesh, "verify"))
    ]
    name = str(mesh.folder / "artifact.json")
    assert run(mesh, programs, [*kept, "--pas", name]).ok
    assert list(mesh.folder.rglob("*artifact*.json"))


def pairs(command: Command) -> Iterator[tuple[str, str]]:
    """Each word with the one before it."""
    return zip(["", *command], command, strict=False)


# -- ansible-rulebook


@contextmanager
def rulebook(mesh: Mesh, programs: Path) -> Iterator[Path]:
    """The collection's own, for the length of the block; what it prints goes to a file."""
    inventory = mesh.inventory()
    (mesh.folder / "rotate_certificates.yml").write_text("- import_playbook: crossmesh.mtls.rotate_certificates\n")
    variables = {"crossmesh_inventory": str(inventory), "crossmesh_interval": 1, "crossmesh_ca_dir": str(mesh.store)}
    (mesh.folder / "vars.yml").write_text(yaml.safe_dump(variables), encoding="utf-8")
    output = mesh.folder / "rulebook.log"
    options = ["--rulebook", "crossmesh.mtls.renew", "--inventory", str(inventory), "--vars", "vars.yml"]
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [str(programs / "ansible-rulebook"), *options],
            cwd=mesh.folder,
            env=environment(mesh, programs),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            yield output
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=_LONGEST)


def tells(output: Path, words: str) -> bool:
    return words in output.read_text(encoding="utf-8")


def test_a_rulebook_renews_what_verify_says_is_due(linked_mesh: Mesh, programs: Path) -> None:
    """Certificates of a month are due with 40 days before their end; the new ones have 90."""
    month = {"custom_ca_leaf_validity_days": 30, "custom_ca_renew_before_days": 10}
    made = linked_mesh.with_changes(variables=month).play("rotate_certificates", "-e", "mesh_rotate_force=true")
    assert made.ok, made.output
    before = serials(linked_mesh)
    due = linked_mesh.with_changes(variables={"custom_ca_leaf_validity_days": 90, "custom_ca_renew_before_days": 40})
    with rulebook(due, programs) as output:
        eventually(lambda: set(serials(linked_mesh)).isdisjoint(before), within=_LONGEST, pause=1)
        eventually(lambda: tells(output, "failed=0"), within=_LONGEST, pause=1)
    assert tells(output, "PLAY ["), "the control of the next test"
    assert linked_mesh.carries()
    assert not tells(output, linked_mesh.passphrase)


def test_a_rulebook_renews_nothing_where_nothing_is_due_and_tells_of_drift(linked_mesh: Mesh, programs: Path) -> None:
    before = serials(linked_mesh)
    linked_mesh.lab.kubectl(
        "cluster-b", "delete", "gateways.networking.istio.io", "gateway-mysql", "-n", "istio-system"
    )
    with rulebook(linked_mesh, programs) as output:
        eventually(lambda: tells(output, "write Gateway istio-system/gateway-mysql"), within=_LONGEST, pause=1)
        # What one verify starts has begun to print by the time that a later one tells of something new.
        linked_mesh.lab.kubectl(
            "cluster-a", "delete", "serviceentries.networking.istio.io", "mysql-external", "-n", "istio-system"
        )
        eventually(lambda: tells(output, "write ServiceEntry istio-system/mysql-external"), within=_LONGEST, pause=1)
    assert serials(linked_mesh) == before
    assert not tells(output, "PLAY [")
