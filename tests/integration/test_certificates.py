# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other verifiers say of every certificate that a run puts in service."""

from __future__ import annotations

import base64
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import load_pem_x509_certificate

from tests.integration.support.lab_mesh import MYSQL, Mesh, cleared_afterwards
from tests.lab import Lab
from tests.unit.pki.strange_roots import strange_root
from tests.verifiers import counted, openssl, pkilint, zlint

SECRETS = {"client": ("cluster-a", "client-credential"), "server": ("cluster-b", "mysql-credential")}


@dataclass(frozen=True)
class Issued:
    """What one run put in service; files of one folder."""

    root: Path
    leaves: dict[str, Path]

    @property
    def all(self) -> list[Path]:
        return [self.root, *self.leaves.values()]


# The others take as long again; what differs is asked of every key type in tests/unit/pki, too.
SLOW = [pytest.param(key_type, marks=pytest.mark.slow) for key_type in ("P-384", "RSA-2048")]


@pytest.fixture(scope="module", params=["P-256", *SLOW])
def issued_certificates(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Issued:
    folder = tmp_path_factory.mktemp("issued")
    mesh = Mesh(lab, folder, secrets.token_urlsafe(24), variables={"custom_ca_key_type": request.param})
    leaves = {}
    with cleared_afterwards(mesh):
        run = mesh.site()
        assert run.ok, run.output
        for role, (cluster, secret) in SECRETS.items():
            data = mesh.get(cluster, "-n", "istio-system", "secret", secret)["data"]
            leaves[role] = written(folder / f"{role}.pem", base64.b64decode(data["tls.crt"]))
            root = written(folder / "root.pem", base64.b64decode(data["ca.crt"]))
    return Issued(root, leaves)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def verified(issued_certificates: Issued, role: str, purpose: str) -> subprocess.CompletedProcess[str]:
    return openssl(
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        issued_certificates.root,
        issued_certificates.leaves[role],
    )


@pytest.mark.parametrize("role", SECRETS)
def test_openssl_accepts_a_leaf_strictly_and_for_its_role_only(issued_certificates: Issued, role: str) -> None:
    other = {"client": "server", "server": "client"}[role]
    accepted, refused = (
        verified(issued_certificates, role, f"ssl{role}"),
        verified(issued_certificates, role, f"ssl{other}"),
    )
    assert accepted.returncode == 0, accepted.stderr
    assert "unsuitable certificate purpose" in refused.stderr


def test_leaves_name_what_they_are_for(issued_certificates: Issued) -> None:
    names = {
        role: set(openssl("x509", "-noout", "-ext", "subjectAltName", "-in", leaf).stdout.split()[-9:])
        for role, leaf in issued_certificates.leaves.items()
    }
    assert {name for name in names["server"] if name.startswith("DNS:")} == {f"DNS:{MYSQL['fqdn']}"}
    wanted = {"DNS:cluster-a.cluster.crossmesh.internal", "DNS:mysql.link.crossmesh.internal"}
    assert {name.rstrip(",") for name in names["client"] if name.startswith("DNS:")} == wanted


def test_pkilint_finds_nothing(issued_certificates: Issued) -> None:
    for path in issued_certificates.all:
        assert pkilint("lint_pkix_cert", path) == ""
    for leaf in issued_certificates.leaves.values():
        assert pkilint("lint_pkix_signer_signee_cert_chain", issued_certificates.root, leaf) == ""


def test_zlint_finds_nothing(issued_certificates: Issued) -> None:
    assert counted(zlint(*issued_certificates.all)) == {}


def test_the_linters_find_what_is_wrong_with_a_leaf_of_the_tutorial(tmp_path: Path) -> None:
    """The control: no SAN, as the tutorial has them."""
    path = tmp_path / "leaf.pem"
    make = ["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", f"/CN={MYSQL['fqdn']}", "-days", "9"]
    extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]
    assert openssl(*make, *extensions, "-keyout", tmp_path / "leaf.key", "-out", path).returncode == 0
    assert "e_ext_san_missing" in counted(zlint(path))


@pytest.mark.parametrize("made_fit", [False, True], ids=["istiods-certificate", "another-of-its-key"])
def test_a_mesh_s_own_ca_is_refused_as_custom_ca(mesh: Mesh, tmp_path: Path, *, made_fit: bool) -> None:
    """The root that istiod makes for itself signs no CRL; one that its operator makes of the same key may."""
    certificate, key = ca_of_mesh(mesh, "cluster-b", tmp_path, made_fit=made_fit)
    run = mesh.site("-e", f"custom_ca_import_certificate={certificate}", "-e", f"custom_ca_import_key={key}")
    assert not run.ok
    fingerprint = load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()
    if made_fit:
        assert run.reports("mesh-ca", f"root {fingerprint[:8]}")
    else:
        assert run.reports("root-import", "key usage lacks keyCertSign or cRLSign")
    assert mesh.names("cluster-b") == set()


def ca_of_mesh(mesh: Mesh, cluster: str, folder: Path, *, made_fit: bool) -> tuple[Path, Path]:
    """Files of istiod's own root, or of one of its key, and of that key."""
    data = mesh.get(cluster, "-n", "istio-system", "secret", "istio-ca-secret")["data"]
    pem, key = (base64.b64decode(data[name]) for name in ("ca-cert.pem", "ca-key.pem"))
    if made_fit:
        loaded = serialization.load_pem_private_key(key, password=None)
        assert isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        pem = strange_root(key=loaded).view.pem.encode()
    return written(folder / "ca.pem", pem), written(folder / "ca.key", key)
