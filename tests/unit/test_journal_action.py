# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who an entry of the audit journal names, and which refusals are one: as a run of ansible-playbook writes it."""

from __future__ import annotations

import base64
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca_journal_info
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of, refusals
from tests.unit.ca.support import file_store, journal_of, keep
from tests.unit.pki.support import PASSPHRASE, make_root
from tests.unit.support import CHECKOUT, Json, run_action

UNKNOWN = "ab" * 32


def login() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


class TestAuthor:
    @pytest.mark.parametrize("platform", ["awx", "tower"])
    def test_a_job_of_a_platform_names_itself_and_who_started_it(self, platform: str) -> None:
        found = author_of({f"{platform}_job_id": 42, f"{platform}_user_name": "kim"})
        assert (found.run, found.operator) == ("job 42", "kim")

    def test_elsewhere_it_is_the_user_of_the_process_whatever_the_environment_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("LOGNAME", "USER", "SUDO_USER"):
            monkeypatch.setenv(name, "somebody")
        assert author_of({}).operator == login()
        assert author_of({}).run == author_of({}).run != ""

    def test_a_user_without_a_name_is_a_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
        assert author_of({}).operator == "uid 3999999999"

    @pytest.mark.parametrize("value", [None, "", ["kim"], {"a": 1}])
    def test_what_is_no_name_is_not_given(self, value: Any) -> None:
        assert author_of({"awx_user_name": value, "awx_job_id": value}).operator == login()

    def test_a_name_is_no_template(self) -> None:
        assert author_of({"awx_user_name": "{{ 6 * 7 }}"}).operator == "{{ 6 * 7 }}"


class TestRefusals:
    @pytest.fixture
    def variables(self, tmp_path: Path) -> Variables:
        store, root = file_store(tmp_path / "ca"), make_root()
        store.create(PASSPHRASE, root.key, root.view.pem)
        return Variables({"custom_ca_dir": str(tmp_path / "ca"), "inventory_hostname": "cluster-b"}, None)

    def stop(self, variables: Variables, kind: type[CrossmeshError], *, check: bool = False) -> Json:
        """The last entry after an error of this kind."""
        store = variables.store()
        message = Message.error("rotation-blocked", where="ca", what="blocked")
        with pytest.raises(kind), refusals(store, variables, "custom_ca_rotation", check=check):
            raise kind(message, Message.error("not-ours", where="x", what="y"), message)
        return journal_of(store)[-1]

    def test_one_is_an_entry_with_its_codes(self, variables: Variables) -> None:
        found = self.stop(variables, CrossmeshError)
        assert (found["kind"], found["codes"]) == ("refused", ["rotation-blocked", "not-ours"])
        assert (found["action"], found["cluster"], found["where"]) == ("custom_ca_rotation", "cluster-b", "ca")

    def test_check_mode_and_what_was_done_in_part_are_none(self, variables: Variables) -> None:
        assert self.stop(variables, CrossmeshError, check=True)["kind"] == "root-trusted"
        assert self.stop(variables, UnfinishedError)["kind"] == "root-trusted"

    def test_a_store_that_cannot_be_used_is_the_error_that_is_told(self, variables: Variables) -> None:
        store = variables.store()
        (Path(store.where) / "authority.json").write_text("{")
        error = CrossmeshError(Message.error("store-damaged", where="ca", what="damaged"))
        with pytest.raises(CrossmeshError) as failure, refusals(store, variables, "custom_ca", check=False):
            raise error
        assert failure.value is error


PLAY = f"""\
- hosts: all
  gather_facts: false
  tasks:
    - crossmesh.mtls.custom_ca:
        expected: ["{UNKNOWN}"]
      ignore_errors: true
- hosts: a
  gather_facts: false
  tasks:
    - crossmesh.mtls.custom_ca:
        expected: ["{UNKNOWN}"]
      ignore_errors: true
    - crossmesh.mtls.custom_ca_journal_info:
      register: found
    - ansible.builtin.debug:
        msg: "FOUND{{{{ found | to_json | b64encode }}}}FOUND"
"""


