# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever others write, hop 2 is never plain text, and nobody's route takes a link's traffic after TLS has ended."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.support.cluster_faults import EGRESS, INGRESS
from tests.integration.support.cluster_objects import Written, put_back, written_by_runs
from tests.integration.support.lab_mesh import MYSQL, Mesh
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.rival_objects import await_push, foreign, objects_of_others, rival
from tests.integration.support.web_servers import BACKEND, curl, running_web_servers, web_link
from tests.lab import Capture
from tests.lab.wait import eventually

Json = dict[str, Any]
WEB = web_link("web", "http", 13080)
HOST = WEB["fqdn"]
OURS = "destinationrule/originate-mtls-for-web"
PLAIN: Json = {"tls": {"mode": "DISABLE"}}
EVERYBODYS = {"matchLabels": {"istio": "egressgateway"}}
# In the egress gateway's namespace, and older than ours.
RULES: dict[str, Json] = {
    "keepalive settings": {
        "host": HOST,
        "trafficPolicy": {"connectionPool": {"tcp": {"tcpKeepalive": {"time": "60s"}}}},
    },
    "no TLS": {"host": HOST, "trafficPolicy": PLAIN},
    "no TLS on the port": {
        "host": HOST,
        "trafficPolicy": {"portLevelSettings": [{"port": {"number": 13080}, **PLAIN}]},
    },
    "no TLS, for its namespace alone": {"host": HOST, "exportTo": ["."], "trafficPolicy": PLAIN},
    "no TLS, for the gateway alone": {"host": HOST, "workloadSelector": EVERYBODYS, "trafficPolicy": PLAIN},
    "no TLS, for the gateway and its namespace": {
        "host": HOST,
        "exportTo": ["."],
        "workloadSelector": EVERYBODYS,
        "trafficPolicy": PLAIN,
    },
    "a wildcard without TLS": {"host": "*.server.example.com", "exportTo": ["."], "trafficPolicy": PLAIN},
    "another subset": {"host": HOST, "subsets": [{"name": "plain", "trafficPolicy": PLAIN}]},
}
# Those that Istio merges with ours: the subset keeps its policy, and the link carries.
MERGED = {"keepalive settings", "no TLS", "no TLS on the port", "another subset"}


