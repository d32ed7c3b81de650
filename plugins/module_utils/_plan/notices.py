# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings, notices and alarms for one side, and the report of what it serves. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import revocation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Backend, SecretTrust
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import no_ready_pod
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import has_no_address, missing_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    DesiredSide,
    ServerLink,
    ServerSide,
    is_server,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    parse_certificates,
    timestamp,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    ShownTrust,
    expected_serials,
    live_credential,
    live_secrets,
    trust_shown,
)

__all__ = [
    "alarms",
    "backend_faults",
    "ending_roots",
    "in_force",
    "lacks_address",
    "list_report",
    "no_proxy",
    "notices",
    "overdue",
    "report",
    "strange_roots",
    "unproven",
    "warnings",
]

# A certificate is due once renew_before is left; when less than this part of it is left, no scheduled run has come.
OVERDUE = 2 / 3
NO_TRUST: SecretTrust = {"roots": [], "lists": []}


def report(reading: Reading, side: DesiredSide, owner: names.Owner) -> list[str]:
    """One line a Secret: what it holds, and how many of the ready pods serve it."""
    ready = [pod for pod in reading["pods"][owner.side] if pod["ready"]]
    wanted = {item["name"] for item in side["secrets"]}
    lines = []
    for secret in reading["secrets"]:
        live = live_credential(secret)
        if secret["namespace"] != side["namespace"] or secret["name"] not in wanted or not live or not live.leaf:
            continue
        number = serial(live.leaf.serial)
        serving = [pod for pod in ready if number in (pod["serials"] or ())]
        lines.append(
            f"Secret {secret['namespace']}/{secret['name']}: {', '.join(live.leaf.sans)}; serial {number}; until "
            f"{timestamp(live.leaf.not_after)}; served by {len(serving)} of {len(ready)} ready pods"
        )
    if lines:
        lines += [f"pod {pod['name']} could not be asked: {pod['problem']}" for pod in ready if pod["problem"]]
    return lines


def unproven(reading: Reading, side: DesiredSide, owner: names.Owner) -> list[str]:
    """Ready pods that do not serve, or were not seen to serve, what the Secrets hold; trust where it was read."""
    expected, trust = set(expected_serials(reading, side)), trust_shown(live_secrets(reading, side))
    return [
        pod["name"]
        for pod in reading["pods"][owner.side]
        if expected and pod["ready"] and not (expected <= set(pod["serials"] or ()) and _trusts(pod["trust"], trust))
    ]


def _trusts(found: Mapping[str, SecretTrust] | None, wanted: Sequence[ShownTrust]) -> bool:
    """Whether a pod trusts for every Secret what this holds; one that was not asked passes."""
    return found is None or all(_is_same(found.get(item["secret"], NO_TRUST), item) for item in wanted)


def _is_same(found: SecretTrust, wanted: SecretTrust) -> bool:
    return set(found["roots"]) == set(wanted["roots"]) and set(found["lists"]) == set(wanted["lists"])


def warnings(reading: Reading, side: DesiredSide, owner: names.Owner, authority: Authority) -> list[Message]:
    if not side["secrets"]:
        return []
    warnings = [Message.from_json(found) for found in (*reading["unmatched"], *reading["doubts"]["made_up"])]
    if size := revocation.check_size("".join(item.pem for item in authority.lists), where=authority.path):
        warnings.append(size)
    warnings += [_shared_root(root) for root in authority.trusted if root.fingerprint in authority.shared]
    if side["links"]:
        warnings += map(no_proxy, reading["strangers"][owner.side])
    if side["links"] and not any(pod["ready"] for pod in reading["pods"][owner.side]):
        warnings.append(no_ready_pod(f"gateway {side['namespace']}/{side['service']}"))
    if lacks_address(reading, side, owner):
        warnings.append(missing_address(side["namespace"], side["service"]))
    if is_server(side):
        warnings += backend_faults(reading, side).values()
    return warnings


