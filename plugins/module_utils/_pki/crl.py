# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate revocation lists as values: made, read and checked (RFC 5280 section 5). No clock, no files, no API.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    authority_identifier,
    root_not_valid,
    signature_hash,
)

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
except ImportError:
    # x509.HAS_CRYPTOGRAPHY tells.
    pass

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, PrivateKey

__all__ = ["REASONS", "Crl", "Revoked", "issue_crl", "parse_crls", "signed_by"]

# RFC 5280 section 5.3.1, without the reasons that are about a CA, an attribute or a delta list, and without
# certificateHold: what was held once could be let in again, and its key may be copied by then.
REASONS = (
    "unspecified",
    "keyCompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
)

_BEGIN = b"-----BEGIN X509 CRL-----"
_BLOCK = re.compile(_BEGIN + rb".*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True)
class Revoked:
    """One entry of a list; ``serial`` is lower-case hexadecimal, as in ``CertificateView``."""

    serial: str
    date: datetime
    reason: str


@dataclass(frozen=True)
class Crl:
    """One list of one issuer; ``revoked`` is sorted by serial, ``aki`` is hexadecimal."""

    pem: str
    issuer: str
    aki: str | None
    number: int
    this_update: datetime
    next_update: datetime
    revoked: tuple[Revoked, ...]

    @property
    def identity(self) -> str:
        """What tells the list from every other one: a number is an issuer's own, and a restored store may repeat it."""
        return f"{self.issuer} number {self.number} {hashlib.sha256(self.pem.encode()).hexdigest()[:16]}"


def issue_crl(
    *,
    root: CertificateView,
    key: PrivateKey,
    revoked: Iterable[Revoked],
    number: int,
    validity: timedelta,
    now: datetime,
) -> Crl:
    """Make a root's list (RFC 5280 section 5.1).

    :param revoked: each serial once; a date after C(this_update) becomes that.
    :param number: higher than that of every list before (section 5.2.3).
    :param validity: from now; the list ends with its root where that is earlier.
    :raises CrossmeshError: the root is not valid now.
    """
    moment = now.astimezone(UTC).replace(microsecond=0)
    this_update = max(moment - BACKDATING, root.not_before)
    next_update = min(moment + validity, root.not_after)
    if not root.not_before <= moment < root.not_after:
        raise CrossmeshError(root_not_valid(root, moment))
    issuer = x509.load_pem_x509_certificate(root.pem.encode())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(authority_identifier(issuer), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for item in sorted(revoked, key=lambda item: item.serial):
        # A list speaks of what was when it was made (section 5.1.2.6), and this one says that it is older than it is.
        dated = replace(item, date=min(item.date, this_update))
        builder = builder.add_revoked_certificate(_entry(dated))
    return _read(builder.sign(key, signature_hash(key)))


def parse_crls(pem: str | bytes, *, where: str) -> tuple[Crl, ...]:
    """Read one list or several, joined as Istio takes them in C(ca.crl).

    :param where: the origin, for the error.
    :raises CrossmeshError: a list is damaged or cut off, lacks what RFC 5280 section 5 demands, or there is none.
    """
    data = pem.encode(errors="replace") if isinstance(pem, str) else pem
    blocks = _BLOCK.findall(data)
    try:
        lists = tuple(_read(x509.load_pem_x509_crl(block)) for block in blocks)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise _damaged(where, str(error).partition("\n")[0]) from error
    except x509.ExtensionNotFound as error:
        raise _damaged(where, "it has no number (RFC 5280 section 5.2.3)") from error
    if not lists or len(lists) != data.count(_BEGIN):
        raise _damaged(where, "a CRL in it is cut off" if _BEGIN in data else "it holds no CRL in PEM form")
    return lists


def signed_by(crl: Crl, root: CertificateView) -> bool:
    """Tell whether the root's key signed the list and the list names that key."""
    if not root.is_ca or crl.issuer != root.subject or crl.aki != root.ski:
        return False
    public_key = x509.load_pem_x509_certificate(root.pem.encode()).public_key()
    try:
        return x509.load_pem_x509_crl(crl.pem.encode()).is_signature_valid(public_key)  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _entry(item: Revoked) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(item.serial, 16))
        .revocation_date(item.date.astimezone(UTC).replace(microsecond=0))
    )
    # RFC 5280 section 5.3.1: rather no reason than an unspecified one.
    if item.reason != "unspecified":
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(item.reason)), critical=False)
    return builder.build()


def _read(crl: x509.CertificateRevocationList) -> Crl:
    if crl.next_update_utc is None:
        raise ValueError("it has no nextUpdate (RFC 5280 section 5.1.2.5)")
    return Crl(
        pem=crl.public_bytes(serialization.Encoding.PEM).decode(),
        issuer=crl.issuer.rfc4514_string(),
        aki=_issuing_key(crl),
        number=crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        revoked=tuple(sorted(map(_revoked, crl), key=lambda item: item.serial)),
    )


def _issuing_key(crl: x509.CertificateRevocationList) -> str | None:
    try:
        identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None
    return identifier.hex() if identifier else None


def _revoked(entry: x509.RevokedCertificate) -> Revoked:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        reason = "unspecified"
    return Revoked(serial=f"{entry.serial_number:x}", date=entry.revocation_date_utc, reason=reason)


def _damaged(where: str, why: str) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "unreadable-crl",
            where=where,
            what=f"the CRL cannot be read: {why or 'not a PEM CRL'}",
            fix="restore it from a backup, or remove it so that a new one is made",
        )
    )
