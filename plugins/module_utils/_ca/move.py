# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move a CA store on by one step of a root rotation, or publish revocation lists, once its gate is open.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import restoration, revocation, rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, moved_on
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import (
    Outcome,
    Wanted,
    make_root,
    no_ca,
    public_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import Removal
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.observed import fresh
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import refuse_clock
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    parse_certificates,
    timestamp,
)

__all__ = ["OBSERVE", "RECONCILE", "STEPS", "TAKE_OVER", "Move", "move"]

# No step of a rotation: it makes a store of an earlier release one that the others read.
TAKE_OVER = "take_over"
# Neither is this: it makes a store that came back from a backup one that is no older than what the clusters hold.
RECONCILE = "reconcile"
# Nor this: it keeps what was seen, for the gates of runs over other slices.
OBSERVE = "observe"


@dataclass(frozen=True)
class Move:
    """One step of the store.

    :param seen: the state of the store that the caller has seen; it moves from no other. C(recover) and C(publish) ask
        for none.
    :param wanted: the next root, for C(prepare) and C(recover).
    :param instance: whose clusters these are.
    :param clusters: names of all clusters that belong to the mesh.
    :param clock_ahead: seconds by which the controller's clock is ahead, as a majority of all clocks has it.
    :param named: fingerprints of the roots that are to be trusted, for C(take_over).
    :param removal: how far what was taken away is revoked; None where it is not.
    :param unrecorded: what was seen in the clusters and the store has no record of; C(publish) records it, and so does
        C(reconcile).
    :param held: what else they hold, for C(reconcile).
    :param restored: the generation of the copy that the operator has restored, for C(reconcile); empty for none.
    :param lost: PEM of the roots that the clusters hold, for C(recover).
    :param elsewhere: those of C(clusters) that are in other slices: what other runs have seen of them counts.
    :param looked_at: clusters that this run has looked at, for C(observe).
    :param longest: how old what other runs have seen may be.
    """

    step: str
    seen: str
    passphrase: str
    wanted: Wanted
    sights: Sequence[rotation.Sight]
    instance: str
    clusters: Sequence[str]
    revoked: Sequence[revocation.Entry]
    lost: Sequence[str]
    keep_keys: bool
    clock_ahead: int = 0
    named: Sequence[str] = ()
    removal: Removal | None = None
    unrecorded: Sequence[Record] = ()
    held: Sequence[restoration.Held] = ()
    restored: str = ""
    elsewhere: Sequence[str] = ()
    looked_at: Sequence[str] = ()
    longest: timedelta = timedelta()


def move(store: CaStore, work: Move, *, now: datetime, check_mode: bool) -> Outcome:
    """Do the step, or say everything that it waits for.

    :raises CrossmeshError: before anything is changed.
    """
    if work.step == TAKE_OVER:
        return _take_over(store, work, check_mode)
    before = store.public()
    if before is None and work.step != "recover":
        raise CrossmeshError(no_ca(store.where))
    refuse_clock(work.clock_ahead)
    if before is not None and work.step == RECONCILE:
        return _reconcile(store, work, before, now, check_mode)
    if before is not None and work.step == OBSERVE:
        return _observe(store, work, before, now, check_mode)
    if before is not None and (ended := _ended(store, before, work, now)):
        return ended
    if check_mode:
        if work.step in ("prepare", "recover") and work.wanted.source:
            make_root(work.wanted, now)
        public, changes = public_of(store, before), work.step != "publish" or _lists_due(store, before, work, now)
        message = f"would {work.step}" if changes else "the CRLs are up to date"
        return Outcome(changes, message, public, before=public, after=public)
    after = _taken(store, work, now)
    changed = before is None or (after.state, after.lists) != (before.state, before.lists)
    return Outcome(
        changed, _message(work.step, after), public_of(store, after), public_of(store, before), public_of(store, after)
    )


def _ended(store: CaStore, before: Authority, work: Move, now: datetime) -> Outcome | None:
    """The outcome where there is no step to take: a run over another slice has done it, or will do it.

    :raises CrossmeshError: the step is blocked.
    """
    if work.elsewhere and rotation.done_by_another(work.step, before, work.seen):
        return _unchanged(store, before, _message(work.step, before))
    try:
        waiting = _blocked(store, before, work, now)
    except CrossmeshError as error:
        # Its gate was read later: with the step of a quicker slice, all that was seen before it is void.
        if error.message.code == "rotation-blocked" and (after := _done_meanwhile(store, work)):
            return _unchanged(store, after, _message(work.step, after))
        raise
    return _unchanged(store, before, waiting) if waiting else None


