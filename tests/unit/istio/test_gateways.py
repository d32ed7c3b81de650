# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways of one proxy: what they have at a port, where it leads, and what Istio or Envoy leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import gateways, http_routes, scopes
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.gateways import Listener
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy
from tests.unit.istio.objects import GATE, HOST, SHOP, TEAM, Object, entry, gateway, made, mesh_of, route

PORT = 15443


def gate(
    place: str,
    age: int = 5,
    /,
    hosts: Sequence[str] = (HOST,),
    protocol: str = "TLS",
    mode: str = "ISTIO_MUTUAL",
    port: int = PORT,
    bind: str = "",
    selector: dict[str, str] | None = None,
) -> Object:
    server: Object = {"port": {"number": port, "name": "s", "protocol": protocol}, "hosts": list(hosts)}
    if mode:
        server["tls"] = {"mode": mode}
    if bind:
        server["bind"] = bind
    return made("Gateway", place, age, selector={"istio": "egress"} if selector is None else selector, servers=[server])


def vs(place: str, age: int = 5, /, hosts: Sequence[str] = (HOST,), **spec: Any) -> Object:
    wanted: Any = {"gateways": [f"{GATE}/ours"], "tcp": [route(f"to-{place.replace('/', '-')}.example", 1)], **spec}
    return made("VirtualService", place, age, hosts=list(hosts), **wanted)


OURS, LEADS = gate(f"{GATE}/ours"), vs(f"{GATE}/v")


def listener(*objects: Object, proxy: Proxy | None = None, port: int = PORT) -> Listener:
    """The one at every address."""
    scope = scopes.scope_of(mesh_of(*objects), proxy or gateway())
    return next((item for item in gateways.listeners_at(scope, port) if not item.bind), Listener(port))


def leads_to_cluster(*objects: Object) -> str:
    chain = listener(OURS, *objects).chain_for(HOST)
    return chain.clusters[0] if chain else ""


def leads_to(*objects: Object) -> str:
    return leads_to_cluster(*objects).rpartition("|")[2]


def test_a_server_leads_where_its_virtual_service_says() -> None:
    assert leads_to(LEADS) == "to-gates-v.example"
    assert leads_to() == ""


@pytest.mark.parametrize(
    ("theirs", "wins"),
    [
        (vs(f"{TEAM}/v", 1), True),
        (vs(f"{TEAM}/v", 9), False),
        (vs(f"{TEAM}/v", 9, exportTo=[GATE]), True),
        (vs(f"{TEAM}/v", 1, exportTo=["."]), False),
        (vs(f"{TEAM}/v", 1, ("*.example.com",)), True),
        (vs(f"{TEAM}/v", 1, ("other.example.com",)), False),
        (vs(f"{TEAM}/v", 1, gateways=["ours"]), False),
        (vs(f"{TEAM}/v", 1, gateways=["mesh"]), False),
        (vs(f"{TEAM}/v", 1, gateways=["ours.gates.svc.cluster.local"]), True),
        (vs(f"{TEAM}/v", 1, tcp=[route("x.example", 1, [{"port": 443}])]), False),
        # A gateway looks at no sources.
        (vs(f"{TEAM}/v", 1, tcp=[route("x.example", 1, [{"sourceNamespace": "nobody"}])]), True),
    ],
)
def test_which_virtual_service_leads_tcp(theirs: Object, wins: bool) -> None:
    assert (leads_to(LEADS, theirs) != "to-gates-v.example") is wins


def test_a_host_for_one_namespace_lets_only_its_virtual_services_in() -> None:
    closed = gate(f"{GATE}/ours", hosts=[f"./{HOST}"])
    chain = listener(closed, LEADS, vs(f"{TEAM}/v", 1)).chain_for(HOST)
    assert chain is not None
    assert chain.rule is not None
    assert chain.rule.namespace == GATE


