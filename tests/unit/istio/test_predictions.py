# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a link: nothing where it carries, and who is to blame where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import client, server
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import (
    Backend,
    Caller,
    ClientLink,
    Finding,
    ServerLink,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy, Settings
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import parse_mesh
from tests.unit.istio.objects import GATE, HOST, ROOT, SHOP, TEAM, Object, entry, made, route, rule, service, subset

EGRESS = "egress.gates.svc.cluster.local"
BACKEND = "db.data.svc.cluster.local"
SUBSET = "link"


def client_objects(layer: str) -> list[Object]:
    """What the link has in its client's cluster, with an address of its own."""
    tls, speech = ("HTTPS", "HTTP") if layer == "http" else ("TLS", "TCP")
    ports = [{"number": 3306, "protocol": speech, "name": "p"}, {"number": 13306, "protocol": tls, "name": "tls"}]
    gate = {
        "port": {"number": 15443, "protocol": tls, "name": "t"},
        "tls": {"mode": "ISTIO_MUTUAL"},
        "hosts": [f"./{HOST}"],
    }
    hop_one = [{"port": {"number": 15443}, "tls": {"mode": "ISTIO_MUTUAL", "sni": HOST}}]
    routes = [
        route(EGRESS, 15443, [{"gateways": ["mesh"], "port": 3306}], SUBSET),
        route(HOST, 13306, [{"gateways": ["ours"], "port": 15443}], SUBSET),
    ]
    return [
        service(f"{GATE}/egress", port=15443, name="tls"),
        entry(f"{GATE}/ours", location="MESH_EXTERNAL", addresses=["10.98.0.1"], ports=ports),
        made("Gateway", f"{GATE}/ours", selector={"istio": "egress"}, servers=[gate]),
        rule(
            f"{GATE}/to-gate",
            host=EGRESS,
            subsets=[{"name": SUBSET, "trafficPolicy": {"portLevelSettings": hop_one}}],
        ),
        rule(f"{GATE}/out", subsets=[subset(SUBSET, "MUTUAL", credentialName="ours")]),
        made("VirtualService", f"{GATE}/ours", hosts=[HOST], gateways=["ours", "mesh"], **{layer: routes}),
    ]


def server_objects(layer: str) -> list[Object]:
    tls = "HTTPS" if layer == "http" else "TLS"
    settings = {"mode": "MUTUAL", "credentialName": "ours"}
    gate = {"port": {"number": 13306, "protocol": tls, "name": "t"}, "tls": settings, "hosts": [f"./{HOST}"]}
    return [
        service("data/db", name=f"{layer}-db"),
        made("Gateway", f"{GATE}/ours", selector={"istio": "ingress"}, servers=[gate]),
        made("VirtualService", f"{GATE}/ours", hosts=[HOST], gateways=["ours"], **{layer: [route(BACKEND, 3306)]}),
    ]


OWN = {(GATE, "ours"), (GATE, "to-gate"), (GATE, "out"), (GATE, "egress"), ("data", "db")}


def mesh_of(ours: Sequence[Object], theirs: Sequence[Object], **settings: Any) -> Mesh:
    mine = [id(item) for item in ours]
    return parse_mesh([*ours, *theirs], Settings(**settings), ours=lambda item: id(item) in mine)


def in_client(*theirs: Object, layer: str = "tcp", ours: Sequence[Object] = (), **settings: Any) -> list[Finding]:
    gateway = Proxy(GATE, {"istio": "egress"}, gateway=True)
    callers = [Caller(Proxy(SHOP, {"app": "web"}), "web"), Caller(Proxy(TEAM))]
    link = ClientLink("db", HOST, 3306, 13306, layer == "http", gateway, EGRESS, 15443, SUBSET, "ours", callers)
    return client.predict(mesh_of(ours or client_objects(layer), theirs, **settings), [link])


def in_server(*theirs: Object, layer: str = "tcp", strict: bool = False) -> list[Finding]:
    gateway = Proxy(GATE, {"istio": "ingress"}, gateway=True)
    backend = Backend(BACKEND, 3306, "data", 3306, {"app": "db"})
    link = ServerLink("db", HOST, 13306, layer == "http", gateway, "ours", backend, "ingress", "client.example", strict)
    return server.predict(mesh_of(server_objects(layer), theirs), [link])


def told(found: Sequence[Finding]) -> list[tuple[str, str, str, str]]:
    return [(item.level, item.hop, item.code, item.source.title if item.source else "") for item in found]


@pytest.mark.parametrize("layer", ["tcp", "http"])
def test_nothing_is_said_of_a_sound_link(layer: str) -> None:
    assert in_client(layer=layer) == []
    assert in_server(layer=layer) == []


def narrow(place: str, *hosts: str) -> Object:
    return made("Sidecar", place, egress=[{"hosts": list(hosts)}])


def vs(place: str, age: int, layer: str = "tcp", **spec: Any) -> Object:
    return made("VirtualService", place, age, **{"hosts": [HOST], layer: [route("thief.example.com", 1)], **spec})


def gate(place: str, age: int, port: int, selector: str, host: str = HOST) -> Object:
    listens = {
        "port": {"number": port, "protocol": "TLS", "name": "t"},
        "hosts": [host],
        "tls": {"mode": "ISTIO_MUTUAL"},
    }
    return made("Gateway", place, age, selector={"istio": selector}, servers=[listens])


def of_namespace(name: str) -> Object:
    return {"from": [{"source": {"namespaces": [name]}}]}


DENY: Any = {"action": "DENY", "rules": [{}]}
CLIENT_FAULTS: dict[str, tuple[list[Object], list[tuple[str, str, str, str]]]] = {
    "a rule of a workload's namespace for the host": (
        [rule(f"{SHOP}/theirs", 1)],
        [],
    ),
    "a rule of a workload's namespace for the egress gateway": (
        [rule(f"{SHOP}/theirs", 1, host="*.svc.cluster.local")],
        [("error", "workload", "cluster-missing", "DestinationRule shop/theirs")],
    ),
    "a rule in the gateway's namespace that is not merged": (
        [rule(f"{GATE}/theirs", 9, exportTo=["*"])],
        [("error", "egress-gateway", "cluster-missing", "DestinationRule gates/theirs")],
    ),
    "an older subset of the link's name": (
        [rule(f"{GATE}/theirs", 1, subsets=[subset(SUBSET, "DISABLE")])],
        [("error", "egress-gateway", "plain-text", "DestinationRule gates/theirs")],
    ),
    "a rule for the gateway's own proxies": (
        [
            rule(
                f"{GATE}/theirs",
                9,
                workloadSelector={"matchLabels": {"istio": "egress"}},
                subsets=[subset(SUBSET, "MUTUAL", credentialName="theirs")],
            )
        ],
        [("error", "egress-gateway", "other-tls", "DestinationRule gates/theirs")],
    ),
    "an entry of a workload's namespace at another address": (
        [entry(f"{SHOP}/theirs", 9)],
        [("error", "workload", "host-claimed", "ServiceEntry shop/theirs")],
    ),
    "an entry of a workload's namespace at the link's address": (
        [entry(f"{SHOP}/theirs", 9, addresses=["10.98.0.1"])],
        [("warning", "workload", "host-claimed", "ServiceEntry shop/theirs")],
    ),
    "an older entry elsewhere": (
        [entry(f"{ROOT}/theirs", 1)],
        [
            ("error", "workload", "host-claimed", "ServiceEntry istio-system/theirs"),
            ("error", "workload", "host-claimed", "ServiceEntry istio-system/theirs"),
            ("error", "egress-gateway", "host-claimed", "ServiceEntry istio-system/theirs"),
        ],
    ),
    "an entry beside ours": (
        [entry(f"{GATE}/theirs", 9)],
        [("error", "egress-gateway", "host-shared", "ServiceEntry gates/theirs")],
    ),
    "an older VirtualService for the mesh": (
        [vs(f"{TEAM}/theirs", 1)],
        [
            ("error", "workload", "route-taken", "VirtualService team/theirs"),
            ("error", "workload", "route-taken", "VirtualService team/theirs"),
        ],
    ),
    "a VirtualService of another namespace for our Gateway": ([vs(f"{TEAM}/theirs", 1, gateways=[f"{GATE}/ours"])], []),
    "a VirtualService of our namespace for our Gateway": (
        [vs(f"{GATE}/theirs", 1, gateways=["ours"])],
        [("error", "egress-gateway", "route-taken", "VirtualService gates/theirs")],
    ),
    "an older Gateway with our host in its own way": (
        [gate(f"{TEAM}/theirs", 1, 15443, "egress"), vs(f"{TEAM}/leads", 1, gateways=["theirs"])],
        [
            ("error", "egress-gateway", "listener-refused", "Gateway team/theirs"),
        ],
    ),
    "an older plain server on our port": (
        [
            made(
                "Gateway",
                f"{TEAM}/theirs",
                1,
                selector={"istio": "egress"},
                servers=[{"port": {"number": 15443, "protocol": "TCP", "name": "t"}, "hosts": ["*"]}],
            )
        ],
        [("error", "egress-gateway", "way-in-taken", "Gateway team/theirs")],
    ),
    "a narrow Sidecar": (
        [narrow(f"{SHOP}/theirs", "./*")],
        [("error", "workload", "host-hidden", "Sidecar shop/theirs")],
    ),
    "a policy that refuses one namespace": (
        [
            made(
                "AuthorizationPolicy",
                f"{GATE}/theirs",
                action="DENY",
                rules=[{"from": [{"source": {"namespaces": [SHOP]}}]}],
            )
        ],
        [("error", "egress-gateway", "caller-refused", "AuthorizationPolicy gates/theirs")],
    ),
    "an allow-list that names neither": (
        [
            made(
                "AuthorizationPolicy",
                f"{GATE}/theirs",
                action="ALLOW",
                rules=[{"from": [{"source": {"namespaces": ["x"]}}]}],
            )
        ],
        [
            ("error", "egress-gateway", "caller-refused", "AuthorizationPolicy gates/theirs"),
            ("warning", "egress-gateway", "caller-uncertain", "AuthorizationPolicy gates/theirs"),
        ],
    ),
    "an EnvoyFilter": (
        [made("EnvoyFilter", f"{GATE}/theirs", configPatches=[{"match": {"context": "GATEWAY"}}])],
        [("warning", "egress-gateway", "changed-outside-the-model", "EnvoyFilter gates/theirs")],
    ),
    "another host on the port, with the link at an address": (
        [entry(f"{TEAM}/theirs", 1, host="other.example.com")],
        [],
    ),
}


@pytest.mark.parametrize(("theirs", "found"), CLIENT_FAULTS.values(), ids=CLIENT_FAULTS)
def test_faults_in_the_clients_cluster(theirs: list[Object], found: list[tuple[str, str, str, str]]) -> None:
    assert told(in_client(*theirs)) == found


def without_address() -> list[Object]:
    found = client_objects("tcp")
    found[1]["spec"]["addresses"] = []
    return found


def test_a_link_without_an_address_takes_what_is_not_its_own() -> None:
    younger = in_client(entry(f"{TEAM}/theirs", 9, host="other.example.com"), ours=without_address())
    assert told(younger)[:2] == [
        ("error", "workload", "port-captures", "ServiceEntry team/theirs"),
        ("warning", "workload", "port-captures", ""),
    ]
    older = in_client(entry(f"{TEAM}/theirs", 1, host="other.example.com"), ours=without_address())
    assert {item[1:] for item in told(older)} == {("workload", "port-captured", "ServiceEntry team/theirs")}
    assert set(told(in_client(ours=without_address()))) == {("warning", "workload", "port-captures", "")}
    # Where its host is claimed, too, its VirtualService still leads to the gateway.
    claimed = in_client(entry(f"{SHOP}/theirs", 9), ours=without_address())
    assert ("warning", "workload", "host-claimed", "ServiceEntry shop/theirs") in told(claimed)


@pytest.mark.parametrize(("protocol", "level"), [("HTTP", "error"), ("GRPC", "error"), ("TLS", "warning")])
def test_a_link_without_an_address_waits_for_the_clients_first_bytes_beside_http_and_tls(
    protocol: str, level: str
) -> None:
    theirs = entry(f"{TEAM}/theirs", 9, host="other.example.com", protocol=protocol)
    found = told(in_client(theirs, ours=without_address()))
    assert (level, "workload", "port-captured", "ServiceEntry team/theirs") in found
    assert {item[0] for item in found} == {level, "warning"}
    assert told(in_client(theirs)) == []


def test_requests_reach_nothing_of_the_link_where_an_older_host_leaves_no_http_on_the_port() -> None:
    def codes(created: int, protocol: str) -> set[tuple[str, str]]:
        theirs = entry(f"{TEAM}/theirs", created, host="other.example.com", protocol=protocol)
        return {(item.level, item.code) for item in in_client(theirs, layer="http")}

    assert codes(1, "MONGO") == codes(1, "MYSQL") == {("error", "port-captured")}
    # Tcp of another kind lives beside HTTP, and of two that do not live together the older one has the port.
    assert codes(1, "TCP") == codes(9, "MONGO") == set()


def test_a_route_for_some_addresses_counts_where_the_links_is_among_them() -> None:
    def taken(subnet: str, ours: Sequence[Object] = ()) -> set[str]:
        some = route("thief.example.com", 1, [{"destinationSubnets": [subnet]}])
        return {
            item.code for item in in_client(vs(f"{TEAM}/theirs", 1, tcp=[some]), ours=ours) if item.level == "error"
        }

    assert taken("10.98.0.0/24") == {"route-taken"}
    assert taken("10.99.0.0/24") == set()
    assert taken("10.98.0.0/24", without_address()) == set()


def test_addresses_that_are_none_count_for_nothing() -> None:
    odd = entry(f"{TEAM}/odd", 1, host="other.example.com", addresses=["nonsense", "10.0.0.0/99"])
    some = vs(f"{TEAM}/some", 9, tcp=[route("thief.example.com", 1, [{"destinationSubnets": ["nonsense"]}])])
    assert in_client(odd) == []
    assert in_client(some) == []


def test_a_mesh_that_exports_nothing_by_itself() -> None:
    found = in_client(services=frozenset({"."}))
    assert {item[1:] for item in told(found)} == {("workload", "host-hidden", "")}


def test_requests_that_somebody_takes() -> None:
    some = vs(f"{GATE}/theirs", 9, "http", gateways=["ours"], http=[route("x.example", 1, [{"uri": {"prefix": "/x"}}])])
    (found,) = in_client(some, layer="http")
    assert (found.level, found.hop, found.code) == ("error", "egress-gateway", "route-taken")
    assert found.what.startswith("some requests of the link go to outbound|1||x.example")


SERVER_FAULTS: dict[str, tuple[list[Object], list[tuple[str, str, str, str]]]] = {
    "a VirtualService of another namespace": ([vs(f"{TEAM}/theirs", 1, gateways=[f"{GATE}/ours"])], []),
    "a VirtualService of our namespace": (
        [vs(f"{GATE}/theirs", 1, gateways=["ours"])],
        [("error", "ingress-gateway", "route-taken", "VirtualService gates/theirs")],
    ),
    "a policy that refuses who is not of the mesh": (
        [
            made(
                "AuthorizationPolicy",
                f"{GATE}/theirs",
                action="ALLOW",
                rules=[{"from": [{"source": {"principals": ["cluster.local/*"]}}]}],
            )
        ],
        [("error", "ingress-gateway", "caller-refused", "AuthorizationPolicy gates/theirs")],
    ),
    "a policy at the backend": (
        [made("AuthorizationPolicy", "data/theirs", **DENY)],
        [("error", "backend", "caller-refused", "AuthorizationPolicy data/theirs")],
    ),
    "no TLS at the backend": (
        [made("PeerAuthentication", "data/theirs", mtls={"mode": "DISABLE"})],
        [("warning", "backend", "plain-text", "PeerAuthentication data/theirs")],
    ),
    "mutual TLS for a backend that takes none": (
        [
            made("PeerAuthentication", "data/off", mtls={"mode": "DISABLE"}),
            rule("data/theirs", host=BACKEND, trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}}),
        ],
        [("error", "backend", "other-tls", "DestinationRule data/theirs")],
    ),
    "plain text for a backend that takes none": (
        [
            made("PeerAuthentication", "data/strict", mtls={"mode": "STRICT"}),
            rule("data/theirs", host=BACKEND, trafficPolicy={"tls": {"mode": "DISABLE"}}),
        ],
        [("error", "backend", "other-tls", "DestinationRule data/theirs")],
    ),
}


