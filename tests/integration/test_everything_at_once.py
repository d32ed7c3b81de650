# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three clusters and an external machine, links of every kind between them, all at once."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.support.external_machine import DATABASE_PORT, WEB_PORT, Machine, running_machine
from tests.integration.support.lab_mesh import CLUSTER_C, CLUSTERS, MYSQL, Mesh, cleared_afterwards
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.web_servers import running_web_servers, web_link
from tests.lab import Lab
from tests.lab.wait import eventually

EXTERNAL = "legacy.example.org"
PRIOR = ("--http2-prior-knowledge",)
GRPC = (*PRIOR, "-X", "POST", "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "")
BAD_FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: bad, namespace: default}
spec:
  workloadSelector: {labels: {app: mysql-client}}
  configPatches:
    - applyTo: CLUSTER
      match: {context: SIDECAR_OUTBOUND}
      patch: {operation: MERGE, value: {connect_timeout: 0s}}
"""


def links(lab: Lab, folder: Path) -> list[dict[str, Any]]:
    at_b = lab.pod("cluster-b", "istio-ingressgateway-0").address
    at_c = lab.pod("cluster-c", "edge-0").address
    b, c = {"servers": ["cluster-b"]}, {"servers": ["cluster-c"]}
    near = {"name": "cluster-b", "address": at_b, "locality": "eu/eu-2"}
    far = {"name": "cluster-c", "address": at_c, "locality": "us/us-1"}
    kept = {"address": EXTERNAL, "ca": str(folder / "external"), "sni": EXTERNAL}
    return [
        {**MYSQL, **b, "clients": ["cluster-a"]},
        # On the same port, with a virtual address each.
        {**MYSQL, **c, "name": "orders", "fqdn": "orders.c.example.com", "clients": ["cluster-a"]},
        {**MYSQL, "name": "both", "fqdn": "both.example.org", "tls_port": 13307, "servers": [near, far]},
        # One tls_port for three links of requests, told apart by SNI.
        {**web_link("web", "http", 13443), **b, "clients": ["cluster-a", "cluster-c"]},
        {**web_link("h2", "http2", 13443), **b, "clients": ["cluster-a"], "workloads": {"namespaces": ["shop"]}},
        {**web_link("grpc", "grpc", 13443), **b},
        # The other way round, from both of the others.
        {
            **web_link("back", "http", 13444),
            "fqdn": "back.client.example.com",
            "servers": ["cluster-a"],
            "clients": ["cluster-b", "cluster-c"],
        },
        {"name": "sql", "fqdn": f"sql.{EXTERNAL}", "port": 3306, "external": {**kept, "port": DATABASE_PORT}},
        {
            "name": "page",
            "fqdn": f"page.{EXTERNAL}",
            "port": 80,
            "protocol": "http",
            "external": {**kept, "port": WEB_PORT},
        },
    ]


@pytest.fixture(scope="module")
def rejected_before(lab: Lab) -> dict[str, float]:
    """istiod counts from its start, and other tests write nonsense on purpose."""
    return {cluster: _rejects(lab, cluster) for cluster in CLUSTERS}


@pytest.fixture(scope="module")
def mesh_of_everything(
    lab: Lab, rejected_before: dict[str, float], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("mesh")
    mesh = Mesh(lab, folder, "a passphrase of this test")
    mesh.hosts = {"cluster-a": {"mesh_dns": "capture"}, "cluster-b": {}, "cluster-c": dict(CLUSTER_C)}
    mesh.groups = {"mesh_servers": list(CLUSTERS), "mesh_clients": list(CLUSTERS)}
    mesh.links = links(lab, folder)
    servers = (("cluster-b", "mysql-0"), ("cluster-a", "mysql-client"))
    folders = [tmp_path_factory.mktemp(pod) for _cluster, pod in servers]
    with (
        cleared_afterwards(mesh),
        running_machine(mesh, tmp_path_factory.mktemp("machine")) as machine,
        running_web_servers(mesh, folders[0], *servers[0]),
        running_web_servers(mesh, folders[1], *servers[1]),
    ):
        _join(mesh, machine, folder)
        yield mesh


def _join(mesh: Mesh, machine: Machine, folder: Path) -> None:
    run = mesh.site()
    assert run.ok, run.output
    machine.load(folder / "external", folder / "external/ca.crt")


def database(mesh: Mesh, pod: str, fqdn: str, said: str) -> bool:
    return said in mesh.lab.mysql_from("cluster-a", pod, "SELECT @@socket", fqdn=fqdn).stdout


def page(mesh: Mesh, cluster: str, pod: str, fqdn: str, said: str, *options: str) -> bool:
    argv = ["curl", "--silent", "--max-time", "10", "--dump-header", "-", *options, f"http://{fqdn}/"]
    return said in mesh.lab.run(cluster, pod, argv).stdout


WORKS = [
    pytest.param(partial(database, pod="shop-0", fqdn=MYSQL["fqdn"], said="/mysql-0/"), id="a database"),
    pytest.param(partial(database, pod="shop-0", fqdn="orders.c.example.com", said="/mysql-1/"), id="another on it"),
    pytest.param(partial(database, pod="shop-0", fqdn="both.example.org", said="/mysql-0/"), id="one of two servers"),
    pytest.param(partial(database, pod="shop-0", fqdn=f"sql.{EXTERNAL}", said="mariadb/socket"), id="an external one"),
    pytest.param(
        partial(page, cluster="cluster-a", pod="shop-0", fqdn="web.server.example.com", said="HTTP/1.1 200"), id="http"
    ),
    pytest.param(
        partial(page, cluster="cluster-c", pod="mysql-1", fqdn="web.server.example.com", said="HTTP/1.1 200"),
        id="http from another cluster",
    ),
    pytest.param(
        lambda mesh: page(mesh, "cluster-a", "shop-0", "h2.server.example.com", "HTTP/2 200", *PRIOR), id="http2"
    ),
    pytest.param(
        lambda mesh: page(mesh, "cluster-a", "shop-0", "grpc.server.example.com", "grpc-status: 5", *GRPC), id="grpc"
    ),
    pytest.param(
        partial(page, cluster="cluster-b", pod="mysql-0", fqdn="back.client.example.com", said="HTTP/1.1 200"),
        id="the other way round",
    ),
    pytest.param(
        partial(page, cluster="cluster-c", pod="mysql-1", fqdn="back.client.example.com", said="HTTP/1.1 200"),
        id="the other way round, from another cluster",
    ),
    pytest.param(
        partial(page, cluster="cluster-a", pod="shop-0", fqdn=f"page.{EXTERNAL}", said="CN=cluster-a"),
        id="external",
    ),
]


@pytest.mark.parametrize("works", WORKS)
def test_it_works_from_a_pod(mesh_of_everything: Mesh, works: Any) -> None:
    eventually(lambda: works(mesh_of_everything))


def test_a_workload_that_may_not_use_a_link_is_refused_and_uses_the_others(mesh_of_everything: Mesh) -> None:
    assert page(mesh_of_everything, "cluster-a", "shop-0", "h2.server.example.com", "HTTP/2 200", *PRIOR)
    assert not page(mesh_of_everything, "cluster-a", "mysql-client", "h2.server.example.com", "HTTP/2 200", *PRIOR)
    assert page(mesh_of_everything, "cluster-a", "mysql-client", "web.server.example.com", "HTTP/1.1 200")


def test_a_second_run_changes_nothing_and_verify_finds_all_in_order(mesh_of_everything: Mesh) -> None:
    again = mesh_of_everything.site()
    assert again.ok, again.output
    assert again.changed == 0
    for playbook in ("verify", "preflight"):
        found = mesh_of_everything.play(playbook)
        assert found.ok, found.output


def test_istioctl_has_nothing_to_say_but_its_known_false_positive(mesh_of_everything: Mesh) -> None:
    for cluster in CLUSTERS:
        found = json.loads(mesh_of_everything.lab.istioctl(cluster, "analyze", "-A", "-o", "json", check=False).stdout)
        # The lab's namespaces are not labelled for injection, with or without links.
        codes = {message["code"] for message in found} - {"IST0102"}
        assert codes == {"IST0129"}, [message["message"] for message in found if message["code"] in codes - {"IST0129"}]


def test_istio_takes_all_of_it_where_its_webhook_looks_at_every_object(mesh_of_everything: Mesh) -> None:
    """The lab has no webhook; istioctl validates by the same code."""
    for cluster in CLUSTERS:
        ours = [item for item in mesh_of_everything.objects(cluster) if ".istio.io/" in item["apiVersion"]]
        found = _validated(mesh_of_everything.lab, cluster, ours)
        assert (found.returncode, len(ours) > 10) == (0, True), found.stdout + found.stderr
    # The control: it refuses what the webhook would.
    ours[0]["spec"] = {"hosts": ["not a host"]}
    assert _validated(mesh_of_everything.lab, CLUSTERS[0], ours).returncode != 0


def _validated(lab: Lab, cluster: str, items: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    # It takes a List without looking into it.
    given = "\n---\n".join(map(json.dumps, items))
    return lab.istioctl(cluster, "validate", "-f", "-", stdin=given, check=False)


def _rejects(lab: Lab, cluster: str) -> float:
    with urllib.request.urlopen(f"http://{lab.cluster(cluster).host_address}:15014/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(r"^pilot_total_xds_rejects\S* (\S+)$", text, re.MULTILINE))


def test_no_proxy_rejects_what_istiod_makes_of_it(mesh_of_everything: Mesh, rejected_before: dict[str, float]) -> None:
    """What a proxy cannot take is counted: so it is where somebody writes nonsense."""
    lab = mesh_of_everything.lab
    assert {cluster: _rejects(lab, cluster) for cluster in CLUSTERS} == rejected_before
    lab.kubectl("cluster-b", "apply", "-f", "-", stdin=BAD_FILTER.replace("mysql-client", "mysql"))
    try:
        eventually(lambda: _rejects(lab, "cluster-b") > rejected_before["cluster-b"])
    finally:
        lab.kubectl("cluster-b", "delete", "-f", "-", stdin=BAD_FILTER)


@pytest.mark.slow
def test_taking_one_link_away_leaves_the_connections_of_the_others_alone(mesh_of_everything: Mesh) -> None:
    assert mesh_of_everything.links
    fewer = mesh_of_everything.with_changes(
        links=[item for item in mesh_of_everything.links if item["name"] not in ("web", "orders")]
    )
    with live_traffic(mesh_of_everything.lab, 20, held=5, fqdn="both.example.org", client="shop-0") as traffic:
        run = fewer.site()
        assert run.ok, run.output
        assert run.changed > 0
    assert traffic.lost == []
    assert traffic.broken_sessions == []
    eventually(lambda: not page(mesh_of_everything, "cluster-a", "shop-0", "web.server.example.com", "HTTP/1.1 200"))


def test_a_teardown_leaves_nothing_of_it(mesh_of_everything: Mesh) -> None:
    assert mesh_of_everything.site().ok, "what was taken away comes back"
    assert all(mesh_of_everything.names(cluster) for cluster in CLUSTERS)
    run = mesh_of_everything.play("teardown")
    assert run.ok, run.output
    assert {cluster: mesh_of_everything.names(cluster) for cluster in CLUSTERS} == {
        cluster: set() for cluster in CLUSTERS
    }
