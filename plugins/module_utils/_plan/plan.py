# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run will do on one side of one cluster: the reading held against the view. Pure: the clock is an input.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_error
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import Crl
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import CertificateView, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import (
    destination_rules,
    difference,
    gateways,
    lockdown,
    notices,
    scope,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.renewal import (
    Decision,
    Inputs,
    decide,
    trust_decision,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    expected_serials,
    has_own_trust,
    is_ours,
    issuer_of,
    lists_of,
    live_credential,
    live_secrets,
    trust_of,
    trust_shown,
)

__all__ = [
    "LISTS_KEY",
    "Policy",
    "Stage",
    "decide_secret",
    "make_plan",
    "missing_gateway",
    "missing_kinds",
    "occupied_ports",
    "of_side",
    "port_difference",
    "strangers",
    "surplus_keys",
    "trust_errors",
    "unknown_kinds",
    "unknown_roots",
    "wanted_lists",
    "wanted_trust",
    "wrong_store",
]

Json = dict[str, Any]
Stage = Literal["all", "trust", "leaves", "bundle"]
SECRET_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})
LISTS_KEY = "ca.crl"


@dataclass(frozen=True)
class Policy:
    """What decides about certificates, and how far a run may go.

    :param only: links to work on; empty means all.
    :param adopt: take over what stands under our names without our labels.
    :param stage: C(trust) adds our roots to the trust that is there and issues nothing; C(leaves) issues, and keeps
        trust that is not ours; C(all) issues and makes trust exactly ours. An adoption goes through all three.
        C(bundle) makes trust exactly ours and issues nothing.
    :param existing: work on the credentials that are there, whether or not something is due; leave the rest alone.
    """

    key_type: str
    renew_before: timedelta
    force: bool = False
    adopt: bool = False
    only: frozenset[str] = frozenset()
    stage: Stage = "all"
    existing: bool = False


def make_plan(
    reading: Mapping[str, Any],
    side: Mapping[str, Any],
    manifests: Sequence[Json],
    authority: Authority,
    policy: Policy,
    now: datetime,
) -> Json:
    """Everything that is to be done, with reasons, and everything that forbids it."""
    owner = names.Owner(**side["owner"])
    side = scope.narrowed(side, reading["objects"], _client_sans(reading, side), owner, policy.only)
    objects = difference.compare_objects(
        manifests, of_side(reading["objects"], owner), owner, adopt=policy.adopt, only=policy.only
    )
    ports = port_difference(reading, side, owner)
    occupied = occupied_ports(reading, side, owner)
    errors = [
        *missing_kinds(reading, manifests),
        *missing_gateway(reading, side),
        *occupied.errors,
        *objects.errors,
        *ports.errors,
        *strangers(reading, side, owner, policy),
        *([] if _on_links_alone(policy) else lockdown.errors(reading, side)),
        *(trust_errors(reading, authority, owner, policy) if side["secrets"] else []),
    ]
    decisions = [] if errors else _decisions(reading, side, authority, policy, now, owner)
    due = [(item, decision) for item, decision in decisions if decision.action != "keep"]
    renewals = [f"{made.action} Secret {side['namespace']}/{item['name']}: {made.message}" for item, made in due]
    if any(decision.action == "issue" for _item, decision in due) and (clock := clock_error(reading["clock_ahead"])):
        errors.append(clock)
    surplus = _surplus_secrets(reading, side, owner, policy)
    drifted = not (objects.empty and ports.empty) or bool(surplus)
    changed = drifted or bool(due)
    unproven = notices.unproven(reading, side, owner)
    return {
        "errors": errors,
        "warnings": [
            *notices.warnings(reading, side, owner, authority),
            *occupied.warnings,
            *destination_rules.warnings(reading, side),
            *lockdown.warnings(reading, side),
        ],
        "notices": notices.notices(reading, side, authority),
        "alarms": notices.alarms(reading, side, authority, policy.renew_before, now),
        "report": [*notices.report(reading, side, owner), *(notices.list_report(authority) if side["secrets"] else [])],
        "renewals": renewals,
        "lines": [
            *renewals,
            *objects.lines,
            *ports.lines,
            *(
                f"delete Secret {item['metadata']['namespace']}/{item['metadata']['name']}: no link needs it"
                for item in surplus
            ),
        ],
        "changed": changed,
        # A certificate that has come of age is no drift: the next scheduled run renews it.
        "drifted": drifted
        or any(decision.reason != "expires" for _item, decision in due)
        or (bool(side["secrets"]) and reading["lists_wrong"]),
        "credentials": _to_do(reading, side, policy, bool(due)),
        "trust": trust_shown(live_secrets(reading, side)),
        "issuers": _issuers(reading, side, authority) if policy.existing else [],
        "surplus": [item["metadata"]["name"] for item in surplus],
        "strip": objects.strip,
        "force": objects.force,
        # One request list, none of it forced: the Service belongs to somebody else.
        "write": [*objects.write, *ports.service],
        "delete": [*objects.delete, *surplus],
        "expected": expected_serials(reading, side),
        "endpoints": _endpoints(reading, side, owner),
        # Once a gateway is given something to serve, and not again in every run.
        "await_address": notices.lacks_address(reading, side, owner) and not (objects.empty and ports.empty),
        "served": not unproven,
        "proven": not changed and not unproven,
    }


