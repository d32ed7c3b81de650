# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import (
    MOST_ITERATIONS,
    decrypt_private_key,
    encrypt_private_key,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import key_signs_for
from tests.unit.pki.support import PASSPHRASE, Root, make_root
from tests.unit.support import refused


@pytest.fixture(scope="module")
def encrypted(root: Root) -> str:
    return encrypt_private_key(root.key, PASSPHRASE)


def openssl(*arguments: str, data: str) -> str:
    command = ["openssl", *arguments]
    return subprocess.run(command, input=data, capture_output=True, text=True, check=True).stdout


def test_what_was_encrypted_comes_back(root: Root, encrypted: str) -> None:
    assert key_signs_for(root.view, decrypt_private_key(encrypted, PASSPHRASE))


def test_an_rsa_key_needs_longer_lengths_and_comes_back() -> None:
    root = make_root("RSA-2048")
    assert key_signs_for(root.view, decrypt_private_key(encrypt_private_key(root.key, PASSPHRASE), PASSPHRASE))


def test_openssl_reads_it_and_sees_600000_rounds(root: Root, encrypted: str) -> None:
    public = root.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert openssl("pkey", "-passin", f"pass:{PASSPHRASE}", "-pubout", data=encrypted) == public.decode()
    structure = openssl("asn1parse", data=encrypted)
    assert f"{600_000:06X}" in structure
    assert "hmacWithSHA256" in structure
    assert "aes-256-cbc" in structure


def test_each_encryption_has_its_own_salt(root: Root, encrypted: str) -> None:
    assert encrypt_private_key(root.key, PASSPHRASE) != encrypted


def test_the_wrong_passphrase_is_one_clear_error(encrypted: str) -> None:
    with refused("wrong-passphrase"):
        decrypt_private_key(encrypted, "another passphrase", where="roots/x.key")


def test_no_error_repeats_the_passphrase(encrypted: str) -> None:
    with pytest.raises(CrossmeshError) as caught:
        decrypt_private_key(encrypted, "another passphrase")
    assert "another passphrase" not in str(caught.value)


@pytest.mark.parametrize("iterations", [2_048, 599_999, MOST_ITERATIONS + 1])
def test_an_unfit_number_of_rounds_is_refused(root: Root, iterations: int) -> None:
    with refused("key-rounds"):
        encrypt_private_key(root.key, PASSPHRASE, iterations)


def test_a_key_with_fewer_rounds_opens_only_where_they_are_asked_for(root: Root) -> None:
    quick = encrypt_private_key(root.key, PASSPHRASE, 1000, fewest=1000)
    assert key_signs_for(root.view, decrypt_private_key(quick, PASSPHRASE, fewest=1000))
    with refused("key-rounds"):
        decrypt_private_key(quick, PASSPHRASE)


def test_a_key_with_the_librarys_2048_rounds_is_refused(root: Root) -> None:
    weak = root.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )
    with refused("key-rounds"):
        decrypt_private_key(weak.decode(), PASSPHRASE)


@pytest.mark.parametrize("passphrase", ["", "eleven char"])
def test_a_passphrase_that_protects_nothing_is_refused(root: Root, passphrase: str) -> None:
    with refused("ca-passphrase"):
        encrypt_private_key(root.key, passphrase)


def test_a_damaged_key_is_one_clear_error(encrypted: str) -> None:
    for end in range(0, len(encrypted) - 30, 7):
        with pytest.raises(CrossmeshError):
            decrypt_private_key(encrypted[:end], PASSPHRASE)


def test_a_plain_key_is_refused(root: Root) -> None:
    plain = root.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with refused("unreadable-key"):
        decrypt_private_key(plain.decode(), PASSPHRASE)
