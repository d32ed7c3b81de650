# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""G: roots that are brought in. Whoever hands one over decides what every gateway trusts, or that nothing works."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, custom_ca_info, custom_ca_rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.file_storage import FileStorage
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from tests.unit.pki.strange_roots import (
    CODE_SIGNING,
    SERVERS_ONLY,
    UNKNOWN_CRITICAL,
    excludes,
    permits,
    strange_root,
    written,
    written_by_openssl,
)
from tests.unit.pki.support import DAY, PASSPHRASE, make_root
from tests.unit.support import CLIENT, SERVER, Json, link, run_action

NOW = datetime.now(UTC).replace(microsecond=0)
BEGAN = NOW - DAY
LINKS = [link(), link(name="bank", fqdn="bank.server.example.com", port=3307, tls_port=13307)]


class Operator:
    """Somebody who runs the CA's actions with a root that was handed over."""

    def __init__(self, folder: Path, files: tuple[Path, Path], links: list[Json]) -> None:
        self.store = CaStore(FileStorage(folder / "ca"))
        hosts = {"cluster-a": CLIENT, "cluster-b": SERVER}
        self.variables: Json = {
            "custom_ca_dir": self.store.where,
            "custom_ca_passphrase": PASSPHRASE,
            "custom_ca_import_certificate": str(files[0]),
            "custom_ca_import_key": str(files[1]),
            "mesh_links": links,
            "groups": {"mesh_clients": ["cluster-a"], "mesh_servers": ["cluster-b"]},
            "hostvars": {
                host: {"inventory_hostname": host, "mesh_links": links, **given, "group_names": given["groups"]}
                for host, given in hosts.items()
            },
        }

    def creates(self, *, check: bool = False) -> Json:
        return run_action(custom_ca, {"state": "present"}, self.variables, check=check)

    def looks(self) -> list[str]:
        """What preflight says of it."""
        return [found["code"] for found in run_action(custom_ca_info, {}, self.variables)["problems"]]

    def moves(self, step: str, *, check: bool = False, **arguments: Any) -> Json:
        return run_action(custom_ca_rotation, {"step": step, **arguments}, self.variables, check=check)


def codes(result: Json) -> list[str]:
    return [error["code"] for error in result["errors"]]


def operator(folder: Path, *extensions: Any, **changes: Any) -> Operator:
    root = strange_root(*extensions, **{"begins": BEGAN, **changes})
    return Operator(folder, written(folder, root), LINKS)


