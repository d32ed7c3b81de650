# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""lab.yml as typed objects, with every name and address that follows from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import LabError

_FIRST_HOST = 10
# Clusters count from 1.
_EXTERNAL = 0


@dataclass(frozen=True)
class ServicePort:
    name: str
    port: int
    target_port: int


@dataclass(frozen=True)
class Service:
    name: str
    namespace: str
    type: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]


@dataclass(frozen=True)
class MariaDb:
    database: str
    user: str
    password: str


@dataclass(frozen=True)
class Host:
    """A network namespace: a pod of a cluster, or an external machine."""

    name: str
    address: str
    netns: str
    veth: str

    @property
    def search_domains(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Pod(Host):
    cluster: str
    namespace: str
    app: str
    labels: Mapping[str, str]
    gateway: bool
    sidecar: bool
    dns_capture: bool
    command: tuple[str, ...]
    mariadb: MariaDb | None

    @property
    def search_domains(self) -> tuple[str, ...]:
        return (f"{self.namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local")

    @property
    def has_proxy(self) -> bool:
        return self.gateway or self.sidecar

    @property
    def proxy_process(self) -> str:
        return f"{self.cluster}.{self.name}.proxy"

    @property
    def app_process(self) -> str:
        return f"{self.cluster}.{self.name}.app"


@dataclass(frozen=True)
class Segment:
    """A bridge with the hosts on it, their router's address and the name server that they ask."""

    bridge: str
    host_address: str
    nameserver: str
    hosts: tuple[Host, ...]


@dataclass(frozen=True)
class Cluster:
    """:param revision: of its istiod."""

    name: str
    revision: str
    loopback: str
    host_address: str
    pod_network: str
    service_network: str
    bridge: str
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    node_labels: Mapping[str, str]

    @property
    def api_url(self) -> str:
        return f"https://{self.loopback}:6443"

    @property
    def segment(self) -> Segment:
        return Segment(self.bridge, self.host_address, self.host_address, self.pods)

    @property
    def namespaces(self) -> list[str]:
        return sorted({"istio-system", *(pod.namespace for pod in self.pods)})

    def workloads(self) -> dict[tuple[str, str], list[Pod]]:
        """Pods by namespace and app: what one Deployment stands for."""
        found: dict[tuple[str, str], list[Pod]] = {}
        for pod in self.pods:
            found.setdefault((pod.namespace, pod.app), []).append(pod)
        return found

    def pod(self, name: str) -> Pod:
        for pod in self.pods:
            if pod.name == name:
                return pod
        raise LabError(f"{self.name} has no pod {name!r}; it has {', '.join(pod.name for pod in self.pods)}")

    def gateway_pods(self, gateway: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.gateway and pod.app == gateway]


@dataclass(frozen=True)
class Description:
    """:param external: machines that are in no cluster."""

    clusters: tuple[Cluster, ...]
    external: Segment
    domains: Mapping[str, tuple[str, ...]]

    @property
    def segments(self) -> tuple[Segment, ...]:
        return (self.external, *(cluster.segment for cluster in self.clusters))

    def cluster(self, name: str) -> Cluster:
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        raise LabError(f"no cluster {name!r}; there are {', '.join(cluster.name for cluster in self.clusters)}")

    def find_pod(self, reference: str) -> Pod:
        """A pod by its name, or by CLUSTER/NAME where the name alone is not enough."""
        if "/" in reference:
            cluster, name = reference.split("/", 1)
            return self.cluster(cluster).pod(name)
        found = [pod for pod in self.pods() if pod.name == reference]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"{pod.cluster}/{pod.name}" for pod in found or self.pods())
        raise LabError(f"pod {reference!r} is {'not unique' if found else 'unknown'}: give one of {names}")

    def pods(self) -> Iterator[Pod]:
        for cluster in self.clusters:
            yield from cluster.pods

    def machine(self, name: str) -> Host:
        for machine in self.external.hosts:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in self.external.hosts)
        raise LabError(f"no machine {name!r}; there are {known}")

    def find_host(self, reference: str) -> Host:
        """A machine by its name, or a pod."""
        if any(machine.name == reference for machine in self.external.hosts):
            return self.machine(reference)
        return self.find_pod(reference)


def load_description(path: Path, *, lab: str, offset: int) -> Description:
    try:
        raw = yaml.safe_load(path.read_text())
        clusters = tuple(_cluster(entry, number, lab, offset) for number, entry in enumerate(raw["clusters"], start=1))
        external = _external(raw.get("machines", []), clusters, lab, offset)
        description = Description(clusters, external, _domains(raw.get("dns", []), clusters, external))
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise LabError(f"{path}: not a description of a lab ({type(error).__name__}: {error})") from error
    return description


