# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a cluster from taking an object, or makes something else of it, for the length of a block."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

Json = dict[str, Any]
SYSTEM = "istio-system"
ADMISSION = "admissionregistration.k8s.io/v1"
OF_OURS = {"matchLabels": {"app.kubernetes.io/managed-by": "crossmesh"}}
POLICY, QUOTA, WEBHOOK = "no-links.example.com", "few-secrets", "adds.example.com"
GATEWAYS = {
    "apiGroups": ["networking.istio.io"],
    "apiVersions": ["*"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["gateways"],
}


@contextmanager
def present(mesh: Mesh, cluster: str, *items: Json) -> Iterator[None]:
    """These objects are there."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    mesh.lab.kubectl(cluster, "apply", "--server-side", "-f", "-", stdin=text)
    try:
        yield
    finally:
        mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=text)


@contextmanager
def refusing_policy(mesh: Mesh, cluster: str) -> Iterator[None]:
    """A ValidatingAdmissionPolicy that lets no Gateway of ours in, and has much to say."""
    policy = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [GATEWAYS], "objectSelector": OF_OURS},
            "validations": [{"expression": "false", "message": "the words of the policy"}],
        },
    }
    binding = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": POLICY},
        "spec": {"policyName": POLICY, "validationActions": ["Deny"]},
    }
    with present(mesh, cluster, policy, binding):
        eventually(lambda: not _lets_in(mesh, cluster))
        yield
    eventually(lambda: _lets_in(mesh, cluster))


@contextmanager
def refused_when_written(mesh: Mesh, cluster: str) -> Iterator[None]:
    """A ValidatingAdmissionPolicy that lets Secrets of ours pass as long as they are only tried."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}
    validation = {
        "expression": "has(request.dryRun) && request.dryRun",
        "message": "the words of the policy",
        "reason": "Forbidden",
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule], "objectSelector": OF_OURS},
        "validations": [validation],
    }
    name = {"name": POLICY}
    policy = {"apiVersion": ADMISSION, "kind": "ValidatingAdmissionPolicy", "metadata": name, "spec": spec}
    binding = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": name,
        "spec": {"policyName": POLICY, "validationActions": ["Deny"]},
    }
    with present(mesh, cluster, policy, binding):
        eventually(lambda: not _takes_a_secret(mesh, cluster))
        yield
    eventually(lambda: _takes_a_secret(mesh, cluster))


def _takes_a_secret(mesh: Mesh, cluster: str) -> bool:
    labels = {"app.kubernetes.io/managed-by": "crossmesh"}
    metadata = {"name": "probe", "namespace": SYSTEM, "labels": labels}
    probe = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    taken = mesh.lab.kubectl(cluster, "create", "-f", "-", stdin=probe, check=False).returncode == 0
    mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=probe)
    return taken


def _lets_in(mesh: Mesh, cluster: str) -> bool:
    """Whether a Gateway with our label would be accepted; policies come into force a moment after they are written."""
    labels = {"app.kubernetes.io/managed-by": "crossmesh"}
    probe = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "probe", "namespace": SYSTEM, "labels": labels},
        "spec": {"selector": {"a": "b"}, "servers": []},
    }
    arguments = ("create", "--dry-run=server", "-f", "-")
    return mesh.lab.kubectl(cluster, *arguments, stdin=json.dumps(probe), check=False).returncode == 0


@contextmanager
def quota_of_secrets(mesh: Mesh, cluster: str, *, room: int) -> Iterator[None]:
    """A ResourceQuota with room for so many more Secrets. Its status is ours to write: nobody counts in the lab."""
    there = len(mesh.get(cluster, "secrets", "-n", SYSTEM)["items"])
    hard = {"count/secrets": str(there + room)}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA, "namespace": SYSTEM},
        "spec": {"hard": hard},
    }
    with present(mesh, cluster, quota):
        status = json.dumps({"status": {"hard": hard, "used": {"count/secrets": str(there)}}})
        target = ("resourcequota", QUOTA, "-n", SYSTEM)
        mesh.lab.kubectl(cluster, "patch", *target, "--subresource=status", "--type=merge", "-p", status)
        yield


@contextmanager
def mutating_webhook(mesh: Mesh, cluster: str, folder: Path, patch: Sequence[Json]) -> Iterator[None]:
    """A webhook that does this to every Gateway of ours.

    :param patch: JSON patch (RFC 6902).
    """
    with _answering(folder, patch) as (url, authority):
        webhook = {
            "name": WEBHOOK,
            "clientConfig": {"url": url, "caBundle": base64.b64encode(authority).decode()},
            "rules": [GATEWAYS],
            "objectSelector": OF_OURS,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
        }
        configuration = {
            "apiVersion": ADMISSION,
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": WEBHOOK},
            "webhooks": [webhook],
        }
        with present(mesh, cluster, configuration):
            yield
    # The API server asks it for a moment longer, and would refuse what it cannot ask about.
    eventually(lambda: _lets_in(mesh, cluster))


@contextmanager
def _answering(folder: Path, patch: Sequence[Json]) -> Iterator[tuple[str, bytes]]:
    encoded = base64.b64encode(json.dumps(list(patch)).encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
            response = {"uid": asked["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
            answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            content = json.dumps(answer).encode()
            self.send_response_only(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing of a test belongs on its terminal."""

    certificate = _certificate(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            pem = certificate.read_bytes()
            yield f"https://127.0.0.1:{server.server_port}/", pem[pem.index(b"-----BEGIN CERTIFICATE") :]
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path) -> Path:
    """A key and its own certificate, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "webhook")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "webhook.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
