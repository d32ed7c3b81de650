# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster from nothing to ready proxies. Clusters come up beside each other."""

import json
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

from . import manifests, network, wait
from .controlplane import ControlPlane
from .description import Cluster, Description, Pod
from .kubeapi import KubeApi, Object
from .pki import make_pki
from .settings import Settings
from .supervision import Process, Supervisor
from .workloads import TOKEN_SECONDS, Workloads, database_socket

Say = Callable[[str], None]


class BringUp:
    def __init__(self, settings: Settings, cluster: Cluster, programs: Path, supervisor: Supervisor, say: Say) -> None:
        self.cluster = cluster
        self.plane = ControlPlane(settings, cluster, programs)
        self._settings = settings
        self._workloads = Workloads(settings, cluster, programs)
        self._programs = programs
        self._supervisor = supervisor
        self._say = say

    def prepare(self, description: Description) -> None:
        self._settings.cluster_dir(self.cluster.name).mkdir()
        make_pki(self.plane.pki.directory, self.cluster)
        self.plane.write_files(description)
        self._workloads.make_directories()
        network.make(self.cluster.segment)
        for pod in self.cluster.pods:
            if pod.sidecar:
                network.capture_traffic(pod, self._programs / "pilot-agent")

    def processes(self) -> list[Process]:
        return [*self.plane.processes(), *self._workloads.processes()]

    def run(self) -> None:
        api = self._start_api()
        self._create_objects(api)
        self._start_mesh(api)
        self._start_workloads(api)
        self._say(f"{self.cluster.name}: {len(self.cluster.pods)} pods ready")

    def _start_api(self) -> KubeApi:
        self._start("etcd", lambda: _answers(f"http://{self.cluster.loopback}:2379/health"), "is healthy")
        api = KubeApi(self.cluster, self.plane.pki)
        self._start("kube-apiserver", api.ready, "is ready")
        self._say(f"{self.cluster.name}: API server answers at {self.cluster.api_url}")
        return api

    def _create_objects(self, api: KubeApi) -> None:
        for crd in json.loads((self._programs / "crds.json").read_text()):
            api.apply(crd)
        cluster_ips = {}
        for thing in manifests.objects(self.cluster):
            applied = api.apply(thing)
            if thing["kind"] == "Service":
                cluster_ips[(thing["metadata"]["namespace"], thing["metadata"]["name"])] = applied["spec"]["clusterIP"]
        self.plane.publish_services(cluster_ips)
        for service in self.cluster.services:
            if service.type == "LoadBalancer":
                addresses = [pod.address for pod in self.cluster.gateway_pods(service.name)]
                api.set_status(manifests.service_reference(service), manifests.load_balancer_status(addresses))
        # Running with their own addresses before kwok sees them pending and gives them others.
        for pod, address in manifests.pods(self.cluster):
            api.apply(pod)
            api.set_status(pod, manifests.pod_status(pod, address, ready=False))

    def _start_mesh(self, api: KubeApi) -> None:
        host = self.cluster.host_address
        self._supervisor.start(self.plane.name("kube-controller-manager"))
        self._supervisor.start(self.plane.name("kwok"))
        self._start("dnsmasq", lambda: _connects(host, 53), "answers")
        self._start("istiod", lambda: _answers(f"http://{host}:8080/ready"), "is ready")
        self._until("kwok", lambda: _is_ready(api.get(f"/api/v1/nodes/{manifests.NODE}")), "makes the node ready")

    def _start_workloads(self, api: KubeApi) -> None:
        for pod in self.cluster.pods:
            if pod.has_proxy:
                token = api.token(pod.namespace, pod.app, "istio-ca", TOKEN_SECONDS)
                self._workloads.give_identity(pod, token=token, root=self._mesh_root(api, pod.namespace))
        for process in self._workloads.processes():
            self._supervisor.start(process.name)
        for pod in self.cluster.pods:
            self._until_ready(pod)
        for thing, address in manifests.pods(self.cluster):
            api.set_status(thing, manifests.pod_status(thing, address, ready=True))

    def _mesh_root(self, api: KubeApi, namespace: str) -> str:
        found = wait.until(
            lambda: api.get(f"/api/v1/namespaces/{namespace}/configmaps/istio-ca-root-cert"),
            what=f"{self.cluster.name}: istiod publishes the mesh's root in {namespace}",
            cure=f"see {self._settings.logs}/{self.plane.name('istiod')}.log",
            timeout=30,
        )
        return str(found["data"]["root-cert.pem"])

    def _until_ready(self, pod: Pod) -> None:
        if pod.mariadb:
            path = database_socket(self._settings, pod)
            self._supervisor.until(pod.app_process, lambda: _accepts(path), what="accepts connections")
        if pod.has_proxy:
            url = f"http://{pod.address}:15021/healthz/ready"
            self._supervisor.until(pod.proxy_process, lambda: _answers(url), what="is ready")

    def _start(self, process: str, observe: Callable[[], bool], what: str) -> None:
        self._supervisor.start(self.plane.name(process))
        self._until(process, observe, what)

    def _until(self, process: str, observe: Callable[[], bool], what: str) -> None:
        self._supervisor.until(self.plane.name(process), observe, what=what)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _is_ready(node: Object | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
