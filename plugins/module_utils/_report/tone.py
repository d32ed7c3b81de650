# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How urgent something is, in the four words that colours and filters go by. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.links import UNKNOWN
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Link

__all__ = ["TONES", "Tone", "of_days", "of_link", "worst"]

Tone = Literal["bad", "due", "unknown", "ok"]
# The most urgent first.
TONES: tuple[Tone, ...] = ("bad", "due", "unknown", "ok")


def of_link(link: Link, renew_before: int) -> Tone:
    """:param renew_before: days before its end at which a certificate is to be renewed."""
    if link.state in UNKNOWN:
        return "unknown"
    return of_days(link.days_left, renew_before) if link.state == "up" else "bad"


def of_days(days: int | None, renew_before: int) -> Tone:
    """Of something that ends in so many days; None where that is not known."""
    if days is None:
        return "unknown"
    if days < 0:
        return "bad"
    return "due" if days < renew_before else "ok"


def worst(tones: Iterable[Tone]) -> Tone:
    return min(tones, key=TONES.index, default="ok")
