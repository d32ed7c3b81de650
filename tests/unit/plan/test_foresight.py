# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in a cluster, held against the links that a plan will leave there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest, Pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import Foresight, foresee
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.questions import future_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.istio.objects import made, route, rule, service
from tests.unit.plan.test_plan import POLICY, SERVICE, plan_of, reading
from tests.unit.support import CLIENT, SERVER, Json, link, numbered, view

FQDN = "mysql.server.example.com"
EGRESS = "istio-egressgateway.istio-system.svc.cluster.local"
BACKEND = "mysql.default.svc.cluster.local"
EGRESS_LABELS = {"istio": "egressgateway"}
INGRESS_LABELS = {"istio": "ingressgateway"}
EGRESS_PORT = view([link()], CLIENT)["client"]["ports"][0]
HTTP = {"protocol": "http", "port": 8080}


def gateway_service(name: str, labels: Json) -> Json:
    ports = [{"port": 443, "name": "https", "targetPort": 8443}]
    return made("Service", f"istio-system/{name}", 1, selector=labels, clusterIP="10.1.0.1", ports=ports)


SERVICES = [
    gateway_service("istio-egressgateway", EGRESS_LABELS),
    gateway_service("istio-ingressgateway", INGRESS_LABELS),
    service("default/mysql", 1, selector={"app": "mysql"}),
]


# Where nothing of ours is yet.
EMPTY: Json = {
    "backends": [
        {"service": name, "namespace": "default", "found": True, "ports": [3306], "pods": 1, "sidecars": 1}
        for name in ("mysql", "later")
    ],
    "pods": {"client": [], "server": []},
    "services": {
        "server": {**SERVICE, "ports": [], "owners": {}},
        "client": {**SERVICE, "name": "istio-egressgateway", "ports": [], "owners": {}},
    },
}


def foreseen(
    *others: Json,
    side: Side = "client",
    links: Sequence[Json] | None = None,
    policy: Any = POLICY,
    **found: Any,
) -> Foresight:
    """What a first run will say of a cluster in which only these objects of others are, and the gateways' Services."""
    variables = CLIENT if side == "client" else SERVER
    wanted = view([link()] if links is None else links, variables)[side]
    seen = reading(**EMPTY)
    manifests = render(side, wanted)
    plan = plan_of(seen, list(links or [link()]), side=side, variables=variables, manifests=manifests)
    surroundings = Surroundings([*SERVICES, *others], **found)
    return foresee(surroundings, seen, wanted, manifests, plan.work, policy)


def said(*others: Json, link: str = "mysql", **changes: Any) -> list[Message]:
    return list(foreseen(*others, **changes).by_link.get(link, ()))


def codes(*others: Json, **changes: Any) -> list[tuple[str, str]]:
    return [(message.code, message.level) for message in said(*others, **changes)]


ALONE = {**link(), "addresses": ["240.0.0.7"]}


def test_of_a_link_with_an_address_of_its_own_nothing_is_said() -> None:
    assert codes(links=[ALONE]) == []
    assert codes(side="server") == []
    assert codes(links=[link(**HTTP)]) == []


def test_a_tcp_link_without_an_address_is_said_to_take_its_port() -> None:
    assert codes() == [("port-captures", "warning")]


NEIGHBOUR = made(
    "ServiceEntry",
    "billing/db",
    5,
    hosts=["billing-db.example.com"],
    ports=[{"number": 3306, "name": "tcp", "protocol": "TCP"}],
    resolution="DNS",
)


def test_another_host_without_an_address_on_the_port_forbids_the_run() -> None:
    """Applications would write into the wrong database."""
    found = said(NEIGHBOUR)
    assert ("port-captured", "error") in [(message.code, message.level) for message in found]
    assert any("ServiceEntry billing/db" in message.where for message in found)
    # The control: with an address, and on another port, both go their ways.
    assert codes(NEIGHBOUR, links=[ALONE]) == []
    assert codes(NEIGHBOUR, links=[link(port=3307)]) == codes()


def test_what_is_older_than_ours_takes_the_port_and_what_is_younger_loses_it() -> None:
    older = said(NEIGHBOUR)
    assert [message.code for message in older if message.level == "error"] == ["port-captured"]
    younger = said(NEIGHBOUR, *_older(_ours([link()])))
    assert [message.code for message in younger if message.level == "error"] == ["port-captures"]