REFUSED: dict[str, tuple[Sequence[Any], Json, str]] = {
    "code signing": ((CODE_SIGNING,), {}, "does not allow the role"),
    "servers only": ((SERVERS_ONLY,), {}, "as a client's certificate for"),
    "excludes a link": ((excludes("bank.server.example.com"),), {}, "for bank.server.example.com: "),
    "excludes clients": ((permits("example.com"),), {}, "for cluster-a.cluster.crossmesh.internal, "),
    "unknown critical extension": ((UNKNOWN_CRITICAL,), {}, "a critical extension"),
    "empty subject": ((), {"subject": ""}, "subject is empty"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_root_of_which_nothing_is_accepted_is_not_created(tmp_path: Path, kind: str) -> None:
    """G1: an import whose certificates every gateway refuses.

    On d3897ca it was taken: preflight, site and verify were green, and no link carried anything.
    """
    extensions, changes, words = REFUSED[kind]
    victim = operator(tmp_path, *extensions, **changes)
    for check in (True, False):
        result = victim.creates(check=check)
        assert codes(result) == ["root-refused"]
        assert words in result["msg"]
        assert not Path(victim.store.where).exists()
    assert victim.looks() == ["root-refused"]


@pytest.mark.parametrize("kind", ["RSA-PSS", "explicit curve"])
def test_a_key_that_gateways_refuse_is_not_imported(tmp_path: Path, kind: str) -> None:
    """G2: a root whose key says how it is to be used, or spells its curve out.

    On d3897ca it was taken, and no connection was made.
    """
    victim = Operator(tmp_path, written_by_openssl(tmp_path, kind), LINKS)
    result = victim.creates()
    assert codes(result) == ["root-refused"]
    assert "not a plain RSA or named-curve key" in result["msg"]
    assert not Path(victim.store.where).exists()


@pytest.mark.parametrize("kind", ["RSA", "P-521", "RSA-1024", "Ed25519"])
def test_keys_of_other_kinds_are_refused_and_a_plain_one_is_taken(tmp_path: Path, kind: str) -> None:
    """The control of G2, and what was refused before."""
    result = Operator(tmp_path, written_by_openssl(tmp_path, kind), LINKS).creates()
    assert (codes(result) if result.get("failed") else []) == (
        [] if kind == "RSA" else ["unreadable-key"] if kind == "Ed25519" else ["root-import"]
    )


@pytest.mark.parametrize("step", ["prepare", "recover"])
@pytest.mark.parametrize("check", [True, False])
def test_a_root_of_which_nothing_is_accepted_is_no_next_one(tmp_path: Path, step: str, check: bool) -> None:
    """G3: the same where a rotation, or a recovery, would bring it into every gateway."""
    victim, old = operator(tmp_path, CODE_SIGNING), make_root(now=BEGAN)
    given: Json = {"lost": [old.view.pem]}
    if step == "prepare":
        before = victim.store.create(PASSPHRASE, old.key, old.view.pem)
        given = {"seen": before.state}
    assert codes(victim.moves(step, check=check, **given)) == ["root-refused"]
    found = victim.store.public()
    assert (found.phase, len(found.trusted)) == ("steady", 1) if found else step == "recover"


@pytest.mark.parametrize("step", ["prepare", "recover"])
def test_a_sound_root_is_the_next_one(tmp_path: Path, step: str) -> None:
    """The control of G3."""
    user, old = operator(tmp_path), make_root(now=BEGAN)
    given: Json = {"lost": [old.view.pem]}
    if step == "prepare":
        given = {"seen": user.store.create(PASSPHRASE, old.key, old.view.pem).state}
    assert user.moves(step, **given)["phase"] == "prepared"


def test_a_sound_root_is_imported(tmp_path: Path) -> None:
    """The control of G1: name constraints too, where they cover every name."""
    user = operator(tmp_path, permits("example.com", "crossmesh.internal"))
    assert user.looks() == []
    result = user.creates()
    assert result["changed"]
    assert result["authority"]["issuing"]["subject"] == "CN=Somebody's Root"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lasts": 30 * DAY}, "ends before a certificate of 90 days"),
        ({"begins": NOW + DAY}, "it is valid from"),
        ({"begins": NOW - 400 * DAY, "lasts": 399 * DAY}, "it is valid from"),
    ],
    ids=["ends soon", "not yet valid", "ended"],
)
def test_a_root_that_ends_before_its_certificates_is_not_imported(tmp_path: Path, changes: Json, words: str) -> None:
    """G4 (sibling): a root with a month left. On d3897ca it was taken, and every certificate was cut short by it."""
    victim = operator(tmp_path, **changes)
    result = victim.creates()
    assert codes(result) == ["root-import"]
    assert words in result["msg"]
    assert not Path(victim.store.where).exists()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("serial", ["-5", "0", "0x" + "7f" * 21])
def test_a_serial_that_rfc_5280_forbids_is_refused(tmp_path: Path, serial: str) -> None:
    """G5 (sibling): a serial number that is negative, zero or over 20 octets, which some verifiers cannot read.

    On d3897ca each of them was taken.
    """
    result = Operator(tmp_path, written_by_openssl(tmp_path, "RSA", "-set_serial", serial), LINKS).creates()
    assert codes(result) == ["root-import"]
    assert "its serial number is not one of 1 to 20 octets" in result["msg"]


@pytest.mark.parametrize(("digest", "name"), [("-sha1", "SHA1"), ("-md5", "MD5")])
def test_a_root_that_is_signed_weakly_is_refused(tmp_path: Path, digest: str, name: str) -> None:
    """G6 (sibling): a root with a signature that can be forged. On d3897ca refused too, as one "not self-signed"."""
    result = Operator(tmp_path, written_by_openssl(tmp_path, "RSA", digest), LINKS).creates()
    assert codes(result) == ["root-import"]
    assert f"it is signed with {name}" in result["msg"]
