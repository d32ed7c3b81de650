# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one root takes over from another: which steps follow from where things stand, and what each step waits for. Pure.

::

    steady ── prepare ──► prepared ── switch ──► switched ── retire ──► retiring ── finish ──► steady
                              └────────────────── abandon ─────────────────▲

Each phase is safe to stay in. After C(prepare) and C(retire) every cluster's trust is rewritten, after C(switch) every
certificate; what each pod then serves is the gate of the step that follows.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, Phase, state_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short

__all__ = [
    "ASKED",
    "Sight",
    "blockers",
    "done_by_another",
    "is_gated",
    "place",
    "refusal",
    "sight_from_json",
    "steps",
]

# look, trust, leaves and drop are work on every cluster; the others move the CA store on.
Step = Literal["look", "abandon", "prepare", "trust", "switch", "leaves", "retire", "drop", "finish"]
ASKED = ("", "prepare", "switch", "retire", "abandon")

_TO_THE_END: Mapping[Phase, tuple[Step, ...]] = {
    "steady": ("prepare", "trust", "switch", "leaves", "retire", "drop", "finish"),
    "prepared": ("trust", "switch", "leaves", "retire", "drop", "finish"),
    "switched": ("leaves", "retire", "drop", "finish"),
    "retiring": ("drop", "finish"),
}
_ONE_PHASE: Mapping[tuple[str, Phase], tuple[Step, ...]] = {
    ("prepare", "steady"): ("prepare", "trust"),
    ("prepare", "prepared"): ("trust",),
    ("switch", "prepared"): ("look", "switch", "leaves"),
    ("switch", "switched"): ("leaves",),
    ("retire", "switched"): ("look", "retire", "drop", "finish"),
    ("retire", "retiring"): ("drop", "finish"),
    ("retire", "steady"): (),
    ("abandon", "prepared"): ("look", "abandon", "drop", "finish"),
    ("abandon", "retiring"): ("drop", "finish"),
    ("abandon", "steady"): (),
}
# At which steps of the same run a cluster is seen before a step of the CA store.
_SEEN_AT: Mapping[str, tuple[Step, ...]] = {
    "abandon": ("look",),
    "switch": ("look", "trust"),
    "retire": ("look", "leaves"),
    "finish": ("drop",),
}
# Where each step leads, and where another run may have gone on to from there.
_PAST: Mapping[str, tuple[Phase, ...]] = {
    "prepare": ("prepared",),
    "switch": ("switched",),
    "retire": ("retiring", "steady"),
    "abandon": ("retiring", "steady"),
    "finish": ("steady",),
}
# Of each: why the phase is not possible now, and what to do.
_REFUSED: Mapping[tuple[str, Phase], tuple[str, str]] = {
    ("prepare", "switched"): (
        "the new root already issues, and the old one is still trusted",
        "run phase retire first",
    ),
    ("prepare", "retiring"): ("an earlier root may still be trusted somewhere", "repeat phase retire first"),
    ("switch", "steady"): ("no root is prepared", "run phase prepare first"),
    ("switch", "retiring"): ("no root is prepared, and one is being retired", "repeat phase retire"),
    ("retire", "prepared"): ("the old root still issues", "run phase switch first, or abandon"),
    ("abandon", "switched"): ("certificates of the new root are in service", "continue with phase retire"),
}


@dataclass(frozen=True)
class Sight:
    """What one side of one cluster showed in this run.

    :param surplus: names of our Secrets that no link needs: no step renews them, and a link may be in use still.
    :param step: at which step it was seen.
    :param method: how it was seen; C(exec) asks every ready pod, C(directory) is what an external server is to load.
    :param problem: what blocks every step: the condition, without a fix.
    :param trust: of each credential that trusts the custom CA, the fingerprints of the roots that it trusts and that
        every pod was seen to trust.
    :param issuers: fingerprints of the roots whose certificates are served; an empty text for a stranger's.
    :param state: of the roots, as the run has read it before.
    """

    cluster: str
    side: str
    step: str
    method: str
    trust: tuple[frozenset[str], ...]
    issuers: frozenset[str]
    surplus: tuple[str, ...] = ()
    problem: str = ""
    state: str = ""


def steps(phase: Phase, asked: str) -> tuple[Step, ...]:
    """The steps of a run. Without a phase asked for: all that are left, a whole rotation if none is under way."""
    if phase == "absent":
        return ()
    return _ONE_PHASE.get((asked, phase), ()) if asked else _TO_THE_END[phase]


