# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wire carries on each hop of a link."""

from __future__ import annotations

import secrets
from contextlib import ExitStack

import pytest

from tests.integration.support.lab_mesh import Mesh
from tests.lab import Capture

HOPS = {
    "client pod to egress gateway": ("cluster-a", "mysql-client", "tcp port 15443", "eth0"),
    "egress gateway to ingress gateway": ("cluster-b", "istio-ingressgateway-0", "tcp port 13306", "eth0"),
    "ingress gateway to MySQL pod": ("cluster-b", "mysql-0", "tcp port 3306", "eth0"),
}
# Behind the sidecar, inside the pod: the one place where MySQL speaks in the clear.
CONTROL = ("cluster-b", "mysql-0", "tcp port 3306", "lo")
TEXT = secrets.token_hex(16).encode()
NEEDLES = {"MySQL's greeting": b"MariaDB", "the inserted text": TEXT}


@pytest.fixture(scope="module")
def captured_hops(shared_mesh: Mesh) -> dict[str, Capture]:
    """Every hop, and the control, while one row is inserted."""
    lab = shared_mesh.lab
    with ExitStack() as stack:
        captures = {
            name: stack.enter_context(lab.capture(cluster, pod, bpf, interface=interface))
            for name, (cluster, pod, bpf, interface) in {**HOPS, "control": CONTROL}.items()
        }
        lab.mysql(f"CREATE TEMPORARY TABLE wire (t TEXT); INSERT INTO wire VALUES ('{TEXT.decode()}')")
    return captures


@pytest.mark.parametrize("needle", NEEDLES)
def test_the_control_finds_what_is_searched_for(captured_hops: dict[str, Capture], needle: str) -> None:
    assert NEEDLES[needle] in captured_hops["control"].payload


@pytest.mark.parametrize("needle", NEEDLES)
@pytest.mark.parametrize("hop", HOPS)
def test_no_hop_carries_anything_readable(captured_hops: dict[str, Capture], hop: str, needle: str) -> None:
    assert len(captured_hops[hop].payload) > 2000, "the capture holds no connection"
    assert NEEDLES[needle] not in captured_hops[hop].payload
