# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done with the Secrets of one side, and what each of them is to hold. Pure: the clock is an input.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import managed_fields
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, WantedSecret
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy, Stage
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.renewal import (
    SAN_CHANGED,
    Decision,
    Inputs,
    decide,
    trust_decision,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    is_ours,
    issuer_of,
    lists_of,
    live_credential,
    live_secrets,
    trust_of,
)

__all__ = [
    "LISTS_KEY",
    "Due",
    "client_sans",
    "decide_secret",
    "due_secrets",
    "issuers_of",
    "secrets_to_do",
    "surplus_keys",
    "surplus_secrets",
    "wanted_lists",
    "wanted_trust",
]

SECRET_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})
LISTS_KEY = "ca.crl"
_IDENTITY = ("data.tls.crt", "data.tls.key")
# What of a Secret is not as it should be, by the reason of a decision: those that somebody's hand can cause. Of these,
# nothing but such a hand causes the first ones; a rotation or the inventory the others too.
_BY_HAND = frozenset({"missing", "unreadable", "key-mismatch", "label", "surplus"})
_ABOUT: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("missing", "unreadable", "key-mismatch", "usage-changed", SAN_CHANGED), _IDENTITY),
    **dict.fromkeys(("issuer-changed", "chain-changed"), _IDENTITY),
    "trust-changed": ("data.ca.crt",),
    "lists-changed": ("data.ca.crl",),
    "label": (f"metadata.labels.{names.LABEL_LINK}",),
}


@dataclass(frozen=True)
class Due:
    """A Secret that is not to stay as it is."""

    wanted: WantedSecret
    decision: Decision


def due_secrets(
    reading: Reading, side: DesiredSide, authority: Authority, policy: Policy, now: datetime, owner: names.Owner
) -> list[Due]:
    """What is to be issued or written."""
    live, revoked = live_secrets(reading, side), frozenset(reading["revoked"])
    in_scope = [item for item in side["secrets"] if policy.works_on(item["link"])]
    decided = [
        Due(wanted, decide_secret(wanted, live.get(wanted["name"]), authority, policy, now, owner, revoked))
        for wanted in in_scope
        if wanted["name"] in live or not policy.existing
    ]
    return [item for item in decided if item.decision.action != "keep"]


def secrets_to_do(reading: Reading, side: DesiredSide, policy: Policy, *, due: bool) -> list[WantedSecret]:
    """The Secrets that a run looks at again before it writes."""
    in_scope = [item for item in side["secrets"] if policy.works_on(item["link"])]
    if policy.existing:
        live = live_secrets(reading, side)
        return [item for item in in_scope if item["name"] in live]
    return in_scope if due else []


def issuers_of(reading: Reading, side: DesiredSide, authority: Authority) -> list[str]:
    """Fingerprints of the roots that issued the certificates that are there."""
    live = (live_credential(secret) for secret in live_secrets(reading, side).values())
    return sorted({issuer_of(item.leaf, authority) for item in live if item and item.leaf})


def client_sans(reading: Reading, side: DesiredSide, authority: Authority) -> Sequence[str]:
    """SANs of the client's certificate that is there; of one that no trusted root has issued, none."""
    wanted = {(side["namespace"], item["name"]) for item in side["secrets"] if item["link"] == names.CLIENT_LINK}
    found = [secret for secret in reading["secrets"] if (secret["namespace"], secret["name"]) in wanted]
    live = live_credential(found[0]) if found else None
    return live.leaf.sans if live and live.leaf and issuer_of(live.leaf, authority) else ()


def decide_secret(
    wanted: WantedSecret,
    secret: LiveSecret | None,
    authority: Authority,
    policy: Policy,
    now: datetime,
    owner: names.Owner,
    revoked: frozenset[str],
) -> Decision:
    """Keep, issue, or write trust only; the first reason counts. Who else wrote what it is about is told with it."""
    decision = _decided(wanted, secret, authority, policy, now, owner, revoked)
    others = _others(secret, decision.reason, owner) if secret else []
    word = "changed by" if decision.reason in _BY_HAND else "also written by"
    return replace(decision, message=f"{decision.message}; {word} {', '.join(others)}") if others else decision


