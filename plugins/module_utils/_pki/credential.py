# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate with its key as it is found in a Secret or a directory. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    key_matches,
    parse_certificates,
)

__all__ = ["LiveCredential", "read_live"]


@dataclass(frozen=True)
class LiveCredential:
    """What stands in a Secret or a directory now; ``leaf`` is None and ``problem`` set where it cannot be read."""

    leaf: CertificateView | None
    chain: tuple[CertificateView, ...] = ()
    key_matches: bool = False
    problem: str = ""


def read_live(certificate_pem: str | bytes, key_pem: str | bytes, *, where: str) -> LiveCredential:
    """Read what a Secret holds; damage is a fact to decide on, no error."""
    try:
        leaf, *chain = parse_certificates(certificate_pem, where=where)
    except CrossmeshError as error:
        return LiveCredential(leaf=None, problem=error.message.what)
    return LiveCredential(leaf=leaf, chain=tuple(chain), key_matches=key_matches(leaf.pem, key_pem))