def _shared_root(root: CertificateView) -> Message:
    """The warning of a root that was there before each instance had a CA of its own."""
    what = "it has issued for other instances too: for links of the same name their certificates are accepted here"
    fix = "run playbook rotate_ca, which replaces it without a lost connection"
    return Message.warning("shared-root", where=f"root {short(root.fingerprint)}", what=what, fix=fix)


def no_proxy(pod: str) -> Message:
    """The warning where a pod has a gateway's labels, and is none."""
    what = "it has the gateway's labels and no container istio-proxy, so it is no gateway, and nothing is proven of it"
    fix = "take the labels off that pod: the gateway's Service may send connections there"
    return Message.warning("no-proxy", where=f"pod {pod}", what=what, fix=fix)


def backend_faults(reading: Reading, side: ServerSide) -> dict[str, Message]:
    """A warning, by link, where a backend does not exist, has another port, or is not wholly in the mesh."""
    backends = {(item["service"], item["namespace"]): item for item in reading["backends"]}
    faults = {
        link["name"]: _backend_fault(link, backends[link["backend"]["service"], link["backend"]["namespace"]])
        for link in side["links"]
    }
    return {link: fault for link, fault in faults.items() if fault}


def _backend_fault(link: ServerLink, backend: Backend) -> Message | None:
    where, host, port = f"link {link['name']}", link["backend"]["host"], link["backend"]["port"]
    if not backend["found"]:
        what, fix = (
            f"Service {host} does not exist in this cluster",
            "install the backend, or correct the link's backend",
        )
        return Message.warning("backend-missing", where=where, what=what, fix=fix)
    if backend["ports"] is not None and port not in backend["ports"]:
        has = ", ".join(map(str, backend["ports"])) or "none"
        what = f"Service {host} has no port {port}, so connections over the link fail; its TCP ports: {has}"
        fix = "open the port on that Service, or correct the link's backend"
        return Message.warning("backend-port", where=where, what=what, fix=fix)
    if backend["sidecars"] < backend["pods"]:
        what = (
            f"{backend['pods'] - backend['sidecars']} of {backend['pods']} pods of {host} have no sidecar; the hop "
            "from the ingress gateway to them is plain text"
        )
        fix = "let Istio inject the sidecar into these pods, and restart them"
        return Message.warning("backend-without-sidecar", where=where, what=what, fix=fix)
    return None


def lacks_address(reading: Reading, side: DesiredSide, owner: names.Owner) -> bool:
    """Whether clients are to reach this gateway by an address that it does not have yet."""
    return owner.side == "server" and bool(side["links"]) and has_no_address(reading["services"][owner.side])


def notices(reading: Reading, side: DesiredSide, authority: Authority) -> list[Message]:
    """What is under way, or still to be done, as far as another playbook than the running one does it."""
    notices = []
    if side["secrets"] and authority.rotates:
        what = f"a root rotation is in progress: phase {authority.phase}"
        fix = "continue it with playbook rotate_ca"
        notices.append(Message.notice("rotation-under-way", where="", what=what, fix=fix))
    if side["secrets"] and reading["lists_due"]:
        what = f"the CRLs are due for renewal: {reading['lists_due']}"
        fix = "run playbook site or rotate_certificates over all clusters"
        notices.append(Message.notice("crl-due", where="", what=what, fix=fix))
    return notices


def list_report(authority: Authority) -> list[str]:
    """One line a CRL: how many it holds, and until when."""
    return [
        f"CRL of {item.issuer}: {len(item.revoked)} certificates, until {timestamp(item.next_update)}"
        for item in authority.lists
    ]


def in_force(reading: Reading, side: DesiredSide, owner: names.Owner, authority: Authority) -> list[str]:
    """One line a CRL: in how many of the ready pods it is in force, as the store has it and for every Secret."""
    ready = [pod for pod in reading["pods"][owner.side] if pod["ready"]]
    secrets = [item["secret"] for item in trust_shown(live_secrets(reading, side)) if item["lists"]]
    if not secrets:
        return []
    having = {item: sum(_has_list(pod["trust"], secrets, item.identity) for pod in ready) for item in authority.lists}
    return [
        f"CRL in force in {count} of {len(ready)} ready pods: {item.issuer}, of {timestamp(item.this_update)}"
        for item, count in having.items()
    ]


