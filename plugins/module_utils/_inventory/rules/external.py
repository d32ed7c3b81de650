# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with an external server. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import (
    Finding,
    another_port,
    check_shape,
    holds_private_key,
    is_host,
    is_port,
    not_a_port,
    show,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenExternal, GivenLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates

__all__ = ["ADDRESSES", "OF_SERVERS_IN_CLUSTERS", "check_external"]

OF_SERVERS_IN_CLUSTERS = frozenset(
    {"tls_port", "backend", "servers", "strict_backend", "allow_backend_port", "foreign_clients"}
)

# What is wrong with another value, and what to write.
ADDRESSES = {
    "address": (
        "is neither an IP address nor a DNS name",
        "write an IP address, or a DNS name whose last label is not a number",
    ),
    "sni": ("is not a DNS name", "write a DNS name whose last label is not a number"),
}


def check_external(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    external = link.get("external")
    if "external" in faulty or external is None:
        return
    for name in sorted(OF_SERVERS_IN_CLUSTERS):
        if (value := link.get(name)) not in (None, False, []):
            what, fix = "cannot be combined with external", "remove it, or remove external"
            yield Finding.of("external-only", subject, name, show(value), what, fix)
    shape = list(check_shape(subject, "external.", external, schema.EXTERNAL))
    yield from shape
    wrong = {finding.field for finding in shape}
    for name, value in (("address", external.get("address")), ("sni", external.get("sni"))):
        if value is not None and f"external.{name}" not in wrong and not is_host(value, address=name == "address"):
            what, fix = ADDRESSES[name]
            yield Finding.of("external-address", subject, f"external.{name}", show(value), what, fix)
    if "external.port" not in wrong:
        yield from _check_external_port(subject, link, external["port"], faulty)
    yield from _check_external_trust(subject, external, wrong)


def _check_external_port(subject: str, link: GivenLink, port: int, faulty: set[str]) -> Iterator[Finding]:
    if not is_port(port):
        yield not_a_port(subject, "external.port", port)
    elif "port" not in faulty and link["port"] == port:
        what = "is the same as port; a ServiceEntry needs two different ports"
        fix = f"change port, which workloads dial, e.g. to {another_port(port)}"
        yield Finding.of("same-port", subject, "external.port", show(port), what, fix)


def _check_external_trust(subject: str, external: GivenExternal, wrong: set[str]) -> Iterator[Finding]:
    directory, roots = external.get("ca"), external.get("trust")
    if (directory is None) == (roots is None):
        shown = "missing" if roots is None else "ca and trust"
        fix = "set ca: DIRECTORY to use a certificate of the custom CA, or trust: the root certificates of another CA"
        yield Finding.of("external-trust", subject, "external", shown, "needs exactly one of ca and trust", fix)
    elif directory is not None and "external.ca" not in wrong and not _is_directory(directory):
        what, fix = "is not an absolute path of a directory", "write the absolute path of a directory on the controller"
        yield Finding.of("external-trust", subject, "external.ca", show(directory), what, fix)
    elif roots is not None and "external.trust" not in wrong and (why := _fault_of_roots(roots)):
        fix = "write the root certificates of the server's CA in PEM, e.g. with lookup('ansible.builtin.file', ...)"
        yield Finding.of("external-trust", subject, "external.trust", show(roots), why, fix)


def _is_directory(path: str) -> bool:
    named = posixpath.normpath(path).strip("/")
    return path.startswith("/") and bool(named) and ".." not in path.split("/") and "\0" not in path


def _fault_of_roots(pem: str) -> str:
    if holds_private_key(pem):
        return "contains a private key; only certificates belong here"
    try:
        views = parse_certificates(pem, where="trust")
    except CrossmeshError as error:
        return error.message.what
    return "" if all(view.is_ca for view in views) else "contains a certificate that is not a CA"
