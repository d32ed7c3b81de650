# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has to be allowed in a cluster, as its view says. Pure.

PRIVATE to the collection. docs/permissions.md grants exactly this; tests/unit/test_permissions.py holds the one against
the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.identity import FIRST_NAMESPACE
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    ClientLink,
    Desired,
    DesiredSide,
    ReadingRequest,
    is_server,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

__all__ = ["Need", "describe", "held", "needs", "of_group", "wanted_kinds"]

# The ClusterRoles of docs/permissions.md.
READ, SURROUNDINGS, MESH_CONFIG, GATEWAY, CREDENTIALS, PROOF, BACKEND, STRICT, LOCKDOWN_READ, LOCKDOWN, PROBE = (
    "crossmesh-read",
    "crossmesh-surroundings",
    "crossmesh-mesh-config",
    "crossmesh-gateway",
    "crossmesh-credentials",
    "crossmesh-proof",
    "crossmesh-backend",
    "crossmesh-strict",
    "crossmesh-lockdown-read",
    "crossmesh-lockdown",
    "crossmesh-probe",
)
# What is not written into the namespace of a gateway has a role of its own.
WRITERS = {"PeerAuthentication": STRICT, **dict.fromkeys(names.LOCKDOWN_KINDS, LOCKDOWN)}
_NAMESPACES = names.Kind("Namespace", "", "v1", "namespaces")
OBJECT_VERBS = ("get", "create", "patch", "delete")
SECRET = "Secret"
MESH_ROOT = "istio-ca-root-cert"
KINDS = {kind.kind: kind for kind in names.KINDS}
# Links have them only if they ask for more than a way.
OPTIONAL_KINDS = frozenset({"PeerAuthentication", "AuthorizationPolicy"})

# (kind, namespace, name); of all but Secrets the name does not matter, and is empty.
Held = Collection[tuple[str, str, str]]


@dataclass(frozen=True)
class Need:
    """One permission.

    :param role: the ClusterRole of docs/permissions.md that grants it.
    :param resource: with its subresource, such as C(pods/exec).
    :param namespace: empty for all namespaces.
    :param name: of the one object that it is for; empty for all.
    :param lacking: what a run lacks without it; empty where there is no run without it.
    """

    role: str
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    lacking: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """In the words of a SelfSubjectAccessReview."""
        resource, _slash, subresource = self.resource.partition("/")
        given = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {key: value for key, value in given.items() if value}


def needs(view: Desired, holding: Held = (), configs: Iterable[str] = (surroundings.MESH_CONFIG,)) -> list[Need]:
    """Everything that a run over this view does in the cluster.

    :param holding: what is ours there: it is changed or taken away, whatever links say now.
    :param configs: names of the ConfigMaps with MeshConfig: each revision has its own.
    """
    request = view["request"]
    found = [*_reading(request, holding, configs), *_of_secrets(request, holding), *_writing(view, holding)]
    found += _of_probes(view["client"]["links"])
    return list(dict.fromkeys(found))


def held(reading: Reading, owners: Iterable[names.Owner]) -> set[tuple[str, str, str]]:
    """What is ours in a cluster, as far as permissions tell it apart."""
    metadata = [(item["kind"], item["metadata"]) for item in reading["objects"]]
    found = [(kind, item["namespace"], "", item["labels"]) for kind, item in metadata]
    found += [(SECRET, item["namespace"], item["name"], item["labels"]) for item in reading["secrets"]]
    every = list(owners)
    return {
        (kind, namespace, name)
        for kind, namespace, name, labels in found
        if any(owner.labelled(labels) for owner in every)
    }


def wanted_kinds(view: Desired) -> list[names.Kind]:
    """The kinds that the cluster has to know for the links of this view."""
    wanted = {kind for side in names.SIDES for kind, _namespace in _of_links(view[side])}
    return [kind for kind in names.KINDS if kind.kind in wanted]


def _reading(request: ReadingRequest, holding: Held, configs: Iterable[str]) -> Iterator[Need]:
    unknown = "it is not known which cluster this is"
    yield Need(READ, "get", "", "namespaces", name=FIRST_NAMESPACE, lacking=unknown)
    if request["links"]:
        yield from _of_surroundings(configs)
    locked_down = request["lockdown"] or any(kind in names.LOCKDOWN_KINDS for kind, _namespace, _name in holding)
    for kind in names.KINDS:
        if kind.kind not in names.LOCKDOWN_KINDS:
            yield Need(READ, "list", kind.group, kind.plural)
        elif locked_down:
            yield Need(LOCKDOWN_READ, "list", kind.group, kind.plural)
    for side, gateway in (("server", request["ingress_gateway"]), ("client", request["egress_gateway"])):
        namespace = gateway["namespace"]
        yield Need(GATEWAY, "get", "", "services", namespace, gateway["service"])
        yield Need(GATEWAY, "list", "", "pods", namespace)
        for verb in ("get", "create") if side in request["sides"] else ():
            yield Need(PROOF, verb, "", "pods/exec", namespace, lacking="not every step of a run can be proven")
    yield Need(GATEWAY, "get", "", "configmaps", request["ingress_gateway"]["namespace"], MESH_ROOT)
    for backend in request["backends"]:
        for resource in ("services", "pods"):
            yield Need(BACKEND, "list", "", resource, backend["namespace"])


