# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of bad input is told in one line that holds link, field, value and fix; good input is not told of."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import check_inventory
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import POLICY
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.schema import (
    BACKEND,
    CLUSTER,
    GATEWAY,
    LINK,
    RETRIES,
    SERVER,
    SHARED,
    WORKLOADS,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contract
from tests.unit.pki.strange_roots import (
    CLIENTS_ONLY,
    CODE_SIGNING,
    UNKNOWN_CRITICAL,
    excludes,
    permits,
    strange_root,
)
from tests.unit.pki.support import DAY, make_leaf, make_root
from tests.unit.support import CLIENT, Json, link, numbered, resolve, view

HOSTS: dict[str, Json] = {
    "cluster-a": {"group_names": ["mesh_clients"]},
    "cluster-b": {"group_names": ["mesh_servers"]},
}


def inventory_messages(
    links: Any = None,
    *,
    shared: Mapping[str, Any] | None = None,
    hosts: Mapping[str, Mapping[str, Any]] | None = None,
    prune_all: bool = False,
    elsewhere: Sequence[str] = (),
) -> list[Message]:
    """What the playbook would say of this inventory.

    :param elsewhere: groups whose members are in other slices.
    """
    hosts = {host: {"mesh_context": host, **variables} for host, variables in (hosts or HOSTS).items()}
    groups = {"all", "ungrouped", *elsewhere, *(group for given in hosts.values() for group in given["group_names"])}
    clusters = {host: contract({"inventory_hostname": host, **variables}) for host, variables in hosts.items()}
    # In the order of a play over both groups.
    members = [
        host for group in ("mesh_servers", "mesh_clients") for host in clusters if group in clusters[host]["groups"]
    ]
    given_links = [link()] if links is None else links
    everybody = contract({"inventory_hostname": "localhost", "mesh_links": given_links, **(shared or {})})
    return list(
        check_inventory(
            {host: clusters[host] for host in members},
            frozenset(groups),
            everybody,
            datetime.now(UTC),
            prune_all=prune_all,
        )
    )


def inventory_errors(*arguments: Any, **named: Any) -> list[str]:
    """The same as lines."""
    return list(map(str, inventory_messages(*arguments, **named)))


def cluster(**variables: Any) -> dict[str, Json]:
    """The inventory with variables of the client's cluster."""
    return {**HOSTS, "cluster-a": {**HOSTS["cluster-a"], **variables}}


def locked(namespaces: list[Any], *cidrs: Any, **others: Any) -> dict[str, Json]:
    return cluster(mesh_egress_lockdown=namespaces, mesh_cluster_cidrs=list(cidrs) or ["10.0.0.0/8"], **others)


class Bad(NamedTuple):
    """A fault of the one link: what is changed, and what the line says."""

    rule: str
    field: str
    value: str
    fix: str
    changes: dict[Any, Any]


BACKEND_OK = {"host": "mysql.default.svc.cluster.local", "port": 3306}
LONG_LABEL = "a" * 64

AN_SNI = "db.example.net"
EXTERNAL_OK = {"address": "db.example.net", "port": 13306, "ca": "/srv/crossmesh/mysql"}
EXTERNAL = {"tls_port": None, "backend": None, "external": EXTERNAL_OK}
ROOT = make_root()
ROOT_PEM = ROOT.view.pem
# Put together, so that no file of the collection looks like one that holds a key.
WITH_KEY = f"-----BEGIN {'PRIVATE'} KEY-----"
ENDED = strange_root(lasts=10 * DAY).view.pem
LEAF_PEM = make_leaf(ROOT, sans=["db.example.net"]).certificate_pem


def external(**changes: Any) -> Json:
    """A link to an external server, with some of what is said of it changed."""
    return {**EXTERNAL, "external": {**EXTERNAL_OK, **changes}}


def served(**changes: Any) -> Json:
    """A link whose one server is said more of."""
    return {"servers": [{"name": "cluster-b", **changes}]}


def retried(policies: str) -> Json:
    return {"protocol": "http", "retries": {"attempts": 1, "retry_on": policies}}


def accounts(*names: Any) -> Json:
    return {"workloads": {"service_accounts": list(names)}}


PROBED: Json = {"type": "mysql", "from": {"namespace": "shop", "selector": {"app": "web"}}}


def probed(**changes: Any) -> Json:
    """A link whose server is asked something, with some of that changed."""
    return {"probe": {**PROBED, **changes}}


def asked_from(**changes: Any) -> Json:
    return probed(**{"from": {**PROBED["from"], **changes}})


BAD_LINKS: list[Bad] = [
    # The name
    Bad("missing", "name", "missing", "name: mysql", {"name": None}),
    Bad("type", "name", "7", "write a string", {"name": 7}),
    Bad("type", "name", "['mysql']", "write a string", {"name": ["mysql"]}),
    Bad("link-name", "name", "''", "lower-case letters", {"name": ""}),
    Bad("link-name", "name", "'MySQL'", "lower-case letters", {"name": "MySQL"}),
    Bad("link-name", "name", "'my_sql'", "lower-case letters", {"name": "my_sql"}),
    Bad("link-name", "name", "'-mysql'", "letter or digit", {"name": "-mysql"}),
    Bad("link-name", "name", "'mysql-'", "letter or digit", {"name": "mysql-"}),
    Bad("link-name", "name", "'my.sql'", "lower-case letters", {"name": "my.sql"}),
    Bad("link-name", "name", "'mysql\\n'", "lower-case letters", {"name": "mysql\n"}),
    Bad("link-name", "name", repr("a" * 41), "lower-case letters", {"name": "a" * 41}),
    Bad("reserved-name", "name", "'client'", "client-link", {"name": "client"}),
    Bad("reserved-name", "name", "'sql-client'", "sql-client-link", {"name": "sql-client"}),
    # The FQDN
    Bad("missing", "fqdn", "missing", "fqdn: mysql.server.example.com", {"fqdn": None}),
    Bad("type", "fqdn", "{'a': ...}", "write a string", {"fqdn": {"a": 1}}),
    Bad("fqdn", "fqdn", "'*.example.com'", "the name that workloads dial", {"fqdn": "*.example.com"}),
    Bad("fqdn", "fqdn", "'MySQL.example.com'", "write mysql.example.com", {"fqdn": "MySQL.example.com"}),
    Bad("fqdn", "fqdn", "'mysql.example.com.'", "write mysql.example.com", {"fqdn": "mysql.example.com."}),
    Bad("fqdn", "fqdn", "'203.0.113.7'", "a DNS name", {"fqdn": "203.0.113.7"}),
    Bad("fqdn", "fqdn", "'2001:db8::7'", "a DNS name", {"fqdn": "2001:db8::7"}),
    Bad("fqdn", "fqdn", "'mysql'", "mysql.server.example.com", {"fqdn": "mysql"}),
    Bad("fqdn", "fqdn", "'my_sql.example.com'", "letters, digits and hyphens", {"fqdn": "my_sql.example.com"}),
    Bad("fqdn", "fqdn", "'mysql..example.com'", "letters, digits and hyphens", {"fqdn": "mysql..example.com"}),
    Bad("fqdn", "fqdn", "'mysql.exämple.com'", "letters, digits and hyphens", {"fqdn": "mysql.exämple.com"}),
    Bad("fqdn", "fqdn", LONG_LABEL, "letters, digits and hyphens", {"fqdn": f"{LONG_LABEL}.com"}),
    Bad("fqdn", "fqdn", "a.a.a", "letters, digits and hyphens", {"fqdn": "a." * 127 + "com"}),
    Bad("fqdn", "fqdn", "'a.b.svc.cluster.local'", "outside of cluster.local", {"fqdn": "a.b.svc.cluster.local"}),
    Bad("fqdn", "fqdn", "'cluster.local'", "outside of cluster.local", {"fqdn": "cluster.local"}),
    *(
        Bad("fqdn", "fqdn", repr(fqdn), "last label", {"fqdn": fqdn})
        for fqdn in ("mysql.server.123", "203.0.113.777", "MySQL.server.0.")
    ),
    # The ports
    Bad("missing", "port", "missing", "port: 3306", {"port": None}),
    Bad("type", "port", "'33o6'", "without quotes", {"port": "33o6"}),
    Bad("type", "port", "True", "write a whole number", {"port": True}),
    Bad("type", "port", "3306.0", "write a whole number", {"port": 3306.0}),
    Bad("port", "port", "0", "from 1 to 65535", {"port": 0}),
    Bad("port", "port", "-1", "from 1 to 65535", {"port": -1}),
    Bad("port", "port", "65536", "from 1 to 65535", {"port": 65536}),
    Bad("missing", "tls_port", "missing", "tls_port: 13306", {"tls_port": None}),
    Bad("type", "tls_port", "'x'", "write a whole number", {"tls_port": "x"}),
    Bad("port", "tls_port", "70000", "from 1 to 65535", {"tls_port": 70000}),
    Bad("proxy-port", "tls_port", "15021", "another port", {"tls_port": 15021}),
    Bad("same-port", "tls_port", "13306", "e.g. 13307", {"port": 13306}),
    Bad("same-port", "tls_port", "9000", "e.g. 19000", {"port": 9000, "tls_port": 9000}),
    # The protocol and the state
    Bad("choice", "protocol", "'udp'", "write one of tcp, http", {"protocol": "udp"}),
    Bad("choice", "protocol", "'tpc'", "write tcp", {"protocol": "tpc"}),
    Bad("choice", "protocol", "'https'", "write http", {"protocol": "https"}),
    Bad("requests-only", "timeout", "'5s'", "protocol", {"timeout": "5s"}),
    Bad("requests-only", "retries", "{'attempts': ...}", "protocol", {"retries": {"attempts": 2}}),
    Bad("duration", "timeout", "'5'", "e.g. 15s", {"protocol": "http", "timeout": "5"}),
    Bad("duration", "timeout", "'25h'", "e.g. 15s", {"protocol": "grpc", "timeout": "25h"}),
    Bad("type", "timeout", "5", "write a string", {"protocol": "http", "timeout": 5}),
    Bad("missing", "retries.attempts", "missing", "attempts: 2", {"protocol": "http", "retries": {}}),
    Bad("type", "retries", "2", "write a mapping", {"protocol": "http", "retries": 2}),
    Bad("retries", "retries.attempts", "11", "2 is usual", {"protocol": "http", "retries": {"attempts": 11}}),
    Bad("retries", "retries.attempts", "-1", "2 is usual", {"protocol": "http", "retries": {"attempts": -1}}),
    Bad(
        "duration",
        "retries.per_try_timeout",
        "'1.5s'",
        "e.g. 15s",
        {"protocol": "http", "retries": {"attempts": 1, "per_try_timeout": "1.5s"}},
    ),
    Bad(
        "retries",
        "retries.retry_on",
        "' 504'",
        "commas",
        {"protocol": "http", "retries": {"attempts": 1, "retry_on": "503, 504"}},
    ),
    *(
        Bad("retries", "retries.retry_on", repr(policy), fix, retried(f"reset,{policy},503"))
        for policy, fix in (
            ("conect-failure", "write connect-failure"),
            ("Retriable-4xx", "write retriable-4xx"),
            ("canceled", "write cancelled"),
            ("999", "write HTTP status codes or any of 5xx, gateway-error"),
            ("99", "HTTP status codes"),
            ("306", "HTTP status codes"),
            ("5O3", "HTTP status codes"),
            ("", "HTTP status codes"),
        )
    ),
    Bad(
        "unknown-key",
        "retries.attemps",
        "unknown key",
        "write attempts",
        {"protocol": "http", "retries": {"attempts": 1, "attemps": 1}},
    ),
    Bad("type", "protocol", "6", "write a string", {"protocol": 6}),
    Bad("choice", "state", "'Absent'", "write absent", {"state": "Absent"}),
    Bad("type", "state", "False", "write a string", {"state": False}),
    # The backend
    Bad("missing", "backend", "missing", "backend: {host:", {"backend": None}),
    Bad("type", "backend", "'mysql:3306'", "write a mapping", {"backend": "mysql:3306"}),
    Bad("missing", "backend.host", "missing", "host: mysql.default", {"backend": {"port": 3306}}),
    Bad("missing", "backend.port", "missing", "port: 3306", {"backend": {"host": BACKEND_OK["host"]}}),
    Bad("type", "backend.port", "'33o6'", "without quotes", {"backend": {**BACKEND_OK, "port": "33o6"}}),
    Bad("port", "backend.port", "0", "from 1 to 65535", {"backend": {**BACKEND_OK, "port": 0}}),
    Bad("backend-host", "backend.host", "'mysql'", "SERVICE.NAMESPACE", {"backend": {**BACKEND_OK, "host": "mysql"}}),
    Bad(
        "backend-host",
        "backend.host",
        "'mysql.default.svc'",
        "SERVICE.NAMESPACE",
        {"backend": {**BACKEND_OK, "host": "mysql.default.svc"}},
    ),
    Bad(
        "backend-host",
        "backend.host",
        "'db.example.com'",
        "SERVICE.NAMESPACE",
        {"backend": {**BACKEND_OK, "host": "db.example.com"}},
    ),
    Bad("unknown-key", "backend.ports", "unknown key", "write port", {"backend": {**BACKEND_OK, "ports": 1}}),
    Bad("backend-port-exposed", "tls_port", "3306", "allow_backend_port", {"port": 3307, "tls_port": 3306}),
    # Who serves and who dials
    Bad("type", "servers", "'cluster-b'", "write a list", {"servers": "cluster-b"}),
    Bad("reference", "servers", "7", "{name, address, locality}", {"servers": [7]}),
    Bad("unknown-cluster", "servers", "'cluster-x'", "write cluster-", {"servers": ["cluster-x"]}),
    Bad("unknown-cluster", "servers", "'paris'", "one of cluster-a, cluster-b", {"servers": ["paris"]}),
    Bad("unknown-cluster", "servers", "'mesh_server'", "write mesh_servers", {"servers": ["mesh_server"]}),
    Bad("missing", "servers.name", "missing", "name: cluster-b", {"servers": [{"address": "203.0.113.7"}]}),
    Bad(
        "unknown-key",
        "servers.adress",
        "unknown key",
        "write address",
        {"servers": [{"name": "cluster-b", "adress": "203.0.113.7"}]},
    ),
    Bad(
        "server-address",
        "servers.address",
        "'203.0.113.7:443'",
        "IP address",
        {"servers": [{"name": "cluster-b", "address": "203.0.113.7:443"}]},
    ),
    *(
        Bad("server-address", "servers.address", repr(address)[:77], "last label", served(address=address))
        for address in ("203.0.113.777", "mysql.123", "7", "lb..example.com", "fe80::1%eth0", ".".join(["a"] * 128))
    ),
    *(
        Bad("locality", "servers.locality", repr(locality), "one to three names", served(locality=locality))
        for locality in ("/", "a/", "/b", "a//c", "a/b/c/d", "a/b/c/d//", "a b", "a/b\n")
    ),
    Bad(
        "two-values",
        "servers",
        "'cluster-b'",
        "keep one",
        {"servers": ["cluster-b", {"name": "cluster-b", "address": "203.0.113.7"}]},
    ),
    Bad("type", "clients", "{'name': ...}", "write a list", {"clients": {"name": "cluster-a"}}),
    Bad("reference", "clients", "{'name': ...}", "the name of a cluster", {"clients": [{"name": "cluster-a"}]}),
    Bad("unknown-cluster", "clients", "'clusterA'", "write cluster-a", {"clients": ["clusterA"]}),
    Bad("wrong-group", "servers", "'cluster-a'", "mesh_servers", {"servers": ["cluster-a", "cluster-b"]}),
    Bad("wrong-group", "clients", "'cluster-b'", "mesh_clients", {"servers": [], "clients": ["cluster-b"]}),
    Bad(
        "both-sides",
        "clients",
        "'cluster-b'",
        "one of the two",
        {"servers": ["cluster-b"], "clients": ["cluster-b"]},
    ),
    Bad(
        "both-sides",
        "clients",
        "'cluster-b'",
        "a group in clients",
        {"servers": ["mesh_servers"], "clients": ["cluster-b"]},
    ),
    Bad("no-server", "servers", "[]", "remove servers", {"servers": []}),
    # The workloads
    Bad("type", "workloads", "['shop']", "write a mapping", {"workloads": ["shop"]}),
    Bad("unknown-key", "workloads.namespace", "unknown key", "write namespaces", {"workloads": {"namespace": "shop"}}),
    Bad("type", "workloads.namespaces", "'shop'", "write a list", {"workloads": {"namespaces": "shop"}}),
    Bad("workloads", "workloads", "{}", "namespaces or service_accounts", {"workloads": {}}),
    Bad("workloads", "workloads", "{'namespaces': ...}", "or remove workloads", {"workloads": {"namespaces": []}}),
    Bad("workloads", "workloads.namespaces", "'Shop'", "NAMESPACE", {"workloads": {"namespaces": ["Shop"]}}),
    Bad("workloads", "workloads.namespaces", "'a/b'", "NAMESPACE", {"workloads": {"namespaces": ["a/b"]}}),
    Bad("workloads", "workloads.namespaces", "7", "NAMESPACE", {"workloads": {"namespaces": [7]}}),
    *(
        Bad("workloads", "workloads.namespaces", repr(name), "a DNS label", {"workloads": {"namespaces": [name]}})
        for name in ("shop.eu", "a..b", "", "-a", "a-", "a\n", LONG_LABEL)
    ),
    *(
        Bad("workloads", "workloads.service_accounts", repr(name)[:77], "NAMESPACE", accounts(name))
        for name in ("shop.eu/front", f"{LONG_LABEL}/front", "a..b/c", "shop/a..b", "shop/.a", "shop/a.", "shop/-a")
    ),
    *(
        Bad("workloads", "workloads.service_accounts", repr(name)[:77], "NAMESPACE", accounts(name))
        for name in ("shop/", "/front", "shop/a/b", f"shop/{'a' * 254}", "shop/a\n")
    ),
    Bad(
        "workloads",
        "workloads.service_accounts",
        "'reports'",
        "NAMESPACE/NAME",
        {"workloads": {"service_accounts": ["reports"]}},
    ),
    Bad(
        "workloads",
        "workloads.service_accounts",
        "'*/reports'",
        "NAMESPACE/NAME",
        {"workloads": {"service_accounts": ["*/reports"]}},
    ),
    # The probe
    Bad("type", "probe", "'mysql'", "write a mapping", {"probe": "mysql"}),
    Bad("missing", "probe.from", "missing", "write it", {"probe": {"type": "mysql"}}),
    Bad("missing", "probe.type", "missing", "write it", {"probe": {"from": PROBED["from"]}}),
    Bad("choice", "probe.type", "'mysqll'", "write mysql", probed(type="mysqll")),
    Bad("unknown-key", "probe.patj", "unknown key", "write path", probed(patj="/")),
    Bad("type", "probe.status", "200", "write a string", probed(type="http", status=200)),
    Bad("type", "probe.required", "'x'", "true or false", probed(required="x")),
    Bad("probe-type", "probe.type", "'mysql'", "write http", {**probed(), "protocol": "http"}),
    Bad("probe-type", "probe.type", "'tcp'", "grpc for", {**probed(type="tcp"), "protocol": "grpc"}),
    Bad("probe-type", "probe.type", "'grpc'", "write http", {**probed(type="grpc"), "protocol": "http"}),
    Bad("probe", "probe.path", "'/'", "remove it", probed(path="/")),
    Bad("probe", "probe.banner", "'SSH'", "correct the type", probed(type="http", banner="SSH")),
    Bad("probe", "probe.service", "'a.B'", "remove it", probed(type="tcp", service="a.B")),
    *(
        Bad("probe", "probe.path", repr(path)[:77], "like /healthz", probed(type="http", path=path))
        for path in ("", "healthz", "-o/tmp/x", "/a b", "/a\n", "/\u00e4", "/a\r\nHost: x", f"/{'a' * 512}", "//a\x00")
    ),
    *(
        Bad("probe", "probe.status", repr(status), "200-399", probed(type="http", status=status))
        for status in ("", "200-", "399-200", "2xx", "99", "600", "200,204", "200\n")
    ),
    *(
        Bad("probe", "probe.service", repr(service)[:77], "shop.Orders", probed(type="grpc", service=service))
        for service in ("a b", ".a", "a.", "a;b", "$(a)", "1a", "a" * 201, "a\n")
    ),
    *(
        Bad("probe", "probe.banner", repr(banner)[:77], "sends first", probed(type="tcp", banner=banner))
        for banner in ("", "a\nb", "a" * 101)
    ),
    *(
        Bad("probe-from", "probe.from.namespace", repr(name), "as in Kubernetes", asked_from(namespace=name))
        for name in ("", "Shop", "a/b", "a\n")
    ),
    Bad("probe-from", "probe.from.container", "'-it'", "as in Kubernetes", asked_from(container="-it")),
    Bad(
        "probe-from",
        "probe.from.container",
        "is the proxy's",
        "of the application",
        asked_from(container="istio-proxy"),
    ),
    Bad("probe-from", "probe.from.selector", "{}", "{app: web}", asked_from(selector={})),
    *(
        Bad("probe-from", "probe.from.selector", "{", "{app: web}", asked_from(selector=selector))
        for selector in ({"a": "b,c=d"}, {"a,b": "c"}, {"a": 1}, {1: "a"}, {"a/b/c": "d"}, {"-a": "b"}, {"a": "b" * 64})
    ),
    Bad("missing", "probe.from.selector", "missing", "write it", probed(**{"from": {"namespace": "shop"}})),
    # An external server
    Bad("external-only", "tls_port", "13307", "remove it", {**EXTERNAL, "tls_port": 13307}),
    Bad("external-only", "servers", "['cluster-b']", "remove it", {**EXTERNAL, "servers": ["cluster-b"]}),
    Bad("external-only", "strict_backend", "True", "remove it", {**EXTERNAL, "strict_backend": True}),
    Bad("type", "external", "'db.example.net'", "write a mapping", {"external": "db.example.net"}),
    Bad("missing", "external.address", "missing", "db.example.net", external(address=None)),
    Bad("external-address", "external.address", "'db_1'", "IP address", external(address="db_1")),
    Bad("external-address", "external.sni", "'203.0.113.7'", "a DNS name", external(sni="203.0.113.7")),
    *(
        Bad("external-address", f"external.{key}", repr(value), "last label", external(**{key: value}))
        for key in ("address", "sni")
        for value in ("203.0.113.777", "db.example.123")
    ),
    Bad("missing", "external.port", "missing", "port: 13306", external(port=None)),
    Bad("port", "external.port", "0", "from 1 to 65535", external(port=0)),
    Bad("same-port", "external.port", "3306", "13306", external(port=3306)),
    Bad("unknown-key", "external.host", "unknown key", "remove it", external(host="a")),
    Bad("external-trust", "external", "missing", "ca: DIRECTORY", external(ca=None)),
    Bad("external-trust", "external", "ca and trust", "ca: DIRECTORY", external(trust=ROOT_PEM)),
    *(
        Bad("external-trust", "external.ca", repr(path), "absolute path", external(ca=path))
        for path in ("certs", "/", "//", "/srv/../etc", "/srv/\0")
    ),
    Bad("external-trust", "external.trust", "a private key, not shown", "in PEM", external(ca=None, trust=WITH_KEY)),
    Bad("external-trust", "external.trust", "'/etc/ca.pem'", "in PEM", external(ca=None, trust="/etc/ca.pem")),
    Bad("external-trust", "external.trust", "BEGIN", "in PEM", external(ca=None, trust=LEAF_PEM)),
    *(
        Bad("external-trust", "external.trust", why, "in PEM", external(ca=None, trust=root.view.pem))
        for root, why in (
            (strange_root(CODE_SIGNING), "has an extended key usage without serverAuth"),
            (strange_root(CLIENTS_ONLY), "has an extended key usage without serverAuth"),
            (strange_root(UNKNOWN_CRITICAL), "critical extension that verifiers do not know: 1.2.3.4.5"),
            (strange_root(key=rsa.generate_private_key(65537, 1024)), "a key that is too weak: RSA-1024"),
        )
    ),
    *(
        Bad(
            "external-trust",
            "external.trust",
            "allows no certificate for db.example.net",
            "set sni",
            external(ca=None, trust=strange_root(bounds).view.pem, sni="db.example.net"),
        )
        for bounds in (permits("example.com"), excludes("example.net"))
    ),
    # Clients of others
    Bad("type", "foreign_clients", "'a.example.com'", "write a list", {"foreign_clients": "a.example.com"}),
    Bad(
        "foreign-client",
        "foreign_clients",
        "'*.example.com'",
        "without wildcards",
        {"foreign_clients": ["*.example.com"]},
    ),
    Bad("foreign-client", "foreign_clients", "'203.0.113.7'", "DNS name or URI", {"foreign_clients": ["203.0.113.7"]}),
    Bad("foreign-client", "foreign_clients", "5", "DNS name or URI", {"foreign_clients": [5]}),
    # The rest
    Bad("type", "addresses", "'240.0.0.1'", "write a list", {"addresses": "240.0.0.1"}),
    Bad("address", "addresses", "'240.0.0'", "e.g. 240.0.0.10", {"addresses": ["240.0.0"]}),
    Bad("address", "addresses", "'240.0.0.0/24'", "e.g. 240.0.0.10", {"addresses": ["240.0.0.0/24"]}),
    Bad("address", "addresses", "4026531841", "e.g. 240.0.0.10", {"addresses": [4026531841]}),
    Bad("address", "addresses", "'fe80::1%eth0'", "e.g. 240.0.0.10", {"addresses": ["fe80::1%eth0"]}),
    *(
        Bad("address", "addresses", repr(address), "e.g. 240.0.0.10", {"addresses": ["240.0.0.1", address]})
        for address in (
            *("0.0.0.0", "127.0.0.1", "127.9.9.9", "224.0.0.1", "239.255.255.255", "169.254.169.254", "240.240.0.10"),
            *("::", "::1", "ff02::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:240.240.0.1", "2001:2::f0f0:1"),
        )
    ),
    *(
        Bad("address", "addresses", repr(twice[-1]), "remove one", {"addresses": list(twice)})
        for twice in (("240.0.0.1", "240.0.0.2", "240.0.0.1"), ("2001:db8::1", "2001:DB8:0::1"))
    ),
    Bad("type", "strict_backend", "'maybe'", "true or false", {"strict_backend": "maybe"}),
    Bad("type", "max_connection_duration", "3600", "e.g. 1h", {"max_connection_duration": 3600}),
    *(
        Bad("duration", "max_connection_duration", repr(value), "e.g. 1h", {"max_connection_duration": value})
        for value in ("", "0s", "1", "1.5h", "1h30m", "500ms", "1d", "-1h", " 1h", "1H", "٣h", "8761h", "31536001s")
    ),
    Bad("type", "allow_backend_port", "2", "true or false", {"allow_backend_port": 2}),
    Bad("unknown-key", "tlsport", "unknown key", "write tls_port", {"tlsport": 13306}),
    Bad("unknown-key", "backends", "unknown key", "write backend", {"backends": []}),
    Bad("unknown-key", "colour", "unknown key", "name, fqdn", {"colour": "red"}),
    Bad("unknown-key", "5", "unknown key", "remove it", {5: 1}),
]


@pytest.mark.parametrize("bad", BAD_LINKS, ids=lambda bad: f"{bad.rule}-{bad.field}-{bad.value[:20]}")
def test_a_fault_of_a_link_is_told_with_link_field_value_and_fix(bad: Bad) -> None:
    faulty = {**link(), **bad.changes}
    name = faulty["name"] if isinstance(faulty["name"], str) and faulty["name"] else "mesh_links[0]"
    (found,) = [message for message in inventory_messages([faulty]) if message.code == bad.rule]
    # A message shows a newline as two characters.
    assert (found.level, found.where.encode().decode("unicode_escape")) == ("error", f"{name}: {bad.field}")
    assert bad.value in found.what
    assert bad.fix in found.fix


class Wrong(NamedTuple):
    """A fault beside the links."""

    rule: str
    start: str
    fix: str
    arguments: Json


# What the name mysql becomes in the default range.
VIP = view([link()], {**CLIENT, "mesh_dns": "capture"})["client"]["links"][0]["addresses"][0]
AT_7 = [{"name": "cluster-b", "address": "203.0.113.7"}]

BOTH_GROUPS = {"group_names": ["mesh_clients", "mesh_servers"]}
IN_EU = {"group_names": ["mesh_servers", "eu"]}
LIFETIME = "make it shorter than custom_ca_leaf_validity_days"

WRONG: list[Wrong] = [
    # A cluster on both sides, and a group without a cluster
    Wrong(
        "both-sides",
        "mysql: clients: 'cluster-a'",
        "mesh_servers",
        {"links": [link(clients=["cluster-a"])], "hosts": {**HOSTS, "cluster-a": BOTH_GROUPS}},
    ),
    Wrong(
        "both-sides",
        "mysql: clients: 'cluster-c'",
        "one of the two lists",
        {
            "links": [link(clients=["cluster-c"], servers=["all"])],
            "shared": {
                "mesh_clusters": {
                    "cluster-a": ["mesh_clients"],
                    "cluster-b": ["mesh_servers"],
                    "cluster-c": ["mesh_clients", "mesh_servers"],
                }
            },
        },
    ),
    Wrong(
        "server-address",
        "mysql: servers.name: 'eu'",
        "each cluster",
        {
            "links": [link(**served(name="eu", address="203.0.113.7"))],
            "hosts": {**HOSTS, "cluster-c": IN_EU, "cluster-d": IN_EU},
        },
    ),
    Wrong(
        "no-server",
        "mesh_links: link-1, mysql",
        "mesh_clusters",
        {
            "links": [link(), numbered(1, servers=["eu"]), numbered(2, **EXTERNAL)],
            "hosts": {"cluster-a": HOSTS["cluster-a"]},
            "elsewhere": ["eu"],
        },
    ),
    # What decides about certificates
    Wrong("ca-key-type", "custom_ca: custom_ca_key_type: ''", "choose one", {"shared": {"custom_ca_key_type": ""}}),
    Wrong(
        "type",
        "custom_ca: custom_ca_leaf_validity_days: 'soon'",
        "e.g. 90",
        {"hosts": cluster(custom_ca_leaf_validity_days="soon")},
    ),
    Wrong(
        "ca-leaf-validity",
        "custom_ca: custom_ca_leaf_validity_days: 4000",
        "shorter than custom_ca_validity_days",
        {"shared": {"custom_ca_leaf_validity_days": 4000}},
    ),
    Wrong(
        "type", "custom_ca: custom_ca_validity_days: 'ten'", "e.g. 3650", {"shared": {"custom_ca_validity_days": "ten"}}
    ),
    Wrong(
        "type",
        "custom_ca: custom_ca_renew_before_days: True",
        "e.g. 30",
        {"shared": {"custom_ca_renew_before_days": True}},
    ),
    Wrong(
        "ca-key-type",
        "custom_ca: custom_ca_key_type: ['P-256']",
        "choose one",
        {"shared": {"custom_ca_key_type": ["P-256"]}},
    ),
    Wrong(
        "ca-validity", "custom_ca: custom_ca_validity_days: 0", "3650 days", {"shared": {"custom_ca_validity_days": 0}}
    ),
    Wrong(
        "ca-leaf-validity",
        "custom_ca: custom_ca_leaf_validity_days: 0",
        "shorter than",
        {"shared": {"custom_ca_leaf_validity_days": 0, "custom_ca_renew_before_days": 0}},
    ),
    Wrong(
        "ca-renew-before",
        "custom_ca: custom_ca_renew_before_days: 120",
        LIFETIME,
        {"hosts": cluster(custom_ca_renew_before_days="120")},
    ),
    # What one run is told
    Wrong("type", "mesh_adopt: 2", "write true or false", {"shared": {"mesh_adopt": 2}}),
    Wrong("type", "mesh_prune_all: 'perhaps'", "write true or false", {"shared": {"mesh_prune_all": "perhaps"}}),
    Wrong("type", "mesh_adopt: '2'", "write true or false", {"hosts": cluster(mesh_adopt="2")}),
    # The list of links
    Wrong("links-undefined", "mesh_links: undefined", "mesh_prune_all=true", {"shared": {"mesh_links": None}}),
    Wrong("type", "mesh_links: {}", "write a list", {"links": {}}),
    Wrong("type", "mesh_links: 'mysql'", "write a list", {"links": "mysql"}),
    Wrong("type", "mesh_links[1]: link: 'mysql'", "write a mapping", {"links": [link(), "mysql"]}),
    Wrong("type", "mesh_links[0]: link: None", "write a mapping", {"links": [None, link()]}),
    Wrong("prunes-everything", "mesh_links: []", "mesh_prune_all=true", {"links": []}),
    Wrong("prunes-everything", "mesh_links: 0 links", "mesh_prune_all=true", {"links": [link(state="absent")]}),
    Wrong(
        "prunes-everything",
        "mesh_links: 1 links",
        "mesh_servers and mesh_clients",
        {
            "hosts": {"cluster-a": {"group_names": ["mesh_clients"], "mesh_cluster_state": "absent"}},
            "elsewhere": ["mesh_servers"],
        },
    ),
    Wrong(
        "duplicate-name",
        "mysql: name: 'mysql'",
        "unique",
        {"links": [link(), link(fqdn="other.example.com", port=3307, tls_port=13307)]},
    ),
    Wrong(
        "duplicate-fqdn",
        "mysql: fqdn: 'mysql.server.example.com'",
        "unique",
        {"links": [link(), link(name="other", port=3307)]},
    ),
    Wrong("shared-port", "mysql: port: 3306", "addresses: [240.0.0.10]", {"links": [link(), numbered(1, port=3306)]}),
    Wrong("shared-port", "mysql: port: 3306", "different ports", {"links": [link(), numbered(1, port=3306)]}),
    Wrong(
        "shared-port",
        "link-1: port: 3306",
        "external.address",
        {"links": [link(), numbered(1, port=3306, **external(address="link-1.server.example.com"))]},
    ),
    Wrong(
        "shared-address",
        "link-1: addresses: 240.0.0.1",
        "addresses of its own",
        {"links": [link(addresses=["240.0.0.1"]), numbered(1, port=3306, addresses=["240.0.0.1"])]},
    ),
    Wrong(
        "shared-address",
        "link-1: addresses: 2001:db8::1",
        "addresses of its own",
        {"links": [link(addresses=["2001:db8::1"]), numbered(1, port=3306, addresses=["2001:DB8:0::1"])]},
    ),
    Wrong(
        "two-values",
        "link-1: external.ca: '/srv/crossmesh/mysql'",
        "another directory",
        {"links": [link(**EXTERNAL), numbered(1, **EXTERNAL)]},
    ),
    Wrong(
        "external-sni",
        "mysql: external.sni: 'link-1.server.example.com': is the fqdn of link link-1",
        "remove sni",
        {"links": [link(**external(sni="link-1.server.example.com")), numbered(1)]},
    ),
    Wrong(
        "external-trust-ended",
        "mysql: external.trust: CN=Somebody's Root: has ended at 20",
        "from the server's owner",
        {"links": [link(**external(ca=None, trust=ENDED + make_root(validity=DAY).view.pem))]},
    ),
    Wrong(
        "virtual-endpoint",
        "mysql: servers: ['mysql.server.example.com']",
        "servers: [{name: CLUSTER, address: ",
        {
            "links": [link(servers=[{"name": "cluster-b", "address": "mysql.server.example.com"}])],
            "hosts": cluster(mesh_dns="virtual"),
        },
    ),
    Wrong(
        "virtual-endpoint",
        "mysql: external.address: 'mysql.server.example.com'",
        "IP address",
        {"links": [link(**external(address="mysql.server.example.com"))], "hosts": cluster(mesh_dns="virtual")},
    ),
    *(
        Wrong(
            "virtual-endpoint",
            start,
            fix,
            {"links": [link(**changes), numbered(1, servers=AT_7)], "hosts": cluster(mesh_dns="virtual")},
        )
        for changes, start, fix in (
            (
                {"servers": [{"name": "cluster-b", "address": "link-1.server.example.com"}]},
                "mysql: servers: ['link-1.server.example.com']",
                "servers: [{name: CLUSTER, address: ",
            ),
            (
                external(address="link-1.server.example.com"),
                "mysql: external.address: 'link-1.server.example.com'",
                "IP address",
            ),
        )
    ),
    Wrong(
        "lockdown",
        "cluster-b: mesh_egress_lockdown: ['shop']",
        "mesh_clients",
        {
            "hosts": {
                **HOSTS,
                "cluster-b": {
                    **HOSTS["cluster-b"],
                    "mesh_egress_lockdown": ["shop"],
                    "mesh_cluster_cidrs": ["10.0.0.0/8"],
                },
            }
        },
    ),
    Wrong(
        "virtual-endpoint",
        "mysql: servers: ['cluster-b']",
        "servers: [{name: CLUSTER, address: ",
        {"links": [link(servers=["cluster-b"])], "hosts": cluster(mesh_dns="virtual")},
    ),
    Wrong(
        "shared-address",
        f"link-1: addresses: {VIP}",
        "addresses of its own",
        {"links": [link(), numbered(1, port=3306, addresses=[VIP])], "hosts": cluster(mesh_dns="capture")},
    ),
    Wrong("choice", "cluster-a: mesh_dns: 'proxy'", "capture, virtual", {"hosts": cluster(mesh_dns="proxy")}),
    *(
        Wrong(
            "vip-range",
            f"mesh_vip_range: '{value}'",
            "240.0.0.0/9",
            {"shared": {"mesh_vip_range": value}},
        )
        for value in (
            "240.0.0.0",
            "240.0.0.1/8",
            "240.0.0.0/25",
            "240.0.0.0/4",
            "240.240.0.0/17",
            "2001:2::/32",
            "x",
            "",
        )
    ),
    Wrong(
        "prefix",
        "mesh_client_credential_prefix: 'credential'",
        "another name",
        {"shared": {"mesh_client_credential_prefix": "credential"}},
    ),
    Wrong(
        "too-many-links",
        "cluster-a: mesh_links: 501",
        "mesh_instance",
        {"links": [numbered(number) for number in range(501)]},
    ),
    # What all clusters share
    Wrong("instance", "mesh_instance: 'Blue'", "lower-case", {"shared": {"mesh_instance": "Blue"}}),
    Wrong("instance", "mesh_instance: ''", "lower-case", {"shared": {"mesh_instance": ""}}),
    Wrong("instance", "mesh_instance: 'aaaa", "lower-case", {"shared": {"mesh_instance": "a" * 31}}),
    Wrong("type", "mesh_instance: 5", "write a string", {"shared": {"mesh_instance": 5}}),
    Wrong("type", "mesh_gate_timeout: '60s'", "quotes", {"shared": {"mesh_gate_timeout": "60s"}}),
    Wrong("timeout", "mesh_gate_timeout: 0", "e.g. 60", {"shared": {"mesh_gate_timeout": 0}}),
    Wrong("wait", "mesh_gate_wait: -1", "e.g. 10", {"shared": {"mesh_gate_wait": -1}}),
    Wrong("wait", "mesh_gate_max_age: -1", "e.g. 10", {"shared": {"mesh_gate_max_age": -1}}),
    Wrong("limit", "mesh_api_timeout: 0", "seconds, e.g. 60", {"shared": {"mesh_api_timeout": 0}}),
    Wrong("limit", "mesh_api_max_bytes: 1000", "bytes, e.g. 67108864", {"shared": {"mesh_api_max_bytes": 1000}}),
    Wrong("limit", "mesh_cluster_timeout: -1", "seconds, e.g. 600", {"shared": {"mesh_cluster_timeout": -1}}),
    Wrong("unknown-link", "mesh_only_links: 'redis'", "mysql", {"shared": {"mesh_only_links": ["redis"]}}),
    Wrong(
        "unknown-link",
        "mesh_only_links: ['mysql']",
        "mysql",
        {"shared": {"mesh_only_links": [["mysql"]]}},
    ),
    Wrong(
        "lost-root-fingerprint",
        "custom_ca_lost_roots: 'AB:CD'",
        "openssl x509",
        {"shared": {"custom_ca_lost_roots": ["AB:CD"]}},
    ),
    Wrong("lost-root-fingerprint", "custom_ca_lost_roots: 5", "openssl", {"shared": {"custom_ca_lost_roots": [5]}}),
    Wrong("type", "custom_ca_lost_roots: 'ab'", "write a list", {"shared": {"custom_ca_lost_roots": "ab"}}),
    Wrong("type", "mesh_only_links: 'mysql'", "write a list", {"shared": {"mesh_only_links": "mysql"}}),
    Wrong(
        "prefix",
        "mesh_client_credential_prefix: 'A b'",
        "e.g. client-credential",
        {"shared": {"mesh_client_credential_prefix": "A b"}},
    ),
    Wrong(
        "prefix",
        "mesh_client_credential_prefix: 'egress-cacert'",
        "e.g. client-credential",
        {"shared": {"mesh_client_credential_prefix": "egress-cacert"}},
    ),
    Wrong(
        "prefix",
        "mesh_client_credential_prefix: 'mysql-credential'",
        "e.g. client-credential",
        {"shared": {"mesh_client_credential_prefix": "mysql-credential"}},
    ),
    Wrong("type", "mesh_clusters: ['cluster-a']", "a mapping", {"shared": {"mesh_clusters": ["cluster-a"]}}),
    Wrong(
        "type",
        "mesh_clusters: mesh_clusters.cluster-a: 'mesh_clients'",
        "{cluster-a: [mesh_clients]}",
        {"shared": {"mesh_clusters": {"cluster-a": "mesh_clients"}}},
    ),
    Wrong(
        "two-values",
        "cluster-b: mesh_clusters: ['mesh_clients']",
        "mesh_clusters",
        {"shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_clients"]}}},
    ),
    Wrong(
        "two-values",
        "cluster-b: mesh_clusters: ['cluster-a']",
        "mesh_clusters",
        {"shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"]}}},
    ),
    Wrong(
        "two-values",
        "cluster-a: mesh_instance: 'blue'",
        "once, in group_vars/all",
        {"shared": {"mesh_instance": "green"}, "hosts": cluster(mesh_instance="blue")},
    ),
    Wrong(
        "ca-trust-domain",
        "custom_ca_trust_domain: 'Mesh_Internal'",
        "e.g. crossmesh.internal",
        {"shared": {"custom_ca_trust_domain": "Mesh_Internal"}},
    ),
    Wrong(
        "type",
        "mesh_gate_timeout: '2m'",
        "on the command line -e '{\"mesh_gate_timeout\": ...}'",
        {"shared": {"mesh_gate_timeout": "2m"}},
    ),
    # Its lock-down
    Wrong("type", "cluster-a: mesh_egress_lockdown: 'shop'", "a list", {"hosts": cluster(mesh_egress_lockdown="shop")}),
    Wrong("type", "cluster-a: mesh_cluster_cidrs: '10/8'", "a list", {"hosts": cluster(mesh_cluster_cidrs="10/8")}),
    *(
        Wrong("lockdown", f"cluster-a: mesh_egress_lockdown: {namespaces[-1]!r}", fix, {"hosts": locked(namespaces)})
        for namespaces, fix in (
            (["Shop"], "e.g. shop"),
            (["shop", 7], "e.g. shop"),
            (["shop", "shop"], "remove one"),
            (["istio-system"], "remove it"),
        )
    ),
    Wrong(
        "lockdown",
        "cluster-a: mesh_egress_lockdown: 'edge'",
        "remove it",
        {"hosts": locked(["edge"], mesh_egress_gateway={"namespace": "edge"})},
    ),
    Wrong(
        "cluster-cidrs",
        "cluster-a: mesh_cluster_cidrs: []",
        "pods, Services, control plane and API server",
        {"hosts": cluster(mesh_egress_lockdown=["shop"])},
    ),
    *(
        Wrong("cluster-cidrs", f"cluster-a: mesh_cluster_cidrs: {cidr!r}", fix, {"hosts": locked(["shop"], cidr)})
        for cidr, fix in (
            ("10.0.0.0", "e.g. 10.0.0.0/16"),
            ("10.0.0.0/255.0.0.0", "e.g. 10.0.0.0/16"),
            ("10.0.0.0/33", "e.g. 10.0.0.0/16"),
            ("pods", "e.g. 10.0.0.0/16"),
            (10, "e.g. 10.0.0.0/16"),
            ("10.0.0.1/16", "write 10.0.0.0/16"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("0.0.0.0/0", "the cluster's own networks"),
            ("::/0", "the cluster's own networks"),
        )
    ),
    # One cluster
    Wrong("cluster-name", "A.B: mesh_cluster_name: 'A.B'", "lower-case", {"hosts": cluster(mesh_cluster_name="A.B")}),
    Wrong("type", "7: mesh_cluster_name: 7", "write a string", {"hosts": cluster(mesh_cluster_name=7)}),
    Wrong("cluster-name", "['a']: mesh_cluster_name: ['a']", "lower-case", {"hosts": cluster(mesh_cluster_name=["a"])}),
    Wrong(
        "duplicate-cluster",
        "cluster-b: mesh_cluster_name: 'cluster-b'",
        "a name of its own",
        {"hosts": cluster(mesh_cluster_name="cluster-b")},
    ),
    Wrong(
        "cluster-and-group",
        "payments: mesh_cluster_name: 'payments': is the name of a group as well",
        "another name",
        {
            "links": [link(clients=["payments"])],
            "hosts": {
                **HOSTS,
                "cluster-a": {"group_names": ["mesh_clients", "payments"]},
                "payments": {"group_names": ["mesh_clients"]},
            },
        },
    ),
    Wrong(
        "cluster-and-group",
        "cluster-a: mesh_cluster_name: 'cluster-a'",
        "another name",
        {"shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers", "cluster-a"]}}},
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_context: not set: cluster-b, cluster-a use one kubeconfig",
        "mesh_kubeconfig",
        {"hosts": {host: {**variables, "mesh_context": None} for host, variables in HOSTS.items()}},
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_context: not set",
        "mesh_context",
        {
            "hosts": {
                "cluster-a": {**HOSTS["cluster-a"], "mesh_context": None, "mesh_egress_lockdown": [""]},
                "cluster-b": {
                    **HOSTS["cluster-b"],
                    "mesh_context": None,
                    "mesh_ingress_gateway": {"namespace": "gateways", "service": "edge"},
                },
            }
        },
    ),
    Wrong(
        "same-cluster",
        "cluster-a: mesh_context: not set",
        "mesh_kubeconfig",
        {"hosts": {**cluster(mesh_context=None), "cluster-c": {"group_names": ["mesh_servers"]}}},
    ),
    Wrong(
        "same-cluster",
        "cluster-a: mesh_context: 'cluster-a': cluster-a, cluster-c",
        "mesh_kubeconfig",
        {
            "links": [link(clients=["cluster-a"]), numbered(1, clients=["cluster-c"])],
            "hosts": {**HOSTS, "cluster-c": {"group_names": ["mesh_clients"], "mesh_context": "cluster-a"}},
        },
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_context: 'cluster-b'",
        "gateways",
        {"hosts": cluster(mesh_context="cluster-b", mesh_ingress_gateway={"service": "istio-ingressgateway"})},
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_api_host: 'https://api.example'",
        "mesh_api_host",
        {
            "hosts": {
                host: {"group_names": v["group_names"], "mesh_api_host": "https://api.example"}
                for host, v in HOSTS.items()
            }
        },
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_api_host: not shown, as it may hold a password",
        "mesh_api_host",
        {
            "hosts": {
                host: {"group_names": v["group_names"], "mesh_api_host": "https://user:secret@api.example"}
                for host, v in HOSTS.items()
            }
        },
    ),
    Wrong(
        "same-cluster",
        "cluster-b: mesh_argocd_secret: 'argocd/b'",
        "set a different mesh_argocd_secret for each",
        {"hosts": {host: {**v, "mesh_context": "", "mesh_argocd_secret": "argocd/b"} for host, v in HOSTS.items()}},
    ),
    *(
        Wrong(
            "one-api-server",
            f"cluster-b: mesh_kubeconfig: {way!r}: leads cluster-b, cluster-a to one API server",
            "mesh_api_host",
            {
                "hosts": {
                    "cluster-a": {"group_names": ["mesh_clients"], "mesh_context": None, "mesh_kubeconfig": way},
                    "cluster-b": {
                        "group_names": ["mesh_servers"],
                        "mesh_context": None,
                        "mesh_kubeconfig": way,
                        "mesh_ingress_gateway": {"namespace": "gateways", "service": "edge"},
                    },
                }
            },
        )
        for way in ("environment", "in-cluster")
    ),
    Wrong(
        "mesh-trust-domain",
        "cluster-a: mesh_trust_domain: 'spiffe://prod'",
        "trustDomain",
        {"hosts": cluster(mesh_trust_domain="spiffe://prod")},
    ),
    Wrong("port", "cluster-a: mesh_egress_port: 0", "from 1 to 65535", {"hosts": cluster(mesh_egress_port=0)}),
    Wrong("type", "cluster-a: mesh_egress_port: True", "whole number", {"hosts": cluster(mesh_egress_port=True)}),
    Wrong(
        "proxy-port", "cluster-a: mesh_egress_port: 15001", "another port", {"hosts": cluster(mesh_egress_port=15001)}
    ),
    Wrong("choice", "cluster-a: mesh_cluster_state: 'gone'", "absent", {"hosts": cluster(mesh_cluster_state="gone")}),
    Wrong(
        "type", "cluster-a: mesh_egress_gateway: 'egress'", "mapping", {"hosts": cluster(mesh_egress_gateway="egress")}
    ),
    Wrong(
        "unknown-key",
        "cluster-a: mesh_egress_gateway.services: unknown key",
        "write service",
        {"hosts": cluster(mesh_egress_gateway={"services": "egress"})},
    ),
    Wrong(
        "gateway",
        "cluster-a: mesh_egress_gateway.namespace: ''",
        "gateway's namespace",
        {"hosts": cluster(mesh_egress_gateway={"namespace": ""})},
    ),
    Wrong(
        "gateway",
        "cluster-a: mesh_ingress_gateway.selector: {}",
        "{istio: ingressgateway}",
        {"hosts": cluster(mesh_ingress_gateway={"selector": {}})},
    ),
    Wrong(
        "gateway",
        "cluster-a: mesh_ingress_gateway.selector: {'istio': ...}",
        "{istio: ingressgateway}",
        {"hosts": cluster(mesh_ingress_gateway={"selector": {"istio": 1}})},
    ),
]


