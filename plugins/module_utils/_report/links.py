# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each link as a report has it: how it stands, where it begins and ends, who may call. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.history import Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mappings, moment, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import WantedLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson, standing
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.certificates import Register
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import (
    Certificate,
    Deed,
    End,
    Link,
    LinkState,
    RevocationList,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.negotiation import negotiated
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import EndPlace, Offer, Sources

__all__ = ["UNKNOWN", "links_of"]

# Of which nothing is known to be wrong, and not all is known.
UNKNOWN: frozenset[LinkState] = frozenset({"not seen", "not asked", "not proven"})
_BROKEN = "broken at "


def links_of(sources: Sources, register: Register, crls: Sequence[RevocationList]) -> tuple[Link, ...]:
    """Every link of the inventory, by its name."""
    standings = dict(sources.standings())
    proofs = _last_proofs(sources)
    ages = {found.root: found.age_hours for found in crls}
    return tuple(
        _Assembly(sources, register, link, standings, ages, proofs.get(link["name"], "")).link
        for link in sources.topology.links
    )


def _last_proofs(sources: Sources) -> dict[str, str]:
    """When the last report says that each link was proven last."""
    links = mappings(sources.previous.get("links"))
    return {text(link.get("name")): moment(link.get("last_proven")) for link in links}


@dataclass(frozen=True)
class _Assembly:
    """One link, put together.

    :param standings: of all links, by name and end.
    :param ages: of CRLs in hours, by root.
    :param before: when it was proven last, before this run.
    """

    sources: Sources
    register: Register
    wanted: WantedLink
    standings: Mapping[tuple[str, EndPlace], LinkSideJson]
    ages: Mapping[str, int]
    before: str

    @property
    def link(self) -> Link:
        wanted = self.wanted
        state, where, broken_at, cause = self._state
        proven = state == "up" and all(self.sources.sights[end.cluster].probed for end in self._seen)
        first = min(self._certificates, key=lambda item: item.not_after, default=None)
        last = self.sources.histories.get(wanted["name"])
        roots = tuple(sorted({item.root for item in self._certificates if item.root}))
        return Link(
            name=wanted["name"],
            state=state,
            where=where,
            broken_at=broken_at,
            cause=cause,
            fqdn=wanted["fqdn"],
            port=wanted["port"],
            tls_port=wanted["tls_port"],
            protocol=wanted["protocol"],
            backend=_backend(wanted),
            clients=self._clusters("client"),
            servers=self._clusters("server"),
            callers=tuple(_callers(wanted, self._clusters("client"))),
            expires=first.not_after if first else "",
            days_left=first.days_left if first else None,
            next_due=first.next_due if first else "",
            roots=roots,
            crl_age_hours=max((self.ages[root] for root in roots if root in self.ages), default=None),
            renewed=sum(item.renewed for item in self._certificates),
            tls=negotiated(self._offers("client"), self._offers("server")),
            proven=proven,
            proof=_proof(wanted) if proven else "",
            last_proven=timestamp(self.sources.now) if proven else self.before,
            ends=tuple(self._end(end) for end in self._ends),
            history=tuple(map(_deed, last.entries)) if last else (),
            earlier=last.count - len(last.entries) if last else 0,
        )

    @property
    def _ends(self) -> Sequence[EndPlace]:
        return self.sources.topology.ends[self.wanted["name"]]

    @cached_property
    def _seen(self) -> list[EndPlace]:
        return [end for end in self._ends if (self.wanted["name"], end) in self.standings]

    @cached_property
    def _certificates(self) -> list[Certificate]:
        """Those that its ends present, each once."""
        found = (self.register.at(self.wanted["name"], end) for end in self._ends)
        return [*{item.fingerprint: item for item in found if item}.values()]

    def _clusters(self, side: str) -> tuple[str, ...]:
        return tuple(end.cluster for end in self._ends if end.side == side)

    @cached_property
    def _state(self) -> tuple[LinkState, tuple[str, ...], str, str]:
        """The worst that there is, of which clusters, and where in the call and why."""
        sides = [self.standings[self.wanted["name"], end] for end in self._seen]
        word, found = standing(sides) if sides else ("up", [])
        if word == "up" and (not sides or self._unseen):
            return "not seen", self._unseen, "", ""
        where = tuple(sorted({side["cluster"] for side in found}))
        if not word.startswith(_BROKEN):
            cause = next((side["refused"] for side in found if side["refused"]), "")
            return cast(LinkState, word), where, "", cause
        return "broken", where, word.removeprefix(_BROKEN), found[0]["cause"]

    @property
    def _unseen(self) -> tuple[str, ...]:
        """Clusters of it; an external server is seen by who calls it."""
        unseen = {end.cluster for end in self._ends if end not in self._seen and not _is_external(end)}
        return tuple(sorted(unseen))

    def _offers(self, side: str) -> list[Offer]:
        """Of every pod of the gateways on one side that was read."""
        return [
            offer
            for end in self._seen
            if end.side == side
            for offer in self.sources.sights[end.cluster].offers.get((side, self.wanted["name"]), ())
        ]

    def _end(self, end: EndPlace) -> End:
        name = self.wanted["name"]
        certificate, seen = self.register.at(name, end), self.standings.get((name, end))
        return End(
            cluster=end.cluster,
            side=end.side,
            seen=seen is not None,
            certificate=certificate.fingerprint if certificate else "",
            key_location=certificate.key_location if certificate else "",
            serving=seen["serving"] if seen else 0,
            ready=seen["ready"] if seen else 0,
            unseen=seen["unseen"] if seen else 0,
            broken_at=seen["broken"] if seen else "",
            cause=seen["cause"] if seen else "",
        )


def _deed(entry: Entry) -> Deed:
    return Deed(
        entry=entry.number,
        at=entry.time,
        kind=entry.kind,
        which=entry.which,
        operator=entry.operator,
        run=entry.short_run,
        playbook=entry.playbook,
        signed=entry.signed,
    )


def _proof(link: WantedLink) -> str:
    probe = link.get("probe")
    answered = f", and its {probe['type']} probe was answered" if probe else "; it has no probe"
    return f"every ready gateway pod was read and serves it{answered}"


def _is_external(end: EndPlace) -> bool:
    return end.cluster.startswith(names.external(""))


def _backend(link: WantedLink) -> str:
    place = link.get("external")
    if place:
        return f"{place['address']}:{place['port']}"
    return f"{link['backend']['host']}:{link['backend']['port']}"


def _callers(link: WantedLink, clusters: Sequence[str]) -> Iterator[str]:
    """Who may call: the inventory says it, certificates and policies enforce it."""
    workloads = link.get("workloads") or {}
    allowed = [
        *(f"namespace {name}" for name in workloads.get("namespaces") or ()),
        *(f"service account {name}" for name in workloads.get("service_accounts") or ()),
    ]
    whom = listed(allowed) if allowed else "every workload of the mesh"
    yield from (f"{cluster}: {whom}" for cluster in clusters)
    yield from (f"partner: {name}" for name in link["foreign_clients"])
