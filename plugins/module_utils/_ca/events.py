# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a CA store is to the audit journal. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.index import Index
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event, Value
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.restoration import Lack
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.storage import Change, Snapshot
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, timestamp

__all__ = ["begun", "events_of", "imported", "issued", "moved", "observed", "reconciled", "refused"]


def events_of(before: Snapshot | None, change: Change) -> Iterator[Event]:
    """What anybody can see of a change by what was there before.

    :param before: None where there was no CA.
    """
    if before is None:
        yield _made(change.index)
    elif not before.index.generation or before.index.instance != change.index.instance:
        yield Event("taken-over", {"records": len(change.ledger or ()), "instance": change.index.instance})
    else:
        root = change.index.issuing
        yield from (Event("rotation", {"step": step, "root": root}) for step in _steps(before.index, change.index))
    yield from _trust(before, change)
    yield from (Event("key-destroyed", {"root": root}) for root in change.destroyed)
    yield from _lists(before.lists if before else {}, change)


def begun(generation: int) -> Event:
    """The first entry: of what was done before there is none.

    :param generation: of the store that the journal begins in; 0 where the journal is as old as the store.
    """
    return Event("begun", {"generation": generation})


def imported(root: CertificateView) -> Event:
    """A root of the user's own, with its key, was brought in."""
    return Event("imported", {"root": root.fingerprint, "subject": root.subject})


def issued(record: Record, *, now: str) -> Event:
    """A certificate is about to be used, or was found in use without a record.

    :param now: ISO 8601; a certificate that was issued earlier was found.
    """
    fields = {
        "serial": record.serial,
        "fingerprint": record.fingerprint,
        "root": record.issuer,
        "instance": record.instance,
        "cluster": record.cluster,
        "side": record.side,
        "links": record.links,
        "place": record.secret,
        "not_after": record.not_after,
    }
    return Event("issued" if record.issued_at == now else "found", fields)


def reconciled(before: Snapshot, change: Change, lack: Lack) -> Event:
    """A store that came back from a backup goes on; what it did since the backup is not in its journal."""
    index = change.index
    after = replace(before, index=index, roots={root: before.roots[root] for root in index.trusted})
    fields: dict[str, Value] = {
        "generation": before.index.generation,
        "seen": lack.later.generation if lack.later else before.index.generation,
        "unseen": lack.unseen,
        "phase": after.authority.phase,
    }
    return Event("reconciled", fields)


def moved(before: str, after: str) -> Event:
    """The store is about to be kept elsewhere.

    :param before: the place that it leaves.
    """
    return Event("moved", {"from": before, "to": after})


def observed(clusters: Sequence[str]) -> Event:
    """Gates of other runs may count on what this one has seen of its clusters."""
    return Event("observed", {"clusters": clusters})


def refused(action: str, error: CrossmeshError, *, instance: str, cluster: str) -> Event:
    """A run was stopped.

    :param action: the module that refused.
    :param cluster: the host that the task was for.
    """
    codes = list(dict.fromkeys(message.code for message in error.messages))
    fields = {"action": action, "codes": codes, "where": error.message.where}
    return Event("refused", {**fields, "instance": instance, "cluster": cluster})


def _made(index: Index) -> Event:
    return Event("recovered" if index.keyless else "created", {"root": index.prepared or index.issuing})


def _steps(before: Index, after: Index) -> Iterator[str]:
    """Which steps of a rotation lie between the two, in their order: one at most, but where a store is reconciled."""
    if after.issuing != before.issuing:
        yield "switch"
    elif after.prepared != before.prepared:
        yield "prepare" if after.prepared else "abandon"
        # The root that was given up is in C(retiring) by that alone.
        return
    if after.retiring != before.retiring:
        yield "retire" if after.retiring else "finish"


def _trust(before: Snapshot | None, change: Change) -> Iterator[Event]:
    """Roots that enter the bundle of all clusters, or leave it."""
    had: Collection[str] = before.index.trusted if before and before.index.generation else ()
    known = {**(before.roots if before else {}), **{root.fingerprint: root for root in change.roots}}
    entered = [root for root in change.index.trusted if root not in had]
    gone = [root for root in had if root not in change.index.trusted]
    yield from (Event("root-trusted", {"root": root, "subject": known[root].subject}) for root in entered)
    yield from (Event("root-removed", {"root": root, "subject": known[root].subject}) for root in gone)


def _lists(had: Mapping[str, Crl], change: Change) -> Iterator[Event]:
    for root, number in change.index.lists.items():
        if root in change.lists:
            revoked = len(change.lists[root].revoked)
            yield Event("crl", {"root": root, "number": number, "revoked": revoked})
    if had and not change.index.lists:
        yield Event("crls-removed", {"roots": list(had)})
    for root in change.index.trusted:
        # A list that goes with its root lets nobody in again.
        before = _by_serial(had.get(root))
        after = _by_serial({**had, **change.lists}.get(root) if root in change.index.lists else None)
        for serial in sorted(after.keys() - before.keys()):
            found = after[serial]
            fields = {"serial": serial, "root": root, "reason": found.reason, "since": timestamp(found.date)}
            yield Event("revoked", fields)
        yield from (
            Event("revocation-ended", {"serial": serial, "root": root}) for serial in sorted(before.keys() - after)
        )


def _by_serial(found: Crl | None) -> dict[str, Revoked]:
    return {item.serial: item for item in found.revoked} if found else {}
