# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public record of one issued certificate: who holds it, for what, until when.

Revocation and the gates of a root rotation are derived from these records: each exists before its certificate is used.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView

__all__ = ["Record", "record_from_json", "record_of"]


@dataclass(frozen=True)
class Record:
    """One certificate; ``issuer`` is the fingerprint of its root, times are ISO 8601 in UTC."""

    serial: str
    fingerprint: str
    sans: tuple[str, ...]
    instance: str
    cluster: str
    side: str
    links: tuple[str, ...]
    secret: str
    not_before: str
    not_after: str
    issuer: str
    issued_at: str

    def expired(self, now: datetime) -> bool:
        """Tell whether nobody can use the certificate any more."""
        return self.not_after <= timestamp(now)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the file."""
        return asdict(self)


def record_of(
    leaf: CertificateView,
    *,
    issuer: CertificateView,
    instance: str,
    cluster: str,
    side: str,
    links: Iterable[str],
    secret: str,
    now: datetime,
) -> Record:
    """Describe a certificate that was just issued."""
    return Record(
        serial=leaf.serial,
        fingerprint=leaf.fingerprint,
        sans=leaf.sans,
        instance=instance,
        cluster=cluster,
        side=side,
        links=tuple(links),
        secret=secret,
        not_before=timestamp(leaf.not_before),
        not_after=timestamp(leaf.not_after),
        issuer=issuer.fingerprint,
        issued_at=timestamp(now),
    )


def record_from_json(data: object, *, where: str) -> Record:
    """Read a record back. ``where`` names the file in the error."""
    names = {field.name for field in fields(Record)}
    if not isinstance(data, dict) or set(data) != names:
        raise _unreadable(where, f"does not have the keys {listed(names)}")
    if wrong := [name for name in names if not _is_sound(name, data[name])]:
        raise _unreadable(where, f"holds what it cannot under {listed(wrong)}")
    return Record(**{**data, "sans": tuple(data["sans"]), "links": tuple(data["links"])})


def _is_sound(name: str, value: object) -> bool:
    if name in ("sans", "links"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str)


def _unreadable(where: str, what: str) -> CrossmeshError:
    fix = "restore the file from a backup, or remove it if its certificate is not in use"
    return CrossmeshError(
        Message.error("unreadable-record", where=where, what=f"the record of an issued certificate {what}", fix=fix)
    )
