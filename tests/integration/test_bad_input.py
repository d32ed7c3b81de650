# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is wrong with an inventory is told at once, before any cluster is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.integration.support.lab_mesh import MYSQL, Mesh, Run
from tests.integration.support.state_snapshots import versions_everywhere

BACKEND = MYSQL["backend"]
LINKS = [
    {**MYSQL, "name": "twice"},
    {**MYSQL, "name": "twice", "fqdn": "other.server.example.com"},
    {**MYSQL, "name": "Upper_Case", "fqdn": "upper.server.example.com"},
    {**MYSQL, "name": "same-fqdn"},
    {**MYSQL, "name": "same-port", "fqdn": "a.server.example.com", "tls_port": 3306},
    {**MYSQL, "name": "no-such-port", "fqdn": "b.server.example.com", "port": 70000},
    {**MYSQL, "name": "wildcard", "fqdn": "*.server.example.com"},
    {**MYSQL, "name": "single", "fqdn": "mysql"},
    {**MYSQL, "name": "misspelt", "fqdn": "c.server.example.com", "tsl_port": 13306},
    {**MYSQL, "name": "nobody", "fqdn": "d.server.example.com", "servers": ["cluster-x"]},
    {**MYSQL, "name": "no-group", "fqdn": "e.server.example.com", "clients": ["mesh_cleints"]},
    {**MYSQL, "name": "pigeon", "fqdn": "f.server.example.com", "protocol": "pigeon"},
    {"name": "homeless", "fqdn": "g.server.example.com", "port": 3306, "tls_port": 13306},
    {**MYSQL, "name": "client", "fqdn": "h.server.example.com"},
    {**MYSQL, "name": "one", "fqdn": "i.server.example.com", "port": 5432},
    {**MYSQL, "name": "two", "fqdn": "j.server.example.com", "port": 5432},
]

# Of each: code, link or cluster, field and value.
EXPECTED = {
    "two links of one name": ("duplicate-name", "twice", "name", "'twice'"),
    "a name that is no DNS label": ("link-name", "Upper_Case", "name", "'Upper_Case'"),
    "two links of one FQDN": ("duplicate-fqdn", "twice", "fqdn", "'mysql.server.example.com'"),
    "port and tls_port alike": ("same-port", "same-port", "tls_port", "3306"),
    "a number that is no port": ("port", "no-such-port", "port", "70000"),
    "a wildcard": ("fqdn", "wildcard", "fqdn", "'*.server.example.com'"),
    "a single label": ("fqdn", "single", "fqdn", "'mysql'"),
    "an unknown key": ("unknown-key", "misspelt", "tsl_port", "unknown key"),
    "an unknown cluster": ("unknown-cluster", "nobody", "servers", "'cluster-x'"),
    "an unknown group": ("unknown-cluster", "no-group", "clients", "'mesh_cleints'"),
    "an unknown protocol": ("choice", "pigeon", "protocol", "'pigeon'"),
    "a missing backend": ("missing", "homeless", "backend", "missing"),
    "a reserved name": ("reserved-name", "client", "name", "'client'"),
    "two TCP links on one port": ("shared-port", "one", "port", "5432"),
    "one key with two values": ("two-values", "cluster-a", "mesh_gate_timeout", "7"),
    "two opinions on groups": ("two-values", "cluster-b", "mesh_clusters", "['mesh_clients']"),
}


@pytest.fixture(scope="module")
def refused_run(shared_mesh: Mesh) -> Run:
    """One run over everything that is wrong; the clusters are compared before and after."""
    before = versions_everywhere(shared_mesh)
    bad = shared_mesh.with_changes(
        links=LINKS,
        hosts={"cluster-a": {"mesh_gate_timeout": 7}, "cluster-b": {}},
        variables={"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_clients"]}},
    )
    run = bad.site()
    assert not run.ok
    assert versions_everywhere(shared_mesh) == before
    return run


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_bad_inventory_is_told(refused_run: Run, fault: str) -> None:
    code, subject, field, value = EXPECTED[fault]
    # YAML doubles quotes, and escapes some characters.
    plain = replace(refused_run, output=refused_run.output.replace("''", "'").replace("\\", ""))
    assert plain.reports(code, f"{subject}: {field}: {value}"), refused_run.output


def test_a_bad_inventory_stops_the_run_on_the_controller(refused_run: Run) -> None:
    assert set(refused_run.recap) == {"localhost"}
    assert refused_run.recap["localhost"]["failed"] == 1


def test_a_bad_inventory_ends_in_no_traceback(refused_run: Run) -> None:
    assert "Traceback" not in refused_run.output


ROLE = """\
- hosts: mesh_servers
  gather_facts: false
  roles: [crossmesh.mtls.mesh_ingress_server]
"""


@pytest.mark.parametrize("what", ["site", "rotate_certificates", "rotate_ca", "verify", "a role alone"])
def test_all_is_told_where_nobody_validated_the_topology_first(shared_mesh: Mesh, what: str) -> None:
    before = versions_everywhere(shared_mesh)
    bad = shared_mesh.with_changes(links=[{**MYSQL, "tsl_port": 13306, "port": 70000}])
    run = bad.play(bad.write_playbook(ROLE)) if what == "a role alone" else bad.play(what, "--limit", "cluster-b")
    assert set(run.recap) == {"cluster-b"}
    assert run.recap["cluster-b"]["failed"] == 1
    assert run.reports("unknown-key", "mysql: tsl_port: unknown key"), run.output
    assert run.reports("port", "mysql: port: 70000"), run.output
    assert "Error while resolving" not in run.output
    assert versions_everywhere(shared_mesh) == before


def test_a_teardown_of_an_instance_that_cannot_be_says_so(shared_mesh: Mesh) -> None:
    before = versions_everywhere(shared_mesh)
    run = shared_mesh.play("teardown", "-e", "mesh_instance=Blue")
    assert not run.ok
    assert run.reports("instance", "mesh_instance: 'Blue'"), run.output
    assert versions_everywhere(shared_mesh) == before


def test_a_state_that_there_is_not_is_refused_by_the_site_playbook(shared_mesh: Mesh) -> None:
    before = versions_everywhere(shared_mesh)
    run = shared_mesh.site("-e", "mesh_ingress_server_state=absnt")
    assert not run.ok
    assert run.reports("choice", "mesh_cluster_state: 'absnt'", "write absent"), run.output
    assert versions_everywhere(shared_mesh) == before
