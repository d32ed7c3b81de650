# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outcomes as a table."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Outcome


def line(outcome: Outcome) -> str:
    traffic = outcome.traffic
    columns = [
        f"{outcome.case.campaign:<7}",
        f"{outcome.case.name:<66}",
        f"{len(traffic.lost):>5} of {len(traffic.attempts):<6}",
        f"{len(traffic.broken_sessions):>3} of {len(traffic.sessions):<3}",
        f"{traffic.slowest:>7.2f}",
        f"{outcome.seconds:>7.0f}",
        "; ".join([*(f"FAULT: {fault}" for fault in outcome.faults), outcome.note]),
    ]
    return " ".join(columns)


def table(outcomes: Sequence[Outcome]) -> str:
    head = f"{'':<7} {'':<66} {'lost':<15} {'broken':<10} {'slowest':>7} {'seconds':>7}"
    return "\n".join([head, *map(line, outcomes), "", *_sums(outcomes)])


def _sums(outcomes: Sequence[Outcome]) -> list[str]:
    sums = []
    for campaign in dict.fromkeys(outcome.case.campaign for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.case.campaign == campaign]
        # Of a fault that takes connections away by itself nothing is expected but that it does.
        counted = [outcome.traffic for outcome in mine if not outcome.case.loses]
        lost, dialled = sum(len(traffic.lost) for traffic in counted), sum(len(traffic.attempts) for traffic in counted)
        broken = sum(len(traffic.broken_sessions) for traffic in counted)
        bad = sum(bool(outcome.faults) for outcome in mine)
        sums.append(
            f"{campaign}: {len(mine)} cases, {bad} not as they must be; "
            f"{lost} of {dialled} connections lost, {broken} held sessions broken"
        )
    return sums
