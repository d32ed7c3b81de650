# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Secrets of a reading hold: certificate, roots, revocation lists, and whose they are. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, authority_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveMetadata, LiveSecret, SecretTrust
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    DesiredSide,
    WantedSecret,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import LiveCredential
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl, parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    parse_certificates,
    verify_issued_by,
)

__all__ = [
    "CaInCluster",
    "ShownTrust",
    "ca_in_cluster",
    "expected_serials",
    "has_own_trust",
    "is_ours",
    "issuer_of",
    "lists_of",
    "live_credential",
    "live_secrets",
    "trust_of",
    "trust_shown",
    "witnesses_of",
]


class ShownTrust(SecretTrust):
    """What one Secret tells a gateway to trust, and whether that is the custom CA."""

    secret: str
    own: bool


class CaInCluster(TypedDict):
    """:param missing: whether the store has no CA.
    :param roots: PEM, by fingerprint.
    :param unknown: fingerprints of those that the store does not know.
    :param vouched: of those, or of all where the store has no CA: the ones that a certificate in these Secrets is of.
    :param meshes: fingerprints of the roots of the cluster's own mesh.
    """

    missing: bool
    roots: dict[str, str]
    unknown: list[str]
    vouched: list[str]
    meshes: list[str]


def is_ours(labelled: LiveMetadata | LiveSecret, owner: names.Owner) -> bool:
    """Whether something with labels has all of ours; which link it is for does not matter."""
    return owner.labelled(labelled["labels"])


def live_secrets(reading: Reading, side: DesiredSide) -> dict[str, LiveSecret]:
    """The wanted Secrets that are there, whoever made them."""
    wanted = {item["name"] for item in side["secrets"]}
    return {
        secret["name"]: secret
        for secret in reading["secrets"]
        if secret["namespace"] == side["namespace"] and secret["name"] in wanted
    }


def live_credential(secret: LiveSecret | None) -> LiveCredential | None:
    """What a reading tells of a Secret, for the decision."""
    if secret is None or not secret["certificate"]:
        return None
    try:
        leaf, *chain = parse_certificates(secret["certificate"], where=secret["name"])
    except CrossmeshError as error:
        return LiveCredential(leaf=None, problem=error.message.what)
    return LiveCredential(leaf=leaf, chain=tuple(chain), key_matches=secret["key_matches"])


def expected_serials(reading: Reading, side: DesiredSide) -> list[str]:
    """Serials of the certificates that are in the Secrets now."""
    wanted = {item["name"] for item in side["secrets"]}
    serials = []
    for secret in reading["secrets"]:
        if secret["namespace"] == side["namespace"] and secret["name"] in wanted:
            live = live_credential(secret)
            if live and live.leaf:
                serials.append(serial(live.leaf.serial))
    return sorted(serials)


def issuer_of(leaf: CertificateView, authority: Authority) -> str:
    """Fingerprint of the trusted root that issued a certificate; empty for a foreign one."""
    return next((root.fingerprint for root in authority.trusted if verify_issued_by(leaf, root)), "")


def trust_shown(secrets: Mapping[str, LiveSecret]) -> list[ShownTrust]:
    """What each Secret tells a gateway to trust: fingerprints of roots, which revocation lists, if both are ours."""
    return [
        {
            "secret": name,
            "roots": [view.fingerprint for view in trust_of(secret)],
            "lists": [item.identity for item in lists_of(secret)],
            "own": has_own_trust(secret),
        }
        for name, secret in sorted(secrets.items())
    ]


def has_own_trust(secret: LiveSecret | WantedSecret) -> bool:
    """Whether a Secret of ours trusts the custom CA: a client's that is of one link alone has another CA's roots."""
    labels = secret["labels"]
    return labels.get(names.LABEL_SIDE) != "client" or labels.get(names.LABEL_LINK) in (None, names.CLIENT_LINK)


def trust_of(secret: LiveSecret) -> tuple[CertificateView, ...]:
    """The roots that a Secret holds; none where they cannot be read."""
    return _parse(secret["trust"], secret["name"])


def _parse(bundle: str, where: str) -> tuple[CertificateView, ...]:
    if not bundle.strip():
        return ()
    try:
        return parse_certificates(bundle, where=where)
    except CrossmeshError:
        return ()


def lists_of(secret: LiveSecret) -> tuple[Crl, ...]:
    """The revocation lists that a Secret holds; none where they cannot be read."""
    if not secret["lists"].strip():
        return ()
    try:
        return parse_crls(secret["lists"], where=secret["name"])
    except CrossmeshError:
        return ()


def witnesses_of(secrets: Iterable[LiveSecret]) -> dict[str, str]:
    """Which state of the CA store each Secret says that its trust was written from, by its place."""
    return {f"Secret {secret['namespace']}/{secret['name']}": secret["witness"] for secret in secrets}


def ca_in_cluster(reading: Reading, instance: str, cluster: str) -> CaInCluster:
    """What a cluster tells of the CA: whether the store has one, and the roots that our own Secrets there hold.

    Another instance may have another CA, so that only this one's Secrets count.
    """
    authority = authority_from_json(reading["authority"])
    owners = [names.Owner(instance, cluster, side) for side in names.SIDES]
    ours = [
        secret
        for secret in reading["secrets"]
        if any(is_ours(secret, owner) for owner in owners) and has_own_trust(secret)
    ]
    roots = {view.fingerprint: view for secret in ours for view in trust_of(secret)}
    missing, unknown = authority.issuing is None, sorted(set(roots) - authority.known)
    # Signatures are looked at only where somebody asks whether to believe a root.
    doubtful = [roots[fingerprint] for fingerprint in (sorted(roots) if missing else unknown)]
    live = [found for secret in ours if doubtful and (found := live_credential(secret))]
    return {
        "missing": missing,
        "roots": {fingerprint: view.pem for fingerprint, view in roots.items()},
        "unknown": unknown,
        "vouched": [
            root.fingerprint for root in doubtful if any(_is_of(found.leaf, root) for found in live if found.leaf)
        ],
        "meshes": list(reading["mesh_roots"]),
    }


def _is_of(leaf: CertificateView, root: CertificateView) -> bool:
    """Whether a root has issued a certificate to somebody else than itself."""
    return leaf.fingerprint != root.fingerprint and verify_issued_by(leaf, root)
