# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as values: made, read and compared. No clock, no files, no API.

PRIVATE to the collection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import BACKDATING
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

    # RFC 5280, section 4.2: what a verifier has to process.
    _PROCESSED = frozenset(
        {
            ExtensionOID.BASIC_CONSTRAINTS,
            ExtensionOID.KEY_USAGE,
            ExtensionOID.EXTENDED_KEY_USAGE,
            ExtensionOID.NAME_CONSTRAINTS,
            ExtensionOID.CERTIFICATE_POLICIES,
            ExtensionOID.POLICY_MAPPINGS,
            ExtensionOID.POLICY_CONSTRAINTS,
            ExtensionOID.INHIBIT_ANY_POLICY,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        }
    )
    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

__all__ = [
    "BACKDATING",
    "HAS_CRYPTOGRAPHY",
    "KEY_TYPES",
    "LONGEST_ROOT_NAME",
    "MOST_DAYS",
    "Algorithms",
    "CertificateView",
    "Leaf",
    "PrivateKey",
    "Role",
    "algorithms_of",
    "authority_identifier",
    "bundle",
    "check_anchor",
    "check_root",
    "fingerprint_from",
    "issue_leaf",
    "key_matches",
    "key_signs_for",
    "new_root",
    "parse_certificates",
    "root_faults",
    "root_not_valid",
    "signature_hash",
    "subject_of",
    "timestamp",
    "usage_of",
    "verify_issued_by",
]

PrivateKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"
Role: TypeAlias = Side

KEY_TYPES = ("P-256", "P-384", "RSA-2048", "RSA-3072", "RSA-4096")


# RFC 5280 bounds a common name.
LONGEST_COMMON_NAME = 64
ROOT_NAME_DIGITS = 8
LONGEST_ROOT_NAME = LONGEST_COMMON_NAME - 1 - ROOT_NAME_DIGITS

# A century: beyond it lies a typing error, and soon the end of what a date can hold.
MOST_DAYS = 36_500

# RFC 5280, section 4.1.2.2: positive, and at most 20 octets, of which the first bit is the sign.
LARGEST_SERIAL = 1 << 159

# NIST SP 800-57 part 1, table 2: 112 bits of strength for RSA, and no curve below P-256 that verifiers take.
FEWEST_RSA_BITS, FEWEST_EC_BITS = 2048, 256

# Bits; twice the largest that is made here. With more, one signature takes seconds.
LARGEST_RSA_KEY = 8192

# One intermediate may come between this root and the leaves (a CA profile) without a new root.
ROOT_PATH_LENGTH = 1

# RFC 5758, RFC 8017 appendix C, RFC 8410; the words are OpenSSL's.
_SIGNATURES = {
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.3.101.112": "ED25519",
}

# Of SHA-256, as views have it.
_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)

_Extension = TypeVar("_Extension", bound="x509.ExtensionType")


