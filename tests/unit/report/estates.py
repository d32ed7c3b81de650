# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole estates for the tests of the report: real certificates, by the collection's own issuing code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import (
    Entry,
    History,
    Last,
    last_of_links,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSide, LinkSideJson
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Journal
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import (
    EndPlace,
    Offer,
    Settings,
    Sight,
    Sources,
    StoredCertificate,
    Topology,
    located,
    topology_of,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._report.gathering import MOST_DEEDS
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import Json, link

DOMAIN = "crossmesh.internal"
STORE = "/srv/meshes/.crossmesh/ca"
SETTINGS = Settings("default", STORE, "olivia", 30 * DAY, 90 * DAY)
JOURNAL = Journal((), 214, 1, timestamp(NOW - timedelta(hours=9)), "issued", "rotation-timer", "job 4711")
SERVICES: Mapping[str, tuple[str, int, int]] = {
    "tcp": ("mysql", 3306, 3306),
    "grpc": ("ledger", 8443, 9090),
    "http": ("billing", 8080, 8080),
}
# As Istio configures its gateways.
CIPHERS = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
OFFER: Offer = {"minimum": "TLSv1_2", "maximum": "TLSv1_3", "ciphers": CIPHERS, "groups": []}


@dataclass
class Estate:
    """An estate to take a report of.

    :param issued: how old the certificates of a link are, in days; 20 where nothing is said.
    :param clusters: groups by cluster, as mesh_clusters has them.
    :param changes: what is not up, by link and side.
    :param unseen: why a cluster was not looked at.
    """

    links: list[Json]
    clusters: Mapping[str, Sequence[str]]
    issued: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    revoked: Sequence[str] = ()
    key_type: str = "P-256"
    now: datetime = NOW
    root: Root = field(default_factory=lambda: make_root(now=NOW - 400 * DAY))

    def __post_init__(self) -> None:
        self.leaves: dict[tuple[str, str, str], Leaf] = {}
        self.records: list[Record] = []

    @property
    def topology(self) -> Topology:
        shared = {"mesh_links": self.links, "mesh_clusters": dict(self.clusters), "mesh_instance": "default"}
        return topology_of(World(variables={}, groups=frozenset(), shared=shared))

    def sources(self, previous: Mapping[str, Any] | None = None) -> Sources:
        topology = self.topology
        sights = {name: self._sight(name, topology) for name in topology.clusters if name not in self.unseen}
        for name in self.unseen:
            self._sight(name, topology)
        self.records.sort(key=lambda record: (record.issued_at, record.serial))
        return Sources(
            self.now,
            SETTINGS,
            topology,
            sights,
            self.unseen,
            {},
            self._authority(),
            self.records,
            JOURNAL,
            self._histories(),
            previous or {},
        )

    def _histories(self) -> dict[str, Last]:
        """Of each link more than a page shows: every certificate as it was issued, twice."""
        entries = [
            Entry(
                number=number,
                time=record.issued_at,
                operator="rotation-timer",
                run="5f0d7a52-3d5f-4a3b-9c9e-0c6c4d3a8f10",
                playbook="crossmesh.mtls.rotate_certificates",
                kind="issued",
                signed=True,
                fields={
                    "serial": record.serial,
                    "side": record.side,
                    "cluster": record.cluster,
                    "links": record.links,
                    "place": record.secret,
                    "root": record.issuer,
                    "not_after": record.not_after,
                },
            )
            for number, record in enumerate(sorted([*self.records] * 2, key=lambda record: record.issued_at), 4)
        ]
        return dict(last_of_links(History(tuple(entries)), MOST_DEEDS))

    def _authority(self) -> Authority:
        lists: tuple[Crl, ...] = ()
        if self.revoked:
            gone = [Revoked(serial, self.now - 3 * DAY, "keyCompromise") for serial in self.revoked]
            made = self.now - timedelta(hours=30)
            lists = (
                issue_crl(root=self.root.view, key=self.root.key, revoked=gone, number=7, now=made, validity=7 * DAY),
            )
        return Authority(STORE, self.root.view, (self.root.view,), lists=lists)

    def _sight(self, cluster: str, topology: Topology) -> Sight:
        links: list[LinkSideJson] = []
        stored: dict[tuple[str, str], StoredCertificate] = {}
        offers: dict[tuple[str, str], Sequence[Offer]] = {}
        for name, ends in topology.ends.items():
            for end in (end for end in ends if end.cluster == cluster):
                secret = names.server_secret(name) if end.side == "server" else "client-credential"
                leaf = self._leaf(end, name, secret, topology)
                stored[end.side, secret] = StoredCertificate(
                    leaf.view, located("Secret", f"istio-system/{secret}", cluster)
                )
                offers[end.side, name] = [OFFER]
                links.append(self._standing(name, end, secret, leaf))
        gateways = {"client": "istio-system/istio-egressgateway", "server": "istio-system/istio-ingressgateway"}
        faults = [item["cause"] for item in links if item["cause"]]
        problems = [f"link of {cluster}: wanted one thing; found another. Fix: mend it. [{code}]" for code in faults]
        served = sum(1 for item in links if item["side"] == "server")
        proof = [f"server side: {served} handshakes from the controller"] if served else []
        return Sight(f"uid-of-{cluster}", links, stored, offers, gateways, problems, proof)

    def _standing(self, name: str, end: EndPlace, secret: str, leaf: Leaf) -> LinkSideJson:
        until, root = timestamp(leaf.view.not_after), self.root.view.fingerprint
        side = LinkSide(name, end.cluster, end.side, secret, until, root, 2, 2, 0, leaf.view.serial)
        return replace(side, **self.changes.get((name, end.side), {})).to_json()

    def _leaf(self, end: EndPlace, link_name: str, secret: str, topology: Topology) -> Leaf:
        place = (end.cluster, end.side, secret)
        if place not in self.leaves:
            dialled = [name for name, ends in topology.ends.items() if end in ends]
            links = [link_name] if end.side == "server" else dialled
            for age in (self.issued.get(link_name, 20) + 60, self.issued.get(link_name, 20)):
                self.leaves[place] = self._issue(end, links, secret, self.now - age * DAY)
        return self.leaves[place]

    def _issue(self, end: EndPlace, links: Sequence[str], secret: str, at: datetime) -> Leaf:
        by_name = {item["name"]: item for item in self.links}
        sans = (
            [by_name[links[0]]["fqdn"]]
            if end.side == "server"
            else [names.cluster_identity(end.cluster, DOMAIN), *(names.link_identity(name, DOMAIN) for name in links)]
        )
        side: Side = end.side
        leaf = make_leaf(
            self.root, role=side, sans=sans, common_name=links[0], now=at, key_type=self.key_type, validity=90 * DAY
        )
        record = record_of(
            leaf.view,
            issuer=self.root.view,
            instance="default",
            cluster=end.cluster,
            side=end.side,
            links=links,
            secret=f"istio-system/{secret}",
            now=at,
        )
        if not record.expired(self.now):
            self.records.append(record)
        return leaf


def one_link() -> Estate:
    """The reference: two clusters, MySQL."""
    return Estate([link()], {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]})


