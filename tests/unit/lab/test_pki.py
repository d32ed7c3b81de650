# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the lab's API servers, as strict clients see them: Python 3.13 and later, for one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab import shell
from tests.lab.description import load_description
from tests.lab.lifecycle import DESCRIPTION
from tests.lab.pki import Pki, make_pki

LEAVES = [("apiserver", "sslserver"), ("kubelet", "sslserver"), ("admin", "sslclient")]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    cluster = load_description(DESCRIPTION, lab="lab", offset=0).clusters[0]
    return make_pki(tmp_path_factory.mktemp("cluster") / "pki", cluster)


def _verdict(ca: Path, certificate: Path, purpose: str) -> subprocess.CompletedProcess[str]:
    verify = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(ca), str(certificate)]
    return subprocess.run(verify, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "purpose"), LEAVES)
def test_a_strict_verifier_takes_every_leaf(pki: Pki, name: str, purpose: str) -> None:
    found = _verdict(pki.ca, pki.certificate(name), purpose)
    assert (found.returncode, found.stderr) == (0, "")


def test_it_refuses_a_leaf_that_calls_itself_a_ca_and_has_no_key_usage(pki: Pki, tmp_path: Path) -> None:
    """What openssl makes of a leaf when it is left to its own configuration."""
    leaf = tmp_path / "leaf.crt"
    shell.run(
        *("openssl", "req", "-x509", "-config", str(pki.openssl_configuration), "-subj", "/CN=kube-apiserver"),
        *("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", str(tmp_path / "leaf.key")),
        *("-CA", str(pki.ca), "-CAkey", str(pki.key("ca")), "-out", str(leaf)),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "authorityKeyIdentifier=keyid:always"),
        *("-addext", "subjectKeyIdentifier=hash", "-addext", "extendedKeyUsage=serverAuth"),
    )
    found = _verdict(pki.ca, leaf, "sslserver")
    assert found.returncode != 0
    assert "does not include key usage" in found.stderr


@pytest.mark.parametrize(
    ("name", "constraints", "usage"),
    [
        ("ca", "CA:TRUE", "Certificate Sign, CRL Sign"),
        *((name, "CA:FALSE", "Digital Signature") for name, _ in LEAVES),
    ],
)
def test_each_says_critically_what_it_may_be_used_for(pki: Pki, name: str, constraints: str, usage: str) -> None:
    wanted = "basicConstraints,keyUsage,subjectKeyIdentifier,authorityKeyIdentifier"
    said = shell.run("openssl", "x509", "-noout", "-ext", wanted, "-in", str(pki.certificate(name))).splitlines()
    values = {key.strip(): value.strip() for key, value in zip(said[::2], said[1::2], strict=True)}
    assert values["X509v3 Basic Constraints: critical"] == constraints
    assert values["X509v3 Key Usage: critical"] == usage
    issuer = shell.run("openssl", "x509", "-noout", "-ext", "subjectKeyIdentifier", "-in", str(pki.ca)).splitlines()[1]
    assert values["X509v3 Authority Key Identifier:"] == issuer.strip()
    assert (values["X509v3 Subject Key Identifier:"] == issuer.strip()) is (name == "ca")
