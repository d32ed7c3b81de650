# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of each kind, made up for tests: how each is written, and a part of it that nobody is to find."""

from __future__ import annotations

import base64

# Not a key: base64 of nothing in particular, in the form of one.
_BODY = base64.b64encode(b"planted for a test, opens nothing " * 12).decode()
_DASHES = "-" * 5
_LINES = "\n".join(_BODY[start : start + 64] for start in range(0, len(_BODY), 64))


def _pem(kind: str) -> str:
    # Put together, so that no scanner takes this file for a leak.
    name = " ".join([*kind.split(), "PRIVATE", "KEY"])
    return "\n".join([f"{_DASHES}BEGIN {name}{_DASHES}", _LINES, f"{_DASHES}END {name}{_DASHES}", ""])


KEY, ENCRYPTED_KEY = _pem("EC "), _pem("ENCRYPTED ")
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU"
VAULT = "$ANSIBLE_VAULT;1.1;AES256\n" + "\n".join(["6162636465666768" * 5] * 3)

# By kind: a text, and the secret in it.
PLANTED: dict[str, tuple[str, str]] = {
    "a key": (KEY, _LINES[70:100]),
    "an encrypted key": (ENCRYPTED_KEY, _LINES[70:100]),
    "a key as data": (
        f"tls.key {base64.b64encode(KEY.encode()).decode()}",
        base64.b64encode(KEY.encode()).decode()[40:80],
    ),
    "data of a Secret": (_BODY[:120], _BODY[40:80]),
    "a JSON Web Token": (JWT, "eyJzdWIiOiJwbGFudGVkIn0"),
    "a bearer": ("Authorization: Bearer opaque-token-4711", "opaque-token-4711"),
    "a token of OpenShift": ("oc login sha256~plantedplantedplantedplanted", "plantedplanted"),
    "a passphrase": ("custom_ca_passphrase=planted-phrase", "planted-phrase"),
    "a password in YAML": ("password: plantedword", "plantedword"),
    "a password in JSON": ('{"db_password": "two planted words"}', "planted words"),
    "a kubeconfig": ("client-key-data: cGxhbnRlZA==", "cGxhbnRlZA"),
    "user info": ("https://planted:user@registry.example/v2", "planted:user"),
    "a vault": (VAULT, "6162636465666768" * 4),
    "a key without its first line": (KEY.split("\n", 1)[1], _LINES[70:100]),
    "base64 in lines": ("\n".join(_BODY[start : start + 76] for start in range(0, 300, 76)), _BODY[80:120]),
    "basic authorization": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "another authorization": ("authorization: token ghp_planted4711", "ghp_planted4711"),
    "a password in JSON in a message": (r"{\"password\": \"planted-word\"}", "planted-word"),
    "a password with an at sign in a URL": ("https://user:p@planted@host.example/x", "planted"),
    "a password of several words in YAML": ("password: correct horse battery staple", "battery staple"),
    "a password with a comma": ("password=abc,planted", "planted"),
    "an option of a command": ("mysql --password planted4711 demo", "planted4711"),
    "a variable of a pod": ('{"name": "DB_PASSWORD", "value": "planted-word"}', "planted-word"),
}
