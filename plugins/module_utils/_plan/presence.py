# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster each host has turned out to be: hosts that are one by accident, and objects that lie in another. Pure.

PRIVATE to the collection. One cluster cannot tell: it is for localhost, which knows what all looks have shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, ReadingRequest
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["Presence", "at_home", "few", "misplaced", "moved", "presence_of", "refused", "same_cluster"]

# More objects, or links, are told by their number.
FEW = 3


class Presence(TypedDict):
    """What a look tells of its cluster, for the looks at others.

    :param uid: of the cluster; empty where it is not known.
    :param recognised: whether this uid is the cluster's own, by C(mesh_cluster_uid) or by what the CA store has kept.
    :param gateways: C(NAMESPACE/SERVICE) of both.
    :param holds: what two hosts of one cluster would write over each other.
    :param of_others: titles of this instance's objects of other clusters, by their names.
    """

    cluster: str
    uid: str
    recognised: bool
    gateways: list[str]
    holds: list[str]
    of_others: dict[str, list[str]]


def presence_of(
    reading: ClusterReading, request: ReadingRequest, sides: Sequence[DesiredSide], *, recognised: bool
) -> Presence:
    """:param sides: those that the look is about."""
    links = dict.fromkeys(link["name"] for side in sides for link in side["links"])
    secrets = {secret["name"] for side in sides for secret in side["secrets"]}
    shared = ["the client credential"] if request["client_credential"] in secrets else []
    ways = (request["ingress_gateway"], request["egress_gateway"])
    return {
        "cluster": request["cluster"],
        "uid": reading["identity"]["cluster_uid"],
        "recognised": recognised,
        "gateways": [f"{gateway['namespace']}/{gateway['service']}" for gateway in ways],
        "holds": [*(f"link {name}" for name in links), *shared],
        "of_others": reading["of_others"],
    }


def moved(cluster: str, uid: str, kept: str, given: str) -> Message | None:
    """The error where a connection leads to another cluster than last time.

    :param uid: of the cluster that was looked at; empty where it is not known, and nothing follows.
    :param kept: what the CA store knows; empty where nothing was ever issued there.
    :param given: C(mesh_cluster_uid), which counts for more.
    """
    wanted = given or kept
    if not uid or not wanted or uid == wanted:
        return None
    whose = f"mesh_cluster_uid is {given}" if given else f"certificates under this name were issued for cluster {kept}"
    fix = (
        "correct mesh_kubeconfig and mesh_context; if another cluster has taken its place, set "
        f"mesh_cluster_uid: {uid} for this host"
    )
    return Message.error(
        "another-cluster", where=cluster, what=f"the connection leads to cluster {uid}; {whose}", fix=fix
    )


def at_home(cluster: str, other: str) -> Message:
    """The error where objects are to be taken away from the cluster that they are of."""
    what = f"mesh_misplaced_from is {other}, which is this cluster: its objects are at home here"
    fix = "limit the run to the cluster in which they do not belong (--limit)"
    return Message.error("misplaced-from", where=cluster, what=what, fix=fix)


@dataclass(frozen=True)
class _Meeting:
    """Hosts that lead to the same gateways of one cluster, and would write over each other there.

    :param shared: what they would write over each other.
    """

    uid: str
    clusters: Sequence[str]
    recognised: Sequence[str]
    shared: Sequence[str]

    @property
    def refused(self) -> list[str]:
        """Anybody can show the uid of another cluster: that costs him his turn, and not the one whose uid it is."""
        return [cluster for cluster in self.clusters if [cluster] != self.recognised]

    def message(self) -> Message:
        what = f"are one cluster (its uid is {self.uid}), and share {few(self.shared)}"
        if len(self.refused) < len(self.clusters):
            what += f"; it is known as {self.recognised[0]}, which goes on without {', '.join(self.refused)}"
        fix = (
            "set mesh_kubeconfig and mesh_context of each so that they lead to different clusters; two meshes in one "
            "cluster need different gateways. Where one merely shows the uid of another, set mesh_cluster_uid of the "
            "host whose uid it is"
        )
        return Message.error("same-cluster", where=", ".join(self.clusters), what=what, fix=fix)


def same_cluster(seen: Sequence[Presence]) -> list[Message]:
    """Hosts that lead to the same gateways of one cluster and share something: the rule of that name, as seen."""
    return [meeting.message() for meeting in _meetings(seen)]


def refused(seen: Sequence[Presence]) -> dict[str, Message]:
    """Why a cluster has no part in a run, by its name: of those that are one, all but the one that is known there."""
    return {cluster: meeting.message() for meeting in _meetings(seen) for cluster in meeting.refused}


def _meetings(seen: Sequence[Presence]) -> Iterator[_Meeting]:
    places: dict[tuple[str, ...], list[Presence]] = defaultdict(list)
    for presence in seen:
        if presence["uid"]:
            places[presence["uid"], *presence["gateways"]].append(presence)
    for there in places.values():
        having: dict[str, list[str]] = defaultdict(list)
        for presence in there:
            for what in presence["holds"]:
                having[what].append(presence["cluster"])
        shared = {what: clusters for what, clusters in having.items() if len(clusters) > 1}
        clusters = sorted({cluster for found in shared.values() for cluster in found})
        recognised = [item["cluster"] for item in there if item["recognised"] and item["cluster"] in clusters]
        if clusters:
            yield _Meeting(there[0]["uid"], clusters, recognised, [*shared])


def misplaced(seen: Sequence[Presence], unseen: Collection[str]) -> list[Message]:
    """Objects that bear the name of a cluster which is elsewhere, or which no host has.

    :param unseen: names of clusters that were not looked at: nobody knows where they are.
    """
    homes = {presence["cluster"]: presence["uid"] for presence in seen}
    return [
        _misplaced(presence["cluster"], cluster, titles, known=cluster in homes)
        for presence in seen
        for cluster, titles in presence["of_others"].items()
        if cluster not in unseen and _are_two(presence["uid"], homes.get(cluster))
    ]


def _are_two(here: str, home: str | None) -> bool:
    """:param home: the uid of the cluster that the objects are of; None where no host has its name."""
    return home is None or bool(here and home and here != home)


def _misplaced(here: str, cluster: str, titles: Sequence[str], *, known: bool) -> Message:
    whose = (
        f"{cluster}, which is another cluster" if known else f"{cluster}, and no host of this inventory has that name"
    )
    return Message.warning(
        "misplaced-objects",
        where=here,
        what=f"{few(titles)} bear the name of {whose}",
        fix=f"if they were written here by mistake, take them away: playbook teardown with --limit and -e "
        f"mesh_misplaced_from={cluster}",
    )


def few(titles: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(titles) - FEW
    return ", ".join(titles[:FEW]) + (f" and {more} more" if more > 0 else "")
