# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One row, inserted in the client's cluster and read in the server's, with an ear on every wire."""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass

from tests.lab import Lab, wait
from tests.lab.api import Capture

from .errors import DemoError
from .hops import SERVER_POD, Hop
from .site import Link

# Seconds.
FIRST_ANSWER = 30


@dataclass(frozen=True)
class Wire:
    """What was captured of one hop.

    :param readable: the row's text was seen in it.
    """

    size: int
    readable: bool


@dataclass(frozen=True)
class Delivery:
    """A row that arrived.

    :param wires: one for each hop.
    :param loopback: between the database and its own sidecar, where nothing is encrypted: shows that the ear hears.
    """

    number: str
    text: str
    wires: list[Wire]
    loopback: Wire

    @property
    def private(self) -> bool:
        return self.loopback.readable and all(wire.size and not wire.readable for wire in self.wires)


def deliver(lab: Lab, link: Link, hops: list[Hop]) -> Delivery:
    """Insert a row with a text of its own, and find it on the other side.

    :raises DemoError: it does not arrive.
    """
    text = f"written in {hops[0].client.pod.cluster}, {secrets.token_hex(8)}"
    create = "CREATE TABLE IF NOT EXISTS crossmesh_demo (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(80) NOT NULL)"
    insert = f"INSERT INTO crossmesh_demo (text) VALUES ('{text}')"
    server = lab.description.find_pod(SERVER_POD)
    with ExitStack() as open_ears:

        def listen(cluster: str, pod: str, port: int, interface: str = "eth0") -> Capture:
            return open_ears.enter_context(lab.capture(cluster, pod, f"tcp port {port}", interface=interface))

        captures = [listen(hop.client.pod.cluster, hop.client.pod.name, hop.port) for hop in hops]
        loopback = listen(server.cluster, server.name, link.backend_port, "lo")
        lab.mysql(f"{create}; {insert}", fqdn=link.fqdn, port=link.port)
    number = lab.mysql_local(f"SELECT id FROM crossmesh_demo WHERE text = '{text}'").strip()
    if not number:
        raise DemoError(
            f"the row did not arrive: {server.cluster}/{server.name} has no row with the text {text!r}; "
            f"look at the proxies' logs in {lab.settings.logs}"
        )
    return Delivery(number, text, [_wire(capture, text) for capture in captures], _wire(loopback, text))


def await_answer(lab: Lab, link: Link) -> None:
    """Until then its listeners may be on their way to the proxies."""
    wait.until(
        lambda: lab.mysql("SELECT 1", fqdn=link.fqdn, port=link.port, check=False).strip() == "1",
        what=f"{link.fqdn}:{link.port} answers in the client's pod",
        cure=f"look at the proxies' logs in {lab.settings.logs}",
        timeout=FIRST_ANSWER,
    )


def _wire(capture: Capture, text: str) -> Wire:
    return Wire(len(capture.payload), text.encode() in capture.payload)
