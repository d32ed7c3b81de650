# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one gateway's proxy does, as far as links depend on it: the shapes. What is not so on a link's way is a Fault.

PRIVATE to the collection. M(_cluster/config_dump) reads them out of Envoy's answer; names of Secrets are those of SDS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.access import Rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Level, Message

__all__ = [
    "ANSWER",
    "NAME",
    "PLACES",
    "BackendFault",
    "Chain",
    "Fault",
    "Listener",
    "Path",
    "Proxy",
    "Secrets",
    "State",
    "Tls",
    "Upstream",
    "UpstreamEndpoint",
]

State = Literal["active", "warming", "draining", "none"]
# Where a call can break, in its order: a hop's number is its index.
PLACES = ("name", "hop 1", "hop 2", "hop 3", "answer")
NAME, BACKEND_HOP, ANSWER = 0, 3, 4


@dataclass(frozen=True)
class Tls:
    """A transport socket that speaks TLS.

    :param sans: of the peer, one of which has to be in its certificate; empty asks for none.
    :param minimum: of versions, such as C(TLSv1_2); empty for Envoy's own; so C(maximum).
    :param asks: whether a client has to present a certificate.
    :param ciphers: cipher suites of TLS 1.2; empty for Envoy's own; so C(groups), for the exchange of keys.
    """

    certificate: str
    validation: str
    sans: frozenset[str] = frozenset()
    sni: str = ""
    minimum: str = ""
    asks: bool = False
    maximum: str = ""
    ciphers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Path:
    """Where a route leads to.

    :param clusters: one, or several by weight.
    :param match: the part of the requests that take it; empty for all.
    :param instead: what is done in place of leading there, such as a redirect; empty where nothing is.
    :param made_by: the object that made it; empty where that is not said.
    """

    clusters: tuple[str, ...]
    match: str = ""
    instead: str = ""
    made_by: str = ""


@dataclass(frozen=True)
class Chain:
    """One filter chain of a listener.

    :param paths: of TCP, or of HTTP where they stand here and not in a configuration of their own.
    :param route_config: the name of that configuration; empty where there is none.
    """

    server_names: frozenset[str]
    tls: Tls | None
    paths: tuple[Path, ...]
    route_config: str = ""
    rules: tuple[Rules, ...] = ()


@dataclass(frozen=True)
class Listener:
    """:param state: C(active), or what else it is instead.
    :param chains: of an active one.
    :param refused: why Envoy did not take its last change; empty where it did.
    """

    name: str
    port: int
    state: State
    chains: tuple[Chain, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class UpstreamEndpoint:
    """:param meshed: whether the connection to it is mutual TLS of the mesh.
    :param tried: connections to it since Envoy knows it; C(failed) of them did not come about.
    """

    address: str
    healthy: bool
    meshed: bool
    tried: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Upstream:
    """One of Envoy's clusters.

    :param tls: of every connection to it; None where they are plain text, or an endpoint decides.
    :param addresses: names or addresses and ports, as configured; None where endpoints come from istiod.
    :param endpoints: what they are now.
    """

    name: str
    tls: Tls | None
    addresses: frozenset[tuple[str, int]] | None
    made_by: str = ""
    endpoints: tuple[UpstreamEndpoint, ...] = ()


@dataclass(frozen=True)
class Secrets:
    """:param active: what has arrived.
    :param waiting: what the proxy asked for, and did not get.
    """

    active: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Proxy:
    """:param routes: the paths of a domain, by the name of their configuration."""

    listeners: tuple[Listener, ...]
    routes: Mapping[str, Mapping[str, tuple[Path, ...]]]
    upstreams: Mapping[str, Upstream]
    secrets: Secrets

    def on(self, ports: Iterable[int] | None) -> list[Listener]:
        """The listeners on these ports; all where that is None."""
        wanted = None if ports is None else frozenset(ports)
        return [item for item in self.listeners if wanted is None or item.port in wanted]


class BackendFault(TypedDict):
    """Why a link's backend is not as the link means it, as a warning tells it.

    :param carries: whether calls reach it all the same.
    """

    code: str
    what: str
    fix: str
    carries: bool


@dataclass(frozen=True)
class Fault:
    """The first thing by which a link is not as it is meant: in a gateway's proxy, or to somebody who asked.

    :param hop: 1 from workloads to the egress gateway, 2 between the gateways, 3 to the backend; of a call also C(NAME)
        before them and C(ANSWER) after them.
    :param pod: the gateway's; empty where it was seen elsewhere.
    :param wanted: what the link means.
    :param found: what the proxy has instead.
    :param culprit: the object to blame; empty where nothing names one.
    :param outside: this cluster's objects are as they should be; a name, or the other end, is not yet.
    :param seen: where, if in no gateway's pod.
    """

    code: str
    link: str
    hop: int
    pod: str
    wanted: str
    found: str
    fix: str
    culprit: str = ""
    outside: bool = False
    seen: str = ""

    @property
    def place(self) -> str:
        return PLACES[self.hop]

    def beside(self, backends: Mapping[str, BackendFault]) -> Fault | None:
        """The same where the backend of its link is known to lack something, which is why; None where that carries."""
        known = backends.get(self.link) if self.hop == BACKEND_HOP else None
        if known is None:
            return self
        if known["carries"]:
            return None
        return replace(
            self,
            code=known["code"],
            wanted="the link's backend",
            found=known["what"],
            fix=known["fix"],
            culprit="",
            outside=True,
        )

    def message(self, level: Level = "error") -> Message:
        blame = f" ({self.culprit})" if self.culprit else ""
        return Message(
            self.code,
            level,
            where=f"link {self.link}, {self.place}, {self.seen or f'pod {self.pod}'}",
            what=f"wanted {self.wanted}; found {self.found}{blame}",
            fix=self.fix,
        )
