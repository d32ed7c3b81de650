# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests that the roles render: the fields of the reference tutorial, and every value as it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from tests.unit.support import CHECKOUT, CLIENT, SERVER, Json, link, numbered, view

ROLES: dict[Side, str] = {"server": "mesh_ingress_server", "client": "mesh_egress_client"}
FQDN = "mysql.server.example.com"
EGRESS = "istio-egressgateway.istio-system.svc.cluster.local"


def environment(role: str) -> jinja2.Environment:
    """Jinja as the template lookup sets it up, with Ansible's own filters."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(CHECKOUT / "roles" / role / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(FilterModule().filters())
    return made


ENVIRONMENTS = {side: environment(role) for side, role in ROLES.items()}


def rendered(side: Side, wanted: DesiredSide) -> Iterator[Json]:
    """Every manifest of one side of the view."""
    yield from yaml.safe_load(ENVIRONMENTS[side].get_template("manifests.yaml.j2").render(wanted)) or []


def manifests(side: Side, links: list[Json], **variables: Any) -> dict[str, Json]:
    cluster = {**(SERVER if side == "server" else CLIENT), **variables}
    found = list(rendered(side, view(links, cluster)[side]))
    by_title = {f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}": item for item in found}
    assert len(by_title) == len(found)
    return by_title


WAY_OUT = {
    "loadBalancer": {"simple": "ROUND_ROBIN"},
    "portLevelSettings": [
        {
            "port": {"number": 13306},
            "connectionPool": {"tcp": {"connectTimeout": "10s"}},
            "loadBalancer": {"simple": "ROUND_ROBIN", "localityLbSetting": {"enabled": True}},
            "outlierDetection": {
                "splitExternalLocalOriginErrors": True,
                "consecutiveLocalOriginFailures": 2,
                "consecutiveGatewayErrors": 5,
                "consecutive5xxErrors": 0,
                "interval": "5s",
                "baseEjectionTime": "15s",
                "maxEjectionPercent": 99,
            },
            "tls": {
                "mode": "MUTUAL",
                "credentialName": "client-credential",
                "sni": FQDN,
                "subjectAltNames": [FQDN],
            },
        }
    ],
}
# What the reference tutorial has for MySQL, by kind, namespace and name, with what the collection adds to it.
REFERENCE: dict[str, dict[str, Json]] = {
    "server": {
        "Gateway istio-system/gateway-mysql": {
            "selector": {"istio": "ingressgateway"},
            "servers": [
                {
                    "port": {"number": 13306, "name": "tls-mysql", "protocol": "TLS"},
                    "tls": {
                        "mode": "MUTUAL",
                        "credentialName": "mysql-credential",
                        "minProtocolVersion": "TLSV1_2",
                        "subjectAltNames": ["mysql.link.crossmesh.internal"],
                    },
                    "hosts": [f"./{FQDN}"],
                }
            ],
        },
        "VirtualService istio-system/mysql-virtual-service": {
            "hosts": [FQDN],
            "gateways": ["gateway-mysql"],
            "tcp": [
                {"route": [{"destination": {"host": "mysql.default.svc.cluster.local", "port": {"number": 3306}}}]}
            ],
        },
    },
    "client": {
        "ServiceEntry istio-system/mysql-external": {
            "hosts": [FQDN],
            "addresses": [],
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "ports": [
                {"number": 3306, "name": "tcp", "protocol": "TCP"},
                {"number": 13306, "name": "tls", "protocol": "TLS"},
            ],
            "endpoints": [{"address": FQDN, "ports": {"tls": 13306}}],
        },
        "Gateway istio-system/egressgateway-mysql": {
            "selector": {"istio": "egressgateway"},
            "servers": [
                {
                    "port": {"number": 15443, "name": "tls-mysql", "protocol": "TLS"},
                    "tls": {"mode": "ISTIO_MUTUAL"},
                    "hosts": [f"./{FQDN}"],
                }
            ],
        },
        "DestinationRule istio-system/egressgateway-for-mysql": {
            "host": EGRESS,
            "subsets": [
                {
                    "name": "mysql",
                    "trafficPolicy": {
                        "loadBalancer": {"simple": "ROUND_ROBIN"},
                        "portLevelSettings": [
                            {"port": {"number": 15443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": FQDN}},
                        ],
                    },
                }
            ],
        },
        "DestinationRule istio-system/originate-mtls-for-mysql": {
            "host": FQDN,
            "subsets": [{"name": "mysql", "trafficPolicy": WAY_OUT}],
            "trafficPolicy": WAY_OUT,
        },
        "VirtualService istio-system/direct-mysql-through-egress-gateway": {
            "hosts": [FQDN],
            "gateways": ["egressgateway-mysql", "mesh"],
            "tcp": [
                {
                    "match": [{"gateways": ["mesh"], "port": 3306}],
                    "route": [
                        {"destination": {"host": EGRESS, "subset": "mysql", "port": {"number": 15443}}, "weight": 100}
                    ],
                },
                {
                    "match": [{"gateways": ["egressgateway-mysql"], "port": 15443}],
                    "route": [
                        {"destination": {"host": FQDN, "subset": "mysql", "port": {"number": 13306}}, "weight": 100}
                    ],
                },
            ],
        },
    },
}


@pytest.mark.parametrize("side", ROLES)
def test_the_references_link(side: Side) -> None:
    assert {title: item["spec"] for title, item in manifests(side, [link()]).items()} == REFERENCE[side]


@pytest.mark.parametrize("side", ROLES)
def test_every_object_is_labelled_and_of_a_version_that_istio_1_24_has(side: Side) -> None:
    known = {kind.kind: kind.api_version for kind in names.KINDS}
    cluster = "cluster-b" if side == "server" else "cluster-a"
    for item in manifests(side, [link(strict_backend=True)]).values():
        assert item["apiVersion"] == known[item["kind"]]
        assert set(item) == {"apiVersion", "kind", "metadata", "spec"}
        assert item["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "crossmesh",
            "crossmesh/instance": "default",
            "crossmesh/cluster": cluster,
            "crossmesh/side": side,
            "crossmesh/link": "mysql",
        }


def test_strict_backend_is_a_peer_authentication_in_the_backends_namespace() -> None:
    strict = link(strict_backend=True, backend={"host": "mysql.data.svc.cluster.local", "port": 3306})
    found = manifests("server", [strict])
    assert found["PeerAuthentication data/mysql-strict-backend"]["spec"] == {"mtls": {"mode": "STRICT"}}


def test_addresses_endpoints_and_ports_of_ones_own() -> None:
    servers = [{"name": "cluster-b", "address": "203.0.113.7", "locality": "eu/b"}]
    found = manifests("client", [link(addresses=["240.0.0.1"], servers=servers)], mesh_egress_port=16443)
    entry = found["ServiceEntry istio-system/mysql-external"]["spec"]
    assert entry["addresses"] == ["240.0.0.1"]
    assert entry["endpoints"] == [{"address": "203.0.113.7", "ports": {"tls": 13306}, "locality": "eu/b"}]
    gateway = found["Gateway istio-system/egressgateway-mysql"]["spec"]
    assert gateway["servers"][0]["port"]["number"] == 16443


HTTP: list[tuple[str, str, list[str]]] = [
    ("http", "HTTP", []),
    ("http2", "HTTP2", ["UPGRADE"]),
    ("grpc", "GRPC", ["UPGRADE"]),
]


@pytest.mark.parametrize(("protocol", "port", "h2"), HTTP, ids=[row[0] for row in HTTP])
def test_a_link_of_requests_is_routed_by_them_on_all_three_hops(protocol: str, port: str, h2: list[str]) -> None:
    client, server = (manifests(side, [link(protocol=protocol)]) for side in ("client", "server"))
    entry = client["ServiceEntry istio-system/mysql-external"]["spec"]
    assert entry["ports"] == [
        {"number": 3306, "name": protocol, "protocol": port},
        {"number": 13306, "name": "tls", "protocol": "HTTPS"},
    ]
    gateways = (client["Gateway istio-system/egressgateway-mysql"], server["Gateway istio-system/gateway-mysql"])
    assert [gateway["spec"]["servers"][0]["port"]["protocol"] for gateway in gateways] == ["HTTPS", "HTTPS"]
    routes = (
        client["VirtualService istio-system/direct-mysql-through-egress-gateway"]["spec"],
        server["VirtualService istio-system/mysql-virtual-service"]["spec"],
    )
    assert [("http" in spec, "tcp" in spec) for spec in routes] == [(True, False), (True, False)]
    to_egress = client["DestinationRule istio-system/egressgateway-for-mysql"]["spec"]["subsets"][0]["trafficPolicy"]
    to_ingress = client["DestinationRule istio-system/originate-mtls-for-mysql"]["spec"]["trafficPolicy"]
    # A port's settings take nothing over from the whole policy: it has to stand there.
    pools = [policy["portLevelSettings"][0].get("connectionPool", {}) for policy in (to_egress, to_ingress)]
    assert [list(pool.get("http", {}).values()) for pool in pools] == [h2, h2]


def test_timeout_and_retries_stand_at_the_first_proxy_and_no_other_adds_attempts() -> None:
    asked = link(protocol="http", timeout="15s", retries={"attempts": 2, "per_try_timeout": "2s", "retry_on": "503"})
    client, server = (manifests(side, [asked]) for side in ("client", "server"))
    first, second = client["VirtualService istio-system/direct-mysql-through-egress-gateway"]["spec"]["http"]
    assert (first["timeout"], first["retries"]) == ("15s", {"attempts": 2, "perTryTimeout": "2s", "retryOn": "503"})
    (third,) = server["VirtualService istio-system/mysql-virtual-service"]["spec"]["http"]
    assert [(route.get("timeout"), route["retries"]) for route in (second, third)] == [(None, {"attempts": 0})] * 2


def test_where_nothing_is_said_of_retries_istio_does_as_ever() -> None:
    found = [
        *manifests("client", [link(protocol="http")]).values(),
        *manifests("server", [link(protocol="http")]).values(),
    ]
    routes = [route for item in found for route in item["spec"].get("http", [])]
    assert len(routes) == 3
    assert not any({"retries", "timeout"} & set(route) for route in routes)


@pytest.mark.parametrize(
    ("asked", "also"),
    [({}, {}), ({"retries": {"attempts": 0}}, {"retryOn": "connect-failure,refused-stream"})],
    ids=["nothing said of retries", "none asked for"],
)
def test_a_request_that_reached_no_server_goes_to_another_one(asked: dict[str, Any], also: dict[str, str]) -> None:
    servers = [{"name": f"c{at}", "address": f"203.0.113.{at}", "locality": f"r{at}/z"} for at in (1, 2)]
    found = manifests("client", [link(protocol="http", servers=servers, **asked)])
    _first, second = found["VirtualService istio-system/direct-mysql-through-egress-gateway"]["spec"]["http"]
    assert second["retries"] == {"attempts": 2, "retryRemoteLocalities": True, **also}


A, B = {"name": "a", "address": "203.0.113.1"}, {"name": "b", "address": "203.0.113.2"}


@pytest.mark.parametrize(
    ("servers", "patience"),
    [(None, "10s"), ([A], "10s"), ([A, B], "3s"), ([A, "c"], "3s"), ([{**A, "locality": "eu"}, A], "10s")],
    ids=["one name", "one address", "two addresses", "an address and a name", "one address twice"],
)
def test_a_slow_server_is_given_up_soon_where_there_is_another(servers: Any, patience: str) -> None:
    found = manifests("client", [link(servers=servers)])["DestinationRule istio-system/originate-mtls-for-mysql"]
    (port,) = found["spec"]["trafficPolicy"]["portLevelSettings"]
    assert port["connectionPool"]["tcp"]["connectTimeout"] == patience


def test_who_may_use_a_link_is_a_rule_that_denies_all_others_and_no_other_link() -> None:
    allowed = {"namespaces": ["shop"], "service_accounts": ["billing/reports"]}
    found = manifests("client", [link(workloads=allowed), numbered(1)])
    (policy,) = [item for item in found.values() if item["kind"] == "AuthorizationPolicy"]
    assert policy["metadata"]["name"] == "egressgateway-mysql-workloads"
    assert policy["spec"] == {
        "selector": {"matchLabels": {"istio": "egressgateway"}},
        "action": "DENY",
        "rules": [
            {
                "from": [{"source": {"notNamespaces": ["shop"], "notPrincipals": ["*/ns/billing/sa/reports"]}}],
                "when": [{"key": "connection.sni", "values": [FQDN]}],
            }
        ],
    }


def identities(**changes: Any) -> Any:
    """Whom the egress gateway lets in by the handshake alone."""
    found = manifests("client", [link(**changes)], mesh_trust_domain="prod.example.com")
    (server,) = found["Gateway istio-system/egressgateway-mysql"]["spec"]["servers"]
    return server["tls"].get("subjectAltNames")


def test_service_accounts_are_asked_for_in_the_handshake_and_whole_namespaces_cannot_be() -> None:
    named = ["billing/reports", "shop/cart"]
    assert identities(workloads={"service_accounts": named}) == [
        "spiffe://prod.example.com/ns/billing/sa/reports",
        "spiffe://prod.example.com/ns/shop/sa/cart",
    ]
    assert identities(workloads={"service_accounts": named, "namespaces": ["web"]}) is None
    assert identities() is None


def test_connections_are_bounded_where_the_egress_gateways_tcp_proxy_asks() -> None:
    """Of the rule's whole policy: Istio does not look at the port's own settings for it."""
    found = manifests("client", [link(max_connection_duration="1h")])
    policy = found["DestinationRule istio-system/originate-mtls-for-mysql"]["spec"]["trafficPolicy"]
    assert policy.pop("connectionPool") == {"tcp": {"maxConnectionDuration": "1h"}}
    unbounded = REFERENCE["client"]["DestinationRule istio-system/originate-mtls-for-mysql"]
    assert policy == unbounded["trafficPolicy"]


def test_a_gateway_in_a_namespace_of_its_own() -> None:
    gateway = {"namespace": "edge", "service": "out", "selector": {"app": "out"}}
    found = manifests("client", [link()], mesh_egress_gateway=gateway)
    assert {title.partition(" ")[2].partition("/")[0] for title in found} == {"edge"}
    rule = found["DestinationRule edge/egressgateway-for-mysql"]["spec"]
    assert rule["host"] == "out.edge.svc.cluster.local"
    assert found["Gateway edge/egressgateway-mysql"]["spec"]["selector"] == {"app": "out"}


@pytest.mark.parametrize("side", ROLES)
def test_ten_links_do_not_share_an_object(side: Side) -> None:
    assert len(manifests(side, [numbered(number) for number in range(10)])) == 10 * len(REFERENCE[side])


def test_rules_of_the_shared_egress_host_hold_nothing_but_their_own_subset() -> None:
    """Istio merges rules of one host only so; anything beside the subset would become everybody's."""
    found = manifests("client", [numbered(number) for number in range(3)])
    rules = [item["spec"] for item in found.values() if item["spec"].get("host") == EGRESS]
    assert [set(rule) for rule in rules] == [{"host", "subsets"}] * 3
    assert sorted(subset["name"] for rule in rules for subset in rule["subsets"]) == ["link-0", "link-1", "link-2"]