@dataclass(frozen=True)
class CertificateView:
    """What this collection asks of a certificate, read once."""

    pem: str
    serial: str
    subject: str
    issuer: str
    sans: tuple[str, ...]
    eku: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    ski: str | None
    aki: str | None
    is_ca: bool
    key_type: str
    public_key_fingerprint: str

    def public(self) -> dict[str, str | list[str]]:
        """Return what results and diffs show."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "sans": list(self.sans),
            "serial": self.serial,
            "not_before": timestamp(self.not_before),
            "not_after": timestamp(self.not_after),
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class Algorithms:
    """What a certificate's key is, and by what it was signed.

    :param key: C(EC), C(RSA), or another name that the library has.
    :param bits: of the key; 0 where that means nothing.
    :param signature: as OpenSSL names it; dotted where it has no name here.
    """

    key: str
    bits: int
    signature: str


@dataclass(frozen=True)
class Leaf:
    """A new certificate with its key, which lives in this object only.

    ``note`` is empty, or says that the certificate ends earlier than was asked.
    """

    certificate_pem: str
    key_pem: bytes
    view: CertificateView
    note: str

    def __repr__(self) -> str:
        return f"Leaf({self.view.serial})"


def timestamp(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def usage_of(role: Role) -> tuple[str, ...]:
    """Name the extended key usage that a role gets, and nothing beyond it."""
    return ("serverAuth",) if role == "server" else ("clientAuth",)


def parse_certificates(pem: str | bytes, *, where: str = "certificate") -> tuple[CertificateView, ...]:
    """Read a chain or bundle. ``where`` names its origin in the error."""
    data = pem.encode(errors="replace") if isinstance(pem, str) else pem
    try:
        views = _views(data)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise _damaged(where, str(error).partition("\n")[0]) from error
    # The library passes over a block whose end is missing.
    if len(views) != data.count(b"-----BEGIN CERTIFICATE-----"):
        raise _damaged(where, "a certificate in it is cut off")
    return views


def fingerprint_from(text: str) -> str:
    """A SHA-256 fingerprint as openssl shows it, or without colons, in the form that views have; empty for no such."""
    digits = text.strip().replace(":", "").lower()
    return digits if _FINGERPRINT.fullmatch(digits) else ""


def algorithms_of(certificate: CertificateView) -> Algorithms:
    """What a view does not have, as few ask for it: read from the certificate itself."""
    parsed = x509.load_pem_x509_certificate(certificate.pem.encode())
    key = parsed.public_key()
    kind = "EC" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__.removesuffix("PublicKey")
    dotted = parsed.signature_algorithm_oid.dotted_string
    return Algorithms(kind, getattr(key, "key_size", 0), _SIGNATURES.get(dotted, dotted))


def new_root(*, common_name: str, key_type: str, validity: timedelta, now: datetime) -> tuple[PrivateKey, str]:
    """Make a root: its key and its certificate (PEM).

    The subject is the common name and the first digits of the key identifier, so that two roots never share a name:
    verifiers that choose an issuer by name alone stay right while one root replaces another.
    """
    key = _generate_key(key_type)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"{common_name} {identifier.digest.hex()[:ROOT_NAME_DIGITS]}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(now) - BACKDATING)
        .not_valid_after(_seconds(now) + validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=ROOT_PATH_LENGTH), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, signature_hash(key))
    )
    return key, _pem(certificate)


def check_root(
    certificate: CertificateView, key: PrivateKey, now: datetime, needed: timedelta = timedelta(0)
) -> list[str]:
    """Say why somebody's root cannot be this collection's CA (RFC 5280 sections 4.1.2.2 and 4.2.1.2 to 4.2.1.9).

    :param needed: how long it must still be valid: as long as what it issues.
    """
    dates = f"it is valid from {timestamp(certificate.not_before)} to {timestamp(certificate.not_after)}"
    lasts = certificate.not_before <= now < certificate.not_after
    of_the_moment = [
        fault
        for wrong, fault in (
            (not key_signs_for(certificate, key), "the key does not match"),
            (not lasts, dates),
            (
                lasts and certificate.not_after - now <= needed,
                f"{dates}, and ends before a certificate of {needed.days} days that is issued now",
            ),
        )
        if wrong
    ]
    return [*root_faults(certificate), *of_the_moment]


# A store is read several times in a run, and its roots with it.
@lru_cache(maxsize=64)
def root_faults(certificate: CertificateView) -> tuple[str, ...]:
    """Say why a certificate is no root (RFC 5280 sections 4.1.2.2 and 4.2.1.2 to 4.2.1.9), whatever its dates."""
    parsed = x509.load_pem_x509_certificate(certificate.pem.encode())
    usage, weak = _extension(parsed, x509.KeyUsage), _weak_signature(parsed)
    return tuple(
        fault
        for wrong, fault in (
            (not certificate.is_ca, "it is not a CA (basicConstraints)"),
            (weak, f"it is signed with {weak}"),
            (not weak and not _is_self_signed(certificate), "it is not self-signed"),
            (certificate.ski is None, "it has no subject key identifier"),
            (not (usage and usage.key_cert_sign and usage.crl_sign), "its key usage lacks keyCertSign or cRLSign"),
            (certificate.key_type not in KEY_TYPES, f"its key is of type {certificate.key_type}"),
            (not 0 < parsed.serial_number < LARGEST_SERIAL, "its serial number is not one of 1 to 20 octets"),
        )
        if wrong
    )


def check_anchor(certificate: CertificateView) -> str:
    """Say why no server can be verified by a root of somebody else's CA; empty where some can.

    RFC 5280 sections 4.2 and 4.2.1.3, 4.2.1.9, 4.2.1.12. Its own signature means nothing: it is trusted without.
    """
    parsed = x509.load_pem_x509_certificate(certificate.pem.encode())
    usage, purposes = _extension(parsed, x509.KeyUsage), _extension(parsed, x509.ExtendedKeyUsage)
    allowed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    unknown = [item.oid.dotted_string for item in parsed.extensions if item.critical and item.oid not in _PROCESSED]
    faults = (
        (not certificate.is_ca, "is not a CA"),
        (usage is not None and not usage.key_cert_sign, "has a key usage without keyCertSign"),
        (purposes is not None and allowed.isdisjoint(purposes), "has an extended key usage without serverAuth"),
        (bool(unknown), f"has a critical extension that verifiers do not know: {', '.join(unknown)}"),
        (_is_weak(parsed.public_key()), f"has a key that is too weak: {certificate.key_type}"),
    )
    return next((fault for wrong, fault in faults if wrong), "")


def _is_weak(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size < FEWEST_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.key_size < FEWEST_EC_BITS
    return isinstance(key, dsa.DSAPublicKey)


def _is_self_signed(certificate: CertificateView) -> bool:
    return verify_issued_by(replace(certificate, aki=certificate.ski), certificate)


def _weak_signature(certificate: x509.Certificate) -> str:
    """The hash of a signature that verifiers do not take any more; empty for another one."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return algorithm.name.upper() if isinstance(algorithm, (hashes.MD5, hashes.SHA1)) else ""