def of_side(items: Sequence[Json], owner: names.Owner) -> list[Json]:
    """Without the objects that our other side has: one cluster can be both."""
    other = names.Owner(owner.instance, owner.cluster, "client" if owner.side == "server" else "server")
    return [item for item in items if not is_ours(item["metadata"], other)]


def _in_scope(link: str, policy: Policy) -> bool:
    return not policy.only or link in policy.only or link == names.CLIENT_LINK


def _on_links_alone(policy: Policy) -> bool:
    """Whether what belongs to no link is left as it is: a rotation must not wait for what others do to namespaces."""
    return bool(policy.only) or (policy.existing and not policy.adopt)


# -- what forbids a run --------------------------------------------------------------------------------------------


def missing_kinds(reading: Mapping[str, Any], manifests: Iterable[Json]) -> list[Message]:
    missing = {manifest["kind"] for manifest in manifests} & set(reading["missing_kinds"])
    groups: dict[str, list[str]] = {}
    for kind in names.KINDS:
        if kind.kind in missing:
            groups.setdefault(kind.group, []).append(kind.kind)
    return [unknown_kinds(group, kinds) for group, kinds in groups.items()]


def unknown_kinds(group: str, kinds: Sequence[str]) -> Message:
    """The error where the cluster lacks kinds of an API group."""
    return Message.error(
        "unknown-kind",
        where=f"API group {group}",
        what=f"the cluster does not know {', '.join(kinds)}",
        fix=f"install {names.SUPPORTED_ISTIO}, with its CRDs",
    )


def missing_gateway(reading: Mapping[str, Any], side: Mapping[str, Any]) -> list[Message]:
    if not side["ports"] or reading["services"][side["owner"]["side"]] is not None:
        return []
    variable = "mesh_ingress_gateway" if side["owner"]["side"] == "server" else "mesh_egress_gateway"
    return [
        Message.error(
            "no-gateway",
            where=f"Service {side['namespace']}/{side['service']}",
            what="the gateway's Service does not exist",
            fix=f"install the gateway, or set {variable} to the existing one",
        )
    ]


def occupied_ports(reading: Mapping[str, Any], side: Mapping[str, Any], owner: names.Owner) -> gateways.Conflicts:
    """What Gateways of others on the same pods do to ours."""
    ages = {
        item["metadata"]["name"]: (
            item["metadata"]["creationTimestamp"],
            item["metadata"]["name"],
            item["metadata"]["namespace"],
        )
        for item in reading["objects"]
        # Under the name of one of ours there may be somebody else's.
        if item["kind"] == "Gateway"
        and item["metadata"]["namespace"] == side["namespace"]
        and is_ours(item["metadata"], owner)
    }
    claims = [
        gateways.Claim(
            link["tls_port"] if owner.side == "server" else link["egress_port"],
            link["fqdn"],
            ages.get(link["gateway"]),
        )
        for link in side["links"]
    ]
    # Without a running pod its labels are known as far as our own selector tells them.
    pods = reading["pods"][owner.side] or [{"labels": side["selector"]}]
    ports = (reading["services"][owner.side] or {"ports": []})["ports"]
    return gateways.find_conflicts(claims, reading["gateways"], pods, ports)


