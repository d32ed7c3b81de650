# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tcp link has an address, so that whoever else is dialled on its port is still reached: each is asked who it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.integration.support import state_snapshots
from tests.integration.support.banner_servers import DATABASE, banner_in_pod, banner_on_machine, greeting
from tests.integration.support.lab_mesh import MYSQL, Mesh, cleared_afterwards
from tests.integration.support.rival_objects import SYSTEM, rival
from tests.integration.support.standing_link import StandingLink
from tests.lab import Lab
from tests.lab.wait import eventually

Json = dict[str, Any]
CLIENT, PORT = "cluster-a", MYSQL["port"]
MACHINE, BILLING = "legacy-server", "billing.legacy.example.org"
POD = "server-in-a-pod"
OURS = ("serviceentry", "mysql-external", "-n", SYSTEM)
# Two clients: the sidecar of one answers DNS with virtual addresses, the other one goes by its cluster's DNS.
WITH_DNS, WITHOUT = "shop-0", "mysql-client"
ENTRY: Json = {
    "hosts": [BILLING],
    "location": "MESH_EXTERNAL",
    "resolution": "DNS",
    "ports": [{"number": PORT, "name": "tcp", "protocol": "TCP"}],
}
PAGES: Json = {**ENTRY, "hosts": ["pages.example.org"], "ports": [{"number": PORT, "name": "http", "protocol": "HTTP"}]}
# Whether somebody else's object is the younger or the older one.
AGES: Mapping[str, tuple[str, str] | None] = {"younger": None, "older": ("ServiceEntry", "mysql-external")}


