# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted against what is live: write, strip, delete or leave, each with its reason. Pure.

PRIVATE to the collection. Objects of the collection are brought back exactly; of what belongs to others only ports are
added (L(Server-Side Apply,https://kubernetes.io/docs/reference/using-api/server-side-apply/)).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import managed_fields
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    LiveObject,
    Manifest,
    Place,
    Service,
    ServicePort,
    Spec,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Key, key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.comparison import differing

__all__ = [
    "Difference",
    "compare_objects",
    "compare_ports",
    "held_ports",
    "label_lost",
    "lost_labels",
    "not_ours",
    "of_another",
    "service_manifest",
    "service_port",
]


@dataclass
class Difference:
    """What a run has to do on one side of one cluster, and why.

    :param write: manifests to apply; nobody else holds their fields.
    :param force: manifests to apply over what others have put into our objects.
    :param strip: merge patches (RFC 7386) that take out what others added to our objects.
    :param delete: objects to delete.
    :param service: manifests of the gateway's Service, holding our ports only.
    :param lines: one line a step, for people.
    :param errors: why the run must not go on.
    """

    write: list[Manifest] = field(default_factory=list)
    force: list[Manifest] = field(default_factory=list)
    strip: list[Manifest] = field(default_factory=list)
    delete: list[Manifest] = field(default_factory=list)
    service: list[Manifest] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    errors: list[Message] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.write or self.force or self.strip or self.delete or self.service)


def compare_objects(
    wanted: Sequence[Manifest],
    live: Sequence[LiveObject],
    owner: names.Owner,
    *,
    adopt: bool,
    only: Collection[str],
    admitted: Collection[Key] = (),
    spared: Collection[Key] = (),
) -> Difference:
    """Wanted manifests against the live objects of the same owner or under the same names.

    :param only: names of the links to work on; empty means all.
    :param admitted: kind, namespace and name of what is as admission makes it of what is wanted.
    :param spared: the same of what is not deleted, though no link needs it.
    """
    result = Difference()
    found = {key_of(item): item for item in live}
    keys = set()
    for manifest in wanted:
        keys.add(key_of(manifest))
        if key_of(manifest) in admitted:
            continue
        if not only or manifest["metadata"]["labels"][names.LABEL_LINK] in only:
            _compare_one(manifest, found.get(key_of(manifest)), owner, adopt, result)
    for key, item in found.items():
        link = item["metadata"].get("labels", {}).get(names.LABEL_LINK, "")
        if key not in keys and key not in spared and _is_ours(item, owner) and (not only or link in only):
            what = "the namespace's lock-down" if link == names.CLIENT_LINK else f"link {link}"
            reason = f"{what} is no longer wanted here"
            if tracker := item["metadata"].get("tracker"):
                result.errors.append(_tracked(item, tracker, reason))
                continue
            result.delete.append(_identity(item))
            result.lines.append(f"delete {_title(item)}: {reason}")
    return result


def _compare_one(
    manifest: Manifest, live: LiveObject | None, owner: names.Owner, adopt: bool, result: Difference
) -> None:
    title = _title(manifest)
    if live is None:
        result.write.append(manifest)
        result.lines.append(f"write {title}: it does not exist")
        return
    if not _is_ours(live, owner):
        if error := _refusal(live, owner, adopt):
            result.errors.append(error)
            return
        step, reasons = "adopt", [f"it was made by {managed_fields.makers_of(live['metadata']['managedFields'])}"]
    elif reasons := list(_deviations(manifest, live, owner)):
        step = "write"
    else:
        return
    if tracker := live["metadata"].get("tracker"):
        result.errors.append(_tracked(live, tracker, "; ".join(reasons)))
        return
    result.lines.append(f"{step} {title}: {'; '.join(reasons)}")
    extra = _surplus(live.get("spec", {}), manifest["spec"])
    if extra:
        result.strip.append({**_identity(manifest), "spec": extra})
    others = any(entry.get("manager", "") != owner.manager for entry in live["metadata"].get("managedFields") or [])
    (result.force if others else result.write).append(manifest)


def lost_labels(labels: Mapping[str, str], owner: names.Owner) -> list[str]:
    """Labels that are gone from what was this owner's, as the others tell; empty where nothing tells so."""
    own = {key: value for key, value in owner.labels("").items() if key != names.LABEL_LINK}
    lost = [key for key in own if key not in labels]
    rest = all(labels[key] == value for key, value in own.items() if key in labels)
    return lost if rest and len(lost) < len(own) - 1 else []


def _is_ours(item: LiveObject, owner: names.Owner) -> bool:
    return owner.labelled(item["metadata"].get("labels") or {})


def _refusal(live: LiveObject, owner: names.Owner, adopt: bool) -> Message | None:
    """Why an object under our name that is not ours must not be touched; None if it may be adopted."""
    labels, title = live["metadata"].get("labels") or {}, _title(live)
    lost = lost_labels(labels, owner)
    if lost and not adopt:
        return label_lost(title, lost)
    if labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY and not lost:
        fix = f"give this link, cluster or instance ({owner.instance}, {owner.cluster}) a name of its own"
        return of_another(title, labels, fix)
    return None if adopt else not_ours(title, managed_fields.makers_of(live["metadata"]["managedFields"]))


def label_lost(title: str, lost: Sequence[str]) -> Message:
    """The error where something under our name has not all of our labels any more."""
    what = f"it has lost our label {', '.join(lost)}; only objects with all our labels are changed or deleted"
    return Message.error("label-lost", where=title, what=what, fix="restore the label, or run with -e mesh_adopt=true")


def of_another(title: str, labels: Mapping[str, str], fix: str) -> Message:
    """The error where something under our name belongs to another instance, cluster or side."""
    instance, cluster, side = (
        labels.get(label) for label in (names.LABEL_INSTANCE, names.LABEL_CLUSTER, names.LABEL_SIDE)
    )
    what = f"it belongs to instance {instance}, cluster {cluster}, side {side}"
    return Message.error("of-another-instance", where=title, what=what, fix=fix)


def not_ours(title: str, makers: str) -> Message:
    """The error where others have made something under our name."""
    fix = "check it, then run with -e mesh_adopt=true to take it over, or rename the link"
    return Message.error("not-ours", where=title, what=f"it exists and was made by {makers}", fix=fix)


def _tracked(live: LiveObject, tracker: str, reason: str) -> Message:
    """The error where a GitOps tool would take back what a run writes."""
    what = f"{reason}; {tracker} applies it, and would take back what a run writes"
    fix = "run playbook render and commit its tree, or take the object out of what that applies"
    return Message.error("gitops-owned", where=_title(live), what=what, fix=fix)


def _deviations(manifest: Manifest, live: LiveObject, owner: names.Owner) -> Iterator[str]:
    entries = live["metadata"].get("managedFields") or []
    owners = managed_fields.field_owners(entries, "spec")
    for path, _more in differing(manifest["spec"], live.get("spec", {}), "spec"):
        others = managed_fields.owners_of(owners, path, (owner.manager,))
        changed = f"{path} was changed by {', '.join(map(str, others))}"
        yield changed if others else f"{path} differs from the inventory"
    labels, owners = live["metadata"].get("labels") or {}, managed_fields.field_owners(entries, "metadata")
    for key, value in manifest["metadata"]["labels"].items():
        if labels.get(key) != value:
            others = managed_fields.owners_of(owners, f"metadata.labels.{key}", (owner.manager,))
            whose = f", changed by {', '.join(map(str, others))}" if others else ""
            yield f"label {key} is {labels.get(key)}{whose}"


def _surplus(live: Spec, wanted: Spec) -> Spec:
    """The merge patch that removes the keys of C(live) that C(wanted) does not have."""
    patch: Spec = {}
    for key, value in live.items():
        if key not in wanted:
            patch[key] = None
        elif isinstance(value, dict) and isinstance(wanted[key], dict):
            inner = _surplus(value, wanted[key])
            if inner:
                patch[key] = inner
    return patch


def _identity(item: LiveObject | Manifest) -> Manifest:
    metadata = item["metadata"]
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    }