def ten_links() -> Estate:
    """A small estate in which not all is well."""
    regions = {"shop-eu": ["mesh_clients"], "shop-us": ["mesh_clients"], "core": ["mesh_servers"]}
    clusters = {**regions, "ledger-dr": ["mesh_servers", "mesh_clients"]}
    shops = ["shop-eu", "shop-us"]
    links = [
        _link("mysql", "tcp", servers=["core"], clients=shops),
        _link("orders", "grpc", servers=["core"], clients=shops, workloads={"namespaces": ["checkout"]}),
        _link("payments", "grpc", servers=["core", "ledger-dr"], clients=shops),
        _link("ledger", "grpc", servers=["ledger-dr"], clients=["shop-eu"]),
        _link("billing", "http", servers=["core"], clients=["shop-eu"], foreign_clients=["billing.partner.example"]),
        _link("search", "http", servers=["core"], clients=shops),
        _link("catalogue", "http", servers=["core"], clients=shops),
        _link("sessions", "tcp", servers=["core"], clients=["shop-us"]),
        _link("events", "tcp", servers=["core", "ledger-dr"], clients=shops),
        _link("reports", "http", servers=["core"], clients=["ledger-dr", "archive"]),
    ]
    return Estate(
        links,
        {**clusters, "archive": ["mesh_clients"]},
        issued={"search": 64, "sessions": 88},
        changes={
            ("orders", "client"): {"broken": "hop 2", "cause": "chain-missing", "serving": 0},
            ("catalogue", "server"): {"serving": 1},
        },
        unseen={"archive": "cannot be reached: connection refused [api-unreachable]"},
        revoked=["4f0c2d9e1b7a6c35"],
    )


def many_links(count: int = 300) -> Estate:
    """A fleet: eight clusters, and of every hundred links some are not up."""
    kinds = tuple(SERVICES)
    links = []
    for number in range(count):
        region, kind = number % 4, kinds[number % 3]
        clients = [f"shop-{region}"] if number % 7 else [f"shop-{region}", f"shop-{(region + 1) % 4}"]
        name = f"{SERVICES[kind][0]}-{number:03}"
        links.append(_link(name, kind, number, servers=[f"core-{number % 4}"], clients=clients))
    clusters = {f"shop-{number}": ["mesh_clients"] for number in range(4)}
    clusters |= {f"core-{number}": ["mesh_servers"] for number in range(4)}
    names_of = [item["name"] for item in links]
    return Estate(
        links,
        clusters,
        issued={name: (index * 7) % 59 for index, name in enumerate(names_of)} | {names_of[count // 3]: 89},
        changes={
            (names_of[count // 5], "server"): {"broken": "hop 3", "cause": "no-endpoint", "serving": 0},
            (names_of[count // 2], "client"): {"broken": "hop 1", "cause": "listener-missing", "serving": 0},
        },
        revoked=["4f0c2d9e1b7a6c35", "71"],
    )


def _link(name: str, protocol: str, number: int = -1, **changes: Any) -> Json:
    _service, port, backend = SERVICES[protocol]
    place = number if number >= 0 else len(name) * 7 + ord(name[0]) + ord(name[-1])
    return link(
        name=name,
        fqdn=f"{name}.core.example.com",
        port=port,
        tls_port=20000 + place,
        protocol=protocol,
        backend={"host": f"{name}.default.svc.cluster.local", "port": backend + 1 if backend == port else backend},
        **changes,
    )
