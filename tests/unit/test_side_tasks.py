# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a side tell, whichever of them fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.support import CHECKOUT, Json

TASKS = CHECKOUT / "roles/mesh_side/tasks/act.yml"
REFUSED = "the port of the link is taken by others"


def acted(folder: Path, **plan: list[str]) -> tuple[int, str]:
    """Exit code and output; there is no look, so whatever acts on one fails."""
    everything: Json = {
        "side": "server",
        **{key: [] for key in ("barring", "errors", "faults", "credentials", "renewals", "lines", "manifests")},
        **plan,
    }
    play: Json = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"mesh_side_plan": everything, "__mesh_side_title": "server's side", "__mesh_side_look": {}},
        "tasks": [{"ansible.builtin.include_tasks": str(TASKS)}],
    }
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "crossmesh.mtls.brief",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(folder / "play.yml")]
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