@pytest.fixture(scope="module")
def addressed(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A link with an address, and others' servers on its port: on a machine, and in a pod that no Service leads to."""
    hosts: dict[str, Json] = {CLIENT: {"mesh_dns": "capture"}, "cluster-b": {}}
    mesh = Mesh(lab, tmp_path_factory.mktemp("mesh"), standing_link.passphrase, hosts=hosts)
    with cleared_afterwards(mesh), ExitStack() as servers:
        servers.enter_context(banner_on_machine(mesh, "legacy-db", MACHINE, PORT))
        servers.enter_context(banner_in_pod(mesh, CLIENT, "outsider", POD, PORT))
        run = mesh.site()
        assert run.ok, run.output
        eventually(lambda: DATABASE in reads(mesh, address_of(mesh)))
        yield mesh


def reads(mesh: Mesh, host: str, pod: str = WITHOUT) -> str:
    return greeting(mesh, pod, host, PORT)


def address_of(mesh: Mesh) -> str:
    found: str = mesh.get(CLIENT, *OURS)["spec"]["addresses"][0]
    return found


def of_others(mesh: Mesh) -> dict[str, str]:
    """Where else a workload dials that port, and who is to answer there."""
    outside, pod = mesh.lab.machine("legacy-db").address, mesh.lab.pod(CLIENT, "outsider").address
    return {outside: MACHINE, "old.legacy.example.org": MACHINE, pod: POD}


@contextmanager
def without_its_address(mesh: Mesh) -> Iterator[Mesh]:
    """The link as it was made by hand, or by an inventory that gives it none: it stands at every address."""
    mesh.lab.kubectl(CLIENT, "patch", *OURS, "--type", "merge", "-p", json.dumps({"spec": {"addresses": []}}))
    try:
        yield mesh.with_changes(hosts={CLIENT: {}, "cluster-b": {}})
    finally:
        run = mesh.site()
        assert run.ok, run.output


# -- other hosts and addresses -----------------------------------------------------------------------------------------


def test_whoever_else_is_dialled_on_the_port_answers(addressed: Mesh) -> None:
    for pod in (WITH_DNS, WITHOUT):
        for place, who in of_others(addressed).items():
            assert who in reads(addressed, place, pod), (pod, place)
        assert DATABASE in reads(addressed, address_of(addressed), pod)
    assert DATABASE in reads(addressed, MYSQL["fqdn"], WITH_DNS)


def test_the_control_reads_the_links_database_there_where_the_link_has_no_address(addressed: Mesh) -> None:
    with without_its_address(addressed):
        for place in of_others(addressed):
            eventually(lambda place=place: DATABASE in reads(addressed, place))  # type: ignore[misc]
    for place, who in of_others(addressed).items():
        eventually(lambda place=place, who=who: who in reads(addressed, place))  # type: ignore[misc]


def test_pods_of_a_headless_service_on_the_port_are_reached_by_their_addresses_and_by_its_name(addressed: Mesh) -> None:
    spec = {"clusterIP": "None", "selector": {"app": "outsider"}, "ports": [{"name": "tcp", "port": PORT}]}
    pod = addressed.lab.pod(CLIENT, "outsider").address
    with rival(addressed, CLIENT, "Service", spec, namespace="legacy"):
        eventually(lambda: POD in reads(addressed, "rival.legacy.svc.cluster.local", WITH_DNS))
        assert POD in reads(addressed, pod)
        with without_its_address(addressed):
            # Istio knows this one, other than those of the control.
            eventually(lambda: DATABASE in reads(addressed, BILLING))
            assert POD in reads(addressed, pod)


# -- another ServiceEntry without an address ---------------------------------------------------------------------------


@pytest.mark.parametrize("age", AGES)
def test_a_host_of_others_without_an_address_and_the_link_lead_to_their_own_servers(addressed: Mesh, age: str) -> None:
    with rival(addressed, CLIENT, "ServiceEntry", ENTRY, before=AGES[age]):
        run = addressed.site()
        assert run.ok, run.output
        assert run.changed == 0, run.output
        # By its name, and by what its sidecar makes of it.
        for pod in (WITH_DNS, WITHOUT):
            eventually(lambda pod=pod: MACHINE in reads(addressed, BILLING, pod))  # type: ignore[misc]
            assert DATABASE in reads(addressed, address_of(addressed), pod)
        assert DATABASE in reads(addressed, MYSQL["fqdn"], WITH_DNS)


@pytest.mark.parametrize(
    ("age", "code"), [pytest.param("younger", "port-captures", marks=pytest.mark.slow), ("older", "port-captured")]
)
def test_without_an_address_both_lead_to_one_server_and_the_run_names_the_other_host(
    addressed: Mesh, age: str, code: str
) -> None:
    both = DATABASE if age == "younger" else MACHINE
    with rival(addressed, CLIENT, "ServiceEntry", ENTRY, before=AGES[age]), without_its_address(addressed) as bare:
        for host in (BILLING, MYSQL["fqdn"]):
            eventually(lambda host=host: both in reads(addressed, host))  # type: ignore[misc]
        before = state_snapshots.versions_everywhere(addressed)
        run = bare.site()
        assert not run.ok
        assert run.reports(code, f"ServiceEntry {SYSTEM}/rival", BILLING, "choose another port"), run.output
        assert state_snapshots.versions_everywhere(addressed) == before


@pytest.mark.slow
def test_http_of_others_on_the_port_keeps_a_link_without_an_address_waiting_and_is_refused(addressed: Mesh) -> None:
    with without_its_address(addressed) as bare:
        eventually(lambda: DATABASE in reads(addressed, MYSQL["fqdn"]))
        with rival(addressed, CLIENT, "ServiceEntry", PAGES, namespace="legacy"):
            # The proxy waits for the client, and the client for the server's greeting.
            eventually(lambda: reads(addressed, MYSQL["fqdn"]) == "")
            run = bare.site()
            assert not run.ok
            assert run.reports("port-captured", "ServiceEntry legacy/rival", "in plain text", "addresses"), run.output
            # The control: with an address it is no matter.
            run = addressed.site()
            assert run.ok, run.output
            eventually(lambda: DATABASE in reads(addressed, address_of(addressed)))
