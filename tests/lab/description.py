"""lab.yml as typed objects, with every name and address that follows from it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import LabError

_FIRST_POD = 10


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
class Pod:
    name: str
    cluster: str
    namespace: str
    app: str
    labels: Mapping[str, str]
    address: str
    netns: str
    veth: str
    gateway: bool
    sidecar: bool
    command: tuple[str, ...]
    mariadb: MariaDb | None

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
class Cluster:
    name: str
    loopback: str
    host_address: str
    pod_network: str
    service_network: str
    bridge: str
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]

    @property
    def api_url(self) -> str:
        return f"https://{self.loopback}:6443"

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
    clusters: tuple[Cluster, ...]
    domains: Mapping[str, str]

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


def load_description(path: Path, *, lab: str, offset: int) -> Description:
    try:
        raw = yaml.safe_load(path.read_text())
        clusters = tuple(_cluster(entry, number, lab, offset) for number, entry in enumerate(raw["clusters"], start=1))
        domains = {entry["domain"]: _gateway_address(clusters, entry) for entry in raw.get("dns", [])}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise LabError(f"{path}: not a description of a lab ({type(error).__name__}: {error})") from error
    return Description(clusters=clusters, domains=domains)


def _cluster(raw: Mapping[str, Any], number: int, lab: str, offset: int) -> Cluster:
    name = raw["name"]
    net = number + offset
    if net > 254:
        raise LabError(
            f"{name}: cluster number {number} with offset {offset} has no address left; lower CROSSMESH_LAB_OFFSET"
        )
    pods: list[Pod] = []

    def add(pod: Mapping[str, Any], **rest: Any) -> None:
        host = _FIRST_POD + len(pods)
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
            command=tuple(pod.get("command", ())),
            mariadb=MariaDb(**pod["mariadb"]) if "mariadb" in pod else None,
        )
    return Cluster(
        name=name,
        loopback=f"127.0.{net}.1",
        host_address=f"198.18.{net}.1",
        pod_network=f"198.18.{net}.0/24",
        service_network=f"198.19.{net}.0/24",
        bridge=f"{lab}-b{number}",
        pods=tuple(pods),
        services=tuple(_services(raw)),
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


def _gateway_address(clusters: tuple[Cluster, ...], entry: Mapping[str, Any]) -> str:
    for cluster in clusters:
        if cluster.name == entry["cluster"]:
            for pod in cluster.gateway_pods(entry["gateway"]):
                return pod.address
    raise LabError(f"dns: {entry['domain']} leads to {entry['cluster']}/{entry['gateway']}, which is not described")
