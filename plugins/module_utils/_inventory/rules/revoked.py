# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of C(custom_ca_revoked), and its entries. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import KINDS, Entry
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import Finding, nearest, show
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import REASONS
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import fingerprint_from, timestamp

__all__ = ["AS_OPENSSL", "NO_FINGERPRINT", "check_revoked", "entries_of", "entries_or_refusal"]

_NAME = "custom_ca_revoked"
_MOST_SERIAL_DIGITS = 40
# What is wrong with a fingerprint that is none, and what to do.
NO_FINGERPRINT = "is not a SHA-256 fingerprint of 64 hexadecimal digits"
AS_OPENSSL = "write it as `openssl x509 -noout -fingerprint -sha256` shows it, without the part before the ="
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
# What a list can hold as a date (RFC 5280 section 5.1.2.4: UTCTime begins here).
_FIRST_DATE = datetime(1950, 1, 1, tzinfo=UTC)


def check_revoked(value: object, now: datetime) -> list[Finding]:
    """Return everything that is wrong with the list."""
    if not isinstance(value, list):
        return [Finding.of("type", _NAME, _NAME, show(value), "is not a list", "write a list; [] revokes nothing")]
    return [finding for index, entry in enumerate(value) for finding in _check_entry(f"{_NAME}[{index}]", entry, now)]


def entries_of(value: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Read a list in which C(check_revoked) finds nothing wrong."""
    return tuple(_entry_of(entry) for entry in value)


def entries_or_refusal(value: Any, now: datetime) -> tuple[Entry, ...]:
    """Read a list that nobody has checked yet.

    :raises CrossmeshError: with all that is wrong with it.
    """
    findings = check_revoked(value, now)
    if findings:
        raise CrossmeshError(*findings)
    return entries_of(value)


def _entry_of(entry: Mapping[str, Any]) -> Entry:
    kind = next(kind for kind in KINDS if entry.get(kind) is not None)
    value = _hexadecimal(entry[kind]) if kind in ("serial", "fingerprint") else entry[kind]
    return Entry(
        kind=kind,
        value=value.lstrip("0") if kind == "serial" else value,
        reason=entry.get("reason") or "unspecified",
        until=_until(entry["date"]),
    )


def _check_entry(subject: str, entry: object, now: datetime) -> Iterator[Finding]:
    if not isinstance(entry, Mapping):
        fix = "write a mapping, e.g. {cluster: NAME, date: " + timestamp(now) + "}"
        yield Finding.of("type", subject, "entry", show(entry), "is not a mapping", fix)
        return
    yield from _check_keys(subject, entry)
    yield from _check_kind(subject, entry)
    yield from _check_reason(subject, entry)
    yield from _check_date(subject, entry, now)


def _check_keys(subject: str, entry: Mapping[str, object]) -> Iterator[Finding]:
    known = [field.name for field in schema.REVOKED]
    for key in entry:
        if key not in known:
            yield Finding.of("unknown-key", subject, str(key), "", "unknown key", nearest(key, known))


def _check_kind(subject: str, entry: Mapping[str, object]) -> Iterator[Finding]:
    given = [kind for kind in KINDS if entry.get(kind) is not None]
    choice = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
    if not given:
        what = "the entry names nothing to revoke"
        yield Finding.of("revoked-what", subject, "entry", show(dict(entry)), what, f"add one of {choice}")
    elif len(given) > 1:
        what = "the entry names more than one thing to revoke"
        fix = f"write separate entries, each with one of {choice}"
        yield Finding.of("revoked-what", subject, ", ".join(given), show(dict(entry)), what, fix)
    for kind in given:
        value = entry[kind]
        if not isinstance(value, str):
            # YAML takes bare digits, with colons too, for a number in whatever base.
            yield Finding.of("type", subject, kind, show(value), "is not text", "put it in quotes")
        elif not value.strip():
            yield Finding.of(f"revoked-{kind}", subject, kind, show(value), "is empty", "set it, or remove the entry")
        elif kind == "serial":
            yield from _check_serial(subject, value)
        elif kind == "fingerprint":
            yield from _check_fingerprint(subject, value)


def _check_serial(subject: str, value: str) -> Iterator[Finding]:
    digits = _hexadecimal(value).lstrip("0")
    if not _HEX.fullmatch(digits):
        what = "is not a positive hexadecimal number"
        fix = "write it as `openssl x509 -noout -serial` shows it, without serial="
        yield Finding.of("revoked-serial", subject, "serial", show(value), what, fix)
    elif len(digits) > _MOST_SERIAL_DIGITS:
        what = "is longer than any serial (RFC 5280 section 4.1.2.2: 20 octets)"
        fix = "if it is a fingerprint, write it as fingerprint"
        yield Finding.of("revoked-serial", subject, "serial", show(value), what, fix)


def _check_fingerprint(subject: str, value: str) -> Iterator[Finding]:
    if not fingerprint_from(value):
        yield Finding.of("revoked-fingerprint", subject, "fingerprint", show(value), NO_FINGERPRINT, AS_OPENSSL)


def _check_reason(subject: str, entry: Mapping[str, object]) -> Iterator[Finding]:
    reason = entry.get("reason")
    if reason is not None and reason not in REASONS:
        what = "is not a reason to revoke (RFC 5280 section 5.3.1)"
        yield Finding.of("revoked-reason", subject, "reason", show(reason), what, nearest(reason, REASONS))


def _check_date(subject: str, entry: Mapping[str, object], now: datetime) -> Iterator[Finding]:
    value = entry.get("date")
    present = f"write the current time, {timestamp(now)}"
    if value is None:
        what = "this key is required: what was issued up to then is revoked"
        yield Finding.of("revoked-date", subject, "date", "missing", what, present)
        return
    try:
        until = _until(value)
    except (ValueError, OverflowError):
        what = "is not an ISO 8601 date"
        yield Finding.of("revoked-date", subject, "date", show(value), what, f"write e.g. {timestamp(now)}")
        return
    if until > now:
        what = "is in the future"
        if _day(value):
            what = f"means the end of that day, {timestamp(until)}, which is in the future"
        fix = f"{present}; certificates issued later stay valid"
        yield Finding.of("revoked-date", subject, "date", show(value), what, fix)
    elif until < _FIRST_DATE:
        what = "is earlier than any date that a CRL can contain"
        yield Finding.of("revoked-date", subject, "date", show(value), what, present)


def _until(value: object) -> datetime:
    """The last second that a date stands for.

    :raises ValueError: it is no date. OverflowError: it has no equivalent in UTC.
    """
    day = _day(value)
    if day:
        return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)
    moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError("neither text nor a date")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=0)


def _day(value: object) -> date | None:
    """The day, where no time of it is given; YAML makes dates of bare ones."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _hexadecimal(value: str) -> str:
    return value.strip().replace(":", "").lower()
