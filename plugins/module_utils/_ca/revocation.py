# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(custom_ca_revoked) means: the lists that follow from it, and when they are due. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = [
    "ALARM",
    "KINDS",
    "RENEW",
    "VALIDITY",
    "Entry",
    "alarms",
    "are_wrong",
    "awaited",
    "check_size",
    "given_up",
    "is_overdue",
    "let_in_again",
    "links_of",
    "renewal_due",
    "revoked_serials",
    "unmatched",
    "wanted_lists",
    "why_due",
]

Kind: TypeAlias = Literal["cluster", "link", "serial", "fingerprint"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# A list past its nextUpdate refuses everybody, so it is to outlast months of missed runs, and somebody has to be told
# while months are left. A list that lasts less than VALIDITY is taken for one that its root's end cut short.
VALIDITY = timedelta(days=365)
RENEW = timedelta(days=240)
ALARM = timedelta(days=120)

# Kubernetes refuses a Secret of 1 MiB; bundle, certificate and key need their part of it.
LARGEST = 900_000
LARGE = 500_000

_RENEW_NOW = (
    "run playbook site, and find out why no run renewed it; if its root expires at the same time, run rotate_ca"
)

_NAME = "custom_ca_revoked"


@dataclass(frozen=True)
class Entry:
    """What one entry revokes: every certificate of ``value`` that was issued up to ``until``, that second included.

    Serials and fingerprints are lower-case hexadecimal without colons, as in records.
    """

    kind: Kind
    value: str
    reason: str
    until: datetime

    def __str__(self) -> str:
        return f"{self.kind} {self.value} up to {timestamp(self.until)}"

    def names(self, record: Record) -> bool:
        """Tell whether the certificate is of this cluster, link, serial or fingerprint, whenever it was issued."""
        if self.kind == "link":
            return self.value in links_of(record)
        return self.value == {
            "cluster": record.cluster,
            "serial": record.serial,
            "fingerprint": record.fingerprint,
        }.get(self.kind)

    def revokes(self, record: Record) -> bool:
        """Tell whether the certificate is revoked by this entry."""
        return self.names(record) and record.issued_at <= timestamp(self.until)


def links_of(record: Record) -> frozenset[str]:
    """The links that a certificate is good for: those of its record, and those that its names give a client."""
    named = (names.link_of(san) for san in record.sans) if record.side == "client" else ()
    return frozenset({*record.links, *filter(None, named)})


# -- what follows from it ------------------------------------------------------------------------------------------


def wanted_lists(
    entries: Iterable[Entry], records: Iterable[Record], roots: Sequence[str]
) -> dict[str, tuple[Revoked, ...]]:
    """What every root's list is to hold; nothing where nothing is revoked.

    A verifier that has a list for one root refuses all certificates of a root that it has none for. So there is a list
    for each of them, an empty one too, or none at all.

    :param records: of unexpired certificates; those of other roots are passed over.
    :param roots: fingerprints of the trusted roots.
    """
    entries, records = tuple(entries), tuple(records)
    found: dict[str, dict[str, Revoked]] = {root: {} for root in roots}
    # The earliest last, so that it is what remains.
    for entry in sorted(entries, key=lambda entry: entry.until, reverse=True):
        if _unknown_serial(entry, records):
            for revoked in found.values():
                revoked[entry.value] = Revoked(entry.value, entry.until, entry.reason)
        for record in records:
            if record.issuer in found and entry.revokes(record):
                found[record.issuer][record.serial] = Revoked(record.serial, entry.until, entry.reason)
    if not any(found.values()):
        return {}
    return {root: tuple(revoked[serial] for serial in sorted(revoked)) for root, revoked in found.items()}


def revoked_serials(entries: Iterable[Entry], records: Iterable[Record]) -> frozenset[str]:
    """The serials of all revoked certificates, whichever root issued them."""
    entries, records = tuple(entries), tuple(records)
    known = {record.serial for record in records if any(entry.revokes(record) for entry in entries)}
    return frozenset(known | {entry.value for entry in entries if _unknown_serial(entry, records)})


def awaited(
    entries: Iterable[Entry], records: Iterable[Record], current: Mapping[str, Crl], keeping: Collection[str] = ()
) -> list[str]:
    """Holders that are to get another certificate before lists come out that revoke the one they have.

    An entry for a whole link is about some holder of it, and the others are still entitled. Who is named himself is not
    waited for: he could put off his revocation by what he shows or withholds.

    :param entries: of C(custom_ca_revoked).
    :param current: the list of each root, by its fingerprint; what it revokes is refused already.
    :param keeping: serials that are revoked without an entry, by which their holders have what they are given still.
    """
    entries = tuple(entries)
    listed = {item.serial for crl in current.values() for item in crl.revoked}
    return sorted(
        {
            record.cluster
            for record in records
            if record.serial not in listed
            and (record.serial in keeping or any(entry.revokes(record) for entry in entries))
            and not _is_named(entries, record)
        }
    )


def given_up(entries: Iterable[Entry], records: Iterable[Record]) -> frozenset[str]:
    """Holders that are named themselves with all that they have: no step of a rotation waits for them."""
    entries, held = tuple(entries), dict[str, list[bool]]()
    for record in records:
        held.setdefault(record.cluster, []).append(_is_named(entries, record))
    return frozenset(cluster for cluster, named in held.items() if all(named))


def _is_named(entries: Iterable[Entry], record: Record) -> bool:
    """Tell whether an entry for this holder, or for this very certificate, revokes it."""
    return any(entry.kind != "link" and entry.revokes(record) for entry in entries)


def unmatched(entries: Iterable[Entry], records: Iterable[Record]) -> list[Message]:
    """A warning for every entry that may not do what was meant: a typing error, or a date before its certificate."""
    records = tuple(records)
    return [warning for entry in entries if (warning := _doubt(entry, records))]


def _doubt(entry: Entry, records: Sequence[Record]) -> Message | None:
    where = f"{_NAME}: {entry}"
    if _unknown_serial(entry, records):
        return Message.warning(
            "unrecorded-serial",
            where=where,
            what="no certificate with this serial is recorded; the CRL lists it anyway",
            fix="check the serial for typing errors",
        )
    if any(entry.revokes(record) for record in records):
        return None
    later = sorted(record.issued_at for record in records if entry.names(record))
    why = f"the first matching certificate was issued at {later[0]}" if later else "no matching certificate is recorded"
    return Message.warning(
        "revokes-nothing",
        where=where,
        what=f"revokes nothing: {why}",
        fix="correct the entry, or remove it once its certificates have expired",
    )


def _unknown_serial(entry: Entry, records: Iterable[Record]) -> bool:
    return entry.kind == "serial" and not any(map(entry.names, records))


# -- when lists are due --------------------------------------------------------------------------------------------


def why_due(wanted: Mapping[str, tuple[Revoked, ...]], current: Mapping[str, Crl], now: datetime) -> str:
    """Say why the lists have to be made anew or dropped; empty where they are as they should be.

    :param wanted: of C(wanted_lists).
    :param current: the list of each root, by its fingerprint.
    """
    if not wanted:
        return "nothing is revoked any more" if current else ""
    for root, revoked in wanted.items():
        if root not in current:
            return f"root {short(root)} has no CRL yet"
        reason = _why_anew(revoked, current[root], now)
        if reason:
            return f"{reason} ({current[root].issuer})"
    return ""


def are_wrong(wanted: Mapping[str, tuple[Revoked, ...]], current: Mapping[str, Crl], records: Iterable[Record]) -> bool:
    """Tell whether somebody is let in who must not be, or the other way round.

    Lists that are only old, or that still name certificates that have expired since, are due and not wrong.
    """
    unexpired = {record.serial for record in records}
    held = {root: {item.serial for item in crl.revoked} for root, crl in current.items()}
    for root in {*wanted, *current}:
        serials = {item.serial for item in wanted.get(root, ())}
        if root not in held or serials - held[root] or (held[root] - serials) & unexpired:
            return True
    return False


def let_in_again(
    wanted: Mapping[str, tuple[Revoked, ...]], current: Mapping[str, Crl], records: Iterable[Record]
) -> list[Message]:
    """A warning for every certificate that was revoked, has not expired, and is in no entry any more."""
    asked = {item.serial for revoked in wanted.values() for item in revoked}
    held = {item.serial for crl in current.values() for item in crl.revoked}
    return [
        Message.warning(
            "valid-again",
            where=f"certificate {record.serial} (cluster {record.cluster}, {record.side}, until {record.not_after})",
            what=f"no entry of {_NAME} revokes it any more; gateways accept it again once the next CRL is published",
            fix="restore the entry, unless gateways should accept the certificate",
        )
        for record in records
        if record.serial in held - asked
    ]


def _why_anew(revoked: Iterable[Revoked], crl: Crl, now: datetime) -> str:
    wanted = {(item.serial, item.reason) for item in revoked}
    held = {(item.serial, item.reason) for item in crl.revoked}
    if wanted != held:
        return f"the revoked certificates have changed: had {len(held)}, want {len(wanted)}"
    due = renewal_due(crl)
    return f"the CRL expires at {timestamp(crl.next_update)}" if due and now > due else ""


def renewal_due(crl: Crl) -> datetime | None:
    """When a list is to be made anew; None where its root's end has cut it short, so that a new one ends no later."""
    return None if crl.next_update - crl.this_update < VALIDITY else crl.next_update - RENEW


def is_overdue(crl: Crl, now: datetime) -> bool:
    """Whether a list should have been made anew long ago."""
    return crl.next_update - now < ALARM


def alarms(crls: Iterable[Crl], now: datetime) -> list[Message]:
    """An alarm for every list that should have been renewed long ago."""
    return [
        Message.alarm("crl-expires", where=crl.issuer, what=_ending(crl, now), fix=_RENEW_NOW)
        for crl in crls
        if is_overdue(crl, now)
    ]


def _ending(crl: Crl, now: datetime) -> str:
    end = timestamp(crl.next_update)
    if now < crl.next_update:
        return f"the CRL expires at {end}; from then on gateways refuse every certificate of this root"
    return f"the CRL expired at {end}; gateways refuse every certificate of this root"


def check_size(bundle: str, *, where: str) -> Message | None:
    """Return a warning where the lists come near to what a Secret can hold.

    :param bundle: the lists of all trusted roots, as they stand in C(ca.crl).
    :param where: the store or Secret, for messages.
    :raises CrossmeshError: they would not fit.
    """
    size = len(bundle.encode())
    fix = "rotate the root (playbook rotate_ca): a new root has an empty CRL, and the old CRL goes with the old root"
    if size > LARGEST:
        what = (
            f"the CRLs have {size} bytes and do not fit into a Secret: at most {LARGEST} leave room for certificates "
            "(Kubernetes allows 1 MiB)"
        )
        raise CrossmeshError(Message.error("crl-too-large", where=where, what=what, fix=fix))
    if size > LARGE:
        return Message.warning(
            "crl-large", where=where, what=f"the CRLs have {size} bytes; the maximum is {LARGEST}", fix=fix
        )
    return None