@pytest.mark.parametrize("value", [1, "1", 0, "0", True, "no"])
def test_a_switch_may_be_a_one_or_a_zero(value: Any) -> None:
    assert inventory_messages(shared={"mesh_adopt": value}, hosts=cluster(mesh_adopt=value)) == []


def test_a_cluster_alone_refuses_what_is_no_switch() -> None:
    assert resolve([link()], {**CLIENT, "mesh_adopt": True})["errors"] == []
    (line,) = resolve([link()], {**CLIENT, "mesh_adopt": 2})["errors"]
    assert line.startswith("mesh_adopt: 2: ")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.rule}-{wrong.start[:40]}")
def test_a_fault_beside_the_links_is_told_with_its_place_and_fix(wrong: Wrong) -> None:
    found = [message for message in inventory_messages(**wrong.arguments) if message.code == wrong.rule]
    assert [message for message in found if message.seen.startswith(wrong.start) and wrong.fix in message.fix]


# All that Istio's own validation knows (supportedRetryOnPolicies), for HTTP and for gRPC.
RETRIED = (
    "5xx,gateway-error,reset,reset-before-request,connect-failure,retriable-4xx,refused-stream,retriable-status-codes,"
    "retriable-headers,envoy-ratelimited,http3-post-connect-failure",
    "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable",
)