def _unchanged(store: CaStore, authority: Authority, message: str) -> Outcome:
    public = public_of(store, authority)
    return Outcome(False, message, public, before=public, after=public)


def _taken(store: CaStore, work: Move, now: datetime) -> Authority:
    """The authority after the step; in a slice, also where another one was quicker with it."""
    try:
        return _WORK[work.step](store, work, now)
    except CrossmeshError as error:
        if error.message.code == "another-run" and (after := _done_meanwhile(store, work)):
            return after
        raise


def _done_meanwhile(store: CaStore, work: Move) -> Authority | None:
    """The authority after this very step, where a run over another slice has done it since."""
    after = store.public() if work.elsewhere else None
    return after if after is not None and rotation.done_by_another(work.step, after, work.seen) else None


def _observe(store: CaStore, work: Move, before: Authority, now: datetime, check_mode: bool) -> Outcome:
    if not check_mode:
        store.observe(work.passphrase, work.looked_at, work.sights, now=now)
    return _unchanged(store, before, "what was seen of the clusters is kept for runs over other slices")


def _take_over(store: CaStore, work: Move, check_mode: bool) -> Outcome:
    if not (store.unsigned() or store.of_another()):
        authority = store.public()
        if authority is None:
            raise CrossmeshError(no_ca(store.where))
        public = public_of(store, authority)
        message = "the store has the format of this release, and is this instance's"
        return Outcome(False, message, public, before=public, after=public)
    public = public_of(store, store.take_over(work.passphrase, work.named, look=check_mode))
    message = "would take over the store" if check_mode else "the store is taken over: its index is signed now"
    return Outcome(True, message, public, before={}, after=public)


def _reconcile(store: CaStore, work: Move, before: Authority, now: datetime, check_mode: bool) -> Outcome:
    found = restoration.Found(work.held, work.unrecorded, work.clusters, work.instance, work.revoked)
    lack = store.reconcile(work.passphrase, found, confirmed=work.restored, now=now, look=check_mode)
    public, now_there = public_of(store, before), store.public() or before
    if lack is None:
        return Outcome(False, "the store lacks nothing that the clusters hold", public, before=public, after=public)
    after, words = public_of(store, now_there), "would go on" if check_mode else "goes on"
    said = "; ".join([f"the store {words} from the restored copy, in phase {now_there.phase}", *restoration.told(lack)])
    return Outcome(True, said, after, before=public, after=after)


def _blocked(store: CaStore, authority: Authority, work: Move, now: datetime) -> str:
    """What the last step of a phase waits for in other slices, whose runs take it then; empty where nothing does.

    :raises CrossmeshError: the step is blocked.
    """
    if not rotation.is_gated(work.step):
        return ""
    records = store.records(now)
    revoked = revocation.revoked_serials(_asked(store, work, records, now), records)
    gone = revocation.given_up(work.revoked, [record for record in records if record.instance == work.instance])
    sights = [sight for sight in work.sights if sight.cluster not in gone]
    clusters = [cluster for cluster in work.clusters if cluster not in gone]
    elsewhere = frozenset(work.elsewhere).difference(gone)
    kept = store.observations(authority) if elsewhere else {}
    kept = {cluster: found for cluster, found in kept.items() if cluster in elsewhere}
    counted = fresh(kept, now, work.longest)
    stale = {cluster: timestamp(found.at) for cluster, found in kept.items() if cluster not in counted}
    seen = [*sights, *(sight for found in counted.values() for sight in found.sights)]
    blocked = rotation.blockers(work.step, authority, seen, clusters, records, revoked, work.instance, stale)
    if blocked and work.step == "finish" and elsewhere:
        here = [cluster for cluster in clusters if cluster not in elsewhere]
        own = [record for record in records if record.cluster not in elsewhere]
        if not rotation.blockers(work.step, authority, sights, here, own, revoked, work.instance):
            return _waiting(authority, blocked)
    if blocked:
        head = Message.error(
            "rotation-blocked",
            where=store.where,
            what=f"the root rotation stays in phase {authority.phase}: step {work.step} is blocked",
            fix="fix the errors below, then run again over all clusters; until then links keep working",
        )
        raise CrossmeshError(head, *blocked)
    return ""


