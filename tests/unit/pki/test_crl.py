# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revocation lists: what stands in them, and what is taken for one. What openssl and linters say: test_verifiers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import (
    REASONS,
    Crl,
    Revoked,
    issue_crl,
    parse_crls,
    signed_by,
)
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import refused

YEAR = 365 * DAY


def made(root: Root, revoked: Iterable[Revoked] = (), **changes: Any) -> Crl:
    wanted: dict[str, Any] = {"number": 7, "validity": YEAR, "now": NOW}
    return issue_crl(root=root.view, key=root.key, revoked=revoked, **{**wanted, **changes})


def parsed(crl: Crl) -> x509.CertificateRevocationList:
    return x509.load_pem_x509_crl(crl.pem.encode())


def entry(serial: str, reason: str = "keyCompromise") -> Revoked:
    return Revoked(serial, NOW - DAY, reason)


def test_a_list_is_of_the_shape_that_rfc_5280_asks_for(root: Root) -> None:
    crl = parsed(made(root, [entry("ab")]))
    number = crl.extensions.get_extension_for_class(x509.CRLNumber)
    issuer = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert (number.value.crl_number, number.critical) == (7, False)
    assert issuer.value.key_identifier is not None
    assert (issuer.value.key_identifier.hex(), issuer.critical) == (root.view.ski, False)
    assert crl.issuer.rfc4514_string() == root.view.subject
    assert len(crl.extensions) == 2


def test_an_unspecified_reason_is_left_out_and_every_other_one_is_told(root: Root) -> None:
    crl = made(root, [entry(f"{index:x}", reason) for index, reason in enumerate(REASONS, start=1)])
    assert [item.reason for item in crl.revoked] == list(REASONS)
    assert [len(item.extensions) for item in parsed(crl)] == [0, 1, 1, 1, 1, 1]


def test_entries_are_sorted_by_serial_and_keep_their_dates(root: Root) -> None:
    entries = [entry("ff"), entry("1"), entry("a0", "superseded")]
    crl = made(root, entries)
    assert crl.revoked == (entry("1"), entry("a0", "superseded"), entry("ff"))
    assert [item.serial_number for item in parsed(crl)] == [0x1, 0xA0, 0xFF]


def test_nothing_was_revoked_after_the_moment_that_the_list_speaks_of(root: Root) -> None:
    crl = made(root, [replace(entry("1"), date=NOW)], now=NOW + timedelta(seconds=1))
    assert crl.revoked[0].date == crl.this_update < NOW


@pytest.mark.parametrize(
    ("key_type", "digest"), [("P-256", hashes.SHA256), ("P-384", hashes.SHA384), ("RSA-2048", hashes.SHA256)]
)
def test_the_hash_is_as_strong_as_the_key(key_type: str, digest: type[hashes.HashAlgorithm]) -> None:
    assert isinstance(parsed(made(make_root(key_type))).signature_hash_algorithm, digest)


def test_a_list_is_backdated_as_certificates_are(root: Root) -> None:
    later = NOW + 30 * DAY
    crl = made(root, now=later)
    assert (crl.this_update, crl.next_update) == (later - BACKDATING, later + YEAR)


def test_a_list_is_never_older_than_its_root(root: Root) -> None:
    crl = made(root, now=root.view.not_before + timedelta(seconds=1))
    assert crl.this_update == root.view.not_before


def test_a_list_ends_with_its_root_at_the_latest() -> None:
    ending = make_root(validity=100 * DAY)
    assert made(ending).next_update == ending.view.not_after


@pytest.mark.parametrize("now", [NOW - DAY, NOW + 3650 * DAY], ids=["not valid yet", "expired"])
def test_a_root_that_is_not_valid_makes_no_list(root: Root, now: datetime) -> None:
    with refused("root-not-valid") as caught:
        made(root, now=now)
    assert caught.value.message.where == root.view.subject


def test_what_is_read_is_what_was_made(root: Root) -> None:
    first, second = made(root), made(make_root("P-384"), [entry("1f"), entry("abc", "unspecified")], number=8)
    assert parse_crls(first.pem + second.pem, where="here") == (first, second)
    assert parse_crls(b"a comment\n" + first.pem.encode(), where="here") == (first,)


serials = st.integers(min_value=1, max_value=2**159 - 1).map(lambda number: f"{number:x}")
moments = st.integers(min_value=0, max_value=10**9).map(lambda seconds: NOW - BACKDATING - timedelta(seconds=seconds))


@given(revoked=st.dictionaries(serials, st.tuples(moments, st.sampled_from(REASONS)), max_size=20))
def test_whatever_is_revoked_is_read_back(root: Root, revoked: dict[str, tuple[datetime, str]]) -> None:
    entries = [Revoked(serial, date, reason) for serial, (date, reason) in revoked.items()]
    crl = made(root, entries)
    assert parse_crls(crl.pem, where="here")[0].revoked == tuple(sorted(entries, key=lambda item: item.serial))


def without_a_number(root: Root) -> str:
    builder = x509.CertificateRevocationListBuilder().last_update(NOW).next_update(NOW + DAY)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Somebody")])
    return builder.issuer_name(name).sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def spoiled(pem: str) -> str:
    lines = pem.splitlines()
    return "\n".join([lines[0], "AAAA" + lines[1][4:], *lines[2:]])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda _pem: "", "holds no CRL"),
        (lambda _pem: "not a list", "holds no CRL"),
        (lambda pem: pem[: len(pem) // 2], "cut off"),
        (lambda pem: pem + pem[: len(pem) // 2], "cut off"),
        (lambda pem: pem[: len(pem) // 2] + pem, ""),
        (spoiled, ""),
        (lambda pem: pem.replace("X509 CRL", "CERTIFICATE"), "holds no CRL"),
    ],
    ids=["empty", "prose", "cut off", "second cut off", "first cut off", "spoiled", "certificate"],
)
def test_a_damaged_list_is_one_error_that_says_where(root: Root, damage: Any, why: str) -> None:
    with refused("unreadable-crl") as caught:
        parse_crls(damage(made(root).pem), where="ca.crl of cluster-b")
    assert caught.value.message.where == "ca.crl of cluster-b"
    assert why in caught.value.message.what


def test_a_list_without_a_number_is_refused(root: Root) -> None:
    with refused("unreadable-crl"):
        parse_crls(without_a_number(root), where="here")


def test_a_list_is_known_by_the_root_that_signed_it(root: Root) -> None:
    assert signed_by(made(root), root.view)


def test_nobody_else_signed_a_list(root: Root) -> None:
    crl = made(root)
    other = make_root()
    leaf = make_leaf(root).view
    # Each one differs from the root that signed in one thing only.
    assert not signed_by(crl, other.view)
    assert not signed_by(crl, replace(root.view, pem=other.view.pem))
    assert not signed_by(crl, replace(root.view, subject="CN=another"))
    assert not signed_by(crl, replace(root.view, ski="00"))
    assert not signed_by(crl, replace(root.view, is_ca=False))
    assert not signed_by(crl, leaf)
    assert not signed_by(crl, replace(root.view, pem=make_root("RSA-2048").view.pem))


def test_two_lists_of_one_number_are_told_apart(root: Root) -> None:
    empty, filled = made(root), made(root, [entry("1")])
    assert empty.identity != filled.identity
    assert empty.identity == parse_crls(empty.pem, where="here")[0].identity
    assert empty.identity.startswith(f"{root.view.subject} number 7 ")
