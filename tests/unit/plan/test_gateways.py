# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways of others beside ours: what Istio serves together, what it leaves out, and whose."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    ForeignGateway,
    GatewayServer,
    ServicePort,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.gateways import Age, Claim, Conflicts, find_conflicts

LABELS = {"istio": "ingressgateway", "app": "istio-ingressgateway"}
HOST = "mysql.server.example.com"
OURS = "istio-system"
HTTPS: ServicePort = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 8443}
CREATED = "2026-01-02T00:00:00Z"


def of_others(selector: dict[str, str] | None = None, **server: Any) -> ForeignGateway:
    """A Gateway that serves another host on our port."""
    listens: GatewayServer = {
        "port": 443,
        "protocol": "HTTPS",
        "plain": False,
        "hosts": ["shop.example.com"],
        "bind": "",
    }
    return {
        "namespace": "shop",
        "name": "shop-gateway",
        "created": CREATED,
        "selector": {"istio": "ingressgateway"} if selector is None else selector,
        "servers": [cast(GatewayServer, {**listens, **server})],
    }


def plain(protocol: str = "HTTP", **server: Any) -> ForeignGateway:
    return of_others(protocol=protocol, plain=True, **server)


def conflicts(other: ForeignGateway, *ports: ServicePort, age: Age | None = None) -> Conflicts:
    return find_conflicts([Claim(443, HOST, OURS, age)], [other], [LABELS], ports or [HTTPS])


GATEWAYS: list[tuple[str, ForeignGateway, str]] = [
    ("another host on our port", of_others(), ""),
    ("every host on our port", of_others(hosts=["*"]), ""),
    ("a wildcard that has ours in it", of_others(hosts=["*.server.example.com"]), ""),
    ("an east-west gateway on our port", of_others(protocol="TLS", hosts=["*.local"]), ""),
    ("our host on another port", of_others(port=9443, hosts=[HOST]), ""),
    ("plain text on another port", plain(port=80), ""),
    ("plain text on another address", plain(bind="192.0.2.1"), ""),
    ("our host on another address", of_others(bind="192.0.2.1", hosts=[HOST]), ""),
    ("TLS in a port called TCP", of_others(protocol="TCP"), ""),
    ("our host for our namespace", of_others(hosts=[f"{OURS}/{HOST}"]), "host-taken"),
    ("our host on our port", of_others(hosts=[HOST]), "host-taken-in-namespace"),
    ("our host for one namespace", of_others(hosts=[f"shop/{HOST}"]), "host-taken-in-namespace"),
    ("our host for its own namespace", of_others(hosts=[f"./{HOST}"]), "host-taken-in-namespace"),
    ("our host for all namespaces", of_others(hosts=[f"*/{HOST}"]), "host-taken-in-namespace"),
    ("another host for one namespace", of_others(hosts=["shop/shop.example.com"]), ""),
    ("our host among others", of_others(hosts=["shop.example.com", HOST]), "host-taken-in-namespace"),
    ("plain text on our port", plain(), "plain-port"),
    ("TCP on our port", plain("TCP", hosts=["*"]), "plain-port"),
    ("our host on other pods", of_others({"istio": "eastwestgateway"}, hosts=[HOST]), ""),
    ("our host on all pods", of_others({}, hosts=[HOST]), "host-taken-in-namespace"),
]


@pytest.mark.parametrize(("other", "code"), [row[1:] for row in GATEWAYS], ids=[row[0] for row in GATEWAYS])
def test_gateways_of_others(other: ForeignGateway, code: str) -> None:
    found = conflicts(other)
    assert found.warnings == []
    if not code:
        assert found.errors == []
        return
    (error,) = found.errors
    assert (error.code, error.where) == (code, "Gateway shop/shop-gateway, port 443")
    assert error.fix


@pytest.mark.parametrize("number", [8443, 9443], ids=["the pods' port itself", "another port of the Service"])
def test_two_ports_that_are_one_listener(number: int) -> None:
    (error,) = conflicts(plain(port=number), HTTPS, {**HTTPS, "name": "other", "port": 9443}).errors
    assert (error.code, error.where) == ("plain-port", f"Gateway shop/shop-gateway, port {number}")
    assert "the same listener as our port 443" in error.what


def test_ports_by_name_are_one_listener_if_the_name_is_the_same() -> None:
    named: ServicePort = {**HTTPS, "targetPort": "https"}
    assert conflicts(plain(port=9443), named, {**named, "port": 9443}).errors
    assert not conflicts(plain(port=9443), named, {**named, "port": 9443, "targetPort": "web"}).errors


def test_a_number_under_udp_is_another_listener() -> None:
    quic: ServicePort = {"name": "quic", "port": 443, "protocol": "UDP", "targetPort": 9000}
    assert not conflicts(plain(port=9000), quic, HTTPS).errors
    assert conflicts(plain(port=8443), quic, HTTPS).errors


@pytest.mark.parametrize(
    ("age", "older"),
    [
        (("2026-01-01T00:00:00Z", "z", "z"), True),
        (("2026-01-03T00:00:00Z", "a", "a"), False),
        ((CREATED, "gateway-mysql", "istio-system"), True),
        ((CREATED, "z-gateway", "istio-system"), False),
        (None, False),
    ],
    ids=["ours is older", "ours is younger", "as old, first by name", "as old, last by name", "ours is to be made"],
)
@pytest.mark.parametrize(
    "other", [of_others(hosts=[f"{OURS}/{HOST}"]), plain()], ids=["our host for our namespace", "plain text"]
)
def test_the_older_gateway_wins(other: ForeignGateway, age: Age | None, older: bool) -> None:
    found = conflicts(other, age=age)
    assert (len(found.errors), len(found.warnings)) == ((0, 1) if older else (1, 0))
    if older:
        assert "Our Gateway is older" in found.warnings[0].what


@pytest.mark.parametrize("host", [f"shop/{HOST}", HOST], ids=["for one namespace", "for all"])
@pytest.mark.parametrize("day", [1, 3], ids=["ours is older", "ours is younger"])
def test_what_envoy_refuses_is_no_matter_of_age(day: int, host: str) -> None:
    other = of_others(hosts=[host])
    found = conflicts(other, age=(f"2026-01-{day:02}T00:00:00Z", "gateway-mysql", "istio-system"))
    assert found.errors == []
    (warning,) = found.warnings
    assert (warning.code, warning.level) == ("host-taken-in-namespace", "warning")
    assert "Envoy keeps serving ours until it restarts" in warning.what
    assert len(conflicts(other).errors) == 1


def test_what_envoy_refuses_stops_another_link_on_the_port() -> None:
    there = ("2026-01-01T00:00:00Z", "gateway-mysql", "istio-system")
    claims = [Claim(443, HOST, OURS, there), Claim(443, "new.server.example.com", OURS)]
    found = find_conflicts(claims, [of_others(hosts=[f"shop/{HOST}"])], [LABELS], [HTTPS])
    assert (len(found.errors), found.warnings) == (1, [])
