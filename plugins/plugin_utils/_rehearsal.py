# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of one side, tried on the API server before anything of it is written.

PRIVATE to the collection. Where there is nothing to write, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import read_quotas, try_all
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import NOTHING_FORESEEN, foresee
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan, make_plan, trials
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.rehearsal import NOTHING_TRIED, Rehearsal, judge

__all__ = ["rehearse", "rehearsed_plan"]


def rehearsed_plan(
    api: Api,
    reading: Reading,
    side: DesiredSide,
    manifests: Sequence[Manifest],
    authority: Authority,
    policy: Policy,
    now: datetime,
    surroundings: Surroundings | None,
) -> Plan:
    """What a run will do, after what others have there, and what the API server says of it.

    :param surroundings: None where nothing is to be foreseen.
    """
    made = partial(make_plan, reading, side, manifests, authority, policy, now)
    plan, foresight = made(), NOTHING_FORESEEN
    if surroundings:
        foresight = foresee(surroundings, reading, side, manifests, plan.work, policy)
        plan = made(foresight=foresight)
    found = rehearse(api, plan, reading, side, manifests, policy)
    return plan if found is NOTHING_TRIED else made(rehearsal=found, foresight=foresight)


def rehearse(
    api: Api, plan: Plan, reading: Reading, side: DesiredSide, manifests: Sequence[Manifest], policy: Policy
) -> Rehearsal:
    """:raises CrossmeshError: when the API server cannot be reached."""
    wanted = trials(plan, reading, side, policy)
    if not wanted:
        return NOTHING_TRIED
    outcomes = try_all(api, wanted)
    quotas = read_quotas(api, {trial.place.namespace for trial in wanted if trial.new})
    return judge(outcomes, quotas, manifests, reading["objects"])
