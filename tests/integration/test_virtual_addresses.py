# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two databases on one port, told apart by virtual addresses that sidecars, or the cluster's DNS, answer with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.lab_mesh import CLUSTER_C, MYSQL, Mesh
from tests.lab.wait import eventually

B = {**MYSQL, "servers": ["cluster-b"]}
C = {**MYSQL, "name": "orders", "fqdn": "orders.c.example.com", "servers": ["cluster-c"]}
# Each database's own.
SOCKETS = {B["fqdn"]: "/mysql-0/", C["fqdn"]: "/mysql-1/"}


def two_servers(mesh: Mesh) -> Mesh:
    mesh.hosts = {"cluster-a": {}, "cluster-b": {}, "cluster-c": dict(CLUSTER_C)}
    mesh.groups = {"mesh_servers": ["cluster-b", "cluster-c"], "mesh_clients": ["cluster-a"]}
    mesh.links = [B, C]
    return mesh


def reaches(mesh: Mesh, pod: str, fqdn: str, server_of: str = "") -> bool:
    """:param server_of: the FQDN whose database it is; its own where nothing is said."""
    found = mesh.lab.mysql_from("cluster-a", pod, "SELECT @@socket", fqdn=fqdn)
    return SOCKETS[server_of or fqdn] in found.stdout


def two_instances(mesh: Mesh, folder: Path, client: dict[str, Any]) -> tuple[Mesh, Mesh]:
    """One link on the same port each, from the same client's cluster to another server's."""
    hosts = {"cluster-a": client, "cluster-b": {}}
    first = mesh.with_changes(hosts=hosts, links=[B])
    second = mesh.with_changes(
        folder=folder,
        hosts={"cluster-a": client, "cluster-c": dict(CLUSTER_C)},
        groups={"mesh_servers": ["cluster-c"], "mesh_clients": ["cluster-a"]},
        variables={"mesh_instance": "default-2", "mesh_client_credential_prefix": "second-credential"},
        links=[C],
    )
    return first, second


@contextmanager
def answering(mesh: Mesh, names: dict[str, str]) -> Iterator[None]:
    """The client cluster's DNS with these answers, for the length of the block."""
    path = Path(mesh.lab.settings.cluster_dir("cluster-a") / "hosts" / "virtual")
    path.write_text("".join(f"{address} {name}\n" for name, address in names.items()), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text("", encoding="utf-8")


def addresses(mesh: Mesh) -> dict[str, str]:
    """Of each link's FQDN, the virtual address that the cluster was told."""
    entries = mesh.get("cluster-a", "serviceentries", "-A")["items"]
    return {item["spec"]["hosts"][0]: item["spec"]["addresses"][0] for item in entries}


def test_sidecars_that_answer_dns_tell_two_databases_on_one_port_apart(mesh: Mesh) -> None:
    two_servers(mesh).hosts["cluster-a"]["mesh_dns"] = "capture"
    run = mesh.site()
    assert run.ok, run.output
    for fqdn in SOCKETS:
        eventually(partial(reaches, mesh, "shop-0", fqdn))
    again = mesh.site()
    assert again.changed == 0, again.output


def test_the_clusters_dns_tells_them_apart_and_gateways_go_by_the_servers_addresses(mesh: Mesh) -> None:
    two_servers(mesh).hosts["cluster-a"]["mesh_dns"] = "virtual"
    at_b = mesh.lab.pod("cluster-b", "istio-ingressgateway-0").address
    at_c = mesh.lab.pod("cluster-c", "edge-0").address
    mesh.links = [
        {**B, "servers": [{"name": "cluster-b", "address": at_b}]},
        {**C, "servers": [{"name": "cluster-c", "address": at_c}]},
    ]
    run = mesh.site()
    assert run.ok, run.output
    with answering(mesh, addresses(mesh)):
        for fqdn in SOCKETS:
            eventually(partial(reaches, mesh, "mysql-client", fqdn))


def test_where_nobody_tells_workloads_of_them_the_run_says_what_could_be_done(mesh: Mesh) -> None:
    run = two_servers(mesh).site()
    assert not run.ok
    assert run.reports("shared-port", "mysql: port: 3306", "set mesh_dns: capture", "address in servers")
    assert mesh.names("cluster-a") == set()


@pytest.mark.slow
def test_two_instances_on_one_port_lead_to_their_own_databases(
    mesh: Mesh, tmp_path_factory: pytest.TempPathFactory
) -> None:
    instances = two_instances(mesh, tmp_path_factory.mktemp("second"), {"mesh_dns": "capture"})
    for instance in instances:
        run = instance.site()
        assert run.ok, run.output
    for fqdn in SOCKETS:
        eventually(partial(reaches, mesh, "shop-0", fqdn))
    assert [instance.site().changed for instance in instances] == [0, 0]
    # The control: without their addresses both names lead to one database.
    for name in ("mysql-external", "orders-external"):
        patch = json.dumps({"spec": {"addresses": []}})
        mesh.lab.kubectl(
            "cluster-a", "patch", "serviceentry", name, "-n", "istio-system", "--type", "merge", "-p", patch
        )
    for fqdn in SOCKETS:
        eventually(partial(reaches, mesh, "mysql-client", fqdn, B["fqdn"]))


@pytest.mark.slow
def test_a_second_instance_is_refused_where_neither_link_has_an_address(
    mesh: Mesh, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = two_instances(mesh, tmp_path_factory.mktemp("second"), {})
    run = first.site()
    assert run.ok, run.output
    before = state_snapshots.versions_in_cluster(mesh, "cluster-a")
    run = second.site()
    assert not run.ok
    assert run.reports("port-captured", "ServiceEntry istio-system/mysql-external", B["fqdn"]), run.output
    assert state_snapshots.versions_in_cluster(mesh, "cluster-a") == before
    eventually(partial(reaches, mesh, "mysql-client", B["fqdn"]))
