# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others say of our certificates: openssl's strict verification and pkilint."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import KEY_TYPES, Leaf
from tests.unit.pki.support import Root, make_leaf, make_root

PKILINT = Path(sys.executable).parent


@dataclass(frozen=True)
class Family:
    root: Path
    server: Path
    client: Path


def write(path: Path, pem: str) -> Path:
    path.write_text(pem, encoding="ascii")
    return path


@pytest.fixture(scope="module", params=KEY_TYPES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp(request.param)
    root: Root = make_root(request.param)
    server: Leaf = make_leaf(root, key_type=request.param)
    client: Leaf = make_leaf(
        root, role="client", sans=["cluster-a.cluster.crossmesh.internal", "mysql.link.crossmesh.internal"]
    )
    return Family(
        write(folder / "root.pem", root.view.pem),
        write(folder / "server.pem", server.certificate_pem),
        write(folder / "client.pem", client.certificate_pem),
    )


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def verify(family: Family, leaf: Path, purpose: str) -> subprocess.CompletedProcess[str]:
    # attime: inside the validity of certificates whose clock the tests hold.
    return run(
        "openssl", "verify", "-x509_strict", "-attime", "1780320000", "-purpose", purpose, "-CAfile", family.root, leaf
    )


def test_openssl_accepts_each_leaf_for_its_purpose_only(family: Family) -> None:
    assert verify(family, family.server, "sslserver").returncode == 0, verify(family, family.server, "sslserver").stderr
    assert verify(family, family.client, "sslclient").returncode == 0, verify(family, family.client, "sslclient").stderr
    assert "unsuitable certificate purpose" in verify(family, family.server, "sslclient").stderr
    assert "unsuitable certificate purpose" in verify(family, family.client, "sslserver").stderr


def test_openssl_accepts_the_root(family: Family) -> None:
    result = verify(family, family.root, "any")
    assert result.returncode == 0, result.stderr


def test_pkilint_finds_nothing(family: Family) -> None:
    for path in (family.root, family.server, family.client):
        result = run(PKILINT / "lint_pkix_cert", "lint", "-s", "WARNING", path)
        assert result.returncode == 0, f"{path.name}: {result.stdout}{result.stderr}"


def test_pkilint_finds_nothing_between_root_and_leaf(family: Family) -> None:
    for leaf in (family.server, family.client):
        result = run(PKILINT / "lint_pkix_signer_signee_cert_chain", "lint", "-s", "WARNING", family.root, leaf)
        assert result.returncode == 0, f"{leaf.name}: {result.stdout}{result.stderr}"
