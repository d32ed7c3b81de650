# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key at rest: PKCS#8 encrypted under a passphrase, with a count of rounds of our choice.

The library writes 2,048 rounds and offers no way to ask for more, so the envelope (RFC 5208 around RFC 8018's PBES2)
is put together here. It reads every count itself, and so do the usual tools.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, padding, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
except ImportError:
    pass  # x509.HAS_CRYPTOGRAPHY is what modules report.

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import PrivateKey

__all__ = [
    "FEWEST_ITERATIONS",
    "SHORTEST_PASSPHRASE",
    "decrypt_private_key",
    "encrypt_private_key",
    "load_private_key",
    "require_passphrase",
]

FEWEST_ITERATIONS = 600_000
# A damaged count must not keep a run busy for hours.
MOST_ITERATIONS = 10_000_000
SHORTEST_PASSPHRASE = 12

_LABEL = "ENCRYPTED PRIVATE KEY"
_SEQUENCE, _OCTETS, _INTEGER, _OID, _NULL = 0x30, 0x04, 0x02, 0x06, 0x05
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES_256_CBC = bytes.fromhex("60864801650304012a")


def encrypt_private_key(
    key: PrivateKey, passphrase: str, iterations: int = FEWEST_ITERATIONS, *, fewest: int = FEWEST_ITERATIONS
) -> str:
    """Return the key as PEM, encrypted with AES-256-CBC under PBKDF2-HMAC-SHA256.

    :param fewest: iterations that are accepted; less than the default is for tests.
    """
    require_passphrase(passphrase)
    _refuse_count(iterations, fewest, "new key")
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    derivation = _sequence(
        _tlv(_OID, _PBKDF2),
        _sequence(
            _tlv(_OCTETS, salt),
            _tlv(_INTEGER, iterations.to_bytes(iterations.bit_length() // 8 + 1, "big")),
            _sequence(_tlv(_OID, _HMAC_SHA256), _tlv(_NULL, b"")),
        ),
    )
    encryption = _sequence(_tlv(_OID, _AES_256_CBC), _tlv(_OCTETS, vector))
    envelope = _sequence(
        _sequence(_tlv(_OID, _PBES2), _sequence(derivation, encryption)),
        _tlv(_OCTETS, _encrypt(plain, _derive(passphrase, salt, iterations), vector)),
    )
    return _armour(envelope)


def decrypt_private_key(
    pem: str, passphrase: str, *, where: str = "private key", fewest: int = FEWEST_ITERATIONS
) -> PrivateKey:
    """Load a key. ``where`` names its origin in the error; C(fewest) is as in C(encrypt_private_key)."""
    _refuse_count(_iterations(pem, where), fewest, where)
    return load_private_key(pem, passphrase, where=where)


def load_private_key(pem: str, passphrase: str, *, where: str) -> PrivateKey:
    """Load anybody's key, however it is protected; an empty passphrase means that it is not."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=passphrase.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CrossmeshError(
            Message.error(
                "wrong-passphrase",
                where=where,
                what="the private key cannot be decrypted: the passphrase is wrong or the file is damaged",
                fix="set the passphrase that the key was encrypted with, or restore the file from a backup",
            )
        ) from error
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise _damaged(where, "it is neither an EC nor an RSA key")
    return key


def require_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that would not protect a key."""
    if len(passphrase) >= SHORTEST_PASSPHRASE:
        return
    length = f"has {len(passphrase)} characters" if passphrase else "is missing"
    raise CrossmeshError(
        Message.error(
            "ca-passphrase",
            where="custom_ca_passphrase",
            what=f"the passphrase of the CA key {length}; at least {SHORTEST_PASSPHRASE} characters are required",
            fix="set custom_ca_passphrase, e.g. from Ansible Vault",
        )
    )


def _refuse_count(iterations: int, fewest: int, where: str) -> None:
    if fewest <= iterations <= MOST_ITERATIONS:
        return
    raise CrossmeshError(
        Message.error(
            "key-rounds",
            where=where,
            what=f"the private key is encrypted with {iterations:,} rounds; {fewest:,} to "
            f"{MOST_ITERATIONS:,} are accepted",
            fix=f"encrypt the key again: openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter {fewest}",
        )
    )


def _derive(passphrase: str, salt: bytes, iterations: int) -> bytes:
    return PBKDF2HMAC(algorithm=hashes.SHA256(), length=32, salt=salt, iterations=iterations).derive(
        passphrase.encode()
    )


def _encrypt(plain: bytes, key: bytes, vector: bytes) -> bytes:
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def _armour(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", ""])


def _iterations(pem: str, where: str) -> int:
    """Read the count of rounds out of the envelope."""
    body = pem.partition(f"-----BEGIN {_LABEL}-----")[2].partition(f"-----END {_LABEL}-----")[0]
    try:
        envelope = _children(_children(base64.b64decode("".join(body.split()), validate=True))[0])
        scheme, parameters = _children(envelope[0])
        method, settings = _children(_children(parameters)[0])
        if (scheme, method) != (_PBES2, _PBKDF2):
            raise _damaged(where, "it is not encrypted with PBES2 and PBKDF2")
        return int.from_bytes(_children(settings)[1], "big")
    except (ValueError, IndexError) as error:
        raise _damaged(where, "it is not an encrypted PKCS#8 key") from error


def _damaged(where: str, why: str) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "unreadable-key",
            where=where,
            what=f"the private key cannot be read: {why}",
            fix="restore it from a backup",
        )
    )


def _sequence(*parts: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(parts))


def _tlv(tag: int, value: bytes) -> bytes:
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def _children(data: bytes) -> list[bytes]:
    """Split the contents of a DER value into the contents of its parts."""
    parts = []
    while data:
        size, start = data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        if start + size > len(data):
            raise ValueError("cut off")
        parts.append(data[start : start + size])
        data = data[start + size :]
    return parts
