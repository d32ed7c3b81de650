# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify follows the call over each link: what breaks of name, port, TLS and answer is told beside links that stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.support.banner_servers import banner_on_machine
from tests.integration.support.cluster_faults import stopped_api_server
from tests.integration.support.foreign_certificates import GONE, stolen_certificate
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run, cleared_afterwards
from tests.integration.support.network_faults import host_aliases
from tests.integration.support.probed_links import (
    ALL,
    BANNER,
    CLIENT,
    DATABASE,
    ORDERS,
    SERVER,
    WEB,
    assert_sound,
    broken,
    probed,
    stands,
)
from tests.integration.support.rival_objects import rival
from tests.integration.support.service_accounts import documented_account
from tests.integration.support.standing_link import StandingLink
from tests.integration.support.web_servers import running_web_servers, web_link
from tests.integration.support.workload_programs import BASH, CURL, PYTHON, programs
from tests.lab import Lab
from tests.lab.wait import eventually

OUTSIDER = {"namespace": "legacy", "selector": {"app": "outsider"}}


@pytest.fixture(scope="module")
def four_links(lab: Lab, standing_link: StandingLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A link for each type of probe, in place and sound."""
    mesh = Mesh(lab, tmp_path_factory.mktemp("mesh"), standing_link.passphrase, {"mesh_gate_timeout": 5})
    with cleared_afterwards(mesh):
        standing_link.put_in_place(mesh)
        with running_web_servers(mesh, tmp_path_factory.mktemp("web")):
            mesh.links = ALL
            run = mesh.site("-e", "mesh_gate_timeout=60")
            assert run.ok, run.output
            yield mesh


@pytest.fixture
def with_python(four_links: Mesh, tmp_path: Path) -> Iterator[Mesh]:
    """The same, with a Python in the workloads' containers."""
    with programs(four_links.lab, tmp_path, *PYTHON):
        yield four_links


# -- sound -------------------------------------------------------------------------------------------------------------


def test_sound_links_of_every_type_answer_and_nothing_is_found(with_python: Mesh) -> None:
    assert_sound(with_python)
    run = with_python.play("verify")
    assert run.changed == 0
    assert run.says("client side: 4 of 4 probes asked"), run.output
    assert run.says("server side: 4 handshakes from the controller")


@pytest.mark.slow
def test_bash_alone_is_enough_for_every_type(four_links: Mesh, tmp_path: Path) -> None:
    with programs(four_links.lab, tmp_path, *BASH):
        assert_sound(four_links)


def test_what_cannot_be_asked_is_neither_up_nor_broken_and_fails_where_it_has_to_be(
    four_links: Mesh, tmp_path: Path
) -> None:
    with programs(four_links.lab, tmp_path, *CURL):
        run = four_links.play("verify")
        assert run.code == 0, run.output
        assert stands(run, "web", "up"), "curl asks what is asked by HTTP"
        for link in ("mysql", "banner", "orders"):
            assert stands(run, link, f"not asked in {CLIENT}"), run.output
            assert run.reports("probe-not-asked", f"link {link}, asked in pod default/mysql-client", "nothing there")
        demanded = four_links.with_changes(links=[probed(MYSQL, "mysql", required=True), BANNER, WEB, ORDERS])
        broken(demanded, "probe-not-asked", "answer", CLIENT)


def test_a_container_without_a_shell_is_not_asked(four_links: Mesh) -> None:
    run = four_links.play("verify")
    assert run.code == 0, run.output
    assert run.reports("probe-not-asked", "link mysql", "no shell there, and no python3"), run.output
    assert run.says("client side: 0 of 4 probes asked")


def test_no_such_pod_is_not_asked(with_python: Mesh) -> None:
    gone = {"namespace": "default", "selector": {"app": "gone"}}
    run = with_python.with_changes(links=[probed(MYSQL, "mysql", **{"from": gone}), *ALL[1:]]).play("verify")
    assert run.code == 0, run.output
    assert run.reports("probe-not-asked", "namespace default", "no ready pod there has the labels app=gone"), run.output
    assert stands(run, "mysql", f"not asked in {CLIENT}")


# -- broken at each place of the call, in its order --------------------------------------------------------------------


@pytest.mark.slow
def test_a_name_that_does_not_resolve(with_python: Mesh) -> None:
    address = with_python.lab.pod(SERVER, "istio-ingressgateway-0").address
    unknown = {**BANNER, "fqdn": "banner.nobody.example.org", "servers": [{"name": SERVER, "address": address}]}
    mesh = with_python.with_changes(links=[DATABASE, unknown, WEB, ORDERS])
    try:
        assert mesh.site("-e", "mesh_gate_timeout=60").ok
        broken(mesh, "name-unknown", "name", CLIENT, "banner.nobody.example.org to resolve", link="banner")
    finally:
        assert with_python.site("-e", "mesh_gate_timeout=60").ok
    assert_sound(with_python)


@pytest.mark.slow
def test_a_port_that_is_closed_where_it_is_asked(with_python: Mesh) -> None:
    """Without a sidecar the name leads to the ingress gateway itself, which does not listen on the link's port."""
    mesh = with_python.with_changes(links=[probed(MYSQL, "mysql", **{"from": OUTSIDER}), *ALL[1:]])
    broken(mesh, "port-closed", "hop 1", CLIENT, "asked in pod legacy/outsider", "the connection was refused")
    assert_sound(with_python)


def test_an_answer_that_did_not_come_over_the_link(with_python: Mesh) -> None:
    """Without a sidecar, and with a name that leads to another server: it answers as the link's does, in plain text."""
    outside = probed(BANNER, "tcp", banner="MariaDB", **{"from": OUTSIDER})
    mesh = with_python.with_changes(links=[DATABASE, outside, WEB, ORDERS])
    other = with_python.lab.machine("legacy-db").address
    with (
        banner_on_machine(mesh, "legacy-db", "MariaDB", BANNER["port"]),
        host_aliases(mesh, CLIENT, "outsider", banner=other),
    ):
        asked = "asked in pod legacy/outsider"
        broken(mesh, "answered-elsewhere", "hop 1", CLIENT, asked, "one that came another way", link="banner")
    assert_sound(with_python)


@pytest.mark.slow
def test_a_fault_of_a_gateway_is_the_cause_and_what_the_call_shows_of_it_is_not(with_python: Mesh) -> None:
    """A1 of the field: an older DestinationRule that Istio does not merge with ours."""
    theirs = {
        "host": MYSQL["fqdn"],
        "exportTo": ["."],
        "trafficPolicy": {"connectionPool": {"tcp": {"tcpKeepalive": {"time": "60s"}}}},
    }
    before = ("DestinationRule", "originate-mtls-for-mysql")
    with rival(with_python, CLIENT, "DestinationRule", theirs, before=before):
        run = broken(with_python, "cluster-missing", "hop 2", CLIENT)
        assert not run.reports("no-answer", "link mysql"), run.output
    assert_sound(with_python)


@contextmanager
def open_to_all(mesh: Mesh) -> Iterator[None]:
    """Somebody's older Gateway has the link's host and port, and demands no certificate of clients."""
    server = {
        "port": {"number": 13306, "name": "tls-mysql", "protocol": "TLS"},
        "hosts": [MYSQL["fqdn"]],
        "tls": {"mode": "SIMPLE", "credentialName": "mysql-credential"},
    }
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    route = {
        "hosts": [MYSQL["fqdn"]],
        "gateways": ["rival"],
        "tcp": [{"route": [{"destination": {"host": MYSQL["backend"]["host"], "port": {"number": 3306}}}]}],
    }
    with (
        rival(mesh, SERVER, "Gateway", spec, before=("Gateway", "gateway-mysql")),
        rival(mesh, SERVER, "VirtualService", route, before=("VirtualService", "mysql-virtual-service")),
    ):
        yield


def test_a_server_that_demands_no_certificate_is_found_by_a_handshake(with_python: Mesh, tmp_path: Path) -> None:
    """By an account that may not look into the gateways' proxies: the handshake alone shows it."""
    served = [link["name"] for link in ALL]
    with documented_account(with_python.lab, tmp_path, links=served, without="crossmesh-proof") as kubeconfig:
        blind = with_python.with_changes(variables={**with_python.variables, "mesh_kubeconfig": str(kubeconfig)})
        with open_to_all(with_python):

            def found() -> Run:
                return blind.play("verify", "--limit", f"{SERVER},localhost")

            assert eventually(
                lambda: found().reports("anybody-let-in", "link mysql, hop 2, asked from the controller at")
            )
            run = found()
            assert run.code == 2
            assert stands(run, "mysql", f"anybody-let-in +broken at hop 2 in {SERVER}"), run.output
            assert not run.says("link web,"), run.output
    assert_sound(with_python)


@contextmanager
def stopped_database(lab: Lab) -> Iterator[None]:
    process = lab.pod(SERVER, "mysql-0").app_process
    lab.stop(process)
    try:
        yield
    finally:
        lab.start(process)


@pytest.mark.slow
def test_a_backend_that_is_down_while_its_pod_is_ready(with_python: Mesh) -> None:
    with stopped_database(with_python.lab):
        broken(with_python, "no-answer", "answer", CLIENT, "asked in pod default/mysql-client", "a greeting of MySQL")
        broken(with_python, "no-answer", "answer", CLIENT, "'MariaDB' in the first bytes", link="banner")
    assert eventually(with_python.carries)
    assert_sound(with_python)


@pytest.mark.slow
def test_an_answer_that_is_not_the_wanted_one(with_python: Mesh) -> None:
    failing = probed(web_link("web", "http", 13380), "http", path="/fails", status="200")
    mesh = with_python.with_changes(links=[DATABASE, BANNER, failing, ORDERS])
    found = "status 200; found status 503. Fix"
    broken(mesh, "wrong-answer", "answer", CLIENT, found, link="web", sound="mysql")
    sick = probed(web_link("orders", "grpc", 13381, port=50051), "grpc", service="shop.Orders")
    assert stands(with_python.with_changes(links=[*ALL[:3], sick]).play("verify"), "orders", "up"), (
        "nginx knows one health"
    )
    other = probed(MYSQL, "tcp", banner="PostgreSQL")
    mesh = with_python.with_changes(links=[other, *ALL[1:]])
    broken(mesh, "wrong-answer", "answer", CLIENT, "PostgreSQL", "in the first bytes")


# -- what is revoked, and how it ends ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_list_that_is_in_force_is_told_with_its_time(with_python: Mesh) -> None:
    stolen_certificate(with_python)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    revoked = [{"cluster": GONE, "date": now, "reason": "keyCompromise"}]
    mesh = with_python.with_changes(variables={**with_python.variables, "custom_ca_revoked": revoked})
    try:
        assert mesh.site("-e", "mesh_gate_timeout=60").ok
        run = mesh.play("verify")
        assert run.code == 0, run.output
        assert re.search(r"CRL in force in 1 of 1 ready pods: .*, of \d{4}-\d\d-\d\dT", run.output), run.output
    finally:
        assert with_python.site("-e", "mesh_gate_timeout=60").ok
    assert not with_python.play("verify").says("CRL in force")


def test_a_cluster_that_cannot_be_asked_ends_with_4_whatever_the_others_are(with_python: Mesh) -> None:
    wrong = with_python.with_changes(links=[probed(MYSQL, "tcp", banner="PostgreSQL"), *ALL[1:]])
    with stopped_api_server(with_python, SERVER):
        run, also_wrong = with_python.play("verify"), wrong.play("verify")
    assert run.code == 4, run.output
    assert (run.recap[SERVER]["unreachable"], run.recap[CLIENT]["failed"]) == (1, 0)
    assert run.reports("api-unreachable", f"context {SERVER}")
    assert run.says(f"not looked at in this run: {SERVER}")
    assert stands(run, "mysql", "up"), "what the other cluster shows"
    assert also_wrong.code == 4, also_wrong.output
    assert also_wrong.recap[CLIENT]["failed"] == 1
    assert also_wrong.reports("wrong-answer", "link mysql"), also_wrong.output
    assert_sound(with_python)


def test_where_both_clusters_are_wrong_the_report_is_printed_all_the_same(with_python: Mesh) -> None:
    wrong = with_python.with_changes(hosts={name: {"mesh_context": f"nowhere-of-{name}"} for name in (CLIENT, SERVER)})
    run = wrong.play("verify")
    assert run.code == 2, run.output
    assert run.says(f"not looked at in this run: {CLIENT}, {SERVER}")
