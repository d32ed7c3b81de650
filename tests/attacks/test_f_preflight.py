# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part F: preflight ends with its table, whatever its variables hold and however its clusters are reached.

On d3897ca variables of another type were Python's errors in the filters that make the table, and a connection that
fails in an unforeseen way ended the look at its cluster: README.md says which were seen there. Some of the runs below
are siblings which, by its code, had their table: custom_ca_validity_days of 0, and custom_ca_lost_roots, unknown to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.crossmesh.mtls.plugins.action import (
    custom_ca_info,
    mesh_preflight_info,
    mesh_topology_info,
)
from ansible_collections.crossmesh.mtls.plugins.filter.authority_state import authority_state
from ansible_collections.crossmesh.mtls.plugins.filter.preflight_report import preflight_report
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from tests.unit.inventory_values import as_template
from tests.unit.support import CHECKOUT, MYSQL, Json, run_action

PLAYBOOK = CHECKOUT / "collections/ansible_collections/crossmesh/mtls/playbooks/preflight.yml"
PASSPHRASE = "correct-horse-battery-staple"
NOWHERE = "{{ nowhere }}"
CLEAR = "\x1b[2J\x1b[HALL CLUSTERS OK"
WRONG: tuple[Any, ...] = (
    NOWHERE,
    None,
    7,
    1.5,
    True,
    CLEAR,
    "",
    [],
    [7],
    [None],
    {},
    {"a": 1},
    [{"name": [7]}],
    "9" * 5000,
)


# -- every variable, of every type ---------------------------------------------------------------------------------


class Host(dict[str, Any]):
    """Variables of a host as a filter or another host's task sees them: templated as they are looked at."""

    def __getitem__(self, name: str) -> Any:
        return Templar(DataLoader(), variables=dict(self)).template(super().__getitem__(name))


def host(name: str, variables: Json) -> Host:
    return Host({"inventory_hostname": name, "group_names": ["mesh_servers"], **variables})


def as_written(value: Any) -> Any:
    return as_template(value) if value == NOWHERE else value


def table(folder: Path, variables: Json) -> list[str]:
    """The lines that playbook preflight ends with: its actions and filters, in its order."""
    cluster = host("cluster-b", variables)
    known = {"groups": {"mesh_servers": ["cluster-b"]}, "hostvars": {"cluster-b": cluster}}
    look = run_action(mesh_preflight_info, {}, {**cluster, **known, **cluster})
    everybody = {**variables, **known, "inventory_hostname": "localhost"}
    topology = run_action(mesh_topology_info, {"fail": False}, everybody)
    ca = run_action(custom_ca_info, {}, everybody)
    assert not any(found.get("failed") for found in (look, topology, ca)), (look, topology, ca)
    read = {name: value for name, value in variables.items() if value != NOWHERE}
    clusters = read.get("mesh_clusters") or {}
    asked = authority_state({"cluster-b": look}, clusters, False, False, read.get("custom_ca_lost_roots") or [])
    everywhere = {"findings": topology["errors"], "ca_problems": ca["problems"], "ca_state": ca["msg"]}
    names = {"cluster-b": read.get("mesh_cluster_name") or ""}
    assert asked["needed"] is False
    assert list(folder.iterdir()) == [], "preflight changes nothing"
    return preflight_report({"cluster-b": look}, names, everywhere, clusters, False)["table"]


NAMES = (*(field.name for field in schema.CONTRACT), "custom_ca_passphrase")
# Of those that the table itself, or the look at a cluster, depends on.
WORST = (
    "custom_ca_dir",
    "custom_ca_trust_domain",
    "mesh_clusters",
    "mesh_cluster_name",
    "mesh_links",
    "mesh_egress_port",
)


def faults_of(name: str, values: tuple[Any, ...], folder: Path) -> None:
    sound = {
        "mesh_links": [MYSQL],
        "mesh_kubeconfig": str(folder.parent / "none"),
        "custom_ca_dir": str(folder / "ca"),
        "custom_ca_passphrase": PASSPHRASE,
    }
    for value in values:
        lines = table(folder, {**sound, name: as_written(value)})
        assert lines[0].startswith("STATUS"), value
        assert lines[-1].endswith(" unknown"), value
        assert CLEAR not in "\n".join(lines)
        assert not [line for line in lines if "[internal-error]" in line], (value, lines)
        assert value != NOWHERE or [line for line in lines if name in line]


