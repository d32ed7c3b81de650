# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan after what others have there and what the API server says of it: the one sequence of site and preflight.

PRIVATE to the collection. Pure, but for the question that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Answers, Trial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import NOTHING_FORESEEN, Foresight, foresee
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan, Work, make_plan, trials
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.rehearsal import (
    NOTHING_TRIED,
    Rehearsal,
    as_kept,
    judge,
)

__all__ = ["Case", "Outlook", "look_ahead"]


@dataclass(frozen=True)
class Case:
    """What a plan is made of.

    :param surroundings: None where nothing is to be foreseen.
    """

    reading: Reading
    side: DesiredSide
    manifests: Sequence[Manifest]
    authority: Authority
    policy: Policy
    now: datetime
    surroundings: Surroundings | None = None

    def plan(self, foresight: Foresight = NOTHING_FORESEEN, rehearsal: Rehearsal = NOTHING_TRIED) -> Plan:
        made_of = (self.reading, self.side, self.manifests, self.authority, self.policy, self.now)
        return make_plan(*made_of, rehearsal=rehearsal, foresight=foresight)

    def foresight(self, work: Work) -> Foresight:
        if self.surroundings is None:
            return NOTHING_FORESEEN
        return foresee(self.surroundings, self.reading, self.side, self.manifests, work, self.policy)


@dataclass(frozen=True)
class Outlook:
    """:param plan: what a run will do.
    :param tried: what of it the API server was asked about.
    """

    plan: Plan
    foresight: Foresight
    rehearsal: Rehearsal
    tried: Sequence[Trial] = ()


def look_ahead(case: Case, ask: Callable[[Sequence[Trial]], Answers]) -> Outlook:
    """Where there is nothing to write, nothing is asked."""
    plan, foresight = case.plan(), NOTHING_FORESEEN
    if case.surroundings:
        foresight = case.foresight(plan.work)
        plan = case.plan(foresight)
    wanted = trials(plan, case.reading, case.side, case.policy)
    if not wanted:
        return Outlook(plan, foresight, NOTHING_TRIED)
    answers = ask(wanted)
    rehearsal = judge(answers.outcomes, answers.quotas, case.manifests, case.reading["objects"])
    if rehearsal.kept:
        # Istio goes by what is kept, not by what was sent.
        foresight = replace(case, manifests=as_kept(case.manifests, rehearsal.kept)).foresight(plan.work)
    return Outlook(case.plan(foresight, rehearsal), foresight, rehearsal, wanted)
