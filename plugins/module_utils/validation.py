# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be wrong with a topology, found at once. Pure.

PRIVATE to the collection. Every check is a small generator of findings; C(CHECKS_*) at the end are the catalogue.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import names, schema, topology
from ansible_collections.crossmesh.mtls.plugins.module_utils.errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils.x509 import parse_certificates

__all__ = [
    "Finding",
    "World",
    "check_cluster",
    "check_links",
    "check_prune",
    "check_settings",
    "check_trust_domain",
    "check_world",
    "describe",
    "sound_links",
]

# Envoy's and istio-agent's own ports on a gateway pod (istio.io, Application Requirements).
PROXY_PORTS = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})
# A certificate with 500 link identities is about 24 kB, sent in every handshake.
MAX_LINKS_A_CLIENT = 500
MAX_INSTANCE = 30
MAX_LINK_NAME = 40
# A DNS name has 253 characters; "<cluster>.cluster." and "<link>.link." come before the trust domain.
MAX_TRUST_DOMAIN = 253 - 63 - len(".cluster.")

OF_SERVERS_IN_CLUSTERS = frozenset(
    {"tls_port", "backend", "servers", "strict_backend", "allow_backend_port", "foreign_clients"}
)
NOT_ASKED_OF_EXTERNAL = frozenset({("missing", "tls_port"), ("missing", "backend")})

# What Istio itself gives to ServiceEntries without addresses (istio.io, DNS Proxying).
ISTIOS_VIPS = ipaddress.ip_network("240.240.0.0/16")
# With fewer, two names would soon fall on one address.
MIN_VIPS = 256

