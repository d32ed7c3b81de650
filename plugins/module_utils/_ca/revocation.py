# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(custom_ca_revoked) means: its faults, the lists that follow from it, and when they are due. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, Revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

__all__ = [
    "ALARM",
    "KINDS",
    "RENEW",
    "VALIDITY",
    "Entry",
    "alarm",
    "are_wrong",
    "check_size",
    "let_in_again",
    "revoked_serials",
    "unmatched",
    "wanted_lists",
    "why_due",
]

Kind: TypeAlias = Literal["cluster", "link", "serial", "fingerprint"]
KINDS: tuple[Kind, ...] = ("cluster", "link", "serial", "fingerprint")

# A list past its nextUpdate refuses everybody, so it is to outlast months of missed runs, and somebody has to be told
# while months are left. A list that lasts less than VALIDITY is taken for one that its root's end cut short.
VALIDITY = timedelta(days=365)
RENEW = timedelta(days=240)
ALARM = timedelta(days=120)

# Kubernetes refuses a Secret of 1 MiB; bundle, certificate and key need their part of it.
LARGEST = 900_000
LARGE = 500_000

_RENEW_NOW = "run playbook site, and find out why no run has renewed it; if its root ends then, run rotate_ca"

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
            return self.value in record.links
        return self.value == {
            "cluster": record.cluster,
            "serial": record.serial,
            "fingerprint": record.fingerprint,
        }.get(self.kind)

    def revokes(self, record: Record) -> bool:
        """Tell whether the certificate is revoked by this entry."""
        return self.names(record) and record.issued_at <= timestamp(self.until)


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


def unmatched(entries: Iterable[Entry], records: Iterable[Record]) -> list[str]:
    """One line for every entry that may not do what was meant: a typing error, or a date before its certificate."""
    records = tuple(records)
    lines = []
    for entry in entries:
        if _unknown_serial(entry, records):
            lines.append(
                f"{_NAME}: {entry}: it is not recorded, and listed all the same. Cure: see that it is written right"
            )
            continue
        if any(entry.revokes(record) for record in records):
            continue
        later = sorted(record.issued_at for record in records if entry.names(record))
        why = f"the first that is recorded was issued at {later[0]}" if later else "no such certificate is recorded"
        lines.append(f"{_NAME}: {entry}: revokes nothing: {why}")
    return lines


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
            return f"root {root} has no revocation list yet"
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
) -> list[str]:
    """One line for every certificate that was revoked, still lasts, and is in no entry any more."""
    asked = {item.serial for revoked in wanted.values() for item in revoked}
    held = {item.serial for crl in current.values() for item in crl.revoked}
    return [
        f"certificate {record.serial} (cluster {record.cluster}, {record.side}, until {record.not_after}) is no more "
        f"in {_NAME}, and is accepted again once the lists are made anew"
        for record in records
        if record.serial in held - asked
    ]


def _why_anew(revoked: Iterable[Revoked], crl: Crl, now: datetime) -> str:
    wanted = {(item.serial, item.reason) for item in revoked}
    held = {(item.serial, item.reason) for item in crl.revoked}
    if wanted != held:
        return f"what is revoked has changed: had {len(held)} certificates, want {len(wanted)}"
    # Where the root's end has cut the list short, a new one would end no later: each run would make one.
    cut_short = crl.next_update - crl.this_update < VALIDITY
    if now > crl.next_update - RENEW and not cut_short:
        return f"the revocation list ends at {timestamp(crl.next_update)}"
    return ""


def alarm(crls: Iterable[Crl], now: datetime) -> list[str]:
    """One line for every list that should have been renewed long ago."""
    return [f"{crl.issuer}: {_ending(crl, now)}. Cure: {_RENEW_NOW}." for crl in crls if crl.next_update - now < ALARM]


def _ending(crl: Crl, now: datetime) -> str:
    end = timestamp(crl.next_update)
    if now < crl.next_update:
        return f"the revocation list ends at {end}; from then on every certificate of this root is refused"
    return f"the revocation list ended at {end}; every certificate of this root is refused"


def check_size(bundle: str, *, where: str) -> str:
    """Return a warning where the lists come near to what a Secret can hold, else nothing.

    :param bundle: the lists of all trusted roots, as they stand in C(ca.crl).
    :param where: the store or Secret, for messages.
    :raises CrossmeshError: they would not fit.
    """
    size = len(bundle.encode())
    cure = "rotate the root (playbook rotate_ca): its list starts anew, and the old one goes with the old root"
    if size > LARGEST:
        raise CrossmeshError(
            what="The revocation lists do not fit into a Secret",
            where=where,
            why=f"they have {size} bytes, and no more than {LARGEST} leave room for certificates below the 1 MiB "
            "that Kubernetes allows",
            cure=cure,
        )
    return f"{where}: the revocation lists have {size} of {LARGEST} bytes. Cure: {cure}." if size > LARGE else ""
