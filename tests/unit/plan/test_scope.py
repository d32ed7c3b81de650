# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run for some links leaves what links share as the other links have it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveObject
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import scope
from tests.unit.pki.support import make_root
from tests.unit.support import CLIENT, SERVER, Json, link, numbered, view

SERVES = Owner("default", "cluster-b", "server")
DIALS = Owner("default", "cluster-a", "client")
PARTNERS_ROOT = make_root().view.pem
CLUSTER = "cluster-a.cluster.crossmesh.internal"


def gateway(name: str, port: int, **changes: Any) -> LiveObject:
    """A Gateway as a reading has it."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": f"gateway-{name}",
            "namespace": "istio-system",
            "labels": {**SERVES.labels(name), **changes},
            "creationTimestamp": "",
            "managedFields": [],
            "tracker": "",
        },
        "spec": {"servers": [{"port": {"number": port}}]},
    }


def server_ports(
    links: list[Json], objects: list[LiveObject], *only: str, held: Collection[int] = (13306, 30001)
) -> list[int]:
    return scope.narrowed(view(links, SERVER)["server"], objects, (), held, SERVES, only)["ports"]


def shared(links: list[Json], live: list[str], *only: str) -> WantedSecret:
    return scope.narrowed(view(links, CLIENT)["client"], [], live, (), DIALS, only)["secrets"][0]


def client_sans(links: list[Json], live: list[str], *only: str) -> list[str]:
    return shared(links, live, *only)["sans"]


def test_without_a_limit_nothing_is_narrowed() -> None:
    side = view([link()], SERVER)["server"]
    assert scope.narrowed(side, [], (), (), SERVES, ()) is side


def test_a_port_of_another_link_is_neither_opened_nor_taken_back() -> None:
    links = [link(tls_port=13399), numbered(1)]
    assert server_ports(links, [gateway("mysql", 13306)], "link-1") == [13306, 30001]
    assert server_ports(links, [], "link-1") == [30001]


def test_a_port_of_a_link_of_this_run_goes_with_it() -> None:
    assert server_ports([link()], [gateway("mysql", 13306), gateway("link-1", 30001)], "link-1") == [13306]


def test_a_port_that_neither_the_inventory_gives_nor_this_side_has_open_is_not_opened() -> None:
    assert server_ports([link(tls_port=13399), numbered(1)], [gateway("mysql", 13306)], "link-1", held=[]) == [30001]
    # The control: one that the inventory gives is opened again.
    assert server_ports([link(), numbered(1)], [gateway("mysql", 13306)], "link-1", held=[]) == [13306, 30001]


def test_gateways_of_others_say_nothing_about_our_ports() -> None:
    others = gateway("mysql", 13306, **{"crossmesh/instance": "blue"})
    assert server_ports([link(), numbered(1)], [others], "link-1") == [30001]


def test_a_client_certificate_keeps_what_it_says_of_other_links_of_the_inventory() -> None:
    live = [CLUSTER, "gone.link.crossmesh.internal", "mysql.link.crossmesh.internal"]
    assert client_sans([link(), numbered(1), numbered(2)], live, "link-1") == [
        CLUSTER,
        "link-1.link.crossmesh.internal",
        "mysql.link.crossmesh.internal",
    ]


def test_a_name_that_the_inventory_does_not_give_is_no_reason_to_issue_and_never_issued() -> None:
    live = [CLUSTER, "gone.link.crossmesh.internal", "link-2.link.crossmesh.internal"]
    found = shared([link(), numbered(1)], live, "link-1", "link-2")
    assert found["left_sans"] == ["gone.link.crossmesh.internal"]
    assert found["sans"] == [CLUSTER, "link-1.link.crossmesh.internal"]


def test_a_client_certificate_loses_the_links_of_this_run_that_go() -> None:
    live = [CLUSTER, "link-1.link.crossmesh.internal", "mysql.link.crossmesh.internal"]
    assert client_sans([link()], live, "link-1") == [CLUSTER, "mysql.link.crossmesh.internal"]


def test_a_shared_certificate_is_not_made_for_a_link_that_has_one_of_its_own() -> None:
    partner = link(
        tls_port=None, backend=None, external={"address": "a.example.net", "port": 443, "trust": PARTNERS_ROOT}
    )
    side = view([partner, numbered(1)], CLIENT)["client"]

    def made(live: list[str], only: str) -> list[str]:
        return [item["name"] for item in scope.narrowed(side, [], live, (), DIALS, [only])["secrets"]]

    assert made([], "mysql") == ["mysql-client-credential"]
    assert made([], "link-1") == made([CLUSTER], "mysql") == ["client-credential", "mysql-client-credential"]