def _waiting(authority: Authority, blocked: Sequence[Message]) -> str:
    clusters = listed(message.where for message in blocked)
    return (
        f"phase {authority.phase}: this slice is done; the key of the root that leaves is destroyed once runs over the "
        f"other slices have seen {clusters} trust it no more"
    )


def _prepare(store: CaStore, work: Move, now: datetime) -> Authority:
    key, certificate = make_root(work.wanted, now)
    authority, root = store.public(), parse_certificates(certificate)[0]
    if authority:
        _refuse_known(store, work, root, authority.known, authority.trusted)
    imported = work.wanted.source is not None
    return store.prepare(work.passphrase, key, certificate, seen=work.seen, now=now, imported=imported)


def _refuse_known(
    store: CaStore, work: Move, root: CertificateView, known: Collection[str], trusted: Iterable[CertificateView]
) -> None:
    """Verifiers find an issuer and its list by name: two roots of one name are not told apart."""
    if root.fingerprint not in known and root.subject not in {item.subject for item in trusted}:
        return
    raise CrossmeshError(
        Message.error(
            "root-in-service",
            where=work.wanted.source.certificate if work.wanted.source else store.where,
            what="this root is already in service; a rotation needs a root with another key and another name",
            fix="set custom_ca_import_certificate and custom_ca_import_key to the next root, or remove them to create "
            "one. If the store of this root was lost, run playbook crossmesh.mtls.site, which uses the root again",
        )
    )


def _recover(store: CaStore, work: Move, now: datetime) -> Authority:
    lost = {view.fingerprint: view for pem in work.lost for view in parse_certificates(pem, where="the clusters")}
    if not lost:
        raise CrossmeshError(
            Message.error(
                "no-ca-lost",
                where=store.where,
                what="no CA was lost: no cluster holds a credential of this collection",
                fix="run playbook crossmesh.mtls.site, which creates a CA",
            )
        )
    key, certificate = make_root(work.wanted, now)
    _refuse_known(store, work, parse_certificates(certificate)[0], lost, lost.values())
    imported = work.wanted.source is not None
    return store.recover(work.passphrase, key, certificate, list(lost.values()), imported=imported)


def _publish(store: CaStore, work: Move, now: datetime) -> Authority:
    published = store.publish(work.passphrase, lambda authority: _lists(store, authority, work, now), now=now)
    if lost := _lost(store.records(now), work):
        after = store.record(lost, store.signer(work.passphrase), now, after=published)
        if after is None:
            raise moved_on(store.where)
    return published


def _lists(store: CaStore, authority: Authority, work: Move, now: datetime) -> dict[str, tuple[Revoked, ...]]:
    records = store.records(now)
    records += _lost(records, work)
    return revocation.wanted_lists(_asked(store, work, records, now), records, authority.listed(now))


def _lost(records: Sequence[Record], work: Move) -> list[Record]:
    known = {record.serial for record in records}
    return [record for record in work.unrecorded if record.serial not in known]


def _asked(store: CaStore, work: Move, records: Sequence[Record], now: datetime) -> list[revocation.Entry]:
    """What the inventory revokes: by its entries, and by what it gives nobody any more."""
    removed = work.removal.entries(work.revoked, records, store.lists().values(), now) if work.removal else ()
    return [*work.revoked, *removed]


def _lists_due(store: CaStore, authority: Authority | None, work: Move, now: datetime) -> bool:
    return authority is not None and bool(revocation.why_due(_lists(store, authority, work, now), store.lists(), now))


_WORK: dict[str, Callable[[CaStore, Move, datetime], Authority]] = {
    "prepare": _prepare,
    "switch": lambda store, work, _now: store.switch(work.passphrase, seen=work.seen),
    "retire": lambda store, work, _now: store.retire(work.passphrase, seen=work.seen),
    "finish": lambda store, work, _now: store.finish(work.passphrase, seen=work.seen, keep_keys=work.keep_keys),
    "abandon": lambda store, work, _now: store.abandon(work.passphrase, seen=work.seen),
    "recover": _recover,
    "publish": _publish,
}
STEPS = (*_WORK, TAKE_OVER, RECONCILE, OBSERVE)


def _message(step: str, after: Authority) -> str:
    issuing = after.issuing.subject if after.issuing else "none"
    if step == "publish":
        count = sum(len(item.revoked) for item in after.lists)
        return f"{count} certificates are revoked" if after.lists else "nothing is revoked"
    prepared = f", next {after.prepared.subject}" if after.prepared else ""
    return f"phase {after.phase}: issuing {issuing}{prepared}"
