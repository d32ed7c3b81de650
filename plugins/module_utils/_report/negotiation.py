# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which TLS two gateways can negotiate, by what their proxies are configured with. Pure.

PRIVATE to the collection. Sources: Envoy, API reference, TlsParameters (what a proxy takes part in where nothing is
configured); RFC 8446, section 4.2.1 (a version both offer).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Tls
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Offer

__all__ = ["negotiated"]

_VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
# Envoy's own limits where nothing is configured, or TLS_AUTO is.
_OWN = {"client": ("TLSv1.2", "TLSv1.2"), "server": ("TLSv1.2", "TLSv1.3")}


def negotiated(clients: Sequence[Offer], servers: Sequence[Offer]) -> Tls:
    """What every pod of either side takes part in; of one side alone, what that offers."""
    offers = [("client", offer) for offer in clients] + [("server", offer) for offer in servers]
    ranges = [_versions(side, offer) for side, offer in offers]
    return Tls(
        versions=tuple(version for version in _VERSIONS if ranges and all(version in found for found in ranges)),
        ciphers=_common(offer["ciphers"] for _side, offer in offers),
        groups=_common(offer["groups"] for _side, offer in offers),
        read_at=tuple(side for side, found in (("client", clients), ("server", servers)) if found),
    )


def _versions(side: str, offer: Offer) -> tuple[str, ...]:
    lowest, highest = _OWN[side]
    first = _VERSIONS.index(_version(offer["minimum"], lowest))
    last = _VERSIONS.index(_version(offer["maximum"], highest))
    return _VERSIONS[first : last + 1]


def _version(written: str, own: str) -> str:
    """Envoy writes C(TLSv1_2)."""
    found = written.replace("_", ".")
    return found if found in _VERSIONS else own


def _common(configured: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """In the order of the first that is configured; who configures nothing takes Envoy's own, which are not known."""
    given = [found for found in configured if found]
    return tuple(item for item in given[0] if all(item in found for found in given)) if given else ()