@pytest.mark.parametrize(
    "theirs",
    [
        gate(f"{SHOP}/theirs", 1),
        gate(f"{SHOP}/theirs", 1, hosts=["other.example.com", f"*/{HOST}"]),
        gate(f"{SHOP}/theirs", 1, protocol="TCP", mode=""),
        gate(f"{SHOP}/theirs", 1, protocol="HTTP", mode=""),
        gate(f"{SHOP}/theirs", 1, port=8443),
    ],
    ids=["same host", "same host among others", "plain tcp", "plain HTTP", "another port with the same target"],
)
def test_a_server_that_was_there_before_leaves_ours_out(theirs: Object) -> None:
    proxy = gateway(ports={PORT: 9443, 8443: 9443})
    found = listener(OURS, LEADS, theirs, proxy=proxy, port=9443)
    assert found.chain_for(HOST) is None
    assert [(lost.gateway.name, lost.before.name) for lost in found.dropped] == [("ours", "theirs")]


@pytest.mark.parametrize(
    "theirs",
    [
        gate(f"{SHOP}/theirs", 9),
        gate(f"{SHOP}/theirs", 1, hosts=["other.example.com"]),
        gate(f"{SHOP}/theirs", 1, hosts=["*.example.com"]),
        gate(f"{SHOP}/theirs", 1, port=8443),
        gate(f"{SHOP}/theirs", 1, bind="192.0.2.1"),
        gate(f"{SHOP}/theirs", 1, protocol="TCP", mode="", bind="192.0.2.1"),
        gate(f"{SHOP}/theirs", 1, selector={"istio": "ingress"}),
    ],
    ids=["younger", "another host", "a wildcard", "another port", "bound", "plain and bound", "another gateway"],
)
def test_what_lives_beside_ours(theirs: Object) -> None:
    found = listener(OURS, LEADS, theirs)
    assert found.chain_for(HOST) is not None
    assert found.clashes == []


def test_a_gateway_without_a_selector_is_for_all() -> None:
    theirs = gate(f"{SHOP}/theirs", 1)
    del theirs["spec"]["selector"]
    assert listener(OURS, LEADS, theirs).chain_for(HOST) is None


def test_a_host_with_and_without_a_namespace_is_one_name_to_envoy() -> None:
    theirs, leads = gate(f"{SHOP}/theirs", 9), vs(f"{SHOP}/v", gateways=["theirs"])
    closed = gate(f"{GATE}/ours", hosts=[f"./{HOST}"])
    clashes = listener(closed, LEADS, theirs, leads).clashes
    assert [[chain.gateway.name for chain in pair] for pair in clashes] == [["ours", "theirs"]]
    # Without a VirtualService there is no chain, and nothing to refuse.
    assert listener(closed, LEADS, theirs).clashes == []


def test_plain_http_that_comes_after_tls_is_put_beside_it() -> None:
    found = listener(OURS, LEADS, gate(f"{SHOP}/theirs", 9, protocol="HTTP", mode=""))
    assert [(sorted(chain.sni), chain.http) for chain in found.chains] == [([HOST], False), ([], True)]


def test_passthrough_goes_by_tls_routes() -> None:
    theirs = gate(f"{GATE}/ours", mode="PASSTHROUGH")
    tls = [
        route("x.example", 1, [{"sniHosts": ["a.example.com"]}]),
        route("y.example", 1, [{"sniHosts": ["a.example.com"]}]),
    ]
    found = listener(theirs, vs(f"{GATE}/v", tcp=[], tls=tls, hosts=("*.example.com",)))
    assert [(sorted(chain.sni), chain.clusters) for chain in found.chains] == [
        (["a.example.com"], ("outbound|1||x.example",))
    ]


def ways(*objects: Object) -> list[tuple[str, bool]]:
    https = gate(f"{GATE}/ours", protocol="HTTPS")
    scope = scopes.scope_of(mesh_of(https, *objects), gateway())
    (found,) = gateways.listeners_at(scope, PORT)
    chain = found.chain_for(HOST)
    assert chain is not None
    assert chain.http
    routes = http_routes.at_gateway(scope, chain.gateway, chain.server, HOST)
    return [(way.rule.name if way.rule else "", way.narrow) for way in routes]


