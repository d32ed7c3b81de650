# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of clusters and of links: what failed, what the run did not cover, and what is in order. Pure.

PRIVATE to the collection. A check fails where the playbook fails for it. So what verify fails for, others only tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSideJson, standing
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.attempts import NOT_MADE, Attempt, case_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import Case, Suite

__all__ = ["ClusterRun", "Kind", "Scope", "cluster_suites", "link_suites"]

Kind = Literal["verify", "apply", "look"]

_NOT_COVERED = "not looked at in this run (--limit, or another part of the inventory)"
# Of a link: nothing is known to be wrong with it.
_UNKNOWN = ("not proven", "not asked")


@dataclass(frozen=True)
class ClusterRun:
    """What a run has seen of a cluster, and done there.

    :param look: C(none) where the run is not over this cluster.
    :param errors: what forbids to write.
    :param settled: whether the look found nothing to do.
    :param faults: what gateways do not do of links; C(unserved), what they do not serve.
    :param lines: what differs from the inventory, or was to be written.
    :param attempts: by the name of a check: what the run has tried.
    :param stopped: why the run left it out, beside all that.
    :param links: how each side of each link stands there, seen last.
    """

    name: str
    look: Attempt
    errors: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    drifted: bool = False
    served: bool = True
    settled: bool = False
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    links: Sequence[LinkSideJson] = ()

    @property
    def seen(self) -> bool:
        return self.look.end == "done"

    def attempt(self, check: str) -> Attempt:
        return self.attempts.get(check, NOT_MADE)


@dataclass(frozen=True)
class Scope:
    """What the checks of a run can be about.

    :param kind: C(verify): everything has to be as the inventory says; C(apply): the run makes it so; C(look): clusters
        are only looked at.
    :param check: whether the run wrote nothing (C(--check)).
    :param only: names of the links that the run works on; empty for all.
    """

    kind: Kind
    check: bool = False
    only: Collection[str] = ()

    @property
    def strict(self) -> bool:
        return self.kind == "verify"


def cluster_suites(clusters: Sequence[ClusterRun], scope: Scope) -> list[Suite]:
    return [Suite("cluster", found.name, tuple(_cluster_cases(found, scope))) for found in clusters]


def _cluster_cases(found: ClusterRun, scope: Scope) -> Iterator[Case]:
    if found.look.end == "none":
        yield case_of("look", "skipped", [_NOT_COVERED])
        return
    yield _attempted("look", found.look)
    if not found.seen or scope.kind == "look":
        return
    yield case_of("plan", "failed" if found.errors else "passed", found.errors or (() if scope.strict else found.lines))
    yield from _strict_cases(found) if scope.strict else _attempts(found, scope)
    if found.stopped:
        yield case_of("turn", "failed", found.stopped)


def _strict_cases(found: ClusterRun) -> Iterator[Case]:
    yield case_of("drift", "failed" if found.drifted else "passed", found.lines if found.drifted else ())
    proof = found.attempt("proof")
    wrong = (*found.faults, *(() if found.served else found.unserved), *(proof.told if proof.end == "failed" else ()))
    failed = wrong or proof.end == "failed" or not found.served
    yield case_of("proof", "failed" if failed else "passed", wrong)
    yield case_of("alarms", "failed" if found.alarms else "passed", found.alarms)


def _attempts(found: ClusterRun, scope: Scope) -> Iterator[Case]:
    for check in ("credentials", "manifests"):
        yield _attempted(check, found.attempt(check), none="nothing was to be written, or the run stopped before")
    proof = found.attempt("proof")
    if scope.check and proof.end != "failed":
        yield case_of("proof", "skipped", ["nothing is proven in check mode"])
    elif proof.end == "none" and found.settled and found.served:
        # The look has seen it, and there was nothing to do.
        yield case_of("proof", "passed")
    else:
        yield _attempted("proof", proof, none="the run stopped before")


def _attempted(check: str, attempt: Attempt, none: str = "") -> Case:
    if attempt.end == "none":
        return case_of(check, "skipped", [none])
    return case_of(check, "failed", attempt.told) if attempt.end == "failed" else case_of(check, "passed")


# -- links ---------------------------------------------------------------------------------------------------------


def link_suites(
    ends: Mapping[str, Sequence[tuple[str, str]]], clusters: Sequence[ClusterRun], scope: Scope
) -> list[Suite]:
    """:param ends: cluster and side of both ends of each link of the inventory; external servers are checked apart."""
    known = {found.name: found for found in clusters}
    return [
        Suite("link", link, tuple(_end(link, cluster, side, known.get(cluster), scope) for cluster, side in of_link))
        for link, places in sorted(ends.items())
        if (of_link := [place for place in places if not place[0].startswith(names.external(""))])
    ]


def _end(link: str, cluster: str, side: str, found: ClusterRun | None, scope: Scope) -> Case:
    check = f"{side} in {cluster}"
    if scope.only and link not in scope.only:
        return case_of(check, "skipped", ["not covered by this run: it is not in mesh_only_links"])
    if found is None or not found.seen:
        failed = found is not None and found.look.end == "failed"
        return case_of(check, "skipped", [f"{cluster} could not be looked at" if failed else _NOT_COVERED])
    sides = [item for item in found.links if (item["link"], item["side"]) == (link, side)]
    return _standing(check, link, sides, found, scope)


def _standing(check: str, link: str, sides: Sequence[LinkSideJson], found: ClusterRun, scope: Scope) -> Case:
    if not sides:
        return case_of(check, "skipped", ["this run was not about this side"])
    word, bad = standing(sides)
    if not bad:
        return case_of(check, "passed")
    code = next((item["refused"] or item["cause"] for item in bad), "")
    told = [line for line in (*found.faults, *found.attempt("proof").told) if line.startswith(f"link {link}, ")]
    messages = told or [f"{word} [{code}]" if code else word]
    return case_of(check, "failed" if _fails(word, found, scope) else "skipped", messages)


def _fails(word: str, found: ClusterRun, scope: Scope) -> bool:
    if word in _UNKNOWN:
        return False
    return scope.strict or word == "refused" or found.attempt("proof").end == "failed"
