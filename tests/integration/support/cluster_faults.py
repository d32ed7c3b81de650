# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a playbook runs, for the length of a block."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

EGRESS, INGRESS = ("cluster-a", "istio-egressgateway-0"), ("cluster-b", "istio-ingressgateway-0")


@contextmanager
def stopped_api_server(mesh: Mesh, cluster: str) -> Iterator[None]:
    mesh.lab.stop(f"{cluster}.kube-apiserver")
    try:
        yield
    finally:
        mesh.lab.start(f"{cluster}.kube-apiserver")
        eventually(lambda: mesh.lab.kubectl(cluster, "get", "--raw", "/readyz", check=False).returncode == 0)
        # istiod comes back in its own time; until then it pushes nothing.
        eventually(mesh.carries)


@contextmanager
def frozen_agent(mesh: Mesh, gateway: tuple[str, str]) -> Iterator[None]:
    """The proxy goes on with what it has, and learns nothing new."""
    cluster, pod = gateway
    mesh.lab.signal(cluster, pod, "pilot-agent", signal.SIGSTOP)
    try:
        yield
    finally:
        mesh.lab.signal(cluster, pod, "pilot-agent", signal.SIGCONT)
