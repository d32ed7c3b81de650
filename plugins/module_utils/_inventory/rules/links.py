# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with links, each alone and all together, without a look at clusters. Pure.

PRIVATE to the collection. Every check is a small generator of findings; C(CHECKS_*) at the end are the catalogue.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import cast

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import (
    LABEL,
    LONGEST_NAME,
    Finding,
    another_port,
    check_port,
    check_shape,
    holds_private_key,
    is_dns_name,
    is_host,
    is_ip,
    is_label,
    is_port,
    nearest,
    not_a_port,
    show,
    wrong_type,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import GivenLink, GivenRetries
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import ISTIOS_VIPS
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.external import (
    ADDRESSES,
    OF_SERVERS_IN_CLUSTERS,
    check_external,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.probes import check_probe

__all__ = ["check_links", "sound_links", "sound_links_with", "subject_of"]

MAX_LINK_NAME = 40
NOT_ASKED_OF_EXTERNAL = frozenset(("missing", field.name) for field in schema.LINK if field.instead == "external")
# Longer than a certificate lives, it would bound nothing.
MAX_CONNECTION_HOURS = 8760
# A ServiceAccount's name is a DNS subdomain, whose labels may be as long as the whole.
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smh])", re.ASCII)
_UNITS_AN_HOUR = {"s": 3600, "m": 60, "h": 1}
_REQUEST_DURATION = re.compile(r"([1-9][0-9]{0,7})(ms|s|m|h)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
# A day: a request that takes longer is none.
MAX_REQUEST = 24 * _MILLISECONDS["h"]
MAX_ATTEMPTS = 10
# RFC 3986, section 3, without what a certificate cannot hold.
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:/@!$&'()+,;=%-]+", re.ASCII)
# As Istio's own validation has them (Envoy, x-envoy-retry-on and x-envoy-retry-grpc-on), beside codes that have a name.
RETRY_POLICIES = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)
_STATUS_CODES = frozenset(str(status.value) for status in HTTPStatus)
_LOCALITY = re.compile(r"[^/\s]+(/[^/\s]+){0,2}")


def check_links(links: object) -> list[Finding]:
    """Findings on C(mesh_links) that need no knowledge of clusters."""
    if links is None:
        return [
            Finding.of(
                "links-undefined",
                "mesh_links",
                "mesh_links",
                "undefined",
                "the variable is required, so that a wrong inventory does not remove every link",
                "define mesh_links in group_vars/all, or check the path that -i names; [] removes every link and needs "
                "mesh_prune_all=true",
            )
        ]
    if not isinstance(links, list):
        return [wrong_type("mesh_links", "mesh_links", links, "list")]
    findings = [finding for index, link in enumerate(links) for finding in _check_link(index, link)]
    mappings = {index: link for index, link in enumerate(links) if isinstance(link, Mapping)}
    for check in CHECKS_OF_ALL_LINKS:
        findings += check(mappings)
    return findings


def sound_links(links: object) -> list[GivenLink]:
    """The links with which, each alone, nothing is wrong: what they mean together can be looked at."""
    given = links if isinstance(links, list) else []
    return [link for index, link in enumerate(given) if not any(_check_link(index, link))]


def sound_links_with(links: object, *keys: str) -> list[GivenLink]:
    """Those of them that have one of these keys; the others, nearly all as a rule, are not judged."""
    given = links if isinstance(links, list) else []
    return sound_links([link for link in given if isinstance(link, Mapping) and any(link.get(key) for key in keys)])


def _check_link(index: int, given: object) -> Iterator[Finding]:
    if not isinstance(given, Mapping):
        yield wrong_type(f"mesh_links[{index}]", "link", given, "dict")
        return
    shape = list(check_shape(subject_of(given, index), "", given, schema.LINK))
    faulty = {finding.field for finding in shape}
    if isinstance(given.get("external"), Mapping):
        shape = [finding for finding in shape if (finding.code, finding.field) not in NOT_ASKED_OF_EXTERNAL]
        # What only servers in clusters have is told of as a whole, not looked at further.
        faulty |= OF_SERVERS_IN_CLUSTERS
    yield from shape
    # Each check leaves out what is faulty.
    link = cast(GivenLink, given)
    for check in CHECKS_OF_A_LINK:
        yield from check(subject_of(link, index), link, faulty)


def subject_of(link: Mapping[str, object], index: int) -> str:
    name = link.get("name")
    return name if isinstance(name, str) and name and not holds_private_key(name) else f"mesh_links[{index}]"


