# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices on other nodes, carried there by ansible-runner over OpenSSH: each job in a fresh private data directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import pytest

from tests.integration.support import secret_traces
from tests.integration.support.gateway_namespaces import state_of_clusters
from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.node_fleet import Fleet, fleet_on
from tests.integration.support.node_jobs import documented_command, job_on, run_at_once, run_on
from tests.integration.support.project_on_lab import ca_of
from tests.integration.support.runner_results import Job
from tests.integration.support.ssh_nodes import Node
from tests.lab import Lab
from tests.lab.wait import eventually
from tests.unit.support import Json

# Where each phase writes into the clusters.
PHASES = {
    "prepare": "Prepare, trust both roots everywhere",
    "switch": "Switch, serve certificates of the new root everywhere",
    "retire": "Drop the root that leaves, trust it nowhere",
}
WRITES = "Bring the credentials to this stage"
# Fails at once, and gets all that any job gets.
NO_PLAYBOOK = "no_such.yml"


@pytest.fixture(scope="module")
def two(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_on(lab, tmp_path_factory.mktemp("nodes"), nodes=2) as found:
        yield found


def passed(jobs: Sequence[Job]) -> Sequence[Job]:
    assert all(job.ok for job in jobs), "\n".join(f"{job.status}\n{job.output}" for job in jobs if not job.ok)
    return jobs


def apply(fleet: Fleet) -> list[Job]:
    """Over all clusters, because a slice makes no CA."""
    return [*passed([run_on(fleet.nodes[0], fleet.platform, "site.yml")])]


def in_slices(fleet: Fleet, playbook: str, *, count: int, phase: str = "") -> Sequence[Job]:
    variables = {"mesh_rotate_phase": phase} if phase else {}
    return passed(run_at_once(zip(cycle(fleet.nodes), fleet.slices(count), strict=False), playbook, variables))


def rotate(fleet: Fleet, *, count: int) -> None:
    for phase in PHASES:
        in_slices(fleet, "rotate_ca.yml", count=count, phase=phase)


def verify(fleet: Fleet) -> list[Job]:
    """Over all clusters, because it is the check that none was left out."""
    return [*passed([run_on(fleet.nodes[-1], fleet.platform, "verify.yml")])]


def with_secrets(fleet: Fleet, contents: dict[str, bytes]) -> list[str]:
    needles = frozenset[bytes]().union(*fleet.given.values(), secret_traces.of_any_key())
    return [name for name, content in contents.items() if secret_traces.found_in(content, needles)]


def end_of(mesh: Mesh) -> Json:
    """What a rotation has led to, apart from which roots they are."""
    ca = ca_of(mesh)
    return {
        "one root": ca.trusted == {ca.issuing},
        "in service": ca.in_service == ca.trusted,
        "carries": mesh.carries(),
        "objects": {title: _rootless(item) for title, item in state_of_clusters(mesh).items()},
    }


def _rootless(item: Json) -> Json:
    return {**item, "identity": {key: item["identity"].get(key) for key in ("subject", "sans", "keys")}}


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


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_a_root_is_rotated_over_nodes_and_no_connection_is_lost(lab: Lab, tmp_path: Path, count: int) -> None:
    with fleet_on(lab, tmp_path, clusters=count, nodes=count) as fleet:
        apply(fleet)
        in_slices(fleet, "site.yml", count=count)
        before = ca_of(fleet.mesh)
        with live_traffic(lab, 20, held=3) as traffic:
            rotate(fleet, count=count)
        assert (traffic.lost, traffic.broken_sessions) == ([], [])
        verify(fleet)
        after = ca_of(fleet.mesh)
    assert after.issuing != before.issuing
    assert after.trusted == after.in_service == {after.issuing}


@pytest.mark.slow
def test_the_slice_of_a_node_that_dies_in_any_phase_ends_as_undisturbed_on_another_one(
    lab: Lab, tmp_path: Path
) -> None:
    with fleet_on(lab, tmp_path, nodes=len(PHASES) + 1) as fleet:
        apply(fleet)
        rotate(fleet, count=2)
        undisturbed = end_of(fleet.mesh)
        with live_traffic(lab, 20, held=3) as traffic:
            for phase, node in zip(PHASES, fleet.nodes, strict=False):
                rotate_past_a_death(fleet, phase, dying=node, lasting=fleet.nodes[-1])
        assert (traffic.lost, traffic.broken_sessions) == ([], [])
        verify(fleet)
        assert end_of(fleet.mesh) == undisturbed
        assert all(undisturbed[name] for name in ("one root", "in service", "carries"))


def rotate_past_a_death(fleet: Fleet, phase: str, *, dying: Node, lasting: Node) -> None:
    """One phase over two slices, in which the first one's node dies while it writes."""
    first, second = fleet.slices(2)
    variables = {"mesh_rotate_phase": phase}
    with (
        job_on(dying, first, "rotate_ca.yml", variables) as job,
        job_on(lasting, second, "rotate_ca.yml", variables) as other,
    ):
        eventually(lambda: job.has_begun(PHASES[phase], WRITES), within=300, pause=0.02)
        dying.die()
        lost = job.result()
        # Nothing but what is left tells it.
        assert job.process.returncode == 0
        assert not lost.ended
        assert not lost.ok
        passed([other.result()])
    # It could not delete it any more.
    assert with_secrets(fleet, dying.files())
    passed([run_on(lasting, first, "rotate_ca.yml", variables)])
