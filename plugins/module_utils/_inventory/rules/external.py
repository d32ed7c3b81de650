# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with an external server. Pure, but for the symbolic links of C(check_directories).

PRIVATE to the collection.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePath

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
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import short
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.path import EXCLUDED, NOT_PERMITTED, unissuable
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    check_anchor,
    parse_certificates,
    timestamp,
)

__all__ = [
    "ADDRESSES",
    "OF_SERVERS_IN_CLUSTERS",
    "check_directories",
    "check_ends",
    "check_external",
]

# Folders that belong to the system, with all that is in them.
_OF_THE_SYSTEM = (
    *("/bin", "/boot", "/dev", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"),
    # What lies here may be trusted by every program of the machine.
    *("/etc/ca-certificates", "/etc/pki/ca-trust", "/etc/pki/tls", "/etc/ssl"),
)
# Folders that hold others, and no files of one program.
_SHARED = frozenset(
    {
        *("/", "/etc", "/etc/pki", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp"),
        *("/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/tmp"),
    }
)

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
    if not wrong and "fqdn" not in faulty:
        yield from _check_permitted(subject, external, external.get("sni") or link["fqdn"])


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
    faults = (f"certificate {_shown(view)} {fault}" for view in views if (fault := check_anchor(view)))
    return next(faults, "")


def _shown(view: CertificateView) -> str:
    return view.subject or short(view.fingerprint)


def _check_permitted(subject: str, external: GivenExternal, name: str) -> Iterator[Finding]:
    """A server of a CA that may not issue for its name is never verified."""
    roots = _roots(external)
    refused = [unissuable(root, {"server": [name]}).get(name, "") for root in roots]
    if roots and all(why in (EXCLUDED, NOT_PERMITTED) for why in refused):
        what = f"allows no certificate for {name}: {refused[0]}"
        fix = "set sni to the name that the server's certificate has, or write the roots of the CA that issued it"
        yield Finding.of("external-trust", subject, "external.trust", _shown(roots[0]), what, fix)


def _roots(external: GivenExternal) -> tuple[CertificateView, ...]:
    """Of another CA; none where they are missing or unsound, which is told elsewhere."""
    roots = external.get("trust")
    if not isinstance(roots, str) or _fault_of_roots(roots):
        return ()
    return parse_certificates(roots, where="trust")


def check_ends(links: Sequence[GivenLink], now: datetime) -> Iterator[Finding]:
    """Links whose servers nobody can verify any more.

    :param links: sound ones.
    """
    for link in links:
        external = link.get("external")
        roots = _roots(external) if external else ()
        if roots and all(root.not_after <= now for root in roots):
            last = max(roots, key=lambda root: root.not_after)
            what = f"has ended at {timestamp(last.not_after)}, and no other root is given"
            fix = "get the present root certificates from the server's owner, and write them"
            yield Finding.of("external-trust-ended", link["name"], "external.trust", _shown(last), what, fix)


def check_directories(links: Sequence[GivenLink], store: Path) -> Iterator[Finding]:
    """Directories that are not for an external server's files, by the paths that symbolic links lead to.

    :param links: sound ones.
    :param store: the folder of the CA store.
    """
    for link in links:
        external = link.get("external")
        given = external.get("ca") if external else None
        if given and (what := _fault_of_directory(Path(given), store)):
            fix = "write a directory that is used for this server alone, e.g. /srv/crossmesh/NAME"
            yield Finding.of("external-directory", link["name"], "external.ca", show(given), what, fix)


def _fault_of_directory(given: Path, store: Path) -> str:
    try:
        real, kept, home = given.resolve(), store.resolve(), _home()
    except (OSError, RuntimeError):
        return "cannot be resolved: its symbolic links lead in a circle"
    leads = "is" if real == PurePath(posixpath.normpath(given)) else f"leads to {real}, which is"
    if real == kept or kept in real.parents:
        return f"{leads} the CA store, or inside it"
    if str(real) in _SHARED or real == home:
        return f"{leads} a folder that others share"
    if real in kept.parents:
        return f"{leads} a folder that the CA store is in"
    system = (folder for folder in map(PurePath, _OF_THE_SYSTEM) if real == folder or folder in real.parents)
    return f"{leads} a folder of the operating system" if next(system, None) else ""


def _home() -> Path | None:
    """None for a user who has none, as in a container with a number for a user."""
    try:
        return Path.home().resolve()
    except RuntimeError:
        return None
