# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history as people see it in a terminal, and as the next task gets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, mesh_history_info
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Author, Event
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Storage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.plugin_utils import _action
from tests.unit.ca.fake_cluster import FakeCluster
from tests.unit.ca.support import file_store, keep, record
from tests.unit.pki.support import PASSPHRASE, Root, make_leaf, make_root
from tests.unit.support import CHECKOUT, Json, link, run_action

HISTORY = str(CHECKOUT / "playbooks/history.yml")
RUN = "3f0c2b1e-0f4e-4d0e-9d0e-1b0e8a1e0f4e"


@pytest.fixture(scope="module")
def own() -> Root:
    return make_root()


@pytest.fixture(scope="module")
def issued(own: Root) -> Record:
    return replace(record(make_leaf(own)), issuer=own.view.fingerprint)


def fill(storage: Storage, own: Root, issued: Record) -> CaStore:
    """Four signed entries of kim's, and one of eve's that waits."""
    store = CaStore(storage, iterations=1000, author=Author(RUN, "kim", "crossmesh.mtls.site"))
    store.create(PASSPHRASE, own.key, own.view.pem)
    keep(store, [issued])
    other = CaStore(storage, iterations=1000, author=Author("job 4712", "eve\x1b[31m", "site.yml"))
    other.note(Event("refused", {"action": "custom_ca", "codes": ["wrong-store"], "cluster": "cluster-b"}))
    return store


def variables(folder: Path, **more: Any) -> Json:
    return {
        "custom_ca_dir": str(folder / "ca"),
        "mesh_links": [link(), link(name="ledger", fqdn="ledger.server.example.com", tls_port=13307)],
        "groups": {"mesh_servers": ["b"], "mesh_clients": []},
        "hostvars": {"b": {"inventory_hostname": "b", "mesh_cluster_name": "cluster-b", "group_names": []}},
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path, own: Root, issued: Record) -> Path:
    fill(file_store(tmp_path / "ca")._storage, own, issued)
    return tmp_path


def told(folder: Path, of: str = "", **more: Any) -> Json:
    return run_action(mesh_history_info, {"of": of}, variables(folder, **more))


def test_everything_is_a_table_with_the_newest_last(folder: Path, capsys: Any, issued: Record) -> None:
    result = told(folder)
    head, *rows, end = capsys.readouterr().out.splitlines()
    assert head.split() == ["WHEN", "WHO", "RUN", "PLAYBOOK", "WHAT", "WHICH"]
    assert [row.split()[4] for row in rows[:-1]] == ["begun", "created", "root-trusted", "issued"]
    assert rows[3].split()[1:5] == ["kim", RUN[:8], "crossmesh.mtls.site", "issued"]
    assert f"certificate {issued.serial}, server side, cluster cluster-b, link mysql" in rows[3]
    assert rows[-1].endswith("refused       custom_ca, wrong-store, cluster cluster-b; not signed")
    assert end == "5 of 5 entries; the audit journal is whole: 4 entries are signed; 1 more are not yet signed"
    assert [item["kind"] for item in result["entries"]] == ["begun", "created", "root-trusted", "issued", "refused"]
    assert (result["signed"], result["unsigned"], result["untold"], result["problems"]) == (4, 1, 0, [])
    assert result["entries"][3]["run"] == RUN
    assert result["entries"][3]["fields"]["fingerprint"] == issued.fingerprint


def test_what_a_terminal_obeys_is_written_out(folder: Path, capsys: Any) -> None:
    result = told(folder)
    shown = capsys.readouterr().out + json.dumps(result)
    assert "\\u001b[31m" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("of", ["mysql", "mysql.server.example.com", "istio-system/mysql-credential"])
def test_the_history_of_one_thing(folder: Path, capsys: Any, of: str) -> None:
    assert [item["kind"] for item in told(folder, of)["entries"]] == ["issued"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 of 5 entries; the audit journal is whole")


def test_a_link_without_entries_is_no_error_and_an_unknown_one_is(folder: Path, capsys: Any) -> None:
    assert told(folder, "ledger")["entries"] == []
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 of 5 entries")
    result = told(folder, "leger")
    assert [error["code"] for error in result["errors"]] == ["history-unknown"]
    assert result["msg"].startswith("mesh_history_of: leger: nothing of this name")
    assert "Fix: write ledger" in result["msg"]


def test_a_journal_that_was_changed_is_shown_and_told(folder: Path, capsys: Any) -> None:
    (segment,) = (path for path in (folder / "ca/journal").iterdir() if not path.name.startswith("after"))
    segment.write_bytes(segment.read_bytes().replace(b'"created"', b'"erected"'))
    result = told(folder)
    assert "failed" not in result
    assert "entry 2 was edited" in result["problems"][0]
    assert [item["kind"] for item in result["entries"]][1] == "erected"
    assert not any(item["signed"] for item in result["entries"])
    assert "entry 2 was edited" in capsys.readouterr().out.splitlines()[-1]


def test_a_store_that_cannot_be_read_is_one_message(folder: Path) -> None:
    (folder / "ca/authority.json").write_text("{")
    assert [error["code"] for error in told(folder)["errors"]] == ["store-damaged"]


@pytest.mark.parametrize("of", [{}, {"of": "mysql"}], ids=["everything", "a-link"])
def test_without_a_ca_it_is_said_where_there_is_none(tmp_path: Path, capsys: Any, of: dict[str, str]) -> None:
    assert told(tmp_path, **of)["entries"] == []
    assert capsys.readouterr().out == f"there is no CA in {tmp_path}/ca yet, and so no audit journal\n"


def test_a_store_in_secrets_is_read_by_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    monkeypatch.setattr(_action, "Api", lambda _connection, _limits: cluster)
    kubeconfig = str(Path(__file__).with_name("kubeconfig.yml"))
    kept = {"custom_ca_store": "kubernetes", "custom_ca_store_kubeconfig": kubeconfig, "custom_ca_dir": ""}
    given = variables(tmp_path, **kept, custom_ca_passphrase=PASSPHRASE)
    assert run_action(custom_ca, {}, given)["changed"]
    found = run_action(mesh_history_info, {}, given)
    assert [item["kind"] for item in found["entries"]] == ["begun", "created", "root-trusted"]
    cluster.denied = frozenset({("list", "secrets"), ("get", "secrets")})
    assert len(run_action(mesh_history_info, {}, given)["errors"]) == 1


INVENTORY = "[mesh_servers]\ncluster-b\n[mesh_clients]\n"
MAKE = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - crossmesh.mtls.custom_ca:
"""


def test_the_playbook_tells_which_playbook_made_the_ca(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(INVENTORY)
    (tmp_path / "make.yml").write_text(MAKE)
    play(tmp_path, "make.yml")
    output = play(tmp_path, HISTORY)
    rows = [line.split() for line in output.splitlines() if "root-trusted" in line]
    assert [row[3:5] for row in rows] == [["make.yml", "root-trusted"]]
    assert "the audit journal is whole: 3 entries are signed" in output
    refused = play(tmp_path, HISTORY, "-e", "mesh_history_of=cluster-x", ends=2)
    assert "history-unknown" in refused
    assert "write cluster-b" in refused


def play(folder: Path, playbook: str, *given: str, ends: int = 0) -> str:
    command = [str(Path(sys.executable).with_name("ansible-playbook")), playbook, "-i", "hosts", *given]
    values = json.dumps({"mesh_links": [], "custom_ca_passphrase": PASSPHRASE, "custom_ca_dir": str(folder / "ca")})
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_CONFIG": str(folder / "none.cfg"),
    }
    done = subprocess.run(
        [*command, "-e", values], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout + done.stderr