def subject_of(sans: Sequence[str], common_name: str) -> str:
    """The common name of a leaf: the first SAN where it fits."""
    return sans[0] if len(sans[0]) <= LONGEST_COMMON_NAME else common_name


def issue_leaf(
    *,
    root_certificate: CertificateView,
    root_key: PrivateKey,
    role: Role,
    sans: Sequence[str],
    common_name: str,
    key_type: str,
    validity: timedelta,
    now: datetime,
) -> Leaf:
    """Issue a leaf with a new key.

    Verifiers look at the SANs only. The subject repeats the first of them where it fits, else ``common_name``.
    """
    _refuse_unusable_root(root_certificate, now)
    if not sans:
        raise CrossmeshError(
            Message.error(
                "no-dns-name",
                where=common_name,
                what="the certificate would have no DNS name, so no verifier would accept it",
                fix="set at least one DNS name",
            )
        )
    wanted_end = _seconds(now) + validity
    end = min(wanted_end, root_certificate.not_after)
    key = _generate_key(key_type)
    issuer = x509.load_pem_x509_certificate(root_certificate.pem.encode())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(subject_of(sans, common_name)))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(_seconds(now) - BACKDATING, root_certificate.not_before))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_usage_oid(role)]), critical=False)
        .add_extension(_alternative_names(sans), critical=False)
        .add_extension(authority_identifier(issuer), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(root_key, signature_hash(root_key))
    )
    return Leaf(
        certificate_pem=_pem(certificate),
        key_pem=_key_pem(key),
        view=_view(certificate),
        note=_shortened(wanted_end, end),
    )


def key_matches(certificate_pem: str | bytes, key_pem: str | bytes) -> bool:
    """Tell whether the key belongs to the first certificate; a damaged one belongs to none.

    An RSA key is tried, not checked: whether its numbers are prime takes minutes to tell where they have ten thousand
    bits, and whoever writes a Secret decides how many they have.
    """
    data = key_pem.encode() if isinstance(key_pem, str) else key_pem
    try:
        key = serialization.load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=True)
        leaf = parse_certificates(certificate_pem)[0]
        matches = leaf.public_key_fingerprint == _public_key_fingerprint(key.public_key())
        return matches and (not isinstance(key, rsa.RSAPrivateKey) or _signs(key))
    except (CrossmeshError, ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _signs(key: rsa.RSAPrivateKey) -> bool:
    if key.key_size > LARGEST_RSA_KEY:
        return False
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"", scheme, digest), b"", scheme, digest)
    except InvalidSignature:
        return False
    return True


def key_signs_for(certificate: CertificateView, key: PrivateKey) -> bool:
    """Tell whether a loaded key is the one that the certificate speaks of."""
    return certificate.public_key_fingerprint == _public_key_fingerprint(key.public_key())


def verify_issued_by(leaf: CertificateView, root: CertificateView) -> bool:
    """Tell whether the root's key signed the leaf and the leaf names that key."""
    if not root.is_ca or leaf.aki != root.ski:
        return False
    try:
        x509.load_pem_x509_certificate(leaf.pem.encode()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(root.pem.encode())
        )
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def bundle(pems: Iterable[str]) -> str:
    """Join certificates in the given order, each once."""
    views = (view for pem in pems for view in parse_certificates(pem, where="bundle"))
    return "".join({view.fingerprint: view.pem for view in views}.values())