LASTING = {"custom_ca_validity_days": 7300, "custom_ca_leaf_validity_days": "3650", "custom_ca_renew_before_days": 90.0}

GOOD: list[tuple[str, Json]] = [
    ("lifetimes of somebody's own", {"shared": LASTING, "hosts": cluster(**LASTING)}),
    (
        "lifetimes of a cluster that leaves",
        {"hosts": cluster(custom_ca_leaf_validity_days=0, mesh_cluster_state="absent"), "prune_all": True},
    ),
    (
        "servers that are all in another slice",
        {"hosts": {"cluster-a": HOSTS["cluster-a"]}, "elsewhere": ["mesh_servers"]},
    ),
    (
        "servers that are declared, and in another slice",
        {
            "hosts": {"cluster-a": HOSTS["cluster-a"]},
            "shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]}},
        },
    ),
    ("external servers alone", {"links": [link(**EXTERNAL)], "hosts": {"cluster-a": HOSTS["cluster-a"]}}),
    ("a group that a slice has no member of", {"links": [link(servers=["eu"])], "elsewhere": ["eu"]}),
    (
        "a link that leaves, on both sides of a cluster",
        {
            "links": [link(), numbered(1, clients=["cluster-a"], state="absent")],
            "hosts": {**HOSTS, "cluster-a": BOTH_GROUPS},
        },
    ),
    (
        "a cluster that leaves, on both sides of a link",
        {
            "links": [link(clients=["cluster-a"])],
            "hosts": {**HOSTS, "cluster-a": {**BOTH_GROUPS, "mesh_cluster_state": "absent"}},
        },
    ),
    ("a group of one with an address", {"links": [link(**served(name="mesh_servers", address="203.0.113.7"))]}),
    ("no locality", {"links": [link(**served(locality=""))]}),
    ("a partner's name with a number in its last label", {"links": [link(foreign_clients=["host.7"])]}),
    ("an external server, and no servers", {"links": [link(**EXTERNAL, servers=[])]}),
    ("the reference", {}),
    ("every key", {"links": [link(protocol="tcp", servers=["cluster-b"], clients=["cluster-a"], state="present")]}),
    ("keys without a value", {"links": [link(state=None, addresses=None, servers=None, clients=None)]}),
    ("groups", {"links": [link(servers=["mesh_servers"], clients=["mesh_clients"])]}),
    ("the shortest connections", {"links": [link(max_connection_duration="1s")]}),
    ("the longest connections", {"links": [link(max_connection_duration="525600m")]}),
    ("an address", {"links": [link(servers=[{"name": "cluster-b", "address": "203.0.113.7", "locality": "eu/b"}])]}),
    ("a host name", {"links": [link(servers=[{"name": "cluster-b", "address": "lb.example.com"}])]}),
    ("the backend's port, said so", {"links": [link(port=3307, tls_port=3306, allow_backend_port=True)]}),
    (
        "one port, two addresses",
        {"links": [link(addresses=["240.0.0.1"]), numbered(1, port=3306, addresses=["240.0.0.2"])]},
    ),
    (
        "one port, sidecars that answer DNS",
        {"links": [link(), numbered(1, port=3306)], "hosts": cluster(mesh_dns="capture")},
    ),
    ("one port, servers with addresses", {"links": [link(servers=AT_7), numbered(1, port=3306, servers=AT_7)]}),
    (
        "virtual addresses, and servers with real ones",
        {"links": [link(servers=AT_7)], "hosts": cluster(mesh_dns="virtual")},
    ),
    (
        "a server at the name of a link that the cluster does not dial",
        {
            "links": [
                link(clients=["cluster-a"], **served(address="link-1.server.example.com")),
                numbered(1, clients=["cluster-c"], servers=AT_7),
            ],
            "hosts": {**cluster(mesh_dns="virtual"), "cluster-c": {"group_names": ["mesh_clients"]}},
        },
    ),
    (
        "a server at the name of another link, where nobody tells virtual addresses",
        {"links": [link(**served(address="link-1.server.example.com")), numbered(1)]},
    ),
    *(
        (f"the locality {locality}", {"links": [link(**served(locality=locality))]})
        for locality in ("eu", "europe-west1/b", "eu/eu-2/rack_7")
    ),
    ("a group without an address", {"links": [link(servers=[{"name": "mesh_servers"}])]}),
    ("a server's name with a number in its last label", {"links": [link(**served(address="lb.example.x1"))]}),
    ("a name of digits but for its last label", {"links": [link(fqdn="203.0.113.7x")]}),
    ("an external server at a name of digits", {"links": [link(**external(address="1.2.3.4x", sni="1.example"))]}),
    *((f"what Envoy tries again, {policies[:11]}", {"links": [link(**retried(policies))]}) for policies in RETRIED),
    ("status codes to try again", {"links": [link(**retried("100,404,503,511"))]}),
    ("a probe", {"links": [link(**probed())]}),
    ("a probe of an external server", {"links": [link(**EXTERNAL, **probed(type="tcp", banner="220 mail"))]}),
    (
        "a probe of a path",
        {"links": [link(**probed(type="http", path="/a?b='c'&$(d)", status="204", required=True), protocol="http")]},
    ),
    ("a probe of a service", {"links": [link(**probed(type="grpc", service="shop.v1.Orders_2"), protocol="grpc")]}),
    ("a probe from a pod with a prefixed label", {"links": [link(**asked_from(selector={"a.b/c": "", "d_e": "F.g"}))]}),
    ("namespaces", {"links": [link(workloads={"namespaces": ["shop", "shop-eu", "7", "a" * 63]})]}),
    (
        "service accounts",
        {"links": [link(**accounts("shop/front", "a/b.c-d.e", f"{'a' * 63}/{'b' * 100}.c", f"a/{'b' * 253}"))]},
    ),
    ("addresses of both families", {"links": [link(addresses=["240.0.0.1", "192.0.2.7", "2001:db8::1", "fd00::1"])]}),
    ("addresses beside Istio's own", {"links": [link(addresses=["240.239.255.255", "240.241.0.0"])]}),
    ("an external server", {"links": [link(**EXTERNAL)]}),
    ("an external server, and no clients of others", {"links": [link(**EXTERNAL, foreign_clients=[])]}),
    (
        "an external server of two links",
        {"links": [link(**external(sni=AN_SNI)), numbered(1, **external(sni=AN_SNI))]},
    ),
    (
        "roots of another CA, one of which has ended",
        {"links": [link(**external(ca=None, trust=ENDED + strange_root(permits("example.net")).view.pem, sni=AN_SNI))]},
    ),
    ("an external server of another CA", {"links": [link(**external(ca=None, trust=ROOT_PEM, sni="db.example.net"))]}),
    ("clients of others", {"links": [link(foreign_clients=["a.example.com", "spiffe://partner.example/ns/a/sa/b"])]}),
    ("one tls_port for all", {"links": [link(tls_port=443), numbered(1, tls_port=443)]}),
    ("the longest name", {"links": [link(name="a" * 40)]}),
    ("500 links", {"links": [numbered(number) for number in range(500)]}),
    ("a name under an open registry", {"links": [link(fqdn="203-0-113-7.nip.io")]}),
    ("nothing, said so", {"links": [], "prune_all": True}),
    ("a cluster in both groups", {"hosts": {**HOSTS, "cluster-c": {"group_names": ["mesh_clients", "mesh_servers"]}}}),
    (
        "a named server that is to leave",
        {
            "hosts": {**HOSTS, "cluster-c": {"group_names": ["mesh_clients"], "mesh_cluster_state": "absent"}},
            "links": [link(servers=["cluster-b", "cluster-c"])],
        },
    ),
    (
        "a link that is to go, of a cluster that serves no more",
        {"links": [link(), numbered(1, servers=["cluster-a"], state="absent")]},
    ),
    ("only one link", {"shared": {"mesh_only_links": ["mysql"]}}),
    ("a root that was lost", {"shared": {"custom_ca_lost_roots": ["AB:" * 31 + "CD"]}}),
    (
        "declared clusters",
        {"shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-c": []}}},
    ),
    (
        "a part of the inventory",
        {
            "hosts": {"cluster-b": HOSTS["cluster-b"]},
            "links": [link(clients=["cluster-a"])],
            "shared": {"mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]}},
        },
    ),
    (
        "two meshes in one cluster",
        {"hosts": cluster(mesh_context="cluster-b", mesh_egress_gateway={"namespace": "istio-gateways"})},
    ),
    (
        "a kubeconfig of each cluster, whose current context it is",
        {
            "hosts": {
                host: {**variables, "mesh_context": None, "mesh_kubeconfig": f"/srv/{host}"}
                for host, variables in HOSTS.items()
            }
        },
    ),
    (
        "a cluster under two names that share no link",
        {
            "links": [link(servers=["cluster-b"]), numbered(1, servers=["in"], clients=["cluster-a"])],
            "hosts": {
                **HOSTS,
                "in": {"group_names": ["mesh_servers"], "mesh_context": "cluster-c"},
                "out": {"group_names": ["mesh_clients"], "mesh_context": "cluster-c"},
            },
        },
    ),
    (
        "a cluster that got another name",
        {
            "hosts": {
                **HOSTS,
                "old": {"group_names": ["mesh_clients"], "mesh_context": "cluster-a", "mesh_cluster_state": "absent"},
            }
        },
    ),
    ("a gateway of one's own", {"hosts": cluster(mesh_egress_gateway={"namespace": "gw", "selector": {"app": "out"}})}),
    (
        "contexts of one kubeconfig that the environment names",
        {"hosts": {host: {**variables, "mesh_kubeconfig": "environment"} for host, variables in HOSTS.items()}},
    ),
    (
        "the account of the pod for one of two clusters",
        {"hosts": {**HOSTS, **cluster(mesh_kubeconfig="in-cluster", mesh_context="")}},
    ),
]


