# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a side and of the playbooks tell and keep, whichever of them fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.unit.support import CHECKOUT, Json

TASKS = CHECKOUT / "roles/mesh_side/tasks"
REFUSED = "the port of the link is taken by others"


def acted(folder: Path, **plan: list[str]) -> tuple[int, str]:
    """Exit code and output; there is no look, so whatever acts on one fails."""
    everything: Json = {
        "side": "server",
        **{key: [] for key in ("barring", "errors", "faults", "credentials", "renewals", "lines", "manifests")},
        **plan,
    }
    given: Json = {"mesh_side_plan": everything, "__mesh_side_title": "server's side", "__mesh_side_look": {}}
    return played(folder, [{"ansible.builtin.include_tasks": str(TASKS / "act.yml")}], given)


def played(
    folder: Path, tasks: list[Json], variables: Json, hosts: Json | None = None, group: str = "others"
) -> tuple[int, str]:
    """Exit code and output of a play over localhost.

    :param hosts: what the inventory says of other hosts; then over those.
    :param group: that they are in.
    """
    play: Json = {
        "hosts": "all" if hosts else "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": variables,
        "tasks": tasks,
    }
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    (folder / "hosts.yml").write_text(json.dumps({group: {"hosts": hosts or {}}}), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "crossmesh.mtls.brief",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_is_refused_is_told_once_though_a_renewal_beside_it_fails(tmp_path: Path) -> None:
    code, output = acted(tmp_path, errors=[REFUSED], credentials=["mysql-credential"], renewals=["renew one"])
    assert code == 2
    assert "localhost: renew one" in output
    assert "failed: [localhost] Issue certificates" in output, "the control: it fails before the rest is refused"
    assert output.count(REFUSED) == 1


def test_what_is_refused_is_told_once_where_nothing_is_due(tmp_path: Path) -> None:
    code, output = acted(tmp_path, errors=[REFUSED])
    assert code == 2
    assert output.count(REFUSED) == 1
    assert "Refuse the rest" not in output


def test_a_side_of_which_only_the_proof_fails_is_failed(tmp_path: Path) -> None:
    code, output = acted(tmp_path, lines=["create a Gateway"])
    assert code == 2
    assert "failed: [localhost] Wait until every ready gateway pod serves it" in output
    assert "Refuse the rest" not in output


def test_a_look_that_fails_takes_back_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    tasks: list[Json] = [
        {"ansible.builtin.set_fact": {"__mesh_side_look": {"lists_due": "shown by the first look"}}},
        {
            "block": [{"ansible.builtin.include_tasks": str(TASKS / "stage.yml")}],
            "rescue": [
                {"ansible.builtin.debug": {"msg": "the control: {{ ansible_failed_task.name }} failed"}},
                {"ansible.builtin.assert": {"that": "false", "fail_msg": "{{ __mesh_side_look.lists_due }}"}},
            ],
        },
    ]
    given: Json = {"mesh_side_stage": "all", "mesh_side_force": False, "mesh_links": "none that is sound"}
    _code, output = played(tmp_path, tasks, given)
    assert "the control: Look at the credentials failed" in output
    assert "shown by the first look" in output


def renewed_next(folder: Path, side: str, *outcomes: Json) -> str:
    """Why a cluster whose turn comes after these is left out."""
    hosts: Json = {f"cluster-{number}": {"__mesh_rotate_outcome": found} for number, found in enumerate(outcomes)}
    tasks: list[Json] = [
        {"when": "inventory_hostname != 'next'", "ansible.builtin.meta": "end_host"},
        {"ansible.builtin.include_tasks": str(CHECKOUT / "playbooks/tasks/renew.yml")},
        {"ansible.builtin.assert": {"that": "false", "fail_msg": "{{ __mesh_rotate_left_out }}"}},
    ]
    _code, output = played(folder, tasks, {"mesh_rotate_now": side}, {**hosts, "next": {}})
    return " ".join(output.split())


def test_servers_that_were_proven_keep_no_rotation_of_clients_going(tmp_path: Path) -> None:
    both: Json = {"server": "proven", "client": "unproven"}
    said = renewed_next(tmp_path, "client", both, both, {"server": "proven"}, {"server": "proven"})
    assert "next keeps its certificates: of 2 clusters that got new ones, 2 were not seen to serve them" in said
    assert "[rotation-stopped]" in said


def test_one_client_that_was_not_proven_keeps_none_from_its_turn(tmp_path: Path) -> None:
    said = renewed_next(tmp_path, "client", {"server": "proven", "client": "unproven"}, {"server": "proven"})
    assert "[rotation-stopped]" not in said
    assert "[left-out]" in said, "the control: it had its turn, and there is no cluster to look at"


def test_verify_tells_of_external_servers_though_the_journal_was_changed(tmp_path: Path) -> None:
    last = yaml.safe_load((CHECKOUT / "playbooks/verify.yml").read_text(encoding="utf-8"))[-1]
    tasks = [task for task in last["tasks"] if "ansible.builtin.import_role" not in task]
    given: Json = {
        "__mesh_side_summary": {"not_covered": ""},
        "__custom_ca_journal": {"problems": ["entry 2 was edited"], "msg": ""},
        "__custom_ca_external": {"errors": ["one"], "msg": "external server bank could not be read"},
    }
    code, output = played(tmp_path, tasks, given)
    assert code == 2
    assert "entry 2 was edited" in output
    assert "external server bank could not be read" in output


def told(folder: Path, tasks: list[Json], variables: Json, hosts: Json | None = None) -> tuple[int, str, Json]:
    """Exit code, output, and by check the code with which it ended, as the results say.

    :param hosts: clusters, which are clients.
    """
    where: Json = {"mesh_results_dir": str(folder / "results"), "mesh_side_playbook": "rotate_ca"}
    code, output = played(folder, tasks, {**where, **variables}, hosts, "mesh_clients")
    path = folder / "results/rotate_ca.json"
    found = json.loads(path.read_text()) if path.exists() else {"suites": []}
    return code, output, {case["name"]: case["code"] for suite in found["suites"] for case in suite["cases"]}


def of_side(name: str) -> Json:
    return {"ansible.builtin.import_role": {"name": "crossmesh.mtls.mesh_side", "tasks_from": name}}


def test_a_gate_that_refuses_leaves_its_reason_in_the_results(tmp_path: Path) -> None:
    given: Json = {
        "mesh_side_step": "switch",
        "mesh_links": [],
        "custom_ca_dir": str(tmp_path / "nothing"),
        "__mesh_side_look": {"state": "seen before"},
    }
    code, output, found = told(tmp_path, [of_side("move.yml")], given)
    assert code == 2
    assert "[no-ca]" in output
    assert found["ca"] == "no-ca"


def test_an_inventory_that_is_wrong_and_a_run_that_has_not_ended_stand_in_the_results(tmp_path: Path) -> None:
    code, _output, found = told(tmp_path, [of_side("validate.yml")], {"mesh_links": [{"name": "mysql"}]})
    assert code == 2
    assert found["inventory"] == "missing"
    assert found["run"] == "run-unfinished"


def test_where_no_cluster_is_left_the_results_say_why(tmp_path: Path) -> None:
    away: Json = {"msg": "refused. [api-unreachable]", "errors": []}
    hosts: Json = {"cluster-a": {"__mesh_side_look": away}}
    tasks = [
        {
            "block": [{"ansible.builtin.assert": {"that": "false", "fail_msg": "refused"}}],
            "always": [of_side("nobody_left.yml")],
        }
    ]
    code, _output, found = told(tmp_path, tasks, {"mesh_links": []}, hosts)
    assert code == 2
    assert found["look"] == "api-unreachable"


def test_unless_it_is_asked_for_nothing_is_written(tmp_path: Path) -> None:
    code, _output, found = told(tmp_path, [of_side("validate.yml")], {"mesh_results_dir": "", "mesh_links": [{}]})
    assert (code, found) == (2, {})
    assert not (tmp_path / "results").exists()
