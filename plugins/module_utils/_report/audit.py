# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The register of certificates in the columns that auditors ask for, each named by its rules; the same as CSV. Pure.

PRIVATE to the collection. Rules:

- PCI DSS 4.0.1, 4.2.1.1: an inventory of trusted keys and certificates; 12.3.3: of cipher suites and protocols, with
  their purpose and where they are used.
- Commission Delegated Regulation (EU) 2024/1774 (RTS of DORA), Art. 7(4): a register of all certificates and of the
  devices that store them.
- Resolutions BCB 538 and CMN 5.274 (Brazil): management of digital certificates and of their keys.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Certificate, Report, Root

__all__ = ["COLUMNS", "Column", "Entry", "entries_of", "to_csv"]

PCI_INVENTORY = "PCI DSS 4.0.1 4.2.1.1"
PCI_CIPHERS = "PCI DSS 4.0.1 12.3.3"
DORA = "DORA RTS 2024/1774 Art. 7(4)"
BRAZIL = "BCB 538 / CMN 5.274"

# With these a spreadsheet begins a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Entry:
    """A certificate or a root, with the TLS of the links that it is for."""

    item: Certificate | Root
    versions: tuple[str, ...] = ()
    ciphers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    title: str
    rules: tuple[str, ...]
    value: Callable[[Entry], str]

    @property
    def head(self) -> str:
        """With its rules, as it stands in the CSV."""
        return f"{self.title} [{'; '.join(self.rules)}]" if self.rules else self.title


def entries_of(report: Report) -> list[Entry]:
    """Roots first."""
    links = {link.name: link for link in report.links}
    return [Entry(root) for root in report.roots] + [
        Entry(
            item,
            _each(links[name].tls.versions for name in item.links if name in links),
            _each(links[name].tls.ciphers for name in item.links if name in links),
            _each(links[name].tls.groups for name in item.links if name in links),
        )
        for item in report.certificates
    ]


def to_csv(report: Report) -> str:
    """RFC 4180, with a head."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.head for column in COLUMNS)
    for entry in entries_of(report):
        writer.writerow(_cell(column.value(entry)) for column in COLUMNS)
    return text.getvalue()


def _cell(value: str) -> str:
    shown = visible(value)
    return f"'{shown}" if shown.startswith(_FORMULA) and not shown.lstrip("-").isdigit() else shown


def _each(found: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in found for item in items))


def _joined(values: Iterable[str]) -> str:
    return " ".join(values)


def _kind(entry: Entry) -> str:
    if isinstance(entry.item, Root):
        return f"root, {entry.item.role}"
    return f"{entry.item.side} certificate"


def _state(entry: Entry) -> str:
    item = entry.item
    if item.days_left < 0:
        return "expired"
    if isinstance(item, Root):
        return "trusted"
    return "revoked" if item.revoked else "in service" if item.in_service else "on record"


def _names(entry: Entry) -> str:
    item = entry.item
    return item.subject if isinstance(item, Root) else _joined(item.names)


def _owner(entry: Entry) -> str:
    return "custom CA" if isinstance(entry.item, Root) else entry.item.cluster


def _issuer(entry: Entry) -> str:
    return entry.item.subject if isinstance(entry.item, Root) else entry.item.issuer


def _root(entry: Entry) -> str:
    return entry.item.fingerprint if isinstance(entry.item, Root) else entry.item.root


def _key(entry: Entry) -> str:
    item = entry.item
    return f"{item.key_algorithm} {item.key_size} ({item.key_type})" if item.key_type else ""


def _purpose(entry: Entry) -> str:
    item = entry.item
    if isinstance(item, Root):
        return "signs certificates and CRLs"
    return f"mutual TLS between gateways, {_joined(item.usage) or item.side}: {_joined(item.links)}"


def _leaf(value: Callable[[Certificate], str]) -> Callable[[Entry], str]:
    """A value that roots have not."""
    return lambda entry: "" if isinstance(entry.item, Root) else value(entry.item)


COLUMNS: tuple[Column, ...] = (
    Column("Kind", (PCI_INVENTORY, DORA), _kind),
    Column("State", (PCI_INVENTORY, DORA), _state),
    Column("Names", (PCI_INVENTORY, DORA), _names),
    Column("Owner", (PCI_INVENTORY, DORA), _owner),
    Column("Stored in", (DORA, BRAZIL), lambda entry: entry.item.key_location),
    Column("Serial number", (PCI_INVENTORY, DORA), lambda entry: entry.item.serial),
    Column("Valid to", (PCI_INVENTORY, DORA, BRAZIL), lambda entry: entry.item.not_after),
    Column("Days left", (PCI_INVENTORY, DORA), lambda entry: str(entry.item.days_left)),
    Column("Renewal due", (DORA, BRAZIL), _leaf(lambda item: item.next_due)),
    Column("Key", (PCI_INVENTORY, PCI_CIPHERS), _key),
    Column("Signature", (PCI_CIPHERS,), lambda entry: entry.item.signature_algorithm),
    Column("Purpose", (PCI_INVENTORY, PCI_CIPHERS), _purpose),
    Column("TLS versions", (PCI_CIPHERS,), lambda entry: _joined(entry.versions)),
    Column("TLS 1.2 cipher suites", (PCI_CIPHERS,), lambda entry: _joined(entry.ciphers)),
    Column("Key exchange groups", (PCI_CIPHERS,), lambda entry: _joined(entry.groups)),
    Column("Issuer", (PCI_INVENTORY,), _issuer),
    Column("Root (SHA-256)", (PCI_INVENTORY,), _root),
    Column("Valid from", (PCI_INVENTORY, DORA), lambda entry: entry.item.not_before),
    Column("Issued at", (DORA, BRAZIL), _leaf(lambda item: item.issued)),
    Column("Renewals on record", (BRAZIL,), _leaf(lambda item: str(item.renewed))),
    Column("Fingerprint (SHA-256)", (DORA,), lambda entry: entry.item.fingerprint),
)
