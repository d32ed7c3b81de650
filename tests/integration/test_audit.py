# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report gives auditors is what openssl reads in the same certificates and lists, field by field."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.support.credential_secrets import BOTH, certificate_pem, list_pem
from tests.integration.support.lab_mesh import Mesh
from tests.unit.support import Json
from tests.verifiers import openssl

Row = Mapping[str, str]
# As openssl calls them.
USAGES = {"TLS Web Server Authentication": "server", "TLS Web Client Authentication": "client"}
NAMES = ("-nameopt", "RFC2253")
DATES = ("-dateopt", "iso_8601")


@pytest.fixture(scope="module")
def audited(shared_mesh: Mesh) -> Path:
    """A report of a link in order, beside a list that revokes one serial number."""
    revoked = [{"serial": "abcdef", "date": "2026-01-02T03:04:05Z", "reason": "keyCompromise"}]
    mesh = shared_mesh.with_changes(variables={"custom_ca_revoked": revoked})
    folder = shared_mesh.folder / "audit"
    for run in (mesh.site(), mesh.play("report", "-e", f"mesh_report_dir={folder}")):
        assert run.ok, run.output
    return folder


def rows(folder: Path) -> dict[str, Row]:
    """By fingerprint; columns by their titles, without the rules that ask for them."""
    with (folder / "certificates.csv").open(encoding="utf-8", newline="") as file:
        read = [{title.partition(" [")[0]: value for title, value in row.items()} for row in csv.DictReader(file)]
    return {row["Fingerprint (SHA-256)"]: row for row in read}


def content(folder: Path) -> Json:
    found: Json = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def told(program: str, path: Path, *options: str) -> str:
    done = openssl(program, "-noout", "-in", path, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fields(text: str) -> dict[str, str]:
    """C(key=value) lines."""
    return {key: value for key, equals, value in (line.partition("=") for line in text.splitlines()) if equals}


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def expected(path: Path, made_at: str) -> Row:
    """The columns that a certificate itself decides, of what openssl says of it."""
    options = ("-serial", "-subject", "-issuer", "-dates", "-fingerprint", "-sha256", *NAMES, *DATES)
    said, text = fields(told("x509", path, *options)), told("x509", path, "-text", *DATES)
    extensions = told("x509", path, "-ext", "subjectAltName,extendedKeyUsage,basicConstraints")
    is_root = "CA:TRUE" in extensions
    usages = sorted(side for usage, side in USAGES.items() if usage in extensions)
    curve, bits = found(r"NIST CURVE: (\S+)", text), found(r"Public-Key: \((\d+) bit\)", text)
    end = datetime.fromisoformat(said["notAfter"])
    return {
        "Kind": "root, issuing" if is_root else f"{' '.join(usages)} certificate",
        "Names": said["subject"] if is_root else " ".join(re.findall(r"DNS:([^,\s]+)", extensions)),
        "Serial number": said["serial"].lower().lstrip("0"),
        "Valid from": said["notBefore"].replace(" ", "T"),
        "Valid to": said["notAfter"].replace(" ", "T"),
        "Days left": str((end - datetime.fromisoformat(made_at)).days),
        "Key": f"EC {bits} ({curve})",
        "Signature": found(r"Signature Algorithm: (\S+)", text),
        "Issuer": said["issuer"],
        "Fingerprint (SHA-256)": said["sha256 Fingerprint"].replace(":", "").lower(),
    }


def differences(row: Row, wanted: Row) -> set[str]:
    return {title for title, value in wanted.items() if row[title] != value}


def test_every_certificate_is_as_openssl_reads_it_where_its_key_is_stored(shared_mesh: Mesh, audited: Path) -> None:
    """The control of each row is the other certificate."""
    register, made_at = rows(audited), content(audited)["made_at"]
    (root,) = (shared_mesh.store / "roots").glob("*.crt")
    issuer = expected(root, made_at)["Fingerprint (SHA-256)"]
    read = {}
    for cluster, secret in BOTH:
        path = audited / f"{secret}.crt"
        path.write_bytes(certificate_pem(shared_mesh, (cluster, secret)))
        wanted = expected(path, made_at)
        row = read[cluster] = register[wanted["Fingerprint (SHA-256)"]]
        assert differences(row, wanted) == set()
        assert openssl("verify", "-CAfile", root, path).returncode == 0
        assert (row["Owner"], row["State"], row["Root (SHA-256)"]) == (cluster, "in service", issuer)
        assert row["Stored in"] == f"Secret istio-system/{secret} in cluster {cluster}"
    assert {"Kind", "Serial number", "Fingerprint (SHA-256)"} <= differences(read["cluster-a"], wanted)


def test_every_root_is_as_openssl_reads_it_in_the_store(shared_mesh: Mesh, audited: Path) -> None:
    (root,) = (shared_mesh.store / "roots").glob("*.crt")
    wanted = expected(root, content(audited)["made_at"])
    row = rows(audited)[wanted["Fingerprint (SHA-256)"]]
    assert differences(row, wanted) == set()
    assert row["Stored in"] == f"CA store {shared_mesh.store}, encrypted"
    assert [item["Kind"] for item in rows(audited).values() if item["Owner"] == "custom CA"] == ["root, issuing"]


def test_every_revocation_list_is_as_openssl_reads_it_at_the_gateways(shared_mesh: Mesh, audited: Path) -> None:
    (told_of,) = content(audited)["crls"]
    for cluster, secret in BOTH:
        path = audited / f"{secret}.crl"
        path.write_bytes(list_pem(shared_mesh, (cluster, secret)))
        said = fields(told("crl", path, "-crlnumber", "-lastupdate", "-nextupdate", "-issuer", *NAMES, *DATES))
        text = told("crl", path, "-text", *DATES)
        (revoked,) = told_of["revoked"]
        assert told_of["number"] == int(said["crlNumber"], 16)
        assert told_of["this_update"] == said["lastUpdate"].replace(" ", "T")
        assert told_of["next_update"] == said["nextUpdate"].replace(" ", "T")
        assert told_of["issuer"] == said["issuer"]
        assert revoked["serial"] == found(r"Serial Number: (\S+)", text).lower().lstrip("0")
        since = datetime.strptime(found(r"Revocation Date: (.*) GMT", text), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        assert datetime.fromisoformat(revoked["since"]) == since
        assert (revoked["reason"], found(r"Reason Code:[^\n]*\n\s*(.*)", text)) == ("keyCompromise", "Key Compromise")
