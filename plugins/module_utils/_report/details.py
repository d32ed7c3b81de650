# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look tells of a cluster for a report, beside the plan: certificates as they were read, what gateways offer.

PRIVATE to the collection. It passes through Ansible as one text of JSON (0003), and holds what is public only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Tls
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, is_client
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import live_credential, live_secrets
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.egress import server_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.scene import Scene
from ansible_collections.crossmesh.mtls.plugins.module_utils._report.sources import Offer, StoredCertificate, located

__all__ = ["ClusterDetails", "details_of", "stored_in"]


class ClusterDetails(TypedDict):
    """:param certificates: PEM of the leaf, by side, then by the Secret's place as C(NAMESPACE/NAME).
    :param offers: by side and link, of each gateway pod that was read.
    """

    certificates: dict[Side, dict[str, str]]
    offers: dict[Side, dict[str, list[Offer]]]


def details_of(reading: Reading, sides: Mapping[Side, DesiredSide]) -> ClusterDetails:
    """Of both sides as they were read."""
    return {
        "certificates": {side: dict(_certificates(reading, desired)) for side, desired in sides.items()},
        "offers": {
            side: {link: found for link, found in _offers(reading, side, desired) if found}
            for side, desired in sides.items()
        },
    }


def stored_in(details: ClusterDetails, cluster: str) -> dict[tuple[str, str], StoredCertificate]:
    """The certificates of a cluster by side and the Secret's name; none of what cannot be read."""
    found: dict[tuple[str, str], StoredCertificate] = {}
    for side, certificates in details["certificates"].items():
        for path, pem in certificates.items():
            try:
                view = parse_certificates(pem, where=path)[0]
            except CrossmeshError:
                continue
            found[side, path.rpartition("/")[2]] = StoredCertificate(view, located("Secret", path, cluster))
    return found


def _certificates(reading: Reading, desired: DesiredSide) -> Iterator[tuple[str, str]]:
    for name, secret in live_secrets(reading, desired).items():
        live = live_credential(secret)
        if live and live.leaf:
            yield f"{secret['namespace']}/{name}", live.leaf.pem


def _offers(reading: Reading, side: Side, desired: DesiredSide) -> Iterator[tuple[str, list[Offer]]]:
    service = reading["services"][side]
    for link in desired["links"]:
        found = []
        for pod in reading["pods"][side]:
            if pod["ready"] and pod["proxy"]:
                scene = Scene(pod["proxy"], pod, service, link, 1 if side == "client" else 2)
                found += [_offer(tls) for tls in _towards_the_other_end(scene, desired) if tls]
        yield link["name"], found


def _towards_the_other_end(scene: Scene, desired: DesiredSide) -> Iterator[Tls | None]:
    """Of an egress gateway the way out, not the one in, which is the mesh's own."""
    if is_client(desired):
        (link,) = (link for link in desired["links"] if link["name"] == scene.link["name"])
        upstreams = scene.proxy.upstreams
        yield from (upstreams[name].tls for name in sorted(server_clusters(link)) if name in upstreams)
    else:
        yield from (chain.tls for chain in scene.chains)


def _offer(tls: Tls) -> Offer:
    return {
        "minimum": tls.minimum,
        "maximum": tls.maximum,
        "ciphers": list(tls.ciphers),
        "groups": list(tls.groups),
    }
