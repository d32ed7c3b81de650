# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways of others that Istio cannot serve beside ours, on the same workload and port. Pure.

PRIVATE to the collection. Istio merges the Gateways of a workload from the oldest to the youngest. A server that has a
TLS host for the second time is left out, as is one of TLS where plain text came first. Different hosts live beside each
other on one port, wildcards and passthrough among them: the most specific host wins. Ports are those of the Service;
two of them with the same C(targetPort) are one listener.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Age", "Claim", "Conflicts", "find_conflicts"]

Age = tuple[str, str, str]


@dataclass(frozen=True)
class Claim:
    """What a link needs of a gateway.

    :param port: of the gateway's Service.
    :param age: of our Gateway: when it was made, its name and its namespace; nothing where it is still to be made.
    """

    port: int
    host: str
    age: Age | None = None


@dataclass
class Conflicts:
    """:param errors: where ours would be left out, or is.
    :param warnings: where ours came first, so that theirs is left out; or would be left out if it were made anew.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_conflicts(
    claims: Sequence[Claim],
    gateways: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    ports: Sequence[Mapping[str, Any]],
) -> Conflicts:
    """Our claims held against the Gateways of others.

    :param pods: of our gateway.
    :param ports: of our gateway's Service.
    """
    found = Conflicts()
    for gateway in gateways:
        if any(_selects(gateway["selector"], pod["labels"]) for pod in pods):
            for server in gateway["servers"]:
                _compare(claims, gateway, server, ports, found)
    return found


def _compare(
    claims: Sequence[Claim],
    gateway: Mapping[str, Any],
    server: Mapping[str, Any],
    ports: Sequence[Mapping[str, Any]],
    found: Conflicts,
) -> None:
    # A server with an address of its own has a listener of its own.
    if server["bind"]:
        return
    listener = _listener(server["port"], ports)
    beside = [claim for claim in claims if _listener(claim.port, ports) == listener]
    rivals = list(_rivals(beside, server))
    if not rivals:
        return
    if server["plain"]:
        what = f"it is {server['protocol']}, not TLS"
        cure = "choose another port for the link"
    else:
        what = f"it has our host {', '.join(sorted({claim.host for claim in rivals}))}"
        cure = "remove it from that Gateway"
    own = sorted({claim.port for claim in rivals} - {server["port"]})
    where = f", which is the same listener as our port {', '.join(map(str, own))}" if own else ""
    title = f"Gateway {gateway['namespace']}/{gateway['name']}, port {server['port']}{where}"
    age = (gateway["created"], gateway["name"], gateway["namespace"])
    if all(claim.age is not None and claim.age < age for claim in rivals):
        found.warnings.append(f"{title}: {what}. Ours is older, and goes on. Cure: {cure}")
    else:
        found.errors.append(f"{title}: {what}. Cure: {cure}")


def _rivals(claims: Sequence[Claim], server: Mapping[str, Any]) -> Iterator[Claim]:
    hosts = {host.rpartition("/")[2] for host in server["hosts"]}
    return (claim for claim in claims if server["plain"] or claim.host in hosts)


def _listener(number: int, ports: Sequence[Mapping[str, Any]]) -> int | str:
    """The pods' port behind a port of the Service; a port that no Service has is taken as it is."""
    for port in ports:
        if port["port"] == number and port.get("protocol", "TCP") == "TCP":
            target: int | str = port.get("targetPort", number)
            return target
    return number


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())
