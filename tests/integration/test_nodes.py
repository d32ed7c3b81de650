# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices on other nodes, carried there by ansible-runner over OpenSSH: each job in a fresh private data directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.support.node_fleet import Fleet, apply, fleet_on, in_slices, verify, with_secrets
from tests.integration.support.node_jobs import documented_command, job_on, run_on
from tests.lab import Lab

pytestmark = pytest.mark.slow

# Fails at once, and gets all that any job gets.
NO_PLAYBOOK = "no_such.yml"


@pytest.fixture(scope="module")
def two(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_on(lab, tmp_path_factory.mktemp("nodes"), nodes=2) as found:
        yield found


def test_jobs_on_two_nodes_leave_no_secret_there_nor_in_what_comes_back(two: Fleet) -> None:
    jobs = [*apply(two), *in_slices(two, "site.yml", count=2), *verify(two)]
    assert two.mesh.carries()
    assert [(job.number, found) for job in jobs if (found := with_secrets(two, dict(job.artifacts)))] == []
    assert all(any(name.startswith("job_events/") for name in job.artifacts) for job in jobs)
    assert [found for node in two.nodes if (found := with_secrets(two, node.files()))] == []


def test_the_same_search_finds_what_a_worker_leaves_that_deletes_nothing(two: Fleet) -> None:
    node, leaving = two.nodes[0], documented_command().replace(" --delete", "")
    assert leaving != documented_command()
    assert not run_on(node, two.platform, NO_PLAYBOOK, command=leaving).ok
    found = {Path(name).parent.name for name in with_secrets(two, node.files())}
    assert found == {"env"}


def test_the_same_search_finds_a_variable_of_the_environment_in_what_comes_back(two: Fleet) -> None:
    told = {"TOLD": two.mesh.passphrase}
    job = run_on(two.nodes[0], two.platform, NO_PLAYBOOK, environment=told)
    assert "command" in with_secrets(two, dict(job.artifacts))


def test_a_node_with_another_host_key_gets_nothing_and_that_is_no_success(two: Fleet) -> None:
    first, second = two.nodes
    known = first.config.with_name("known_hosts")
    before = known.read_text(encoding="utf-8")
    lines = dict(line.split(maxsplit=1) for line in before.splitlines())
    known.write_text(f"{second.host.address} {lines[first.host.address]}\n", encoding="utf-8")
    try:
        with job_on(second, two.platform, "verify.yml") as job:
            result = job.result()
    finally:
        known.write_text(before, encoding="utf-8")
    assert "Host key verification failed" in result.status
    assert job.process.returncode == 0
    assert not result.ok
