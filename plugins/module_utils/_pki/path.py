# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a verifier takes a certificate under a root (RFC 5280 section 6), and why not, in plain words. Pure.

PRIVATE to the collection. The verifier is cryptography's; M(_ca.trial) asks OpenSSL beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import one_line
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Leaf,
    PrivateKey,
    Role,
    issue_leaf,
    parse_certificates,
    signature_hash,
)

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
except ImportError:
    # x509.HAS_CRYPTOGRAPHY tells.
    pass

__all__ = [
    "EXCLUDED",
    "NOT_PERMITTED",
    "TRIAL",
    "in_plain_words",
    "is_constrained",
    "path_fault",
    "refused_names",
    "trial_leaf",
    "unissuable",
]

# How long a certificate lives that is made to be tried: it bears real names, and is never to be used.
TRIAL = timedelta(minutes=1)

EXCLUDED = "the root's name constraints exclude the name"
NOT_PERMITTED = "the root's name constraints do not permit the name"
# What verifiers say, and what that means; the first that fits.
_WORDS = (
    ("excluded name constraint", EXCLUDED),
    ("excluded subtree", EXCLUDED),
    ("no permitted name constraints", NOT_PERMITTED),
    ("permitted subtree", NOT_PERMITTED),
    ("name constraint", "the root has name constraints that not every verifier understands"),
    ("nameconstraints", "the root has name constraints that not every verifier understands"),
    ("eku", "the root's extended key usage does not allow the role"),
    ("purpose", "the root's extended key usage does not allow the role"),
    ("critical extension", "the root has a critical extension that verifiers do not know"),
    ("2.5.29.19", "the root's basicConstraints are not marked critical (RFC 5280, section 4.2.1.9)"),
    ("basic constraints", "the root's basicConstraints are not marked critical (RFC 5280, section 4.2.1.9)"),
    ("non-empty issuer", "the root's subject is empty (RFC 5280, section 4.1.2.4)"),
    ("issuer name empty", "the root's subject is empty (RFC 5280, section 4.1.2.4)"),
    ("public key algorithm", "the root's key is not a plain RSA or named-curve key, so verifiers refuse it"),
)


def in_plain_words(said: object) -> str:
    """What a verifier says, in our words where they are known."""
    text = one_line(said)
    lower = text.lower()
    return next((words for needle, words in _WORDS if needle in lower), text)


def path_fault(root: CertificateView, leaf_pem: str, role: Role, names: Sequence[str], now: datetime) -> str:
    """Why the certificate is refused under the root; empty where it is taken.

    :param names: DNS names by which a client asks for it; a server asks for none.
    """
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    policy = PolicyBuilder().store(Store([x509.load_pem_x509_certificate(root.pem.encode())])).time(now)
    try:
        if role == "server":
            for name in names:
                policy.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
        else:
            policy.build_client_verifier().verify(leaf, [])
    except (VerificationError, ValueError) as error:
        return in_plain_words(error)
    return ""


def refused_names(names: Sequence[str], fault: Callable[[Sequence[str]], str]) -> dict[str, str]:
    """Which of these names a verifier refuses, and why.

    :param fault: tells it of one certificate with all the names that it is given.
    """
    if not names or not fault(names):
        return {}
    return {name: why for name in names if (why := fault([name]))} or dict.fromkeys(names, fault(names))


def is_constrained(root: CertificateView) -> bool:
    """Whether the root bounds the names that it may issue for (RFC 5280 section 4.2.1.10)."""
    return _is_constrained(root.pem)


@lru_cache(maxsize=64)
def _is_constrained(pem: str) -> bool:
    try:
        x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    return True


def unissuable(root: CertificateView, names: Mapping[Role, Sequence[str]]) -> dict[str, str]:
    """The names for which the name constraints of a root allow no certificate, each with the reason.

    Asked of a certificate that is like the root but for its key: the key is not at hand where a plan is made.
    """
    if not is_constrained(root):
        return {}
    key, likeness = _likeness(root.pem)
    # Any moment at which the root is valid: when it ends is judged elsewhere.
    moment = root.not_before + (root.not_after - root.not_before) / 2

    def fault(role: Role, wanted: Sequence[str]) -> str:
        leaf = trial_leaf(likeness, key, role, wanted, moment)
        return path_fault(likeness, leaf.certificate_pem, role, wanted, moment)

    found: dict[str, str] = {}
    for role, wanted in names.items():
        found |= refused_names(list(dict.fromkeys(wanted)), partial(fault, role))
    return found


def trial_leaf(root: CertificateView, key: PrivateKey, role: Role, names: Sequence[str], now: datetime) -> Leaf:
    """A certificate to be tried and thrown away."""
    return issue_leaf(
        root_certificate=root,
        root_key=key,
        role=role,
        sans=names,
        common_name="trial",
        key_type="P-256",
        validity=TRIAL,
        now=now,
    )


@lru_cache(maxsize=64)
def _likeness(pem: str) -> tuple[PrivateKey, CertificateView]:
    root = x509.load_pem_x509_certificate(pem.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(root.serial_number)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
    )
    for extension in root.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    like = builder.sign(key, signature_hash(key)).public_bytes(serialization.Encoding.PEM)
    return key, parse_certificates(like)[0]
