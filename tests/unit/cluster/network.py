# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes says of NetworkPolicies, for egress: which connections a network that enforces them lets through.

L(Network Policies,https://kubernetes.io/docs/concepts/services-networking/network-policies/): a pod is isolated as soon
as one policy for egress selects it; then it may open what any of these allows. Policies are additive.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod; every namespace carries its name as a label, as the API server sees to."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection:
    """One connection.

    :param pod: whose address it is; None for all that is no pod of this cluster.
    """

    source: Pod
    address: str
    port: int
    protocol: str = "TCP"
    pod: Pod | None = None


def allows(policies: Sequence[Json], connection: Connection) -> bool:
    """Whether the connection is let through."""
    isolating = [policy for policy in policies if _selects(policy, connection.source)]
    rules = [(policy, rule) for policy in isolating for rule in policy["spec"].get("egress", [])]
    return not isolating or any(_rule_allows(policy, rule, connection) for policy, rule in rules)


def _selects(policy: Json, pod: Pod) -> bool:
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and "Egress" in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], pod.labels)
    )


def _rule_allows(policy: Json, rule: Json, connection: Connection) -> bool:
    peers, ports = rule.get("to") or [], rule.get("ports") or []
    namespace = policy["metadata"]["namespace"]
    return (not peers or any(_is_peer(peer, namespace, connection) for peer in peers)) and (
        not ports or any(_is_port(port, connection) for port in ports)
    )


def _is_peer(peer: Json, namespace: str, connection: Connection) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return _is_in(connection.address, block["cidr"]) and not any(
            _is_in(connection.address, inner) for inner in block.get("except", [])
        )
    pod = connection.pod
    if pod is None or not _matches(peer.get("podSelector", {}), pod.labels):
        return False
    if "namespaceSelector" in peer:
        return _matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": pod.namespace})
    return pod.namespace == namespace


def _is_in(address: str, cidr: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)


def _is_port(port: Json, connection: Connection) -> bool:
    first: int = port.get("port", connection.port)
    last: int = port.get("endPort", first)
    same: bool = port.get("protocol", "TCP") == connection.protocol
    return same and first <= connection.port <= last


def _matches(selector: Json, labels: Mapping[str, str]) -> bool:
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()
