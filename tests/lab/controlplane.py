# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of one cluster and the files they read."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from . import manifests
from .description import Cluster, Description, Pod
from .pki import Pki
from .settings import Settings
from .supervision import Process

# What the lab's Envoy, an upstream one, does not have.
_NOT_IN_THIS_ENVOY = {
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_DISABLE_MX_ALPN": "true",
}
_PROXY_PORTS = (15000, 15004, 15020)
_ISTIOD_PORTS = (8080, 15010, 15012, 15014)
_CONTROLLERS = (
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)


class ControlPlane:
    def __init__(self, settings: Settings, cluster: Cluster, binaries: Path) -> None:
        self._settings = settings
        self._cluster = cluster
        self._binaries = binaries
        self._directory = settings.cluster_dir(cluster.name)
        self.pki = Pki(self._directory / "pki")

    @property
    def hosts(self) -> Path:
        """A folder that dnsmasq watches: a file written here is answered from at once."""
        return self._directory / "hosts"

    def name(self, process: str) -> str:
        return f"{self._cluster.name}.{process}"

    def write_files(self, description: Description) -> None:
        self.hosts.mkdir()
        (self._directory / "istiod").mkdir()
        (self._directory / "kubeconfig").touch(mode=0o600)
        (self._directory / "kubeconfig").write_text(yaml.safe_dump(kubeconfig([(self._cluster, self.pki)])))
        (self._directory / "dnsmasq.conf").write_text(self._dnsmasq(description))
        stages = (self._binaries / "kwok-stages.yaml").read_text()
        (self._directory / "kwok.yaml").write_text(f"{stages}\n---\n{yaml.safe_dump_all(self._kwok())}")

    def publish_services(self, addresses: dict[tuple[str, str], str]) -> None:
        lines = [f"{self._cluster.host_address} istiod.istio-system.svc istiod.istio-system.svc.cluster.local"]
        for (namespace, name), address in addresses.items():
            base = f"{name}.{namespace}"
            lines.append(f"{address} {base} {base}.svc {base}.svc.cluster.local")
        (self.hosts / "services").write_text("\n".join(lines) + "\n")

    def processes(self) -> Iterator[Process]:
        loopback, host = self._cluster.loopback, self._cluster.host_address
        yield self._process(
            "etcd",
            *(f"--data-dir={self._directory}/etcd", "--unsafe-no-fsync", "--log-level=warn"),
            *(f"--listen-client-urls=http://{loopback}:2379", f"--advertise-client-urls=http://{loopback}:2379"),
            *(f"--listen-peer-urls=http://{loopback}:2380", f"--initial-advertise-peer-urls=http://{loopback}:2380"),
            f"--initial-cluster=default=http://{loopback}:2380",
        )
        yield self._process(
            "kube-apiserver",
            *(f"--etcd-servers=http://{loopback}:2379", f"--bind-address={loopback}", f"--advertise-address={host}"),
            *(f"--service-cluster-ip-range={self._cluster.service_network}", "--authorization-mode=RBAC"),
            *(f"--client-ca-file={self.pki.ca}", f"--tls-cert-file={self.pki.certificate('apiserver')}"),
            *(f"--tls-private-key-file={self.pki.key('apiserver')}", "--disable-admission-plugins=ServiceAccount"),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-signing-key-file={self.pki.key('tokens')}",
            f"--service-account-key-file={self.pki.directory}/tokens.pub",
            f"--kubelet-client-certificate={self.pki.certificate('admin')}",
            *(f"--kubelet-client-key={self.pki.key('admin')}", "--kubelet-preferred-address-types=InternalIP"),
        )
        yield self._process(
            "kube-controller-manager",
            *(f"--kubeconfig={self._directory}/kubeconfig", f"--bind-address={loopback}", "--leader-elect=false"),
            *(f"--root-ca-file={self.pki.ca}", f"--controllers={','.join(_CONTROLLERS)}"),
            # Namespaces that tests make go at once; by default it asks twenty times a second at most.
            *("--kube-api-qps=500", "--kube-api-burst=500", "--concurrent-namespace-syncs=20"),
        )
        yield self._process(
            "kwok",
            *(f"--kubeconfig={self._directory}/kubeconfig", f"--config={self._directory}/kwok.yaml"),
            *(f"--manage-single-node={manifests.NODE}", f"--node-ip={loopback}", "--node-port=10250"),
            *(f"--server-address={loopback}:10250", f"--tls-cert-file={self.pki.certificate('kubelet')}"),
            f"--tls-private-key-file={self.pki.key('kubelet')}",
            PATH=str(self._settings.exec_bin),
        )
        yield self._istiod()
        yield self._process("dnsmasq", "--keep-in-foreground", f"--conf-file={self._directory}/dnsmasq.conf")

    def _istiod(self) -> Process:
        host = self._cluster.host_address
        return Process(
            name=self.name("istiod"),
            argv=(
                *(str(self._binaries / "pilot-discovery"), "discovery", f"--kubeconfig={self._directory}/kubeconfig"),
                *(f"--httpAddr={host}:8080", f"--grpcAddr={host}:15010"),
                *(f"--secureGRPCAddr={host}:15012", f"--httpsAddr={host}:15017", f"--monitoringAddr={host}:15014"),
                f"--ctrlz_address={self._cluster.loopback}",
            ),
            # Its own working directory: it keeps its certificates below it, and finds no MeshConfig there but that in
            # the cluster.
            directory=self._directory / "istiod",
            environment={
                "POD_NAME": manifests.ISTIOD,
                "POD_NAMESPACE": "istio-system",
                "CLUSTER_ID": self._cluster.name,
                "REVISION": self._cluster.revision,
                "PILOT_CERT_PROVIDER": "istiod",
                "ISTIOD_CUSTOM_HOST": "istiod.istio-system.svc",
                "INJECT_ENABLED": "false",
                **_NOT_IN_THIS_ENVOY,
            },
        )

    def _process(self, program: str, *arguments: str, **environment: str) -> Process:
        own = self._binaries / program
        argv = (str(own) if own.exists() else program, *arguments)
        return Process(self.name(program), argv, self._directory, environment)

    def _dnsmasq(self, description: Description) -> str:
        settings = [
            "no-resolv",
            "no-hosts",
            "bind-interfaces",
            f"listen-address={self._cluster.host_address}",
            "except-interface=lo",
        ]
        settings += ["user=root", "pid-file", f"hostsdir={self.hosts}", "local=/local/", "local=/svc/"]
        settings += [
            f"address=/{domain}/{address}" for domain, found in description.domains.items() for address in found
        ]
        # Everything else does not exist, rather than being refused.
        settings += ["address=/#/"]
        return "\n".join(settings) + "\n"

    def _kwok(self) -> Iterator[dict[str, Any]]:
        for pod in self._cluster.pods:
            entry = {"envs": [{"name": "NETNS", "value": pod.netns}]}
            yield self._kwok_object("Exec", pod.name, pod.namespace, {"execs": [{"local": entry}]})
            if pod.has_proxy:
                forwards = [{"ports": [port], "command": _into_namespace(pod, port)} for port in _PROXY_PORTS]
                yield self._kwok_object("PortForward", pod.name, pod.namespace, {"forwards": forwards})
        forwards = [
            {"ports": [port], "target": {"port": port, "address": self._cluster.host_address}} for port in _ISTIOD_PORTS
        ]
        yield self._kwok_object("PortForward", manifests.ISTIOD, "istio-system", {"forwards": forwards})

    def _kwok_object(self, kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def kubeconfig(clusters: list[tuple[Cluster, Pki]]) -> dict[str, Any]:
    """One context a cluster, named like it; the first is the current one."""
    first, _ = clusters[0]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": first.name,
        "clusters": [
            {"name": c.name, "cluster": {"server": c.api_url, "certificate-authority-data": _base64(pki.ca)}}
            for c, pki in clusters
        ],
        "users": [
            {
                "name": f"{c.name}-admin",
                "user": {
                    "client-certificate-data": _base64(pki.certificate("admin")),
                    "client-key-data": _base64(pki.key("admin")),
                },
            }
            for c, pki in clusters
        ],
        "contexts": [{"name": c.name, "context": {"cluster": c.name, "user": f"{c.name}-admin"}} for c, _ in clusters],
    }


def _into_namespace(pod: Pod, port: int) -> list[str]:
    ip, socat = (shutil.which(program) or program for program in ("ip", "socat"))
    return [ip, "netns", "exec", pod.netns, socat, "-", f"TCP:127.0.0.1:{port}"]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
