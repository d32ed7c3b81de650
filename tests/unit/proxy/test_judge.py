# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each link by itself, in shortened answers of real gateways (egress.json, ingress.json); a fault is one small edit."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import (
    Watch,
    read_proxy,
    with_counts,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import BackendFault, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES, Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import (
    failed_connections,
    faults_of,
    fresh_pod,
    watch_of,
)
from tests.unit.plan.test_plan import SERVICE, serving
from tests.unit.support import CLIENT, SERVER, Json, codes_of, link, numbered, view

Edit = Callable[[Json], object]

HERE = Path(__file__).parent
DUMPS: dict[Side, Json] = {
    "client": json.loads((HERE / "egress.json").read_text(encoding="utf-8")),
    "server": json.loads((HERE / "ingress.json").read_text(encoding="utf-8")),
}
SALES = link(name="sales", fqdn="sales.server.example.com", port=3307, tls_port=13307)
WEB = link(
    name="web",
    fqdn="web.server.example.com",
    port=80,
    tls_port=13380,
    protocol="http",
    backend={"host": "web.default.svc.cluster.local", "port": 8080},
)
LINKS: dict[Side, Sequence[DesiredLink]] = {
    "client": view([link(), SALES, WEB], CLIENT)["client"]["links"],
    "server": view([link(), SALES, WEB], SERVER)["server"]["links"],
}
PLACES: dict[Side, tuple[str, list[int]]] = {
    "client": ("istio-egressgateway", [15443]),
    "server": ("istio-ingressgateway", [13306, 13307, 13380]),
}
DENY_SNI = {"requested_server_name": {"exact": "mysql.server.example.com"}}
TLS_OF_OTHERS = {"name": "kubernetes://theirs"}


def service_of(side: Side, **changes: Any) -> Service:
    name, ports = PLACES[side]
    return cast(
        Service,
        {
            **SERVICE,
            "name": name,
            "selector": {"istio": name.removeprefix("istio-")},
            "ports": [{"port": port, "targetPort": port, "protocol": "TCP"} for port in ports],
            **changes,
        },
    )


def pod_of(side: Side, dump: Json) -> Pod:
    name = PLACES[side][0]
    labels = {"istio": name.removeprefix("istio-")}
    return serving(name=f"{name}-0", labels=labels, proxy=read_proxy(json.dumps(dump)))


def judged(side: Side, *edits: Edit, service: Service | None = None) -> list[Fault]:
    dump = copy.deepcopy(DUMPS[side])
    for edit in edits:
        edit(dump)
    return faults_of(pod_of(side, dump), LINKS[side], service or service_of(side))


def part(dump: Json, key: str) -> list[Json]:
    """One kind of entries of an answer."""
    return next(found[key] for found in dump["configs"] if key in found)


def listener(dump: Json, port: int) -> Json:
    return next(item for item in part(dump, "dynamic_listeners") if item["name"].endswith(f"_{port}"))


def chain(dump: Json, port: int, name: str = "mysql") -> Json:
    chains = listener(dump, port)["active_state"]["listener"]["filter_chains"]
    found: Json = next(
        item for item in chains if item["filter_chain_match"]["server_names"] == [f"{name}.server.example.com"]
    )
    return found


def tls(dump: Json, port: int) -> Json:
    found: Json = chain(dump, port)["transport_socket"]["typed_config"]
    return found


def cluster(dump: Json, name: str) -> Json:
    return next(
        item["cluster"] for item in part(dump, "dynamic_active_clusters") if item["cluster"]["name"].startswith(name)
    )


def way_out(dump: Json) -> Json:
    found: Json = cluster(dump, "outbound|13306|")["transport_socket"]["typed_config"]
    return found


def route(dump: Json) -> Json:
    found: Json = part(dump, "dynamic_route_configs")[0]["route_config"]["virtual_hosts"][0]["routes"][0]
    return found


def endpoint(dump: Json, name: str) -> Json:
    config = next(
        item["endpoint_config"]
        for item in part(dump, "dynamic_endpoint_configs")
        if item["endpoint_config"]["cluster_name"].startswith(name)
    )
    found: Json = config["endpoints"][0]["lb_endpoints"][0]
    return found


