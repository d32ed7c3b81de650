# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    KEY_TYPES,
    Leaf,
    Role,
    bundle,
    key_matches,
    new_root,
    parse_certificates,
    verify_issued_by,
)
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.unit.support import refused


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


class TestRoot:
    def test_is_an_authority_with_room_for_one_intermediate(self, root: Root) -> None:
        extension = load(root.view.pem).extensions.get_extension_for_class(x509.BasicConstraints)
        assert (extension.critical, extension.value) == (True, x509.BasicConstraints(ca=True, path_length=1))

    def test_signs_certificates_and_revocation_lists_and_nothing_else(self, root: Root) -> None:
        extension = load(root.view.pem).extensions.get_extension_for_class(x509.KeyUsage)
        usage = extension.value
        assert extension.critical
        assert usage.key_cert_sign
        assert usage.crl_sign
        assert not usage.digital_signature

    def test_begins_five_minutes_early_and_ends_when_asked(self, root: Root) -> None:
        assert root.view.not_before == NOW - timedelta(hours=2)
        assert root.view.not_after == NOW + 3650 * DAY

    def test_two_roots_never_share_a_name(self) -> None:
        assert make_root().view.subject != make_root().view.subject

    def test_a_name_that_does_not_fit_is_refused(self) -> None:
        with refused("common-name-length"):
            new_root(common_name="x" * 56, key_type="P-256", validity=DAY, now=NOW)


class TestLeaf:
    def test_carries_every_name_once_as_san(self, root: Root) -> None:
        leaf = make_leaf(root, sans=["b.example.com", "a.example.com", "b.example.com"])
        assert leaf.view.sans == ("b.example.com", "a.example.com")
        assert leaf.view.subject == "CN=b.example.com"

    def test_a_long_first_name_leaves_the_subject_to_the_common_name(self, root: Root) -> None:
        name = f"{'a' * 60}.example.com"
        leaf = make_leaf(root, sans=[name], common_name="mysql")
        assert (leaf.view.subject, leaf.view.sans) == ("CN=mysql", (name,))

    @pytest.mark.parametrize(("role", "usage"), [("server", "serverAuth"), ("client", "clientAuth")])
    def test_may_be_used_for_its_role_only(self, root: Root, role: Role, usage: str) -> None:
        assert make_leaf(root, role=role).view.eku == (usage,)

    def test_is_no_authority_and_signs_handshakes_only(self, leaf: Leaf) -> None:
        usage = load(leaf.certificate_pem).extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.digital_signature
        assert not usage.value.key_cert_sign
        assert not leaf.view.is_ca

    def test_names_the_key_that_signed_it(self, root: Root, leaf: Leaf) -> None:
        assert leaf.view.aki == root.view.ski
        assert leaf.view.ski != leaf.view.aki

    def test_serials_are_random_positive_and_at_most_20_octets(self, root: Root) -> None:
        serials = [int(make_leaf(root).view.serial, 16) for _ in range(200)]
        assert len(set(serials)) == 200
        assert all(0 < serial < 2**159 for serial in serials)
        # Were fewer than 64 bits random, not one of 200 could reach this.
        assert max(serials) > 2**100

    def test_every_leaf_has_a_new_key(self, root: Root) -> None:
        assert make_leaf(root).view.public_key_fingerprint != make_leaf(root).view.public_key_fingerprint

    def test_never_outlives_its_root_and_says_so(self) -> None:
        root = make_root(validity=30 * DAY)
        leaf = make_leaf(root, validity=90 * DAY)
        assert leaf.view.not_after == root.view.not_after
        assert leaf.note == "ends with its root at 2026-07-01T12:00:00Z instead of 2026-08-30T12:00:00Z"
        assert make_leaf(root, validity=10 * DAY).note == ""

    def test_backdating_stops_at_the_roots_beginning(self, root: Root) -> None:
        assert make_leaf(root, now=root.view.not_before + timedelta(seconds=9)).view.not_before == root.view.not_before

    @pytest.mark.parametrize("moment", [NOW - DAY, NOW + 3650 * DAY])
    def test_a_root_that_is_not_valid_issues_nothing(self, root: Root, moment: object) -> None:
        with refused("root-not-valid"):
            make_leaf(root, now=moment)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"sans": []}, "no-dns-name"),
            ({"sans": ["mýsql.example.com"]}, "dns-name-not-ascii"),
            ({"key_type": "RSA-1024"}, "unknown-key-type"),
        ],
    )
    def test_what_cannot_be_issued_is_refused(self, root: Root, changes: dict[str, object], code: str) -> None:
        with refused(code):
            make_leaf(root, **changes)

    @pytest.mark.parametrize("key_type", KEY_TYPES)
    def test_has_the_key_type_that_was_asked_for(self, root: Root, key_type: str) -> None:
        leaf = make_leaf(root, key_type=key_type)
        assert leaf.view.key_type == key_type
        assert key_matches(leaf.certificate_pem, leaf.key_pem)

    def test_a_p384_root_signs_with_sha384(self) -> None:
        algorithm = load(make_leaf(make_root("P-384")).certificate_pem).signature_hash_algorithm
        assert algorithm is not None
        assert algorithm.name == "sha384"

    def test_the_key_shows_in_no_representation(self, leaf: Leaf) -> None:
        assert "PRIVATE" not in repr(leaf)
        assert set(leaf.view.public()) == {
            "subject",
            "issuer",
            "sans",
            "serial",
            "not_before",
            "not_after",
            "fingerprint",
        }


