# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA in Secrets of a cluster, for jobs that have no disk: a whole life, several runs at once, moved to and fro."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_layout import Place
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.secret_storage import SecretStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from tests.integration.support.lab_mesh import Mesh, finished_run, passed
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.project_on_lab import HEAD, KEEPER
from tests.integration.support.service_accounts import NAMESPACE, store_account
from tests.lab import Lab
from tests.store.secret_stopping import SECRET_WORKS
from tests.store.work import Work
from tests.unit.ca.fake_cluster import named_pieces
from tests.unit.ca.support import quick
from tests.unit.support import CHECKOUT

# Keeps the CA; no link has an end there.


@pytest.fixture
def keeping(mesh: Mesh) -> Iterator[Mesh]:
    """A mesh whose CA is to be kept in Secrets, by an account that may do nothing else."""
    with store_account(mesh.lab, mesh.folder, KEEPER) as kubeconfig:
        yield mesh.with_changes(variables={**mesh.variables, **in_secrets(kubeconfig)})


def in_secrets(kubeconfig: Path) -> dict[str, str]:
    return {
        "custom_ca_store": "kubernetes",
        "custom_ca_store_namespace": NAMESPACE,
        "custom_ca_store_kubeconfig": str(kubeconfig),
        "custom_ca_store_context": KEEPER,
    }


def in_folder(mesh: Mesh) -> Mesh:
    return mesh.with_changes(variables={**mesh.variables, "custom_ca_store": "directory"})


def kept(mesh: Mesh) -> set[str]:
    found = mesh.get(KEEPER, "secrets", "-n", NAMESPACE, "-l", "crossmesh/ca-store")
    return {item["metadata"]["name"] for item in found["items"]}


@pytest.fixture(scope="module")
def account(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with store_account(lab, tmp_path_factory.mktemp("account"), KEEPER) as kubeconfig:
        yield kubeconfig


@pytest.mark.parametrize("work", SECRET_WORKS, ids=lambda work: work.name)
def test_an_api_server_takes_each_work_by_the_documented_rights(lab: Lab, account: Path, work: Work) -> None:
    """Versions, what never changes, Leases, and rights of which there are no more: as the real one has them."""
    place = Place(NAMESPACE, f"ca-{SECRET_WORKS.index(work)}")
    storage = SecretStorage(Api(connection_of(str(account), KEEPER, {}, account.parent)), place)
    store = quick(storage)
    storage.refuse_unwritable()
    work.begin(store)
    work.do(store)
    assert work.done(store)
    listed = ("get", "secrets", "-n", NAMESPACE, "-l", place.selector, "-o", "json")
    items = json.loads(lab.kubectl(KEEPER, *listed).stdout)["items"]
    found = {item["metadata"]["name"]: item for item in items}
    head = found.pop(place.name, None)
    pieces = named_pieces(head) if head else {}
    assert found.keys() == {f"{place.name}-{piece}" for ids in pieces.values() for piece in ids}
    assert all(item["immutable"] for item in found.values())
    assert bool(head) == (work.name != "destroy")


def test_a_whole_life_without_a_disk(keeping: Mesh) -> None:
    passed(keeping.site())
    assert HEAD in kept(keeping)
    assert not keeping.store.exists()
    assert keeping.carries()
    again = passed(keeping.site())
    assert again.changed == 0
    passed(keeping.play("verify"))
    with live_traffic(keeping.lab, 20, held=3) as traffic:
        passed(keeping.play("rotate_ca"))
    assert (traffic.lost, traffic.broken_sessions) == ([], [])
    passed(keeping.play("verify"))
    assert not keeping.store.exists()


@pytest.mark.slow
def test_a_backup_is_restored_by_the_documented_commands(keeping: Mesh) -> None:
    save, remove, restore = kubectl_lines((CHECKOUT / "docs/store.md").read_text(encoding="utf-8"))
    passed(keeping.site())
    before, backup = kept(keeping), keeping.folder / "ca-backup.yaml"
    backup.write_text(keeping.lab.kubectl(KEEPER, *save).stdout)
    keeping.lab.kubectl(KEEPER, *remove)
    assert not keeping.play("verify").ok
    keeping.lab.kubectl(KEEPER, *[str(backup) if word == backup.name else word for word in restore])
    assert kept(keeping) == before
    passed(keeping.play("verify"))
    assert passed(keeping.site()).changed == 0


def kubectl_lines(page: str) -> list[list[str]]:
    """What a page tells to do with kubectl, in its order, in the namespace of these tests."""
    lines = re.findall(r"^kubectl (.*?)(?: > .*)?$", page, re.MULTILINE)
    return [[NAMESPACE if word == "crossmesh" else word for word in line.split()] for line in lines]


@pytest.mark.slow
def test_runs_at_once_lose_nothing(keeping: Mesh) -> None:
    passed(keeping.site())
    at_once = [keeping.begin("rotate_certificates", "-e", "mesh_rotate_force=true") for _ in range(3)]
    runs = [finished_run(process.communicate(timeout=600), process.returncode) for process in at_once]
    # Who was overtaken by another run may say so, and nothing else.
    assert all(run.ok or run.reports("another-run") or run.reports("conflict") for run in runs), runs
    assert any(run.ok for run in runs)
    passed(keeping.play("rotate_certificates"))
    passed(keeping.play("verify"))
    assert keeping.carries()


@pytest.mark.slow
def test_it_moves_from_the_folder_to_secrets_and_back_under_traffic(keeping: Mesh) -> None:
    folder = in_folder(keeping)
    passed(folder.site())
    with live_traffic(keeping.lab, 20, held=3) as traffic:
        assert passed(keeping.play("move_ca", "--check")).changed == 1
        assert kept(keeping) == set()
        assert passed(keeping.play("move_ca")).changed == 1
        assert passed(keeping.play("move_ca")).changed == 0
        assert passed(keeping.site()).changed == 0
        passed(keeping.play("rotate_certificates", "-e", "mesh_rotate_force=true"))
        assert folder.site().reports("store-moved")
        assert passed(folder.play("move_ca")).changed == 1
        assert passed(folder.site()).changed == 0
        assert keeping.site().reports("store-moved")
    assert (traffic.lost, traffic.broken_sessions) == ([], [])
    passed(folder.play("verify"))


def test_a_namespace_that_is_missing_is_one_line(keeping: Mesh) -> None:
    nowhere = keeping.with_changes(variables={**keeping.variables, "custom_ca_store_namespace": "nowhere"})
    run = nowhere.site()
    assert not run.ok
    assert run.reports("not-permitted", "nowhere") or run.reports("no-namespace", "nowhere"), run.output
    assert run.changed == 0


def test_preflight_lists_all_that_the_user_may_not_do_there(keeping: Mesh) -> None:
    nowhere = keeping.with_changes(variables={**keeping.variables, "custom_ca_store_namespace": "default"})
    run = nowhere.play("preflight")
    assert not run.ok
    assert run.says("may not get secrets, list secrets, create secrets, update secrets, delete secrets, get leases")
    assert run.says("[store-not-permitted]")