def _ours(links: Sequence[Json]) -> list[Json]:
    return [cast(Json, item) for item in render("client", view(links, CLIENT)["client"])]


def _older(items: Sequence[Json]) -> list[Json]:
    return [{**item, "metadata": {**item["metadata"], "creationTimestamp": "2020-01-01T00:00:00Z"}} for item in items]


# -- DestinationRules of others ------------------------------------------------------------------------------------

RULES: dict[str, tuple[Json, str, str, str]] = {
    "for the link's host, where ours is": (
        rule("istio-system/theirs", host=FQDN, exportTo=["."]),
        "egress-gateway",
        "cluster-missing",
        "error",
    ),
    "with TLS settings for all of the gateway": (
        rule("istio-system/theirs", host=EGRESS, subsets=[{"name": "mysql"}]),
        "workload",
        "other-tls",
        "error",
    ),
}


@pytest.mark.parametrize(("theirs", "hop", "code", "level"), RULES.values(), ids=RULES)
def test_an_older_rule_of_others_that_takes_the_place_of_ours_forbids_the_run(
    theirs: Json, hop: str, code: str, level: str
) -> None:
    found = [message for message in said(theirs, links=[ALONE]) if message.where.startswith("DestinationRule")]
    assert [(message.code, message.level) for message in found] == [(code, level)], found
    assert "istio-system/theirs" in found[0].where


def test_a_younger_rule_of_another_export_takes_the_place_of_ours_and_an_older_one_does_not() -> None:
    """Istio does not merge the two, and the last one made holds alone."""
    theirs = rule("istio-system/theirs", host=EGRESS, exportTo=["*"], subsets=[{"name": "v1"}])
    assert codes(theirs, links=[ALONE]) == []
    (found,) = said(theirs, *_older(_ours([ALONE])), links=[ALONE])
    assert (found.code, found.level) == ("cluster-missing", "error")
    assert found.where.startswith("DestinationRule istio-system/theirs")


WIDE = rule("legacy/everything", host="*.local", trafficPolicy={"tls": {"mode": "SIMPLE"}})


def test_a_rule_where_workloads_are_forbids_a_link_that_is_for_them() -> None:
    for them in ({"namespaces": ["legacy"]}, {"service_accounts": ["legacy/app"]}):
        (found,) = said(WIDE, links=[{**ALONE, "workloads": them}])
        assert (found.code, found.level) == ("cluster-missing", "error")
        assert "workloads of namespace legacy" in found.what


def test_it_is_a_warning_for_a_link_that_is_for_everybody_and_nothing_for_one_that_is_for_others() -> None:
    (found,) = said(WIDE, links=[ALONE])
    assert (found.code, found.level) == ("cluster-missing", "warning")
    assert codes(WIDE, links=[{**ALONE, "workloads": {"namespaces": ["shop"]}}]) == []


def callers(*others: Json, links: Sequence[Json]) -> list[str]:
    """Namespaces beside those of no one in particular whose workloads are asked about."""
    wanted = view(links, CLIENT)["client"]
    changes = SimpleNamespace(strip=[], force=[], write=[], delete=[])
    surroundings = Surroundings([*SERVICES, *others])
    future = future_of(surroundings, reading(**EMPTY), wanted, [], cast(Any, changes))
    (found,) = future.client_links(wanted["links"], everywhere=True)
    return [caller.proxy.namespace for caller in found.callers]


