# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree for GitOps is what site writes, makes a link by itself, and site leaves alone what a tool applies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.integration.support.cluster_objects import OURS
from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

SYSTEM = ("-n", "istio-system")
INGRESS = ("service", "istio-ingressgateway", *SYSTEM)
GATEWAY = ("gateways.networking.istio.io", "gateway-mysql", *SYSTEM)
SELECTOR = '{"spec":{"selector":{"istio":"elsewhere"}}}'
TRACKING = "argocd.argoproj.io/tracking-id"
TRACKED = f"{TRACKING}=mesh:networking.istio.io/Gateway:istio-system/gateway-mysql"
PARTS = ("", "/gateway-ports")


def rendered(mesh: Mesh) -> Path:
    folder = mesh.folder / "tree"
    run = mesh.play("render", "-e", f"mesh_render_dir={folder}")
    assert run.ok, run.output
    return folder


def close_port(mesh: Mesh, number: int) -> None:
    """Take a port off the ingress gateway's Service."""
    ports = mesh.get("cluster-b", *INGRESS)["spec"]["ports"]
    place = [port["port"] for port in ports].index(number)
    patch = json.dumps([{"op": "remove", "path": f"/spec/ports/{place}"}])
    mesh.lab.kubectl("cluster-b", "patch", *INGRESS, "--type=json", "-p", patch)


@contextmanager
def opened(mesh: Mesh, folder: Path) -> Iterator[None]:
    """The ports of the tree, opened by somebody who gives them up again: the Services are the lab's."""
    apply = ("apply", "--server-side", "--field-manager=somebody")
    for cluster in mesh.hosts:
        mesh.lab.kubectl(cluster, *apply, "-k", f"{folder}/{cluster}/gateway-ports")
    try:
        yield
    finally:
        for cluster in mesh.hosts:
            services = (folder / cluster / "gateway-ports/services.yaml").read_text()
            names = [{key: item[key] for key in item if key != "spec"} for item in yaml.safe_load_all(services)]
            mesh.lab.kubectl(cluster, *apply, "-f", "-", stdin=yaml.safe_dump_all(names))


def test_after_site_the_tree_differs_in_nothing_from_the_clusters(linked_mesh: Mesh) -> None:
    folder = rendered(linked_mesh)
    for cluster in linked_mesh.hosts:
        for part in PARTS:
            found = linked_mesh.lab.kubectl(cluster, "diff", "-k", f"{folder}/{cluster}{part}", check=False)
            assert (found.returncode, found.stdout) == (0, ""), f"{cluster}{part}"
    linked_mesh.lab.kubectl("cluster-b", "patch", *GATEWAY, "--type=merge", "-p", SELECTOR)
    found = linked_mesh.lab.kubectl("cluster-b", "diff", "-k", f"{folder}/cluster-b", check=False)
    assert found.returncode == 1, "the control: what was changed shows"
    assert "istio: elsewhere" in found.stdout


def test_the_tree_alone_beside_credentials_makes_a_link_that_works(linked_mesh: Mesh) -> None:
    folder = rendered(linked_mesh)
    for cluster in linked_mesh.hosts:
        kinds = "serviceentries,gateways.networking.istio.io,destinationrules,virtualservices"
        linked_mesh.lab.kubectl(cluster, "delete", kinds, "-A", "-l", OURS)
    close_port(linked_mesh, 13306)
    eventually(lambda: not linked_mesh.carries())
    with opened(linked_mesh, folder):
        for cluster in linked_mesh.hosts:
            linked_mesh.lab.kubectl(cluster, "apply", "-k", f"{folder}/{cluster}")
        run = linked_mesh.play("rotate_certificates", "-e", "mesh_rotate_force=true")
        assert run.ok, run.output
        eventually(linked_mesh.carries)
        run = linked_mesh.site()
        assert (run.ok, run.changed) == (True, 0), run.output


def test_site_tells_of_what_a_tool_applies_and_leaves_it(linked_mesh: Mesh) -> None:
    linked_mesh.lab.kubectl("cluster-b", "annotate", *GATEWAY, TRACKED)
    run = linked_mesh.site()
    assert (run.ok, run.changed) == (True, 0), "as long as it is as the inventory says"
    linked_mesh.lab.kubectl("cluster-b", "patch", *GATEWAY, "--type=merge", "-p", SELECTOR)
    run = linked_mesh.site()
    assert not run.ok
    assert run.reports(
        "gitops-owned", "Gateway istio-system/gateway-mysql", "Argo CD, Application mesh", "spec.selector"
    )
    assert linked_mesh.get("cluster-b", *GATEWAY)["spec"]["selector"] == {"istio": "elsewhere"}
    linked_mesh.lab.kubectl("cluster-b", "annotate", *GATEWAY, f"{TRACKING}-")
    assert linked_mesh.site().ok, "the control: what nobody applies is put right"
    assert linked_mesh.get("cluster-b", *GATEWAY)["spec"]["selector"] == {"istio": "ingressgateway"}
