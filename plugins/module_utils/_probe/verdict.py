# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an answer is what the link's server would say, and where the call broke if not. Pure.

PRIVATE to the collection. The first thing in the order of the call: the name, the port, the answer.
"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import ANSWER, NAME, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, Probe
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.answer import Answer, shown
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.http2 import health_answer
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import TIMEOUT, WAIT

__all__ = ["fault_of", "greeting"]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})\b")
_FIX_ANSWER = (
    "see what this run says of the link's hops in both clusters; if nothing, the backend's log, policies there, large "
    "packets that are lost on the way (MTU), and the proxy of the pod that asked"
)
_GREETING, _ERROR = 10, 0xFF


def fault_of(link: ClientLink, probe: Probe, answer: Answer, seen: str) -> Fault | None:
    """:param seen: where it was asked."""
    for found in (_name(link, answer, seen), _port(link, answer, seen), _reply(link, probe, answer, seen)):
        if found:
            return found
    return None


def _name(link: ClientLink, answer: Answer, seen: str) -> Fault | None:
    names, own = answer.names, frozenset(link["addresses"])
    if names is None and not answer.finished and not (answer.port or answer.data):
        fix = "check the DNS that the pod asks: its servers, search domains, and what is between"
        wanted, found = f"{link['fqdn']} to resolve", f"nothing within {TIMEOUT:.0f} s"
        return Fault("name-unknown", link["name"], NAME, "", wanted, found, fix, seen=seen)
    if names and all(ipaddress.ip_address(name).is_loopback for name in names):
        wanted = f"{link['fqdn']} to resolve to an address that is not the pod's own, so that its sidecar sees the call"
        fix = "take the name out of the pod's /etc/hosts (hostAliases), or correct the record"
        return Fault("name-elsewhere", link["name"], NAME, "", wanted, listed(names), fix, seen=seen)
    if names is None or (names and (not own or names <= own or link["layer"] != "tcp")):
        return None
    if not names:
        wanted = f"{link['fqdn']} to resolve" + (f" to {listed(own)}" if own else "")
        fix = (
            "let the sidecar answer DNS (mesh_dns: capture), or add the name to the cluster's DNS (mesh_dns: virtual)"
            if own
            else "add the name to the DNS that the pod asks: a record for the servers' ingress gateways"
        )
        return Fault("name-unknown", link["name"], NAME, "", wanted, "no address", fix, seen=seen)
    return Fault(
        "name-elsewhere",
        link["name"],
        NAME,
        "",
        f"{link['fqdn']} to resolve to {listed(own)} (its virtual addresses), by which sidecars know the link",
        listed(names),
        "correct the record in the DNS that the pod asks, or mesh_dns; restart pods whose sidecars were started before",
        seen=seen,
    )


def _port(link: ClientLink, answer: Answer, seen: str) -> Fault | None:
    if answer.port not in ("closed", "late"):
        return None
    found = "the connection was refused" if answer.port == "closed" else "no connection in time"
    fix = (
        "check that the pod has a sidecar and that it knows the link (ServiceEntry, exportTo, Sidecar objects), and "
        "NetworkPolicies"
    )
    wanted = f"a connection to {link['fqdn']}:{link['port']}"
    return Fault("port-closed", link["name"], 1, "", wanted, found, fix, seen=seen)


def _reply(link: ClientLink, probe: Probe, answer: Answer, seen: str) -> Fault | None:
    wanted, found = _ASK[probe["type"]](probe, answer)
    if not found:
        return None
    if answer.data or answer.status:
        return Fault("wrong-answer", link["name"], ANSWER, "", wanted, found, _FIX_ANSWER, seen=seen)
    return Fault("no-answer", link["name"], ANSWER, "", wanted, found, _FIX_ANSWER, seen=seen)


def _nothing(answer: Answer) -> str:
    if answer.end == "closed":
        return "the connection was closed without an answer"
    return f"silence for {WAIT} s, on a connection that stayed open" if answer.end else "no answer"


def _tcp(probe: Probe, answer: Answer) -> tuple[str, str]:
    banner = probe["banner"]
    if not banner:
        gone = answer.end == "closed" and not answer.data
        return f"a connection that stays open for {WAIT} s", _nothing(answer) if gone else ""
    wanted = f"{shown(banner.encode())} in the first bytes"
    if not answer.data:
        return wanted, _nothing(answer)
    return wanted, "" if banner.encode() in answer.data else shown(answer.data)


def _http(probe: Probe, answer: Answer) -> tuple[str, str]:
    first, last = probe["statuses"]
    wanted = f"an answer to GET {probe['path']} of status {first}" + (f" to {last}" if last != first else "")
    line = _STATUS_LINE.match(answer.data)
    status = int(line[1]) if line else answer.status
    if first <= status <= last:
        return wanted, ""
    if status:
        # Pages of errors hold what is no log's business.
        return wanted, f"status {status}"
    return wanted, f"{len(answer.data)} bytes that are no HTTP" if answer.data else _nothing(answer)


def _grpc(probe: Probe, answer: Answer) -> tuple[str, str]:
    wanted = f"SERVING from grpc.health.v1.Health for {probe['service'] or 'the server'}"
    if not answer.data:
        return wanted, _nothing(answer)
    health = health_answer(answer.data)
    if not health.spoken:
        return wanted, f"no HTTP/2: {shown(answer.data)}"
    found = (
        health.status
        or health.error
        or "an answer without a health: the server has no such service, or a proxy answered"
    )
    return wanted, "" if health.status == "SERVING" else found


def _mysql(_probe: Probe, answer: Answer) -> tuple[str, str]:
    wanted = "a greeting of MySQL"
    if not answer.data:
        return wanted, _nothing(answer)
    return wanted, "" if greeting(answer.data) else _mysql_error(answer.data) or shown(answer.data)


def greeting(data: bytes) -> str:
    """The server's version out of its first packet, version 10 of the protocol; empty where it is none."""
    version, end, _rest = data[5:].partition(b"\0")
    is_greeting = data[3:4] == b"\0" and data[4:5] == bytes([_GREETING]) and bool(end)
    return version.decode("ascii", "replace") if is_greeting and version.isascii() and version else ""


def _mysql_error(data: bytes) -> str:
    """What a server says in place of a greeting, such as that it has too many connections."""
    if data[4:5] != bytes([_ERROR]) or len(data) < 7:
        return ""
    return f"error {int.from_bytes(data[5:7], 'little')} of MySQL: {shown(data[7:])}"


_ASK = {"tcp": _tcp, "http": _http, "grpc": _grpc, "mysql": _mysql}