# Longer than a certificate lives, it would bound nothing.
MAX_CONNECTION_HOURS = 8760

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# A ServiceAccount's name may hold dots (RFC 1123, section 2.1).
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smh])", re.ASCII)
_UNITS_AN_HOUR = {"s": 3600, "m": 60, "h": 1}
_REQUEST_DURATION = re.compile(r"([1-9][0-9]{0,7})(ms|s|m|h)", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
# A day: a request that takes longer is none.
MAX_REQUEST = 24 * _MILLISECONDS["h"]
MAX_ATTEMPTS = 10
# RFC 3986, section 3, without what a certificate cannot hold.
_URI = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:/@!$&'()+,;=%-]+", re.ASCII)
_RETRY_ON = re.compile(r"[a-z0-9-]+(,[a-z0-9-]+)*", re.ASCII)
_NAMES = {"str": "a string", "int": "a whole number", "bool": "true or false", "list": "a list", "dict": "a mapping"}
_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
# Second-level registries under country codes (co.uk, com.br, ...) and registries that hand names to anybody.
_REGISTRY_LABELS = frozenset(
    {
        "ac",
        "co",
        "com",
        "edu",
        "gob",
        "gouv",
        "gov",
        "govt",
        "ltd",
        "mil",
        "ne",
        "net",
        "nom",
        "or",
        "org",
        "plc",
        "sch",
    }
)
_OPEN_REGISTRIES = frozenset(
    {
        "appspot.com",
        "azurewebsites.net",
        "blogspot.com",
        "cloudapp.net",
        "cloudfront.net",
        "duckdns.org",
        "dyndns.org",
        "elasticbeanstalk.com",
        "firebaseapp.com",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "netlify.app",
        "nip.io",
        "no-ip.org",
        "pages.dev",
        "run.app",
        "sslip.io",
        "vercel.app",
        "web.app",
        "workers.dev",
    }
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and what to do about it.

    :param rule: stable identifier of the check.
    :param subject: the link's or cluster's name, or the variable, that it stands in.
    """

    rule: str
    subject: str
    field: str
    value: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.field}: {self.value}: {self.message}. Cure: {self.cure}. [{self.rule}]"


@dataclass(frozen=True)
class World:
    """What the validation on the controller can see of the inventory.

    :param variables: of every visible cluster, by host name; contract names, undefined ones left out.
    :param groups: names of all groups; a part of an inventory keeps them.
    :param shared: values of the group variables as the controller sees them.
    """

    variables: Mapping[str, Mapping[str, Any]]
    groups: frozenset[str]
    shared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mesh_clusters(self) -> Mapping[str, Sequence[str]]:
        """The declared groups of every cluster; none where they are not given, or not sound."""
        declared = self.shared.get("mesh_clusters")
        if not isinstance(declared, Mapping) or any(_check_declared(self.shared, "mesh_clusters", declared)):
            return {}
        return declared


def describe(findings: Iterable[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


# -- links ---------------------------------------------------------------------------------------------------------


def check_links(links: Any) -> list[Finding]:
    """Findings on C(mesh_links) that need no knowledge of clusters."""
    if links is None:
        return [
            Finding(
                "links-undefined",
                "mesh_links",
                "mesh_links",
                "undefined",
                "no links are defined, which could mean a wrong inventory",
                "define mesh_links in group_vars/all; [] takes every link away and needs mesh_prune_all=true",
            )
        ]
    if not isinstance(links, list):
        return [_wrong_type("mesh_links", "mesh_links", links, "list")]
    findings = [finding for index, link in enumerate(links) for finding in _check_link(index, link)]
    mappings = {index: link for index, link in enumerate(links) if isinstance(link, Mapping)}
    for check in CHECKS_OF_ALL_LINKS:
        findings += check(mappings)
    return findings


def sound_links(links: Any) -> list[Mapping[str, Any]]:
    """The links with which, each alone, nothing is wrong: what they mean together can be looked at."""
    given = links if isinstance(links, list) else []
    return [link for index, link in enumerate(given) if not any(_check_link(index, link))]


def _check_link(index: int, link: Any) -> Iterator[Finding]:
    if not isinstance(link, Mapping):
        yield _wrong_type(f"mesh_links[{index}]", "link", link, "dict")
        return
    shape = list(_check_shape(_subject(link, index), "", link, schema.LINK))
    faulty = {finding.field for finding in shape}
    if isinstance(link.get("external"), Mapping):
        shape = [finding for finding in shape if (finding.rule, finding.field) not in NOT_ASKED_OF_EXTERNAL]
        # What only servers in clusters have is told of as a whole, not looked at further.
        faulty |= OF_SERVERS_IN_CLUSTERS
    yield from shape
    for check in CHECKS_OF_A_LINK:
        yield from check(_subject(link, index), link, faulty)


def _subject(link: Mapping[str, Any], index: int) -> str:
    name = link.get("name")
    return name if isinstance(name, str) and name else f"mesh_links[{index}]"


def _check_shape(
    subject: str, path: str, value: Mapping[str, Any], fields: tuple[schema.Field, ...]
) -> Iterator[Finding]:
    """Unknown, missing and mistyped keys of one mapping."""
    known = {item.name: item for item in fields}
    for key in value:
        if key not in known:
            close = difflib.get_close_matches(str(key).lower(), known, n=1)
            hint = f"write {close[0]}" if close else f"remove it; known are {', '.join(known)}"
            yield Finding("unknown-key", subject, f"{path}{key}", _show(value[key]), "unknown key", hint)
    for item in fields:
        if value.get(item.name) is None:
            if item.required:
                cure = f"write it, e.g. {item.name}: {item.example}"
                yield Finding("missing", subject, path + item.name, "missing", "this key is required", cure)
            continue
        yield from _check_value(subject, path + item.name, value[item.name], item)


def _check_value(subject: str, path: str, value: Any, item: schema.Field) -> Iterator[Finding]:
    expected = _TYPES[item.type]
    if not isinstance(value, expected) or (isinstance(value, bool) and item.type != "bool"):
        yield _wrong_type(subject, path, value, item.type, item.example)
    elif item.choices and value not in item.choices:
        close = difflib.get_close_matches(str(value).lower(), item.choices, n=1)
        cure = f"write {close[0]}" if close else f"write one of {', '.join(item.choices)}"
        yield Finding("choice", subject, path, _show(value), f"unknown {item.name}", cure)


def _wrong_type(subject: str, path: str, value: Any, kind: str, example: str = "") -> Finding:
    cure = f"write {_NAMES[kind]}" + (f", e.g. {example}" if example else "")
    if kind == "int" and isinstance(value, str):
        cure += "; without quotes"
    return Finding("type", subject, path, _show(value), f"is not {_NAMES[kind]}", cure)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _check_name(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "name" in faulty:
        return
    name = link["name"]
    if not _LABEL.fullmatch(name) or len(name) > MAX_LINK_NAME:
        yield Finding(
            "link-name",
            subject,
            "name",
            _show(name),
            f"is not a DNS label of at most {MAX_LINK_NAME} characters",
            "use lower-case letters, digits and hyphens, a letter or digit at both ends",
        )
    elif name == "client" or name.endswith("-client"):
        cure = f"choose another name, e.g. {name}-link"
        yield Finding(
            "reserved-name", subject, "name", _show(name), "is reserved for the clients' own credentials", cure
        )


def _check_fqdn(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "fqdn" in faulty:
        return
    fqdn = link["fqdn"]
    message, cure = _fault_of_fqdn(fqdn)
    if message:
        yield Finding("fqdn", subject, "fqdn", _show(fqdn), message, cure)


def _fault_of_fqdn(fqdn: str) -> tuple[str, str]:
    labels = fqdn.split(".")
    if "*" in fqdn:
        return "is a wildcard; a link is one name", "write the name that workloads dial"
    if fqdn != fqdn.lower():
        return "is not in lower case; SNI is compared as it is written", f"write {fqdn.lower()}"
    if fqdn.endswith("."):
        return "ends in a dot, which neither SNI nor a certificate holds", f"write {fqdn.rstrip('.')}"
    if _is_ip(fqdn):
        return "is an IP address, which cannot be an SNI (RFC 6066, section 3)", "write a DNS name that resolves to it"
    if len(fqdn) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "is not a DNS name (RFC 1035, section 2.3.1)", "write labels of letters, digits and hyphens, with dots"
    if len(labels) == 1 or fqdn in _OPEN_REGISTRIES or _is_registry(labels):
        return "is a public suffix or a single label, under which anybody can have names", "write a full host name"
    if f".{fqdn}".endswith(".cluster.local"):
        return "is a name of the cluster's own Services", "write a name outside of cluster.local"
    return "", ""


def _is_registry(labels: Sequence[str]) -> bool:
    return len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _REGISTRY_LABELS


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # A zone (fe80::1%eth0) means something on one machine only.
    return "%" not in text


def _check_ports(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "port" not in faulty and not _is_port(link["port"]):
        yield _not_a_port(subject, "port", link["port"])
    if "tls_port" not in faulty:
        yield from _check_port(subject, "tls_port", link["tls_port"])
    if faulty.isdisjoint({"port", "tls_port"}) and link["port"] == link["tls_port"]:
        yield Finding(
            "same-port",
            subject,
            "tls_port",
            _show(link["tls_port"]),
            "is also port; a ServiceEntry cannot hold one number twice",
            f"write another tls_port, e.g. {_another(link['port'])}",
        )


def _check_port(subject: str, path: str, value: int) -> Iterator[Finding]:
    """A port that a gateway is to listen on."""
    if not _is_port(value):
        yield _not_a_port(subject, path, value)
    elif value in PROXY_PORTS:
        yield Finding("proxy-port", subject, path, _show(value), "is a port of the proxy itself", "write another port")


def _another(port: int) -> int:
    """A port to propose: 13306 for 3306, and for 15000 what is still a port."""
    return port + (10000 if port < 10000 else 1)


def _is_port(value: int) -> bool:
    return 1 <= value <= 65535


def _not_a_port(subject: str, path: str, value: Any) -> Finding:
    return Finding("port", subject, path, _show(value), "is not a port", "write a number from 1 to 65535")


def _check_backend(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "backend" in faulty:
        return
    backend = link["backend"]
    shape = list(_check_shape(subject, "backend.", backend, schema.BACKEND))
    yield from shape
    wrong = {finding.field for finding in shape}
    if "backend.port" not in wrong:
        if not _is_port(backend["port"]):
            yield _not_a_port(subject, "backend.port", backend["port"])
        elif "tls_port" not in faulty and link["tls_port"] == backend["port"] and not link.get("allow_backend_port"):
            yield Finding(
                "backend-port-exposed",
                subject,
                "tls_port",
                _show(link["tls_port"]),
                "is the backend's own port, which would then be open to the outside",
                f"write another tls_port, e.g. {_another(backend['port'])}, or set allow_backend_port: true",
            )
    if "backend.host" not in wrong and not _is_service_host(backend["host"]):
        yield Finding(
            "backend-host",
            subject,
            "backend.host",
            _show(backend["host"]),
            "is not the full name of a Service",
            "write SERVICE.NAMESPACE.svc.cluster.local",
        )


def _is_service_host(host: str) -> bool:
    labels = host.split(".")
    return len(labels) == 5 and labels[2:] == ["svc", "cluster", "local"] and all(map(_LABEL.fullmatch, labels[:2]))


def _check_addresses(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "addresses" in faulty:
        return
    for address in link.get("addresses") or []:
        if not isinstance(address, str) or not _is_ip(address):
            cure = "write IP addresses, e.g. 240.0.0.10"
            yield Finding("address", subject, "addresses", _show(address), "is not an IP address", cure)


def _check_max_connection_duration(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    name = "max_connection_duration"
    if name in faulty or link.get(name) is None:
        return
    found = _DURATION.fullmatch(link[name])
    if found is None or int(found[1]) > MAX_CONNECTION_HOURS * _UNITS_AN_HOUR[found[2]]:
        message = f"is not a duration from 1s to {MAX_CONNECTION_HOURS}h"
        cure = "write a whole number of s, m or h, e.g. 1h"
        yield Finding("duration", subject, name, _show(link[name]), message, cure)


def _check_workloads(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "workloads" in faulty or link.get("workloads") is None:
        return
    shape = list(_check_shape(subject, "workloads.", link["workloads"], schema.WORKLOADS))
    yield from shape
    named = 0
    for name, parts, form in (("namespaces", 1, "NAMESPACE"), ("service_accounts", 2, "NAMESPACE/NAME")):
        values = link["workloads"].get(name) or []
        if f"workloads.{name}" in {finding.field for finding in shape}:
            return
        named += len(values)
        for value in values:
            labels = value.split("/") if isinstance(value, str) else []
            if len(labels) != parts or not all(map(_ACCOUNT.fullmatch, labels)):
                cure = f"write {form} as Kubernetes has it"
                yield Finding("workloads", subject, f"workloads.{name}", _show(value), f"is not {form}", cure)
    if not named and not shape:
        cure = "name namespaces or service_accounts, or remove workloads so that all of the mesh may use the link"
        yield Finding("workloads", subject, "workloads", _show(link["workloads"]), "would refuse everybody", cure)


def _check_requests(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    """What is said of single requests."""
    given = [name for name in ("timeout", "retries") if name not in faulty and link.get(name) is not None]
    if "protocol" not in faulty and (link.get("protocol") or "tcp") == "tcp":
        for name in given:
            cure = "remove it, or say with protocol what the link carries: http, http2 or grpc"
            yield Finding("requests-only", subject, name, _show(link[name]), "a tcp link knows no requests", cure)
        return
    if "timeout" in given:
        yield from _check_request_duration(subject, "timeout", link["timeout"])
    if "retries" in given:
        shape = list(_check_shape(subject, "retries.", link["retries"], schema.RETRIES))
        yield from shape
        yield from _check_retries(subject, link["retries"], {finding.field for finding in shape})


def _check_retries(subject: str, retries: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "retries.attempts" not in faulty and not 0 <= retries["attempts"] <= MAX_ATTEMPTS:
        message, cure = f"is not between 0 and {MAX_ATTEMPTS}", "write a smaller number; 2 is usual"
        yield Finding("retries", subject, "retries.attempts", _show(retries["attempts"]), message, cure)
    if "retries.per_try_timeout" not in faulty and retries.get("per_try_timeout") is not None:
        yield from _check_request_duration(subject, "retries.per_try_timeout", retries["per_try_timeout"])
    policies = retries.get("retry_on")
    if "retries.retry_on" not in faulty and policies is not None and not _RETRY_ON.fullmatch(policies):
        cure = "write names and status codes with commas between them, e.g. connect-failure,refused-stream,503"
        yield Finding("retries", subject, "retries.retry_on", _show(policies), "is no list of retry policies", cure)


def _check_request_duration(subject: str, path: str, value: str) -> Iterator[Finding]:
    found = _REQUEST_DURATION.fullmatch(value)
    if found is None or int(found[1]) * _MILLISECONDS[found[2]] > MAX_REQUEST:
        cure = "write a whole number of ms, s, m or h, e.g. 15s"
        yield Finding("duration", subject, path, _show(value), "is not a duration from 1ms to 24h", cure)


def _check_external(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "external" in faulty or link.get("external") is None:
        return
    external = link["external"]
    for name in sorted(OF_SERVERS_IN_CLUSTERS):
        if link.get(name) not in (None, False):
            message, cure = "has no meaning where the server is outside of the clusters", "remove it, or external"
            yield Finding("external-only", subject, name, _show(link[name]), message, cure)
    shape = list(_check_shape(subject, "external.", external, schema.EXTERNAL))
    yield from shape
    wrong = {finding.field for finding in shape}
    for name in ("address", "sni"):
        value = external.get(name)
        if value is not None and f"external.{name}" not in wrong and not _is_host(value, address=name == "address"):
            cure = "write a DNS name" if name == "sni" else "write an IP address or a DNS name"
            yield Finding("external-address", subject, f"external.{name}", _show(value), f"is no {cure[8:]}", cure)
    if "external.port" not in wrong:
        yield from _check_external_port(subject, link, external["port"], faulty)
    yield from _check_external_trust(subject, external, wrong)


def _is_host(value: str, *, address: bool) -> bool:
    if _is_ip(value):
        return address
    return len(value) <= 253 and all(map(_LABEL.fullmatch, value.split(".")))


def _check_external_port(subject: str, link: Mapping[str, Any], port: int, faulty: set[str]) -> Iterator[Finding]:
    if not _is_port(port):
        yield _not_a_port(subject, "external.port", port)
    elif "port" not in faulty and link["port"] == port:
        message = "is also port; a ServiceEntry cannot hold one number twice"
        cure = f"let workloads dial another port, e.g. {_another(port)}"
        yield Finding("same-port", subject, "external.port", _show(port), message, cure)


def _check_external_trust(subject: str, external: Mapping[str, Any], wrong: set[str]) -> Iterator[Finding]:
    given = [name for name in ("ca", "trust") if external.get(name) is not None]
    if len(given) != 1:
        shown = " and ".join(given) or "missing"
        cure = "write ca: DIRECTORY for a certificate of the custom CA, or trust: the PEM of its owner's roots"
        yield Finding("external-trust", subject, "external", shown, "has to have one of ca and trust", cure)
    elif given == ["ca"] and "external.ca" not in wrong and not external["ca"].startswith("/"):
        message, cure = "is no absolute path", "write the whole path of a directory on the controller"
        yield Finding("external-trust", subject, "external.ca", _show(external["ca"]), message, cure)
    elif given == ["trust"] and "external.trust" not in wrong and (why := _fault_of_roots(external["trust"])):
        cure = "write the certificates of its owner's CA, in PEM, e.g. with lookup('ansible.builtin.file', ...)"
        yield Finding("external-trust", subject, "external.trust", _show(external["trust"]), why, cure)


def _fault_of_roots(pem: str) -> str:
    try:
        views = parse_certificates(pem, where="trust")
    except CrossmeshError as error:
        return error.why
    return "" if all(view.is_ca for view in views) else "holds a certificate that is no CA's"


def _check_foreign_clients(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "foreign_clients" in faulty:
        return
    for identity in link.get("foreign_clients") or []:
        sound = isinstance(identity, str) and (_URI.fullmatch(identity) or _is_host(identity, address=False))
        if not sound:
            cure = "write a DNS name or a URI as it stands in the SAN of their certificates, without wildcards"
            yield Finding("foreign-client", subject, "foreign_clients", _show(identity), "is no identity", cure)


def _check_servers(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "servers" in faulty or link.get("servers") is None:
        return
    seen: dict[str, Any] = {}
    for server in link["servers"]:
        if isinstance(server, Mapping):
            yield from _check_server(subject, server)
        elif not isinstance(server, str):
            cure = "write a name, a group or {name, address, locality}"
            yield Finding("reference", subject, "servers", _show(server), "is not the name of a cluster", cure)
            continue
        name = server.get("name") if isinstance(server, Mapping) else server
        if isinstance(name, str) and seen.setdefault(name, server) != server:
            yield Finding(
                "two-values",
                subject,
                "servers",
                _show(name),
                f"stands twice with different values: {_show(seen[name])} and {_show(server)}",
                "keep one of them",
            )


def _check_server(subject: str, server: Mapping[str, Any]) -> Iterator[Finding]:
    shape = list(_check_shape(subject, "servers.", server, schema.SERVER))
    yield from shape
    address = server.get("address")
    if isinstance(address, str) and not _is_ip(address) and not all(map(_LABEL.fullmatch, address.split("."))):
        cure = "write an IP address or a DNS name"
        yield Finding("server-address", subject, "servers.address", _show(address), "is no address", cure)


def _check_clients(subject: str, link: Mapping[str, Any], faulty: set[str]) -> Iterator[Finding]:
    if "clients" in faulty:
        return
    for client in link.get("clients") or []:
        if not isinstance(client, str):
            cure = "write the name of a cluster or of a group"
            yield Finding("reference", subject, "clients", _show(client), "is not the name of a cluster", cure)


def _check_duplicates(links: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    for name in ("name", "fqdn"):
        holders: dict[str, list[int]] = defaultdict(list)
        for index, link in links.items():
            if isinstance(link.get(name), str):
                holders[link[name]].append(index)
        for value, indexes in holders.items():
            if len(indexes) > 1:
                subject = _subject(links[indexes[0]], indexes[0])
                message = f"stands in {' and '.join(f'mesh_links[{index}]' for index in indexes)}"
                yield Finding(f"duplicate-{name}", subject, name, _show(value), message, "make each unique")


def _check_directories(links: Mapping[int, Mapping[str, Any]]) -> Iterator[Finding]:
    """Two links may share a server outside, but one directory holds a certificate for one name."""
    wanted: dict[str, tuple[Any, str]] = {}
    for index, link in links.items():
        external = link.get("external")
        directory = external.get("ca") if isinstance(external, Mapping) else None
        if not isinstance(external, Mapping) or not isinstance(directory, str):
            continue
        name, subject = external.get("sni") or link.get("fqdn"), _subject(link, index)
        first, holder = wanted.setdefault(directory.rstrip("/"), (name, subject))
        if first != name:
            message = f"holds the certificate of {holder}, for {_show(first)}; this link wants {_show(name)}"
            cure = "write another directory, or the same sni in both"
            yield Finding("two-values", subject, "external.ca", _show(directory), message, cure)


CHECKS_OF_A_LINK: tuple[Callable[[str, Mapping[str, Any], set[str]], Iterator[Finding]], ...] = (
    _check_name,
    _check_fqdn,
    _check_ports,
    _check_backend,
    _check_addresses,
    _check_max_connection_duration,
    _check_workloads,
    _check_requests,
    _check_external,
    _check_servers,
    _check_clients,
    _check_foreign_clients,
)
CHECKS_OF_ALL_LINKS: tuple[Callable[[Mapping[int, Mapping[str, Any]]], Iterator[Finding]], ...] = (
    _check_duplicates,
    _check_directories,
)


# -- one cluster ---------------------------------------------------------------------------------------------------


def check_settings(shared: Mapping[str, Any]) -> list[Finding]:
    """Findings on the variables that all clusters share (the links aside)."""
    findings: list[Finding] = []
    for item in schema.SHARED:
        if item.name != "mesh_links" and shared.get(item.name) is not None:
            findings += _check_setting(item, shared[item.name])
    faulty = {finding.field for finding in findings}
    for name, check in CHECKS_OF_SETTINGS.items():
        if name not in faulty and shared.get(name) is not None:
            findings += check(shared, name, shared[name])
    return findings


def _check_setting(item: schema.Field, value: Any) -> Iterator[Finding]:
    for finding in _check_value(item.name, item.name, value, item):
        # What -e NAME=VALUE gives is always a string.
        aside = f"""; on the command line -e '{{"{item.name}": ...}}'""" if isinstance(value, str) else ""
        yield replace(finding, cure=finding.cure + aside)


def _check_instance(_shared: Mapping[str, Any], name: str, value: str) -> Iterator[Finding]:
    if not _is_label(value, MAX_INSTANCE):
        message = f"is not a DNS label of at most {MAX_INSTANCE} characters"
        yield Finding("instance", name, name, _show(value), message, "use lower-case letters, digits and hyphens")


def _check_timeout(_shared: Mapping[str, Any], name: str, value: int) -> Iterator[Finding]:
    if value < 1:
        yield Finding("timeout", name, name, _show(value), "is no time to wait", "write seconds, e.g. 60")


def _check_wait(_shared: Mapping[str, Any], name: str, value: int) -> Iterator[Finding]:
    if value < 0:
        yield Finding("wait", name, name, _show(value), "is no time to wait", "write seconds, e.g. 10")


def _check_credential(shared: Mapping[str, Any], name: str, value: str) -> Iterator[Finding]:
    if not _is_label(value, 63):
        cure = "write a DNS label, e.g. client-credential"
        yield Finding("prefix", name, name, _show(value), "is not a DNS label", cure)
    elif value.endswith("-cacert"):
        cure = "write another name, e.g. client-credential"
        yield Finding("prefix", name, name, _show(value), "ends in -cacert, by which Istio knows a CA's Secret", cure)
    elif _clashing_secrets(_names_of_links(shared), value):
        cure = "write another name, e.g. client-credential"
        yield Finding("prefix", name, name, _show(value), "is the name of a link's server Secret", cure)


def _clashing_secrets(links: Sequence[str], prefix: str) -> bool:
    """Whether a client's Secret would be a link's server Secret: one cluster can be both."""
    clients = {prefix, *(names.client_secret_of_link(link, prefix) for link in links)}
    return not clients.isdisjoint(map(names.server_secret, links))


def _check_trust_domain(_shared: Mapping[str, Any], name: str, value: str) -> Iterator[Finding]:
    yield from check_trust_domain(name, value)


def check_trust_domain(subject: str, value: str) -> Iterator[Finding]:
    """The name under which clusters and links have theirs in client certificates."""
    if not all(map(_LABEL.fullmatch, value.split("."))) or len(value) > MAX_TRUST_DOMAIN:
        yield Finding(
            "ca-trust-domain",
            subject,
            "custom_ca_trust_domain",
            _show(value),
            f"is not a DNS name in lower case of at most {MAX_TRUST_DOMAIN} characters",
            "write one that nobody else uses, e.g. crossmesh.internal",
        )


def _check_vip_range(_shared: Mapping[str, Any], name: str, value: Any) -> Iterator[Finding]:
    cure = "write a network that nobody routes, e.g. 240.0.0.0/9"
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        yield Finding(
            "vip-range", name, name, _show(value), "is not a network (ADDRESS/BITS, no bit set after them)", cure
        )
        return
    if network.num_addresses < MIN_VIPS:
        yield Finding("vip-range", name, name, _show(value), f"has fewer than {MIN_VIPS} addresses", cure)
    elif network.version == ISTIOS_VIPS.version and network.overlaps(ISTIOS_VIPS):
        yield Finding("vip-range", name, name, _show(value), f"overlaps {ISTIOS_VIPS}, Istio's own", cure)


def _check_only_links(shared: Mapping[str, Any], name: str, value: Sequence[Any]) -> Iterator[Finding]:
    known = _names_of_links(shared)
    for link in value:
        if link not in known:
            cure = f"write names of links: {', '.join(known)}"
            yield Finding("unknown-link", name, name, _show(link), "is no link", cure)


def _names_of_links(shared: Mapping[str, Any]) -> list[str]:
    links = shared.get("mesh_links")
    found = [link.get("name") for link in links if isinstance(link, Mapping)] if isinstance(links, list) else []
    return sorted({name for name in found if isinstance(name, str)})


def _check_declared(_shared: Mapping[str, Any], name: str, value: Mapping[Any, Any]) -> Iterator[Finding]:
    for cluster, groups in value.items():
        if not isinstance(cluster, str) or not isinstance(groups, list) or not all(isinstance(g, str) for g in groups):
            cure = "write the groups of each cluster, e.g. {cluster-a: [mesh_clients]}"
            yield Finding("type", name, f"{name}.{cluster}", _show(groups), "is not a list of groups", cure)


CHECKS_OF_SETTINGS: dict[str, Callable[[Mapping[str, Any], str, Any], Iterator[Finding]]] = {
    "mesh_instance": _check_instance,
    "mesh_gate_timeout": _check_timeout,
    "mesh_gate_wait": _check_wait,
    "mesh_client_credential_prefix": _check_credential,
    "mesh_vip_range": _check_vip_range,
    "mesh_only_links": _check_only_links,
    "mesh_clusters": _check_declared,
    "custom_ca_trust_domain": _check_trust_domain,
}


def _is_label(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and bool(_LABEL.fullmatch(value))


def check_cluster(variables: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Findings on one cluster's own variables, and on what its sound links mean for it."""
    subject = _name_of(variables)
    findings = list(_check_cluster_variables(subject, variables))
    if not findings:
        cluster = topology.cluster_of(variables)
        vip_range = topology.settings_of(variables).vip_range
        if not any(_check_vip_range(variables, "mesh_vip_range", vip_range)):
            findings += _check_client_ports(subject, cluster, links, vip_range)
        findings += _check_lockdown(subject, cluster)
    return findings


def _check_cluster_variables(subject: str, variables: Mapping[str, Any]) -> Iterator[Finding]:
    if not _is_label(variables.get("mesh_cluster_name"), 63):
        yield Finding(
            "cluster-name",
            subject,
            "mesh_cluster_name",
            _show(variables.get("mesh_cluster_name")),
            "is not a DNS label",
            "set mesh_cluster_name to lower-case letters, digits and hyphens",
        )
    for item in schema.CLUSTER:
        value = variables.get(item.name)
        if value is not None:
            yield from _check_value(subject, item.name, value, item)
            if item.name.endswith("_gateway") and isinstance(value, Mapping):
                yield from _check_gateway(subject, f"{item.name}.", value)
    port = variables.get("mesh_egress_port")
    if isinstance(port, int) and not isinstance(port, bool):
        yield from _check_port(subject, "mesh_egress_port", port)


def _check_gateway(subject: str, path: str, gateway: Mapping[str, Any]) -> Iterator[Finding]:
    shape = list(_check_shape(subject, path, gateway, schema.GATEWAY))
    yield from shape
    faulty = {finding.field for finding in shape}
    for name in ("namespace", "service"):
        value = gateway.get(name)
        if value is not None and path + name not in faulty and not _is_label(value, 63):
            cure = f"write the name of the gateway's {name}"
            yield Finding("gateway", subject, path + name, _show(value), "is not a DNS label", cure)
    selector = gateway.get("selector")
    if selector is not None and path + "selector" not in faulty:
        texts = [text for pair in selector.items() for text in pair]
        # Without a label it would select every pod of the namespace.
        if not texts or not all(isinstance(text, str) for text in texts):
            cure = "write the labels of the gateway's pods, e.g. {istio: ingressgateway}"
            yield Finding("gateway", subject, path + "selector", _show(selector), "does not hold labels", cure)


def _check_lockdown(subject: str, cluster: topology.Cluster) -> Iterator[Finding]:
    name, needed = "mesh_egress_lockdown", {names.ROOT_NAMESPACE, cluster.egress_gateway["namespace"]}
    seen: set[str] = set()
    for namespace in cluster.egress_lockdown:
        message = cure = ""
        if not _is_label(namespace, 63):
            message, cure = "is not a DNS label", "write the name of a namespace, e.g. shop"
        elif namespace in seen:
            message, cure = "stands twice", "write it once"
        elif namespace in needed:
            message = "holds the egress gateway or the control plane, which have to reach other clusters and all pods"
            cure = "leave it out; only namespaces of workloads are locked down"
        if message:
            yield Finding("lockdown", subject, name, _show(namespace), message, cure)
        else:
            seen.add(namespace)
    if cluster.egress_lockdown and not cluster.cluster_cidrs:
        message = "is empty, and the workloads' sidecars would be cut off from their control plane"
        cure = "name the networks of the cluster's pods, Services, control plane and API server"
        yield Finding("cluster-cidrs", subject, "mesh_cluster_cidrs", "[]", message, cure)
    for cidr in cluster.cluster_cidrs:
        message, cure = _fault_of_cidr(cidr)
        if message:
            yield Finding("cluster-cidrs", subject, "mesh_cluster_cidrs", _show(cidr), message, cure)


def _fault_of_cidr(cidr: Any) -> tuple[str, str]:
    # Kubernetes takes neither a bare address nor a netmask, which Python does.
    address, _slash, length = cidr.partition("/") if isinstance(cidr, str) else ("", "", "")
    try:
        network = ipaddress.ip_network(f"{address}/{int(length)}", strict=False)
    except ValueError:
        return "is not a network in CIDR notation", "write one, e.g. 10.0.0.0/16"
    if network.prefixlen == 0:
        return "is every address there is, and would close nothing", "name the cluster's own networks"
    if ipaddress.ip_address(address) != network.network_address:
        return "does not begin with its network's address", f"write {network}"
    return "", ""


def _check_client_ports(
    subject: str, cluster: topology.Cluster, links: Sequence[Mapping[str, Any]], vip_range: str
) -> Iterator[Finding]:
    """What the links of one client cluster do to each other (istio#6695: a TCP port without address is a catch-all)."""
    dialled = topology.client_links(topology.present(links), cluster)
    if len(dialled) > MAX_LINKS_A_CLIENT:
        yield Finding(
            "too-many-links",
            subject,
            "mesh_links",
            str(len(dialled)),
            f"are more than {MAX_LINKS_A_CLIENT} links of one client cluster: each is a SAN of its certificate, "
            "which is sent in every handshake",
            "split them between two instances (mesh_instance)",
        )
    addresses = topology.addresses_of(dialled, cluster, vip_range)
    by_port: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for link in dialled:
        by_port[link["port"]].append(link)
        if cluster.dns == "virtual" and not topology.has_own_endpoints(link):
            yield _resolved_in_a_circle(link, cluster)
    for port, sharing in by_port.items():
        # Links that carry requests are told apart by their host.
        if len(sharing) > 1 and any(link["protocol"] == "tcp" for link in sharing):
            yield from _check_shared_port(port, sharing, addresses, cluster)


def _resolved_in_a_circle(link: Mapping[str, Any], cluster: topology.Cluster) -> Finding:
    return Finding(
        "virtual-endpoint",
        link["name"],
        "servers",
        _show(link.get("servers")),
        f"do not all have an address, and the DNS of {cluster.name} answers the FQDN with a virtual one "
        "(mesh_dns: virtual), to the egress gateway as well",
        "write servers: [{name: CLUSTER, address: THE INGRESS GATEWAY'S}]",
    )


def _check_shared_port(
    port: int,
    sharing: Sequence[Mapping[str, Any]],
    addresses: Mapping[str, Sequence[str]],
    cluster: topology.Cluster,
) -> Iterator[Finding]:
    others = ", ".join(link["name"] for link in sharing)
    taken: dict[str, str] = {}
    for link in sharing:
        if not addresses[link["name"]] and link["protocol"] == "tcp":
            yield Finding(
                "shared-port",
                link["name"],
                "port",
                str(port),
                f"is dialled in {cluster.name} by several links ({others}), and without an address of its own a TCP "
                "link takes the whole port",
                f"where the sidecars of {cluster.name} answer DNS (Istio's DNS proxying), set mesh_dns: capture there; "
                "else give each of them addresses, e.g. addresses: [240.0.0.10], let its DNS answer the FQDN so, and "
                "write the ingress gateways' addresses in servers",
            )
        for address in map(_normal, addresses[link["name"]]):
            if taken.setdefault(address, link["name"]) != link["name"]:
                message = f"is also an address of {taken[address]} on the same port"
                cure = "give each of them addresses of its own, e.g. addresses: [240.0.0.10]"
                yield Finding("shared-address", link["name"], "addresses", address, message, cure)


def _normal(address: str) -> str:
    """IPv6 has many spellings of one address."""
    return str(ipaddress.ip_address(address))


def check_prune(links: Any, *, allowed: bool) -> list[Finding]:
    """An empty list of links takes everything away: only when that is said in so many words."""
    if allowed or links != []:
        return []
    return [
        Finding(
            "prunes-everything",
            "mesh_links",
            "mesh_links",
            "[]",
            "would take every link away",
            "define links, or run with -e mesh_prune_all=true",
        )
    ]


# -- the inventory -------------------------------------------------------------------------------------------------


def check_world(world: World, *, prune_all: bool) -> list[Finding]:
    """Findings on the whole inventory, as the controller sees it: links, clusters and how they refer to each other."""
    links = world.shared.get("mesh_links")
    findings = check_links(links) + check_settings(world.shared) + check_prune(links, allowed=prune_all)
    sound = sound_links(links)
    for variables in world.variables.values():
        findings += check_cluster(variables, sound)
    for check in CHECKS_OF_A_WORLD:
        findings += check(world)
    if not findings and not prune_all:
        findings += _check_something_left(world)
    # What two links do to each other is found in every cluster that dials both, and said of the first.
    told: dict[tuple[str, str, str, str], Finding] = {}
    for finding in findings:
        told.setdefault((finding.rule, finding.subject, finding.field, finding.value), finding)
    return list(told.values())


def _check_something_left(world: World) -> Iterator[Finding]:
    """Links that no cluster has any more: a wrong group or a state takes everything away as surely as an empty list."""
    declared = [{"mesh_cluster_name": name, "groups": groups} for name, groups in world.mesh_clusters.items()]
    seen = {variables.get("mesh_cluster_name") for variables in world.variables.values()}
    unseen = [variables for variables in declared if variables["mesh_cluster_name"] not in seen]
    clusters = [topology.cluster_of(variables) for variables in [*world.variables.values(), *unseen]]
    links = topology.present(world.shared["mesh_links"])
    if any(topology.server_links(links, cluster) or topology.client_links(links, cluster) for cluster in clusters):
        return
    yield Finding(
        "prunes-everything",
        "mesh_links",
        "mesh_links",
        f"{len(links)} links",
        "no cluster serves or dials any of them, so everything would be taken away",
        "look at the groups mesh_servers and mesh_clients, or run with -e mesh_prune_all=true",
    )


def _name_of(variables: Mapping[str, Any]) -> str:
    return str(variables.get("mesh_cluster_name"))


def _check_references(world: World) -> Iterator[Finding]:
    links = world.shared.get("mesh_links")
    clusters = {_name_of(variables) for variables in world.variables.values()} | set(world.mesh_clusters)
    declared = {group for groups in world.mesh_clusters.values() for group in groups}
    known = clusters | world.groups | declared
    for index, link in enumerate(links if isinstance(links, list) else []):
        if not isinstance(link, Mapping):
            continue
        for side in ("servers", "clients"):
            references = link.get(side)
            for reference in references if isinstance(references, list) else []:
                name = reference.get("name") if isinstance(reference, Mapping) else reference
                if isinstance(name, str) and name not in known:
                    close = difflib.get_close_matches(name.lower(), sorted(known), n=1)
                    cure = f"write {close[0]}" if close else f"write one of {', '.join(sorted(clusters))}"
                    message = "is neither a cluster nor a group of the inventory"
                    yield Finding("unknown-cluster", _subject(link, index), side, _show(name), message, cure)


def _check_both_sides(world: World) -> Iterator[Finding]:
    """A cluster that is named as client of a link that it serves would dial itself through both gateways."""
    links = world.shared.get("mesh_links")
    groups = {_name_of(variables): set(variables.get("groups", ())) for variables in world.variables.values()}
    for index, link in enumerate(links if isinstance(links, list) else []):
        if not isinstance(link, Mapping) or not isinstance(link.get("clients"), list):
            continue
        servers = link.get("servers")
        named = [s.get("name") if isinstance(s, Mapping) else s for s in servers] if isinstance(servers, list) else []
        for client in link["clients"]:
            if isinstance(client, str) and (client in named or groups.get(client, set()) & set(named)):
                message = "is both server and client of the link"
                cure = "take it out of one of the two lists; a group as client leaves out whoever serves the link"
                yield Finding("both-sides", _subject(link, index), "clients", _show(client), message, cure)


def _check_cluster_names(world: World) -> Iterator[Finding]:
    hosts: dict[str, list[str]] = defaultdict(list)
    for host, variables in world.variables.items():
        hosts[_name_of(variables)].append(host)
    for name, sharing in hosts.items():
        if len(sharing) > 1:
            yield Finding(
                "duplicate-cluster",
                name,
                "mesh_cluster_name",
                _show(name),
                f"is the name of several clusters: {', '.join(sorted(sharing))}",
                "give each cluster a name of its own",
            )


def _check_one_value(world: World) -> Iterator[Finding]:
    """A variable of group all that one cluster holds with another value: two clusters would then build two links."""
    for host, variables in world.variables.items():
        for name, shared in world.shared.items():
            if name in variables and variables[name] != shared:
                yield Finding(
                    "two-values",
                    host,
                    name,
                    _show(variables[name]),
                    f"differs from the value that the other clusters have ({_show(shared)})",
                    "set it once, in group_vars/all",
                )


def _check_declared_groups(world: World) -> Iterator[Finding]:
    if not world.mesh_clusters:
        return
    sides = {topology.CLIENTS_GROUP, topology.SERVERS_GROUP}
    for variables in world.variables.values():
        name = _name_of(variables)
        cure = "make mesh_clusters and the inventory say the same"
        if name not in world.mesh_clusters:
            message = "the cluster is in the inventory but not in mesh_clusters"
            yield Finding("two-values", name, "mesh_clusters", _show(sorted(world.mesh_clusters)), message, cure)
            continue
        actual, declared = sides & set(variables.get("groups", ())), sides & set(world.mesh_clusters[name])
        if actual != declared:
            message = f"the inventory has it in {_show(sorted(actual))}"
            yield Finding("two-values", name, "mesh_clusters", _show(sorted(declared)), message, cure)


CHECKS_OF_A_WORLD: tuple[Callable[[World], Iterator[Finding]], ...] = (
    _check_references,
    _check_both_sides,
    _check_cluster_names,
    _check_one_value,
    _check_declared_groups,
)