def test_http_puts_all_virtual_services_together_the_narrow_routes_first() -> None:
    ours = vs(f"{GATE}/ours", 1, tcp=[], http=[route("x.example", 1)])
    narrow = vs(f"{TEAM}/narrow", 9, tcp=[], http=[route("y.example", 1, [{"uri": {"prefix": "/secret"}}])])
    assert ways(ours, narrow) == [("narrow", True), ("ours", False)]
    assert ways(ours, vs(f"{TEAM}/all", 9, tcp=[], http=[route("y.example", 1)])) == [("ours", False), ("all", False)]


def test_http_looks_at_sources_unless_a_match_names_gateways() -> None:
    ours = vs(f"{GATE}/ours", 5, tcp=[], http=[route("x.example", 1)])
    match = {"sourceNamespace": "nobody"}
    assert ways(ours, vs(f"{TEAM}/v", 1, tcp=[], http=[route("y.example", 1, [match])])) == [("ours", False)]
    named = {**match, "gateways": [f"{GATE}/ours"]}
    theirs = vs(f"{TEAM}/v", 1, tcp=[], http=[route("y.example", 1, [named])])
    assert ways(ours, theirs) == [("v", False), ("ours", False)]


def test_a_workload_takes_the_routes_of_one_virtual_service() -> None:
    http: Any = {"gateways": ["mesh"], "tcp": []}
    exact = vs(f"{TEAM}/exact", 9, http=[route("x.example", 1)], **http)
    wide = vs(f"{TEAM}/wide", 1, ("*.example.com",), http=[route("y.example", 1)], **http)
    elsewhere = vs(f"{TEAM}/elsewhere", 1, http=[route("z.example", 1, [{"port": 1}])], **http)
    own = entry(f"{GATE}/ours", protocol="HTTP")

    def taken(*objects: Object) -> list[str]:
        found = http_routes.of_workload(scopes.scope_of(mesh_of(own, *objects), Proxy(SHOP)), HOST, 3306)
        return [way.rule.name if way.rule else "istio" for way in found]

    assert taken() == ["istio"]
    assert taken(wide) == ["wide"]
    assert taken(wide, exact) == ["exact"]
    assert taken(wide, exact, elsewhere) == ["exact"]
    # The exact host is the most specific, even where it has no route for this port.
    assert taken(wide, elsewhere) == ["istio"]


def test_a_destination_without_a_port_is_at_the_services_only_one_but_for_http_of_workloads() -> None:
    own = [entry(f"{GATE}/ours", protocol="HTTP"), entry(f"{GATE}/other", host="other.example.com", port=1)]
    bare = {"route": [{"destination": {"host": "other.example.com"}}]}
    leads = vs(f"{GATE}/v", gateways=["mesh", f"{GATE}/ours"], tcp=[bare], http=[bare])
    assert leads_to_cluster(*own, leads) == "outbound|1||other.example.com"
    scope = scopes.scope_of(mesh_of(*own, leads), Proxy(SHOP))
    (way,) = http_routes.of_workload(scope, HOST, 3306)
    assert way.clusters == ("outbound|3306||other.example.com",)


@pytest.mark.parametrize(("first", "last", "speaks"), [("HTTP", "TCP", False), ("TCP", "HTTP", True)])
def test_of_several_services_for_a_host_the_last_one_says_how_it_speaks(first: str, last: str, speaks: bool) -> None:
    own = [entry(f"{GATE}/first", 1, protocol=first), entry(f"{GATE}/last", 9, protocol=last)]
    assert bool(http_routes.of_workload(scopes.scope_of(mesh_of(*own), Proxy(SHOP)), HOST, 3306)) is speaks