class TestParsing:
    def test_reads_a_chain_in_order(self, root: Root, leaf: Leaf) -> None:
        assert parse_certificates(leaf.certificate_pem + root.view.pem) == (leaf.view, root.view)

    @pytest.mark.parametrize("cut", [30, 200, -30])
    def test_a_damaged_certificate_is_named(self, leaf: Leaf, cut: int) -> None:
        with refused("unreadable-certificate") as caught:
            parse_certificates(leaf.certificate_pem[:cut], where="Secret istio-system/mysql-credential")
        assert caught.value.message.where == "Secret istio-system/mysql-credential"

    @pytest.mark.parametrize("cut", [30, 200, -30])
    def test_a_chain_whose_second_certificate_is_cut_off_is_damaged(self, root: Root, leaf: Leaf, cut: int) -> None:
        with refused("unreadable-certificate"):
            parse_certificates(leaf.certificate_pem + root.view.pem[:cut])

    @pytest.mark.parametrize("content", ["", "no certificate", b"\xff\xfe"])
    def test_what_is_no_certificate_is_refused(self, content: str | bytes) -> None:
        with refused("unreadable-certificate"):
            parse_certificates(content)


class TestComparing:
    def test_a_key_matches_its_own_certificate_only(self, root: Root, leaf: Leaf) -> None:
        assert key_matches(leaf.certificate_pem, leaf.key_pem)
        assert not key_matches(make_leaf(root).certificate_pem, leaf.key_pem)

    def test_a_damaged_or_encrypted_key_matches_nothing(self, root: Root, leaf: Leaf) -> None:
        encrypted = root.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        assert not key_matches(leaf.certificate_pem, leaf.key_pem[:100])
        assert not key_matches(root.view.pem, encrypted)

    def test_a_leaf_is_issued_by_its_own_root_only(self, root: Root, leaf: Leaf) -> None:
        assert verify_issued_by(leaf.view, root.view)
        assert not verify_issued_by(leaf.view, make_root().view)
        assert not verify_issued_by(leaf.view, leaf.view)

    def test_the_signature_counts_not_the_name_of_the_key(self, root: Root, leaf: Leaf) -> None:
        stranger = replace(make_root().view, ski=root.view.ski)
        assert not verify_issued_by(leaf.view, stranger)

    def test_a_bundle_keeps_order_and_drops_repetitions(self, root: Root) -> None:
        other = make_root().view
        assert bundle([other.pem, root.view.pem, other.pem + root.view.pem]) == other.pem + root.view.pem
