# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other tests rely on in the lab itself."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.lab import Lab
from tests.lab.build import pinned_versions
from tests.lab.wait import eventually

LOOK_UP = "import socket, sys; print(*{found[4][0] for found in socket.getaddrinfo(sys.argv[1], None)})"
SERVE = [sys.executable, "-m", "http.server", "8000"]
NAME = "captured.example.net"
ENTRY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "captured", "namespace": "default"},
    "spec": {
        "hosts": [NAME],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 3306, "name": "tcp", "protocol": "TCP"}],
        "endpoints": [{"address": "192.0.2.1"}],
    },
}


def _addresses(lab: Lab, cluster: str, pod: str, name: str) -> set[str]:
    return set(lab.run(cluster, pod, [sys.executable, "-c", LOOK_UP, name]).stdout.split())


def test_the_programs_are_of_the_versions_that_were_asked_for(lab: Lab) -> None:
    wanted = pinned_versions(lab.settings)
    for cluster in lab.description.clusters:
        api = json.loads(lab.kubectl(cluster.name, "get", "--raw", "/version").stdout)
        assert api["gitVersion"] == wanted.kubernetes
        with urllib.request.urlopen(f"http://{cluster.host_address}:15014/version", timeout=10) as answer:
            assert answer.read().decode().startswith(f"{wanted.istio}-")
        for pod in cluster.pods:
            if pod.has_proxy:
                # "<commit>/1.39.3/Clean/RELEASE/BoringSSL"
                envoy = json.loads(lab.envoy(cluster.name, pod.name, "server_info"))["version"].split("/")[1]
                assert envoy == wanted.envoy


def test_a_sidecar_with_dns_capture_answers_for_a_service_entry_and_no_other_does(lab: Lab) -> None:
    assert _addresses(lab, "cluster-a", "shop-0", NAME) == set()
    with _applied(lab, "cluster-a", ENTRY):
        found = eventually(lambda: _addresses(lab, "cluster-a", "shop-0", NAME))
        # Only Istio gives addresses of this range.
        assert all(address.startswith("240.240.") for address in found)
        assert _addresses(lab, "cluster-a", "mysql-client", NAME) == set()


def test_a_name_has_the_addresses_of_both_servers_clusters(lab: Lab) -> None:
    clusters = (("cluster-b", "istio-ingressgateway"), ("cluster-c", "edge"))
    expected = [{pod.address for pod in lab.cluster(name).gateway_pods(gateway)} for name, gateway in clusters]
    assert [len(addresses) for addresses in expected] == [1, 2]
    assert _addresses(lab, "cluster-a", "outsider", "mysql.c.example.com") == expected[1]
    assert _addresses(lab, "cluster-a", "outsider", "mysql.both.example.com") == expected[0] | expected[1]


def test_an_external_machine_serves_gateways_of_every_cluster_under_its_name(lab: Lab) -> None:
    gateways = [next(pod for pod in cluster.pods if pod.gateway) for cluster in lab.description.clusters]
    fetch = ["curl", "--silent", "--max-time", "5", "--output", "/dev/null", "http://legacy.example.org:8000/"]

    def reached() -> list[bool]:
        return [lab.run(pod.cluster, pod.name, fetch).returncode == 0 for pod in gateways]

    assert not any(reached())
    server = lab.popen_on("legacy-db", SERVE)
    try:
        eventually(lambda: all(reached()))
    finally:
        server.terminate()
        server.communicate(timeout=10)
    assert lab.run_on("legacy-db", ["hostname", "--all-ip-addresses"]).stdout.split() == [
        lab.machine("legacy-db").address
    ]


@contextmanager
def _applied(lab: Lab, cluster: str, thing: Mapping[str, object]) -> Iterator[None]:
    lab.kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(thing))
    try:
        yield
    finally:
        lab.kubectl(cluster, "delete", "-f", "-", stdin=json.dumps(thing))
