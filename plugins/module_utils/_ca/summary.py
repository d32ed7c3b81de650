# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reading says of the CA store: its public part, what is revoked, and why lists are to be made anew.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, authority_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import CaReading, Revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore

__all__ = ["NO_REVOCATION", "ca_reading"]

NO_REVOCATION: Revocation = {"revoked": [], "unmatched": [], "lists_due": "", "lists_wrong": False, "awaited": []}


def ca_reading(store: CaStore, authority: Authority, entries: Sequence[revocation.Entry], now: datetime) -> CaReading:
    """Read what belongs to the authority that was read from the same store."""
    return {"authority": authority_to_json(authority), **_revocation(store, authority, entries, now)}


def _revocation(store: CaStore, authority: Authority, entries: Sequence[revocation.Entry], now: datetime) -> Revocation:
    if not entries and not authority.lists:
        return NO_REVOCATION
    records = store.records(now)
    wanted, lists = revocation.wanted_lists(entries, records, authority.listed(now)), store.lists()
    return {
        "revoked": sorted(revocation.revoked_serials(entries, records)),
        "unmatched": [
            warning.to_json()
            for warning in (
                *revocation.unmatched(entries, records),
                *revocation.let_in_again(wanted, lists, records),
            )
        ],
        "lists_due": revocation.why_due(wanted, lists, now),
        "lists_wrong": revocation.are_wrong(wanted, lists, records),
        "awaited": revocation.awaited(entries, records, lists),
    }
