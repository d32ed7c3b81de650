# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One running lab for all tests; every test starts from clusters without anything of ours and leaves them so.

With `--numprocesses auto` the files are shared out to as many labs as run; without it, all go to one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.support.cluster_objects import clear_clusters, resource_versions
from tests.integration.support.lab_mesh import CLUSTERS, Mesh, cleared_afterwards
from tests.integration.support.standing_link import StandingLink
from tests.integration.support.state_snapshots import folder_contents
from tests.lab import Lab
from tests.lab.lifecycle import is_up
from tests.lab.settings import load_settings

LABS = ("lab", "lab2")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return len(_labs())


def pytest_configure() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["CROSSMESH_LAB"] = _labs()[int(worker.removeprefix("gw"))]


def _labs() -> list[str]:
    """The labs to use: the one that was asked for, or all that run. Where none does, tests of the first say so."""
    first = load_settings()
    if os.environ.get("CROSSMESH_LAB") or os.environ.get("CROSSMESH_LAB_STATE"):
        return [first.name]
    found = [name for name in LABS if is_up(replace(first, name=name, state=first.state.with_name(name)))]
    return found or [first.name]


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Without the link that the demo may have left in it, or a test that was killed."""
    found = Lab.load()
    clear_clusters(found, CLUSTERS)
    return found


@pytest.fixture(scope="session")
def standing_link(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> StandingLink:
    return StandingLink(lab, tmp_path_factory.mktemp("kept") / "ca", secrets.token_urlsafe(24))


@pytest.fixture
def mesh(lab: Lab, standing_link: StandingLink, tmp_path: Path) -> Iterator[Mesh]:
    """A described mesh that nothing was done for yet; taken down again whatever the test made of it."""
    with cleared_afterwards(Mesh(lab, tmp_path, standing_link.passphrase)) as found:
        yield found


@pytest.fixture
def linked_mesh(mesh: Mesh, standing_link: StandingLink) -> Mesh:
    """The tutorial's MySQL link, in place."""
    standing_link.put_in_place(mesh)
    return mesh


@pytest.fixture(scope="module")
def shared_mesh(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The same, for all tests of a file: they look at it, or use `restored_mesh`."""
    with cleared_afterwards(Mesh(lab, tmp_path_factory.mktemp("mesh"), standing_link.passphrase)) as found:
        standing_link.put_in_place(found)
        yield found


@pytest.fixture
def restored_mesh(shared_mesh: Mesh, standing_link: StandingLink) -> Iterator[Mesh]:
    """The file's mesh; whatever a test does to the clusters or the CA, the next one finds it in place."""
    before = _state(shared_mesh)
    yield shared_mesh
    if _state(shared_mesh) != before:
        standing_link.put_in_place(shared_mesh)


def _state(mesh: Mesh) -> tuple[list[dict[str, str]], dict[str, tuple[int, str]]]:
    return [resource_versions(mesh.lab, cluster) for cluster in CLUSTERS], folder_contents(mesh.store)