def _others(secret: LiveSecret, reason: str, owner: names.Owner) -> list[str]:
    """Whoever else holds what a decision is about, each with the time of the last write."""
    surplus = (f"data.{key}" for key in secret["keys"] if key not in SECRET_KEYS)
    owners = {
        **managed_fields.field_owners(secret["managedFields"], "data"),
        **managed_fields.field_owners(secret["managedFields"], "metadata"),
    }
    ours = (owner.identity_manager, owner.trust_manager)
    writers = {
        writer
        for path in (surplus if reason == "surplus" else _ABOUT.get(reason, ()))
        for writer in managed_fields.owners_of(owners, path, ours)
    }
    return [str(writer) for writer in sorted(writers)]


def _decided(
    wanted: WantedSecret,
    secret: LiveSecret | None,
    authority: Authority,
    policy: Policy,
    now: datetime,
    owner: names.Owner,
    revoked: frozenset[str],
) -> Decision:
    if policy.stage in ("trust", "bundle"):
        return _trust(wanted, secret, authority, policy) if secret else Decision("keep", "missing", "not there yet")
    decision = decide(
        Inputs(
            now=now,
            role=wanted["role"],
            wanted_sans=frozenset(wanted["sans"]),
            left_sans=frozenset(wanted.get("left_sans", ())),
            key_type=policy.key_type,
            renew_before=policy.renew_before,
            live=live_credential(secret),
            issuing_root=authority.issuing,
            force=policy.force,
            revoked=revoked,
        )
    )
    if secret is None or decision.action != "keep":
        return decision
    trust = _trust(wanted, secret, authority, policy)
    if trust.action != "keep":
        return trust
    if not is_ours(secret, owner):
        return Decision("write", "adopted", "it was made by others")
    if secret["labels"].get(names.LABEL_LINK) != wanted["link"]:
        return Decision("write", "label", f"its label {names.LABEL_LINK} is {secret['labels'].get(names.LABEL_LINK)}")
    surplus = surplus_keys(secret, lists=bool(wanted_lists(wanted, authority, trust_of(secret))))
    if surplus:
        return Decision("write", "surplus", f"others added {', '.join(surplus)}")
    return decision


def _trust(item: WantedSecret, secret: LiveSecret, authority: Authority, policy: Policy) -> Decision:
    wanted = wanted_trust(item, secret, authority, policy.stage)
    decision = trust_decision(trust_of(secret), wanted)
    if decision.action != "keep":
        return decision
    had, want = _identities(lists_of(secret)), _identities(wanted_lists(item, authority, wanted))
    if had == want:
        return decision
    return Decision("write", "lists-changed", f"CRLs changed: had {listed(had, 'none')}, want {listed(want, 'none')}")


def surplus_keys(secret: LiveSecret, *, lists: bool) -> list[str]:
    """Keys that do not belong into a Secret of ours."""
    return sorted(set(secret["keys"]) - SECRET_KEYS - ({LISTS_KEY} if lists else set()))


def _identities(lists: Sequence[Crl]) -> frozenset[str]:
    return frozenset(item.identity for item in lists)


def _union(live: Sequence[CertificateView], added: Sequence[CertificateView]) -> tuple[CertificateView, ...]:
    return tuple({view.fingerprint: view for view in (*live, *added)}.values())


def wanted_trust(
    wanted: WantedSecret, secret: LiveSecret | None, authority: Authority, stage: Stage
) -> tuple[CertificateView, ...]:
    """The roots that a Secret is to hold after this stage."""
    if wanted["trust"]:
        return parse_certificates(wanted["trust"], where=f"link {wanted['link']}, external.trust")
    if stage in ("all", "bundle") or secret is None:
        return authority.trusted
    return _union(trust_of(secret), authority.trusted)


def wanted_lists(wanted: WantedSecret, authority: Authority, roots: Sequence[CertificateView]) -> tuple[Crl, ...]:
    """The revocation lists that go with these roots; of somebody else's CA we have none."""
    return () if wanted["trust"] else authority.lists_for(roots)


def surplus_secrets(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> list[LiveSecret]:
    """Secrets of ours that no link needs."""
    wanted = {(side["namespace"], item["name"]) for item in side["secrets"]}
    return [
        secret
        for secret in reading["secrets"]
        if is_ours(secret, owner)
        and (secret["namespace"], secret["name"]) not in wanted
        and (not policy.only or secret["labels"].get(names.LABEL_LINK) in policy.only)
    ]
