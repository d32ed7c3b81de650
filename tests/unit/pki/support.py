# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the PKI share: a clock, a root, a leaf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    Leaf,
    PrivateKey,
    issue_leaf,
    new_root,
    parse_certificates,
)

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PASSPHRASE = "a passphrase of the tests"


@dataclass(frozen=True)
class Root:
    view: CertificateView
    key: PrivateKey


def make_root(key_type: str = "P-256", *, validity: timedelta = 3650 * DAY, now: datetime = NOW) -> Root:
    key, pem = new_root(common_name="Test Root CA", key_type=key_type, validity=validity, now=now)
    return Root(parse_certificates(pem)[0], key)


def make_leaf(root: Root, **changes: Any) -> Leaf:
    wanted: dict[str, Any] = {
        "role": "server",
        "sans": ["mysql.server.example.com"],
        "common_name": "mysql",
        "key_type": "P-256",
        "validity": 90 * DAY,
        "now": NOW,
    }
    return issue_leaf(root_certificate=root.view, root_key=root.key, **{**wanted, **changes})
