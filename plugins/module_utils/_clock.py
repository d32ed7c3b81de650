# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the controller's clock may be from an API server's before nothing may be issued. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError

__all__ = ["BACKDATING", "CLOCK_LIMIT", "clock_errors", "clock_warnings", "refuse_clock"]

# What a new certificate is backdated by: a controller's clock that runs an hour ahead then still issues what every
# gateway takes as valid. More would let a certificate predate its need.
BACKDATING = timedelta(hours=2)
# Clocks closer than this are as good as equal.
CLOCKS_AGREE = timedelta(minutes=1)
# With a clock that is ahead by nearly all of the backdating, what is issued would not be valid yet; one that is as far
# behind is no better.
CLOCK_LIMIT = BACKDATING - timedelta(minutes=10)


def clock_warnings(ahead_seconds: float) -> list[str]:
    """What is said before anything is issued.

    :param ahead_seconds: by how much this machine's clock is ahead of the API server's.
    """
    if abs(timedelta(seconds=ahead_seconds)) <= CLOCKS_AGREE:
        return []
    return [f"the clock of this controller is {_apart(ahead_seconds)} the API server's"]


def clock_errors(ahead_seconds: float) -> list[str]:
    """What forbids to issue anything: ahead, it would not be valid yet; behind, it would end too early."""
    if abs(timedelta(seconds=ahead_seconds)) < CLOCK_LIMIT:
        return []
    harm = "would not be valid yet" if ahead_seconds > 0 else "would end too early, or have ended"
    return [
        f"the clock of this controller is {_apart(ahead_seconds)} the API server's: what it issues {harm}. "
        "Cure: set the clock (NTP), then run again"
    ]


def refuse_clock(ahead_seconds: float, *, where: str) -> None:
    """The same for whoever is about to issue.

    :raises CrossmeshError: nothing may be issued.
    """
    for line in clock_errors(ahead_seconds):
        why, _separator, cure = line.partition(". Cure: ")
        raise CrossmeshError(what="the clock of this controller is wrong", where=where, why=why, cure=cure)


def _apart(ahead_seconds: float) -> str:
    minutes = abs(timedelta(seconds=ahead_seconds)) // timedelta(minutes=1)
    return f"{minutes} min {'ahead of' if ahead_seconds > 0 else 'behind'}"
