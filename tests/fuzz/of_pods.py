# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods answer: proxies of themselves, workloads of the servers that they were asked to call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import read_proxy, with_counts
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import is_unasked, read_answer, shown
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.http2 import health_answer
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.verdict import fault_of, greeting
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.judge import (
    failed_connections,
    faults_of,
    fresh_pod,
)
from tests.unit.probe.support import probed_link
from tests.unit.proxy.test_judge import DUMPS, LINKS, pod_of, service_of
from tests.unit.support import Json

from .judge import Target

__all__ = ["TARGETS"]

_SIDES: tuple[Side, ...] = ("server", "client")
_PROBES = tuple(
    probed_link(kind, protocol="tcp" if kind in ("mysql", "tcp") else {"grpc": "grpc"}.get(kind, "http"))
    for kind in ("mysql", "tcp", "http", "grpc")
)
_STATUSES: Json = {
    "cluster_statuses": [
        {
            "name": "outbound|13306||mysql.server.example.com",
            "host_statuses": [
                {
                    "address": {"socket_address": {"address": "203.0.113.7", "port_value": 13306}},
                    "stats": [{"name": "cx_total", "value": "7"}, {"name": "cx_connect_fail", "value": "1"}],
                    "health_status": {"eds_health_status": "HEALTHY"},
                }
            ],
        }
    ]
}
_CERTS: Json = {
    "certificates": [
        {
            "ca_cert": [{"path": "<inline>", "serial_number": "2"}],
            "cert_chain": [
                {
                    "serial_number": "0a",
                    "subject_alt_names": [{"uri": "spiffe://cluster.local/ns/x/sa/y"}],
                    "valid_from": "2026-01-01T00:00:00Z",
                }
            ],
        }
    ]
}
_INFO: Json = {"version": "x/1.34/y", "node": {"metadata": {"ISTIO_VERSION": "1.26.3"}}}
_ANSWERS: tuple[Json, ...] = (_STATUSES, _CERTS, _INFO, {"configs": []})


@cache
def _dumps() -> Sequence[Json]:
    return list(DUMPS.values())


def _dump(found: Json) -> None:
    proxy = read_proxy(json.dumps(found))
    for side in _SIDES:
        pod = pod_of(side, found)
        faults = faults_of(pod, LINKS[side], service_of(side))
        for fault in faults:
            fault.message()
        fresh_pod(pod, faults)
    with_counts(proxy, json.dumps(_STATUSES))
    envoy.trust(json.dumps(found))


def _statuses(found: Json) -> None:
    text = json.dumps(found)
    envoy.addresses(text)
    envoy.connections(text)
    pod = pod_of("client", _dumps()[0])
    assert pod["proxy"] is not None
    counted = with_counts(pod["proxy"], text)
    failed_connections({**pod, "proxy": counted}, LINKS["client"])  # type: ignore[arg-type]


def _certs(found: Json) -> None:
    envoy.served_serials(json.dumps(found))
    envoy.own_trust_domain(json.dumps(found))


_READERS: tuple[Callable[[str], Any], ...] = (
    envoy.served_serials,
    envoy.own_trust_domain,
    envoy.trust,
    envoy.istio_version,
    envoy.addresses,
    envoy.connections,
    read_proxy,
)


def _bytes_of_a_proxy(data: bytes) -> None:
    """Each reader by itself: one that refuses must hide no other."""
    for read in _READERS:
        try:
            read(data.decode("utf-8", "replace"))
        except ValueError:
            continue


def _workload(data: bytes) -> None:
    """What is printed by the shell of a pod, and in it what the server said."""
    answer = read_answer(data.decode("utf-8", "replace"))
    is_unasked(answer)
    for link, probe in _PROBES:
        if fault := fault_of(link, probe, answer, "asked in pod a/b"):
            fault.message()


def _server(data: bytes) -> None:
    _workload(b"shell sh\ntool python3\nport open\nbytes " + data.hex().encode() + b"\nend open\n")
    greeting(data)
    health_answer(data)
    shown(data)


_GREETING = b"\x4a\x00\x00\x00\x0a8.4.0\x00rest"
_HEALTH = (
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    b"\x00\x00\x07\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08\x01"
    b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"
)
_SAID = (
    _GREETING,
    b"\x10\x00\x00\x00\xff\x10\x04Too many connections",
    _HEALTH,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"SSH-2.0-x\r\n",
    # PostgreSQL, to whoever asks for TLS, and to whoever sends it something else.
    b"S",
    b"E\x00\x00\x00\x1dSFATAL\x00C08P01\x00Mbad\x00\x00",
)
_LINES = ("shell sh", "tool curl", "name 240.0.0.1 ::1", "port open", "connected 0.01", "curl 28", "status 204")
_PRINTED = "\n".join([*_LINES, "bytes 4a00", "end closed", ""]).encode()

TARGETS: Mapping[str, Target] = {
    "dump": Target(_dumps, _dump, (ValueError,)),
    "statuses": Target(lambda: [_STATUSES], _statuses, (ValueError,)),
    "certs": Target(lambda: [_CERTS], _certs, (ValueError,)),
    "bytes-of-a-proxy": Target(lambda: [json.dumps(item).encode() for item in _ANSWERS], _bytes_of_a_proxy),
    "workload": Target(lambda: [_PRINTED], _workload),
    "server": Target(lambda: _SAID, _server),
}
