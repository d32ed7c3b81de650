# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's tasks do not grow with the links, and many links are as sound as one to Istio itself."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.integration.support.cluster_objects import clear_clusters
from tests.integration.support.lab_mesh import MYSQL, Mesh, Run

CLUSTERS = ("cluster-a", "cluster-b")
# "A DestinationRule with TLS mode MUTUAL needs caCertificates": it does not see that credentialName brings them.
FALSE_POSITIVES = {"IST0129"}


def links(count: int) -> list[dict[str, Any]]:
    return [
        {**MYSQL, "name": f"link-{n}", "fqdn": f"link-{n}.server.example.com", "port": 3306 + n, "tls_port": 13306 + n}
        for n in range(count)
    ]


def tasks(run: Run) -> dict[str, int]:
    assert run.ok, run.output
    return {cluster: run.count(cluster) for cluster in CLUSTERS}


def test_ten_links_take_as_many_tasks_as_one_and_are_sound_to_istio(mesh: Mesh) -> None:
    # Counted since istiod began: what other tests did to these clusters on purpose stands in it too.
    rejected = {cluster: rejected_pushes(mesh, cluster) for cluster in CLUSTERS}
    one, ten = mesh.with_changes(links=links(1)), mesh.with_changes(links=links(10))
    first, unchanged = tasks(one.site()), tasks(one.site())
    clear_clusters(one.lab, one.hosts)
    assert tasks(ten.site()) == first
    assert tasks(ten.site()) == unchanged
    for link in ten.links or []:
        assert mesh.carries(fqdn=link["fqdn"], port=link["port"])
    for cluster in CLUSTERS:
        assert analysis(mesh, cluster) <= FALSE_POSITIVES
        assert rejected_pushes(mesh, cluster) == rejected[cluster]


def analysis(mesh: Mesh, cluster: str) -> set[str]:
    """Codes of all messages about objects of ours."""
    messages = json.loads(mesh.lab.istioctl(cluster, "analyze", "-A", "-o", "json", check=False).stdout or "[]")
    return {message["code"] for message in messages if "link-" in message.get("origin", "")}


def rejected_pushes(mesh: Mesh, cluster: str) -> float:
    address = mesh.lab.cluster(cluster).host_address
    with urllib.request.urlopen(f"http://{address}:15014/metrics", timeout=10) as answer:
        samples = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    assert any(name.startswith("pilot_xds_pushes") for name, _value in samples)
    return sum(float(value) for name, value in samples if name.startswith("pilot_total_xds_rejects"))


def test_the_analysis_tells_what_is_wrong_with_a_link(restored_mesh: Mesh) -> None:
    """The control: a VirtualService of ours whose Gateway is gone."""
    restored_mesh.lab.kubectl("cluster-b", "-n", "istio-system", "delete", "gateways.networking.istio.io/gateway-mysql")
    messages = restored_mesh.lab.istioctl("cluster-b", "analyze", "-A", check=False)
    assert "IST0101" in messages.stdout + messages.stderr
