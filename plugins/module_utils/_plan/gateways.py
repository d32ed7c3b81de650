# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways of others that Istio cannot serve beside ours, on the same workload and port. Pure.

PRIVATE to the collection. Istio merges the Gateways of a workload from the oldest to the youngest. A server that has a
TLS host for the second time is left out, as is one of TLS where plain text came first. Different hosts live beside each
other on one port, wildcards and passthrough among them: the most specific host wins. Ours are for their own namespace
(C(./HOST)): the same host for another namespace, or for all, counts as another host, and ends in two filter chains for
one name, which Envoy refuses. Ports are those of the Service; two of them with the same C(targetPort) are one
listener.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    ForeignGateway,
    GatewayServer,
    ServicePort,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import tcp_ports
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Age", "Claim", "Conflicts", "find_conflicts"]

Age = tuple[str, str, str]


@dataclass(frozen=True)
class Claim:
    """What a link needs of a gateway.

    :param port: of the gateway's Service.
    :param namespace: of our Gateway, from which alone VirtualServices may bind to the host.
    :param age: of our Gateway: when it was made, its name and its namespace; nothing where it is still to be made.
    """

    port: int
    host: str
    namespace: str
    age: Age | None = None


@dataclass
class Conflicts:
    """:param errors: where ours would be left out, or is.
    :param warnings: where ours came first, so that theirs is left out; or would be left out if it were made anew; and
        where Envoy goes on with what it has.
    """

    errors: list[Message] = field(default_factory=list)
    warnings: list[Message] = field(default_factory=list)


def find_conflicts(
    claims: Sequence[Claim],
    gateways: Sequence[ForeignGateway],
    labels: Collection[Mapping[str, str]],
    ports: Sequence[ServicePort],
) -> Conflicts:
    """Our claims held against the Gateways of others.

    :param labels: of each pod of our gateway.
    :param ports: of our gateway's Service.
    """
    found = Conflicts()
    for gateway in gateways:
        if any(_selects(gateway["selector"], of_pod) for of_pod in labels):
            for server in gateway["servers"]:
                _compare(claims, gateway, server, ports, found)
    return found


def _compare(
    claims: Sequence[Claim],
    gateway: ForeignGateway,
    server: GatewayServer,
    ports: Sequence[ServicePort],
    found: Conflicts,
) -> None:
    # A server with an address of its own has a listener of its own.
    if server["bind"]:
        return
    listener = _listener(server["port"], ports)
    beside = [claim for claim in claims if _listener(claim.port, ports) == listener]
    age = (gateway["created"], gateway["name"], gateway["namespace"])
    for rivalry in _rivalries(beside, server, gateway["namespace"]):
        own = sorted({claim.port for claim in rivalry.claims} - {server["port"]})
        same = f"; this is the same listener as our port {', '.join(map(str, own))}" if own else ""
        where = f"Gateway {gateway['namespace']}/{gateway['name']}, port {server['port']}"
        what = f"{rivalry.what}{same}"
        if goes_on := rivalry.goes_on(beside, age):
            found.warnings.append(
                Message.warning(rivalry.code, where=where, what=f"{what}. {goes_on}", fix=rivalry.fix)
            )
        else:
            found.errors.append(Message.error(rivalry.code, where=where, what=what, fix=rivalry.fix))


@dataclass(frozen=True)
class _Rivalry:
    """Claims of ours that a server of others meets.

    :param refused: by Envoy, whichever is older; else Istio serves the older one.
    """

    claims: Sequence[Claim]
    code: str
    what: str
    fix: str
    refused: bool = False

    def goes_on(self, beside: Sequence[Claim], theirs: Age) -> str:
        """Why ours works all the same; nothing where it does not.

        :param beside: all our claims of that listener.
        """
        if self.refused:
            # It would not take what another link adds, either.
            there = all(claim.age is not None for claim in beside)
            return "Envoy keeps serving ours until it restarts" if there else ""
        older = all(claim.age is not None and claim.age < theirs for claim in self.claims)
        return "Our Gateway is older and keeps working" if older else ""


def _rivalries(beside: Sequence[Claim], server: GatewayServer, namespace: str) -> Iterator[_Rivalry]:
    """:param namespace: of the Gateway that the server is of."""
    if server["plain"]:
        if beside:
            what = f"the port is {server['protocol']}, not TLS"
            yield _Rivalry(beside, "plain-port", what, "choose another port for the link")
        return
    fix = "remove the host from that Gateway"
    scopes = _scopes(server["hosts"], namespace)
    same = [claim for claim in beside if claim.namespace in scopes.get(claim.host, ())]
    if same:
        yield _Rivalry(same, "host-taken", f"it also claims host {_hosts(same)}", fix)
    same = [claim for claim in beside if scopes.get(claim.host, set()) - {claim.namespace}]
    if same:
        harm = "Istio treats that as another host, and Envoy rejects every change of the port"
        what = f"it claims host {_hosts(same)} for other namespaces than ours; {harm}"
        yield _Rivalry(same, "host-taken-in-namespace", what, fix, refused=True)


def _scopes(hosts: Sequence[str], namespace: str) -> dict[str, set[str]]:
    """Of each host: the namespaces that may bind to it, C(*) for all of them, as Istio reads it."""
    found: dict[str, set[str]] = {}
    for host in hosts:
        scope, _slash, name = host.rpartition("/")
        found.setdefault(name, set()).add(namespace if scope == "." else scope or "*")
    return found


def _hosts(claims: Sequence[Claim]) -> str:
    return ", ".join(sorted({claim.host for claim in claims}))


def _listener(number: int | None, ports: Sequence[ServicePort]) -> int | str | None:
    """The pods' port behind a port of the Service; a port that no Service has is taken as it is."""
    port = tcp_ports(ports).get(number) if number else None
    return port.get("targetPort", number) if port else number


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())