def test_a_service_on_a_links_port_that_all_proxies_take_alike_is_no_reason_to_ask_about_its_namespace() -> None:
    """Nearly every namespace of a large cluster has one: each costs as much as all workloads together."""
    many = [service(f"ns-{number}/web", 1, 8080, "http") for number in range(50)]
    assert callers(*many, links=[link(**HTTP)]) == []
    # The control: one that only its own namespace sees, and one whose host others claim as well.
    hidden = service("hidden/web", 1, 8080, "http")
    hidden["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    assert callers(*many, hidden, links=[link(**HTTP)]) == ["hidden"]
    ports = [{"number": 8080, "name": "http", "protocol": "HTTP"}]
    claims = [
        made("ServiceEntry", f"{team}/api", 1, hosts=["api.example.com"], ports=ports, resolution="DNS")
        for team in ("one", "two")
    ]
    assert callers(*many, *claims, links=[link(**HTTP)]) == ["one", "two"]
    assert callers(*many, claims[0], links=[link(**HTTP)]) == []


def test_what_is_exported_to_some_namespaces_is_a_reason_to_ask_about_them() -> None:
    theirs = {"hosts": [FQDN], "tcp": [{"route": [{"destination": {"host": "elsewhere.example.com"}}]}]}
    exported = made("VirtualService", "istio-system/theirs", 1, exportTo=["shop", "."], **theirs)
    assert callers(exported, links=[ALONE]) == ["shop"]
    (found,) = said(exported, links=[ALONE])
    assert (found.code, found.level) == ("route-taken", "warning")
    assert "workloads of namespace shop" in found.what
    # The control: who does not see it is not led by it.
    assert callers(made("VirtualService", "istio-system/theirs", 1, exportTo=["."], **theirs), links=[ALONE]) == []


def test_rules_that_do_nothing_to_links_are_left_alone() -> None:
    harmless = [
        rule("istio-system/theirs", host=EGRESS, subsets=[{"name": "v1"}]),
        rule("istio-system/wider", host="*.local", trafficPolicy={"tls": {"mode": "SIMPLE"}}),
        rule("legacy/theirs", host=EGRESS, exportTo=["elsewhere"]),
    ]
    assert [codes(item, links=[ALONE]) for item in harmless] == [[], [], []]


# -- who else is in the way ----------------------------------------------------------------------------------------

IN_THE_WAY: dict[str, tuple[Json, Side, Json, str]] = {
    "a VirtualService of others for the host": (
        made(
            "VirtualService",
            "istio-system/theirs",
            1,
            hosts=[FQDN],
            gateways=["mesh"],
            tcp=[route("elsewhere.example.com", 1)],
        ),
        "client",
        ALONE,
        "route-taken",
    ),
    "a ServiceEntry of others for the host": (
        made(
            "ServiceEntry",
            "shop/theirs",
            1,
            hosts=[FQDN],
            ports=[{"number": 3306, "name": "tcp", "protocol": "TCP"}],
            resolution="DNS",
        ),
        "client",
        ALONE,
        "host-claimed",
    ),
    "a Gateway of others on the egress gateway": (
        made(
            "Gateway",
            "istio-system/theirs",
            1,
            selector=EGRESS_LABELS,
            servers=[
                {
                    "port": {"number": EGRESS_PORT, "name": "tls", "protocol": "TLS"},
                    "hosts": [f"./{FQDN}"],
                    "tls": {"mode": "PASSTHROUGH"},
                }
            ],
        ),
        "client",
        ALONE,
        "way-in-taken",
    ),
    "an allow-list without the gateway at the backend": (
        made(
            "AuthorizationPolicy",
            "default/theirs",
            1,
            selector={"matchLabels": {"app": "mysql"}},
            rules=[{"from": [{"source": {"namespaces": ["shop"]}}]}],
        ),
        "server",
        link(),
        "caller-refused",
    ),
    "an allow-list without the clients at the ingress gateway": (
        made(
            "AuthorizationPolicy",
            "istio-system/theirs",
            1,
            selector={"matchLabels": INGRESS_LABELS},
            rules=[{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/app"]}}]}],
        ),
        "server",
        link(),
        "caller-refused",
    ),
    "a PeerAuthentication that takes plain text": (
        made(
            "PeerAuthentication",
            "default/theirs",
            1,
            selector={"matchLabels": {"app": "mysql"}},
            mtls={"mode": "PERMISSIVE"},
        ),
        "server",
        link(strict_backend=True),
        "mode-overridden",
    ),
    "a backend that is not exported": (
        {
            **SERVICES[2],
            "metadata": {**SERVICES[2]["metadata"], "annotations": {"networking.istio.io/exportTo": "~"}},
        },
        "server",
        link(),
        "host-hidden",
    ),
}


@pytest.mark.parametrize(("theirs", "side", "wanted", "code"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_stands_in_the_way_forbids_the_run_and_is_named(theirs: Json, side: Side, wanted: Json, code: str) -> None:
    pods = [_pod(INGRESS_LABELS)] if side == "server" else []
    found = _with_pods(pods, theirs, side=side, links=[wanted])
    assert (code, "error") in [(message.code, message.level) for message in found], found
    # The control: without it nothing is said.
    assert _with_pods(pods, side=side, links=[wanted]) == []


def _pod(labels: Json) -> Pod:
    return cast(
        Pod,
        {
            "namespace": "istio-system",
            "name": "gate-0",
            "labels": labels,
            "account": "gate",
            "trust_domain": "",
            "ready": True,
        },
    )


def _with_pods(pods: Sequence[Pod], *others: Json, side: Side, links: Sequence[Json]) -> list[Message]:
    wanted = view(links, CLIENT if side == "client" else SERVER)[side]
    manifests = render(side, wanted)
    plan = plan_of(
        reading(**EMPTY),
        list(links),
        side=side,
        variables=CLIENT if side == "client" else SERVER,
        manifests=manifests,
    )
    seen = reading(**{**EMPTY, "pods": {"client": list(pods), "server": list(pods)}})
    there = {(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]): item for item in SERVICES}
    there |= {(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]): item for item in others}
    found = foresee(Surroundings(list(there.values())), seen, wanted, manifests, plan.work, POLICY)
    return [*found.errors, *found.warnings]


def test_a_gateway_that_stands_goes_on_beside_one_that_makes_envoy_refuse_changes() -> None:
    wanted = view([link()], SERVER)["server"]
    https = {"number": wanted["links"][0]["tls_port"], "name": "https", "protocol": "HTTPS"}
    tls = {"mode": "SIMPLE", "credentialName": "theirs"}
    servers = [{"port": https, "hosts": [FQDN], "tls": tls}]
    theirs = made("Gateway", "default/theirs", 9, selector=INGRESS_LABELS, servers=servers)
    manifests = render("server", wanted)
    seen = Surroundings([*SERVICES, theirs, *cast(list[Json], manifests)])

    def told(*written: Manifest) -> list[tuple[str, str]]:
        changes = cast(Any, SimpleNamespace(strip=[], force=[], write=written, delete=[]))
        found = foresee(seen, reading(**EMPTY), wanted, manifests, changes, POLICY)
        return [(message.code, message.level) for message in found.by_link.get("mysql", ())]

    assert told() == [("listener-refused", "warning")]
    # Envoy refuses what is changed.
    ours = [item for item in manifests if item["kind"] == "Gateway"]
    assert told(*ours) == [("listener-refused", "error")]


def test_a_backend_that_is_not_there_yet_is_nobodys_fault() -> None:
    elsewhere = link(backend={"host": "later.default.svc.cluster.local", "port": 3306})
    assert codes(side="server", links=[elsewhere]) == []


def test_each_link_is_judged_by_itself() -> None:
    links = [ALONE, numbered(1, addresses=["240.0.0.8"])]
    theirs = RULES["for the link's host, where ours is"][0]
    assert codes(theirs, links=links) != []
    assert codes(theirs, links=links, link="link-1") == []


def test_a_run_for_some_links_is_not_kept_by_what_others_have_in_their_way() -> None:
    links = [ALONE, numbered(1, addresses=["240.0.0.8"])]
    theirs = RULES["for the link's host, where ours is"][0]
    only = replace(POLICY, only=frozenset({"link-1"}))
    assert foreseen(theirs, links=links, policy=only) == Foresight({}, [])


# -- what may not be read ------------------------------------------------------------------------------------------


def test_where_services_may_not_be_listed_nothing_is_foreseen_and_that_is_said() -> None:
    found = foreseen(NEIGHBOUR, unseen={"list services": "403"})
    assert (found.complete, found.by_link) == (False, {})
    (message,) = found.of_side
    assert (message.code, message.level) == ("not-foreseen", "warning")
    assert "list services" in message.what


def test_where_a_kind_may_not_be_listed_the_rest_is_foreseen() -> None:
    found = foreseen(NEIGHBOUR, unseen={"list envoyfilters": "500"})
    assert found.complete
    assert "port-captured" in [message.code for message in found.errors]
    assert "in full" in found.of_side[0].what


def test_a_namespace_that_istio_does_not_look_into_forbids_the_run() -> None:
    config = {"discoverySelectors": [{"matchLabels": {"mesh": "on"}}]}
    hidden = {"istio-system": {"mesh": "on"}, "default": {}}
    (found,) = said(side="server", mesh_config=config, namespaces=hidden)
    assert (found.code, found.level) == ("not-discovered", "error")
    assert "namespace default, backend of the link" in found.what
    assert codes(side="server", mesh_config=config, namespaces={**hidden, "default": {"mesh": "on"}}) == []


CREDENTIAL = view([link()], CLIENT)["client"]["links"][0]["credential"]
WITH_OURS = {"tls": {"mode": "MUTUAL", "credentialName": CREDENTIAL}}
USERS: dict[str, Json] = {
    "a rule": rule("shop/theirs", host="elsewhere.example.com", trafficPolicy=WITH_OURS),
    "one of a port": rule(
        "shop/theirs",
        host="elsewhere.example.com",
        trafficPolicy={"portLevelSettings": [{"port": {"number": 443}, **WITH_OURS}]},
    ),
    "one of a subset": rule(
        "shop/theirs", host="elsewhere.example.com", subsets=[{"name": "v1", "trafficPolicy": WITH_OURS}]
    ),
    "a Gateway": made(
        "Gateway",
        "shop/theirs",
        selector=EGRESS_LABELS,
        servers=[
            {
                "port": {"number": 8443, "name": "tls", "protocol": "TLS"},
                "hosts": ["own.example.com"],
                "tls": {"mode": "SIMPLE", "credentialName": CREDENTIAL},
            }
        ],
    ),
}


@pytest.mark.parametrize("theirs", USERS.values(), ids=USERS)
def test_whoever_else_uses_the_links_certificate_is_named(theirs: Json) -> None:
    (found,) = foreseen(theirs, links=[ALONE]).of_side
    assert (found.code, found.level) == ("credential-used", "warning")
    assert found.where.startswith(f"{theirs['kind']} shop/theirs")
    # The control: ours use it, and others have theirs.
    assert foreseen(links=[ALONE]).of_side == []
    other = json.loads(json.dumps(theirs).replace(CREDENTIAL, "own"))
    assert foreseen(other, links=[ALONE]).of_side == []


def test_another_trust_domain_than_the_inventorys_forbids_a_link_for_service_accounts() -> None:
    config, named = {"trustDomain": "prod.example.com"}, {**ALONE, "workloads": {"service_accounts": ["shop/app"]}}
    (found,) = said(links=[named], mesh_config=config)
    assert (found.code, found.level, found.fix) == (
        "trust-domain-differs",
        "error",
        "set mesh_trust_domain: prod.example.com",
    )
    # The control: links for namespaces do not depend on it, nor does one whose mesh says the same, or may not be asked.
    assert codes(links=[ALONE], mesh_config=config) == []
    assert codes(links=[named], mesh_config={"trustDomain": "cluster.local"}) == []
    assert codes(links=[named], mesh_config=None) == []


def test_a_gateways_own_certificate_tells_the_trust_domain_before_the_settings_do() -> None:
    named = {**ALONE, "workloads": {"service_accounts": ["shop/app"]}}
    pod = {**_pod(EGRESS_LABELS), "trust_domain": "prod.example.com"}
    (found,) = _with_pods([cast(Pod, pod)], side="client", links=[named])
    assert (found.code, found.level) == ("trust-domain-differs", "error")
    # The control.
    same = {**pod, "trust_domain": "cluster.local"}
    assert _with_pods([cast(Pod, same)], side="client", links=[named]) == []


def test_a_side_that_is_emptied_is_foreseen_nothing() -> None:
    wanted = view([link()], CLIENT)["client"]
    nothing = {**wanted, "links": [], "ports": []}
    patch = {"kind": "Service", "metadata": SERVICES[0]["metadata"]}
    changes = SimpleNamespace(strip=[], force=[], write=[patch], delete=[])
    surroundings = Surroundings([*SERVICES, NEIGHBOUR])
    assert foresee(surroundings, reading(**EMPTY), cast(Any, nothing), [], cast(Any, changes), POLICY) == Foresight({})
    # The control: with links such a patch of the Service, which gives up a port, is taken too.
    left = foresee(surroundings, reading(**EMPTY), wanted, [], cast(Any, changes), POLICY)
    assert left.by_link != {}


def test_errors_of_links_are_the_plans_and_warnings_stand_beside() -> None:
    errors, warnings = said(NEIGHBOUR)[:1], said()
    found = Foresight({"mysql": [*errors, *warnings]})
    assert (found.errors, found.warnings) == (errors, warnings)
