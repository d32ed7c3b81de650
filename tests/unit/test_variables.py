# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions make of a task's variables, and what filters find imported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import (
    contract,
    contracts,
    plain,
    value_of,
)
from tests.unit.inventory_values import HAS_TAGS, as_template, marked
from tests.unit.support import CHECKOUT, MYSQL, refused

UTILS = "ansible_collections.crossmesh.mtls.plugins.module_utils"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": ["b", {"c": None}]}, {"a": ["b", {"c": None}]}),
        ({1: "a", "1": "b", None: True}, {1: "a", "1": "b", None: True}),
        (("a", 7, 1.5, False), ["a", 7, 1.5, False]),
        ("text", "text"),
    ],
)
def test_values_stay_what_they_are(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_texts_lose_their_tags_wherever_they_stand() -> None:
    tagged = marked("text")
    assert type(tagged) is not str
    (key,), (value,) = zip(*plain({tagged: [tagged]}).items(), strict=True)
    assert [type(text) for text in (key, *value)] == [str, str]


def test_numbers_lose_their_tags() -> None:
    tagged = marked(13306)
    assert (type(tagged) is int) != HAS_TAGS
    assert [type(number) for number in plain([tagged, {"port": tagged}["port"], True])] == [int, int, bool]


@pytest.mark.parametrize("name", ["rotation_view", "rotation_stop", "preflight_report", "authority_state"])
def test_after_an_action_was_loaded_a_filter_has_nothing_more_to_import(name: str) -> None:
    """Else every worker would compile it."""
    program = (
        "import sys, importlib\n"
        "importlib.import_module('ansible_collections.crossmesh.mtls.plugins.plugin_utils._action')\n"
        "before = set(sys.modules)\n"
        f"importlib.import_module('ansible_collections.crossmesh.mtls.plugins.filter.{name}')\n"
        f"print(*sorted(m for m in set(sys.modules) - before if m.startswith('{UTILS}.')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "collections")}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("mesh_gate_timeout", "20", 20),
        ("mesh_gate_timeout", " 20 ", 20),
        ("mesh_gate_timeout", 20, 20),
        ("mesh_gate_timeout", "20 s", "20 s"),
        ("custom_ca_leaf_validity_days", "30", 30),
        ("mesh_adopt", "true", True),
        ("mesh_adopt", "No", False),
        ("mesh_adopt", "perhaps", "perhaps"),
        ("mesh_adopt", 1, True),
        ("mesh_adopt", "1", True),
        ("mesh_prune_all", 1, True),
        ("mesh_prune_all", 0, False),
        ("mesh_prune_all", "0", False),
        ("mesh_prune_all", False, False),
        # The controls: no switch, and no number.
        ("mesh_adopt", 2, 2),
        ("mesh_adopt", "2", "2"),
        ("mesh_adopt", 1.5, 1.5),
        ("mesh_gate_timeout", "--5", "--5"),
        ("mesh_gate_timeout", "-5", -5),
        ("mesh_instance", "7", "7"),
        ("mesh_ingress_gateway", {"service": "7"}, {"service": "7"}),
    ],
)
def test_numbers_and_switches_come_in_the_forms_that_ansible_takes(name: str, given: Any, expected: Any) -> None:
    """As -e and survey fields give them; what is no number stays, and the rules tell of it."""
    assert contract({"inventory_hostname": "cluster-a", name: given})[name] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": "3306", "tls_port": "13306"}, {"port": 3306, "tls_port": 13306}),
        ({"backend": {"host": "7", "port": "3306"}}, {"backend": {"host": "7", "port": 3306}}),
        ({"external": {"port": "13306", "sni": "7"}}, {"external": {"port": 13306, "sni": "7"}}),
        ({"retries": {"attempts": "2", "retry_on": "503"}}, {"retries": {"attempts": 2, "retry_on": "503"}}),
        ({"probe": {"required": "True", "status": "204"}}, {"probe": {"required": True, "status": "204"}}),
        ({"strict_backend": "no", "allow_backend_port": "True"}, {"strict_backend": False, "allow_backend_port": True}),
        ({"port": "", "strict_backend": ""}, {"port": None, "strict_backend": None}),
        # The controls: no number, no switch, and nothing that the schema knows.
        ({"port": "33o6", "strict_backend": "maybe"}, {"port": "33o6", "strict_backend": "maybe"}),
        ({"name": "7", "addresses": ["7"], "pront": "7"}, {"name": "7", "addresses": ["7"], "pront": "7"}),
        ({"backend": "3306", "retries": ["2"]}, {"backend": "3306", "retries": ["2"]}),
    ],
)
def test_numbers_and_switches_of_a_link_may_be_texts(given: Any, expected: Any) -> None:
    """As every template gives them before ansible-core 2.19."""
    assert contract({"inventory_hostname": "cluster-a", "mesh_links": [given]})["mesh_links"] == [expected]


