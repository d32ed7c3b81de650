# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS with the ingress gateway itself, without an egress gateway before it."""

from __future__ import annotations

import os
import socket
import ssl

from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf
from tests.integration.support.lab_mesh import MYSQL, Mesh

GREETING = b"MariaDB"


def gateway_answer(mesh: Mesh, context: ssl.SSLContext, fqdn: str = MYSQL["fqdn"]) -> bytes:
    """What the ingress gateway sends first; in TLS 1.3 the handshake is over before a refusal shows here."""
    address = mesh.lab.pod("cluster-b", "istio-ingressgateway-0").address
    try:
        with (
            socket.create_connection((address, MYSQL["tls_port"]), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=fqdn) as session,
        ):
            return session.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return b""


def client_context(leaf: Leaf | None) -> ssl.SSLContext:
    """A client that presents the certificate and trusts anything: the test is about what the server says."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if leaf:
        # OpenSSL takes no key but from a file; this one is in memory only.
        with open(os.memfd_create("leaf"), "w", encoding="ascii") as file:
            file.write(leaf.certificate_pem + leaf.key_pem.decode())
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context
