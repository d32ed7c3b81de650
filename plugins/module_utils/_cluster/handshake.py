# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a TLS server which certificate it has.

PRIVATE to the collection.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates

__all__ = ["Endpoint", "presented"]

# Seconds for one handshake.
TIMEOUT = 3.0


@dataclass(frozen=True)
class Endpoint:
    """Where a server can be asked directly, and by which name."""

    address: str
    port: int
    fqdn: str


def presented(endpoint: Endpoint) -> str | None:
    """Serial of the certificate that an endpoint presents, empty for none; trust is not asked.

    :returns: None where there is no way to it.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Before 1.3 a server asks for the client's certificate first (RFC 8446, section 4.4).
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        raw = socket.create_connection((endpoint.address, endpoint.port), timeout=TIMEOUT)
    except OSError:
        return None
    try:
        with raw, context.wrap_socket(raw, server_hostname=endpoint.fqdn) as session:
            certificate = session.getpeercert(binary_form=True)
    except OSError:
        return ""
    if not certificate:
        return ""
    pem = ssl.DER_cert_to_PEM_cert(certificate)
    return serial(parse_certificates(pem, where=endpoint.fqdn)[0].serial)
