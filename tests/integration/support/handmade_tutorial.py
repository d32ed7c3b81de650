# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MySQL link as the tutorial has it made by hand: openssl, kubectl create, apply and patch. Nothing of ours."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.lab import Lab

NAMESPACE = "istio-system"
FQDN = "mysql.server.example.com"
EGRESS_HOST = f"istio-egressgateway.{NAMESPACE}.svc.cluster.local"
CLIENT, SERVER = "cluster-a", "cluster-b"
SECRETS = {CLIENT: "client-credential", SERVER: "mysql-credential"}
SERVICES = {CLIENT: ("istio-egressgateway", 15443), SERVER: ("istio-ingressgateway", 13306)}


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _route(host: str, port: int, **more: Any) -> list[dict[str, Any]]:
    return [{"destination": {"host": host, **more, "port": {"number": port}}, "weight": 100}]


def _port_rule(port: int, tls: dict[str, Any]) -> dict[str, Any]:
    return {
        "loadBalancer": {"simple": "ROUND_ROBIN"},
        "portLevelSettings": [{"port": {"number": port}, "tls": {**tls, "sni": FQDN}}],
    }


OBJECTS: dict[str, list[dict[str, Any]]] = {
    SERVER: [
        _object(
            "Gateway",
            "gateway-mysql",
            {
                "selector": {"istio": "ingressgateway"},
                "servers": [
                    {
                        "port": {"number": 13306, "name": "tls-mysql", "protocol": "TLS"},
                        "tls": {"mode": "MUTUAL", "credentialName": SECRETS[SERVER]},
                        "hosts": [FQDN],
                    }
                ],
            },
        ),
        _object(
            "VirtualService",
            "mysql-virtual-service",
            {
                "hosts": [FQDN],
                "gateways": ["gateway-mysql"],
                "tcp": [
                    {"route": [{"destination": {"host": "mysql.default.svc.cluster.local", "port": {"number": 3306}}}]}
                ],
            },
        ),
    ],
    CLIENT: [
        _object(
            "ServiceEntry",
            "mysql-external",
            {
                "hosts": [FQDN],
                "location": "MESH_EXTERNAL",
                "resolution": "DNS",
                "ports": [
                    {"number": 3306, "name": "tcp", "protocol": "TCP"},
                    {"number": 13306, "name": "tls", "protocol": "TLS"},
                ],
                "endpoints": [{"address": FQDN, "ports": {"tls": 13306}}],
            },
        ),
        _object(
            "Gateway",
            "egressgateway-mysql",
            {
                "selector": {"istio": "egressgateway"},
                "servers": [
                    {
                        "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
                        "tls": {"mode": "ISTIO_MUTUAL"},
                        "hosts": [FQDN],
                    }
                ],
            },
        ),
        _object(
            "DestinationRule",
            "egressgateway-for-mysql",
            {
                "host": EGRESS_HOST,
                "subsets": [{"name": "mysql", "trafficPolicy": _port_rule(15443, {"mode": "ISTIO_MUTUAL"})}],
            },
        ),
        _object(
            "DestinationRule",
            "originate-mtls-for-mysql",
            {
                "host": FQDN,
                "trafficPolicy": _port_rule(13306, {"mode": "MUTUAL", "credentialName": SECRETS[CLIENT]}),
            },
        ),
        _object(
            "VirtualService",
            "direct-mysql-through-egress-gateway",
            {
                "hosts": [FQDN],
                "gateways": ["egressgateway-mysql", "mesh"],
                "tcp": [
                    {
                        "match": [{"gateways": ["mesh"], "port": 3306}],
                        "route": _route(EGRESS_HOST, 15443, subset="mysql"),
                    },
                    {
                        "match": [{"gateways": ["egressgateway-mysql"], "port": 15443}],
                        "route": _route(FQDN, 13306),
                    },
                ],
            },
        ),
    ],
}


class Tutorial:
    """The tutorial's link on the lab's two clusters."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder

    def make(self) -> None:
        folder = self._folder
        folder.mkdir()
        _openssl(
            folder, "req", "-x509", "-nodes", *_key("root"), "-days", "7300", "-subj", f"/CN={FQDN}", "-out", "root.crt"
        )
        for cluster, usage in ((SERVER, "serverAuth"), (CLIENT, "clientAuth")):
            self._make_leaf(cluster, usage)
            name = SECRETS[cluster]
            files = [f"--from-file={key}={folder / file}" for key, file in _files(cluster).items()]
            self._lab.kubectl(cluster, "-n", NAMESPACE, "create", "secret", "generic", name, *files)
            self._open_port(cluster)
            self._lab.kubectl(cluster, "apply", "-f", "-", stdin=yaml.safe_dump_all(OBJECTS[cluster]))

    def remove(self) -> None:
        """Whatever became of it; what the tutorial leaves behind in its own clean-up, too."""
        for cluster, (service, port) in SERVICES.items():
            wanted = yaml.safe_dump_all(OBJECTS[cluster])
            self._lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=wanted)
            self._lab.kubectl(cluster, "-n", NAMESPACE, "delete", "secret", "--ignore-not-found", SECRETS[cluster])
            ports = self.service(cluster)["spec"]["ports"]
            for index in reversed([index for index, found in enumerate(ports) if found["port"] == port]):
                self._patch(cluster, service, [{"op": "remove", "path": f"/spec/ports/{index}"}])

    def service(self, cluster: str) -> dict[str, Any]:
        name = SERVICES[cluster][0]
        found = self._lab.kubectl(cluster, "-n", NAMESPACE, "get", "service", name, "-o", "json").stdout
        service: dict[str, Any] = json.loads(found)
        return service

    def _make_leaf(self, cluster: str, usage: str) -> None:
        """No SAN and the same subject on both sides, as in the tutorial."""
        folder = self._folder
        (folder / "extensions").write_text(f"extendedKeyUsage={usage}\n", encoding="ascii")
        _openssl(folder, "req", "-nodes", *_key(cluster), "-subj", f"/CN={FQDN}", "-out", f"{cluster}.csr")
        signing = ["-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "extensions"]
        _openssl(folder, "x509", "-req", "-in", f"{cluster}.csr", *signing, "-days", "375", "-out", f"{cluster}.crt")

    def _open_port(self, cluster: str) -> None:
        service, port = SERVICES[cluster]
        value = {"name": "tls-mysql", "port": port, "protocol": "TCP", "targetPort": port}
        self._patch(cluster, service, [{"op": "add", "path": "/spec/ports/0", "value": value}])

    def _patch(self, cluster: str, service: str, patch: list[dict[str, Any]]) -> None:
        self._lab.kubectl(
            cluster, "-n", NAMESPACE, "patch", "service", service, "--type=json", f"-p={json.dumps(patch)}"
        )


def _files(cluster: str) -> dict[str, str]:
    return {"tls.key": f"{cluster}.key", "tls.crt": f"{cluster}.crt", "ca.crt": "root.crt"}


def _key(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-keyout", f"{name}.key"]


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