def refusal(phase: Phase, asked: str, beyond_sight: Collection[str] = ()) -> Message | None:
    """Why the phase that was asked for is not possible now; None if it is.

    :param beyond_sight: links with an external server or foreign clients, which rely on the custom CA's roots.
    """
    if asked not in ASKED:
        fix = f"set it to one of {', '.join(ASKED[1:])}, or remove it"
        return Message.error("unknown-phase", where="mesh_rotate_phase", what=f"unknown phase {asked}", fix=fix)
    if phase == "absent":
        return Message.error(
            "no-ca",
            where="",
            what="there is no CA to rotate",
            fix="run playbook crossmesh.mtls.site first; if the clusters hold credentials of a CA that is lost for "
            "good, run this one with -e custom_ca_lost=true",
        )
    if beyond_sight and not asked:
        return Message.error(
            "external-needs-phases",
            where="",
            what=f"{', '.join(beyond_sight)}: no run can see what external servers and foreign clients trust",
            fix="run phase by phase (-e mesh_rotate_phase=prepare, then switch, then retire). Before the next phase, "
            "let each of them load what is new in its directory, or trust the roots that ca.crt of our Secrets then "
            "contains",
        )
    if (asked, phase) not in _REFUSED:
        return None
    why, fix = _REFUSED[asked, phase]
    return Message.error("phase-impossible", where="", what=f"phase {asked} is not possible now: {why}", fix=fix)


def is_gated(step: str) -> bool:
    """Whether anything has to be seen of clusters before a step."""
    return step in _SEEN_AT


def blockers(
    step: str,
    authority: Authority,
    sights: Sequence[Sight],
    clusters: Collection[str],
    records: Iterable[Record],
    revoked: Collection[str],
    instance: str,
    stale: Mapping[str, str] = MappingProxyType({}),
) -> list[Message]:
    """What has to be seen before a step and was not: an error for each cluster.

    :param clusters: every cluster that belongs to the mesh, as far as this run is told.
    :param instance: whose CA it is. What others have of it, from before they had their own, their gateways go on with.
    :param records: of certificates that have not expired: their holders count even where nobody names them any more.
    :param revoked: serials of certificates that nobody is entitled to.
    :param stale: clusters of other slices that were seen too long ago, with the time.
    """
    if not is_gated(step):
        return []
    sights = [sight for sight in sights if sight.step in _SEEN_AT[step]]
    found = []
    # To take a prepared root back, nobody has to be ready; but nobody may serve its certificates.
    if step != "abandon":
        mine = (record for record in records if record.instance == instance)
        holders = {record.cluster for record in mine if record.serial not in revoked}
        unseen = sorted({*clusters, *holders} - _whole(sights))
        found += [_unseen(cluster, cluster in clusters, stale.get(cluster, "")) for cluster in unseen]
    return [*found, *(error for sight in sights if (error := _behind(step, authority, sight)))]


def done_by_another(step: str, authority: Authority, seen: str) -> bool:
    """Whether a run over another slice has done a step of the store, from where this run has seen it.

    :param seen: the state that this run has read before the step.
    """
    if authority.phase not in _PAST.get(step, ()):
        return False
    return seen == authority.state or seen in _states_before(authority)


def _states_before(authority: Authority) -> Iterator[str]:
    """The states that it can have come from, as far as one phase of C(rotate_ca) goes."""
    trusted = tuple(root.fingerprint for root in authority.trusted)
    if authority.phase == "prepared":
        yield state_of("steady", trusted[:-1], ())
    elif authority.phase == "switched":
        yield state_of("prepared", trusted, ())
    elif authority.phase == "retiring":
        yield from _states_before_retiring(trusted, authority.retiring)
    for first in range(len(authority.retired) if authority.phase == "steady" else 0):
        gone = authority.retired[first:]
        yield state_of("retiring", trusted, gone)
        yield from _states_before_retiring(trusted, gone)


def _states_before_retiring(trusted: tuple[str, ...], gone: tuple[str, ...]) -> Iterator[str]:
    """Before an old root was retired, and before a prepared one was taken back."""
    yield state_of("switched", (*gone, *trusted), ())
    yield state_of("prepared", (*trusted, *gone), ())


