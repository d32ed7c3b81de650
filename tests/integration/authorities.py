"""Certificates that the collection did not make, for hands other than ours; every key stays in memory."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import (
    CertificateView,
    Leaf,
    PrivateKey,
    Role,
    issue_leaf,
    new_root,
    parse_certificates,
)

DAY = timedelta(days=1)


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


def stranger() -> Issuer:
    """A root that nobody trusts."""
    key, pem = new_root(common_name="Stranger", key_type="P-256", validity=10 * DAY, now=datetime.now(UTC))
    return Issuer(parse_certificates(pem)[0], key)


def custom(store: Path, passphrase: str) -> Issuer:
    """The custom CA itself, as the owner of its store has it."""
    found = FileStore(store)
    authority = found.public()
    assert authority
    assert authority.issuing
    return Issuer(authority.issuing, found.signer(passphrase))


def client_context(folder: Path, leaf: Leaf | None) -> ssl.SSLContext:
    """A client that presents the certificate and trusts anything: the test is about what the server says."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if leaf:
        path = folder / f"{leaf.view.serial}.pem"
        path.touch(mode=0o600)
        path.write_text(leaf.certificate_pem + leaf.key_pem.decode(), encoding="ascii")
        context.load_cert_chain(path)
        path.unlink()
    return context
