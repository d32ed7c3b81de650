# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the controller's clock may be from an API server's before nothing may be issued. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["BACKDATING", "CLOCK_LIMIT", "agreed", "clock_error", "clock_warning", "refuse_clock"]

# What a new certificate is backdated by: a controller's clock that runs an hour ahead then still issues what every
# gateway takes as valid. More would let a certificate predate its need.
BACKDATING = timedelta(hours=2)
# Clocks closer than this are as good as equal.
CLOCKS_AGREE = timedelta(minutes=1)
# With a clock that is ahead by nearly all of the backdating, what is issued would not be valid yet; one that is as far
# behind is no better.
CLOCK_LIMIT = BACKDATING - timedelta(minutes=10)
WHERE = "the controller's clock"


def clock_warning(ahead_seconds: float) -> Message | None:
    """What is reported before anything is issued; None where the clocks agree.

    :param ahead_seconds: by how much this machine's clock is ahead of the API server's.
    """
    if abs(timedelta(seconds=ahead_seconds)) <= CLOCKS_AGREE:
        return None
    return Message.warning("clock-apart", where=WHERE, what=_apart(ahead_seconds), fix="set the clock (NTP)")


def clock_error(ahead_seconds: float) -> Message | None:
    """What forbids to issue anything: ahead, it would not be valid yet; behind, it would expire too early."""
    if abs(timedelta(seconds=ahead_seconds)) < CLOCK_LIMIT:
        return None
    harm = "would not be valid yet" if ahead_seconds > 0 else "would expire too early, or be expired already"
    return Message.error(
        "clock-wrong",
        where=WHERE,
        what=f"{_apart(ahead_seconds)}: a certificate that is issued now {harm}",
        fix="set the clock (NTP), then run again",
    )


def refuse_clock(ahead_seconds: float) -> None:
    """The same for a caller that is about to issue.

    :raises CrossmeshError: nothing may be issued.
    """
    if fault := clock_error(ahead_seconds):
        raise CrossmeshError(fault)


def agreed(aheads: Iterable[float]) -> float:
    """By how much this machine's clock is ahead, as the middle one of all clocks has it: no single one decides.

    :param aheads: seconds, of each API server; this machine's own clock is one more. Where two are in the middle, as
        with a single API server, it is the one farther from this machine's: then nothing is issued.
    """
    clocks = sorted((0.0, *aheads))
    return max(clocks[(len(clocks) - 1) // 2], clocks[len(clocks) // 2], key=abs)


def _apart(ahead_seconds: float) -> str:
    minutes = abs(timedelta(seconds=ahead_seconds)) // timedelta(minutes=1)
    return f"{minutes} min {'ahead of' if ahead_seconds > 0 else 'behind'} the API server's"