def _whole(sights: Sequence[Sight]) -> set[str]:
    """The clusters of which both sides were seen: where one side's gate has failed, the other's tells nothing of it."""
    sides: dict[str, set[str]] = {}
    for sight in sights:
        sides.setdefault(sight.cluster, set()).add(sight.side)
    # An external server has one side only.
    external = {sight.cluster for sight in sights if sight.method == "directory"}
    return external | {cluster for cluster, seen in sides.items() if len(seen) == len(names.SIDES)}


def _unseen(cluster: str, named: bool, seen_at: str) -> Message:
    if link := _external_link(cluster):
        return Message.error(
            "external-unseen",
            where=place(cluster),
            what="its certificate has not expired, and this run did not read its directory",
            fix=f"restore link {link} in mesh_links with its external.ca, or revoke cluster {cluster} in "
            "custom_ca_revoked",
        )
    if seen_at:
        return Message.error(
            "cluster-seen-long-ago",
            where=place(cluster),
            what=f"a run over another slice has seen it at {seen_at}, which is longer ago than mesh_gate_max_age",
            fix="run the phase before once more over its slice (mesh_rotate_phase), then this one",
        )
    if named:
        return Message.error(
            "cluster-unseen",
            where=place(cluster),
            what="this run has not seen it at the phase before (unreachable, excluded by --limit, in another slice, "
            "or its gate failed)",
            fix="make it reachable, and run over all clusters",
        )
    return Message.error(
        "left-inventory",
        where=place(cluster),
        what="it has left the inventory, and one of its certificates has not expired",
        fix="add it to the inventory again, or revoke it in custom_ca_revoked",
    )


def place(cluster: str) -> str:
    """Who holds a certificate, for messages."""
    link = _external_link(cluster)
    return f"external server of link {link}" if link else f"cluster {cluster}"


def _external_link(cluster: str) -> str:
    """The link whose external server is meant; empty for a cluster."""
    link = cluster.removeprefix(names.external(""))
    return link if link != cluster else ""


def _behind(step: str, authority: Authority, sight: Sight) -> Message | None:
    """What blocks a step on a side that was seen; None where nothing does."""
    if step == "abandon":
        strange = sight.issuers & {authority.prepared.fingerprint if authority.prepared else ""}
        what, fix = "it serves certificates of the prepared root", "continue with phase switch"
        return _blocking("serves-prepared-root", sight, what, fix) if strange else None
    if sight.surplus:
        what = f"no link needs Secret {listed(sight.surplus)} any more, and no rotation renews it"
        return _blocking("surplus-secret", sight, what, "run playbook site, which removes it")
    if sight.problem:
        return _blocking("external-behind", sight, sight.problem, "make the server load the files of its directory")
    if not sight.trust and not sight.issuers:
        return None
    if sight.method not in ("exec", "directory"):
        what = "the trust of its gateway pods is not known"
        return _blocking("not-asked", sight, what, "make a pod ready, and allow exec there (docs/permissions.md)")
    return _out_of_step(step, authority, sight)


def _out_of_step(step: str, authority: Authority, sight: Sight) -> Message | None:
    if step == "switch":
        wanted = {root.fingerprint for root in authority.trusted}
        missing = set().union(*(wanted - trusted for trusted in sight.trust))
        what = f"it does not trust root {listed(map(short, missing))} yet"
        return _blocking("root-not-trusted", sight, what, "repeat phase prepare") if missing else None
    if step == "retire":
        strange = sight.issuers - {authority.issuing.fingerprint if authority.issuing else ""}
        what = "it serves certificates of another root"
        return _blocking("serves-old-root", sight, what, "repeat phase switch") if strange else None
    left = frozenset().union(*sight.trust) & set(authority.retiring)
    what = f"it still trusts root {listed(map(short, left))}"
    return _blocking("root-still-trusted", sight, what, "repeat phase retire") if left else None


def _blocking(code: str, sight: Sight, what: str, fix: str) -> Message:
    side = "" if _external_link(sight.cluster) else f", {sight.side}'s side"
    return Message.error(code, where=f"{place(sight.cluster)}{side}", what=what, fix=fix)


def sight_from_json(found: Mapping[str, Any]) -> Sight:
    """A sight as a task handed it over."""
    return Sight(
        cluster=found["cluster"],
        side=found["side"],
        step=found["step"],
        method=found["method"],
        trust=tuple(frozenset(item["roots"]) for item in found["trust"] if item["own"]),
        issuers=frozenset(found["issuers"]),
        surplus=tuple(found["surplus"]),
        problem=found.get("problem", ""),
        state=found.get("state", ""),
    )
