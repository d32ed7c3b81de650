# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a Kubernetes Service: its ports, its host names, its address. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Service, ServicePort
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["has_no_address", "leads_to", "missing_address", "target_ports", "tcp_ports"]


def tcp_ports(ports: Iterable[ServicePort]) -> dict[int, ServicePort]:
    """Those of a Service's ports that are of TCP, which is meant where no protocol is given, by their number."""
    return {port["port"]: port for port in ports if port.get("protocol", "TCP") == "TCP"}


def target_ports(service: Service, port: int) -> frozenset[int] | None:
    """Where pods listen for a port of their Service; None where only the containers of a pod say it.

    A port that the Service does not have is listened on as it is (Istio, IST0162).
    """
    found = tcp_ports(service["ports"]).get(port)
    target = found.get("targetPort", port) if found else port
    return frozenset({target}) if isinstance(target, int) else None


def leads_to(service: Service, labels: Mapping[str, str]) -> bool:
    """Whether a pod with these labels is one of the Service's; without a selector others say so."""
    return all(labels.get(key) == value for key, value in service["selector"].items())


def has_no_address(service: Service | None) -> bool:
    """Whether a Service is to have an address of its own and has none; other types are reached by other means."""
    return service is not None and service["type"] == "LoadBalancer" and not service["addresses"]


def missing_address(namespace: str, service: str, waited: str = "") -> Message:
    """The warning.

    :param waited: for how long, in words.
    """
    return Message.warning(
        "no-address",
        where=f"Service {namespace}/{service}",
        what=f"has no address yet, so no client can reach the ingress gateway{waited}",
        fix=f"find out why it has no load balancer (kubectl describe service -n {namespace} {service}), then point the "
        "DNS names of the links at its address; nothing else is missing",
    )