def _of_probes(links: Iterable[ClientLink]) -> Iterator[Need]:
    """No run needs them: C(verify) does, which fails without them where a probe is required."""
    asked: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for link in links:
        if probe := link["probe"]:
            asked[probe["namespace"]].append((link["name"], probe["required"]))
    for namespace, found in sorted(asked.items()):
        lacking = f"verify cannot ask the probe of {listed(name for name, _required in found)}"
        if required := [name for name, is_required in found if is_required]:
            lacking += f", and fails, as it is required of {listed(required)}"
        for verb, resource in (("list", "pods"), ("get", "pods/exec"), ("create", "pods/exec")):
            yield Need(PROBE, verb, "", resource, namespace, lacking=lacking)


def _of_surroundings(configs: Iterable[str]) -> Iterator[Need]:
    unforeseen = "what others' objects do to links is not foreseen in full"
    for kind in (*surroundings.KINDS, _NAMESPACES):
        if kind not in names.KINDS or kind.kind in names.LOCKDOWN_KINDS:
            yield Need(SURROUNDINGS, "list", kind.group, kind.plural, lacking=unforeseen)
    for config in configs:
        yield Need(MESH_CONFIG, "get", "", "configmaps", names.ROOT_NAMESPACE, config, lacking=unforeseen)


def _of_secrets(request: ReadingRequest, holding: Held) -> Iterator[Need]:
    """Each by its name: a namespace may hold Secrets of others."""
    wanted = {(item["namespace"], item["name"]) for item in request["secrets"]}
    for namespace, name in sorted(wanted):
        for verb in OBJECT_VERBS:
            yield Need(CREDENTIALS, verb, "", "secrets", namespace, name)
        yield Need(CREDENTIALS, "get", "", "secrets", namespace, names.cacert_secret(name))
    surplus = {(namespace, name) for kind, namespace, name in holding if kind == SECRET} - wanted
    for namespace, name in sorted(surplus):
        for verb in ("get", "delete"):
            yield Need(CREDENTIALS, verb, "", "secrets", namespace, name)


def _writing(view: Desired, holding: Held) -> Iterator[Need]:
    held_objects = {(kind, namespace) for kind, namespace, _name in holding if kind != SECRET}
    wanted = _of_links(view["server"]) | _of_links(view["client"])
    for side in (view["server"], view["client"]):
        if side["links"] or any(namespace == side["namespace"] for _kind, namespace, _name in holding):
            yield Need(GATEWAY, "patch", "", "services", side["namespace"], side["service"])
    for kind, namespace in sorted(held_objects | wanted):
        role = WRITERS.get(kind, GATEWAY)
        # Beside workloads it may be anybody's, and a run goes on without deleting it.
        stays = kind in names.WORKLOAD_KINDS and (kind, namespace) not in wanted
        lacking = "what no link needs there stays" if stays else ""
        for verb in OBJECT_VERBS:
            yield Need(role, verb, KINDS[kind].group, KINDS[kind].plural, namespace, lacking=lacking)


def _of_links(side: DesiredSide) -> set[tuple[str, str]]:
    """Kinds and namespaces of the objects that the links of a side have."""
    objects = names.server_objects if is_server(side) else names.client_objects
    kinds = {kind for link in side["links"] for kind in objects(link["name"])} - OPTIONAL_KINDS
    found = {(kind, side["namespace"]) for kind in kinds}
    if is_server(side):
        strict = (link for link in side["links"] if link["peer_authentication"])
        found |= {("PeerAuthentication", link["backend"]["namespace"]) for link in strict}
    elif any(link["workload_policy"] for link in side["links"]):
        found.add(("AuthorizationPolicy", side["namespace"]))
    return found | {(kind, item["namespace"]) for item in side["lockdowns"] for kind in names.LOCKDOWN_KINDS}


def of_group(denied: Iterable[Need]) -> list[list[Need]]:
    """Together what one binding of a role grants on one resource."""
    groups: dict[tuple[str, str, str, str], list[Need]] = defaultdict(list)
    for need in denied:
        groups[need.role, need.namespace, need.group, need.resource].append(need)
    return [groups[key] for key in sorted(groups)]


def describe(group: Iterable[Need]) -> Message:
    """What is not permitted, and what grants it; a warning where a run works without it."""
    members = list(group)
    first = members[0]
    resource = f"{first.resource}.{first.group}" if first.group else first.resource
    where = f"namespace {first.namespace}" if first.namespace else "all namespaces"
    bound = f"by a RoleBinding in {where}" if first.namespace else "by a ClusterRoleBinding"
    verbs = ", ".join(dict.fromkeys(need.verb for need in members))
    named = ", ".join(sorted({need.name for need in members if need.name}))
    what = f"may not {verbs} {resource}{f' ({named})' if named else ''} in {where}"
    fix = f"bind ClusterRole {first.role} of docs/permissions.md to the user of this context, {bound}"
    if all(need.lacking for need in members):
        what = f"{what}, so {first.lacking}"
        return Message.warning("not-permitted", where="", what=what, fix=fix)
    return Message.error("not-permitted", where="", what=what, fix=fix)
