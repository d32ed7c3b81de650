# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, roots and CRLs as a report has them. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, mappings, moment
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    algorithms_of,
    timestamp,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import issuer_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import (
    Certificate,
    Renewal,
    RevocationList,
    Revoked,
    Root,
    RootRole,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import (
    EndPlace,
    Sources,
    StoredCertificate,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._typed_json import flat_value

__all__ = ["Register", "days_until", "register_of", "revocation_lists", "roots_of"]

_HOUR = timedelta(hours=1)
# SHA-256.
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def days_until(moment: datetime, now: datetime) -> int:
    """Whole days, rounded down: one that has expired an hour ago is at -1."""
    return (moment - now).days


class Register:
    """All certificates, and which one each end of a link presents."""

    def __init__(self, certificates: Mapping[str, Certificate], presented: Mapping[tuple[str, EndPlace], str]) -> None:
        self._certificates = certificates
        self._presented = presented

    def at(self, link: str, end: EndPlace) -> Certificate | None:
        """The certificate of a link's end; None where it has none."""
        fingerprint = self._presented.get((link, end))
        return self._certificates.get(fingerprint) if fingerprint else None

    def all(self) -> tuple[Certificate, ...]:
        """By holder, the one that ends last first."""
        newest_first = sorted(self._certificates.values(), key=lambda item: item.not_after, reverse=True)
        return tuple(sorted(newest_first, key=lambda item: (item.cluster, item.side, item.key_location)))


def register_of(sources: Sources) -> Register:
    """What was read where it is used, what only the records know, and what they know no more since it has expired."""
    stored = dict(_stored(sources))
    held = {found.view.fingerprint: (end, found) for (_link, end), found in stored.items()}
    presented = {where: found.view.fingerprint for where, found in stored.items()}
    presented |= dict(_recorded(sources, stored))
    read = {*held, *(record.fingerprint for record in sources.records)}
    remembered = dict(_remembered(sources, presented, read))
    presented |= {where: item.fingerprint for where, item in remembered.items()}
    links: dict[str, set[str]] = defaultdict(set)
    for (link, _end), fingerprint in presented.items():
        links[fingerprint].add(link)
    written = {record.fingerprint: record for record in sources.records}
    ages = _ages(sources.records)
    revoked = {item.serial for found in _lists(sources.authority) for item in found.revoked}
    forgotten = {item.fingerprint: item for item in remembered.values()}
    certificates = forgotten | {record.fingerprint: _of_record(record, sources) for record in sources.records}
    for fingerprint, (end, found) in held.items():
        certificates[fingerprint] = _of_view(found, end, written.get(fingerprint), sources)
    return Register(
        {
            fingerprint: replace(
                item,
                links=tuple(sorted(links[fingerprint])) if fingerprint in links else item.links,
                renewed=ages.get(fingerprint, 0),
                revoked=item.serial in revoked,
                next_due=_due(item, sources) if fingerprint in links else "",
                # Gates ask the records, which have no expired one.
                waits=fingerprint in links
                and fingerprint not in forgotten
                and _is_of_another_root(item, sources.authority),
            )
            for fingerprint, item in certificates.items()
        },
        presented,
    )


def _stored(sources: Sources) -> Iterator[tuple[tuple[str, EndPlace], StoredCertificate]]:
    """The certificates that were read, by link and end."""
    for (link, end), side in sources.standings():
        if found := sources.sights[end.cluster].stored.get((side["side"], side["secret"])):
            yield (link, end), found
    for link, found in sources.external.items():
        yield (link, EndPlace(names.external(link), "server")), found


def _recorded(
    sources: Sources, stored: Mapping[tuple[str, EndPlace], StoredCertificate]
) -> Iterator[tuple[tuple[str, EndPlace], str]]:
    """The last certificate that was issued to an end which this run has not seen."""
    last = {
        (link, record.cluster, record.side): record.fingerprint for record in sources.records for link in record.links
    }
    for link, ends in sources.topology.ends.items():
        for end in ends:
            fingerprint = last.get((link, end.cluster, end.side))
            if fingerprint and (link, end) not in stored and end.cluster not in sources.sights:
                yield (link, end), fingerprint


def _remembered(
    sources: Sources, known: Container[tuple[str, EndPlace]], read: Container[str]
) -> Iterator[tuple[tuple[str, EndPlace], Certificate]]:
    """What the last report had in use in a cluster which this run has not seen, and no record tells of any more.

    :param known: ends of which the certificate is known.
    :param read: fingerprints of all that were read.
    """
    missing: dict[tuple[str, str, str], EndPlace] = {
        (link, end.cluster, end.side): end
        for link, ends in sources.topology.ends.items()
        for end in ends
        if end.cluster in sources.topology.clusters and end.cluster not in sources.sights and (link, end) not in known
    }
    if not missing:
        return
    for item in _certificates_of(sources.previous, read):
        left = days_until(datetime.fromisoformat(item.not_after), sources.now)
        for link in item.links:
            if end := missing.get((link, item.cluster, item.side)):
                yield (link, end), replace(item, days_left=left, in_service=False)


def _certificates_of(report: Json, others: Container[str]) -> Iterator[Certificate]:
    """Those that another report had in use: a file that anybody may have edited, which holds what we write, or nothing.

    :param others: fingerprints that none of them may have.
    """
    found: dict[str, Certificate] = {}
    for entry in mappings(report.get("certificates")):
        item = flat_value(Certificate, entry)
        if (
            item
            and item.next_due
            and _FINGERPRINT.fullmatch(item.fingerprint)
            and item.fingerprint not in others
            and moment(item.not_before)
            and moment(item.not_after)
        ):
            found.setdefault(item.fingerprint, item)
    yield from found.values()


def _ages(records: Sequence[Record]) -> dict[str, int]:
    """How many certificates were issued to the place of each before it, by fingerprint."""
    issued: dict[tuple[str, str, str], int] = defaultdict(int)
    found = {}
    for record in records:
        place = (record.cluster, record.side, record.secret)
        found[record.fingerprint] = issued[place]
        issued[place] += 1
    return found


def _due(certificate: Certificate, sources: Sources) -> str:
    return timestamp(datetime.fromisoformat(certificate.not_after) - sources.settings.renew_before)


def _is_of_another_root(certificate: Certificate, authority: Authority | None) -> bool:
    """Whether a root of ours has issued it, and another one issues now."""
    issuing = authority.issuing if authority else None
    return issuing is not None and certificate.root not in ("", issuing.fingerprint)


def _of_view(found: StoredCertificate, end: EndPlace, record: Record | None, sources: Sources) -> Certificate:
    view, made_of = found.view, algorithms_of(found.view)
    return Certificate(
        fingerprint=view.fingerprint,
        serial=view.serial,
        subject=view.subject,
        issuer=view.issuer,
        names=view.sans,
        usage=view.eku,
        not_before=timestamp(view.not_before),
        not_after=timestamp(view.not_after),
        days_left=days_until(view.not_after, sources.now),
        key_algorithm=made_of.key,
        key_size=made_of.bits,
        key_type=view.key_type,
        signature_algorithm=made_of.signature,
        root=issuer_of(view, sources.authority) if sources.authority else "",
        cluster=end.cluster,
        side=end.side,
        links=(),
        key_location=found.location,
        issued=record.issued_at if record else "",
        renewed=0,
        next_due="",
        in_service=True,
        revoked=False,
        waits=False,
    )


def _of_record(record: Record, sources: Sources) -> Certificate:
    return Certificate(
        fingerprint=record.fingerprint,
        serial=record.serial,
        subject="",
        issuer="",
        names=record.sans,
        usage=(),
        not_before=record.not_before,
        not_after=record.not_after,
        days_left=days_until(datetime.fromisoformat(record.not_after), sources.now),
        key_algorithm="",
        key_size=0,
        key_type="",
        signature_algorithm="",
        root=record.issuer,
        cluster=record.cluster,
        side=record.side,
        links=record.links,
        key_location=sources.location(record),
        issued=record.issued_at,
        renewed=0,
        next_due="",
        in_service=False,
        revoked=False,
        waits=False,
    )


def roots_of(authority: Authority | None, store: str, now: datetime) -> tuple[Root, ...]:
    """The issuing root first, then the prepared one."""
    if authority is None:
        return ()
    roles: tuple[RootRole, ...] = ("issuing", "prepared", "trusted")
    found = [_root(view, _role(view.fingerprint, authority), store, now) for view in authority.trusted]
    return tuple(sorted(found, key=lambda root: roles.index(root.role)))


def _role(fingerprint: str, authority: Authority) -> RootRole:
    if authority.issuing and fingerprint == authority.issuing.fingerprint:
        return "issuing"
    return "prepared" if authority.prepared and fingerprint == authority.prepared.fingerprint else "trusted"


def _root(view: CertificateView, role: RootRole, store: str, now: datetime) -> Root:
    made_of = algorithms_of(view)
    return Root(
        fingerprint=view.fingerprint,
        serial=view.serial,
        subject=view.subject,
        role=role,
        not_before=timestamp(view.not_before),
        not_after=timestamp(view.not_after),
        days_left=days_until(view.not_after, now),
        key_algorithm=made_of.key,
        key_size=made_of.bits,
        key_type=view.key_type,
        signature_algorithm=made_of.signature,
        key_location=f"CA store {store}, encrypted",
    )


def revocation_lists(authority: Authority | None, now: datetime) -> tuple[RevocationList, ...]:
    """Every CRL, with the root whose key signed it."""
    roots = {view.ski: view.fingerprint for view in authority.trusted} if authority else {}
    return tuple(
        RevocationList(
            root=roots.get(found.aki, ""),
            issuer=found.issuer,
            number=found.number,
            this_update=timestamp(found.this_update),
            next_update=timestamp(found.next_update),
            age_hours=(now - found.this_update) // _HOUR,
            days_left=days_until(found.next_update, now),
            next_due=timestamp(due) if (due := revocation.renewal_due(found)) else "",
            renewal=_renewal(found, now),
            revoked=tuple(Revoked(item.serial, timestamp(item.date), item.reason) for item in found.revoked),
        )
        for found in _lists(authority)
    )


def _renewal(found: Crl, now: datetime) -> Renewal:
    """As verify tells it."""
    if revocation.is_overdue(found, now):
        return "overdue"
    due = revocation.renewal_due(found)
    return "due" if due and now > due else "not due"


def _lists(authority: Authority | None) -> Sequence[Crl]:
    return authority.lists if authority else ()
