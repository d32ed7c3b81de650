# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes objects of a cluster, from its description."""

from collections.abc import Iterator
from typing import Any

import yaml

from .description import Cluster, Pod, Service
from .kubeapi import Object

NODE = "lab-node"
ISTIOD = "istiod"
_IMAGE = "lab.invalid/process"


def objects(cluster: Cluster) -> Iterator[Object]:
    """Everything but pods, in the order to apply them."""
    for namespace in cluster.namespaces:
        yield _object("v1", "Namespace", namespace)
    yield {
        **_object("v1", "Node", NODE),
        "metadata": {
            "name": NODE,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/os": "linux", **cluster.node_labels},
        },
    }
    yield _mesh_config(cluster.revision)
    for service in cluster.services:
        yield _service(service)
    for (namespace, app), pods in cluster.workloads().items():
        yield _object("v1", "ServiceAccount", app, namespace)
        yield _deployment(pods, cluster.revision)
        if pods[0].gateway:
            yield from _secret_reader(namespace, app)


def _mesh_config(revision: str) -> Object:
    """Where istiod looks for it, and everybody who wants to know how the mesh is set up."""
    name = "istio" if revision == "default" else f"istio-{revision}"
    config = {
        "trustDomain": "cluster.local",
        "enableTracing": False,
        "accessLogFile": "/dev/stdout",
        "defaultConfig": {"discoveryAddress": "istiod.istio-system.svc:15012"},
    }
    return {**_object("v1", "ConfigMap", name, "istio-system"), "data": {"mesh": yaml.safe_dump(config)}}


def pods(cluster: Cluster) -> Iterator[tuple[Object, str]]:
    """Pods with their addresses."""
    for pod in cluster.pods:
        thing = _object("v1", "Pod", pod.name, pod.namespace)
        thing["metadata"]["labels"] = _pod_labels(pod, cluster.revision)
        thing["spec"] = {**_pod_spec(pod), "nodeName": NODE}
        yield thing, pod.address
    # For `istioctl proxy-status`, which looks for istiod's pod and forwards a port to it.
    thing = _object("v1", "Pod", ISTIOD, "istio-system")
    thing["metadata"]["labels"] = {"app": "istiod", "istio": "pilot", "istio.io/rev": cluster.revision}
    thing["spec"] = {"nodeName": NODE, "containers": [{"name": "discovery", "image": _IMAGE}]}
    yield thing, cluster.host_address


def pod_status(pod: Object, address: str, *, ready: bool) -> Object:
    condition = "True" if ready else "False"
    containers = pod["spec"]["containers"]
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            {"type": kind, "status": condition} for kind in ("Initialized", "ContainersReady", "Ready", "PodScheduled")
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": 0,
                "state": {"running": {}},
            }
            for container in containers
        ],
    }


def load_balancer_status(addresses: list[str]) -> Object:
    """Nothing balances here: clients spread themselves over the pods, as over a load balancer of several zones."""
    return {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}}


def service_reference(service: Service) -> Object:
    return _object("v1", "Service", service.name, service.namespace)


def _object(api: str, kind: str, name: str, namespace: str | None = None) -> Object:
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def _service(service: Service) -> Object:
    thing = _object("v1", "Service", service.name, service.namespace)
    thing["metadata"]["labels"] = dict(service.selector)
    ports = [
        {"name": port.name, "port": port.port, "targetPort": port.target_port, "protocol": "TCP"}
        for port in service.ports
    ]
    thing["spec"] = {"type": service.type, "selector": dict(service.selector), "ports": ports}
    return thing


def _deployment(pods: list[Pod], revision: str) -> Object:
    """No controller acts on it: it is there to be compared before and after."""
    first = pods[0]
    thing = _object("apps/v1", "Deployment", first.app, first.namespace)
    thing["metadata"]["labels"] = dict(first.labels)
    thing["spec"] = {
        "replicas": len(pods),
        "selector": {"matchLabels": dict(first.labels)},
        "template": {"metadata": {"labels": _pod_labels(first, revision)}, "spec": _pod_spec(first)},
    }
    return thing


def _pod_labels(pod: Pod, revision: str) -> dict[str, str]:
    labels = {**pod.labels, "service.istio.io/canonical-name": pod.app}
    if pod.has_proxy:
        labels["istio.io/rev"] = revision
    if pod.sidecar:
        labels["security.istio.io/tlsMode"] = "istio"
    return labels


def _pod_spec(pod: Pod) -> dict[str, Any]:
    names = [] if pod.gateway else [pod.app]
    names += ["istio-proxy"] if pod.has_proxy else []
    return {"serviceAccountName": pod.app, "containers": [{"name": name, "image": _IMAGE} for name in names]}


def _secret_reader(namespace: str, account: str) -> Iterator[Object]:
    """istiod gives a gateway only the secrets that its account may read."""
    name = f"{account}-sds"
    yield {
        **_object("rbac.authorization.k8s.io/v1", "Role", name, namespace),
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}],
    }
    yield {
        **_object("rbac.authorization.k8s.io/v1", "RoleBinding", name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