def rules(action: str, *policies: Json) -> Json:
    """A filter as istiod makes it of AuthorizationPolicy shop/theirs."""
    named = {f"ns[shop]-policy[theirs]-rule[{number}]": policy for number, policy in enumerate(policies)}
    kind = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
    return {
        "name": "envoy.filters.network.rbac",
        "typed_config": {"@type": kind, "rules": {"action": action, "policies": named}},
    }


def policy(permission: Json, principal: Json) -> Json:
    return {
        "permissions": [{"and_rules": {"rules": [{"or_rules": {"rules": [permission]}}]}}],
        "principals": [{"and_ids": {"ids": [{"or_ids": {"ids": [principal]}}]}}],
    }


def put(*keys: str, value: Any) -> Callable[[Json], None]:
    """Sets a field of what an edit found."""

    def change(found: Json) -> None:
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return change


def refused(port: int, why: str, *, old: bool = False) -> Edit:
    """A listener that Envoy did not take; the one before it stays."""

    def edit(dump: Json) -> None:
        entry = listener(dump, port)
        entry["error_state"] = {"details": why}
        if not old:
            del entry["active_state"]

    return edit


def only(entry: Json, state: str) -> None:
    entry[f"{state}_state"] = entry.pop("active_state")


def both(*edits: Edit) -> Edit:
    def edit(dump: Json) -> None:
        for item in edits:
            item(dump)

    return edit


def waits_for(dump: Json, name: str) -> None:
    parts = next(found for found in dump["configs"] if "dynamic_active_secrets" in found)
    parts["dynamic_active_secrets"] = [item for item in parts["dynamic_active_secrets"] if item["name"] != name]
    parts["dynamic_warming_secrets"] = [{"name": name}]


@pytest.mark.parametrize("side", SIDES)
def test_sound_links_are_found_sound(side: Side) -> None:
    assert judged(side) == []


def test_the_way_out_may_have_a_subset_of_the_links_name() -> None:
    def rename(dump: Json) -> None:
        text = json.dumps(dump).replace("outbound|13306||mysql", "outbound|13306|mysql|mysql")
        dump["configs"] = json.loads(text)["configs"]

    assert judged("client", rename) == []