@pytest.mark.parametrize("arguments", [good for _name, good in GOOD], ids=[name for name, _good in GOOD])
def test_good_input_is_not_told_of(arguments: Json) -> None:
    assert inventory_errors(**arguments) == []


def test_two_links_that_no_cluster_dials_both_may_share_a_port() -> None:
    hosts = {**HOSTS, "cluster-c": {"group_names": ["mesh_clients"]}}
    links = [link(clients=["cluster-a"]), numbered(1, port=3306, clients=["cluster-c"])]
    assert inventory_errors(links, hosts=hosts) == []


def test_all_errors_come_at_once() -> None:
    links = [
        link(fqdn="MYSQL.example.com", tls_port=0),
        numbered(1, port=5432),
        numbered(2, port=5432, clients=["cluster-x"]),
        numbered(3, port=5432),
        "redis",
    ]
    lines = inventory_errors(links, shared={"mesh_instance": "A"}, hosts=cluster(mesh_egress_port=0))
    rules = sorted(line.rpartition("[")[2].rstrip("]") for line in lines)
    # The ports of the links that two clusters dial are not judged while one of these has no sound variables.
    assert rules == ["fqdn", "instance", "port", "port", "type", "unknown-cluster"]


@pytest.mark.parametrize(
    ("first", "second", "told_of"),
    [("tcp", "tcp", ["link-1", "link-2"]), ("tcp", "http", ["link-1"]), ("http", "grpc", []), ("http", "http", [])],
)
def test_only_tcp_links_need_addresses_on_a_port_that_they_share(first: str, second: str, told_of: list[str]) -> None:
    lines = inventory_errors([numbered(1, port=8080, protocol=first), numbered(2, port=8080, protocol=second)])
    assert [line.partition(":")[0] for line in lines if "[shared-port]" in line] == told_of
    assert len(lines) == len(told_of)


