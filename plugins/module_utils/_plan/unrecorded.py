# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a trusted root that the CA's records do not know where they are: lost records, and copies. Pure.

PRIVATE to the collection. A store that was restored from a backup does not know what was issued since; a revocation of
a cluster or a link is to reach that all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import Record, record_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Revoked, signed_by
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    has_own_trust,
    issuer_of,
    lists_of,
    live_credential,
    trust_of,
)

__all__ = ["HeldJson", "Unrecorded", "held_in", "unrecorded_in"]


@dataclass(frozen=True)
class Unrecorded:
    """One certificate that is not where the records say.

    :param record: what is to be recorded of it; None where its holder is not known to be this cluster.
    """

    side: Side
    alarm: Message
    record: Record | None


def unrecorded_in(
    secrets: Iterable[LiveSecret],
    sides: Mapping[Side, DesiredSide],
    records: Iterable[Record],
    authority: Authority,
    now: datetime,
) -> list[Unrecorded]:
    """What the Secrets of a cluster hold that no record knows, or that a record knows of somebody else.

    :param secrets: those of a look: ours, and what stands under our names.
    :param sides: what the cluster is to be.
    :param records: of unexpired certificates.
    """
    recorded = {record.fingerprint: record for record in records}
    serials = {record.serial for record in recorded.values()}
    found = []
    for secret in secrets:
        live, side = live_credential(secret), _side_of(secret, sides)
        # The records of expired certificates are dropped.
        if live is None or live.leaf is None or side is None or live.leaf.not_after <= now:
            continue
        known, owner = recorded.get(live.leaf.fingerprint), names.Owner(**sides[side]["owner"])
        if known is None and issuer_of(live.leaf, authority):
            taken = live.leaf.serial in serials
            found.append(_unrecorded(secret, live.leaf, sides[side], authority, now, known=taken))
        elif known and (known.instance, known.cluster) != (owner.instance, owner.cluster):
            found.append(Unrecorded(side, _copied(secret, live.leaf, known.cluster, now), None))
    return found


class HeldJson(TypedDict):
    """What a cluster holds of the CA, as C(restoration.Held) reads it.

    :param revoked: serial, date and reason of each certificate.
    """

    cluster: str
    witness: str
    roots: list[str]
    revoked: list[dict[str, str]]


def held_in(reading: Reading, authority: Authority, cluster: str) -> HeldJson:
    """What a store that came back from a backup may lack of what the cluster holds."""
    secrets = [secret for secret in reading["secrets"] if has_own_trust(secret)]
    revoked = {item.serial: item for secret in secrets for item in _revoked_there(secret, authority)}
    return {
        "cluster": cluster,
        "witness": reading["doubts"]["later"],
        "roots": sorted({root.fingerprint for secret in secrets for root in trust_of(secret)}),
        "revoked": [
            {"serial": item.serial, "date": timestamp(item.date), "reason": item.reason} for item in revoked.values()
        ],
    }


def _revoked_there(secret: LiveSecret, authority: Authority) -> Iterable[Revoked]:
    """What CRLs of trusted roots revoke in a Secret; nothing where they are the store's own."""
    if not secret["lists"] or secret["lists"] == "".join(found.pem for found in authority.lists):
        return ()
    ours = {found.identity for found in authority.lists}
    others = [crl for crl in lists_of(secret) if crl.identity not in ours]
    return [item for crl in others if any(signed_by(crl, root) for root in authority.trusted) for item in crl.revoked]


def _side_of(secret: LiveSecret, sides: Mapping[Side, DesiredSide]) -> Side | None:
    """Whose Secret it is, by its name or else by its labels; None for one of neither side."""
    for name, side in sides.items():
        if (secret["namespace"], secret["name"]) in {(side["namespace"], item["name"]) for item in side["secrets"]}:
            return name
    labels = secret["labels"]
    owners = {
        name: names.Owner(**side["owner"]).labels(labels.get(names.LABEL_LINK, "")) for name, side in sides.items()
    }
    return next((name for name, wanted in owners.items() if wanted.items() <= labels.items()), None)


def _unrecorded(
    secret: LiveSecret, leaf: CertificateView, side: DesiredSide, authority: Authority, now: datetime, *, known: bool
) -> Unrecorded:
    """:param known: whether its serial is recorded, of another certificate: two of one serial are nobody's records."""
    owner = names.Owner(**side["owner"])
    if other := _named_cluster(leaf, owner.cluster):
        return Unrecorded(owner.side, _copied(secret, leaf, other, now), None)
    # Only who has the key holds a certificate: the certificate itself is public.
    record = None if known or not secret["key_matches"] else _record(secret, leaf, side, authority)
    return Unrecorded(
        owner.side,
        Message.alarm(
            "unrecorded-certificate",
            where=_title(secret),
            what=f"no record of the CA knows certificate {leaf.serial} ({listed(leaf.sans)}, until "
            f"{timestamp(leaf.not_after)}), which a trusted root has signed",
            fix="if the CA store was restored from a backup, run rotate_certificates with -e mesh_rotate_force=true, "
            "which records it; else find out who issued it, and add "
            f"{{serial: '{leaf.serial}', date: '{timestamp(now)}'}} to custom_ca_revoked",
        ),
        record,
    )


def _copied(secret: LiveSecret, leaf: CertificateView, holder: str, now: datetime) -> Message:
    entry = f"{{cluster: '{holder}', date: '{timestamp(now)}', reason: keyCompromise}}"
    has_key = "with its private key" if secret["key_matches"] else "without its private key"
    return Message.alarm(
        "copied-certificate",
        where=_title(secret),
        what=f"certificate {leaf.serial} was issued to {holder}, and is here {has_key} ({listed(leaf.sans)}, until "
        f"{timestamp(leaf.not_after)})",
        fix=f"find out who copied it, add {entry} to custom_ca_revoked, and run site over all clusters",
    )


def _named_cluster(leaf: CertificateView, here: str) -> str:
    """The other cluster that a client's certificate names; empty for none."""
    named = (san.partition(".cluster.") for san in leaf.sans)
    found = [cluster for cluster, mark, _domain in named if mark and "." not in cluster]
    return found[0] if found and here not in found and "serverAuth" not in leaf.eku else ""


def _record(secret: LiveSecret, leaf: CertificateView, side: DesiredSide, authority: Authority) -> Record:
    """Of its names, those that the inventory gives this cluster count as its links."""
    owner, roots = names.Owner(**side["owner"]), {root.fingerprint: root for root in authority.trusted}
    named = {*leaf.sans, *map(names.link_of, leaf.sans)}
    return record_of(
        leaf,
        issuer=roots[issuer_of(leaf, authority)],
        instance=owner.instance,
        cluster=owner.cluster,
        side=owner.side,
        links=[link["name"] for link in side["links"] if named & {link["name"], link["fqdn"]}],
        secret=f"{secret['namespace']}/{secret['name']}",
        # When it was issued nobody knows any more: not before that.
        now=leaf.not_before,
    )


def _title(secret: LiveSecret) -> str:
    return f"Secret {secret['namespace']}/{secret['name']}"
