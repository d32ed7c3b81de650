# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What forbids a run on one side of one cluster. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.managed_fields import makers_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveSecret, Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    DesiredLink,
    DesiredSide,
    gateway_port,
    is_client,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.path import unissuable
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import difference, gateways, lifecycle
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import has_own_trust, is_ours, trust_of

__all__ = [
    "ailing_secrets",
    "held_secrets",
    "joined_trust",
    "meshs_own",
    "missing_gateway",
    "missing_kinds",
    "not_permitted",
    "occupied_ports",
    "overriding_secrets",
    "secrets_of_names",
    "trust_errors",
    "unissuable_names",
    "unknown_kinds",
    "unknown_roots",
    "wrong_store",
]


def missing_kinds(reading: Reading, manifests: Iterable[Manifest]) -> list[Message]:
    """Kinds of what is to be written that the cluster does not know."""
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


def missing_gateway(reading: Reading, side: DesiredSide) -> list[Message]:
    """The gateway's Service, where links need it and it is not there."""
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


def occupied_ports(reading: Reading, side: DesiredSide, owner: names.Owner) -> gateways.Conflicts:
    """What Gateways of others on the same pods do to ours."""
    ages = _ages_of_ours(reading, side, owner)
    claims = [_claim(link, ages) for link in side["links"]]
    # Without a running pod its labels are known as far as our own selector tells them.
    labels = [pod["labels"] for pod in reading["pods"][owner.side]] or [side["selector"]]
    service = reading["services"][owner.side]
    return gateways.find_conflicts(claims, reading["gateways"], labels, service["ports"] if service else [])


