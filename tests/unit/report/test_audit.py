# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The auditor's inventory, field by field against OpenSSL's own reading; the CSV and the bill of materials."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.assembly import report_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.audit import COLUMNS, to_csv
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.cbom import to_cbom
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Certificate, Report, Root
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Sources
from tests.unit.pki.support import DAY, NOW, make_root
from tests.unit.report.estates import Estate, one_link, ten_links
from tests.unit.support import Json

DAY_SECONDS = 86_400


def asked(pem: str, *arguments: str, kind: str = "x509") -> dict[str, str]:
    """What openssl prints of a certificate or CRL, by name."""
    command = ["openssl", kind, "-noout", "-nameopt", "RFC2253", *arguments]
    lines = subprocess.run(command, input=pem, text=True, capture_output=True, check=True).stdout.splitlines()
    return {name.strip(): value.strip() for name, _is, value in (line.partition("=") for line in lines)}


def text_of(pem: str, kind: str = "x509") -> str:
    command = ["openssl", kind, "-noout", "-text"]
    return subprocess.run(command, input=pem, text=True, capture_output=True, check=True).stdout


def moment(words: str) -> str:
    return timestamp(datetime.strptime(words, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC))


def pems(sources: Sources) -> Iterator[tuple[str, str]]:
    """What is stored in the estate's Secrets and the CA store: PEM by fingerprint."""
    for sight in sources.sights.values():
        yield from ((found.view.fingerprint, found.view.pem) for found in sight.stored.values())
    assert sources.authority is not None
    yield from ((root.fingerprint, root.pem) for root in sources.authority.trusted)


@pytest.mark.parametrize("key_type", ["P-256", "P-384", "RSA-2048"])
def test_every_field_of_the_inventory_is_what_openssl_reads(key_type: str) -> None:
    estate = Estate(
        one_link().links, one_link().clusters, key_type=key_type, root=make_root(key_type, now=NOW - 400 * DAY)
    )
    sources = estate.sources()
    report = report_of(sources)
    items: list[Certificate | Root] = [*report.roots, *report.certificates]
    known = {item.fingerprint: item for item in items}
    found = dict(pems(sources))
    assert len(found) == 3
    for fingerprint, pem in found.items():
        _as_openssl_reads_it(known[fingerprint], pem)


def _as_openssl_reads_it(item: Certificate | Root, pem: str) -> None:
    read = asked(pem, "-serial", "-subject", "-issuer", "-dates", "-fingerprint", "-sha256")
    text = text_of(pem)
    assert item.serial == read["serial"].lower().lstrip("0")
    assert item.subject == read["subject"]
    assert (item.not_before, item.not_after) == (moment(read["notBefore"]), moment(read["notAfter"]))
    assert item.fingerprint == read["sha256 Fingerprint"].replace(":", "").lower()
    assert f"Signature Algorithm: {item.signature_algorithm}" in text
    bits = re.search(r"Public-Key: \((\d+) bit\)", text)
    assert bits
    assert item.key_size == int(bits[1])
    assert {"EC": "id-ecPublicKey", "RSA": "rsaEncryption"}[item.key_algorithm] in text
    end = datetime.fromisoformat(item.not_after)
    assert item.days_left == int((end - NOW).total_seconds() // DAY_SECONDS)
    if isinstance(item, Certificate):
        assert item.issuer == read["issuer"]
        assert set(item.names) == set(re.findall(r"DNS:([^,\s]+)", text))
        word = {"server": "TLS Web Server Authentication", "client": "TLS Web Client Authentication"}[item.side]
        assert word in text


def test_every_field_of_a_crl_is_what_openssl_reads() -> None:
    sources = ten_links().sources()
    assert sources.authority is not None
    (found,), (crl,) = report_of(sources).crls, sources.authority.lists
    read = asked(crl.pem, "-issuer", "-lastupdate", "-nextupdate", "-crlnumber", kind="crl")
    assert (found.this_update, found.next_update) == (moment(read["lastUpdate"]), moment(read["nextUpdate"]))
    assert found.issuer == read["issuer"]
    assert found.number == int(read["crlNumber"], 16)
    text = text_of(crl.pem, "crl")
    serials = [serial.lower() for serial in re.findall(r"Serial Number: (\w+)", text)]
    assert [item.serial for item in found.revoked] == serials
    assert "Key Compromise" in text
    assert [item.reason for item in found.revoked] == ["keyCompromise"]


# -- CSV -----------------------------------------------------------------------------------------------------------


def rows(report: Report) -> list[Json]:
    return list(csv.DictReader(io.StringIO(to_csv(report))))


def test_every_certificate_and_root_is_a_row_of_the_csv() -> None:
    report = report_of(ten_links().sources())
    found = rows(report)
    heads = {column.title: column.head for column in COLUMNS}
    assert len(found) == len(report.certificates) + len(report.roots)
    by_print = {row[heads["Fingerprint (SHA-256)"]]: row for row in found}
    for item in report.certificates:
        row = by_print[item.fingerprint]
        assert row[heads["Serial number"]] == item.serial
        assert row[heads["Stored in"]] == item.key_location
        assert row[heads["Valid to"]] == item.not_after
        assert row[heads["Days left"]] == str(item.days_left)


@pytest.mark.parametrize(
    ("rule", "titles"),
    [
        ("PCI DSS 4.0.1 4.2.1.1", {"Names", "Owner", "Valid to", "Key", "Issuer", "Purpose"}),
        ("PCI DSS 4.0.1 12.3.3", {"TLS versions", "TLS 1.2 cipher suites", "Key", "Signature", "Purpose"}),
        ("DORA RTS 2024/1774 Art. 7(4)", {"Stored in", "Serial number", "Valid to", "Fingerprint (SHA-256)"}),
        ("BCB 538 / CMN 5.274", {"Stored in", "Valid to", "Renewal due", "Issued at"}),
    ],
)
def test_the_columns_that_a_rule_asks_for_bear_its_name(rule: str, titles: set[str]) -> None:
    assert titles <= {column.title for column in COLUMNS if rule in column.rules}
    assert all(rule in column.head for column in COLUMNS if rule in column.rules)


def test_no_cell_of_the_csv_begins_a_formula() -> None:
    estate = one_link()
    sources = estate.sources()
    hostile = '=HYPERLINK("https://evil.example")'
    sight = sources.sights["cluster-b"]
    ((place, stored),) = sight.stored.items()
    named = type(stored)(stored.view, hostile)
    sights = {**sources.sights, "cluster-b": type(sight)(**{**vars(sight), "stored": {place: named}})}
    text = to_csv(report_of(type(sources)(**{**vars(sources), "sights": sights})))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []
    # The control: it is there.
    assert f"'{hostile}" in cells


# -- bill of materials ---------------------------------------------------------------------------------------------


def test_what_stores_a_certificate_is_in_the_bill() -> None:
    bill = to_cbom(report_of(one_link().sources()))
    places = [item["evidence"]["occurrences"][0]["location"] for item in bill["components"] if "evidence" in item]
    assert "Secret istio-system/mysql-credential in cluster cluster-b" in places