@pytest.mark.parametrize("side", ROLES)
def test_without_a_link_nothing_is_rendered(side: Side) -> None:
    assert list(rendered(side, view([], SERVER if side == "server" else CLIENT)[side])) == []


# -- hostile values ------------------------------------------------------------------------------------------------

HOSTILE = [
    "yes",
    "0o17",
    "1e3",
    "null",
    "~",
    "*anchor",
    "a: b",
    "a #b",
    '"',
    "'",
    "\\",
    "line\nbreak: true",
    "- item",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "!!python/object:os.system",
    "\u2028",
    "\t",
]


def poisoned(value: Any, poison: str) -> Any:
    """The same view with every string replaced."""
    if isinstance(value, dict):
        return {key: poisoned(item, poison) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, poison) for item in value]
    return poison if isinstance(value, str) else value


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


CONSTANTS = {
    side: {text for spec in specs.values() for text in strings(spec)}
    | {kind.kind for kind in names.KINDS}
    | {kind.api_version for kind in names.KINDS}
    | {"STRICT", "DENY", "connection.sni"}
    | {"*/*", "REGISTRY_ONLY", "Egress", "UDP", "169.254.0.0/16"}
    for side, specs in REFERENCE.items()
}


# Beyond U+FFFF JSON's escapes are not YAML's; Kubernetes takes no such character in any of these fields.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), min_size=1, max_size=12)


@pytest.mark.parametrize("side", ROLES)
@settings(max_examples=50)
@given(poison=st.sampled_from(HOSTILE) | TEXTS)
def test_every_value_arrives_as_it_was_given(side: Side, poison: str) -> None:
    """Nothing that a value holds can become structure, another type or another value."""
    asked = {
        "workloads": {"namespaces": ["shop"], "service_accounts": ["a/b"]},
        "protocol": "grpc",
        "timeout": "1s",
        "retries": {"attempts": 1, "per_try_timeout": "1s", "retry_on": "503"},
    }
    bounded = link(strict_backend=True, max_connection_duration="1h", **asked)
    locked = {"mesh_egress_lockdown": ["shop"], "mesh_cluster_cidrs": ["10.0.0.0/8"]}
    wanted = view([bounded], SERVER if side == "server" else {**CLIENT, **locked})[side]
    found = list(rendered(side, poisoned(wanted, poison)))
    assert len(found) == len(list(rendered(side, wanted)))
    arrived = {text for item in found for text in strings(item)}
    assert arrived <= CONSTANTS[side] | {poison, f"tls-{poison}", f"./{poison}"}
    assert poison in arrived
