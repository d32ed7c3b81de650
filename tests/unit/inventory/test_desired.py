# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The view of one cluster: which links it serves and dials, and everything that templates read of them."""

from __future__ import annotations

import ipaddress
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink, IstioRetries
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import has_own_trust
from tests.unit.pki.support import make_root
from tests.unit.support import CLIENT, SERVER, Json, link, names_of, numbered, resolve, view

BOTH: Json = {"mesh_cluster_name": "cluster-c", "groups": ["mesh_clients", "mesh_servers"]}

# name, the link's changes, serves in (b, c), is dialled in (a, c)
WHO: list[tuple[str, Json, set[str], set[str]]] = [
    ("by default all serve, and who serves does not dial", {}, {"cluster-b", "cluster-c"}, {"cluster-a"}),
    ("named servers", {"servers": ["cluster-b"]}, {"cluster-b"}, {"cluster-a", "cluster-c"}),
    ("named clients", {"servers": ["cluster-b"], "clients": ["cluster-c"]}, {"cluster-b"}, {"cluster-c"}),
    ("a group serves", {"servers": ["mesh_servers"]}, {"cluster-b", "cluster-c"}, {"cluster-a"}),
    (
        "a group dials, but not itself",
        {"servers": ["mesh_servers"], "clients": ["mesh_clients"]},
        {"cluster-b", "cluster-c"},
        {"cluster-a"},
    ),
    ("every cluster dials", {"servers": ["cluster-b"], "clients": ["all"]}, {"cluster-b"}, {"cluster-a", "cluster-c"}),
    (
        "a server with an address",
        {"servers": [{"name": "cluster-b", "address": "203.0.113.7"}]},
        {"cluster-b"},
        {"cluster-a", "cluster-c"},
    ),
    ("nobody serves: an external server", {"servers": []}, set(), {"cluster-a", "cluster-c"}),
    ("nobody dials", {"clients": []}, {"cluster-b", "cluster-c"}, set()),
    ("a server outside of the group does not serve", {"servers": ["cluster-a"]}, set(), {"cluster-c"}),
    ("absent", {"state": "absent"}, set(), set()),
    (
        "a state without a value is the default",
        {"state": None, "servers": ["cluster-b"]},
        {"cluster-b"},
        {"cluster-a", "cluster-c"},
    ),
]


@pytest.mark.parametrize(("changes", "serving", "dialling"), [row[1:] for row in WHO], ids=[row[0] for row in WHO])
def test_who_serves_and_who_dials(changes: Json, serving: set[str], dialling: set[str]) -> None:
    views = {cluster["mesh_cluster_name"]: view([link(**changes)], cluster) for cluster in (CLIENT, SERVER, BOTH)}
    assert {name for name, found in views.items() if names_of(found["server"])} == serving
    assert {name for name, found in views.items() if names_of(found["client"])} == dialling


def test_a_cluster_that_leaves_a_group_keeps_nothing_of_that_side() -> None:
    links = [link(servers=["cluster-b"])]
    left = {**BOTH, "groups": ["mesh_servers"]}
    assert names_of(view(links, BOTH)["client"]) == ["mysql"]
    side = view(links, left)["client"]
    assert (side["links"], side["ports"], side["secrets"]) == ([], [], [])
    # Where to look for what is left, and whose it is, still stands in the view.
    assert side["manager"] == "crossmesh-default-cluster-c-client"
    assert (side["namespace"], side["service"]) == ("istio-system", "istio-egressgateway")


@pytest.mark.parametrize("variables", [CLIENT, SERVER, BOTH])
def test_a_cluster_that_is_absent_wants_nothing(variables: Json) -> None:
    found = view([link(), numbered(1)], {**variables, "mesh_cluster_state": "absent"})
    assert (found["server"]["links"], found["server"]["ports"], found["server"]["secrets"]) == ([], [], [])
    assert (found["client"]["links"], found["client"]["ports"], found["client"]["secrets"]) == ([], [], [])
    assert found["request"]["links"] == []


def test_a_view_depends_on_the_clusters_own_variables_only() -> None:
    links = [link(), numbered(1, clients=["cluster-a"]), numbered(2, servers=["cluster-z"], clients=["cluster-y"])]
    seen = resolve(links, CLIENT)
    assert seen["errors"] == []
    assert names_of(seen["client"]) == ["mysql", "link-1"]


