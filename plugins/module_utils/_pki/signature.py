# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root's word for something that is no certificate: made and checked. No clock, no files, no API.

PRIVATE to the collection. What is signed begins with a text, so it can never pass for a certificate or a CRL, which
begin with a DER tag.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import signature_hash

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
except ImportError:
    pass  # x509.HAS_CRYPTOGRAPHY tells.

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, PrivateKey

__all__ = ["sign", "signed"]

PREFIX = b"crossmesh "


def sign(key: PrivateKey, text: str) -> str:
    """Sign a text with a root's key.

    :returns: the signature in base64.
    """
    data = PREFIX + text.encode()
    if isinstance(key, rsa.RSAPrivateKey):
        return base64.b64encode(key.sign(data, padding.PKCS1v15(), signature_hash(key))).decode()
    return base64.b64encode(key.sign(data, ec.ECDSA(signature_hash(key)))).decode()


# A run reads one store several times.
@lru_cache(maxsize=256)
def signed(root: CertificateView, text: str, signature: str) -> bool:
    """Tell whether the root's key signed the text."""
    data = PREFIX + text.encode()
    try:
        made = base64.b64decode(signature, validate=True)
        public_key = x509.load_pem_x509_certificate(root.pem.encode()).public_key()
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(made, data, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(public_key, ec.EllipticCurvePublicKey):
            large = isinstance(public_key.curve, ec.SECP384R1)
            public_key.verify(made, data, ec.ECDSA(hashes.SHA384() if large else hashes.SHA256()))
        else:
            return False
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