def _ages_of_ours(reading: Reading, side: DesiredSide, owner: names.Owner) -> dict[str, gateways.Age]:
    return {
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


def _claim(link: DesiredLink, ages: Mapping[str, gateways.Age]) -> gateways.Claim:
    return gateways.Claim(gateway_port(link), link["fqdn"], link["namespace"], ages.get(link["gateway"]))


def held_secrets(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> dict[str, Message]:
    """Secrets under our names that must not, or cannot, be written; by their names, with the reason."""
    wanted = {item["name"] for item in side["secrets"]}
    beside = [secret for secret in reading["secrets"] if secret["namespace"] == side["namespace"]]
    foreign = {
        secret["name"]: error
        for secret in beside
        if secret["name"] in wanted and (error := _foreign_secret(secret, owner, policy))
    }
    return {**foreign, **lifecycle.immutable_secrets(wanted, beside, owner, policy)}


def ailing_secrets(reading: Reading, side: DesiredSide, owner: names.Owner, policy: Policy) -> list[Message]:
    """Secrets of ours that are about to go."""
    wanted = {item["name"] for item in side["secrets"]}
    beside = [secret for secret in reading["secrets"] if secret["namespace"] == side["namespace"]]
    return lifecycle.secret_faults(wanted, beside, owner, policy)


def overriding_secrets(reading: Reading, side: DesiredSide) -> list[Message]:
    """Secrets beside ours of which Istio takes the CA."""
    wanted = {item["name"] for item in side["secrets"]}
    return [
        Message.error(
            "cacert-secret",
            where=f"Secret {secret['namespace']}/{secret['name']}",
            what="Istio uses its CA instead of ours",
            fix="delete it",
        )
        for secret in reading["secrets"]
        if secret["namespace"] == side["namespace"]
        and secret["name"] not in wanted
        and secret["name"].removesuffix("-cacert") in wanted
    ]


def _foreign_secret(secret: LiveSecret, owner: names.Owner, policy: Policy) -> Message | None:
    title, labels = f"Secret {secret['namespace']}/{secret['name']}", secret["labels"]
    if is_ours(secret, owner):
        return None
    if lost := difference.lost_labels(labels, owner):
        return None if policy.adopt else difference.label_lost(title, lost)
    if labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY:
        return difference.of_another(title, labels, "set mesh_client_credential_prefix, or rename the link")
    return None if policy.adopt else difference.not_ours(title, makers_of(secret["managedFields"]))


def unknown_roots(secrets: Sequence[LiveSecret], owner: names.Owner, authority: Authority) -> dict[str, str]:
    """Roots in our own Secrets that the store does not know: fingerprint -> name of a Secret that holds it."""
    return {
        view.fingerprint: f"{secret['namespace']}/{secret['name']}"
        for secret in secrets
        if is_ours(secret, owner) and has_own_trust(secret)
        for view in trust_of(secret)
        if view.fingerprint not in authority.known
    }


def trust_errors(reading: Reading, authority: Authority, owner: names.Owner, policy: Policy) -> list[Message]:
    """A CA that is not the one this cluster knows, or not as it knows it, or that is a mesh's own."""
    # An adoption that was interrupted leaves Secrets that are ours and still hold the roots of before.
    unknown = {} if policy.adopt else unknown_roots(reading["secrets"], owner, authority)
    errors = [wrong_store(authority, fingerprint, f"Secret {secret}") for fingerprint, secret in unknown.items()]
    older = map(Message.from_json, reading["doubts"]["rolled_back"])
    return [*errors, *older, *meshs_own(authority, reading["mesh_roots"])]


def meshs_own(authority: Authority, mesh_roots: Collection[str]) -> list[Message]:
    """The error where the links would trust what any workload of a mesh has.

    :param mesh_roots: SHA-256 of the public keys of the mesh's own roots.
    """
    shared = sorted(root.fingerprint for root in authority.trusted if root.public_key_fingerprint in mesh_roots)
    if not shared:
        return []
    what = f"its root {short(shared[0])} has the key of the mesh's own CA (istio-ca-root-cert)"
    fix = "use a root that is not the CA of any mesh"
    return [Message.error("mesh-ca", where=f"CA store {authority.path}", what=what, fix=fix)]


def not_permitted(authority: Authority, wanted: Mapping[names.Side, Sequence[str]]) -> dict[str, Message]:
    """Names for which a root that issues, or is to issue next, allows no certificate; with the error of each.

    :param wanted: DNS names in certificates, by role.
    """
    roots = [root for root in (authority.issuing, authority.prepared) if root]
    return {
        name: Message.error(
            "name-not-permitted",
            where=name,
            what=f"the root {root.subject} allows no certificate for this name: {why}",
            fix="choose a name that the root permits, or replace the root by one that permits it (playbook rotate_ca)",
        )
        for root in roots
        for name, why in unissuable(root, wanted).items()
    }


def unissuable_names(side: DesiredSide, authority: Authority, policy: Policy) -> dict[str, Message]:
    """The same of all names of one side that a run works on.

    A client's side asks for the names of its servers too: neither side of such a link is to be written.
    """
    of_others = {item["link"] for item in side["secrets"] if item["trust"]}
    wanted: dict[names.Side, list[str]] = {"server": [], "client": []}
    for item in filter(lambda item: policy.works_on(item["link"]), side["secrets"]):
        wanted[item["role"]] += item["sans"]
    if is_client(side):
        dialled = (link for link in side["links"] if policy.works_on(link["name"]) and link["name"] not in of_others)
        wanted["server"] += [link["sni"] for link in dialled]
    return not_permitted(authority, wanted)


def secrets_of_names(side: DesiredSide, faults: Mapping[str, Message]) -> dict[str, Message]:
    """The Secrets whose certificates would bear one of these names, by their own names."""
    return {item["name"]: faults[name] for item in side["secrets"] for name in item["sans"] if name in faults}


def joined_trust(reading: Reading, side: DesiredSide, authority: Authority) -> dict[str, Message]:
    """Secrets for servers of another CA whose roots join what is to stay apart: a mesh's own CA, or ours."""
    found = {}
    for item in side["secrets"]:
        roots = parse_certificates(item["trust"], where=item["name"]) if item["trust"] else ()
        for root in roots:
            where = f"link {item['link']}: external.trust"
            if root.public_key_fingerprint in reading["mesh_roots"]:
                what = f"its root {short(root.fingerprint)} has the key of the mesh's own CA (istio-ca-root-cert)"
                fix = "write the roots of the CA that issued the server's certificate"
                found[item["name"]] = Message.error("mesh-ca", where=where, what=what, fix=fix)
            elif root.fingerprint in authority.known:
                what = f"its root {short(root.fingerprint)} is one of the custom CA, and would not follow its rotations"
                fix = "set external.ca instead, for a server with a certificate of the custom CA"
                found[item["name"]] = Message.error("external-trust-ours", where=where, what=what, fix=fix)
    return found


def wrong_store(authority: Authority, fingerprint: str, holder: str) -> Message:
    """The error that tells a wrong or an empty store from a first run.

    :param holder: what holds the root that the store does not know, e.g. C(Secret NAMESPACE/NAME).
    """
    holds = f"root {short(authority.issuing.fingerprint)}" if authority.issuing else "no root"
    return Message.error(
        "wrong-store",
        where=f"CA store {authority.path}",
        what=f"the store holds {holds}, but {holder} uses root {short(fingerprint)}",
        fix="point custom_ca_dir or custom_ca_store_* at the store that made it, or restore that store from a backup; "
        "if it is lost for good, run playbook rotate_ca with -e custom_ca_lost=true. If this store is the right one, "
        f"somebody has put that root there: take it out of {holder}, and find out who did",
    )