def test_the_order_of_links_does_not_change_identities_and_ports() -> None:
    links = [numbered(number) for number in range(5)]
    there, back = view(links, CLIENT)["client"], view(links[::-1], CLIENT)["client"]
    assert there["secrets"] == back["secrets"]
    assert view(links, SERVER)["server"]["ports"] == view(links[::-1], SERVER)["server"]["ports"]
    assert view(links, SERVER)["request"] == view(links[::-1], SERVER)["request"]


def test_a_client_certificate_names_its_cluster_and_every_link_that_it_may_use() -> None:
    links = [link(), numbered(1), numbered(2, clients=["cluster-x"])]
    (secret,) = view(links, {**CLIENT, "custom_ca_trust_domain": "mesh.example"})["client"]["secrets"]
    assert secret["sans"] == [
        "cluster-a.cluster.mesh.example",
        "link-1.link.mesh.example",
        "mysql.link.mesh.example",
    ]
    assert (secret["name"], secret["role"], secret["link"]) == ("client-credential", "client", "client")


def test_a_server_certificate_holds_the_fqdn_and_its_gateway_asks_for_the_link() -> None:
    side = view([link()], SERVER)["server"]
    (secret,) = side["secrets"]
    assert (secret["name"], secret["role"], secret["sans"]) == (
        "mysql-credential",
        "server",
        ["mysql.server.example.com"],
    )
    assert side["links"][0]["client_identities"] == ["mysql.link.crossmesh.internal"]


def test_clients_of_others_are_asked_for_beside_the_links_own() -> None:
    side = view([link(foreign_clients=["billing.partner.example"])], SERVER)["server"]
    assert side["links"][0]["client_identities"] == ["mysql.link.crossmesh.internal", "billing.partner.example"]


AT_7 = [{"name": "cluster-b", "address": "203.0.113.7"}]
FIRST, SECOND, WEB = link(servers=AT_7), numbered(1, port=3306, servers=AT_7), numbered(2, protocol="http")
VIRTUAL: list[tuple[str, list[Json], str | None, set[str]]] = [
    ("nobody tells workloads of them", [FIRST, numbered(1)], None, set()),
    ("two TCP links on one port", [FIRST, SECOND, WEB], None, {"mysql", "link-1"}),
    ("sidecars answer: each link, from its first day", [FIRST, WEB], "capture", {"mysql", "link-2"}),
    ("the cluster's DNS answers", [FIRST], "virtual", {"mysql"}),
]


@pytest.mark.parametrize(("links", "dns", "having"), [row[1:] for row in VIRTUAL], ids=[row[0] for row in VIRTUAL])
def test_who_has_a_virtual_address(links: list[Json], dns: str | None, having: set[str]) -> None:
    found = view(links, {**CLIENT, "mesh_dns": dns})["client"]["links"]
    assert {item["name"] for item in found if item["addresses"]} == having


def test_a_virtual_address_comes_of_the_links_name_alone_and_lies_in_the_range() -> None:
    links = [numbered(number) for number in range(200)]
    variables = {**CLIENT, "mesh_dns": "capture", "mesh_vip_range": "240.128.0.0/10"}
    found = {item["name"]: item["addresses"] for item in view(links, variables)["client"]["links"]}
    assert found == {item["name"]: item["addresses"] for item in view(links[::-1], variables)["client"]["links"]}
    network = ipaddress.ip_network("240.128.0.0/10")
    assert all(ipaddress.ip_address(address) in network for (address,) in found.values())
    assert len({address for (address,) in found.values()}) == len(links)
    assert view([links[0], WEB], variables)["client"]["links"][0]["addresses"] == found["link-0"]


def test_given_addresses_come_before_virtual_ones() -> None:
    (found,) = view([link(addresses=["240.0.0.10"])], {**CLIENT, "mesh_dns": "capture"})["client"]["links"]
    assert found["addresses"] == ["240.0.0.10"]


UNSERVED: Json = {"tls_port": None, "backend": None}
OWN_CA = {"address": "db.example.net", "port": 13306, "ca": "/srv/crossmesh/mysql"}
OWNERS_ROOT = make_root().view.pem
OWNERS_CA = {"address": "203.0.113.9", "port": 443, "trust": OWNERS_ROOT, "sni": "db.example.net"}


