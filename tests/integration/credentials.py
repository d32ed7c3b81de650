"""What a credential's Secret holds, read as anybody may read it: the certificate, the roots, the revocation lists."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tests.integration.mesh import Mesh

CLIENT, SERVER = ("cluster-a", "client-credential"), ("cluster-b", "mysql-credential")
BOTH = (CLIENT, SERVER)


def serial(mesh: Mesh, secret: tuple[str, str]) -> str:
    return f"{_leaf(mesh, secret).serial_number:x}"


def serials(mesh: Mesh) -> list[str]:
    return [serial(mesh, secret) for secret in BOTH]


def issuer(mesh: Mesh, secret: tuple[str, str]) -> str:
    return _leaf(mesh, secret).issuer.rfc4514_string()


def issuers(mesh: Mesh) -> set[str]:
    return {issuer(mesh, secret) for secret in BOTH}


def trusted(mesh: Mesh, secret: tuple[str, str]) -> set[str]:
    """Fingerprints of the roots."""
    found = x509.load_pem_x509_certificates(_data(mesh, secret, "ca.crt"))
    return {root.fingerprint(SHA256()).hex() for root in found}


def lists(mesh: Mesh, secret: tuple[str, str]) -> list[x509.CertificateRevocationList]:
    """Istio takes several, one after the other."""
    pem = _data(mesh, secret, "ca.crl")
    begin = b"-----BEGIN X509 CRL-----"
    return [x509.load_pem_x509_crl(begin + block) for block in pem.split(begin)[1:]]


def arrived(mesh: Mesh) -> bool:
    """Whether the gateways have the certificates and roots that stand in the Secrets."""
    return all(
        f"{certificate.serial_number:x}" in mesh.lab.envoy(secret[0], pod, "certs")
        for secret, pod in ((CLIENT, "istio-egressgateway-0"), (SERVER, "istio-ingressgateway-0"))
        for key in ("tls.crt", "ca.crt")
        for certificate in x509.load_pem_x509_certificates(_data(mesh, secret, key))
    )


def _leaf(mesh: Mesh, secret: tuple[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificates(_data(mesh, secret, "tls.crt"))[0]


def _data(mesh: Mesh, secret: tuple[str, str], key: str) -> bytes:
    cluster, name = secret
    item: dict[str, Any] = mesh.get(cluster, "secret", name, "-n", "istio-system")
    return base64.b64decode(item["data"].get(key, ""))
