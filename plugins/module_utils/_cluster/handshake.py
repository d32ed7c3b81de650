# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a TLS server which certificate it has, and whom it takes.

PRIVATE to the collection.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import memory_file
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import one_line
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates

__all__ = ["Endpoint", "Shaken", "presented", "shake"]

# Seconds for one handshake.
TIMEOUT = 3.0
# Whoever is silent then is waited for: a gateway lets what a client of TCP sends lie, its certificate too, until the
# server behind it takes a connection, and ends it after 10 s (connectTimeout of MeshConfig).
LONGER = 9.0
# What the proxies that use a link accept (Envoy): a root or an intermediate as the end of a chain, and certificates
# without all that RFC 5280 asks for. Python's own default is another one from 3.13 on (VERIFY_X509_STRICT), and would
# refuse here what carries there.
FLAGS = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
_REFUSALS = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED", "DECRYPT_ERROR")


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
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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


@dataclass(frozen=True)
class Shaken:
    """How a handshake with a server went.

    :param outcome: C(refused): it does not take our certificate, or wants one. C(accepted): it goes on, and says more.
        C(completed): its side of the handshake is over too, and it waits for a first word. C(silent): it has got ours,
        and does not refuse it. C(lost): it has not got ours. C(closed): it ended the connection after the handshake,
        and says not why. C(untrusted): we do not take its certificate. C(failed): it speaks no TLS that we understand.
        C(unreached): no connection, or none that lasts for a handshake.
    :param detail: why, in the words of the library.
    """

    outcome: Literal["refused", "accepted", "completed", "silent", "lost", "closed", "untrusted", "failed", "unreached"]
    detail: str = ""


def shake(endpoint: Endpoint, roots: str, credential: str = "", *, patient: bool = False) -> Shaken:
    """Go through a handshake, and see whether the server takes us.

    In TLS 1.3 our side is through before the server has looked at our certificate: a refusal is what is read next (RFC
    8446, section 4.4.2.4).

    :param roots: PEM of those that its certificate may come from.
    :param credential: PEM of the certificate that we present and its key; empty to present none.
    :param patient: wait for a refusal as long as a gateway may take for it.
    """
    try:
        context = _context(roots, credential)
        raw = socket.create_connection((endpoint.address, endpoint.port), timeout=TIMEOUT)
    # A name that is none, and trust that is no PEM, are no OSError.
    except (OSError, ValueError) as error:
        return Shaken("unreached", one_line(error))
    with raw:
        try:
            session = context.wrap_socket(raw, server_hostname=endpoint.fqdn)
        except OSError as error:
            return _unfinished(error)
        with session:
            return _first_word(session, (TIMEOUT, LONGER) if patient else (TIMEOUT,))


def _context(roots: str, credential: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = FLAGS
    context.load_verify_locations(cadata=roots)
    if credential:
        # OpenSSL takes no key but from a file.
        with memory_file("credential", credential) as path:
            context.load_cert_chain(path)
    return context


def _unfinished(error: OSError) -> Shaken:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Shaken("untrusted", error.verify_message)
    if _is_refusal(error):
        return Shaken("refused", one_line(error))
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return Shaken("failed", error.reason or one_line(error))
    return Shaken("unreached", one_line(error))


def _first_word(session: ssl.SSLSocket, patience: Sequence[float]) -> Shaken:
    for seconds in patience:
        session.settimeout(seconds)
        try:
            return Shaken("accepted" if session.recv(1) else "closed")
        except TimeoutError:
            if _is_over(session):
                return Shaken("completed")
            if _is_lost(session):
                return Shaken("lost", "what was sent does not arrive: packets of that size are lost (MTU)")
        except OSError as error:
            return Shaken("refused" if _is_refusal(error) else "closed", one_line(error))
    return Shaken("silent")


def _is_over(session: ssl.SSLSocket) -> bool:
    """Whether the server shows that it has looked at our certificate, or does without.

    Before TLS 1.3 its last word ends the handshake. From then on ours does, and the server sends tickets only once it
    has read that (RFC 8446, section 4.6.1); but it need not give any, and gateways of Istio were seen to give none.
    """
    return session.version() != "TLSv1.3" or bool(session.session and session.session.has_ticket)


def _is_lost(session: ssl.SSLSocket) -> bool:
    """Whether the other machine has not acknowledged all that we sent (tcp(7), SIOCOUTQ)."""
    try:
        waiting = fcntl.ioctl(session.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        # Not every operating system can tell.
        return False
    return int.from_bytes(waiting, sys.byteorder) > 0


def _is_refusal(error: OSError) -> bool:
    """Whether it is an alert about our certificate (RFC 8446, section 6.2), as OpenSSL names them."""
    reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
    return "ALERT" in reason and any(word in reason for word in _REFUSALS)
