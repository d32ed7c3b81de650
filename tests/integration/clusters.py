"""Looks at what runs write in clusters, and takes it away: quicker than a playbook, or kubectl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from kubernetes import client, config

from tests.lab import Lab

OURS = "app.kubernetes.io/managed-by=crossmesh"
_MANAGERS = "crossmesh-"
# Group, version and plural of what a run writes, but for Secrets.
_KINDS = (
    ("networking.istio.io", "v1", "serviceentries"),
    ("networking.istio.io", "v1", "gateways"),
    ("networking.istio.io", "v1", "destinationrules"),
    ("networking.istio.io", "v1", "virtualservices"),
    ("networking.istio.io", "v1", "sidecars"),
    ("security.istio.io", "v1", "peerauthentications"),
    ("security.istio.io", "v1", "authorizationpolicies"),
    ("networking.k8s.io", "v1", "networkpolicies"),
)


def clear(lab: Lab, clusters: Sequence[str]) -> None:
    """Bring clusters back to what they were before any run, whichever instance wrote there.

    :raises AssertionError: something of ours is still there.
    """
    with ThreadPoolExecutor(len(clusters)) as pool:
        left = [item for found in pool.map(partial(_cleared, lab), clusters) for item in found]
    assert not left, f"still there: {left}"


def versions(lab: Lab, clusters: Sequence[str]) -> dict[str, str]:
    """The resourceVersion of everything that a run could touch, whoever made it."""
    with ThreadPoolExecutor(len(clusters)) as pool:
        found = pool.map(lambda cluster: list(_Cluster(lab, cluster).versions()), clusters)
        return {
            f"{cluster}/{title}": version
            for cluster, items in zip(clusters, found, strict=True)
            for title, version in items
        }


def _cleared(lab: Lab, cluster: str) -> list[str]:
    """Return what is left."""
    found = _Cluster(lab, cluster)
    found.delete_objects()
    found.take_back_ports()
    return found.traces()


class _Cluster:
    def __init__(self, lab: Lab, cluster: str) -> None:
        api = config.new_client_from_config(str(lab.kubeconfig), context=cluster)
        self._name, self._core, self._custom = cluster, client.CoreV1Api(api), client.CustomObjectsApi(api)

    def versions(self) -> Iterator[tuple[str, str]]:
        for kind in _KINDS:
            for item in self._objects(kind):
                metadata = item["metadata"]
                yield f"{kind[2]}/{metadata['namespace']}/{metadata['name']}", metadata["resourceVersion"]
        for item in (*self._secrets(), *self._services()):
            metadata = item.metadata
            yield f"{type(item).__name__}/{metadata.namespace}/{metadata.name}", metadata.resource_version

    def delete_objects(self) -> None:
        for kind in _KINDS:
            group, version, plural = kind
            for item in self._objects(kind, OURS):
                name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
                self._custom.delete_namespaced_custom_object(group, version, namespace, plural, name)
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
        found = [item["metadata"]["name"] for kind in _KINDS for item in self._objects(kind, OURS)]
        found += [secret.metadata.name for secret in self._secrets(OURS)]
        found += [service.metadata.name for service in self._services() if _our_managers(service)]
        return [f"{self._name}/{name}" for name in found]

    def _objects(self, kind: tuple[str, str, str], selector: str = "") -> list[Mapping[str, Any]]:
        answer: Any = self._custom.list_cluster_custom_object(*kind, label_selector=selector)
        return list(answer["items"])

    def _secrets(self, selector: str = "") -> list[Any]:
        return list(self._core.list_secret_for_all_namespaces(label_selector=selector).items)

    def _services(self) -> list[Any]:
        return list(self._core.list_service_for_all_namespaces().items)


def _our_managers(service: Any) -> list[str]:
    entries = service.metadata.managed_fields or ()
    return [entry.manager for entry in entries if entry.manager.startswith(_MANAGERS)]
