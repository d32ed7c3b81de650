# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network does to a pod's packets and names, for the length of a block: firewalls, NetworkPolicies, MTU, DNS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.support.lab_mesh import Mesh

RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")
DROP = ("-j", "DROP")


@contextmanager
def rule(mesh: Mesh, cluster: str, pod: str, chain: str, *match: str, table: str = "filter") -> Iterator[None]:
    """A rule of iptables in the pod's network, before all others of its chain."""
    command = ["iptables", "-w", "-t", table]
    mesh.lab.run(cluster, pod, [*command, "-I", chain, *match], check=True)
    try:
        yield
    finally:
        mesh.lab.run(cluster, pod, [*command, "-D", chain, *match], check=True)


@contextmanager
def names_answered(mesh: Mesh, cluster: str, **addresses: str) -> Iterator[None]:
    """The cluster's DNS answers these hosts of server.example.com with other addresses."""
    path = mesh.lab.settings.cluster_dir(cluster) / "hosts" / "changed"
    path.write_text("".join(f"{address} {name}.server.example.com\n" for name, address in addresses.items()))
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def host_aliases(mesh: Mesh, cluster: str, pod: str, **addresses: str) -> Iterator[None]:
    """The same in the pod's /etc/hosts alone."""
    path = Path("/etc/netns") / mesh.lab.pod(cluster, pod).netns / "hosts"
    path.write_text(
        "127.0.0.1 localhost\n"
        + "".join(f"{address} {name}.server.example.com\n" for name, address in addresses.items())
    )
    try:
        yield
    finally:
        path.unlink()
