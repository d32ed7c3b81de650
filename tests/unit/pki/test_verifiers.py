# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others say of every kind of certificate and list: openssl, strictly, pkilint and zlint find nothing.

Each of them is shown to find a planted fault, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.revocation import VALIDITY
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import REASONS, Revoked, issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import KEY_TYPES, Role
from tests.unit.pki.support import DAY, NOW, Root, make_leaf, make_root
from tests.verifiers import DROPPED, counted, openssl, pkilint, zlint

ROLES: tuple[Role, ...] = ("server", "client")
SANS = {
    "server": ["mysql.server.example.com"],
    "client": ["cluster-a.cluster.crossmesh.internal", "mysql.link.crossmesh.internal"],
}
# Inside the validity of certificates whose clock the tests hold.
AT = ("-attime", str(int(NOW.timestamp())))


@dataclass(frozen=True)
class Family:
    """A root, and of it a leaf of each role, one that no public CA would issue, and three lists.

    The lists are an empty one, one of other certificates, and one with the leaves of both roles.
    """

    folder: Path
    authority: Root

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    @property
    def certificates(self) -> list[Path]:
        return [self.root, *map(self.leaf, ROLES), self.folder / "private.pem"]

    @property
    def lists(self) -> list[Path]:
        return [self.folder / f"{name}.crl" for name in ("empty", "others", "both")]

    def leaf(self, role: Role) -> Path:
        return self.folder / f"{role}.pem"

    def keep(self, name: str, pem: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(pem.encode() if isinstance(pem, str) else pem)
        return path

    def verify(self, leaf: Path, *options: str | Path) -> str:
        """What openssl says against the leaf; empty where that is nothing."""
        result = openssl("verify", "-x509_strict", *AT, *options, "-CAfile", self.root, leaf)
        return result.stderr if result.returncode else ""


@pytest.fixture(scope="module", params=KEY_TYPES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return a_family(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A family to plant faults in."""
    return a_family("P-256", tmp_path_factory.mktemp("one"))


def a_family(key_type: str, folder: Path) -> Family:
    made = Family(folder, make_root(key_type))
    made.keep("root.pem", made.authority.view.pem)
    serials = []
    for role in ROLES:
        leaf = make_leaf(made.authority, role=role, sans=SANS[role], key_type=key_type)
        made.keep(f"{role}.pem", leaf.certificate_pem)
        serials.append(leaf.view.serial)
    private = make_leaf(made.authority, sans=[f"{'long.' * 12}name.internal"], key_type=key_type, validity=3000 * DAY)
    made.keep("private.pem", private.certificate_pem)
    # As in the run that follows the writing of an entry.
    just_now = NOW - timedelta(seconds=1)
    for name, revoked in {
        "empty": [],
        "others": [Revoked(f"{index:x}", NOW - index * DAY, reason) for index, reason in enumerate(REASONS, start=1)],
        "both": [Revoked(serial, just_now, "keyCompromise") for serial in serials],
    }.items():
        root, key = made.authority.view, made.authority.key
        crl = issue_crl(root=root, key=key, revoked=revoked, number=1, validity=VALIDITY, now=NOW)
        made.keep(f"{name}.crl", crl.pem)
    return made


# -- nothing is found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "other"), [("server", "client"), ("client", "server")])
def test_openssl_accepts_each_leaf_strictly_and_for_its_purpose_only(family: Family, role: Role, other: Role) -> None:
    assert family.verify(family.leaf(role), "-purpose", f"ssl{role}") == ""
    assert "unsuitable certificate purpose" in family.verify(family.leaf(role), "-purpose", f"ssl{other}")


def test_openssl_accepts_the_root(family: Family) -> None:
    assert family.verify(family.root) == ""


def test_openssl_accepts_every_list_as_its_roots(family: Family) -> None:
    for path in family.lists:
        assert openssl("crl", "-noout", "-verify", "-CAfile", family.root, "-in", path).stderr == "verify OK\n"


def test_openssl_refuses_the_leaves_that_a_list_names_and_no_others(family: Family) -> None:
    empty, others, both = family.lists
    for role in ROLES:
        for path in (empty, others):
            assert family.verify(family.leaf(role), "-crl_check", "-CRLfile", path) == ""
        assert "certificate revoked" in family.verify(family.leaf(role), "-crl_check", "-CRLfile", both)


def test_pkilint_finds_nothing(family: Family) -> None:
    for path in family.certificates:
        assert pkilint("lint_pkix_cert", path) == ""
    for path in family.lists:
        assert pkilint("lint_crl", "-t", "CRL", "-p", "PKIX", path) == ""


def test_pkilint_finds_nothing_between_root_and_leaf(family: Family) -> None:
    for role in ROLES:
        assert pkilint("lint_pkix_signer_signee_cert_chain", family.root, family.leaf(role)) == ""


def test_zlint_finds_nothing(family: Family) -> None:
    found = zlint(*family.certificates, *family.lists)
    assert counted(found) == {}


def test_no_lint_is_dropped_without_need(one: Family) -> None:
    assert set(zlint(*one.certificates, *one.lists)) == DROPPED


# -- planted faults ------------------------------------------------------------------------------------------------


def leaf_without(family: Family, kind: type[x509.ExtensionType]) -> Path:
    """The server's certificate but for one extension."""
    sound = x509.load_pem_x509_certificate(family.leaf("server").read_bytes())
    public_key = sound.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(sound.issuer)
        .subject_name(sound.subject)
        .public_key(public_key)
        .serial_number(sound.serial_number)
        .not_valid_before(sound.not_valid_before_utc)
        .not_valid_after(sound.not_valid_after_utc)
    )
    for extension in sound.extensions:
        if not isinstance(extension.value, kind):
            builder = builder.add_extension(extension.value, extension.critical)
    return family.keep("spoiled.pem", signed(builder, family.authority))


def list_without_extensions(family: Family) -> Path:
    root = x509.load_pem_x509_certificate(family.root.read_bytes())
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.subject)
    return family.keep("spoiled.crl", signed(builder.last_update(NOW).next_update(NOW + DAY), family.authority))


def signed(builder: x509.CertificateBuilder | x509.CertificateRevocationListBuilder, root: Root) -> bytes:
    return builder.sign(root.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_openssl_would_find_a_certificate_that_does_not_name_its_issuers_key(one: Family) -> None:
    spoiled = leaf_without(one, x509.AuthorityKeyIdentifier)
    assert "Missing Authority Key Identifier" in one.verify(spoiled)


def test_openssl_would_find_another_roots_list(one: Family, tmp_path: Path) -> None:
    other = a_family("P-256", tmp_path)
    result = openssl("crl", "-noout", "-verify", "-CAfile", one.root, "-in", other.lists[0])
    assert "verify OK" not in result.stderr
    assert result.stderr


def test_pkilint_would_find_what_is_left_out(one: Family) -> None:
    assert "authority_key_identifier" in pkilint("lint_pkix_cert", leaf_without(one, x509.AuthorityKeyIdentifier))
    assert "crl_number" in pkilint("lint_crl", "-t", "CRL", "-p", "PKIX", list_without_extensions(one))


def test_pkilint_would_find_another_roots_leaf(one: Family, tmp_path: Path) -> None:
    other = a_family("P-256", tmp_path)
    found = pkilint("lint_pkix_signer_signee_cert_chain", other.root, one.leaf("server"))
    assert "signature_verification_failed" in found


def test_zlint_would_find_what_is_left_out(one: Family) -> None:
    spoiled = leaf_without(one, x509.SubjectAlternativeName)
    assert counted(zlint(spoiled))["e_ext_san_missing"] == {spoiled.name}
    assert counted(zlint(list_without_extensions(one)))