def test_a_sound_lock_down_is_not_told_of() -> None:
    assert (
        inventory_errors(
            hosts=locked(["shop", "web"], "10.0.0.0/16", "192.0.2.7/32", "2001:DB8::/32", "fd00:10:0::/48")
        )
        == []
    )


def test_faulty_links_do_not_hide_what_sound_links_do_to_each_other() -> None:
    lines = inventory_errors([link(fqdn="MYSQL.example.com"), numbered(1, port=5432), numbered(2, port=5432)])
    assert [line.partition(":")[0] for line in lines if "[shared-port]" in line] == ["link-1", "link-2"]
    assert [line.partition(":")[0] for line in lines if "[fqdn]" in line] == ["mysql"]


def test_a_fault_that_every_cluster_has_is_told_once() -> None:
    hosts = {f"cluster-{number}": {"group_names": ["mesh_clients", "mesh_servers"]} for number in range(20)}
    assert len(inventory_errors([link(port=0)], hosts=hosts)) == 1
    shared = [link(servers=["cluster-0"]), numbered(1, port=3306, servers=["cluster-0"])]
    assert [line.partition(":")[0] for line in inventory_errors(shared, hosts=hosts)] == ["mysql", "link-1"]


def test_a_cluster_on_both_sides_of_a_link_is_one_cluster() -> None:
    (line,) = inventory_errors([link(clients=["cluster-a"])], hosts={**HOSTS, "cluster-a": BOTH_GROUPS})
    assert line.endswith("[both-sides]")