@pytest.mark.parametrize(("theirs", "found"), SERVER_FAULTS.values(), ids=SERVER_FAULTS)
def test_faults_in_the_servers_cluster(theirs: list[Object], found: list[tuple[str, str, str, str]]) -> None:
    assert told(in_server(*theirs)) == found


def test_a_backend_that_is_hidden_from_the_gateway() -> None:
    hidden = service("data/db")
    hidden["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    gateway = Proxy(GATE, {"istio": "ingress"}, gateway=True)
    link = ServerLink("db", HOST, 13306, False, gateway, "ours", Backend(BACKEND, 3306, "data", 3306), "a", "b")
    objects = [hidden, *server_objects("tcp")[1:]]
    assert told(server.predict(mesh_of(objects, []), [link])) == [("error", "backend", "host-hidden", "")]


def test_a_strict_backend_that_an_older_policy_opens() -> None:
    ours = made("PeerAuthentication", "data/ours", 5, mtls={"mode": "STRICT"})
    theirs = made("PeerAuthentication", "data/theirs", 1, mtls={"mode": "PERMISSIVE"})
    assert in_server(ours, strict=True) == []
    assert told(in_server(ours, theirs, strict=True)) == [
        ("error", "backend", "mode-overridden", "PeerAuthentication data/theirs")
    ]


def test_a_finding_names_the_object_its_owner_and_age() -> None:
    theirs = rule(f"{GATE}/theirs", 1, subsets=[subset(SUBSET, "DISABLE")])
    theirs["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    (found,) = in_client(theirs)
    assert str(found.message) == (
        "DestinationRule gates/theirs (managed-by Helm, since 2026-01-01T00:00:01Z): link db: connections to "
        f"{HOST} leave the egress gateway in plain text. Fix: give it a host that does not cover this one, or delete "
        "it. [plain-text]"
    )


def test_a_link_that_is_not_there_yet_has_nobody_to_blame() -> None:
    def codes(lacks: str, layer: str = "tcp") -> list[str]:
        ours = [item for item in client_objects(layer) if item["kind"] != lacks]
        return sorted({item.code for item in in_client(ours=ours) if item.source is None})

    assert codes("Gateway") == ["way-in-missing"]
    assert codes("VirtualService") == ["route-missing", "way-in-missing"]
    assert codes("ServiceEntry") == ["cluster-missing", "host-hidden"]
    assert codes("DestinationRule") == ["cluster-missing"]
