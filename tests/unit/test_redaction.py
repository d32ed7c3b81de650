# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of each kind are taken out wherever they stand, and what a message says is left."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._redaction import KINDS, Redaction
from tests.unit.pki.support import PASSPHRASE
from tests.unit.planted import ENCRYPTED_KEY, JWT, KEY, PLANTED, VAULT


@pytest.mark.parametrize(("name", "planted"), PLANTED.items())
def test_a_secret_is_taken_out_of_a_text_of_several_lines_and_of_one(name: str, planted: tuple[str, str]) -> None:
    text, secret = planted
    for written in (f"before {text} after", f"before\n{text}\nafter", visible(f"before\n{text}\nafter")):
        assert secret in written, "the control: it is there before"
        redaction = Redaction()
        left = redaction.text(written)
        assert secret not in left
        assert left.startswith("before")
        assert sum(redaction.taken.values()) > 0


@pytest.mark.parametrize("key", ["mysql_password", "client-key-data", "apiKey", "refresh_token", "Authorization"])
def test_whatever_stands_under_the_name_of_a_secret_is_taken_out(key: str) -> None:
    for value in ("hunter", 4711, ["hunter"], {"value": "hunter"}):
        assert Redaction().value({"a": [{key: value}]}) == {"a": [{key: "[redacted: named]"}]}


def test_secrets_that_the_run_knows_are_taken_out_whatever_they_look_like() -> None:
    redaction = Redaction(["plain words of mine", "", "short"])
    assert redaction.value({"plain words of mine": "x plain words of mine y"}) == {
        "[redacted: known]": "x [redacted: known] y"
    }
    # Too short: it would take words out of sentences.
    assert redaction.text("short") == "short"


def test_a_part_of_a_key_is_a_secret_too() -> None:
    half = KEY[: len(KEY) // 2]
    assert Redaction().text(half) == "[redacted: private key]"
    assert ENCRYPTED_KEY.splitlines()[3] not in Redaction().text(f"{ENCRYPTED_KEY}{VAULT}{JWT}")


@pytest.mark.parametrize(
    "text",
    [
        "custom_ca_passphrase: is missing. Fix: set it in a vault. [missing]",
        "mesh_api_key: its value cannot be templated or decrypted. Fix: give the vault password. [unreadable-variable]",
        "Secret istio-system/mysql-credential: there is no certificate yet",
        "https://127.0.0.1:6443: cannot reach the API server",
        "tokens of clusters, basic settings, the bearer of bad news",
        "3f9a1c2e" * 8,
        "/var/lib/some/long/path/that/goes/on/and/on/to/the/kubeconfig/of/cluster/that/has/a/long/name/config",
        "spiffe://cluster.local/ns/shop/sa/web",
    ],
)
def test_what_a_message_says_is_left(text: str) -> None:
    redaction = Redaction([PASSPHRASE])
    assert redaction.value({"what": text, "secret": "mysql-credential", "passphrase": ""}) == {
        "what": text,
        "secret": "mysql-credential",
        "passphrase": "",
    }
    assert not redaction.taken


def test_each_kind_is_counted_under_its_name() -> None:
    redaction = Redaction(["known to the run"])
    redaction.text("\n".join([*(text for text, _secret in PLANTED.values()), "known to the run"]))
    redaction.text(base64.b64encode(bytes(range(90))).decode())
    assert set(redaction.taken) == set(KINDS)