def test_duplicates_are_told_with_the_places_of_all_of_them() -> None:
    links = [link(), numbered(1), link(port=3307, tls_port=13307)]
    assert [
        line
        for line in inventory_errors(links)
        if "mesh_links[0] and mesh_links[2]" in line and "[duplicate-name]" in line
    ]


def test_a_long_value_does_not_flood_the_line() -> None:
    (line,) = [line for line in inventory_errors([link(fqdn="x" * 100_000)]) if "[fqdn]" in line]
    assert len(line) < 400


def test_a_role_used_alone_tells_the_same_faults() -> None:
    found = resolve([link(port=0), numbered(1, port=5432), numbered(2, port=5432)], CLIENT)
    assert {line.rpartition("[")[2] for line in found["errors"]} == {"port]", "shared-port]"}


def test_input_is_not_changed() -> None:
    links, hosts = [link(addresses=None)], cluster(mesh_egress_gateway={"namespace": None})
    before = copy.deepcopy((links, hosts))
    inventory_errors(links, hosts=hosts)
    resolve(links, {**CLIENT, "mesh_egress_gateway": {"namespace": None}})
    assert (links, hosts) == before


# -- secrets -------------------------------------------------------------------------------------------------------

P_256, RSA_2048 = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
SEC1, PKCS8 = PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8
NO_PASSPHRASE, PASSPHRASE = NoEncryption(), BestAvailableEncryption(b"hunter2-hunter2")
KEYS_OF_OTHERS = {
    "SEC1": P_256.private_bytes(Encoding.PEM, SEC1, NO_PASSPHRASE).decode(),
    "SEC1, encrypted": P_256.private_bytes(Encoding.PEM, SEC1, PASSPHRASE).decode(),
    "PKCS#8": P_256.private_bytes(Encoding.PEM, PKCS8, NO_PASSPHRASE).decode(),
    "PKCS#8, encrypted": P_256.private_bytes(Encoding.PEM, PKCS8, PASSPHRASE).decode(),
    "RSA": RSA_2048.private_bytes(Encoding.PEM, SEC1, NO_PASSPHRASE).decode(),
    "RSA in PKCS#8": RSA_2048.private_bytes(Encoding.PEM, PKCS8, NO_PASSPHRASE).decode(),
}