def strangers(reading: Mapping[str, Any], side: Mapping[str, Any], owner: names.Owner, policy: Policy) -> list[Message]:
    """Secrets that have our names, or override them, and are not ours."""
    wanted = {item["name"] for item in side["secrets"]}
    beside = [secret for secret in reading["secrets"] if secret["namespace"] == side["namespace"]]
    return [error for secret in beside if (error := _stranger(secret, wanted, owner, policy))]


def _stranger(secret: Mapping[str, Any], wanted: Collection[str], owner: names.Owner, policy: Policy) -> Message | None:
    title, labels = f"Secret {secret['namespace']}/{secret['name']}", secret["labels"]
    if secret["name"] not in wanted:
        if secret["name"].removesuffix("-cacert") not in wanted:
            return None
        return Message.error("cacert-secret", where=title, what="Istio uses its CA instead of ours", fix="delete it")
    if is_ours(secret, owner):
        return None
    if lost := difference.lost_labels(labels, owner):
        return None if policy.adopt else difference.label_lost(title, lost)
    if labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY:
        return difference.of_another(title, labels, "set mesh_client_credential_prefix, or rename the link")
    return None if policy.adopt else difference.not_ours(title, listed(secret["managers"], "an unknown manager"))


def unknown_roots(secrets: Sequence[Mapping[str, Any]], owner: names.Owner, authority: Authority) -> dict[str, str]:
    """Roots in our own Secrets that the store does not know: fingerprint -> name of a Secret that holds it."""
    return {
        view.fingerprint: f"{secret['namespace']}/{secret['name']}"
        for secret in secrets
        if is_ours(secret, owner) and has_own_trust(secret)
        for view in trust_of(secret)
        if view.fingerprint not in authority.known
    }


def trust_errors(reading: Mapping[str, Any], authority: Authority, owner: names.Owner, policy: Policy) -> list[Message]:
    # An adoption that was interrupted leaves Secrets that are ours and still hold the roots of before.
    unknown = {} if policy.adopt else unknown_roots(reading["secrets"], owner, authority)
    errors = [wrong_store(authority, fingerprint, f"Secret {secret}") for fingerprint, secret in unknown.items()]
    shared = sorted({view.fingerprint for view in authority.trusted} & set(reading["mesh_roots"]))
    if shared:
        what = f"its root {short(shared[0])} is the mesh's own CA (istio-ca-root-cert)"
        where = f"CA store {authority.path}"
        errors.append(Message.error("mesh-ca", where=where, what=what, fix="use a root that is not the CA of any mesh"))
    return errors


def wrong_store(authority: Authority, fingerprint: str, holder: str) -> Message:
    """The error that tells a wrong or an empty store from a first run.

    :param holder: what holds the root that the store does not know, e.g. C(Secret NAMESPACE/NAME).
    """
    holds = f"root {short(authority.issuing.fingerprint)}" if authority.issuing else "no root"
    return Message.error(
        "wrong-store",
        where=f"CA store {authority.path}",
        what=f"the store holds {holds}, but {holder} uses root {short(fingerprint)}",
        fix="point custom_ca_dir at the store that made it, or restore that store from a backup; if it is lost for "
        "good, run playbook rotate_ca with -e custom_ca_lost=true",
    )


# -- credentials ---------------------------------------------------------------------------------------------------


def _decisions(
    reading: Mapping[str, Any],
    side: Mapping[str, Any],
    authority: Authority,
    policy: Policy,
    now: datetime,
    owner: names.Owner,
) -> list[tuple[Json, Decision]]:
    live, revoked = live_secrets(reading, side), frozenset(reading["revoked"])
    return [
        (wanted, decide_secret(wanted, live.get(wanted["name"]), authority, policy, now, owner, revoked))
        for wanted in side["secrets"]
        if _in_scope(wanted["link"], policy) and (wanted["name"] in live or not policy.existing)
    ]


def _to_do(reading: Mapping[str, Any], side: Mapping[str, Any], policy: Policy, due: bool) -> list[Json]:
    """The Secrets that a run looks at again before it writes."""
    in_scope = [item for item in side["secrets"] if _in_scope(item["link"], policy)]
    if policy.existing:
        live = live_secrets(reading, side)
        return [item for item in in_scope if item["name"] in live]
    return in_scope if due else []


def _issuers(reading: Mapping[str, Any], side: Mapping[str, Any], authority: Authority) -> list[str]:
    live = (live_credential(secret) for secret in live_secrets(reading, side).values())
    return sorted({issuer_of(item.leaf, authority) for item in live if item and item.leaf})


