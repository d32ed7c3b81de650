"""Two databases on one port, told apart by virtual addresses that sidecars, or the cluster's DNS, answer with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

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


def reaches(mesh: Mesh, pod: str, fqdn: str) -> bool:
    found = mesh.lab.mysql_from("cluster-a", pod, "SELECT @@socket", fqdn=fqdn)
    return SOCKETS[fqdn] in found.stdout


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