def test_no_cluster_serves_a_link_to_an_external_server() -> None:
    both = {**CLIENT, "groups": ["mesh_servers", "mesh_clients"]}
    found = view([link(**UNSERVED, external=OWN_CA)], both)
    assert (names_of(found["server"]), names_of(found["client"])) == ([], ["mysql"])
    (dialled,) = found["client"]["links"]
    assert dialled["endpoints"] == [{"address": "db.example.net", "ports": {"tls": 13306}}]
    assert (dialled["tls_port"], dialled["sni"], dialled["credential"]) == (13306, FQDN, "client-credential")


def test_a_server_of_another_ca_is_met_with_a_secret_of_its_own() -> None:
    found = view([link(**UNSERVED, external=OWNERS_CA), numbered(1)], CLIENT)["client"]
    dialled, _other = found["links"]
    assert (dialled["sni"], dialled["credential"]) == ("db.example.net", "mysql-client-credential")
    shared, its_own = found["secrets"]
    assert (shared["name"], shared["trust"]) == ("client-credential", "")
    assert shared["sans"] == ["cluster-a.cluster.crossmesh.internal", "link-1.link.crossmesh.internal"]
    assert (its_own["name"], its_own["trust"], its_own["link"]) == ("mysql-client-credential", OWNERS_ROOT, "mysql")
    assert its_own["sans"] == ["cluster-a.cluster.crossmesh.internal", "mysql.link.crossmesh.internal"]
    assert (has_own_trust(its_own), has_own_trust(shared)) == (False, True)


def test_of_an_owners_file_only_its_certificates_travel() -> None:
    """Files come with remarks, and with line ends of their own."""
    written = f"Root of the partner\n{OWNERS_ROOT}".replace("\n", "\r\n")
    (its_own,) = view([link(**UNSERVED, external={**OWNERS_CA, "trust": written})], CLIENT)["client"]["secrets"]
    assert its_own["trust"] == OWNERS_ROOT


def test_external_servers_and_foreign_clients_rely_on_the_roots() -> None:
    foreign, kept = numbered(2, foreign_clients=["a.example.com"]), numbered(3, **UNSERVED, external=OWN_CA)
    links = cast(list[GivenLink], [link(**UNSERVED, external=OWNERS_CA), numbered(1), foreign])
    assert desired.beyond_sight(links) == ["mysql", "link-2"]
    assert [item.link for item in desired.external_servers([*links, cast(GivenLink, kept)])] == ["link-3"]


def test_a_secret_that_no_link_uses_is_not_made() -> None:
    """No gateway would ever serve it, and nothing could be proven."""
    found = view([link(**UNSERVED, external=OWNERS_CA)], CLIENT)["client"]
    assert [item["name"] for item in found["secrets"]] == ["mysql-client-credential"]


def test_labels_say_instance_cluster_side_and_link() -> None:
    found = view([link()], {**SERVER, "mesh_instance": "blue"})["server"]
    assert found["links"][0]["labels"] == {
        "app.kubernetes.io/managed-by": "crossmesh",
        "crossmesh/instance": "blue",
        "crossmesh/cluster": "cluster-b",
        "crossmesh/side": "server",
        "crossmesh/link": "mysql",
    }
    assert found["manager"] == "crossmesh-blue-cluster-b-server"


B_AT_7 = {"name": "cluster-b", "address": "203.0.113.7"}
C_AT_8 = {"name": "cluster-c", "address": "203.0.113.8", "locality": "eu/c"}
FQDN = "mysql.server.example.com"

ENDPOINTS: list[tuple[str, Any, list[Json]]] = [
    ("the FQDN by default", None, [{"address": FQDN}]),
    ("the FQDN once for all servers without an address", ["cluster-b", "cluster-c"], [{"address": FQDN}]),
    ("an address", [B_AT_7], [{"address": "203.0.113.7"}]),
    (
        "addresses and a locality",
        [B_AT_7, C_AT_8],
        [{"address": "203.0.113.7"}, {"address": "203.0.113.8", "locality": "eu/c"}],
    ),
    (
        "an address and the FQDN for the other server",
        [B_AT_7, "cluster-c"],
        [{"address": "203.0.113.7"}, {"address": FQDN}],
    ),
    ("a locality alone", [{"name": "cluster-b", "locality": "eu/b"}], [{"address": FQDN, "locality": "eu/b"}]),
    (
        "the FQDN in two localities",
        [{"name": "cluster-b", "locality": "eu/b"}, "cluster-c"],
        [{"address": FQDN, "locality": "eu/b"}, {"address": FQDN}],
    ),
    ("nobody in Kubernetes", [], [{"address": FQDN}]),
]


