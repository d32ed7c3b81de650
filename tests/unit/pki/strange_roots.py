# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots as somebody else may have made them: each sound but for what a test asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import PrivateKey, parse_certificates
from tests.unit.pki.support import DAY, NOW, Root
from tests.verifiers import openssl

Extension = tuple[x509.ExtensionType, bool]

OF_A_CA: Extension = (x509.BasicConstraints(ca=True, path_length=1), True)
CODE_SIGNING: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
SERVERS_ONLY: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
CLIENTS_ONLY: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
BOTH_ROLES: Extension = (
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    False,
)
UNKNOWN_CRITICAL: Extension = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True)
UNKNOWN: Extension = (UNKNOWN_CRITICAL[0], False)


def permits(*names: str, critical: bool = True) -> Extension:
    return x509.NameConstraints([x509.DNSName(name) for name in names], None), critical


def excludes(*names: str) -> Extension:
    return x509.NameConstraints(None, [x509.DNSName(name) for name in names]), True


def strange_root(
    *extensions: Extension,
    subject: str = "Somebody's Root",
    key: PrivateKey | None = None,
    constraints: Extension = OF_A_CA,
    begins: datetime = NOW - DAY,
    lasts: timedelta = 3650 * DAY,
) -> Root:
    """A root that is as RFC 5280 wants it, with these extensions beside those that it needs."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
    )
    needed: Sequence[Extension] = (
        constraints,
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )
    for value, critical in (*needed, *extensions):
        builder = builder.add_extension(value, critical)
    made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return Root(parse_certificates(made)[0], key)


def written(folder: Path, root: Root) -> tuple[Path, Path]:
    """The files of a certificate and its key."""
    certificate, key = folder / "root.crt", folder / "root.key"
    certificate.write_text(root.view.pem, encoding="ascii")
    key.write_bytes(
        root.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


# Keys, and ways to sign, that nothing but OpenSSL makes.
KEYS = {
    "RSA-PSS": ("-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
    "explicit curve": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"),
    "Ed25519": ("-algorithm", "ED25519"),
    "P-521": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "RSA": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "RSA-1024": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
}


def written_by_openssl(folder: Path, kind: str, *options: str) -> tuple[Path, Path]:
    """The same of a root whose key is of one of these kinds, valid from now on."""
    certificate, key = folder / "root.crt", folder / "root.key"
    made = openssl("genpkey", *KEYS[kind], "-out", key)
    assert made.returncode == 0, made.stderr
    profile = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    signed = openssl(
        *("req", "-x509", "-key", key, "-subj", "/CN=Somebody's Root", "-days", "3650", "-out", certificate),
        *(*profile, *options),
    )
    assert signed.returncode == 0, signed.stderr
    return certificate, key
