"""Who may not use a link: clients at the ingress gateway, servers at the egress gateway."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import Leaf
from tests.integration.authorities import Issuer, client_context, custom, stranger
from tests.integration.mesh import MYSQL, Mesh
from tests.integration.waiting import eventually

LINK = "mysql.link.crossmesh.internal"
GREETING = b"MariaDB"


@pytest.fixture
def ca(standing: Mesh) -> Issuer:
    return custom(standing.store, standing.passphrase)


def answer(mesh: Mesh, context: ssl.SSLContext) -> bytes:
    """What the ingress gateway sends first; in TLS 1.3 the handshake is over before a refusal shows here."""
    address = mesh.lab.pod("cluster-b", "istio-ingressgateway-0").address
    try:
        with (
            socket.create_connection((address, MYSQL["tls_port"]), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=MYSQL["fqdn"]) as session,
        ):
            return session.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_a_client_with_a_certificate_that_names_the_link_is_served(standing: Mesh, ca: Issuer, tmp_path: Path) -> None:
    assert GREETING in answer(standing, client_context(tmp_path, ca.leaf("client", [LINK])))


REFUSED: dict[str, Callable[[Issuer], Leaf | None]] = {
    "no certificate": lambda _ca: None,
    "a certificate of another CA": lambda _ca: stranger().leaf("client", [LINK]),
    "a certificate that names another link": lambda ca: ca.leaf("client", ["other.link.crossmesh.internal"]),
    "an expired certificate": lambda ca: ca.leaf("client", [LINK], age=timedelta(days=2)),
    "a server's certificate": lambda ca: ca.leaf("server", [LINK]),
}


@pytest.mark.parametrize("presented", REFUSED)
def test_a_client_is_refused_that_presents(standing: Mesh, ca: Issuer, tmp_path: Path, presented: str) -> None:
    assert answer(standing, client_context(tmp_path, REFUSED[presented](ca))) == b""


def test_a_server_is_refused_whose_certificate_names_another_host(steady: Mesh, ca: Issuer, tmp_path: Path) -> None:
    # Another hand's certificate does no harm as long as it names the host: it is the name that decides.
    serve(steady, ca.leaf("server", [MYSQL["fqdn"]]), tmp_path)
    assert steady.carries()
    serve(steady, ca.leaf("server", ["other.server.example.com"]), tmp_path)
    assert not steady.carries()


def serve(mesh: Mesh, leaf: Leaf, folder: Path) -> None:
    """Put a certificate into the server's Secret by hand and wait until the ingress gateway has it."""
    data = {"tls.crt": leaf.certificate_pem.encode(), "tls.key": leaf.key_pem}
    patch = json.dumps({"data": {key: base64.b64encode(value).decode() for key, value in data.items()}})
    argv = ["-n", "istio-system", "patch", "secret", "mysql-credential", "--patch-file=/dev/stdin"]
    mesh.lab.kubectl("cluster-b", *argv, stdin=patch)
    certs = eventually(lambda: leaf.view.serial in mesh.lab.envoy("cluster-b", "istio-ingressgateway-0", "certs"))
    assert certs