@pytest.mark.parametrize(("servers", "expected"), [row[1:] for row in ENDPOINTS], ids=[row[0] for row in ENDPOINTS])
def test_endpoints(servers: Any, expected: list[Json]) -> None:
    (found,) = view([link(servers=servers)], CLIENT)["client"]["links"]
    assert found["endpoints"] == [{**endpoint, "ports": {"tls": 13306}} for endpoint in expected]


def test_ports_are_those_of_the_links_once_each() -> None:
    links = [link(tls_port=443), numbered(1, tls_port=443), numbered(2)]
    assert view(links, SERVER)["server"]["ports"] == [443, 30002]
    assert view(links, CLIENT)["client"]["ports"] == [15443]
    assert view(links, {**CLIENT, "mesh_egress_port": 16443})["client"]["ports"] == [16443]


def test_gateways_can_be_named_in_part() -> None:
    variables = {
        **BOTH,
        "mesh_ingress_gateway": {"namespace": "edge", "service": None},
        "mesh_egress_gateway": {"namespace": "edge", "service": "out", "selector": {"app": "out"}},
    }
    links = [link(servers=["cluster-c"]), numbered(1, servers=["cluster-b"])]
    found = view(links, variables)
    assert found["request"]["ingress_gateway"] == {
        "namespace": "edge",
        "service": "istio-ingressgateway",
        "selector": {"istio": "ingressgateway"},
    }
    assert found["server"]["links"][0]["namespace"] == "edge"
    client = found["client"]["links"][0]
    assert (client["egress_host"], client["selector"]) == ("out.edge.svc.cluster.local", {"app": "out"})


def test_a_reading_is_asked_for_what_both_sides_want() -> None:
    links = [
        link(servers=["cluster-c"]),
        numbered(1, servers=["cluster-b"]),
        numbered(2, clients=[], servers=["cluster-b"]),
    ]
    request = view(links, BOTH)["request"]
    assert request["links"] == ["link-1", "mysql"]
    assert request["backends"] == [{"service": "mysql", "namespace": "default"}]
    assert (request["instance"], request["cluster"], request["client_credential"]) == (
        "default",
        "cluster-c",
        "client-credential",
    )


def test_a_peer_authentication_is_named_only_where_it_is_asked_for() -> None:
    strict, loose = link(strict_backend=True), numbered(1)
    found = view([strict, loose], SERVER)["server"]["links"]
    assert [item["peer_authentication"] for item in found] == ["mysql-strict-backend", None]


def test_a_request_that_is_not_tried_again_says_nothing_of_how() -> None:
    def rendered(attempts: int) -> IstioRetries | None:
        asked = link(protocol="http", retries={"attempts": attempts, "retry_on": "503", "per_try_timeout": "1s"})
        (dialled,) = view([asked], CLIENT)["client"]["links"]
        return dialled["retries"]

    assert rendered(0) == {"attempts": 0}
    assert rendered(2) == {"attempts": 2, "retryOn": "503", "perTryTimeout": "1s"}


def test_what_is_asked_over_a_link_has_every_default() -> None:
    place = {"namespace": "shop", "selector": {"app": "web"}}
    (plain,) = view([link(probe={"type": "mysql", "from": place})], CLIENT)["client"]["links"]
    assert plain["probe"] == {
        "type": "mysql",
        "namespace": "shop",
        "selector": {"app": "web"},
        "container": "",
        "path": "/",
        "statuses": [200, 399],
        "service": "",
        "banner": "",
        "required": False,
    }
    (one,) = view([link(protocol="http", probe={"type": "http", "from": place, "status": "204"})], CLIENT)["client"][
        "links"
    ]
    assert one["probe"] is not None
    assert one["probe"]["statuses"] == [204, 204]
    (none,) = view([link()], CLIENT)["client"]["links"]
    assert none["probe"] is None