def _client_sans(reading: Mapping[str, Any], side: Mapping[str, Any]) -> Sequence[str]:
    """SANs of the client's certificate that is there."""
    wanted = {(side["namespace"], item["name"]) for item in side["secrets"] if item["link"] == names.CLIENT_LINK}
    found = [secret for secret in reading["secrets"] if (secret["namespace"], secret["name"]) in wanted]
    live = live_credential(found[0]) if found else None
    return live.leaf.sans if live and live.leaf else ()


def decide_secret(
    wanted: Mapping[str, Any],
    secret: Mapping[str, Any] | None,
    authority: Authority,
    policy: Policy,
    now: datetime,
    owner: names.Owner,
    revoked: frozenset[str],
) -> Decision:
    """Keep, issue, or write trust only; the first reason counts."""
    if policy.stage in ("trust", "bundle"):
        return _trust(wanted, secret, authority, policy) if secret else Decision("keep", "missing", "not there yet")
    decision = decide(
        Inputs(
            now=now,
            role=wanted["role"],
            wanted_sans=frozenset(wanted["sans"]),
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


def _trust(item: Mapping[str, Any], secret: Mapping[str, Any], authority: Authority, policy: Policy) -> Decision:
    wanted = wanted_trust(item, secret, authority, policy.stage)
    decision = trust_decision(trust_of(secret), wanted)
    if decision.action != "keep":
        return decision
    had, want = _identities(lists_of(secret)), _identities(wanted_lists(item, authority, wanted))
    if had == want:
        return decision
    return Decision("write", "lists-changed", f"CRLs changed: had {listed(had, 'none')}, want {listed(want, 'none')}")


def surplus_keys(secret: Mapping[str, Any], *, lists: bool) -> list[str]:
    """Keys that do not belong into a Secret of ours."""
    return sorted(set(secret["keys"]) - SECRET_KEYS - ({LISTS_KEY} if lists else set()))


def _identities(lists: Sequence[Crl]) -> frozenset[str]:
    return frozenset(item.identity for item in lists)


def _union(live: Sequence[CertificateView], added: Sequence[CertificateView]) -> tuple[CertificateView, ...]:
    return tuple({view.fingerprint: view for view in (*live, *added)}.values())


def wanted_trust(
    wanted: Mapping[str, Any], secret: Mapping[str, Any] | None, authority: Authority, stage: Stage
) -> tuple[CertificateView, ...]:
    """The roots that a Secret is to hold after this stage."""
    if wanted["trust"]:
        return parse_certificates(wanted["trust"], where=f"link {wanted['link']}, external.trust")
    if stage in ("all", "bundle") or secret is None:
        return authority.trusted
    return _union(trust_of(secret), authority.trusted)


def wanted_lists(wanted: Mapping[str, Any], authority: Authority, roots: Sequence[CertificateView]) -> tuple[Crl, ...]:
    """The revocation lists that go with these roots; of somebody else's CA we have none."""
    return () if wanted["trust"] else authority.lists_for(roots)


def _surplus_secrets(
    reading: Mapping[str, Any], side: Mapping[str, Any], owner: names.Owner, policy: Policy
) -> list[Json]:
    wanted = {(side["namespace"], item["name"]) for item in side["secrets"]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret["name"], "namespace": secret["namespace"]},
        }
        for secret in reading["secrets"]
        if is_ours(secret, owner)
        and (secret["namespace"], secret["name"]) not in wanted
        and (not policy.only or secret["labels"].get(names.LABEL_LINK) in policy.only)
    ]


# -- ports, proof, warnings ----------------------------------------------------------------------------------------


def port_difference(reading: Mapping[str, Any], side: Mapping[str, Any], owner: names.Owner) -> difference.Difference:
    service = reading["services"][owner.side]
    return difference.Difference() if service is None else difference.compare_ports(side["ports"], service, owner)


def _endpoints(reading: Mapping[str, Any], side: Mapping[str, Any], owner: names.Owner) -> list[Json]:
    """Where a handshake can show the certificate, if exec cannot; an egress gateway shows it to nobody."""
    service = reading["services"][owner.side]
    if owner.side == "client" or service is None:
        return []
    return [
        {"address": address, "port": link["tls_port"], "fqdn": link["fqdn"]}
        for address in service["addresses"]
        for link in side["links"]
    ]
