# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's end costs where a link has two: `python -m tests.campaign.failover`.

Under load the nearer server's ingress gateway is stopped, or frozen, and comes back after a while. Told are the
connections or requests that were lost, why, the moment of the last one, and when the nearer server serves again.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.support.lab_mesh import CLUSTER_C, MYSQL, Mesh, cleared_afterwards
from tests.integration.support.live_traffic import live_traffic
from tests.integration.support.web_servers import running_web_servers, web_link
from tests.lab import Lab
from tests.lab.wait import eventually

NEAR = ("cluster-b", "istio-ingressgateway-0")
WEB = web_link("web", "http", 13080)
# Seconds that the nearer server is away: more than one ejection.
AWAY = 20.0
BEFORE = 3.0


@dataclass(frozen=True)
class Found:
    """One measurement; seconds are counted from the fault, and from its end."""

    what: str
    lost: int
    of: int
    last: float
    slowest: float
    back: float
    why: str

    @property
    def row(self) -> str:
        last = f"{self.last:.1f} s" if self.lost else "-"
        cells = [self.what, f"{self.lost} of {self.of}", last, f"{self.slowest:.1f} s", f"{self.back:.0f} s"]
        return f"| {' | '.join(cells)} | {self.why or '-'} |"


@contextmanager
def stopped_gateway(lab: Lab) -> Iterator[None]:
    process = f"{NEAR[0]}.{NEAR[1]}.proxy"
    lab.stop(process)
    try:
        yield
    finally:
        lab.start(process)


@contextmanager
def frozen_gateway(lab: Lab) -> Iterator[None]:
    lab.signal(*NEAR, "envoy", signal.SIGSTOP)
    try:
        yield
    finally:
        lab.signal(*NEAR, "envoy", signal.SIGCONT)


FAULTS = {"stopped": stopped_gateway, "frozen": frozen_gateway}


def measure(mesh: Mesh, what: str, fault: Callable[[Lab], Any], rate: float, *, pages: bool) -> Found:
    fqdn, port = (WEB["fqdn"], WEB["port"]) if pages else (MYSQL["fqdn"], MYSQL["port"])
    tls_port = WEB["tls_port"] if pages else MYSQL["tls_port"]
    with live_traffic(mesh.lab, rate, held=0, fqdn=fqdn, port=port, pages=pages) as traffic:
        time.sleep(BEFORE)
        began = time.monotonic()
        with fault(mesh.lab):
            time.sleep(AWAY)
        ended = time.monotonic()
        served = served_by_near(mesh, tls_port)
        eventually(lambda: served_by_near(mesh, tls_port) > served, within=120)
        back = time.monotonic() - ended
        time.sleep(BEFORE)
    lost = [made for made in traffic.attempts if made.error]
    last = max((made.began + made.seconds - began for made in lost), default=0.0)
    reasons = Counter(made.error for made in lost)
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return Found(what, len(lost), len(traffic.attempts), last, traffic.slowest, back, why)


def served_by_near(mesh: Mesh, tls_port: int) -> int:
    """How many connections the client's gateway has made to the nearer server."""
    address = mesh.lab.pod(*NEAR).address
    stats = mesh.lab.envoy("cluster-a", "istio-egressgateway-0", "clusters")
    found = [
        line for line in stats.splitlines() if f"|{tls_port}|" in line and f"{address}:{tls_port}::cx_total" in line
    ]
    return sum(int(line.rpartition("::")[2]) for line in found)


def join_both_servers(mesh: Mesh) -> None:
    servers = [
        {"name": "cluster-b", "address": mesh.lab.pod(*NEAR).address, "locality": "eu/eu-2"},
        {"name": "cluster-c", "address": mesh.lab.pod("cluster-c", "edge-0").address, "locality": "us/us-1"},
    ]
    mesh.hosts = {"cluster-a": {}, "cluster-b": {}, "cluster-c": dict(CLUSTER_C)}
    mesh.groups = {"mesh_servers": ["cluster-b", "cluster-c"], "mesh_clients": ["cluster-a"]}
    mesh.links = [{**MYSQL, "servers": servers}, {**WEB, "servers": servers}]
    run = mesh.site()
    assert run.ok, run.output


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.failover")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="connections or requests a second (100)")
    rate = parser.parse_args(argv).rate
    lab = Lab.load()
    print("| Link, and what was done to the nearer server | Lost | Last one | Slowest | Served again after | Why |")
    print("|---|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory(prefix="crossmesh-failover-") as name,
        cleared_afterwards(Mesh(lab, Path(name), secrets.token_urlsafe(24))) as mesh,
    ):
        folders = [Path(name) / cluster for cluster in ("b", "c")]
        for folder in folders:
            folder.mkdir()
        join_both_servers(mesh)
        with running_web_servers(mesh, folders[0]), running_web_servers(mesh, folders[1], "cluster-c", "mysql-1"):
            eventually(lambda: mesh.carries())
            for fault in FAULTS:
                for pages in (False, True):
                    what = f"{'http' if pages else 'tcp'}, {fault}"
                    print(measure(mesh, what, FAULTS[fault], rate, pages=pages).row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
