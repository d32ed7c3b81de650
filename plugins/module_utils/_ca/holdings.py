# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What recorded certificates let their holders do that the inventory gives them no more. Pure.

PRIVATE to the collection. Who is taken out of the inventory keeps a certificate until that expires or is revoked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import Entry, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import place
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = ["REASON", "Excess", "Grants", "Removal", "excess_of", "nothing_given", "still_valid"]

# RFC 5280 section 5.3.1: a privilege contained within the certificate has been withdrawn.
REASON: Final = "privilegeWithdrawn"

# More certificates of one holder are told by their number, and revoked by their cluster.
FEW = 3


@dataclass(frozen=True)
class Grants:
    """What an inventory gives to whom.

    :param instance: whose certificates are judged; those of others on the same store are not this inventory's.
    :param links: names of links, by cluster and side, of every cluster that is judged.
    :param elsewhere: clusters that C(mesh_clusters) names and this part of the inventory lacks: nothing is judged of
        them, as nobody knows here which of their groups a link means.
    :param declared: whether C(mesh_clusters) names all clusters: then one that it does not name is no more.
    :param partial: whether nothing is judged of holders beside those of C(links).
    """

    instance: str
    links: Mapping[tuple[str, str], frozenset[str]]
    elsewhere: frozenset[str]
    declared: bool
    partial: bool = False

    def judges(self, record: Record) -> bool:
        """Whether it can be held against this inventory what a certificate is good for."""
        if record.instance != self.instance or record.cluster in self.elsewhere:
            return False
        return not self.partial or (record.cluster, record.side) in self.links

    def knows(self, cluster: str) -> bool:
        """Whether the cluster is in the inventory."""
        return any((cluster, side) in self.links for side in names.SIDES)

    def is_certain_of(self, cluster: str) -> bool:
        """Whether it can be told from this part of the inventory what the cluster is given.

        A job slice shows nobody that it is one (decision 0013). An external server follows from C(mesh_links) alone.
        """
        return self.declared or self.knows(cluster) or cluster.startswith(names.external(""))


def nothing_given(instance: str, cluster: str, sides: Iterable[str]) -> Grants:
    """Of one cluster alone, whose sides are taken away whatever an inventory says."""
    return Grants(instance, {(cluster, side): frozenset() for side in sides}, frozenset(), declared=False, partial=True)


@dataclass(frozen=True)
class Excess:
    """A certificate that is good for more than its holder is given.

    :param links: names of those that it is not given.
    :param kept: of those that it is: its holder has to have another certificate for them first.
    """

    record: Record
    links: frozenset[str]
    kept: frozenset[str]


def excess_of(records: Iterable[Record], grants: Grants) -> list[Excess]:
    """The certificates that are good for more than their holders are given.

    :param records: of unexpired certificates.
    """
    found = []
    for record in records:
        if not grants.judges(record):
            continue
        given, carried = grants.links.get((record.cluster, record.side), frozenset()), links_of(record)
        if not given or carried - given:
            found.append(Excess(record, carried - given, carried & given))
    return found


# -- revoked by itself ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Removal:
    """How far C(custom_ca_revoke_removed) reaches in a run.

    :param limited: whether the run works on some links only: it takes nothing new for removed.
    :param foreseen: whether certificates that this run is still to replace count as replaced.
    """

    grants: Grants
    limited: bool
    foreseen: bool

    def entries(
        self, given: Sequence[Entry], records: Sequence[Record], lists: Iterable[Crl], now: datetime
    ) -> list[Entry]:
        """What is revoked because it was taken away, beside what the entries of C(custom_ca_revoked) revoke.

        What a list holds already stays there for as long as nobody is given it again.

        :param given: of C(custom_ca_revoked), which count first.
        :param records: of unexpired certificates.
        """
        on_list = {item.serial: item for found in lists for item in found.revoked}
        excess = excess_of(records, self.grants)
        beyond = {item.record.serial for item in excess}
        sound = [record for record in records if record.serial not in beyond]
        return [
            Entry("serial", item.record.serial, REASON, _since(on_list.get(item.record.serial), item.record, now))
            for item in excess
            if item.record.serial in on_list or self._reaches(item, sound)
            if not any(entry.revokes(item.record) for entry in given)
        ]

    def keeping(self, removed: Iterable[Entry], records: Iterable[Record]) -> frozenset[str]:
        """Serials of those by which their holders have links that they are given still.

        :param removed: of C(entries), for the same records.
        """
        kept = {item.record.serial for item in excess_of(records, self.grants) if item.kept}
        return frozenset(entry.value for entry in removed if entry.value in kept)

    def _reaches(self, item: Excess, sound: Iterable[Record]) -> bool:
        if self.limited or not self.grants.is_certain_of(item.record.cluster):
            return False
        later = (links_of(record) for record in sound if _follows(record, item.record))
        return self.foreseen or item.kept <= frozenset().union(*later)


