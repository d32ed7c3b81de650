# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at what runs write in clusters, takes it away and puts it back: quicker than a playbook, or kubectl."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes import config
from kubernetes.client import ApiException
from kubernetes.dynamic import DynamicClient

from tests.lab import Lab

Json = dict[str, Any]

OURS = "app.kubernetes.io/managed-by=crossmesh"
_MANAGERS = "crossmesh-"
# What a run makes, and of which API. Secrets first: who refers to them finds them.
_KINDS = {
    "Secret": "v1",
    "ServiceEntry": "networking.istio.io/v1",
    "Gateway": "networking.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
# What it could touch besides.
_APIS = {**_KINDS, "Service": "v1", "Namespace": "v1"}
# Of an object's metadata, what its writer says.
_SAID = ("name", "namespace", "labels", "annotations")


@dataclass(frozen=True)
class Written:
    """What one manager of ours applied: an object of ours, or ports of a Service that is not."""

    manager: str
    # Of a Secret too, so it is shown nowhere.
    body: Json = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        return object_title(self.body), self.manager


def clear_clusters(lab: Lab, clusters: Iterable[str]) -> None:
    """Bring clusters back to what they were before any run, whichever instance wrote there."""
    for name in clusters:
        put_back(lab, name, ())


def objects_of_ours(lab: Lab, cluster: str, selector: str = OURS) -> list[Json]:
    """Everything of ours in a cluster, Secrets among it, without who wrote which field."""
    found = list(_Cluster(lab, cluster).ours(selector))
    for item in found:
        del item["metadata"]["managedFields"]
    return found


def written_by_runs(lab: Lab, cluster: str) -> list[Written]:
    """All that runs wrote in a cluster, as it would be applied again."""
    return _Cluster(lab, cluster).written()


def put_back(lab: Lab, cluster: str, kept: Sequence[Written]) -> None:
    """Bring a cluster back to what runs had written in it, and nothing else of ours.

    :raises AssertionError: it is not so.
    """
    found, keys = _Cluster(lab, cluster), {entry.key for entry in kept}
    found.delete_objects(but=keys)
    for entry in kept:
        found.apply(entry)
    found.give_up_fields(but=keys)
    now = {entry.key: entry.body for entry in found.written()}
    unlike = [entry.key for entry in kept if now.pop(entry.key, None) != entry.body]
    assert [*unlike, *now] == [], "not as it was, or still there"


def resource_versions(lab: Lab, cluster: str) -> dict[str, str]:
    """The resourceVersion of everything that a run could touch, whoever made it, by kind, namespace and name."""
    found = _Cluster(lab, cluster)
    items = (item for kind in _APIS for item in found.every(kind))
    return {object_title(item): item["metadata"]["resourceVersion"] for item in items}


def object_title(item: Json) -> str:
    """Kind, namespace and name; of what is in no namespace, without it."""
    metadata = item["metadata"]
    return f"{item['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


class _Cluster:
    def __init__(self, lab: Lab, cluster: str) -> None:
        self._api = DynamicClient(
            config.new_client_from_config(str(lab.kubeconfig), context=cluster),
            cache_file=str(lab.kubeconfig.with_name(f"{cluster}-discovery.json")),
        )

    def every(self, kind: str, selector: str | None = None) -> list[Json]:
        items: list[Json] = self._resource(kind).get(label_selector=selector).to_dict()["items"]
        return [{"apiVersion": _APIS[kind], "kind": kind, **item} for item in items]

    def ours(self, selector: str = OURS) -> Iterator[Json]:
        return (item for kind in _KINDS for item in self.every(kind, selector))

    def written(self) -> list[Written]:
        return [*self._objects(), *self._ports()]

    def _objects(self) -> Iterator[Written]:
        for item in self.ours():
            metadata = {key: item["metadata"][key] for key in _SAID if key in item["metadata"]}
            rest = {key: value for key, value in item.items() if key not in ("metadata", "status")}
            # Who was given up by all its managers is of nobody, and still there.
            for manager in _managers(item) or ("",):
                yield Written(manager, {**rest, "metadata": metadata})

    def _ports(self) -> Iterator[Written]:
        for service in self.every("Service"):
            for manager, fields in _managers(service).items():
                applied = fields.get("f:spec", {}).get("f:ports", {})
                ports = [
                    _said(port, applied[_port(port)]) for port in service["spec"]["ports"] if _port(port) in applied
                ]
                yield Written(manager, {**_reference(service), "spec": {"ports": ports}})

    def apply(self, entry: Written) -> None:
        resource = self._resource(entry.body["kind"])
        try:
            resource.server_side_apply(entry.body, field_manager=entry.manager, force_conflicts=True)
        except ApiException as error:
            # Not its own text, nor where it was raised: both hold the body.
            raise AssertionError(f"cannot apply {entry.key}: {error.status} {error.reason}") from None

    def delete_objects(self, but: Collection[tuple[str, str]]) -> None:
        """Those that nobody of these managers made."""
        # Who refers to a Secret goes before it.
        for item in reversed(list(self.ours())):
            if not any((object_title(item), manager) in but for manager in _managers(item)):
                self._resource(item["kind"]).delete(item["metadata"]["name"], item["metadata"]["namespace"])

    def give_up_fields(self, but: Collection[tuple[str, str]]) -> None:
        """Apply objects without content: what a manager leaves out is given up."""
        for item in [*self.ours(), *self.every("Service")]:
            for manager in _managers(item):
                if (object_title(item), manager) not in but:
                    self.apply(Written(manager, _reference(item)))

    def _resource(self, kind: str) -> Any:
        return self._api.resources.get(api_version=_APIS[kind], kind=kind)


def _managers(item: Json) -> dict[str, Json]:
    """Those of ours, and the fields that each one applied."""
    entries = item["metadata"].get("managedFields", ())
    return {entry["manager"]: entry["fieldsV1"] for entry in entries if entry["manager"].startswith(_MANAGERS)}


def _reference(item: Json) -> Json:
    metadata = {key: item["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata}


def _port(port: Json) -> str:
    """Its key in managedFields."""
    return f'k:{{"port":{port["port"]},"protocol":"{port["protocol"]}"}}'


def _said(port: Json, fields: Json) -> Json:
    return {name: value for name, value in port.items() if f"f:{name}" in fields}
