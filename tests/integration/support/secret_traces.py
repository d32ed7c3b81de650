# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gives a secret away in bytes of any origin: in the clear, escaped, or in Base64 that begins anywhere."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_LINE = 64
# Shorter pieces could be found by chance.
_SHORTEST = 12

# Every unencrypted key looks like this, known or not. The second is how each P-256 key begins in PKCS#8.
# Put together, so that a copy of this file looks like none.
MARKERS = tuple(b"-----BEGIN %sPRIVATE KEY" % kind for kind in (b"", b"EC ", b"RSA "))
P256_HEAD = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")


def found_in(haystack: bytes, needles: frozenset[bytes]) -> bool:
    """Whether any of them is there, line breaks, quotes and their escapes aside."""
    return any(needle in text for needle in needles for text in (haystack, _joined(haystack)))


@functools.cache
def _joined(text: bytes) -> bytes:
    return re.sub(rb"\\+[nr]", b"", text).translate(None, b" \t\n\r\f\v\"'\\")


def of_text(secret: bytes) -> frozenset[bytes]:
    """Of a passphrase, or of any bytes."""
    return frozenset({secret, secret.hex().encode(), secret.hex().upper().encode(), *_in_base64(secret)})


def of_key(pem: bytes) -> frozenset[bytes]:
    """Of a private key (PEM, PKCS#8): only what is private counts, the public half stands in certificates too."""
    key = serialization.load_pem_private_key(pem, password=None)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = _private(key)
    needles = set(of_text(private))
    # In a Secret the PEM text itself is in Base64 once more, line breaks and all.
    for piece in _pieces(der, private):
        needles |= of_text(piece)
    return frozenset(needles)


def of_any_key() -> frozenset[bytes]:
    """Of keys that nobody knows."""
    return frozenset({*MARKERS, P256_HEAD, *_in_base64(P256_HEAD), *(b for m in MARKERS for b in _in_base64(m))})


def _private(key: object) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.private_numbers().p.to_bytes(key.key_size // 16, "big")


def _pieces(der: bytes, private: bytes) -> Iterator[bytes]:
    """The parts of a PEM's lines that hold what is private."""
    body = base64.b64encode(der)
    first = der.index(private)
    begin, end = -(-first * 8 // 6), (first + len(private)) * 8 // 6
    while begin < end:
        stop = min(end, begin - begin % _LINE + _LINE)
        if stop - begin >= _SHORTEST:
            yield body[begin:stop]
        begin = stop


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """Whatever stands before it, one of three alignments; the characters at its ends depend on the neighbours."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret)
        yield encoded[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]