@pytest.mark.parametrize("name", WORST)
def test_a_variable_that_is_undefined_or_none_is_a_row_of_the_table(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6: such a variable ended the run before its table."""
    monkeypatch.chdir(tmp_path)
    faults_of(name, (NOWHERE, 7, "9" * 5000), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_variable_holds_the_table_is_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6, siblings: every variable of the contract, undefined, of each type, and with what a terminal obeys."""
    monkeypatch.chdir(tmp_path)
    faults_of(name, WRONG, tmp_path)


# -- the playbook --------------------------------------------------------------------------------------------------


def play(folder: Path, variables: Json, cluster: Json | None = None, user: Json | None = None) -> str:
    """What a user sees of playbook preflight over two clusters that are away.

    :param variables: of all hosts.
    :param cluster: more of the clusters in the kubeconfig.
    """
    names = ("cluster-a", "cluster-b")
    config = {
        "current-context": names[0],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "a-token"}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in names],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    everybody: Mapping[str, Any] = {
        "mesh_kubeconfig": str(folder / "kubeconfig"),
        "mesh_context": "{{ inventory_hostname }}",
        "custom_ca_passphrase": PASSPHRASE,
        "mesh_links": [MYSQL],
        **variables,
    }
    groups = {"mesh_clients": names[:1], "mesh_servers": names[1:]}
    children = {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": dict(everybody), "children": children}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "hosts.yml"), str(PLAYBOOK)]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


LINK = {**MYSQL, "fqdn": NOWHERE}
SOCKS = {"proxy-url": "socks5://127.0.0.1:1"}
SECRET = "the-secret-of-the-client"
ISSUER = {
    "auth-provider": {
        "name": "oidc",
        "config": {
            "client-id": "x",
            "client-secret": SECRET,
            "id-token": "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln",
            "refresh-token": SECRET,
            "idp-issuer-url": "https://127.0.0.1:1/",
        },
    }
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "connection", "told"),
    [
        ({"custom_ca_dir": "{{ inventory_dir }}/ca"}, {}, "custom_ca_dir: its value uses a variable that is not"),
        ({"mesh_links": NOWHERE}, {}, "mesh_links: its value uses a variable that is not defined"),
        ({"mesh_links": [LINK]}, {}, "mesh_links: its value uses a variable that is not defined"),
        ({"mesh_clusters": NOWHERE}, {}, "mesh_clusters: its value uses a variable that is not defined"),
        ({"mesh_adopt": NOWHERE}, {}, "mesh_adopt: its value uses a variable that is not defined"),
        ({"mesh_cluster_name": NOWHERE}, {}, "mesh_cluster_name: its value uses a variable that is not"),
        ({"mesh_cluster_name": 7}, {}, "mesh_cluster_name: 7: is not a DNS label"),
        ({"mesh_clusters": [{"a": 1}]}, {}, "mesh_clusters: [{'a': ...}]: is not a mapping"),
        ({"mesh_clusters": 7}, {}, "mesh_clusters: 7: is not a mapping"),
        ({"custom_ca_lost_roots": NOWHERE}, {}, "custom_ca_lost_roots: its value uses a variable that is not"),
        ({"custom_ca_validity_days": 0}, {}, "custom_ca_validity_days: 0: is not between"),
        ({"custom_ca_passphrase": 7}, {}, "custom_ca_passphrase"),
        ({"custom_ca_passphrase": None, "custom_ca_revoked": None}, {}, "custom_ca_passphrase"),
        ({"mesh_adopt": [1], "mesh_only_links": NOWHERE}, {}, "mesh_"),
        ({}, {"cluster": SOCKS}, "lacks the package PySocks"),
        ({}, {"user": ISSUER}, "the auth-provider oidc failed"),
    ],
)
def test_the_playbook_ends_with_its_table(variables: Json, connection: Json, told: str, tmp_path: Path) -> None:
    """F6: the table is the last word, and names what is wrong."""
    output = play(tmp_path, variables, **connection)
    head = output.index("STATUS")
    assert "\nSTATUS  " in output
    assert told in " ".join(output[head:].split())
    assert SECRET not in output
    assert "Traceback" not in output
    assert "internal-error" not in output
    assert "errantly sent data" not in output
    assert "failed checks: " in output


@pytest.mark.slow
def test_the_same_search_finds_an_error_before_the_table(tmp_path: Path) -> None:
    """The control: a run whose variables Ansible itself needs has no table."""
    assert "STATUS" not in play(tmp_path, {"ansible_connection": NOWHERE})