def _since(on_list: Revoked | None, record: Record, now: datetime) -> datetime:
    """When it was revoked: the same in each list, and never before it was issued, which would revoke nothing."""
    return max(on_list.date if on_list else now, datetime.fromisoformat(record.issued_at))


def _follows(later: Record, earlier: Record) -> bool:
    """Whether one certificate was issued to the same holder after the other."""
    holders = [(record.instance, record.cluster, record.side) for record in (later, earlier)]
    return holders[0] == holders[1] and later.issued_at >= earlier.issued_at


# -- said ----------------------------------------------------------------------------------------------------------


def still_valid(
    records: Iterable[Record], grants: Grants, revoked: Collection[str], now: datetime, *, removal: bool
) -> list[Message]:
    """A warning for every holder of what it is not given any more: until when, and the entry that takes it away.

    :param records: of unexpired certificates.
    :param revoked: serials that gateways refuse, or are to refuse.
    :param removal: whether C(custom_ca_revoke_removed) is set.
    """
    records = tuple(records)
    # An entry of a cluster or a link means those of every instance.
    alone = all(record.instance == grants.instance for record in records)
    holders: dict[str, list[Excess]] = {}
    for item in excess_of(records, grants):
        if item.record.serial not in revoked:
            holders.setdefault(item.record.cluster, []).append(item)
    return [
        _holding(cluster, found, grants, _entries(cluster, found, grants, now, alone=alone), removal=removal)
        for cluster, found in sorted(holders.items())
    ]


def _holding(cluster: str, found: Sequence[Excess], grants: Grants, entries: str, *, removal: bool) -> Message:
    shown = [_certificate(item) for item in found[:FEW]]
    more = [f"{len(found) - FEW} more"] if len(found) > FEW else []
    last = max(item.record.not_after for item in found)
    return Message.warning(
        "removed-still-valid",
        where=place(cluster),
        what=f"{_why(cluster, found, grants)}; gateways accept its certificates until {last}: "
        + "; ".join([*shown, *more]),
        fix=_fix(cluster, grants, entries, removal=removal),
    )


def _why(cluster: str, found: Iterable[Excess], grants: Grants) -> str:
    if _is_given_something(cluster, grants):
        return f"it is not given link {listed(_links(found))} any more"
    if grants.knows(cluster) or cluster.startswith(names.external("")):
        return "it is given no link any more"
    return "it is not in this inventory any more"


def _certificate(item: Excess) -> str:
    record = item.record
    return f"{record.serial} ({record.side}: {listed(record.sans)}; until {record.not_after})"


def _fix(cluster: str, grants: Grants, entries: str, *, removal: bool) -> str:
    add = f"add {entries} to custom_ca_revoked, then run site over all clusters"
    if not grants.is_certain_of(cluster):
        return f"if it was removed, {add}; if this run sees a part of the inventory, set mesh_clusters"
    if not removal:
        return f"{add}; custom_ca_revoke_removed: true revokes such certificates by itself"
    return f"run site over all clusters, which revokes them once what is in use was replaced; or {add}"


def _entries(cluster: str, found: Sequence[Excess], grants: Grants, now: datetime, *, alone: bool) -> str:
    """The fewest entries that revoke these certificates; of what is still given the same run issues another one.

    :param alone: whether no other instance has certificates of this CA.
    """
    gone = _links(found) - frozenset().union(*grants.links.values())
    kind, values = "serial", [item.record.serial for item in found]
    if alone and not _is_given_something(cluster, grants):
        kind, values = "cluster", [cluster]
    elif alone and len(gone) <= FEW and all(item.links & gone for item in found):
        kind, values = "link", sorted(gone)
    elif alone and len(found) > FEW:
        kind, values = "cluster", [cluster]
    return ", ".join(f"{{{kind}: '{value}', date: '{timestamp(now)}', reason: {REASON}}}" for value in values)


def _is_given_something(cluster: str, grants: Grants) -> bool:
    return any(grants.links.get((cluster, side)) for side in names.SIDES)


def _links(found: Iterable[Excess]) -> frozenset[str]:
    return frozenset(link for item in found for link in item.links)