def _title(item: LiveObject | Manifest) -> str:
    return "{} {}/{}".format(*key_of(item))


# -- ports of the gateway's Service --------------------------------------------------------------------------------


def compare_ports(wanted: Sequence[int], service: Service, owner: names.Owner) -> Difference:
    """The ports that this side needs on a Service which belongs to somebody else.

    A port that others opened is used as it is; one that only other sides or instances of the collection hold is owned
    together with them, so that it stays as long as one of them needs it. A port is known by its number: where
    others have named it anew (Helm, Argo CD), it keeps that name, as it leads where it led.
    """
    result = Difference()
    live = {f"{port['port']}/{port.get('protocol', 'TCP')}": port for port in service["ports"]}
    owners = service["owners"]
    held = {key for key, managers in owners.items() if owner.manager in managers}
    mine = []
    for number in wanted:
        key = f"{number}/TCP"
        managers = owners.get(key, ())
        error = _port_fault(service, number, live, managers, owner)
        # Nobody is known to own a port whose managedFields were cleared: it is not ours.
        only_ours = bool(managers) and all(manager.startswith("crossmesh-") for manager in managers)
        if error:
            result.errors.append(error)
        elif key not in live or owner.manager in managers or only_ours:
            mine.append(number)
    if error := _unnamed(service, mine):
        result.errors.append(error)
    _explain_ports(mine, held, service, result)
    if {f"{number}/TCP" for number in mine} != held and not result.errors:
        result.service.append(service_manifest(service, [_port(number, live) for number in mine]))
    return result


