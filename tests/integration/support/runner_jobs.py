# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: ansible-runner, in a private data directory that is made for one job and deleted after it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType

import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.integration.support.lab_mesh import CHECKOUT
from tests.integration.support.runner_results import Job, result_of
from tests.unit.support import Json
from tests.unit.tools.awx_project import PROJECT, named

# Seconds.
_LONGEST = 600
_OWNERS = 0o700


@dataclass(frozen=True)
class Credential:
    """:param kind: name of a credential type of the project."""

    kind: str
    inputs: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class PrivateData:
    """:param folder: a private data directory as ansible-runner wants it."""

    number: int
    folder: Path


@dataclass(frozen=True)
class Platform:
    """AWX with the example project, as far as a job meets it.

    :param folder: in which jobs get their private data directories.
    :param inventory: of the project, as it is in AWX.
    :param credentials: of each job template.
    """

    folder: Path
    inventory: Json
    credentials: tuple[Credential, ...]
    _numbers: Iterator[int] = field(default_factory=lambda: count(4711), repr=False)

    def run(
        self,
        playbook: str,
        variables: Mapping[str, object] = MappingProxyType({}),
        *,
        project: Mapping[str, str] = MappingProxyType({}),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Job:
        """One job on this machine.

        :param variables: of a survey.
        :param project: further files of the project, by their names.
        :param environment: further variables of a credential's.
        """
        with self.private_data(variables, project=project, environment=environment) as data:
            return _finished(data, playbook)

    @contextmanager
    def private_data(
        self,
        variables: Mapping[str, object] = MappingProxyType({}),
        *,
        project: Mapping[str, str] = MappingProxyType({}),
        environment: Mapping[str, str] = MappingProxyType({}),
        seen_as: Path | None = None,
    ) -> Iterator[PrivateData]:
        """All that one job gets, for the length of the block.

        :param seen_as: the folder's path where the job runs, if that is elsewhere.
        """
        number = next(self._numbers)
        place = Path(tempfile.mkdtemp(prefix=f"awx_{number}_", dir=self.folder))
        try:
            self._lay_out(place, seen_as or place, number, variables, environment)
            for name, text in project.items():
                (place / "project" / name).write_text(text, encoding="utf-8")
            yield PrivateData(number, place)
        finally:
            shutil.rmtree(place)

    def _lay_out(
        self, place: Path, seen_as: Path, number: int, variables: Mapping[str, object], environment: Mapping[str, str]
    ) -> None:
        """Write what AWX writes: C(BaseTask.build_private_data_files, RunJob.build_inventory), 24.6.1."""
        shutil.copytree(PROJECT, place / "project")
        for name in ("inventory", "env"):
            (place / name).mkdir(_OWNERS)
        script = f"#!/usr/bin/env python3\nprint({json.dumps(self.inventory)!r})\n"
        _written(place / "inventory/hosts", script).chmod(_OWNERS)
        given, arguments = dict(environment), ["-vvv"]
        for credential in self.credentials:
            more, further = _injected(credential, place / "env", seen_as / "env")
            given |= more
            arguments += further
        told = {"awx_job_id": number, "awx_user_name": "kim", **variables}
        _written(place / "env/extravars", yaml.safe_dump(told))
        _written(place / "env/envvars", yaml.safe_dump({"JOB_ID": str(number), **given}))
        _written(place / "env/cmdline", " ".join(arguments))


def as_in_awx(inventory: Json) -> Json:
    """An inventory of the project as AWX gives it to a job: groups, their variables, and those of hosts."""
    everybody = inventory["all"]
    groups = {name: {"hosts": sorted(group["hosts"])} for name, group in everybody["children"].items()}
    hosts: dict[str, Json] = {host: {} for group in groups.values() for host in group["hosts"]}
    hosts |= everybody.get("hosts", {})
    return {
        "all": {"vars": everybody["vars"], "children": sorted(groups)},
        **groups,
        "_meta": {"hostvars": hosts},
    }


def _injected(credential: Credential, folder: Path, seen_as: Path) -> tuple[dict[str, str], list[str]]:
    """What the injectors of a credential's type make of it (C(CredentialType.inject_credential) of AWX).

    :param folder: for its files.
    :param seen_as: the same folder where the job runs.
    :returns: variables of the environment, and arguments.
    """
    injectors, names = named("credential_type")[credential.kind]["injectors"], dict[str, object](credential.inputs)
    if "file" in injectors:
        name = _private(folder, _rendered(injectors["file"]["template"], names))
        names["tower"] = {"filename": str(seen_as / name)}
    environment = {name: _rendered(text, names) for name, text in injectors.get("env", {}).items()}
    variables = {name: _rendered(text, names) for name, text in injectors.get("extra_vars", {}).items()}
    arguments = ["-e", f"@{seen_as / _private(folder, yaml.safe_dump(variables))}"] if variables else []
    return environment, arguments


def _rendered(template: str, names: Mapping[str, object]) -> str:
    return str(ImmutableSandboxedEnvironment().from_string(template).render(**names))


def _private(folder: Path, text: str) -> str:
    """Write a file of a name of its own, which is returned."""
    handle, path = tempfile.mkstemp(dir=folder)
    os.close(handle)
    return _written(Path(path), text).name


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _finished(data: PrivateData, playbook: str) -> Job:
    place, number = data.folder, data.number
    command = [sys.executable, "-m", "ansible_runner", "run", str(place), "--ident", str(number)]
    home = place / "home"
    home.mkdir()
    process = subprocess.Popen(
        [*command, "--playbook", playbook, "--inventory", str(place / "inventory/hosts")],
        # As in a container: nothing of whoever started the tests.
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed, _errors = process.communicate(timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        # It ends what it has started; killed, it could not.
        process.terminate()
        printed, _errors = process.communicate()
    return result_of(number, place / "artifacts" / str(number), printed)
