# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run will do on one side of one cluster: the reading held against the view. Pure: the clock is an input.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_error
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Trial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    LiveObject,
    LiveSecret,
    Manifest,
    Metadata,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import BackendFault, Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    DesiredSide,
    WantedSecret,
    is_client,
    is_server,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import (
    credentials,
    difference,
    lifecycle,
    lockdown,
    notices,
    proxies,
    refusals,
    scope,
    strays,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.credentials import Due
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import NOTHING_FORESEEN, Foresight
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.rehearsal import (
    NOTHING_TRIED,
    Rehearsal,
    trials_of_objects,
    trials_of_secrets,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.renewal import SAN_CHANGED
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import (
    ShownTrust,
    expected_serials,
    is_ours,
    live_secrets,
    trust_shown,
)

__all__ = ["Plan", "Standing", "Work", "make_plan", "of_side", "port_difference", "trials"]


@dataclass(frozen=True)
class Work:
    """What is to be done.

    :param lines: one a step, with its reason; C(renewals) are those of them that are about certificates.
    :param drifted: the cluster is not as the inventory says; a certificate that has come of age is no drift.
    :param credentials: Secrets that a run looks at again before it writes.
    :param surplus: names of Secrets to delete.
    :param strip: merge patches (RFC 7386) that take out what others added to our objects.
    :param force: manifests to apply over what others have put into our objects; C(write) forces nothing.
    :param due: the Secrets that are to be written, with the reason.
    :param moved: Envoy's clusters that the egress gateway has to have before routes that carry are changed.
    :param await_address: whether the gateway's Service has still to be given one.
    """

    lines: list[str]
    renewals: list[str]
    changed: bool
    drifted: bool
    credentials: list[WantedSecret]
    surplus: list[str]
    strip: list[Manifest]
    force: list[Manifest]
    write: list[Manifest]
    delete: list[Manifest]
    due: Sequence[Due]
    moved: list[str]
    await_address: bool


@dataclass(frozen=True)
class Standing:
    """How the side is now, and what is to be said of it.

    :param report: one line a Secret and revocation list.
    :param issuers: fingerprints of the roots that issued what is there; only where a run works on what is there.
    :param expected: serials that every ready gateway pod has to serve.
    :param endpoints: where a handshake can show the certificate, if exec cannot.
    :param served: whether every ready gateway pod serves what the Secrets hold.
    :param faults: what those pods do not do of links that are written.
    :param judged: the links that a proof after this plan has to find in order.
    :param unbacked: of them, those of whose backend a warning tells, with what it tells.
    """

    warnings: list[Message]
    notices: list[Message]
    alarms: list[Message]
    report: list[str]
    trust: list[ShownTrust]
    issuers: list[str]
    expected: list[str]
    endpoints: list[Endpoint]
    served: bool
    faults: list[Fault]
    judged: list[str]
    unbacked: dict[str, BackendFault]


@dataclass(frozen=True)
class Plan:
    """:param errors: what forbids the work.
    :param barring: those of them that forbid to renew certificates as well, whose links are there.
    """

    errors: list[Message]
    barring: list[Message]
    work: Work
    standing: Standing

    @property
    def pending(self) -> dict[str, str]:
        """By link of which something is to be written: the code of what forbids that; empty where nothing does.

        The one certificate of a client is all its links', but where nothing is new of it than the name of a link.
        """
        work = self.work
        objects = (*work.strip, *work.force, *work.write)
        links = {item["metadata"].get("labels", {}).get(names.LABEL_LINK, "") for item in objects}
        certified = {item.wanted["link"] for item in work.due if item.decision.reason != SAN_CHANGED}
        return {
            **dict.fromkeys(certified, ""),
            **dict.fromkeys(links - {""}, self.errors[0].code if self.errors else ""),
        }

    @property
    def proven(self) -> bool:
        """Whether there is nothing to do, everything is served, and every link is as it is meant in this cluster."""
        standing = self.standing
        return not self.work.changed and standing.served and all(fault.outside for fault in standing.faults)


@dataclass(frozen=True)
class _Case:
    """What every part of a plan is made of; the side is what this run is to leave."""

    reading: Reading
    side: DesiredSide
    owner: names.Owner
    authority: Authority
    policy: Policy
    now: datetime


def make_plan(
    reading: Reading,
    side: DesiredSide,
    manifests: Sequence[Manifest],
    authority: Authority,
    policy: Policy,
    now: datetime,
    rehearsal: Rehearsal = NOTHING_TRIED,
    foresight: Foresight = NOTHING_FORESEEN,
) -> Plan:
    """Everything that is to be done, with reasons, and everything that forbids it.

    :param rehearsal: what trying the plan of before has shown.
    :param foresight: what will stand in the way of its links.
    """
    owner = names.Owner(**side["owner"])
    narrowed = _narrowed(reading, side, owner, authority, policy)
    case = _Case(reading, narrowed, owner, authority, policy, now)
    there = of_side(reading["objects"], owner)
    left = {**strays.held_up(there, set(map(key_of, manifests)), owner), **rehearsal.spared}
    objects = difference.compare_objects(
        manifests, there, owner, adopt=policy.adopt, only=policy.only, admitted=rehearsal.admitted, spared=left
    )
    ports = port_difference(reading, narrowed, owner)
    occupied = refusals.occupied_ports(reading, narrowed, owner)
    unissuable = refusals.unissuable_names(narrowed, authority, policy)
    held = {
        **refusals.held_secrets(reading, narrowed, owner, policy),
        **refusals.joined_trust(reading, narrowed, authority),
        **refusals.secrets_of_names(narrowed, unissuable),
        **rehearsal.held,
    }
    errors = _refusals(case, manifests, [*occupied.errors, *objects.errors, *ports.errors])
    errors += [*rehearsal.errors, *foresight.errors]
    barring = _barring(case, held)
    errors += dict.fromkeys([*held.values(), *unissuable.values(), *barring])
    halted = bool(errors or rehearsal.denied)
    due = [] if barring else _due(case, frozenset(held), those_there=halted)
    if any(item.decision.action == "issue" for item in due) and (clock := clock_error(reading["clock_ahead"])):
        errors.append(clock)
        barring.append(clock)
    work = _work(case, objects, ports, due, frozenset(held), those_there=halted)
    if rehearsal.denied and work.drifted:
        errors.append(rehearsal.denied)
    warnings = [*occupied.warnings, *foresight.warnings, *left.values()]
    return Plan(errors, barring, work, _standing(case, warnings, rehearsal, work))


def trials(plan: Plan, reading: Reading, side: DesiredSide, policy: Policy) -> list[Trial]:
    """What of a plan is to be tried before the first write: what it would write as it stands."""
    owner, work = names.Owner(**side["owner"]), plan.work
    due = (item.wanted for item in work.due)
    found = list(trials_of_secrets(due, live_secrets(reading, side), side["namespace"], owner))
    if not plan.errors and not policy.existing:
        written = [*work.force, *work.write]
        found += trials_of_objects(written, work.strip, work.delete, of_side(reading["objects"], owner), owner)
    return found


def _due(case: _Case, held: Collection[str], *, those_there: bool) -> list[Due]:
    """:param those_there: whether nothing new may be made, because something forbids the manifests."""
    reading, side, owner = case.reading, case.side, case.owner
    due = credentials.due_secrets(reading, side, case.authority, case.policy, case.now, owner)
    free = [item for item in due if item.wanted["name"] not in held]
    if not those_there:
        return free
    # Another name in a client's certificate is that of a link which is not to come.
    live = live_secrets(reading, side)
    return [item for item in free if item.wanted["name"] in live and item.decision.reason != SAN_CHANGED]


def _narrowed(
    reading: Reading, side: DesiredSide, owner: names.Owner, authority: Authority, policy: Policy
) -> DesiredSide:
    if not policy.only:
        return side
    sans = credentials.client_sans(reading, side, authority)
    service = reading["services"][owner.side]
    ports = difference.held_ports(service, owner) if service else frozenset()
    # Twice the same, for mypy: what comes back is of the same side.
    if is_server(side):
        return scope.narrowed(side, reading["objects"], sans, ports, owner, policy.only)
    return scope.narrowed(side, reading["objects"], sans, ports, owner, policy.only)


def _refusals(case: _Case, manifests: Sequence[Manifest], found: Sequence[Message]) -> list[Message]:
    """What forbids manifests.

    :param found: what the comparisons have refused.
    """
    reading, side, owner, policy = case.reading, case.side, case.owner, case.policy
    return [
        *refusals.missing_kinds(reading, manifests),
        *refusals.missing_gateway(reading, side),
        *found,
        *lifecycle.object_faults(manifests, of_side(reading["objects"], owner), owner, policy),
        *refusals.ailing_secrets(reading, side, owner, policy),
        *refusals.overriding_secrets(reading, side),
        *([] if policy.on_links_alone else lockdown.errors(reading, side)),
    ]


def _barring(case: _Case, held: Mapping[str, Message]) -> list[Message]:
    """What forbids certificates too. A Secret that is held up is left alone, unless an adoption takes all of them on
    together; a rotation of the root stops at any error.
    """
    together = case.policy.adopt
    trust = case.side["secrets"] and refusals.trust_errors(case.reading, case.authority, case.owner, case.policy)
    return [*(held.values() if together else ()), *(trust or ())]


def _work(
    case: _Case,
    objects: difference.Difference,
    ports: difference.Difference,
    due: Sequence[Due],
    held: Collection[str],
    *,
    those_there: bool,
) -> Work:
    """:param held: Secrets that are left alone."""
    reading, side, owner, policy = case.reading, case.side, case.owner, case.policy
    surplus = credentials.surplus_secrets(reading, side, owner, policy)
    renewals = [
        f"{item.decision.action} Secret {side['namespace']}/{item.wanted['name']}: {item.decision.message}"
        for item in due
    ]
    deletions = [f"delete Secret {item['namespace']}/{item['name']}: no link needs it" for item in surplus]
    differs = not (objects.empty and ports.empty) or bool(surplus)
    # A certificate that has come of age is no drift: the next scheduled run renews it.
    untimely = any(item.decision.reason != "expires" for item in due)
    return Work(
        lines=[*renewals, *objects.lines, *ports.lines, *deletions],
        renewals=renewals,
        changed=differs or bool(due),
        drifted=differs or untimely or (bool(side["secrets"]) and reading["lists_wrong"]),
        credentials=[
            item
            for item in credentials.secrets_to_do(reading, side, policy, due=bool(due))
            if item["name"] not in held and (item["name"] in live_secrets(reading, side) or not those_there)
        ],
        surplus=[item["name"] for item in surplus],
        strip=objects.strip,
        force=objects.force,
        # One request list, none of it forced: the Service belongs to somebody else.
        write=[*objects.write, *ports.service],
        delete=[*objects.delete, *map(_deletion, surplus)],
        due=due,
        moved=_moved(reading, side, [*objects.force, *objects.write]),
        # Once a gateway is given something to serve, and not again in every run.
        await_address=not those_there
        and notices.lacks_address(reading, side, owner)
        and not (objects.empty and ports.empty),
    )


def _moved(reading: Reading, side: DesiredSide, written: Sequence[Manifest]) -> list[str]:
    if not is_client(side):
        return []
    there = {item["metadata"]["name"] for item in reading["objects"] if item["kind"] == "VirtualService"}
    changed = there & {item["metadata"]["name"] for item in written if item["kind"] == "VirtualService"}
    return [
        envoy.outbound(link["tls_port"], link["fqdn"], link["name"])
        for link in side["links"]
        if link["virtual_service"] in changed
    ]


def _deletion(secret: LiveSecret) -> Manifest:
    metadata: Metadata = {"name": secret["name"], "namespace": secret["namespace"]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def _standing(case: _Case, warnings: Sequence[Message], rehearsal: Rehearsal, work: Work) -> Standing:
    """:param warnings: of what was compared and foreseen."""
    reading, side, owner, authority = case.reading, case.side, case.owner, case.authority
    faults = proxies.faults(reading, side, owner, case.policy)
    ending, alarms = notices.ending_roots(side, case.policy.renew_before, case.now)
    return Standing(
        warnings=[
            *notices.warnings(reading, side, owner, authority),
            *ending,
            *warnings,
            *lockdown.warnings(reading, side),
            *proxies.warnings(reading, side, owner, case.policy, faults),
            *rehearsal.warnings,
            *([] if work.drifted or not rehearsal.denied else [_only_looks(rehearsal.denied)]),
        ],
        notices=[*notices.notices(reading, side, authority), *rehearsal.notices],
        alarms=[
            *notices.alarms(reading, side, authority, case.policy.renew_before, case.now),
            *notices.strange_roots(reading, side, owner, authority),
            *alarms,
        ],
        report=[
            *notices.report(reading, side, owner),
            *(notices.list_report(authority) if side["secrets"] else []),
            *notices.in_force(reading, side, owner, authority),
        ],
        trust=trust_shown(live_secrets(reading, side)),
        issuers=credentials.issuers_of(reading, side, authority) if case.policy.existing else [],
        expected=expected_serials(reading, side),
        endpoints=_endpoints(reading, side),
        served=not notices.unproven(reading, side, owner),
        faults=faults,
        judged=proxies.judged(reading, side, owner, case.policy),
        unbacked=proxies.unbacked(reading, side),
    )


def _only_looks(denied: Message) -> Message:
    """Where nothing has drifted, somebody may only be looking."""
    what = f"it could not be tried beforehand: {denied.what}"
    return Message.warning("dry-run-not-permitted", where=denied.where, what=what, fix=denied.fix)


def of_side(items: Sequence[LiveObject], owner: names.Owner) -> list[LiveObject]:
    """Without the objects that our other side has: one cluster can be both."""
    other = names.Owner(owner.instance, owner.cluster, "client" if owner.side == "server" else "server")
    return [item for item in items if not is_ours(item["metadata"], other)]


def port_difference(reading: Reading, side: DesiredSide, owner: names.Owner) -> difference.Difference:
    """The ports of the gateway's Service held against those that the side needs."""
    service = reading["services"][owner.side]
    return difference.Difference() if service is None else difference.compare_ports(side["ports"], service, owner)


def _endpoints(reading: Reading, side: DesiredSide) -> list[Endpoint]:
    """Where a handshake can show the certificate, if exec cannot; an egress gateway shows it to nobody."""
    service = reading["services"]["server"]
    if service is None or not is_server(side):
        return []
    return [
        Endpoint(address, link["tls_port"], link["fqdn"]) for address in service["addresses"] for link in side["links"]
    ]