def _external(raw: list[Mapping[str, Any]], clusters: tuple[Cluster, ...], lab: str, offset: int) -> Segment:
    net = _EXTERNAL + offset
    machines = tuple(
        Host(
            name=entry["name"],
            address=f"198.18.{net}.{number}",
            netns=f"{lab}-{entry['name']}",
            veth=f"{lab}-{_EXTERNAL}-{number}",
        )
        for number, entry in enumerate(raw, start=_FIRST_HOST)
    )
    # The lab's domains are the same at every cluster's name server.
    return Segment(f"{lab}-b{_EXTERNAL}", f"198.18.{net}.1", clusters[0].host_address, machines)


def _cluster(raw: Mapping[str, Any], number: int, lab: str, offset: int) -> Cluster:
    name = raw["name"]
    net = number + offset
    if net > 254:
        raise LabError(
            f"{name}: cluster number {number} with offset {offset} has no address left; lower CROSSMESH_LAB_OFFSET"
        )
    pods: list[Pod] = []

    def add(pod: Mapping[str, Any], **rest: Any) -> None:
        host = _FIRST_HOST + len(pods)
        if any(other.name == pod["name"] for other in pods):
            raise LabError(f"{name}: two pods are called {pod['name']!r}; a pod's name is unique in its cluster")
        pods.append(
            Pod(
                name=pod["name"],
                cluster=name,
                namespace=pod["namespace"],
                address=f"198.18.{net}.{host}",
                netns=f"{lab}-{name}-{pod['name']}",
                veth=f"{lab}-{number}-{host}",
                **rest,
            )
        )

    for gateway in raw.get("gateways", []):
        for replica in range(gateway.get("replicas", 1)):
            add(
                {"name": f"{gateway['name']}-{replica}", "namespace": gateway["namespace"]},
                app=gateway["name"],
                labels=gateway["labels"],
                gateway=True,
                sidecar=False,
                dns_capture=False,
                command=(),
                mariadb=None,
            )
    for pod in raw.get("pods", []):
        add(
            pod,
            app=pod["app"],
            labels={"app": pod["app"], **pod.get("labels", {})},
            gateway=False,
            sidecar=pod["sidecar"],
            dns_capture=pod.get("dnsCapture", False),
            command=tuple(pod.get("command", ())),
            mariadb=MariaDb(**pod["mariadb"]) if "mariadb" in pod else None,
        )
    return Cluster(
        name=name,
        revision=raw.get("revision", "default"),
        loopback=f"127.0.{net}.1",
        host_address=f"198.18.{net}.1",
        pod_network=f"198.18.{net}.0/24",
        service_network=f"198.19.{net}.0/24",
        bridge=f"{lab}-b{number}",
        pods=tuple(pods),
        services=tuple(_services(raw)),
        node_labels=raw.get("node", {}),
    )


def _services(raw: Mapping[str, Any]) -> Iterator[Service]:
    for gateway in raw.get("gateways", []):
        yield _service(gateway, gateway["namespace"], gateway["labels"])
    for pod in raw.get("pods", []):
        if "service" in pod:
            yield _service(pod["service"], pod["namespace"], {"app": pod["app"]})


def _service(raw: Mapping[str, Any], namespace: str, selector: Mapping[str, str]) -> Service:
    ports = tuple(ServicePort(port["name"], port["port"], port["targetPort"]) for port in raw["ports"])
    return Service(raw["name"], namespace, raw.get("type", "ClusterIP"), selector, ports)


def _domains(
    raw: list[Mapping[str, Any]], clusters: tuple[Cluster, ...], external: Segment
) -> dict[str, tuple[str, ...]]:
    """What a domain is answered with: the addresses of all entries for it."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in raw:
        target = f"{entry['cluster']}/{entry['gateway']}" if "gateway" in entry else entry["machine"]
        hosts: list[Host] = [machine for machine in external.hosts if machine.name == entry.get("machine")]
        for cluster in clusters:
            if cluster.name == entry.get("cluster"):
                hosts += cluster.gateway_pods(entry["gateway"])
        if not hosts:
            raise LabError(f"dns: {entry['domain']} leads to {target}, which is not described")
        found[entry["domain"]] = found.get(entry["domain"], ()) + tuple(host.address for host in hosts)
    return found
