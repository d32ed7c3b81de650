# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that the collection did not make, for hands other than ours; every key stays in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import DEFAULT_INSTANCE
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Leaf,
    PrivateKey,
    Role,
    issue_leaf,
    new_root,
    parse_certificates,
)
from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

DAY = timedelta(days=1)
# What a client's certificate names for the tutorial's link.
LINK = "mysql.link.crossmesh.internal"
GONE = "cluster-gone"


@dataclass(frozen=True, repr=False)
class Issuer:
    certificate: CertificateView
    key: PrivateKey

    def leaf(self, role: Role, sans: Sequence[str], *, age: timedelta = timedelta(0)) -> Leaf:
        """A certificate for a day that began some time ago."""
        # A root is never older than its leaves; this one is only read for its name and its key.
        root = replace(self.certificate, not_before=self.certificate.not_before - age)
        return issue_leaf(
            root_certificate=root,
            root_key=self.key,
            role=role,
            sans=sans,
            common_name=sans[0][:64],
            key_type="P-256",
            validity=DAY,
            now=datetime.now(UTC) - age,
        )


def untrusted_issuer() -> Issuer:
    """A root that nobody trusts."""
    key, pem = new_root(common_name="Stranger", key_type="P-256", validity=10 * DAY, now=datetime.now(UTC))
    return Issuer(parse_certificates(pem)[0], key)


def custom_ca_issuer(store: Path, passphrase: str, instance: str = DEFAULT_INSTANCE) -> Issuer:
    """The custom CA itself, as the owner of its store has it."""
    found = CaStore(FileStorage(store), instance)
    authority = found.public()
    assert authority
    assert authority.issuing
    return Issuer(authority.issuing, found.signer(passphrase))


def stolen_certificate(mesh: Mesh) -> Leaf:
    """A client's certificate that the CA has issued to a cluster that is gone, with its key in the wrong hands."""
    leaf = custom_ca_issuer(mesh.store, mesh.passphrase).leaf("client", [LINK])
    store, now = CaStore(FileStorage(mesh.store)), datetime.now(UTC)
    authority = store.public()
    assert authority
    assert authority.issuing
    record = record_of(
        leaf.view,
        issuer=authority.issuing,
        instance="default",
        cluster=GONE,
        side="client",
        links=["mysql"],
        secret="istio-system/client-credential",
        now=now,
    )
    assert store.record([record], store.signer(mesh.passphrase), now)
    return leaf


def record_another(mesh: Mesh, **changes: str) -> None:
    """Let the CA know of one more certificate, like the oldest that it has issued but for these fields."""
    store, now = CaStore(FileStorage(mesh.store)), datetime.now(UTC)
    first, *_others = store.records(now)
    assert store.record([replace(first, **changes)], store.signer(mesh.passphrase), now)  # type: ignore[arg-type]


def put_into_server_secret(mesh: Mesh, leaf: Leaf) -> None:
    """Put a certificate into the server's Secret by hand and wait until the ingress gateway has it."""
    data = {"tls.crt": leaf.certificate_pem.encode(), "tls.key": leaf.key_pem}
    patch = json.dumps({"data": {key: base64.b64encode(value).decode() for key, value in data.items()}})
    argv = ["-n", "istio-system", "patch", "secret", "mysql-credential", "--patch-file=/dev/stdin"]
    mesh.lab.kubectl("cluster-b", *argv, stdin=patch)
    certs = eventually(lambda: leaf.view.serial in mesh.lab.envoy("cluster-b", "istio-ingressgateway-0", "certs"))
    assert certs
