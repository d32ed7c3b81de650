"""Looks at what runs write in clusters, and takes it away: quicker than a playbook, or kubectl."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubernetes import client, config

from tests.lab import Lab

OURS = "app.kubernetes.io/managed-by=crossmesh"
_MANAGERS = "crossmesh-"
# What a run writes, but for Secrets: group and plural of each kind, all of version v1.
KINDS = {
    "ServiceEntry": ("networking.istio.io", "serviceentries"),
    "Gateway": ("networking.istio.io", "gateways"),
    "DestinationRule": ("networking.istio.io", "destinationrules"),
    "VirtualService": ("networking.istio.io", "virtualservices"),
    "Sidecar": ("networking.istio.io", "sidecars"),
    "PeerAuthentication": ("security.istio.io", "peerauthentications"),
    "AuthorizationPolicy": ("security.istio.io", "authorizationpolicies"),
    "NetworkPolicy": ("networking.k8s.io", "networkpolicies"),
}


def clear(lab: Lab, clusters: Iterable[str]) -> None:
    """Bring clusters back to what they were before any run, whichever instance wrote there.

    :raises AssertionError: something of ours is still there.
    """
    left = {}
    for name in clusters:
        cluster = _Cluster(lab, name)
        cluster.delete_objects()
        cluster.take_back_ports()
        left[name] = cluster.traces()
    assert not any(left.values()), f"still there: {left}"


def versions(lab: Lab, cluster: str) -> dict[str, str]:
    """The resourceVersion of everything that a run could touch, whoever made it, by kind, namespace and name."""
    return dict(_Cluster(lab, cluster).versions())


class _Cluster:
    def __init__(self, lab: Lab, cluster: str) -> None:
        api = config.new_client_from_config(str(lab.kubeconfig), context=cluster)
        self._core, self._custom = client.CoreV1Api(api), client.CustomObjectsApi(api)

    def versions(self) -> Iterator[tuple[str, str]]:
        for kind in KINDS:
            for item in self._objects(kind):
                metadata = item["metadata"]
                yield f"{kind} {metadata['namespace']}/{metadata['name']}", metadata["resourceVersion"]
        others = {
            "Secret": self._secrets(),
            "Service": self._services(),
            "Namespace": self._core.list_namespace().items,
        }
        for kind, items in others.items():
            for metadata in (item.metadata for item in items):
                yield f"{kind} {metadata.namespace or ''}/{metadata.name}", metadata.resource_version

    def delete_objects(self) -> None:
        for kind, (group, plural) in KINDS.items():
            for item in self._objects(kind, OURS):
                name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
                self._custom.delete_namespaced_custom_object(group, "v1", namespace, plural, name)
        for secret in self._secrets(OURS):
            self._core.delete_namespaced_secret(secret.metadata.name, secret.metadata.namespace)

    def take_back_ports(self) -> None:
        """Apply Services without ports: what a manager leaves out is given up."""
        for service in self._services():
            metadata = {"name": service.metadata.name, "namespace": service.metadata.namespace}
            for manager in _our_managers(service):
                self._core.patch_namespaced_service(
                    **metadata,
                    body={"apiVersion": "v1", "kind": "Service", "metadata": metadata},
                    field_manager=manager,
                    force=True,
                    _content_type="application/apply-patch+yaml",
                )

    def traces(self) -> list[str]:
        found = [item["metadata"]["name"] for kind in KINDS for item in self._objects(kind, OURS)]
        found += [secret.metadata.name for secret in self._secrets(OURS)]
        return found + [service.metadata.name for service in self._services() if _our_managers(service)]

    def _objects(self, kind: str, selector: str = "") -> list[Mapping[str, Any]]:
        group, plural = KINDS[kind]
        answer: Any = self._custom.list_cluster_custom_object(group, "v1", plural, label_selector=selector)
        return list(answer["items"])

    def _secrets(self, selector: str = "") -> list[Any]:
        return list(self._core.list_secret_for_all_namespaces(label_selector=selector).items)

    def _services(self) -> list[Any]:
        return list(self._core.list_service_for_all_namespaces().items)


def _our_managers(service: Any) -> list[str]:
    entries = service.metadata.managed_fields or ()
    return [entry.manager for entry in entries if entry.manager.startswith(_MANAGERS)]
