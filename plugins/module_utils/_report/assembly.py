# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a report together. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.certificates import (
    register_of,
    revocation_lists,
    roots_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.changes import changes_since, phase_since
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.links import UNKNOWN, links_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import (
    UNREAD,
    VERSION,
    Certificate,
    Cluster,
    Coverage,
    Event,
    Link,
    Report,
    RevocationList,
    Root,
    Summary,
    Unseen,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Sources

__all__ = ["report_of"]

# More links are told by their number.
_FEW = 3
_OTHER_SLICE = "in another part of the inventory: mesh_clusters names it"


def report_of(sources: Sources) -> Report:
    """The report of what this run knows."""
    register, crls = register_of(sources), revocation_lists(sources.authority, sources.now)
    links, certificates = links_of(sources, register, crls), register.all()
    roots = roots_of(sources.authority, sources.settings.store, sources.now)
    clusters = tuple(_cluster(name, sources) for name in sources.topology.clusters)
    phase = _phase(sources)
    since, changes = changes_since(sources.previous, links, clusters, roots, crls, phase)
    made_at = timestamp(sources.now)
    return Report(
        version=VERSION,
        made_at=made_at,
        made_by=sources.settings.operator,
        instance=sources.settings.instance,
        phase=phase,
        phase_since=phase_since(sources.previous, phase) or made_at,
        store=sources.settings.store,
        renew_before_days=sources.settings.renew_before.days,
        leaf_validity_days=sources.settings.leaf_validity.days,
        coverage=_coverage(clusters),
        summary=_summary(links, certificates),
        links=links,
        clusters=clusters,
        certificates=certificates,
        roots=roots,
        crls=crls,
        journal=sources.journal,
        runs=tuple(sources.runs),
        fresh_for_minutes=sources.settings.fresh_for_minutes,
        timeline=tuple(sorted(_events(certificates, roots, crls), key=lambda event: (event.at, event.what))),
        since=since,
        changes=changes,
    )


def _phase(sources: Sources) -> str:
    if sources.authority is None:
        return UNREAD if sources.journal.problems else "absent"
    return sources.authority.phase


def _cluster(name: str, sources: Sources) -> Cluster:
    sight = sources.sights.get(name)
    wanted = {end.side for ends in sources.topology.ends.values() for end in ends if end.cluster == name}
    return Cluster(
        name=name,
        uid=sight.uid if sight else "",
        seen=sight is not None,
        why_unseen="" if sight else sources.unseen.get(name, _OTHER_SLICE),
        sides=tuple(sorted(wanted)),
        gateways=tuple(sight.gateways[side] for side in sorted(wanted) if side in sight.gateways) if sight else (),
        problems=tuple(sight.problems) if sight else (),
        proof=tuple(sight.proof) if sight else (),
    )


def _coverage(clusters: Sequence[Cluster]) -> Coverage:
    unseen = tuple(Unseen(cluster.name, cluster.why_unseen) for cluster in clusters if not cluster.seen)
    return Coverage(not unseen, tuple(cluster.name for cluster in clusters if cluster.seen), unseen)


def _summary(links: Sequence[Link], certificates: Sequence[Certificate]) -> Summary:
    used = [item for item in certificates if item.in_service]
    first = min(used, key=lambda item: item.not_after, default=None)
    up, unknown = (sum(1 for link in links if link.state in states) for states in ({"up"}, UNKNOWN))
    return Summary(
        links=len(links),
        up=up,
        proven=sum(1 for link in links if link.proven),
        problems=len(links) - up - unknown,
        unknown=unknown,
        certificates=len(used),
        waiting=sum(1 for item in certificates if item.waits),
        first_expiry=first.not_after if first else "",
        days_left=first.days_left if first else None,
        next_due=min((item.next_due for item in used if item.next_due), default=""),
    )


def _events(
    certificates: Sequence[Certificate], roots: Sequence[Root], crls: Sequence[RevocationList]
) -> Iterator[Event]:
    """What ends, of all that is used or, where that was not seen, was issued last."""
    for item in certificates:
        if item.next_due:
            whose = f"{item.side} certificate of {item.cluster}, {_for(item.links)}"
            yield Event(item.not_after, item.days_left, "certificate", whose, item.fingerprint)
    for root in roots:
        yield Event(root.not_after, root.days_left, "root", f"{root.role} root {root.subject}", root.fingerprint)
    for crl in crls:
        what = f"CRL {crl.number} of root {short(crl.root)}: its next update"
        yield Event(crl.next_update, crl.days_left, "crl", what, crl.root)


def _for(links: Sequence[str]) -> str:
    return f"{len(links)} links" if len(links) > _FEW else f"link {listed(links)}"
