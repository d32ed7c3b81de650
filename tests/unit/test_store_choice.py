# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where actions keep the CA: a folder that lasts, or Secrets of a management cluster; never a job's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, custom_ca_info, custom_ca_move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import secret_storage
from ansible_collections.crossmesh.mtls.plugins.plugin_utils import _action
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.pki.support import PASSPHRASE
from tests.unit.support import Json, run_action


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private data directory of ansible-runner, as its process finds it."""
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", str(tmp_path / "runner/artifacts/61"))
    monkeypatch.delenv("AWX_PRIVATE_DATA_DIR", raising=False)
    (tmp_path / "runner/inventory").mkdir(parents=True)
    return tmp_path / "runner"


def variables(place: Path, **more: Any) -> Json:
    sources = [str(place / "inventory/hosts")]
    return {"ansible_inventory_sources": sources, "custom_ca_passphrase": PASSPHRASE, "mesh_links": [], **more}


def codes(result: Json) -> list[str]:
    return [error["code"] for error in result.get("errors", ())]


class TestAJobsOwnFolder:
    @pytest.mark.parametrize("check", [False, True])
    def test_no_ca_is_made_there_and_nothing_is_left(self, job: Path, check: bool) -> None:
        found = run_action(custom_ca, {}, variables(job), check=check)
        assert codes(found) == ["fleeting-store"]
        assert str(job) in found["msg"]
        assert "custom_ca_store: kubernetes" in found["msg"]
        assert not (job / "inventory/.crossmesh").exists()

    def test_preflight_says_so(self, job: Path) -> None:
        found = run_action(custom_ca_info, {}, variables(job))
        assert [problem["code"] for problem in found["problems"]] == ["fleeting-store"]

    def test_one_that_was_named_is_taken(self, job: Path) -> None:
        found = run_action(custom_ca, {}, variables(job, custom_ca_dir=str(job / "inventory/ca")))
        assert (found.get("failed", False), found["changed"]) == (False, True)

    def test_one_outside_of_it_is_taken(self, job: Path, tmp_path: Path) -> None:
        (tmp_path / "inventory").mkdir()
        assert run_action(custom_ca, {}, variables(tmp_path))["changed"]

    def test_a_ca_that_is_there_is_used(self, job: Path) -> None:
        there = variables(job, custom_ca_dir=str(job / "inventory/.crossmesh/ca"))
        assert run_action(custom_ca, {}, there)["changed"]
        found = run_action(custom_ca, {}, variables(job))
        assert (found.get("failed", False), found["changed"]) == (False, False)


class TestSecrets:
    KUBECONFIG = Path(__file__).with_name("kubeconfig.yml")

    @pytest.fixture
    def cluster(self, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
        """In the place of the management cluster."""
        cluster = FakeCluster()

        def api(connection: Any, _limits: Any) -> FakeCluster:
            cluster.where = connection.where
            return cluster

        monkeypatch.setattr(_action, "Api", api)
        return cluster

    def given(self, tmp_path: Path, **more: Any) -> Json:
        chosen = {"custom_ca_store": "kubernetes", "custom_ca_store_kubeconfig": str(self.KUBECONFIG)}
        return variables(tmp_path, **{**chosen, "mesh_instance": "blue", **more})

    def test_the_ca_is_kept_there_and_found_there_and_nothing_on_disk(
        self, cluster: FakeCluster, tmp_path: Path
    ) -> None:
        made = run_action(custom_ca, {}, self.given(tmp_path))
        assert (made.get("failed", False), made["changed"]) == (False, True)
        assert "Secret crossmesh/crossmesh-ca-blue, " in made["authority"]["path"]
        assert "crossmesh-ca-blue" in cluster.secrets()
        again = run_action(custom_ca, {}, self.given(tmp_path))
        assert (again["changed"], again["authority"]["issuing"]) == (False, made["authority"]["issuing"])
        assert list(tmp_path.iterdir()) == []
        assert run_action(custom_ca, {"state": "absent"}, self.given(tmp_path))["changed"]
        assert cluster.objects == {}

    def test_check_mode_writes_nothing(self, cluster: FakeCluster, tmp_path: Path) -> None:
        assert run_action(custom_ca, {}, self.given(tmp_path), check=True)["changed"]
        assert cluster.objects == {}

    def test_a_word_that_is_none_is_refused_and_no_folder_is_made(self, cluster: FakeCluster, tmp_path: Path) -> None:
        for given, code in (("vault", "ca-store"), ("", "ca-store")):
            assert codes(run_action(custom_ca, {}, self.given(tmp_path, custom_ca_store=given))) == [code]
        wrong = self.given(tmp_path, custom_ca_store_name="A")
        assert codes(run_action(custom_ca, {}, wrong)) == ["ca-store-name"]
        assert list(tmp_path.iterdir()) == []

    def test_a_kubeconfig_that_is_not_there_is_told_by_its_variable(self, tmp_path: Path) -> None:
        nowhere = self.given(tmp_path, custom_ca_store_kubeconfig=str(tmp_path / "none"))
        found = run_action(custom_ca, {}, nowhere)
        assert codes(found) == ["kubeconfig"]
        assert "set custom_ca_store_kubeconfig to a file that exists" in found["msg"]

    def test_a_namespace_that_is_missing_is_told(self, cluster: FakeCluster, tmp_path: Path) -> None:
        found = run_action(custom_ca, {}, self.given(tmp_path, custom_ca_store_namespace="elsewhere"))
        assert codes(found) == ["no-namespace"]
        assert cluster.objects == {}

    def test_preflight_names_a_missing_namespace_and_all_that_the_user_may_not_do(
        self, cluster: FakeCluster, tmp_path: Path
    ) -> None:
        def problems(**more: Any) -> list[Json]:
            return list(run_action(custom_ca_info, {}, self.given(tmp_path, **more))["problems"])

        assert [found["code"] for found in problems(custom_ca_store_namespace="elsewhere")] == ["no-namespace"]
        cluster.denied = frozenset({("create", "secrets"), ("delete", "secrets"), ("update", "leases")})
        (found,) = problems()
        assert found["code"] == "store-not-permitted"
        assert "may not create secrets, delete secrets, update leases" in found["what"]
        assert "crossmesh-ca-store" in found["fix"]
        cluster.denied = frozenset()
        assert problems() == []
        assert cluster.objects == {}

    def test_the_place_that_it_leaves_is_judged_too(self, cluster: FakeCluster, tmp_path: Path) -> None:
        back = self.given(tmp_path, custom_ca_store="directory", custom_ca_store_namespace="../kube-system")
        assert codes(run_action(custom_ca_move, {}, back)) == ["ca-store-name"]
        assert cluster.reads == []

    def test_it_is_moved_from_the_folder_and_said_so(self, cluster: FakeCluster, tmp_path: Path) -> None:
        folder = str(tmp_path / "ca")
        there, here = (
            self.given(tmp_path, custom_ca_dir=folder, **more) for more in ({}, {"custom_ca_store": "directory"})
        )
        made = run_action(custom_ca, {}, here)
        assert run_action(custom_ca_move, {}, there, check=True)["changed"]
        assert cluster.objects == {}
        moved = run_action(custom_ca_move, {}, there)
        assert (moved["changed"], moved["diff"]["before"]) == (True, {"path": folder})
        assert not run_action(custom_ca_move, {}, there)["changed"]
        found = run_action(custom_ca, {}, there)
        assert (found["changed"], found["authority"]["issuing"]) == (False, made["authority"]["issuing"])
        assert codes(run_action(custom_ca, {}, here)) == ["store-moved"]


def test_who_keeps_a_folder_imports_nothing_of_secrets() -> None:
    """Each task would compile it."""
    assert secret_storage.__name__.rpartition(".")[2] not in vars(_action)
