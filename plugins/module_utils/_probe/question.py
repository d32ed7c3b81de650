# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked over a link, as commands for a container. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import SLOWEST_CONNECTION
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, Probe
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.http2 import health_request
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.scripts import BASH, PYTHON, SHELL

__all__ = ["LIMIT", "TIMEOUT", "WAIT", "commands"]

# Seconds that a connection may take, and then the first byte. Longer than a proxy on the way waits for its own: until
# that has come about, or was given up, what a proxy holds open says nothing of what is behind it.
WAIT = SLOWEST_CONNECTION + 2
# Seconds for the whole command: both, with a name that takes its time.
TIMEOUT = 2.0 * WAIT + 6
# Characters of its output.
LIMIT = 4096


def commands(link: ClientLink, probe: Probe) -> list[list[str]]:
    """By a shell with what it finds; where there is none, by Python itself."""
    request = "".join(f"\\{byte:03o}" for byte in _request(link, probe))
    path = probe["path"] if probe["type"] == "http" else ""
    arguments = [link["fqdn"], str(link["port"]), request, str(WAIT)]
    return [
        ["sh", "-c", SHELL, "crossmesh-probe", PYTHON, BASH, *arguments, path],
        ["python3", "-c", PYTHON, *arguments],
    ]


def _request(link: ClientLink, probe: Probe) -> bytes:
    """What a client says first; nothing where the server does."""
    authority = link["fqdn"] if link["port"] == 80 else f"{link['fqdn']}:{link['port']}"
    if probe["type"] == "http":
        lines = (f"GET {probe['path']} HTTP/1.1", f"Host: {authority}", "User-Agent: crossmesh", "Connection: close")
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
    return health_request(authority, probe["service"]) if probe["type"] == "grpc" else b""