def _check_name(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "name" in faulty:
        return
    name = link["name"]
    if not LABEL.fullmatch(name) or len(name) > MAX_LINK_NAME:
        yield Finding.of(
            "link-name",
            subject,
            "name",
            show(name),
            f"is not a DNS label of at most {MAX_LINK_NAME} characters",
            "use lower-case letters, digits and hyphens; begin and end with a letter or digit",
        )
    elif names.is_reserved(name):
        fix = f"choose another name, e.g. {name}-link"
        yield Finding.of("reserved-name", subject, "name", show(name), "is reserved for client credentials", fix)


def _check_fqdn(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "fqdn" in faulty:
        return
    fqdn = link["fqdn"]
    what, fix = _fault_of_fqdn(fqdn)
    if what:
        yield Finding.of("fqdn", subject, "fqdn", show(fqdn), what, fix)


def _fault_of_fqdn(fqdn: str) -> tuple[str, str]:
    plain = fqdn.lower().rstrip(".")
    labels = plain.split(".")
    if "*" in fqdn:
        return "is a wildcard; a link has exactly one name", "write the name that workloads dial"
    if is_ip(fqdn):
        return "is an IP address, which cannot be an SNI (RFC 6066, section 3)", "write a DNS name that resolves to it"
    if labels[-1].isdigit():
        return "ends in an all-numeric label, which Istio refuses", "write a DNS name whose last label is not a number"
    if not is_host(plain, address=False):
        return "is not a DNS name (RFC 1035, section 2.3.1)", "write labels of letters, digits and hyphens, with dots"
    if fqdn != fqdn.lower():
        return "is not in lower case; SNI is compared as it is written", f"write {plain}"
    if fqdn.endswith("."):
        return "ends in a dot; names in SNI and certificates do not", f"write {plain}"
    if len(labels) == 1:
        return "is a single label, not a fully qualified name", "write all labels, e.g. mysql.server.example.com"
    if f".{fqdn}".endswith(".cluster.local"):
        return "is a Service name that exists inside a cluster only", "write a name outside of cluster.local"
    return "", ""


def _check_ports(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "port" not in faulty and not is_port(link["port"]):
        yield not_a_port(subject, "port", link["port"])
    if "tls_port" not in faulty:
        yield from check_port(subject, "tls_port", link["tls_port"])
    if faulty.isdisjoint({"port", "tls_port"}) and link["port"] == link["tls_port"]:
        yield Finding.of(
            "same-port",
            subject,
            "tls_port",
            show(link["tls_port"]),
            "is the same as port; a ServiceEntry needs two different ports",
            f"write another tls_port, e.g. {another_port(link['port'])}",
        )


def _check_backend(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "backend" in faulty:
        return
    backend = link["backend"]
    shape = list(check_shape(subject, "backend.", backend, schema.BACKEND))
    yield from shape
    wrong = {finding.field for finding in shape}
    if "backend.port" not in wrong:
        if not is_port(backend["port"]):
            yield not_a_port(subject, "backend.port", backend["port"])
        elif "tls_port" not in faulty and link["tls_port"] == backend["port"] and not link.get("allow_backend_port"):
            yield Finding.of(
                "backend-port-exposed",
                subject,
                "tls_port",
                show(link["tls_port"]),
                "is the backend's own port, which would be exposed outside the cluster",
                f"write another tls_port, e.g. {another_port(backend['port'])}, or set allow_backend_port: true",
            )
    if "backend.host" not in wrong and not _is_service_host(backend["host"]):
        yield Finding.of(
            "backend-host",
            subject,
            "backend.host",
            show(backend["host"]),
            "is not the full DNS name of a Service",
            "write SERVICE.NAMESPACE.svc.cluster.local",
        )


def _is_service_host(host: str) -> bool:
    labels = host.split(".")
    return len(labels) == 5 and labels[2:] == ["svc", "cluster", "local"] and all(map(LABEL.fullmatch, labels[:2]))


def _check_addresses(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "addresses" in faulty:
        return
    seen: set[str] = set()
    for address in link.get("addresses") or []:
        if not isinstance(address, str) or not is_ip(address):
            what, fix = "is not an IP address", "write IP addresses, e.g. 240.0.0.10"
        elif what := _fault_of_address(address):
            fix = "use an address that is not routed, e.g. 240.0.0.10, or the ingress gateway's"
        elif str(ipaddress.ip_address(address)) in seen:
            what, fix = "is listed twice", "remove one of them"
        else:
            seen.add(str(ipaddress.ip_address(address)))
            continue
        yield Finding.of("address", subject, "addresses", show(address), what, fix)


def _fault_of_address(text: str) -> str:
    """Why no workload can dial a link at this address."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast:
        return "is not the address of a host"
    if address.is_loopback or address.is_link_local:
        return "is a loopback or link-local address, which other hosts cannot reach"
    return next((f"is in {theirs}, which Istio reserves" for theirs in ISTIOS_VIPS if address in theirs), "")


def _check_max_connection_duration(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    name, value = "max_connection_duration", link.get("max_connection_duration")
    if name in faulty or value is None:
        return
    found = _DURATION.fullmatch(value)
    if found is None or int(found[1]) > MAX_CONNECTION_HOURS * _UNITS_AN_HOUR[found[2]]:
        what = f"is not a duration from 1s to {MAX_CONNECTION_HOURS}h"
        fix = "write a whole number of s, m or h, e.g. 1h"
        yield Finding.of("duration", subject, name, show(value), what, fix)


def _check_workloads(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    workloads = link.get("workloads")
    if "workloads" in faulty or workloads is None:
        return
    shape = list(check_shape(subject, "workloads.", workloads, schema.WORKLOADS))
    yield from shape
    named = 0
    for name, given, parts, form in (
        ("namespaces", workloads.get("namespaces"), 1, "NAMESPACE"),
        ("service_accounts", workloads.get("service_accounts"), 2, "NAMESPACE/NAME"),
    ):
        values = given or []
        if f"workloads.{name}" in {finding.field for finding in shape}:
            return
        named += len(values)
        for value in values:
            namespace, *account = value.split("/") if isinstance(value, str) else [""]
            if len(account) != parts - 1 or not is_label(namespace) or not all(map(_is_account, account)):
                fix = f"write {form} as in Kubernetes; a namespace is a DNS label"
                yield Finding.of(
                    "workloads", subject, f"workloads.{name}", show(value), f"is not of the form {form}", fix
                )
    if not named and not shape:
        fix = "add namespaces or service_accounts, or remove workloads to let every workload use the link"
        yield Finding.of("workloads", subject, "workloads", show(workloads), "allows no workload at all", fix)


def _is_account(name: str) -> bool:
    return len(name) <= LONGEST_NAME and bool(_ACCOUNT.fullmatch(name))


def _check_requests(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    """What is said of single requests."""
    timeout = None if "timeout" in faulty else link.get("timeout")
    retries = None if "retries" in faulty else link.get("retries")
    if "protocol" not in faulty and (link.get("protocol") or "tcp") == "tcp":
        for name, value in (("timeout", timeout), ("retries", retries)):
            if value is not None:
                fix = "remove it, or set protocol to http, http2 or grpc"
                yield Finding.of("requests-only", subject, name, show(value), "has no effect on a tcp link", fix)
        return
    if timeout is not None:
        yield from _check_request_duration(subject, "timeout", timeout)
    if retries is not None:
        shape = list(check_shape(subject, "retries.", retries, schema.RETRIES))
        yield from shape
        yield from _check_retries(subject, retries, {finding.field for finding in shape})


def _check_retries(subject: str, retries: GivenRetries, faulty: set[str]) -> Iterator[Finding]:
    if "retries.attempts" not in faulty and not 0 <= retries["attempts"] <= MAX_ATTEMPTS:
        what, fix = f"is not between 0 and {MAX_ATTEMPTS}", "choose a number in this range; 2 is usual"
        yield Finding.of("retries", subject, "retries.attempts", show(retries["attempts"]), what, fix)
    timeout, policies = retries.get("per_try_timeout"), retries.get("retry_on")
    if "retries.per_try_timeout" not in faulty and timeout is not None:
        yield from _check_request_duration(subject, "retries.per_try_timeout", timeout)
    if "retries.retry_on" not in faulty and policies is not None:
        yield from _check_retry_on(subject, policies)


def _check_retry_on(subject: str, policies: str) -> Iterator[Finding]:
    for policy in policies.split(","):
        if policy not in RETRY_POLICIES and policy not in _STATUS_CODES:
            known = f"HTTP status codes or any of {', '.join(RETRY_POLICIES)}"
            fix = nearest(policy, RETRY_POLICIES, f"write {known}, separated by commas without spaces")
            what = "is neither an Envoy retry policy nor an HTTP status code"
            yield Finding.of("retries", subject, "retries.retry_on", show(policy), what, fix)


def _check_request_duration(subject: str, path: str, value: str) -> Iterator[Finding]:
    found = _REQUEST_DURATION.fullmatch(value)
    if found is None or int(found[1]) * _MILLISECONDS[found[2]] > MAX_REQUEST:
        fix = "write a whole number of ms, s, m or h, e.g. 15s"
        yield Finding.of("duration", subject, path, show(value), "is not a duration from 1ms to 24h", fix)


def _check_foreign_clients(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "foreign_clients" in faulty:
        return
    for identity in link.get("foreign_clients") or []:
        sound = isinstance(identity, str) and (_URI.fullmatch(identity) or is_dns_name(identity))
        if not sound:
            fix = "write a DNS name or URI exactly as in the SAN of the client's certificate, without wildcards"
            yield Finding.of(
                "foreign-client", subject, "foreign_clients", show(identity), "is neither a DNS name nor a URI", fix
            )


def _check_servers(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "servers" in faulty:
        return
    seen: dict[str, object] = {}
    for server in link.get("servers") or []:
        if isinstance(server, Mapping):
            yield from _check_server(subject, server)
        elif not isinstance(server, str):
            fix = "write a cluster, a group or {name, address, locality}"
            yield Finding.of("reference", subject, "servers", show(server), "is not a cluster or group", fix)
            continue
        name = server.get("name") if isinstance(server, Mapping) else server
        if isinstance(name, str) and seen.setdefault(name, server) != server:
            what = "is listed twice with different settings"
            yield Finding.of("two-values", subject, "servers", show(name), what, "keep one of the two entries")


def _check_server(subject: str, server: Mapping[str, object]) -> Iterator[Finding]:
    yield from check_shape(subject, "servers.", server, schema.SERVER)
    address, locality = server.get("address"), server.get("locality")
    if isinstance(address, str) and not is_host(address, address=True):
        what, fix = ADDRESSES["address"]
        yield Finding.of("server-address", subject, "servers.address", show(address), what, fix)
    if isinstance(locality, str) and locality and not _LOCALITY.fullmatch(locality):
        what, fix = "is not REGION[/ZONE[/SUBZONE]]", "write one to three names with slashes, e.g. europe-west1/b"
        yield Finding.of("locality", subject, "servers.locality", show(locality), what, fix)


def _check_clients(subject: str, link: GivenLink, faulty: set[str]) -> Iterator[Finding]:
    if "clients" in faulty:
        return
    for client in link.get("clients") or []:
        if not isinstance(client, str):
            fix = "write the name of a cluster or of a group"
            yield Finding.of("reference", subject, "clients", show(client), "is not a cluster or group", fix)


def _check_duplicates(links: Mapping[int, Mapping[str, object]]) -> Iterator[Finding]:
    for name in ("name", "fqdn"):
        holders: dict[str, list[int]] = defaultdict(list)
        for index, link in links.items():
            value = link.get(name)
            if isinstance(value, str):
                holders[value].append(index)
        for value, indexes in holders.items():
            if len(indexes) > 1:
                subject = subject_of(links[indexes[0]], indexes[0])
                what = f"is used by {' and '.join(f'mesh_links[{index}]' for index in indexes)}"
                yield Finding.of(
                    f"duplicate-{name}", subject, name, show(value), what, f"give each link a unique {name}"
                )


def _check_directories(links: Mapping[int, Mapping[str, object]]) -> Iterator[Finding]:
    """Two links may share an external server, but one directory holds a certificate for one name."""
    wanted: dict[str, tuple[object, str]] = {}
    for index, link in links.items():
        external = link.get("external")
        directory = external.get("ca") if isinstance(external, Mapping) else None
        if not isinstance(external, Mapping) or not isinstance(directory, str):
            continue
        name, subject = external.get("sni") or link.get("fqdn"), subject_of(link, index)
        first, holder = wanted.setdefault(posixpath.normpath(directory).lstrip("/"), (name, subject))
        if first != name:
            what = f"is already used by {holder} for {show(first)}; this link needs a certificate for {show(name)}"
            fix = "use another directory, or set the same sni in both links"
            yield Finding.of("two-values", subject, "external.ca", show(directory), what, fix)


def _check_server_names(links: Mapping[int, Mapping[str, object]]) -> Iterator[Finding]:
    """Who holds a certificate for the name of another link is that link's server, for every client of it."""
    holders = {
        fqdn: subject_of(link, index) for index, link in links.items() if isinstance(fqdn := link.get("fqdn"), str)
    }
    for index, link in links.items():
        external = link.get("external")
        sni = external.get("sni") if isinstance(external, Mapping) else None
        if isinstance(sni, str) and sni in holders and sni != link.get("fqdn"):
            what = f"is the fqdn of link {holders[sni]}; the external server could pose as the servers of that link"
            fix = "write the name that the external server's own certificate has, or remove sni to use fqdn"
            yield Finding.of("external-sni", subject_of(link, index), "external.sni", show(sni), what, fix)


CHECKS_OF_A_LINK: tuple[Callable[[str, GivenLink, set[str]], Iterator[Finding]], ...] = (
    _check_name,
    _check_fqdn,
    _check_ports,
    _check_backend,
    _check_addresses,
    _check_max_connection_duration,
    _check_workloads,
    _check_requests,
    check_external,
    check_probe,
    _check_servers,
    _check_clients,
    _check_foreign_clients,
)
CHECKS_OF_ALL_LINKS: tuple[Callable[[Mapping[int, Mapping[str, object]]], Iterator[Finding]], ...] = (
    _check_duplicates,
    _check_directories,
    _check_server_names,
)
