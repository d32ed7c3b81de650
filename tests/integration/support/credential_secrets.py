# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a credential's Secret holds, read as anybody may read it: the certificate, the roots, the revocation lists."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from tests.integration.support.cluster_faults import EGRESS, INGRESS
from tests.integration.support.lab_mesh import Mesh

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


def trusted_roots(mesh: Mesh, secret: tuple[str, str]) -> set[str]:
    """Fingerprints of the roots."""
    found = x509.load_pem_x509_certificates(_data(mesh, secret, "ca.crt"))
    return {root.fingerprint(SHA256()).hex() for root in found}


def revocation_lists(mesh: Mesh, secret: tuple[str, str]) -> list[x509.CertificateRevocationList]:
    """Istio takes several, one after the other."""
    pem = _data(mesh, secret, "ca.crl")
    begin = b"-----BEGIN X509 CRL-----"
    return [x509.load_pem_x509_crl(begin + block) for block in pem.split(begin)[1:]]


def certificate_pem(mesh: Mesh, secret: tuple[str, str]) -> bytes:
    return _data(mesh, secret, "tls.crt")


def list_pem(mesh: Mesh, secret: tuple[str, str]) -> bytes:
    return _data(mesh, secret, "ca.crl")


def arrived_at_gateways(mesh: Mesh) -> bool:
    """Whether the gateways have what stands in the Secrets: certificate, roots and revocation lists."""
    return all(_has(mesh, pod, secret) for pod, secret in ((EGRESS, CLIENT), (INGRESS, SERVER)))


def _has(mesh: Mesh, pod: tuple[str, str], secret: tuple[str, str]) -> bool:
    data, trust = _content(mesh, secret), envoy.trust(mesh.lab.envoy(*pod, envoy.SECRETS))
    context = trust.get(f"kubernetes://{secret[1]}-cacert")
    return (
        context is not None
        and context.roots.split() == data["ca.crt"].decode().split()
        and context.lists.split() == data.get("ca.crl", b"").decode().split()
        and f"{_leaf_of(data).serial_number:x}" in envoy.served_serials(mesh.lab.envoy(*pod, envoy.CERTS))
    )


def _leaf(mesh: Mesh, secret: tuple[str, str]) -> x509.Certificate:
    return _leaf_of(_content(mesh, secret))


def _leaf_of(data: dict[str, bytes]) -> x509.Certificate:
    return x509.load_pem_x509_certificates(data["tls.crt"])[0]


def _data(mesh: Mesh, secret: tuple[str, str], key: str) -> bytes:
    return _content(mesh, secret).get(key, b"")


def _content(mesh: Mesh, secret: tuple[str, str]) -> dict[str, bytes]:
    cluster, name = secret
    item: dict[str, Any] = mesh.get(cluster, "secret", name, "-n", "istio-system")
    return {key: base64.b64decode(value) for key, value in item["data"].items()}