def held_ports(service: Service, owner: names.Owner) -> frozenset[int]:
    """Numbers of the TCP ports that this side has on a Service, alone or with others."""
    return frozenset(
        port["port"]
        for port in service["ports"]
        if port.get("protocol", "TCP") == "TCP" and owner.manager in service["owners"].get(f"{port['port']}/TCP", ())
    )


def _unnamed(service: Service, mine: Collection[int]) -> Message | None:
    """Kubernetes takes a port without a name only where it is the only one."""
    there = [port for port in service["ports"] if not port.get("name")]
    if not there or {*mine} <= {port["port"] for port in service["ports"]}:
        return None
    return Message.error(
        "port-unnamed",
        where=f"Service {service['namespace']}/{service['name']}, port {there[0]['port']}",
        what="it has no name, and Kubernetes takes a second port only where each has one",
        fix="give that port a name",
    )


def _port_fault(
    service: Service, number: int, live: Mapping[str, ServicePort], managers: Sequence[str], owner: names.Owner
) -> Message | None:
    where = f"Service {service['namespace']}/{service['name']}, port {number}"
    others = [key for key in live if key.startswith(f"{number}/") and key != f"{number}/TCP"]
    if others and f"{number}/TCP" not in live:
        what = f"is not TCP ({', '.join(others)})"
        return Message.error("port-not-tcp", where=where, what=what, fix="choose another port")
    port = live.get(f"{number}/TCP")
    if port is None or owner.manager not in managers:
        return None
    if port.get("targetPort") == number:
        return None
    writers = {
        str(managed_fields.Writer(name, service["written"].get(name, ""))) for name in {*managers} - {owner.manager}
    }
    return Message.error(
        "port-changed",
        where=where,
        what=f"targetPort of our port was changed (the port's managers: {listed(writers, 'unknown')}), and the Service "
        "belongs to others",
        fix=f"restore targetPort {number} of the port",
    )


def _explain_ports(mine: Sequence[int], held: Collection[str], service: Service, result: Difference) -> None:
    title = f"Service {service['namespace']}/{service['name']}"
    for number in mine:
        if f"{number}/TCP" not in held:
            result.lines.append(f"open port {number} on {title}")
    for key in sorted(held):
        if key not in {f"{number}/TCP" for number in mine}:
            result.lines.append(f"remove port {key.partition('/')[0]} from {title}")


def _port(number: int, live: Mapping[str, ServicePort]) -> ServicePort:
    # Another name than the one that is there would be somebody else's field.
    there = live.get(f"{number}/TCP")
    return service_port(number, (there.get("name") if there else "") or "")


def service_port(number: int, name: str = "") -> ServicePort:
    """A port of a gateway's Service that a link needs."""
    return {"name": name or names.service_port_name(number), "port": number, "protocol": "TCP", "targetPort": number}


def service_manifest(place: Place, ports: Sequence[ServicePort]) -> Manifest:
    """The gateway's Service with nothing but these ports."""
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": place["name"], "namespace": place["namespace"]},
    }
    if ports:
        manifest["spec"] = {"ports": list(ports)}
    return manifest