def test_a_template_of_a_number_is_a_number() -> None:
    links = [as_template({**MYSQL, "port": "{{ shown }}", "strict_backend": "{{ shown == 3306 }}"})]
    known = {"inventory_hostname": "cluster-a", "shown": 3306, "mesh_links": links}
    known |= {"mesh_gate_timeout": as_template("{{ shown }}"), "mesh_egress_port": as_template("{{ none }}")}
    found = contract(known, Templar(DataLoader(), variables=known))
    assert found["mesh_links"] == [{**MYSQL, "port": 3306, "strict_backend": True}]
    assert found["mesh_gate_timeout"] == 3306
    assert "mesh_egress_port" not in found


def test_a_key_without_a_value_is_not_given() -> None:
    found = contract({"inventory_hostname": "cluster-a", "mesh_instance": None, "mesh_cluster_name": None})
    assert found == {"mesh_cluster_name": "cluster-a", "groups": []}


def test_nothing_but_the_contract_is_read() -> None:
    found = contract({"inventory_hostname": "cluster-a", "mesh_context": "a", "custom_ca_passphrase": "secret"})
    assert found == {"mesh_context": "a", "mesh_cluster_name": "cluster-a", "groups": []}


@pytest.mark.parametrize("value", ["{{ nowhere }}", ["{{ nowhere }}"]])
def test_a_variable_that_cannot_be_templated_is_an_error_of_its_name(value: Any) -> None:
    """Whichever of the contract's it is; one that can be is read."""
    known = {"inventory_hostname": "localhost", "mesh_kubeconfig": as_template(value), "nothing": "here"}
    templar = Templar(DataLoader(), variables=known)
    with refused("unreadable-variable") as failure:
        contract(known, templar)
    assert failure.value.message.where == "mesh_kubeconfig"
    assert failure.value.message.what == "its value uses nowhere, which is not defined for localhost"
    assert contract({**known, "mesh_kubeconfig": as_template("{{ nothing }}")}, templar)["mesh_kubeconfig"] == "here"


@pytest.mark.parametrize(("name", "told"), [("custom_ca_passphrase", False), ("mesh_context", True)])
def test_of_a_secret_with_braces_not_even_the_name_in_them_is_told(name: str, told: bool) -> None:
    known = {"inventory_hostname": "localhost", name: as_template("a{{ Tr0ub4dor }}b")}
    with refused("unreadable-variable") as failure:
        value_of(known, Templar(DataLoader(), variables=known), name)
    assert ("Tr0ub4dor" in str(failure.value)) == told


def test_what_another_host_cannot_template_is_an_error_too() -> None:
    """Before ansible-core 2.19, hostvars give the expression itself, as if it were the value."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources="cluster-a,cluster-b,")
    for name, host in inventory.hosts.items():
        host.set_variable("here", f"at {name}")
        host.set_variable("mesh_context", as_template("{{ here }}"))
    hostvars = HostVars(inventory, VariableManager(loader, inventory), loader)
    known = {
        "groups": {"mesh_servers": ["cluster-b"], "mesh_clients": ["cluster-a", "cluster-b"]},
        "hostvars": hostvars,
    }
    found = contracts(known, Templar(loader, variables=known))
    assert {host: given["mesh_context"] for host, given in found.items()} == {
        "cluster-a": "at cluster-a",
        "cluster-b": "at cluster-b",
    }
    inventory.get_host("cluster-b").set_variable("mesh_context", as_template("{{ nowhere }}"))
    with refused("unreadable-variable") as failure:
        contracts(known, Templar(loader, variables=known))
    assert "cluster-b" in str(failure.value)
