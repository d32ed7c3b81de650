# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reading says of the CA store: its public part, what is revoked, and why lists are to be made anew.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, authority_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import Grants, Removal, still_valid
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import CaReading, Revocation, StoreDoubts
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["NO_REVOCATION", "ca_reading", "still_holding"]

NO_REVOCATION: Revocation = {"revoked": [], "unmatched": [], "lists_due": "", "lists_wrong": False, "awaited": []}


def ca_reading(
    store: CaStore,
    authority: Authority,
    entries: Sequence[revocation.Entry],
    now: datetime,
    removal: Removal | None = None,
    records: Sequence[Record] | None = None,
    seen: Mapping[str, Mapping[str, str]] | None = None,
) -> CaReading:
    """Read what belongs to the authority that was read from the same store.

    :param removal: how far what was taken away is revoked; None where it is not.
    :param records: of unexpired certificates, and of what was seen in the cluster and is to be recorded: revocations
        reach it as well. None where it is for the store to tell.
    :param seen: witnesses of the store's state that the cluster keeps, as C(CaStore.doubts) asks for them.
    """
    revoked = _revocation(store, authority, entries, now, removal, records)
    return {"authority": authority_to_json(authority), "doubts": _doubts(store, seen or {}), **revoked}


def _doubts(store: CaStore, seen: Mapping[str, Mapping[str, str]]) -> StoreDoubts:
    found = store.doubts(seen)
    return {
        "rolled_back": [found.rolled_back.to_json()] if found.rolled_back else [],
        "later": found.later,
        "made_up": [warning.to_json() for warning in found.made_up],
    }


def still_holding(
    store: CaStore, grants: Grants, entries: Sequence[revocation.Entry], now: datetime, removal: Removal | None
) -> list[Message]:
    """A warning for every holder of certificates that are good for more than the inventory gives it.

    :param removal: as for C(ca_reading); what it is to revoke in this run counts as revoked where it was foreseen.
    """
    if store.public() is None:
        return []
    records, lists = store.records(now), tuple(store.lists().values())
    asked = [*entries, *(removal.entries(entries, records, lists, now) if removal and removal.foreseen else ())]
    refused = {item.serial for found in lists for item in found.revoked}
    refused |= revocation.revoked_serials(asked, records)
    return still_valid(records, grants, refused, now, removal=removal is not None)


def _revocation(
    store: CaStore,
    authority: Authority,
    entries: Sequence[revocation.Entry],
    now: datetime,
    removal: Removal | None,
    records: Sequence[Record] | None,
) -> Revocation:
    if not entries and not authority.lists and removal is None:
        return NO_REVOCATION
    records, lists = store.records(now) if records is None else records, store.lists()
    removed = removal.entries(entries, records, lists.values(), now) if removal else []
    asked = [*entries, *removed]
    wanted = revocation.wanted_lists(asked, records, authority.listed(now))
    return {
        "revoked": sorted(revocation.revoked_serials(asked, records)),
        "unmatched": [
            warning.to_json()
            for warning in (
                *revocation.unmatched(entries, records),
                *revocation.let_in_again(wanted, lists, records),
            )
        ],
        "lists_due": revocation.why_due(wanted, lists, now),
        "lists_wrong": revocation.are_wrong(wanted, lists, records),
        "awaited": revocation.awaited(entries, records, lists, removal.keeping(removed, records) if removal else ()),
    }
