# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a liar has of his own: a root, certificates under it, and what he has seen elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    Leaf,
    PrivateKey,
    issue_leaf,
    new_root,
    parse_certificates,
)

from .memory import Memory
from .scenery import CLIENT, LINKS, SERVER

__all__ = ["GATEWAYS", "Forged", "forge"]

GATEWAYS = "istio-system"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Forged:
    """In PEM, as text.

    :param root: of the liar.
    :param leaf: under his root, with names of links that he has no part in; C(key) is its key.
    :param bare: the same names, self-signed.
    :param elsewhere: the certificate that another cluster holds, valid, and C(serial) its serial number.
    :param server_uid: which cluster the honest server is.
    """

    root: str
    leaf: str
    key: str
    bare: str
    crl: str
    elsewhere: str
    serial: str
    server_uid: str

    @property
    def fingerprint(self) -> str:
        return parse_certificates(self.root)[0].fingerprint


def _leaf(root: str, key: PrivateKey, wanted: Sequence[str], now: datetime) -> Leaf:
    return issue_leaf(
        root_certificate=parse_certificates(root)[0],
        root_key=key,
        role="client",
        sans=wanted,
        common_name="liar",
        key_type="P-256",
        validity=60 * _DAY,
        now=now,
    )


def forge(memories: Mapping[str, Memory]) -> Forged:
    """:param memories: of clusters that are settled."""
    now = datetime.now(UTC)
    wanted = sorted({name for memory in memories.values() for name in _names(memory)})
    wanted += [link["fqdn"] for link in LINKS if link["fqdn"] not in wanted]
    key, root = new_root(common_name="liar", key_type="P-256", validity=90 * _DAY, now=now)
    leaf = _leaf(root, key, wanted, now)
    other_key, other_root = new_root(common_name=wanted[0], key_type="P-256", validity=90 * _DAY, now=now)
    bare = _leaf(other_root, other_key, wanted, now)
    crl = issue_crl(root=parse_certificates(root)[0], key=key, revoked=[], number=7, validity=60 * _DAY, now=now).pem
    elsewhere = _certificate(memories[CLIENT], "client-credential")
    return Forged(
        root,
        leaf.certificate_pem,
        leaf.key_pem.decode(),
        bare.certificate_pem,
        crl,
        elsewhere,
        parse_certificates(elsewhere)[0].serial,
        memories[SERVER].get("Namespace", "", "kube-system")["metadata"]["uid"],
    )


def _names(memory: Memory) -> Sequence[str]:
    secrets = [item for item in memory.list("Secret", GATEWAYS, {}, {}) if "tls.crt" in item["data"]]
    return [name for item in secrets for name in parse_certificates(base64.b64decode(item["data"]["tls.crt"]))[0].sans]


def _certificate(memory: Memory, name: str) -> str:
    return base64.b64decode(memory.get("Secret", GATEWAYS, name)["data"]["tls.crt"]).decode()
