# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has seen of its clusters, kept for the gates of runs over other slices of the inventory. Pure.

The index names all observations by the digest of one document, so the CA's key vouches for each, and that none is
missing. They are of one state of the roots: with the next step of a rotation all are void.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.ledger import digest_of, document
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import Sight
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import CLOCK_LIMIT
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = ["Observation", "fresh", "observations_in", "observe"]

# Names of Secrets that are kept of a cluster: a message shows no more, and it decides how many there are.
_FEW = 3


@dataclass(frozen=True)
class Observation:
    """Both sides of one cluster, as a run has seen them.

    :param at: when the run has kept it, by its controller's clock.
    """

    at: datetime
    sights: tuple[Sight, ...]


def observe(
    snapshot: Snapshot, looked_at: Collection[str], sights: Iterable[Sight], now: datetime
) -> tuple[Change, list[str]]:
    """Keep what was seen, in place of all that is kept of the clusters that the run has looked at.

    What this run could not see, no other one is to count on.

    :param snapshot: with its observations.
    :param sights: those of another state of the roots are not kept.
    :returns: the change, and the clusters that it keeps an observation of.
    """
    authority = snapshot.authority
    seen: dict[str, dict[str, Sight]] = {}
    for sight in sights:
        if sight.state == authority.state and sight.cluster in looked_at:
            seen.setdefault(sight.cluster, {})[sight.side] = _bounded(sight, authority)
    whole = {
        cluster: Observation(now, tuple(sides[side] for side in SIDES))
        for cluster, sides in seen.items()
        if len(sides) == len(SIDES)
    }
    others = {name: found for name, found in observations_in(snapshot).items() if name not in looked_at}
    if not {**others, **whole}:
        return Change(replace(snapshot.index, observed="")), []
    text = _to_text({**others, **whole}, authority.state)
    return Change(replace(snapshot.index, observed=digest_of(text)), observed=text), sorted(whole)


def observations_in(snapshot: Snapshot) -> dict[str, Observation]:
    """The observations of the state in which the store is, by cluster.

    :param snapshot: read with its records, vouched for.
    """
    content: Any = parse_json(snapshot.observed) if snapshot.observed else {}
    if content.get("state") != snapshot.authority.state:
        return {}
    return {cluster: _from_json(cluster, found) for cluster, found in content["clusters"].items()}


def fresh(found: Mapping[str, Observation], now: datetime, longest: timedelta) -> dict[str, Observation]:
    """Those that are no older than that. One from later than now is of a clock that is wrong, and tells no age."""
    return {cluster: item for cluster, item in found.items() if -CLOCK_LIMIT < now - item.at <= longest}


def _bounded(sight: Sight, authority: Authority) -> Sight:
    """What a gate compares, and no more: how much else there is the cluster decides."""
    trust = {roots & authority.known for roots in sight.trust}
    issuers = {root if root in authority.known else "" for root in sight.issuers}
    return replace(sight, trust=tuple(trust), issuers=frozenset(issuers), surplus=sight.surplus[:_FEW])


def _to_text(found: Mapping[str, Observation], state: str) -> str:
    return document({"state": state, "clusters": {cluster: _to_json(item) for cluster, item in found.items()}})


def _to_json(found: Observation) -> dict[str, Any]:
    return {"at": timestamp(found.at), "sides": {sight.side: _sight_to_json(sight) for sight in found.sights}}


def _sight_to_json(sight: Sight) -> dict[str, Any]:
    return {
        "step": sight.step,
        "method": sight.method,
        "trust": sorted(sorted(roots) for roots in sight.trust),
        "issuers": sorted(sight.issuers),
        "surplus": list(sight.surplus),
        "state": sight.state,
    }


def _from_json(cluster: str, found: Mapping[str, Any]) -> Observation:
    return Observation(datetime.fromisoformat(found["at"]), tuple(_sights(cluster, found["sides"])))


def _sights(cluster: str, sides: Mapping[str, Mapping[str, Any]]) -> Iterator[Sight]:
    for side, found in sides.items():
        yield Sight(
            cluster=cluster,
            side=side,
            step=found["step"],
            method=found["method"],
            trust=tuple(map(frozenset, found["trust"])),
            issuers=frozenset(found["issuers"]),
            surplus=tuple(found["surplus"]),
            state=found["state"],
        )
