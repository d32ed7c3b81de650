# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What will become of the links of a side once a plan is carried out, with all that others have in the cluster. Pure.

PRIVATE to the collection. M(_istio) says what Istio will do, M(_plan.questions) what it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import model as inventory
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import DesiredSide, is_client, is_server
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import client, server
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.credentials import used_by_others
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.findings import Finding, Hop, described
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.questions import Changes, Future, future_of

__all__ = ["NOTHING_FORESEEN", "Foresight", "foresee"]

# Without these nothing is foreseen: what is not seen would count as not there.
_NEEDED = frozenset(
    {"list services", "list serviceentries", "list destinationrules", "list virtualservices", "list gateways"}
)
_GATES: Mapping[Side, Hop] = {"server": "ingress-gateway", "client": "egress-gateway"}


@dataclass(frozen=True)
class Foresight:
    """:param by_link: what stands in the way of each link.
    :param of_side: what is to be said of the side as a whole.
    :param complete: whether enough could be read to foresee anything.
    """

    by_link: Mapping[str, Sequence[Message]]
    of_side: Sequence[Message] = ()
    complete: bool = True

    @property
    def errors(self) -> list[Message]:
        return [message for message in self._messages if message.level == "error"]

    @property
    def warnings(self) -> list[Message]:
        return [message for message in self._messages if message.level != "error"]

    @property
    def _messages(self) -> list[Message]:
        return [*self.of_side, *(message for found in self.by_link.values() for message in found)]


NOTHING_FORESEEN = Foresight({})


def foresee(
    surroundings: Surroundings,
    reading: Reading,
    side: DesiredSide,
    manifests: Sequence[Manifest],
    changes: Changes,
    policy: Policy,
) -> Foresight:
    """What will stand in the way of the links that a run works on, once these changes are made."""
    if not side["links"]:
        return NOTHING_FORESEEN
    of_side = _unseen(surroundings, side)
    if not _NEEDED.isdisjoint(surroundings.unseen):
        return Foresight({}, of_side, complete=False)
    by_link: dict[str, list[Message]] = {}
    future = future_of(surroundings, reading, side, manifests, changes)
    of_side += _used_by_others(future, side)
    made = _gateways_made(manifests, changes)
    for finding in _findings(future, side):
        if policy.works_on(finding.link):
            by_link.setdefault(finding.link, []).append(_as_it_stands(finding, made).message)
    return Foresight(by_link, of_side)


def _gateways_made(manifests: Sequence[Manifest], changes: Changes) -> frozenset[str]:
    """Links whose Gateway a run writes."""
    written = {key_of(item) for item in (*changes.strip, *changes.force, *changes.write)}
    gateways = (item["metadata"] for item in manifests if item["kind"] == "Gateway" and key_of(item) in written)
    return frozenset(metadata.get("labels", {}).get(names.LABEL_LINK, "") for metadata in gateways)


def _as_it_stands(finding: Finding, made: Collection[str]) -> Finding:
    """Envoy refuses a change, and goes on with the listener that it has."""
    if finding.code != "listener-refused" or finding.link in made:
        return finding
    return replace(finding, level="warning", what=f"{finding.what}; what it has of before it serves until it restarts")


def _unseen(surroundings: Surroundings, side: DesiredSide) -> list[Message]:
    if not surroundings.unseen:
        return []
    whole = " in full" if _NEEDED.isdisjoint(surroundings.unseen) else ""
    seen = listed(f"{part} ({why})" for part, why in surroundings.unseen.items())
    what = f"what others' objects do to links is not foreseen{whole}; not to be had: {seen}"
    fix = "where it is forbidden (403), bind ClusterRoles crossmesh-surroundings and crossmesh-mesh-config of "
    fix += "docs/permissions.md to the user of this context; else mend what the answer names"
    return [Message.warning("not-foreseen", where=f"{side['owner']['side']}'s side", what=what, fix=fix)]


def _used_by_others(future: Future, side: DesiredSide) -> list[Message]:
    credentials = {link["credential"] for link in side["links"]}
    what = (
        "it uses credential {}, which is for links: its traffic has the certificate that servers know this cluster by"
    )
    fix = "remove it; docs/admission.md keeps tenants from making one"
    return [
        Message.warning("credential-used", where=described(meta), what=what.format(name), fix=fix)
        for meta, name in used_by_others(future.mesh, credentials)
    ]


def _findings(future: Future, side: DesiredSide) -> list[Finding]:
    # Where Istio does not look into a namespace, nothing else is worth saying.
    if hidden := _undiscovered(future, side):
        return hidden
    if is_client(side):
        return [*_of_trust_domain(future, side["links"]), *_of_client(future, side["links"])]
    return list(dict.fromkeys(server.predict(future.mesh, future.server_links())))


def _undiscovered(future: Future, side: DesiredSide) -> list[Finding]:
    places: list[tuple[str, str, Hop]] = [
        (link["name"], side["namespace"], _GATES[side["owner"]["side"]]) for link in side["links"]
    ]
    if is_server(side):
        places += [(link["name"], link["backend"]["namespace"], "backend") for link in side["links"]]
    what = "Istio does not look into namespace {}, {} of the link: no discoverySelector of MeshConfig selects it"
    fix = "give that namespace the labels that the discoverySelectors ask for"
    return [
        Finding("error", link, hop, "not-discovered", None, what.format(namespace, hop.replace("-", " ")), fix)
        for link, namespace, hop in places
        if namespace in future.undiscovered
    ]


def _of_trust_domain(future: Future, links: Sequence[inventory.ClientLink]) -> list[Finding]:
    what = "the trust domain of the mesh is {}, so no workload has the identity that the egress gateway would ask for"
    return [
        Finding("error", link["name"], "egress-gateway", "trust-domain-differs", None, what.format(domain), fix)
        for domain in future.trust_domains
        for fix in [f"set mesh_trust_domain: {domain}"]
        for link in links
        if not all(identity.startswith(f"spiffe://{domain}/") for identity in link["caller_identities"])
    ]


def _of_client(future: Future, links: Sequence[inventory.ClientLink]) -> list[Finding]:
    found = _predicted(future, links, everywhere=False)
    told = {_of_what(finding) for finding in found}
    unlimited = [link for link in links if not link["client_namespaces"]]
    for finding in _predicted(future, unlimited, everywhere=True):
        if _of_what(finding) not in told:
            told.add(_of_what(finding))
            # Whoever may use a link need not mean to.
            found.append(replace(finding, level="warning"))
    return found


def _predicted(future: Future, links: Sequence[inventory.ClientLink], *, everywhere: bool) -> list[Finding]:
    return list(dict.fromkeys(client.predict(future.mesh, future.client_links(links, everywhere=everywhere))))


def _of_what(finding: Finding) -> tuple[object, ...]:
    """The same for all workloads that meet it."""
    return finding.link, finding.hop, finding.code, finding.source