FAULTS: list[tuple[str, Side, int, str, str, str, Edit]] = [
    (
        "no listener",
        "server",
        2,
        "listener-missing",
        "found none",
        "",
        lambda d: part(d, "dynamic_listeners").remove(listener(d, 13306)),
    ),
    (
        "a listener that drains",
        "server",
        2,
        "listener-missing",
        "found one that is draining",
        "",
        lambda d: only(listener(d, 13306), "draining"),
    ),
    (
        "a listener that waits for its Secret",
        "server",
        2,
        "listener-missing",
        "the proxy waits for mysql-credential",
        "",
        both(
            lambda d: only(listener(d, 13306), "warming"),
            lambda d: waits_for(d, "kubernetes://mysql-credential"),
        ),
    ),
    (
        "a port that is taken",
        "server",
        2,
        "listener-refused",
        "cannot bind '0.0.0.0:13306': Address already in use",
        "",
        refused(13306, "cannot bind '0.0.0.0:13306': Address already in use"),
    ),
    (
        "no chain for the host",
        "server",
        2,
        "chain-missing",
        "found chains for other.example.com",
        "",
        lambda d: put("filter_chain_match", "server_names", value=["other.example.com"])(chain(d, 13306)),
    ),
    (
        "no chain, because the new listener was refused",
        "client",
        1,
        "listener-refused",
        "an older listener without it, because Envoy refused the new one: no such filter",
        "",
        lambda d: (
            refused(15443, "no such filter", old=True)(d),
            put("filter_chain_match", "server_names", value=["x.example.com"])(chain(d, 15443)),
        ),
    ),
    (
        "workloads without certificates",
        "client",
        1,
        "caller-tls",
        "asks for no certificate",
        "",
        lambda d: put("require_client_certificate", value=False)(tls(d, 15443)),
    ),
    (
        "workloads of one identity only",
        "client",
        1,
        "wrong-name",
        "found those with spiffe://x",
        "",
        lambda d: put(
            "common_tls_context",
            "combined_validation_context",
            "default_validation_context",
            "match_typed_subject_alt_names",
            value=[{"san_type": "URI", "matcher": {"exact": "spiffe://x"}}],
        )(tls(d, 15443)),
    ),
    (
        "plain text of workloads",
        "client",
        1,
        "caller-tls",
        "found PLAIN TEXT",
        "",
        lambda d: chain(d, 15443).pop("transport_socket"),
    ),
    (
        "a policy that denies the host",
        "client",
        1,
        "caller-refused",
        "a policy that denies it",
        "AuthorizationPolicy shop/theirs",
        lambda d: chain(d, 15443)["filters"].insert(0, rules("DENY", policy(DENY_SNI, {"any": True}))),
    ),
    (
        "an allow-list of others' identities",
        "server",
        2,
        "caller-refused",
        "an allow-list that lacks it",
        "AuthorizationPolicy shop/theirs",
        lambda d: chain(d, 13306)["filters"].insert(
            0,
            rules(
                "ALLOW",
                policy({"any": True}, {"authenticated": {"principal_name": {"suffix": "/ns/x/sa/y"}}}),
                policy({"destination_port": 9}, {"any": True}),
            ),
        ),
    ),
    (
        "a route elsewhere",
        "client",
        2,
        "route-elsewhere",
        "found one to outbound|13307||sales",
        "",
        lambda d: put("typed_config", "cluster", value="outbound|13307||sales.server.example.com")(
            chain(d, 15443)["filters"][0]
        ),
    ),
    (
        "no cluster",
        "client",
        2,
        "cluster-missing",
        "ServiceEntry istio-system/mysql-external",
        "",
        lambda d: part(d, "dynamic_active_clusters").pop(0),
    ),
    (
        "plain text between the clusters",
        "client",
        2,
        "plain-way-out",
        "found PLAIN TEXT",
        "DestinationRule shop/theirs",
        lambda d: (
            cluster(d, "outbound|13306|").pop("transport_socket"),
            put(
                "metadata",
                "filter_metadata",
                "istio",
                "config",
                value="/apis/networking.istio.io/v1/namespaces/shop/destination-rule/theirs",
            )(cluster(d, "outbound|13306|")),
        ),
    ),
    (
        "another Secret on the way out",
        "client",
        2,
        "wrong-credential",
        "found TLS with theirs",
        "",
        lambda d: put("common_tls_context", "tls_certificate_sds_secret_configs", value=[TLS_OF_OTHERS])(way_out(d)),
    ),
    (
        "no SAN on the way out",
        "client",
        2,
        "wrong-name",
        "SANs unchecked",
        "",
        lambda d: put("common_tls_context", "combined_validation_context", "default_validation_context", value={})(
            way_out(d)
        ),
    ),
    (
        "another SNI on the way out",
        "client",
        2,
        "wrong-name",
        "found SNI other",
        "",
        lambda d: put("sni", value="other")(way_out(d)),
    ),
    (
        "a ServiceEntry that leads elsewhere",
        "client",
        2,
        "endpoint-elsewhere",
        "found 10.0.0.1:13306",
        "",
        lambda d: put("endpoint", "address", "socket_address", "address", value="10.0.0.1")(
            cluster(d, "outbound|13306|")["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
        ),
    ),
    (
        "a server that cannot be reached",
        "client",
        2,
        "no-endpoint",
        "none of which can be reached",
        "",
        lambda d: put("health_status", value="UNHEALTHY")(endpoint(d, "outbound|13306|")),
    ),
    (
        "any client of the CA",
        "server",
        2,
        "wrong-name",
        "found any client of the CA",
        "",
        lambda d: put("common_tls_context", "combined_validation_context", "default_validation_context", value={})(
            tls(d, 13306)
        ),
    ),
    (
        "an old version of TLS",
        "server",
        2,
        "caller-tls",
        "TLSv1_0",
        "",
        lambda d: put("common_tls_context", "tls_params", "tls_minimum_protocol_version", value="TLSv1_0")(
            tls(d, 13306)
        ),
    ),
    (
        "another Secret on the way in",
        "server",
        2,
        "wrong-credential",
        "found TLS with theirs",
        "",
        lambda d: put("common_tls_context", "tls_certificate_sds_secret_configs", value=[TLS_OF_OTHERS])(tls(d, 13306)),
    ),
    (
        "trust that has not come",
        "server",
        2,
        "secret-missing",
        "wanted mysql-credential-cacert from istiod",
        "",
        lambda d: waits_for(d, "kubernetes://mysql-credential-cacert"),
    ),
]


@pytest.mark.parametrize(
    ("side", "hop", "code", "told", "culprit", "edit"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
def test_the_first_fault_of_a_link_is_told_and_hides_no_sound_one(
    side: Side, hop: int, code: str, told: str, culprit: str, edit: Edit
) -> None:
    (fault,) = judged(side, edit)
    assert (fault.link, fault.hop, fault.code, fault.culprit) == ("mysql", hop, code, culprit)
    assert fault.pod == f"istio-system/{PLACES[side][0]}-0"
    message = fault.message()
    assert told in str(message)
    assert message.where == f"link mysql, hop {hop}, pod {fault.pod}"
    assert message.fix


@pytest.mark.parametrize(
    ("edit", "code", "found", "culprit"),
    [
        (
            lambda d: route(d).update(match={"prefix": "/admin"}, route={"cluster": "outbound|80||x"}),
            "route-elsewhere",
            'one to outbound|80||x for {"prefix": "/admin"}',
            "VirtualService istio-system/direct-web-through-egress-gateway",
        ),
        (
            lambda d: route(d).update(redirect={}, route={}),
            "route-elsewhere",
            "redirect",
            "VirtualService istio-system/direct-web-through-egress-gateway",
        ),
        (
            lambda d: route(d)["route"].update(
                weighted_clusters={
                    "clusters": [
                        {"name": "outbound|13380||web.server.example.com", "weight": 90},
                        {"name": "outbound|80||x", "weight": 10},
                        {"name": "outbound|80||nobody", "weight": 0},
                    ]
                }
            ),
            "route-elsewhere",
            "one to outbound|80||x",
            "VirtualService istio-system/direct-web-through-egress-gateway",
        ),
        (lambda d: part(d, "dynamic_route_configs").clear(), "route-missing", "no route for the link's host", ""),
    ],
    ids=["of some requests", "a redirect", "by weight", "no route at all"],
)
def test_requests_that_are_led_elsewhere(edit: Edit, code: str, found: str, culprit: str) -> None:
    (fault,) = judged("client", edit)
    assert (fault.link, fault.hop, fault.code, fault.found, fault.culprit) == ("web", 2, code, found, culprit)


@pytest.mark.parametrize(
    ("edit", "code", "outside"),
    [
        (lambda d: put("metadata", value={})(endpoint(d, "outbound|3306|")), "plain-backend", False),
        (lambda d: put("health_status", value="UNHEALTHY")(endpoint(d, "outbound|3306|")), "no-endpoint", True),
        (lambda d: part(d, "dynamic_active_clusters").pop(0), "cluster-missing", False),
    ],
    ids=["plain text", "none that is ready", "not seen by the gateway"],
)
def test_a_backend_is_every_links_that_leads_there(edit: Edit, code: str, outside: bool) -> None:
    faults = judged("server", edit)
    assert [(fault.link, fault.hop, fault.code, fault.outside) for fault in faults] == [
        ("mysql", 3, code, outside),
        ("sales", 3, code, outside),
    ]
    known: BackendFault = {"code": "backend-port", "what": "it has no port", "fix": "open it", "carries": False}
    first, second = (fault.beside({"mysql": known}) for fault in faults)
    assert first
    assert (first.code, first.hop, first.found, first.outside) == ("backend-port", 3, "it has no port", True)
    assert second == faults[1], "nothing is known of that one"
    carrying: BackendFault = {**known, "carries": True}
    assert faults[0].beside({"mysql": carrying}) is None


def test_a_service_of_other_pods_breaks_every_link() -> None:
    faults = judged("server", service=service_of("server", selector={"istio": "other"}))
    assert {fault.code for fault in faults} == {"service-elsewhere"}
    assert [fault.link for fault in faults] == ["mysql", "sales", "web"]


def test_a_services_port_leads_to_the_port_of_the_pod() -> None:
    def moved(target: int | str) -> list[Fault]:
        ports = [{"port": port, "targetPort": target, "protocol": "TCP"} for port in (13306,)]
        return judged("server", service=service_of("server", ports=[*ports, *service_of("server")["ports"][1:]]))

    assert [(fault.link, fault.code) for fault in moved(9443)] == [("mysql", "listener-missing")]
    # Only the pod's containers say which number that is.
    assert moved("named") == []


@pytest.mark.parametrize(
    "config",
    [
        rules("DENY", policy(DENY_SNI, {"authenticated": {"principal_name": {"safe_regex": {"regex": ".*/ns/x/.*"}}}})),
        rules("DENY", policy({"requested_server_name": {"exact": "other.example.com"}}, {"any": True})),
        rules("LOG", policy({"any": True}, {"any": True})),
        rules("ALLOW", policy({"any": True}, {"remote_ip": {"address_prefix": "10.0.0.0", "prefix_len": 8}})),
        {**rules("DENY"), "typed_config": {"@type": "x.rbac.v3.RBAC", "shadow_rules": {"action": "DENY"}}},
    ],
    ids=["some identities", "another host", "a log", "addresses that nobody knows", "a dry run"],
)
def test_policies_that_do_not_refuse_a_link_for_sure_are_no_fault(config: Json) -> None:
    assert judged("client", lambda d: chain(d, 15443)["filters"].insert(0, config)) == []


def test_a_listener_that_goes_on_after_a_refused_change_carries_and_a_fresh_pod_would_not() -> None:
    dump = copy.deepcopy(DUMPS["server"])
    refused(13306, "no such  filter", old=True)(dump)
    pod = pod_of("server", dump)
    assert faults_of(pod, LINKS["server"], service_of("server")) == []
    (warning,) = fresh_pod(pod, [])
    assert (warning.code, warning.level) == ("fresh-pod-listener", "warning")
    assert "0.0.0.0_13306" in warning.what
    assert warning.what.endswith("no such filter")


def test_a_refusal_that_a_link_is_told_of_is_not_told_twice_and_hides_no_other() -> None:
    dump = copy.deepcopy(DUMPS["server"])
    refused(13306, "port taken")(dump)
    refused(13307, "no such filter", old=True)(dump)
    pod = pod_of("server", dump)
    faults = faults_of(pod, LINKS["server"], service_of("server"))
    assert [(fault.link, fault.code) for fault in faults] == [("mysql", "listener-refused")]
    (warning,) = fresh_pod(pod, faults)
    assert "0.0.0.0_13307" in warning.what


def test_what_was_refused_may_stand_in_an_entry_without_a_name() -> None:
    dump = copy.deepcopy(DUMPS["server"])
    failed = {"name": "0.0.0.0_13306", "address": {"socket_address": {"port_value": 13306}}}
    part(dump, "dynamic_listeners").append({"error_state": {"details": "refused", "failed_configuration": failed}})
    pod = pod_of("server", dump)
    assert [warning.code for warning in fresh_pod(pod, [])] == ["fresh-pod-listener"]
    assert faults_of(pod, LINKS["server"], service_of("server")) == []


def test_secrets_of_others_that_a_gateway_waits_for_are_told() -> None:
    dump = copy.deepcopy(DUMPS["server"])
    waits_for(dump, "kubernetes://shop-credential")
    pod = pod_of("server", dump)
    assert faults_of(pod, LINKS["server"], service_of("server")) == []
    messages = fresh_pod(pod, [])
    assert codes_of(messages) == ["fresh-pod-secret"]
    assert "shop-credential" in messages[0].what
    assert fresh_pod(pod_of("server", DUMPS["server"]), []) == []


# -- what real connections tell ------------------------------------------------------------------------------------


def counted(tried: int, failed: int, *, address: str = "198.18.52.10") -> Pod:
    """The egress gateway after some connections to the link's server."""
    stats = [{"name": "cx_connect_fail", "value": str(failed)}, {"name": "cx_total", "value": str(tried)}]
    host = {"address": {"socket_address": {"address": address, "port_value": 13306}}, "stats": stats}
    status = {"name": "outbound|13306||mysql.server.example.com", "host_statuses": [host]}
    pod = pod_of("client", DUMPS["client"])
    assert pod["proxy"]
    return {**pod, "proxy": with_counts(pod["proxy"], json.dumps({"cluster_statuses": [status, {"name": 7}]}))}


@pytest.mark.parametrize(
    ("pod", "codes"),
    [
        (counted(3, 3), ["no-connection-yet"]),
        (counted(3, 2), []),
        (counted(0, 0), []),
        (counted(3, 3, address="10.0.0.1"), []),
    ],
    ids=["none came about", "one did", "nobody tried", "of another address"],
)
def test_connections_of_which_none_came_about_are_a_warning(pod: Pod, codes: list[str]) -> None:
    links = view([link(), SALES, WEB], CLIENT)["client"]["links"]
    messages = failed_connections(pod, links)
    assert codes_of(messages) == codes
    assert {message.where for message in messages} <= {"link mysql, hop 2, pod istio-system/istio-egressgateway-0"}
    assert faults_of(pod, links, service_of("client")) == []


# -- what is foreign -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["", "{", "no healthy upstream", "{}", "[]", '{"configs": []}', "null"])
def test_an_answer_that_is_no_configuration_is_a_value_error(answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_proxy(answer)


ODD: Sequence[Any] = (None, "x", 7, [], {}, [7], {"x": None})


@pytest.mark.parametrize("shift", range(2))
@pytest.mark.parametrize("side", SIDES)
def test_fields_of_another_shape_are_as_if_they_were_empty(side: Side, shift: int) -> None:
    """Each field of the answer in turn, with the odd values in turn."""
    text = json.dumps(DUMPS[side])
    places = list(_places(DUMPS[side]))
    assert len(places) > 100
    for number, place in enumerate(places):
        dump = json.loads(text)
        found = dump
        for key in place[:-1]:
            found = found[key]
        found[place[-1]] = ODD[(number + shift) % len(ODD)]
        try:
            pod = pod_of(side, dump)
        except ValueError:
            continue
        assert all(str(fault.message()) for fault in faults_of(pod, LINKS[side], service_of(side)))


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from _places(inner, (*place, key))


def test_the_question_names_clusters_of_links_and_no_hosts_where_they_are_many() -> None:
    few = watch_of(LINKS["client"])
    assert few.question.startswith("config_dump?include_eds&name_regex=%5B%5E%7C%5D%2A%7Coutbound")
    assert few.question_of_counts.startswith("clusters?format=json&filter=outbound")
    assert "mysql" in few.question
    many = Watch(frozenset((20000 + number, f"link-{number}.server.example.com") for number in range(200))).question
    assert "link-7" not in many
    assert "20007" in many
    assert len(many) < 3000
    assert watch_of(LINKS["server"]) == Watch(
        frozenset({(3306, "mysql.default.svc.cluster.local"), (8080, "web.default.svc.cluster.local")})
    )


def test_two_hundred_links_are_judged_in_half_a_second() -> None:
    dump = copy.deepcopy(DUMPS["client"])
    whole = json.dumps(dump)
    listeners, clusters, endpoints = (
        part(dump, key) for key in ("dynamic_listeners", "dynamic_active_clusters", "dynamic_endpoint_configs")
    )
    chains = listeners[0]["active_state"]["listener"]["filter_chains"]
    links = [numbered(number) for number in range(200)]
    for item in links:

        def renamed(found: Json, item: Json = item) -> Json:
            text = json.dumps(found).replace("mysql.server.example.com", item["fqdn"])
            made: Json = json.loads(text.replace("outbound|13306|", f"outbound|{item['tls_port']}|"))
            return made

        chains.append(renamed(chain(json.loads(whole), 15443)))
        made = renamed({"cluster": cluster(json.loads(whole), "outbound|13306|")})
        address = made["cluster"]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        address["socket_address"]["port_value"] = item["tls_port"]
        clusters.append(made)
        endpoints.append(renamed(part(json.loads(whole), "dynamic_endpoint_configs")[0]))
    answer = json.dumps(dump)
    wanted = view(links, CLIENT)["client"]["links"]
    begun = time.process_time()
    pod = serving(labels={"istio": "egressgateway"}, proxy=read_proxy(answer))
    faults = faults_of(pod, wanted, service_of("client"))
    assert time.process_time() - begun < 0.5
    assert faults == []
