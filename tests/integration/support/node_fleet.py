# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's clusters as jobs on nodes see them: the AWX project, the CA in Secrets, and slices of the inventory."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

import yaml

from tests.integration.support import secret_traces
from tests.integration.support.inventory_slices import slices_of
from tests.integration.support.lab_mesh import CLUSTER_C, Mesh, cleared_afterwards
from tests.integration.support.node_jobs import run_at_once, run_on
from tests.integration.support.project_on_lab import KEEPER, given_secrets, project_inventory, with_management
from tests.integration.support.runner_jobs import Credential, Platform, as_in_awx
from tests.integration.support.runner_results import Job
from tests.integration.support.service_accounts import store_account
from tests.integration.support.ssh_nodes import Node, reachable_from_nodes, ssh_nodes
from tests.lab import Lab
from tests.unit.support import Json


@dataclass(frozen=True)
class Fleet:
    """:param platform: with the whole inventory.

    :param given: all that credentials hand over, as it may be found somewhere.
    """

    mesh: Mesh
    nodes: Sequence[Node]
    inventory: Json
    platform: Platform
    given: Mapping[str, frozenset[bytes]] = field(repr=False)

    def slices(self, count: int) -> list[Platform]:
        """With the parts that AWX would cut."""
        return [replace(self.platform, inventory=as_in_awx(part)) for part in slices_of(self.inventory, count)]


@contextmanager
def fleet_on(lab: Lab, folder: Path, *, clusters: int = 2, nodes: int) -> Iterator[Fleet]:
    """Nothing was done for the clusters yet; they are left so.

    :param folder: for private data directories, and for what the nodes' user needs.
    """
    mesh = Mesh(lab, folder, secrets.token_urlsafe(24))
    with ExitStack() as stack:
        stack.enter_context(cleared_afterwards(mesh))
        config = with_management(lab, stack.enter_context(store_account(lab, folder, KEEPER)))
        credentials = (
            Credential("Crossmesh kubeconfig", {"kubeconfig": reachable_from_nodes(lab, yaml.safe_dump(config))}),
            Credential("Crossmesh CA", {"passphrase": mesh.passphrase}),
        )
        inventory = _inventory_of(clusters)
        yield Fleet(
            mesh,
            stack.enter_context(ssh_nodes(lab, folder, nodes)),
            inventory,
            Platform(folder, as_in_awx(inventory), credentials),
            given_secrets(config, mesh.passphrase),
        )


def _inventory_of(clusters: int) -> Json:
    """The project's; where there are three clusters, another one serves its link beside its server."""
    inventory = project_inventory()
    everybody = inventory["all"]
    if clusters == 3:
        everybody["hosts"] = {"cluster-c": dict(CLUSTER_C)}
        everybody["children"]["mesh_servers"]["hosts"]["cluster-c"] = None
    groups = everybody["children"].items()
    everybody["vars"]["mesh_clusters"] = {host: [name] for name, group in groups for host in group["hosts"]}
    return inventory


def passed(jobs: Sequence[Job]) -> Sequence[Job]:
    assert all(job.ok for job in jobs), "\n".join(f"{job.status}\n{job.output}" for job in jobs if not job.ok)
    return jobs


def apply(fleet: Fleet) -> list[Job]:
    """Over all clusters, because a slice makes no CA."""
    return [*passed([run_on(fleet.nodes[0], fleet.platform, "site.yml")])]


def in_slices(fleet: Fleet, playbook: str, *, count: int, phase: str = "") -> Sequence[Job]:
    variables = {"mesh_rotate_phase": phase} if phase else {}
    return passed(run_at_once(zip(cycle(fleet.nodes), fleet.slices(count), strict=False), playbook, variables))


def verify(fleet: Fleet) -> list[Job]:
    """Over all clusters, because it is the check that none was left out."""
    return [*passed([run_on(fleet.nodes[-1], fleet.platform, "verify.yml")])]


def with_secrets(fleet: Fleet, contents: dict[str, bytes]) -> list[str]:
    needles = frozenset[bytes]().union(*fleet.given.values(), secret_traces.of_any_key())
    return [name for name, content in contents.items() if secret_traces.found_in(content, needles)]
