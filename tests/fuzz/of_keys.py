# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, revocation lists and keys: of Secrets, of directories, of partners, of the CA's store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import read_live
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, issue_crl, parse_crls, signed_by
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.path import is_constrained, path_fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import decrypt_private_key, encrypt_private_key
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.signature import sign, signed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    check_anchor,
    check_root,
    parse_certificates,
    root_faults,
    verify_issued_by,
)
from tests.unit.pki.support import NOW, PASSPHRASE, Root, make_leaf, make_root

from .judge import Target

__all__ = ["TARGETS", "leaf_key", "pems"]

# Rounds of a key of the tests: an edited count must not take the time of ten million.
_ROUNDS = 1000


@cache
def _root() -> Root:
    return make_root()


@cache
def _list() -> str:
    revoked = [Revoked("ab", NOW, "superseded"), Revoked("cd", NOW, "keyCompromise")]
    found = _root()
    return issue_crl(root=found.view, key=found.key, revoked=revoked, number=7, validity=timedelta(days=9), now=NOW).pem


@cache
def leaf_key() -> tuple[bytes, bytes]:
    leaf = make_leaf(_root())
    return leaf.certificate_pem.encode(), leaf.key_pem


def pems() -> list[bytes]:
    """Bundles as a Secret's C(ca.crt) or a partner's file holds them."""
    rsa, root = make_root("RSA-2048").view.pem, _root().view.pem
    return [root.encode(), rsa.encode(), (root + rsa).encode(), leaf_key()[0], b"# a partner's\n" + root.encode()]


def _certificates(data: bytes) -> None:
    for view in parse_certificates(data, where="Secret x"):
        view.public()
        check_anchor(view)
        root_faults(view)
        check_root(view, _root().key, NOW)
        is_constrained(view)
        verify_issued_by(view, _root().view)
        verify_issued_by(parse_certificates(leaf_key()[0])[0], view)
        path_fault(view, leaf_key()[0].decode(), "server", ["mysql.server.example.com"], NOW)
        signed(view, "text", sign(_root().key, "text"))


def _lists(data: bytes) -> None:
    for found in parse_crls(data, where="Secret x"):
        signed_by(found, _root().view)


@cache
def _rsa_key() -> tuple[bytes, bytes]:
    leaf = make_leaf(_root(), key_type="RSA-2048")
    return leaf.certificate_pem.encode(), leaf.key_pem


def _credential(data: bytes) -> None:
    for certificate, key in (leaf_key(), _rsa_key()):
        read_live(data, key, where="Secret x")
        read_live(certificate, data, where="Secret x")


def _key(data: bytes) -> None:
    # A count that is allowed and large would be time that is meant.
    if b"ENCRYPTED" in data:
        decrypt_private_key(data.decode("latin-1"), PASSPHRASE, where="x.key", fewest=_ROUNDS)


def _signature(data: bytes) -> None:
    signed(_root().view, "text", data.decode("latin-1"))


TARGETS: Mapping[str, Target] = {
    "certificates": Target(pems, _certificates),
    "lists": Target(lambda: [_list().encode(), _list().encode() * 2], _lists),
    "credential": Target(lambda: [*leaf_key(), b"".join(leaf_key()), *_rsa_key()], _credential),
    "key": Target(lambda: [encrypt_private_key(_root().key, PASSPHRASE, _ROUNDS, fewest=_ROUNDS).encode()], _key),
    "signature": Target(lambda: [sign(_root().key, "text").encode()], _signature),
}
