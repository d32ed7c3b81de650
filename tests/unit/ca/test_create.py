# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions as Ansible calls them: arguments and variables in, a result out."""

from __future__ import annotations

import json
import os
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.crossmesh.mtls.plugins.action import custom_ca, custom_ca_info
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Wanted
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import make_root as make_ca_root
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.pkcs8 import encrypt_private_key
from tests.unit.inventory_values import as_template, vaulted
from tests.unit.pki.support import NOW, PASSPHRASE, make_leaf, make_root
from tests.unit.support import refused, run_action

UNKNOWN = "ab" * 32


class Caller:
    """Calls custom_ca, or with C(state=usable) custom_ca_info, with variables of the inventory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *, check: bool = False, state: str = "present", **arguments: Any) -> dict[str, Any]:
        expected = {"expected": arguments.pop("expected", [])}
        variables = {f"custom_ca_{name}": value for name, value in {"dir": str(self.path), **arguments}.items()}
        if state == "usable":
            result = run_action(custom_ca_info, expected, variables, check=check)
            if result.get("problems"):
                messages = [str(Message.from_json(found)) for found in result["problems"]]
                result |= {"failed": True, "errors": result["problems"], "msg": "\n".join(messages)}
        else:
            result = run_action(custom_ca, {"state": state, **expected}, variables, check=check)
        output = json.dumps(result)
        assert PASSPHRASE not in output
        assert "PRIVATE KEY" not in output
        return result


def codes(result: dict[str, Any]) -> list[str]:
    return [error["code"] for error in result["errors"]]


@pytest.fixture
def call(tmp_path: Path) -> Caller:
    return Caller(tmp_path / "ca")


def test_makes_the_authority_once(call: Caller) -> None:
    first = call(passphrase=PASSPHRASE)
    again = call()
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["authority"] == again["authority"]
    assert first["authority"]["trusted"] == [first["authority"]["issuing"]]
    assert first["authority"]["path"] == str(call.path)


def test_check_mode_predicts_and_writes_nothing(call: Caller) -> None:
    result = call(check=True, passphrase=PASSPHRASE)
    assert (result["changed"], result["msg"]) == (True, "would be created")
    assert result["authority"]["issuing"] is None
    assert result["diff"]["after"]["issuing"]["validity_days"] == 3650
    assert not call.path.exists()


def test_the_diff_shows_the_public_part(call: Caller) -> None:
    diff = call(passphrase=PASSPHRASE)["diff"]
    assert diff["before"] == {}
    assert diff["after"]["issuing"]["subject"].startswith("CN=Crossmesh Root CA ")


@pytest.mark.parametrize("check", [False, True])
def test_a_root_in_service_that_the_store_lacks_stops_the_run(call: Caller, check: bool) -> None:
    result = call(check=check, passphrase=PASSPHRASE, expected=[UNKNOWN])
    assert result["failed"]
    assert codes(result) == ["wrong-store"]
    assert str(call.path) in result["msg"]
    assert f"the clusters trust root {UNKNOWN[:8]}, but the store holds no root" in result["msg"]
    assert not call.path.exists()


def test_another_store_than_the_one_in_service_is_named_with_both_fingerprints(call: Caller) -> None:
    own = call(passphrase=PASSPHRASE)["authority"]["issuing"]["fingerprint"]
    result = call(expected=[own, UNKNOWN])
    assert result["failed"]
    assert codes(result) == ["wrong-store"]
    assert f"the clusters trust root {UNKNOWN[:8]}, but the store holds {own[:8]}" in result["msg"]


def test_a_root_of_the_users_own_comes_back_though_its_store_was_lost(call: Caller, tmp_path: Path) -> None:
    theirs = make_root()
    certificate, key = tmp_path / "root.crt", tmp_path / "root.key"
    certificate.write_text(theirs.view.pem, encoding="ascii")
    key.write_text(encrypt_private_key(theirs.key, PASSPHRASE), encoding="ascii")
    theirs_again: dict[str, Any] = {
        "import_certificate": str(certificate),
        "import_key": str(key),
        "import_passphrase": PASSPHRASE,
        "passphrase": PASSPHRASE,
        "expected": [theirs.view.fingerprint],
    }
    predicted = call(check=True, **theirs_again)["diff"]["after"]["issuing"]
    made = call(**theirs_again)
    assert made["authority"]["issuing"]["fingerprint"] == predicted["fingerprint"] == theirs.view.fingerprint
    # The control: another root than the one in service is refused, brought in or not.
    assert call(state="absent")["changed"]
    assert call(**{**theirs_again, "expected": [UNKNOWN]})["failed"]


def test_a_certificate_that_is_no_root_is_not_imported(call: Caller, tmp_path: Path) -> None:
    leaf = make_leaf(make_root())
    certificate, key = tmp_path / "leaf.crt", tmp_path / "leaf.key"
    certificate.write_text(leaf.certificate_pem, encoding="ascii")
    key.write_bytes(leaf.key_pem)
    result = call(passphrase=PASSPHRASE, import_certificate=str(certificate), import_key=str(key))
    assert codes(result) == ["root-import"]
    assert not call.path.exists()


def test_the_store_in_service_is_accepted(call: Caller) -> None:
    own = call(passphrase=PASSPHRASE)["authority"]["issuing"]["fingerprint"]
    assert not call(expected=[own])["changed"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "ca-passphrase"),
        ({"passphrase": "eleven char"}, "ca-passphrase"),
        ({"passphrase": PASSPHRASE, "validity_days": 0}, "ca-validity"),
        ({"passphrase": PASSPHRASE, "import_key": "/no/root.key"}, "root-import"),
    ],
)
def test_what_cannot_be_made_is_refused(call: Caller, check: bool, arguments: dict[str, Any], code: str) -> None:
    result = call(check=check, **arguments)
    assert code in codes(result)
    assert not call.path.exists()


@pytest.mark.parametrize(("name", "days"), [("x" * 56, 3650), ("Test Root CA", 0)])
def test_a_root_that_no_certificate_can_hold_is_refused(name: str, days: int) -> None:
    with refused("root-out-of-range"):
        make_ca_root(Wanted(name, "P-256", days), NOW)


def test_a_number_that_is_none_is_told_and_is_no_error_of_python(call: Caller) -> None:
    for name in ("validity_days", "leaf_validity_days", "renew_before_days"):
        wrong: dict[str, Any] = {name: "abc"}
        found = call(state="usable", passphrase=PASSPHRASE, **wrong)
        assert codes(found) == ["type"], name


def test_absent_needs_no_settings_that_could_make_it(call: Caller) -> None:
    call(passphrase=PASSPHRASE)
    assert call(state="absent", key_type="DSA")["changed"]


def test_absent_removes_it_once(call: Caller) -> None:
    made = call(passphrase=PASSPHRASE)["authority"]
    assert call(check=True, state="absent")["changed"]
    assert call.path.exists()
    removed = call(state="absent")
    assert removed["changed"]
    assert removed["diff"] == {"before": made, "after": {}}
    assert not call.path.exists()
    assert not call(state="absent")["changed"]
    assert not call(check=True, state="absent")["changed"]


def test_absent_is_refused_while_in_service(call: Caller) -> None:
    own = call(passphrase=PASSPHRASE)["authority"]["issuing"]["fingerprint"]
    result = call(state="absent", expected=[own])
    assert codes(result) == ["ca-in-service"]
    assert f"root {own[:8]}" in result["msg"]
    assert call.path.exists()


def test_a_missing_library_is_named(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_ca.ActionModule, "PACKAGES", {"cryptography": False})
    assert "cryptography" in call(passphrase=PASSPHRASE)["msg"]


# -- whether it could issue ----------------------------------------------------------------------------------------


def files(path: Path) -> dict[str, bytes]:
    return {str(found): found.read_bytes() for found in path.rglob("*") if found.is_file()}


def test_a_ca_whose_key_opens_is_usable_and_is_not_touched(call: Caller) -> None:
    made = call(passphrase=PASSPHRASE)["authority"]
    before = files(call.path)
    result = call(state="usable", passphrase=PASSPHRASE)
    assert (result["changed"], result["authority"]) == (False, made)
    assert result["msg"].startswith(
        f"usable: {made['issuing']['subject']}, until {made['issuing']['not_after']}, phase "
    )
    assert files(call.path) == before


def test_a_passphrase_that_cannot_be_decrypted_is_a_problem_of_the_ca(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ciphertext = VaultLib().encrypt(PASSPHRASE, secret=VaultSecret(b"the password of the vault"))
    result = call(state="usable", passphrase=vaulted(ciphertext.decode(), monkeypatch))
    assert [(found["code"], found["where"]) for found in result["problems"]] == [
        ("unreadable-variable", "custom_ca_passphrase")
    ]
    assert "vault password" in result["problems"][0]["fix"]
    assert not call.path.exists()


@pytest.mark.parametrize("value", ["{{ not_defined ~ 'hunter2' }}", "{{ 'hunter2' ~ }}", "{{ 'hunter2' | int / 0 }}"])
def test_a_passphrase_that_cannot_be_templated_is_a_problem_of_the_ca(call: Caller, value: str) -> None:
    result = call(state="usable", passphrase=as_template(value))
    assert codes(result) == ["unreadable-variable"]
    assert "hunter2" not in json.dumps(result)


def test_a_passphrase_may_be_a_template(call: Caller) -> None:
    """The control."""
    assert call(state="usable", passphrase=as_template("{{ 'hunter2' * 3 }}"))["problems"] == []


def test_where_there_is_no_ca_it_is_seen_whether_one_could_be_made(call: Caller) -> None:
    result = call(state="usable", passphrase=PASSPHRASE)
    assert (result["changed"], result["msg"]) == (False, "there is no CA yet, and one can be created")
    assert not call.path.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "ca-passphrase"),
        ({"passphrase": "another passphrase"}, "wrong-passphrase"),
        ({"passphrase": PASSPHRASE, "expected": [UNKNOWN]}, "wrong-store"),
    ],
)
def test_a_ca_that_could_not_issue_is_not_usable(call: Caller, arguments: dict[str, Any], code: str) -> None:
    call(passphrase=PASSPHRASE)
    result = call(state="usable", **arguments)
    assert result["failed"]
    assert codes(result) == [code]
    assert "Fix: " in result["msg"]
    assert result["msg"].endswith(f"[{code}]")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "ca-passphrase"),
        ({"passphrase": PASSPHRASE, "expected": [UNKNOWN]}, "wrong-store"),
        (
            {"passphrase": PASSPHRASE, "import_certificate": "/no/root.crt", "import_key": "/no/root.key"},
            "file-error",
        ),
    ],
)
def test_a_ca_that_could_not_be_made_is_not_usable(call: Caller, arguments: dict[str, Any], code: str) -> None:
    result = call(state="usable", **arguments)
    assert result["failed"]
    assert codes(result) == [code]
    assert not call.path.exists()


def test_a_root_that_has_ended_is_not_usable(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls(2999, 1, 1, tzinfo=tz)

    call(passphrase=PASSPHRASE)
    monkeypatch.setattr(custom_ca_info, "datetime", Later)
    assert codes(call(state="usable", passphrase=PASSPHRASE)) == ["root-expired"]


def test_a_store_that_stands_open_is_not_usable(call: Caller) -> None:
    call(passphrase=PASSPHRASE)
    call.path.chmod(0o755)
    assert codes(call(state="usable", passphrase=PASSPHRASE)) == ["open-to-others"]


def test_a_place_where_no_folder_can_be_made_is_not_usable(call: Caller) -> None:
    call.path.write_text("", encoding="ascii")
    assert f"{call.path} is not a folder" in call(state="usable", passphrase=PASSPHRASE)["msg"]


def test_a_folder_that_cannot_be_written_is_not_usable(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    call(passphrase=PASSPHRASE)
    # Permissions stop no root, and tests may run as root.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert "not writable for this user" in call(state="usable", passphrase=PASSPHRASE)["msg"]
