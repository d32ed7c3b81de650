# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in the namespaces that are to be locked down: Sidecars, and NetworkPolicies that allow more. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import NetworkPeer, NetworkPort, PolicyRule
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["errors", "warnings"]

EVERY_ADDRESS = "every address"
ANY_PEER: list[NetworkPeer] = [{"ipBlock": {"cidr": EVERY_ADDRESS}}]


def errors(reading: Reading, side: DesiredSide) -> list[Message]:
    """A Sidecar of others: beside one for the same pods Istio's behaviour is undefined, one for some pods wins."""
    locked = {item["namespace"] for item in side["lockdowns"]}
    return [
        Message.error(
            "foreign-sidecar",
            where=f"Sidecar {item['namespace']}/{item['name']}",
            what="it is in a namespace of mesh_egress_lockdown, and could replace our Sidecar for some or all pods",
            fix="delete it, or remove the namespace from mesh_egress_lockdown",
        )
        for item in reading["sidecars"]
        if item["namespace"] in locked
    ]


def warnings(reading: Reading, side: DesiredSide) -> list[Message]:
    """NetworkPolicies of others that allow egress beyond the lock-down's: policies of one pod add up."""
    cidrs = {item["namespace"]: item["cidrs"] for item in side["lockdowns"]}
    return [
        Message.warning(
            "wider-policy",
            where=f"NetworkPolicy {policy['namespace']}/{policy['name']}",
            what=f"it allows egress that the lock-down does not: {ways}",
            fix="restrict it, or delete it",
        )
        for policy in reading["network_policies"]
        if policy["namespace"] in cidrs and (ways := ", ".join(_ways_out(policy["egress"], cidrs[policy["namespace"]])))
    ]


def _ways_out(rules: Sequence[PolicyRule], cidrs: Sequence[str]) -> Iterator[str]:
    for rule in rules:
        ports = ", ".join(map(_port, rule.get("ports") or [])) or "every port"
        for peer in rule.get("to") or ANY_PEER:
            # Without an ipBlock a peer is a pod of this cluster.
            if "ipBlock" in peer and not _is_within(peer["ipBlock"]["cidr"], cidrs):
                yield f"{peer['ipBlock']['cidr']} ({ports})"


def _port(port: NetworkPort) -> str:
    number = port.get("port")
    text = "every port" if number is None else f"port {number}"
    if port.get("endPort"):
        text = f"ports {number} to {port['endPort']}"
    return f"{text}/{port.get('protocol', 'TCP')}"


def _is_within(cidr: str, cidrs: Sequence[str]) -> bool:
    if cidr == EVERY_ADDRESS:
        return False
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        # Older API servers took other forms, which say what they say to nobody now.
        return False
    return any(_contains(ipaddress.ip_network(allowed), network) for allowed in cidrs)


def _contains(
    outer: ipaddress.IPv4Network | ipaddress.IPv6Network, inner: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)
