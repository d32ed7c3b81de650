# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a call went, and how far, by the connections that egress gateways count. Pure.

PRIVATE to the collection. A workload sees the same wherever behind its sidecar a call gets stuck, and whoever answers.
Counters before and after it tell, as long as nobody else's calls over the link blur them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import Connections
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.egress import server_clusters

__all__ = ["Counted", "located", "strayed"]

# By Envoy's cluster, and by pod and address; see read_connections.
Counted = Mapping[str, Mapping[str, Connections]]

_FIX_TO_SERVERS = (
    "check the network from the egress gateway to these addresses (firewall, security group, load balancer without "
    "targets, MTU), that the name leads to the servers' ingress gateway, and that no EnvoyFilter is in the way there; "
    "the egress gateway's log has the reason (UPSTREAM_TRANSPORT_FAILURE_REASON)"
)
_FIX_TO_BACKEND = f"{_FIX_TO_SERVERS}; if that is sound, the backend: its port, its log, policies there"
_FIX_TO_GATEWAY = (
    "check NetworkPolicies and the network from that pod to the egress gateway's pods, internalTrafficPolicy of its "
    "Service, and what refuses the call in the gateway: AuthorizationPolicy, EnvoyFilter, WasmPlugin"
)


_FIX_TO_LINK = (
    "let the pod have a sidecar that takes its calls (see its traffic.sidecar.istio.io annotations), and remove what "
    "others have for this host and port: ServiceEntry, VirtualService, Sidecar, or a record in DNS"
)


def strayed(link: ClientLink, seen: str, before: Counted, after: Counted, *, silent: bool = False) -> Fault | None:
    """Why an answer is none of the link's: the egress gateway had no part in it.

    :param silent: nothing came: the connection stayed open, as a sidecar's does by itself.
    """
    made = _made(link, before, after)
    if made is None or (made.tried, made.carried) != (0, 0):
        return None
    if silent:
        return _not_passed_on(link, seen)
    wanted = f"an answer over the egress gateway, from {link['fqdn']}:{link['tls_port']}"
    found = "one that came another way: meanwhile the egress gateway made no connection there, and used none"
    return Fault("answered-elsewhere", link["name"], 1, "", wanted, found, _FIX_TO_LINK, seen=seen)


def _made(link: ClientLink, before: Counted, after: Counted) -> Connections | None:
    """None where it was not counted, or pods or addresses came or went: their counters begin anew."""
    names = server_clusters(link) & before.keys() & after.keys()
    if any(before[name].keys() != after[name].keys() for name in names):
        return None
    made = [after[name][place] - before[name][place] for name in names for place in after[name]]
    if not made or any(min(item.tried, item.carried) < 0 for item in made):
        return None
    return sum(made, Connections())


def located(fault: Fault, link: ClientLink, before: Counted, after: Counted) -> Fault:
    """The same where the counters tell nothing more. That the egress gateway knows its way is for others to see."""
    made = _made(link, before, after)
    if fault.code not in ("no-answer", "wrong-answer") or made is None:
        return fault
    if made.carried == 0 and made.tried > 0:
        return _not_connected(fault, link, made.tried)
    # Without any answer, a connection for requests may still be in the making from a call before.
    waits = fault.code == "no-answer" and link["layer"] != "tcp" and _any_open(link, after)
    if (made.tried, made.carried) == (0, 0) and not waits:
        return _not_passed_on(link, fault.seen)
    return fault


def _not_passed_on(link: ClientLink, seen: str) -> Fault:
    wanted = f"the egress gateway to pass the call on to {link['fqdn']}:{link['tls_port']}"
    return Fault(
        "not-passed-on", link["name"], 1, "", wanted, "no connection that it tried", _FIX_TO_GATEWAY, seen=seen
    )


def _any_open(link: ClientLink, after: Counted) -> bool:
    return any(item.open for name in server_clusters(link) & after.keys() for item in after[name].values())


def _not_connected(fault: Fault, link: ClientLink, tried: int) -> Fault:
    if link["layer"] == "tcp":
        # Envoy finishes no handshake for TCP before the server behind it takes a connection: it may be that one.
        found = f"{fault.found}, and none of {tried} connections of the egress gateway to its server has come about"
        return replace(fault, found=found, fix=_FIX_TO_BACKEND)
    wanted = f"the egress gateway to get through to {link['fqdn']}:{link['tls_port']}"
    found = f"none of {tried} connections has come about"
    return Fault("no-connection", link["name"], 2, "", wanted, found, _FIX_TO_SERVERS, seen=fault.seen)
