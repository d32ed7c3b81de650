# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a connection of a workload goes: listeners with and without an address, and what takes them over."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import listeners, scopes
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy
from tests.unit.istio.objects import (
    GATE,
    HOST,
    SHOP,
    TEAM,
    Object,
    entry,
    made,
    mesh_of,
    route,
    service,
    workload,
)

OTHER = "billing.example.com"


def taken(*objects: Object, proxy: Proxy | None = None, port: int = 3306) -> dict[str, list[str]]:
    """By address: where each chain leads, in order; HTTP as such, an SNI in front."""
    scope = scopes.scope_of(mesh_of(*objects), proxy or workload(SHOP))
    found = listeners.outbound(scope, port)
    return {address: [_shown(chain) for chain in chains] for address, chains in found.items()}


def _shown(chain: listeners.Chain) -> str:
    where = "http" if chain.http else ",".join(name.rpartition("|")[2] for name in chain.clusters)
    return f"{','.join(sorted(chain.sni | chain.subnets))}>{where}" if chain.sni or chain.subnets else where


def test_of_two_entries_without_an_address_the_older_one_takes_the_port() -> None:
    ours = entry(f"{GATE}/ours", 5)
    assert taken(ours, entry(f"{TEAM}/theirs", 1, host=OTHER)) == {"0.0.0.0": [OTHER]}
    assert taken(ours, entry(f"{TEAM}/theirs", 9, host=OTHER)) == {"0.0.0.0": [HOST]}


def test_one_that_is_exported_to_some_comes_first() -> None:
    theirs = entry(f"{TEAM}/theirs", 9, host=OTHER, exportTo=[SHOP])
    assert taken(entry(f"{GATE}/ours", 5), theirs) == {"0.0.0.0": [OTHER]}


def test_addresses_keep_them_apart() -> None:
    ours = entry(f"{GATE}/ours", addresses=["10.98.0.1"])
    assert taken(ours, entry(f"{TEAM}/theirs", host=OTHER)) == {"10.98.0.1": [HOST], "0.0.0.0": [OTHER]}


def test_an_address_that_istio_gave_counts_with_dns_capture() -> None:
    ours = entry(f"{GATE}/ours")
    ours["status"] = {"addresses": [{"host": HOST, "value": "2001:2::1"}, {"host": HOST, "value": "240.240.0.1"}]}
    assert taken(ours) == {"0.0.0.0": [HOST]}
    assert taken(ours, proxy=Proxy(SHOP, dns_capture=True)) == {"240.240.0.1": [HOST]}


def test_a_range_of_addresses_is_told_apart_at_every_address() -> None:
    ranged = entry(f"{TEAM}/theirs", host=OTHER, addresses=["10.98.0.7/24"], resolution="STATIC")
    assert taken(ranged, entry(f"{GATE}/ours", 9)) == {"0.0.0.0": [f"10.98.0.0/24>{OTHER}", HOST]}


@pytest.mark.parametrize(
    ("first", "second", "chains"),
    [
        ("HTTP", "TCP", ["http", HOST]),
        ("TCP", "HTTP", [OTHER, "http"]),
        ("TLS", "TCP", [f"{OTHER}>{OTHER}", HOST]),
        ("TCP", "TLS", [OTHER, f"{HOST}>{HOST}"]),
        ("TLS", "HTTPS", [f"{OTHER}>{OTHER}", f"{HOST}>{HOST}"]),
        ("MYSQL", "TCP", [OTHER]),
        ("TCP", "MONGO", [OTHER]),
        ("MYSQL", "MYSQL", [OTHER]),
        ("UDP", "TCP", [HOST]),
    ],
)
def test_protocols_that_meet_at_every_address(first: str, second: str, chains: list[str]) -> None:
    before = entry(f"{TEAM}/theirs", 1, host=OTHER, protocol=first)
    assert taken(before, entry(f"{GATE}/ours", 9, protocol=second))["0.0.0.0"] == chains


@pytest.mark.parametrize(
    ("name", "resolution", "found"),
    [
        ("tcp-db", "10.1.0.9", {"10.1.0.9": ["db.team.svc.cluster.local"]}),
        ("http-db", "10.1.0.9", {"0.0.0.0": ["http"]}),
        ("db", "10.1.0.9", {"10.1.0.9": ["db.team.svc.cluster.local", "http"]}),
        ("tcp-db", "None", {}),
        ("http-db", "None", {"0.0.0.0": ["http"]}),
    ],
)
def test_a_service_of_kubernetes(name: str, resolution: str, found: dict[str, list[str]]) -> None:
    assert taken(service(f"{TEAM}/db", port=8000, name=name, clusterIP=resolution), port=8000) == found


