# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How urgent something is, in the four words that colours and filters go by. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.links import UNKNOWN
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import (
    Event,
    Link,
    Renewal,
    Report,
    RevocationList,
)

__all__ = ["TONES", "Tone", "of_crl", "of_days", "of_event", "of_link", "worst"]

Tone = Literal["bad", "due", "unknown", "ok"]
# The most urgent first.
TONES: tuple[Tone, ...] = ("bad", "due", "unknown", "ok")
_OF_RENEWAL: Mapping[Renewal, Tone] = {"not due": "ok", "due": "due", "overdue": "bad"}


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


def of_event(event: Event, report: Report) -> Tone:
    """Of something that ends, as verify tells it: what is an alarm there is a problem here."""
    if event.kind == "certificate":
        return of_days(event.days_left, report.renew_before_days)
    if event.kind == "crl":
        return worst(of_crl(crl) for crl in report.crls if crl.root == event.identity)
    issuing = any(root.fingerprint == event.identity and root.role == "issuing" for root in report.roots)
    return "bad" if event.days_left < (report.renew_before_days if issuing else 0) else "ok"


def of_crl(crl: RevocationList) -> Tone:
    return _OF_RENEWAL[crl.renewal]


def worst(tones: Iterable[Tone]) -> Tone:
    return min(tones, key=TONES.index, default="ok")