@pytest.fixture(scope="module")
def web_mesh(shared_mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    # Where others win, a proof waits for what does not come.
    found = shared_mesh.with_changes(links=[WEB, MYSQL], variables={"mesh_gate_timeout": 5})
    with running_web_servers(found, tmp_path_factory.mktemp("web")):
        run = found.site()
        assert run.ok, run.output
        eventually(lambda: answers(found))
        yield found


def answers(mesh: Mesh, path: str = "/", *options: str) -> bool:
    return "HTTP/1.1 200" in curl(mesh, HOST, path, *options).stdout


@contextmanager
def asked_between_clusters(mesh: Mesh, word: str) -> Iterator[Capture]:
    """What the egress gateway sends out while requests are made that bear this word."""
    with mesh.lab.capture(*EGRESS, "tcp port 13080") as wire:
        for _attempt in range(3):
            curl(mesh, HOST, "/", "-H", f"Authorization: Bearer {word}", "--retry", "0")
        yield wire


@contextmanager
def older_rule(mesh: Mesh, spec: Json) -> Iterator[None]:
    """A rule of others that is older than ours."""
    cluster, pod = EGRESS
    with rival(mesh, cluster, "DestinationRule", spec, before=("DestinationRule", "originate-mtls-for-web")):
        await_push(mesh, cluster, pod)
        yield
    await_push(mesh, cluster, pod)


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_of_others_makes_hop_2_plain_text(web_mesh: Mesh, rule: str) -> None:
    word = secrets.token_hex(16)
    with older_rule(web_mesh, RULES[rule]):
        with asked_between_clusters(web_mesh, word) as wire:
            pass
        assert answers(web_mesh) == (rule in MERGED)
    assert word.encode() not in wire.payload
    eventually(lambda: answers(web_mesh))


def test_the_control_reads_the_request_where_the_route_leads_past_the_subset(web_mesh: Mesh) -> None:
    """As it was with the way out of before."""
    word = secrets.token_hex(16)
    route = "virtualservice/direct-web-through-egress-gateway"
    with older_rule(web_mesh, RULES["keepalive settings"]):
        change_routes(web_mesh, route, lambda destination: destination.pop("subset", None))
        with asked_between_clusters(web_mesh, word) as wire:
            pass
    assert word.encode() in wire.payload
    run = web_mesh.site()
    assert run.ok, run.output
    eventually(lambda: answers(web_mesh))


def change_routes(mesh: Mesh, route: str, change: Any) -> None:
    """Change the destinations to which the egress gateway leads, as somebody with the right to would."""
    cluster, pod = EGRESS
    spec = mesh.get(cluster, route, "-n", "istio-system")["spec"]
    for item in (*spec.get("http", ()), *spec.get("tcp", ())):
        if item["match"][0]["gateways"] != ["mesh"]:
            change(item["route"][0]["destination"])
    patch = json.dumps({"spec": spec})
    mesh.lab.kubectl(cluster, "patch", route, "-n", "istio-system", "--type", "merge", "-p", patch)
    await_push(mesh, cluster, pod)


# -- routes of others ----------------------------------------------------------------------------------------------

TENANT = "default"
SIDES = {"egress": (EGRESS, "egressgateway-web"), "ingress": (INGRESS, "gateway-web")}


def taking_over(gateway: str) -> Json:
    """A VirtualService of a tenant for one path, bound to our Gateway."""
    taken = {"match": [{"uri": {"exact": "/secret"}}], "directResponse": {"status": 418}}
    return foreign(
        "VirtualService",
        "taking-over",
        {"hosts": [HOST], "gateways": [f"istio-system/{gateway}"], "http": [taken]},
        namespace=TENANT,
    )


@pytest.mark.parametrize("side", SIDES)
def test_no_route_of_another_namespace_takes_requests(web_mesh: Mesh, side: str) -> None:
    (cluster, pod), gateway = SIDES[side]
    with objects_of_others(web_mesh, cluster, [taking_over(gateway)], told=pod):
        assert answers(web_mesh, "/secret")
        # The control: of a Gateway that any namespace may bind to.
        hosts = [{"op": "replace", "path": "/spec/servers/0/hosts", "value": [HOST]}]
        web_mesh.lab.kubectl(
            cluster, "patch", f"gateway/{gateway}", "-n", "istio-system", "--type", "json", "-p", json.dumps(hosts)
        )
        eventually(lambda: "HTTP/1.1 418" in curl(web_mesh, HOST, "/secret").stdout)
        run = web_mesh.site()
        assert run.ok, run.output
        eventually(lambda: answers(web_mesh, "/secret"))


@pytest.mark.slow
def test_no_route_of_another_namespace_takes_connections(web_mesh: Mesh) -> None:
    cluster, pod = INGRESS
    spec = {
        "hosts": [MYSQL["fqdn"]],
        "gateways": ["istio-system/gateway-mysql"],
        # This way it would come before ours, whatever its age.
        "exportTo": ["istio-system"],
        "tcp": [{"route": [{"destination": {"host": BACKEND, "port": {"number": 8080}}}]}],
    }
    hosts = [{"op": "replace", "path": "/spec/servers/0/hosts", "value": [MYSQL["fqdn"]]}]
    theirs = foreign("VirtualService", "taking-over", spec, namespace=TENANT)
    with objects_of_others(web_mesh, cluster, [theirs], told=pod):
        assert web_mesh.carries()
        web_mesh.lab.kubectl(
            cluster, "patch", "gateway/gateway-mysql", "-n", "istio-system", "--type", "json", "-p", json.dumps(hosts)
        )
        eventually(lambda: not web_mesh.carries())
        run = web_mesh.site()
        assert run.ok, run.output
        eventually(web_mesh.carries)


# -- links of before -----------------------------------------------------------------------------------------------


def as_before(entry: Written) -> Written:
    """An object as it was written when the way out had no subset and any namespace could bind to a Gateway."""
    body: Json = json.loads(json.dumps(entry.body))
    if body["kind"] == "Gateway":
        for server in body["spec"]["servers"]:
            server["hosts"] = [host.removeprefix("./") for host in server["hosts"]]
    if body["metadata"]["name"].startswith("originate-mtls-for-"):
        del body["spec"]["subsets"]
    if body["kind"] == "VirtualService" and "mesh" in body["spec"]["gateways"]:
        for item in (*body["spec"].get("http", ()), *body["spec"].get("tcp", ())):
            if item["match"][0]["gateways"] != ["mesh"]:
                item["route"][0]["destination"].pop("subset")
    return Written(entry.manager, body)


def test_links_of_before_move_over_without_a_lost_connection(web_mesh: Mesh) -> None:
    lab = web_mesh.lab
    for cluster, _pod in (EGRESS, INGRESS):
        put_back(lab, cluster, [as_before(entry) for entry in written_by_runs(lab, cluster)])
    for place in (EGRESS, INGRESS):
        await_push(web_mesh, *place)
    assert "subset" not in json.dumps(web_mesh.get(*EGRESS[:1], OURS, "-n", "istio-system"))
    with (
        live_traffic(lab, 25, held=1) as database,
        live_traffic(lab, 25, held=1, fqdn=HOST, port=WEB["port"], pages=True) as pages,
    ):
        run = web_mesh.site()
        for place in (EGRESS, INGRESS):
            await_push(web_mesh, *place)
    assert run.ok, run.output
    assert run.changed > 0
    assert (database.lost, pages.lost) == ([], [])
    assert web_mesh.site().changed == 0