def test_all_tasks_of_a_run_are_one_run_and_the_next_is_another(tmp_path: Path) -> None:
    """Three hosts at once, each in a process of its own, and a second play."""
    store, root = file_store(tmp_path / "ca"), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts").write_text("a\nb\nc\n[all:vars]\nansible_connection=local\n")
    run(tmp_path)
    # What waits for a signature is not told again before it has one.
    keep(store, [])
    found = result_in(run(tmp_path))
    told = [entry for entry in journal_of(store) if entry["kind"] == "refused"]
    runs = [entry["run"] for entry in told]
    assert [entry["codes"] for entry in told] == [["wrong-store"]] * 6
    assert {entry["operator"] for entry in told} == {login()}
    assert [len(set(runs[:3])), len(set(runs[3:])), len(set(runs))] == [1, 1, 2]
    assert (found["signed"], found["unsigned"], found["problems"]) == (6, 3, [])
    assert found["msg"] == "the audit journal is whole: 6 entries are signed; 3 more are not yet signed"


def test_a_journal_that_was_changed_is_told_and_fails_no_task(tmp_path: Path) -> None:
    store, root = file_store(tmp_path / "ca"), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    (segment,) = (tmp_path / "ca/journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b'"created"', b'"erected"'))
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts").write_text("a\n[all:vars]\nansible_connection=local\n")
    output = run(tmp_path)
    assert "entry 2 was edited" in output.partition("[WARNING]")[2]
    found = result_in(output)
    assert (found["signed"], found["msg"], found["problems"][0][-17:]) == (0, "", "[journal-changed]")


def test_a_store_that_cannot_even_be_opened_is_told_and_fails_no_task(tmp_path: Path) -> None:
    """What is found here keeps no cluster from being verified."""
    kept = {"custom_ca_store": "kubernetes", "custom_ca_store_kubeconfig": str(tmp_path / "nowhere")}
    found = run_action(custom_ca_journal_info, {}, {**kept, "mesh_links": []})
    assert "failed" not in found, found
    assert "nowhere" in found["problems"][0]
    assert (found["signed"], found["msg"]) == (0, "")
    # The control: where there is one, or none yet, nothing is wrong.
    assert run_action(custom_ca_journal_info, {}, {"custom_ca_dir": str(tmp_path / "ca")})["problems"] == []


INVENTORY = """\
[mesh_servers]
b mesh_trust_domain=b.example mesh_kubeconfig=/nowhere
[mesh_clients]
a mesh_trust_domain=a.example mesh_kubeconfig=/nowhere
"""


@pytest.mark.slow
def test_verify_fails_for_a_journal_that_was_changed(tmp_path: Path) -> None:
    """Whatever becomes of the clusters, which are away."""
    store, root = file_store(tmp_path / "ca"), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    (tmp_path / "hosts").write_text(INVENTORY)
    verify = str(CHECKOUT / "playbooks/verify.yml")
    last = "Fail where a cluster was not covered"
    sound = run(tmp_path, verify, ends=2).partition(last)[2]
    assert "the audit journal is whole: 3 entries are signed" in sound
    assert "failed=0" in sound.partition("localhost  ")[2]
    (segment,) = (tmp_path / "ca/journal").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b'"created"', b'"erected"'))
    changed = run(tmp_path, verify, ends=2).partition(last)[2]
    assert "entry 2 was edited" in changed
    assert "failed=1" in changed.partition("localhost  ")[2]


def result_in(output: str) -> Json:
    found: Json = json.loads(base64.b64decode(output.split("FOUND")[1]))
    return found


def run(folder: Path, playbook: str = "play.yml", ends: int = 0) -> str:
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "-i", "hosts"]
    given = [
        "-e",
        f"custom_ca_dir={folder}/ca",
        "-e",
        json.dumps({"mesh_links": [], "custom_ca_passphrase": PASSPHRASE}),
    ]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_CONFIG": str(folder / "none.cfg"),
    }
    done = subprocess.run([*command, *given], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout + done.stderr
