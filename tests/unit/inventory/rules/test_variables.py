# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable that nothing reads is told of, and one of somebody else is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.action import mesh_topology_info
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.variables import unknown_variables
from tests.unit.support import CHECKOUT, CLIENT, MYSQL, SERVER, Json, run_action


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mesh_linkz", "mesh_links"),
        ("mesh_ingres_gateway", "mesh_ingress_gateway"),
        ("mesh_custer_name", "mesh_cluster_name"),
        ("mesh_rotate_phaze", "mesh_rotate_phase"),
        ("custom_ca_leaf_validity_day", "custom_ca_leaf_validity_days"),
        ("custom_ca_pasphrase", "custom_ca_passphrase"),
        ("mesh_kubecfg", "mesh_kubeconfig"),
    ],
)
def test_a_misspelt_name_is_told_with_the_name_that_is_like_it(name: str, meant: str) -> None:
    found = unknown_variables(["ansible_user", meant, name])
    assert found is not None
    assert (found.code, found.level, found.where) == ("unknown-variable", "warning", name)
    assert found.fix.startswith(f"{name} may be {meant}: ")


def test_a_name_that_is_like_none_is_told_without_a_guess() -> None:
    found = unknown_variables(["mesh_zzz"])
    assert found is not None
    assert "may be" not in found.fix


def test_all_of_them_are_one_message() -> None:
    found = unknown_variables(["mesh_zzz", "mesh_linkz", "custom_ca_dirr", "mesh_linkz"])
    assert found is not None
    assert found.where == "custom_ca_dirr, mesh_linkz, mesh_zzz"


def set_by_our_own_playbooks() -> set[str]:
    """Names of variables that plays, tasks and roles of the collection set or register."""
    names: set[str] = set()
    for path in [*CHECKOUT.glob("playbooks/**/*.yml"), *CHECKOUT.glob("roles/*/*/*.yml")]:
        names |= _set_in(yaml.safe_load(path.read_text()), within_role=path.parent.name in ("defaults", "vars"))
    return {name for name in names if name.startswith(schema.PREFIXES)}


def _set_in(content: Any, *, within_role: bool = False) -> set[str]:
    if isinstance(content, list):
        return set().union(*map(_set_in, content)) if content else set()
    if not isinstance(content, dict):
        return set()
    found = set(content) if within_role else set()
    for key, value in content.items():
        if key in ("vars", "ansible.builtin.set_fact") or key == "data":
            found |= set(value)
        elif key in ("register", "loop_var"):
            found.add(value)
        found |= _set_in(value)
    return found


# Of plays in which nothing validates, and of no inventory.
OF_A_PLAY = {"mesh_rotate_now"}


def test_what_our_own_playbooks_set_is_never_told_of() -> None:
    names = set_by_our_own_playbooks() - OF_A_PLAY
    assert {"mesh_side_plan", "mesh_preflight", "custom_ca_in_service"} <= names, "the probe finds them"
    assert unknown_variables(names) is None
    assert unknown_variables([*names, "mesh_linkz"]) is not None


def test_what_begins_otherwise_is_somebody_elses() -> None:
    assert unknown_variables(["__mesh_side_look", "meshlinks", "my_mesh_links", "custom_capacity", "groups"]) is None


def test_options_of_roles_are_as_their_argument_specs_have_them() -> None:
    specs = [yaml.safe_load(path.read_text()) for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml")]
    options = {name: value for spec in specs for name, value in spec["argument_specs"]["main"]["options"].items()}
    others = {field.name for field in (*schema.CONTRACT, *schema.SECRET)}
    found = {
        name: (option["type"], tuple(option.get("choices", ())))
        for name, option in options.items()
        if name not in others
    }
    assert {field.name: (field.type, field.choices) for field in schema.ROLE} == found


def names_read_in(path: Path) -> set[str]:
    asked = r"(?<![\w.])(?:mesh_(?!side_)|custom_ca_)\w+(?= *\| *default| is undefined)"
    return set(re.findall(asked, path.read_text()))


def test_what_playbooks_read_is_in_the_schema() -> None:
    found = set().union(*map(names_read_in, [*CHECKOUT.glob("playbooks/**/*.yml"), *CHECKOUT.glob("roles/*/*/*.yml")]))
    assert {"mesh_rotate_force", "custom_ca_restored", "mesh_preflight_report"} <= found, "the probe finds them"
    actions = [path.read_text() for path in CHECKOUT.glob("plugins/action/*.py")]
    asked = {name for text in actions for name in re.findall(r'of_playbook\("(\w+)"\)', text)}
    assert "mesh_schedule" in asked, "the probe finds them"
    assert (found | asked) - {field.name for field in schema.VARIABLES} == set()
    assert {field.name for field in schema.PLAYBOOK} <= found | asked


def run(known: Json, of_server: Json, **arguments: Any) -> Json:
    """What the validation on localhost says of two clusters."""
    shared = {"mesh_links": [MYSQL]}
    hosts = {
        name: {"inventory_hostname": name, "group_names": given["groups"], "mesh_context": name, **shared, **more}
        for name, given, more in (("cluster-b", SERVER, of_server), ("cluster-a", CLIENT, {}))
    }
    groups = {"mesh_servers": ["cluster-b"], "mesh_clients": ["cluster-a"], "all": list(hosts)}
    return run_action(mesh_topology_info, arguments, {**shared, **known, "groups": groups, "hostvars": hosts})


def test_validation_warns_of_them_wherever_they_stand_and_goes_on() -> None:
    assert run({}, {})["warnings"] == []
    for result in (run({"mesh_gate_timeuot": 5}, {}), run({}, {"mesh_gate_timeuot": 5})):
        assert not result.get("failed")
        (line,) = result["warnings"]
        assert line.startswith("mesh_gate_timeuot: ")
        assert line.endswith("[unknown-variable].") or line.endswith("[unknown-variable]")


def test_where_something_is_wrong_they_are_told_beside_it() -> None:
    result = run({"mesh_gate_timeout": "soon", "mesh_gate_timeuot": 5}, {})
    assert result["failed"]
    assert "unknown-variable" in str(result["warnings"])