def unknown(key: str, value: Any) -> dict[str, Json]:
    """An inventory with one key that nobody asked for, at each place that looks for them."""
    extra = {key: value}
    twice = [{"name": "cluster-b", **extra}, {"name": "cluster-b"}]
    return {
        "a link": {"links": [link(**extra)]},
        "backend": {"links": [link(backend={**BACKEND_OK, **extra})]},
        "external": {"links": [link(**external(**extra))]},
        "a server": {"links": [link(servers=twice[:1])]},
        "a server that stands twice": {"links": [link(servers=twice)]},
        "servers without a dash": {"links": [link(servers=twice[0])]},
        "retries": {"links": [link(protocol="http", retries={"attempts": 1, **extra})]},
        "retries of a tcp link": {"links": [link(retries={"attempts": 1, **extra})]},
        "workloads": {"links": [link(workloads={"namespaces": ["shop"], **extra})]},
        "a probe": {"links": [link(**probed(**extra))]},
        "where a probe is asked": {"links": [link(**asked_from(**extra))]},
        "a namespace that is a mapping": {"links": [link(workloads={"namespaces": [extra]})]},
        "a backend beside external": {"links": [link(**{**EXTERNAL, "backend": {**BACKEND_OK, **extra}})]},
        "a gateway": {"hosts": cluster(mesh_egress_gateway=extra)},
        "links of one cluster": {"hosts": cluster(mesh_links=[link(**extra)])},
    }


