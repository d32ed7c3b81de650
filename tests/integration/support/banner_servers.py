# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that say who they are to whoever connects, and what a pod reads of them: by it one is told from another."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

# The databases' own greeting.
DATABASE = "MariaDB"
_READ = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).recv(100))"


@contextmanager
def banner_on_machine(mesh: Mesh, machine: str, text: str, port: int) -> Iterator[None]:
    """On a machine that is in no cluster."""
    address = mesh.lab.machine(machine).address
    with _running(mesh.lab.popen_on(machine, _server(text, port))):
        eventually(lambda: text in mesh.lab.run_on(machine, _client(address, port)).stdout)
        yield


@contextmanager
def banner_in_pod(mesh: Mesh, cluster: str, pod: str, text: str, port: int) -> Iterator[None]:
    with _running(mesh.lab.popen(cluster, pod, _server(text, port))):
        eventually(lambda: text in greeting(mesh, pod, "127.0.0.1", port, cluster=cluster))
        yield


def greeting(mesh: Mesh, pod: str, host: str, port: int, *, cluster: str = "cluster-a") -> str:
    """What a pod reads first on a new connection; nothing where there is none."""
    return mesh.lab.run(cluster, pod, _client(host, port)).stdout


@contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _server(text: str, port: int) -> list[str]:
    return ["socat", f"TCP-LISTEN:{port},fork,reuseaddr", f"SYSTEM:echo {text}"]


def _client(host: str, port: int) -> list[str]:
    return [sys.executable, "-c", _READ, host, str(port)]