def test_a_port_without_a_protocol_that_speaks_first_is_tcp() -> None:
    assert taken(service(f"{TEAM}/db", name="db")) == {"10.1.0.1": ["db.team.svc.cluster.local"]}


def test_an_entry_by_none_stands_at_its_endpoints_those_of_its_namesakes_among_them() -> None:
    bare = entry(f"{TEAM}/bare", 1, host=OTHER, resolution="NONE")
    assert taken(bare) == {"0.0.0.0": [OTHER]}
    named = entry(
        f"{TEAM}/named", 9, host=OTHER, endpoints=[{"address": "db.elsewhere.example"}], addresses=["10.98.0.2"]
    )
    assert taken(bare, named) == {"10.98.0.2": [OTHER]}
    fixed = entry(f"{TEAM}/bare", 1, host=OTHER, resolution="NONE", endpoints=[{"address": "10.97.0.1"}])
    assert taken(fixed) == {"10.97.0.1": [OTHER]}


def test_the_port_of_a_sidecar_is_closed_to_all_else_and_speaks_as_the_sidecar_says() -> None:
    own = entry(f"{SHOP}/own", 9, host=OTHER)
    listener = {"port": {"number": 3306, "protocol": "HTTP", "name": "h"}, "hosts": ["./*"]}
    sidecar = made("Sidecar", f"{SHOP}/s", egress=[listener, {"hosts": ["*/*"]}])
    assert taken(own, entry(f"{GATE}/ours"), sidecar) == {"0.0.0.0": ["http"]}


def vs(place: str, age: int = 5, /, hosts: tuple[str, ...] = (HOST,), **spec: Any) -> Object:
    return made("VirtualService", place, age, hosts=list(hosts), **{"tcp": [route("thief.example.com", 3306)], **spec})


OURS_ROUTE = vs(f"{GATE}/ours", 5, tcp=[route("egress.gates.svc.cluster.local", 15443, [{"port": 3306}])])


@pytest.mark.parametrize(
    ("theirs", "wins"),
    [
        (vs(f"{TEAM}/v", 9), False),
        (vs(f"{TEAM}/v", 1), True),
        (vs(f"{TEAM}/v", 1, ("*.example.com",)), True),
        (vs(f"{TEAM}/v", 9, ("*.example.com",)), False),
        (vs(f"{SHOP}/v", 9, exportTo=["."]), True),
        (vs(f"{TEAM}/v", 9, exportTo=[SHOP]), True),
        (vs(f"{TEAM}/v", 1, exportTo=["."]), False),
        (vs(f"{TEAM}/v", 1, exportTo=["~"]), False),
        (vs(f"{TEAM}/v", 1, gateways=["some"]), False),
        (vs(f"{TEAM}/v", 1, gateways=["some", "mesh"]), True),
        (vs(f"{TEAM}/v", 1, tcp=[route("thief.example.com", 1, [{"port": 3307}])]), False),
        (vs(f"{TEAM}/v", 1, tcp=[route("thief.example.com", 1, [{"sourceNamespace": TEAM}])]), False),
        (vs(f"{TEAM}/v", 1, tcp=[route("thief.example.com", 1, [{"sourceLabels": {"app": "a"}}])]), False),
        (vs(f"{TEAM}/v", 1, tcp=[], http=[route("thief.example.com", 1)]), False),
    ],
)
def test_which_virtual_service_leads_tcp(theirs: Object, wins: bool) -> None:
    (chain,) = taken(entry(f"{GATE}/ours"), OURS_ROUTE, theirs)["0.0.0.0"]
    assert chain == ("thief.example.com" if wins else "egress.gates.svc.cluster.local")


def test_a_subnet_takes_a_part_and_leaves_the_rest() -> None:
    part = route("thief.example.com", 1, [{"destinationSubnets": ["10.0.0.0/8"]}])
    found = taken(entry(f"{GATE}/ours"), OURS_ROUTE, vs(f"{TEAM}/v", 1, tcp=[part]))
    assert found == {"0.0.0.0": ["10.0.0.0/8>thief.example.com", "egress.gates.svc.cluster.local"]}


def test_tls_goes_by_its_sni() -> None:
    part = route("thief.example.com", 1, [{"sniHosts": [HOST]}])
    found = taken(entry(f"{GATE}/ours", protocol="TLS"), vs(f"{TEAM}/v", tcp=[], tls=[part]))
    assert found == {"0.0.0.0": [f"{HOST}>thief.example.com"]}
