# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report is made of: what the inventory wants, what looks and proofs have seen, what the CA store holds.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import Last
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import place
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import WantedLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Journal, Run

__all__ = [
    "EndPlace",
    "Offer",
    "Settings",
    "Sight",
    "Sources",
    "StoredCertificate",
    "Topology",
    "located",
    "topology_of",
]


class Offer(TypedDict):
    """What the proxy of one gateway pod takes part in for a link.

    :param minimum: of versions, as Envoy writes them, such as C(TLSv1_2); empty for its own; so C(maximum).
    :param ciphers: cipher suites of TLS 1.2; empty for its own; so C(groups), for the exchange of keys.
    """

    minimum: str
    maximum: str
    ciphers: list[str]
    groups: list[str]


@dataclass(frozen=True)
class EndPlace:
    """Where a link begins or ends."""

    cluster: str
    side: Side


@dataclass(frozen=True)
class Topology:
    """What the inventory wants, of clusters of other slices too, as far as mesh_clusters names their groups.

    :param ends: of each link, by its name.
    :param clusters: all that there are.
    """

    links: Sequence[WantedLink]
    ends: Mapping[str, Sequence[EndPlace]]
    clusters: Sequence[str]


@dataclass(frozen=True)
class StoredCertificate:
    """A certificate as it was read where its key is stored.

    :param location: names that place.
    """

    view: CertificateView
    location: str


@dataclass(frozen=True)
class Sight:
    """What this run has seen of a cluster.

    :param links: how each side of each link stands there, seen last.
    :param stored: what each side's Secrets hold, by side and the Secret's name.
    :param offers: of each ready gateway pod, by side and link.
    :param gateways: C(NAMESPACE/SERVICE), by side.
    :param proof: what mesh_probe tells of what it has asked.
    :param probed: whether calls were followed after the look.
    """

    uid: str
    links: Sequence[LinkSideJson]
    stored: Mapping[tuple[str, str], StoredCertificate]
    offers: Mapping[tuple[str, str], Sequence[Offer]] = field(default_factory=dict)
    gateways: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    proof: Sequence[str] = ()
    probed: bool = True


@dataclass(frozen=True)
class Settings:
    """:param store: names the place of the CA store.
    :param operator: who started the run.
    :param fresh_for_minutes: after which the next report is to be there.
    """

    instance: str
    store: str
    operator: str
    renew_before: timedelta
    leaf_validity: timedelta
    fresh_for_minutes: int = 0


@dataclass(frozen=True)
class Sources:
    """Everything that a report is made of.

    :param sights: by cluster.
    :param unseen: why a cluster was not looked at, by its name.
    :param external: what the directories of external servers hold, by link.
    :param authority: None where there is no CA yet.
    :param histories: what the audit journal tells last of each link, by its name.
    :param previous: the last report as JSON; empty where there is none.
    :param runs: what the schedule starts on this controller, by its marks.
    """

    now: datetime
    settings: Settings
    topology: Topology
    sights: Mapping[str, Sight]
    unseen: Mapping[str, str]
    external: Mapping[str, StoredCertificate]
    authority: Authority | None
    records: Sequence[Record]
    journal: Journal
    histories: Mapping[str, Last] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    runs: Sequence[Run] = ()

    def standings(self) -> Iterator[tuple[tuple[str, EndPlace], LinkSideJson]]:
        """How each end that was seen stands, by link and end."""
        for cluster, sight in self.sights.items():
            for side in sight.links:
                yield (side["link"], EndPlace(cluster, "client" if side["side"] == "client" else "server")), side

    def location(self, record: Record) -> str:
        """Where the certificate of a record, and its key, were written to."""
        kind = "directory" if record.cluster.startswith(names.external("")) else "Secret"
        return located(kind, record.secret, record.cluster)


def located(kind: str, path: str, cluster: str) -> str:
    """The words for a place that stores a certificate and its key."""
    return f"directory {path} of {place(cluster)}" if kind == "directory" else f"Secret {path} in {place(cluster)}"


def topology_of(world: World) -> Topology:
    """Every wanted link with its ends."""
    links = sorted(world.wanted_links, key=lambda link: link["name"])
    ends: dict[str, list[EndPlace]] = {link["name"]: [] for link in links}
    sides: tuple[tuple[Side, Any], ...] = (("client", desired.client_links), ("server", desired.server_links))
    for side, of_side in sides:
        for name, cluster in sorted(world.clusters.items()):
            for link in of_side(links, cluster):
                ends[link["name"]].append(EndPlace(name, side))
    for link in links:
        if link.get("external"):
            ends[link["name"]].append(EndPlace(names.external(link["name"]), "server"))
    return Topology(links, ends, sorted(world.clusters))
