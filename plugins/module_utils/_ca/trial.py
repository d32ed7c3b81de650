# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root of somebody's own is tried before it is let in: what it would issue, verified as gateways will.

PRIVATE to the collection. Two verifiers are asked, of certificates with the real names: cryptography's path validation,
and OpenSSL, in a handshake of TLS in memory. Nothing that is made here is written or leaves the process, and it lives
for a minute.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import has_memory_files, memory_file
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import one_line
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import issue_crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.path import (
    TRIAL,
    in_plain_words,
    path_fault,
    refused_names,
    trial_leaf,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, Leaf, PrivateKey, Role

__all__ = ["Uses", "try_root"]

# Names that are told of at most; the others are counted.
FEW = 3
# X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), which Python does not name: dates are judged by the clock of the run.
NO_CHECK_TIME = 0x200000
# As strict as RFC 5280, with revocation lists for every certificate of the chain, as Envoy asks for them.
FLAGS = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_CHAIN | NO_CHECK_TIME
# Of a handshake of TLS 1.3, with some to spare.
FLIGHTS = 10


@dataclass(frozen=True)
class Uses:
    """What a root is to issue.

    :param names: DNS names of the certificates, by role.
    :param validity: of each.
    """

    names: Mapping[Role, Sequence[str]]
    validity: timedelta


def try_root(root: CertificateView, key: PrivateKey, uses: Uses, now: datetime) -> list[str]:
    """Why certificates of this root would be refused, one line a role and reason; nothing where all are taken.

    :param root: self-signed, valid now, and of this key.
    """
    try:
        return _by_path(root, key, uses, now) or _by_handshake(root, key, uses, now)
    except (CrossmeshError, OSError, ValueError, TypeError) as error:
        why = error.message.what if isinstance(error, CrossmeshError) else one_line(error)
        return [f"it issues no certificate that can be used: {why}"]


def _by_path(root: CertificateView, key: PrivateKey, uses: Uses, now: datetime) -> list[str]:
    def fault(role: Role, names: Sequence[str]) -> str:
        return path_fault(root, trial_leaf(root, key, role, names, now).certificate_pem, role, names, now)

    return [line for role in SIDES for line in _lines(role, refused_names(uses.names[role], partial(fault, role)))]


def _by_handshake(root: CertificateView, key: PrivateKey, uses: Uses, now: datetime) -> list[str]:
    if not has_memory_files():
        # OpenSSL takes no key but from a file, and this one may stand in none.
        return []
    trust = root.pem + issue_crl(root=root, key=key, revoked=(), number=1, validity=TRIAL, now=now).pem

    def fault(role: Role, names: Sequence[str]) -> str:
        named = {**uses.names, role: names}
        leaves = {side: trial_leaf(root, key, side, named[side], now) for side in SIDES}
        return _handshake(trust, leaves, named["server"][0]).get(role, "")

    return [line for role in SIDES for line in _lines(role, refused_names(uses.names[role], partial(fault, role)))]


def _lines(role: Role, refused: Mapping[str, str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, why in refused.items():
        names.setdefault(why, []).append(name)
    return [f"as a {role}'s certificate for {_few(some)}: {why}" for why, some in names.items()]


def _few(names: Sequence[str]) -> str:
    more = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {more} more" if more > 0 else "")


def _handshake(trust: str, leaves: Mapping[Role, Leaf], name: str) -> dict[Role, str]:
    """Mutual TLS in memory: whose certificate is refused, and why; nothing where both sides are through.

    :param trust: PEM of the root and of its revocation list.
    :param name: that the client asks for.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _context(ssl.PROTOCOL_TLS_CLIENT, trust, leaves["client"])
    server = _context(ssl.PROTOCOL_TLS_SERVER, trust, leaves["server"])
    ends: dict[Role, ssl.SSLObject] = {
        "client": client.wrap_bio(to_client, to_server, server_hostname=name),
        "server": server.wrap_bio(to_server, to_client, server_side=True),
    }
    through = set()
    for _flight in range(FLIGHTS):
        for role, end in ends.items():
            try:
                end.do_handshake()
                through.add(role)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return {"client" if role == "server" else "server": in_plain_words(error.verify_message)}
        if len(through) == len(ends):
            return {}
    raise ssl.SSLError("the handshake does not come to an end")


def _context(protocol: int, trust: str, leaf: Leaf) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VerifyFlags(FLAGS)
    with memory_file("trust", trust) as path:
        context.load_verify_locations(cafile=path)
    with memory_file("credential", leaf.certificate_pem + leaf.key_pem.decode()) as path:
        context.load_cert_chain(path)
    return context