def anywhere(value: Any) -> dict[str, Json]:
    """An inventory with this at each place that something else was wanted."""
    of_links: dict[str, Json] = {item.name: {item.name: value} for item in LINK}
    of_links |= {f"item of {item.name}": {item.name: [value]} for item in LINK if item.type == "list"}
    of_links |= {f"backend.{item.name}": {"backend": {**BACKEND_OK, item.name: value}} for item in BACKEND}
    of_links |= {f"external.{item.name}": external(**{item.name: value}) for item in schema.EXTERNAL}
    of_links |= {f"servers.{item.name}": served(**{item.name: value}) for item in SERVER}
    of_links |= {f"retries.{item.name}": retried("reset") | {"retries": {item.name: value}} for item in RETRIES}
    of_links |= {f"item of {item.name}": {"workloads": {item.name: [value]}} for item in WORKLOADS}
    of_links |= {f"probe.{item.name}": probed(**{item.name: value}) for item in schema.PROBE}
    of_links |= {f"probe.from.{item.name}": asked_from(**{item.name: value}) for item in schema.PROBE_FROM}
    of_links["external.trust alone"] = external(ca=None, trust=value)
    shared = [item.name for item in SHARED if item.name != "mesh_links"]
    return {
        **{place: {"links": [{**link(), **changes}]} for place, changes in of_links.items()},
        **{f"{place}, twice": {"links": [{**link(), place: value}] * 2} for place in ("name", "fqdn")},
        **{item.name: {"hosts": cluster(**{item.name: value})} for item in CLUSTER},
        **{f"gateway.{item.name}": {"hosts": cluster(mesh_egress_gateway={item.name: value})} for item in GATEWAY},
        **{name: {"shared": {name: value}} for name in shared},
        **{f"item of {name}": {"shared": {name: [value]}} for name in shared},
        **{f"{name} of one cluster": {"hosts": cluster(**{name: value})} for name in shared},
    }


def pieces(pem: str) -> set[str]:
    """Whatever would give a part of a key away; in one case, as a fix may propose lower case."""
    body = [line for line in pem.lower().splitlines() if not line.startswith("-----") and ":" not in line]
    return {line[at : at + 16] for line in body for at in range(len(line) - 15)}


@pytest.mark.parametrize("key", KEYS_OF_OTHERS)
def test_no_message_holds_a_piece_of_a_private_key(key: str) -> None:
    pem = KEYS_OF_OTHERS[key]
    secret = pieces(pem)
    assert len(secret) > 50
    forms = (pem, [pem], {"a": [pem]}, {pem: 1}, [pem.splitlines()], f"{'x' * 100}{pem}")
    for inventories in (unknown("key", pem), unknown(pem, 1), *map(anywhere, forms)):
        for place, arguments in inventories.items():
            lines = inventory_errors(**arguments)
            assert not [line for line in lines if any(piece in line.lower() for piece in secret)], place
    (found,) = inventory_messages(**anywhere(pem)["external.trust alone"])
    assert (found.code, found.where) == ("external-trust", "mysql: external.trust")
    assert found.what.startswith("a private key, not shown: contains a private key")


def test_a_link_whose_name_is_a_private_key_is_told_by_its_place() -> None:
    (line,) = inventory_errors([link(), numbered(1, name=KEYS_OF_OTHERS["SEC1"])])
    assert line.startswith("mesh_links[1]: name: a private key, not shown: is not a DNS label")


@pytest.mark.parametrize("place", unknown("passphrase", ""))
def test_what_stands_under_an_unknown_key_is_not_shown(place: str) -> None:
    lines = inventory_errors(**unknown("passphrase", "hunter2-hunter2")[place])
    assert lines
    assert not [line for line in lines if "hunter2" in line]


def test_an_unknown_key_is_told_with_the_key_that_may_be_meant() -> None:
    (line,) = inventory_errors([link(tls_prot=13306)])
    assert line == "mysql: tls_prot: unknown key. Fix: write tls_port. [unknown-key]"


# -- whatever a user writes ----------------------------------------------------------------------------------------

KEYS = st.sampled_from([item.name for item in (*LINK, *BACKEND, *SERVER, *GATEWAY)]) | st.text(max_size=5)
WORDS = st.sampled_from(
    ["mysql", "cluster-a", "mesh_servers", "mysql.example.com", "240.0.0.1", "absent", "tcp", "a.b.svc.cluster.local"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
# Mostly right, so that the checks behind the first ones are reached.
ALMOST_LINKS = st.lists(
    st.dictionaries(st.sampled_from([item.name for item in LINK]), ANYTHING, max_size=3).map(
        lambda some: {**link(), **some}
    ),
    max_size=4,
)


@given(links=ANYTHING | ALMOST_LINKS)
def test_any_links_give_errors_or_a_view(links: Any) -> None:
    found = resolve(links, {**CLIENT, "groups": ["mesh_clients", "mesh_servers"]})
    assert found["errors"] or {"server", "client", "request"} <= set(found)
    assert all(isinstance(line, str) and ". Fix: " in line for line in found["errors"])


@given(
    links=ANYTHING | ALMOST_LINKS,
    shared=st.dictionaries(
        st.sampled_from([*POLICY, *(item.name for item in SHARED if item.name != "mesh_links")]), ANYTHING
    ),
    variables=st.dictionaries(st.sampled_from([item.name for item in CLUSTER]), ANYTHING),
)
def test_any_inventory_gives_errors_or_none(links: Any, shared: Json, variables: Json) -> None:
    lines = inventory_errors(links if links is not None else {}, shared=shared, hosts=cluster(**variables))
    assert all(". Fix: " in line for line in lines)


@given(variables=st.dictionaries(st.sampled_from([*POLICY, *(item.name for item in (*CLUSTER, *SHARED))]), ANYTHING))
def test_any_variables_of_a_cluster_give_errors_or_a_view(variables: Json) -> None:
    found = resolve([link()], {"mesh_cluster_name": "cluster-a", "groups": ["mesh_clients"], **variables})
    assert found["errors"] or {"server", "client", "request"} <= set(found)


def test_lifetimes_that_the_topology_takes_a_cluster_takes_too() -> None:
    cluster_b = {"mesh_cluster_name": "cluster-b", "groups": ["mesh_servers"]}
    policy = {name: value for name, value in LASTING.items() if name != "custom_ca_validity_days"}
    assert inventory_errors(shared=LASTING) == resolve([link()], {**cluster_b, **policy})["errors"] == []
    nothing = {**policy, "custom_ca_leaf_validity_days": 0}
    assert resolve([link()], {**cluster_b, **nothing})["errors"]
    # What is taken away needs no certificate.
    assert resolve([], {**cluster_b, **nothing, "mesh_cluster_state": "absent"}, prune_all=True)["errors"] == []


def test_of_two_values_of_a_mapping_it_is_told_where_they_differ() -> None:
    declared = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]}
    (line,) = inventory_errors(
        shared={"mesh_clusters": declared}, hosts=cluster(mesh_clusters={**declared, "cluster-b": []})
    )
    assert "another 'cluster-b'" in line