def _damaged(where: str, why: str) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "unreadable-certificate",
            where=where,
            what=f"the certificate cannot be read: {why or 'not a PEM certificate'}",
            fix="restore it from a backup, or remove it so that a new one is issued",
        )
    )


def _refuse_unusable_root(root: CertificateView, now: datetime) -> None:
    if root.not_before <= now < root.not_after:
        return
    raise CrossmeshError(root_not_valid(root, now))


def root_not_valid(root: CertificateView, now: datetime) -> Message:
    """The error where a root would have to sign before or after its time."""
    return Message.error(
        "root-not-valid",
        where=root.subject,
        what=f"the root is valid from {timestamp(root.not_before)} to {timestamp(root.not_after)}, but the clock of "
        f"this machine is at {timestamp(now)}",
        fix="if the clock of this machine is wrong, set it; otherwise replace the root (playbook rotate_ca)",
    )


def _shortened(wanted_end: datetime, end: datetime) -> str:
    if end == wanted_end:
        return ""
    return f"ends with its root at {timestamp(end)} instead of {timestamp(wanted_end)}"


def _seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _name(common_name: str) -> x509.Name:
    if not 0 < len(common_name) <= LONGEST_COMMON_NAME:
        raise CrossmeshError(
            Message.error(
                "common-name-length",
                where=common_name,
                what=f"the common name has {len(common_name)} characters; 1 to {LONGEST_COMMON_NAME} are allowed",
                fix="choose a shorter name",
            )
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(sans: Sequence[str]) -> x509.SubjectAlternativeName:
    try:
        return x509.SubjectAlternativeName([x509.DNSName(name) for name in dict.fromkeys(sans)])
    except ValueError as error:
        raise CrossmeshError(
            Message.error(
                "dns-name-not-ascii",
                where=", ".join(sans),
                what="a DNS name in a certificate cannot have characters beyond ASCII",
                fix="write it in its xn-- form",
            )
        ) from error


def _generate_key(key_type: str) -> PrivateKey:
    if key_type not in KEY_TYPES:
        raise CrossmeshError(
            Message.error(
                "unknown-key-type",
                where=key_type,
                what="this key type is not supported",
                fix=f"choose one of {', '.join(KEY_TYPES)}",
            )
        )
    if key_type == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    if key_type == "P-384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.removeprefix("RSA-")))


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """Choose a hash as strong as the issuing key (a P-384 signature over SHA-256 is flagged by linters)."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    return hashes.SHA256()


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _usage_oid(role: Role) -> x509.ObjectIdentifier:
    return ExtendedKeyUsageOID.SERVER_AUTH if role == "server" else ExtendedKeyUsageOID.CLIENT_AUTH


def authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Repeat the issuer's own identifier: recomputed, it would differ for a root made elsewhere."""
    identifier = _extension(issuer, x509.SubjectKeyIdentifier)
    if identifier is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


# A run looks at the same certificates many times, and at one root in every Secret.
@lru_cache(maxsize=4096)
def _views(pem: bytes) -> tuple[CertificateView, ...]:
    return tuple(map(_view, x509.load_pem_x509_certificates(pem)))


def _view(certificate: x509.Certificate) -> CertificateView:
    constraints = _extension(certificate, x509.BasicConstraints)
    names = _extension(certificate, x509.SubjectAlternativeName)
    subject_key = _extension(certificate, x509.SubjectKeyIdentifier)
    authority_key = _extension(certificate, x509.AuthorityKeyIdentifier)
    return CertificateView(
        pem=_pem(certificate),
        serial=f"{certificate.serial_number:x}",
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        sans=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        eku=_usages(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        ski=subject_key.digest.hex() if subject_key else None,
        aki=authority_key.key_identifier.hex() if authority_key and authority_key.key_identifier else None,
        is_ca=bool(constraints and constraints.ca),
        key_type=_key_type(certificate.public_key()),
        public_key_fingerprint=_public_key_fingerprint(certificate.public_key()),
    )


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    known = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
    return tuple(known.get(usage, usage.dotted_string) for usage in usages or ())


def _key_type(public_key: object) -> str:
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA-{public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "P-256", "secp384r1": "P-384"}.get(public_key.curve.name, public_key.curve.name)
    return type(public_key).__name__.removesuffix("PublicKey")


def _public_key_fingerprint(public_key: CertificatePublicKeyTypes | PublicKeyTypes) -> str:
    encoded = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()