def _has_list(found: Mapping[str, SecretTrust] | None, secrets: Sequence[str], identity: str) -> bool:
    return found is not None and all(identity in found.get(secret, NO_TRUST)["lists"] for secret in secrets)


def alarms(
    reading: Reading, side: DesiredSide, authority: Authority, renew_before: timedelta, now: datetime
) -> list[Message]:
    """What shows that scheduled runs do not happen, or fail, while there is still time."""
    alarms = []
    for name, secret in sorted(live_secrets(reading, side).items()):
        live = live_credential(secret)
        if live and live.leaf:
            alarms += overdue(f"Secret {side['namespace']}/{name}", live.leaf, renew_before, now)
    root = authority.issuing
    if side["secrets"] and root and root.not_after - now < renew_before:
        what = f"the root expires at {timestamp(root.not_after)}"
        alarms.append(Message.alarm("root-expires", where=root.subject, what=what, fix="run playbook rotate_ca"))
    return [*alarms, *(revocation.alarms(authority.lists, now) if side["secrets"] else [])]


def strange_roots(reading: Reading, side: DesiredSide, owner: names.Owner, authority: Authority) -> list[Message]:
    """An alarm for each root that a gateway trusts for a Secret of ours, and that neither this nor the CA store has.

    A root of the CA that the Secret has lost since is the pod's delay, and no stranger.
    """
    held = {item["secret"]: set(item["roots"]) for item in trust_shown(live_secrets(reading, side))}
    return [
        Message.alarm(
            "gateway-root",
            where=f"pod {pod['namespace']}/{pod['name']}",
            what=f"it trusts root {listed(map(short, strange))} for {secret}, and neither it nor the CA store has that",
            fix="restart the pod, which then loads what the Secret holds, and find out who gave it that root",
        )
        for pod in reading["pods"][owner.side]
        for secret, roots in sorted(held.items())
        if (strange := sorted(set((pod["trust"] or {}).get(secret, NO_TRUST)["roots"]) - roots - authority.known))
    ]


def ending_roots(side: DesiredSide, renew_before: timedelta, now: datetime) -> tuple[list[Message], list[Message]]:
    """Roots of other CAs that have ended or end soon: a warning for each, an alarm where none lasts longer.

    :param renew_before: how long before its end a root is told of, as one of ours.
    """
    warnings, alarms = [], []
    for item in side["secrets"]:
        roots = parse_certificates(item["trust"], where=item["name"]) if item["trust"] else ()
        ending = [root for root in roots if root.not_after - now < renew_before]
        where = f"link {item['link']}: external.trust"
        fix = "get the next root from the server's owner, and write it beside"
        for root in ending:
            what = f"root {root.subject} {_ends(root, now)}"
            warnings.append(Message.warning("external-root-ends", where=where, what=what, fix=fix))
        if roots and len(ending) == len(roots):
            what = f"its last root {_ends(max(roots, key=lambda root: root.not_after), now)}"
            alarms.append(Message.alarm("external-trust-ends", where=where, what=what, fix=fix))
    return warnings, alarms


def _ends(root: CertificateView, now: datetime) -> str:
    return f"{'ends' if root.not_after > now else 'ended'} at {timestamp(root.not_after)}"


def overdue(title: str, leaf: CertificateView, renew_before: timedelta, now: datetime) -> list[Message]:
    """The alarm where a certificate should have been renewed long ago; nothing where it is in order."""
    if leaf.not_after - now >= renew_before * OVERDUE:
        return []
    word = "expires" if leaf.not_after > now else "expired"
    return [
        Message.alarm(
            "certificate-overdue",
            where=title,
            what=f"{word} at {timestamp(leaf.not_after)}, due since {timestamp(leaf.not_after - renew_before)}",
            fix="run playbook rotate_certificates to renew now, and find out why the scheduled rotation does not run",
        )
    ]
