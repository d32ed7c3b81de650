# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway really serves, out of Envoy's admin interface. Pure.

PRIVATE to the collection. Sources: Envoy, Operations and administration, Administration interface: C(/certs),
C(/clusters), C(/config_dump), C(/server_info).

What has another shape than Envoy gives it is as if it were not there; what is no JSON object at all is no answer.

C(certs) is what Envoy loaded; before Envoy 1.40 it names only the first root of a bundle, so trusted
roots are read from the dynamic active secrets.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import (
    Json,
    is_count,
    mapping,
    mappings,
    parse_json,
    text,
)

__all__ = [
    "CERTS",
    "CLUSTERS",
    "SECRETS",
    "SERVER_INFO",
    "Connections",
    "Trust",
    "addresses",
    "connections",
    "istio_version",
    "outbound",
    "own_trust_domain",
    "serial",
    "served_serials",
    "trust",
]

CERTS = "certs"
CLUSTERS = "clusters?format=json"
SERVER_INFO = "server_info"
SECRETS = "config_dump?resource=dynamic_active_secrets"


def serial(number: str) -> str:
    """A serial number in one form: hexadecimal, lower case, no leading zero."""
    return number.replace(":", "").lower().lstrip("0")


def _answer(answer: str) -> Json:
    """:raises ValueError: it is no JSON object."""
    found = parse_json(answer)
    if not isinstance(found, dict):
        raise ValueError("no answer of a proxy")
    return found


def _chains(certs: str) -> list[Json]:
    entries = mappings(_answer(certs).get("certificates"))
    return [chain for entry in entries for chain in mappings(entry.get("cert_chain"))]


def served_serials(certs: str) -> list[str]:
    """Serials of all leaf certificates that the proxy has loaded.

    :raises ValueError: the answer is none; so in what follows.
    """
    found = (text(chain.get("serial_number")) for chain in _chains(certs))
    return sorted({serial(number) for number in found if number})


def own_trust_domain(certs: str) -> str:
    """The trust domain of the mesh, as the proxy's own certificate has it (SPIFFE ID, section 2.1); empty for none."""
    names = (text(name.get("uri")) for chain in _chains(certs) for name in mappings(chain.get("subject_alt_names")))
    return next((name.split("/")[2] for name in names if re.match(r"spiffe://[^/]+/ns/", name)), "")


@dataclass(frozen=True)
class Trust:
    """One validation context that came by SDS: PEM of the trusted roots and of the revocation lists."""

    roots: str
    lists: str


def trust(config_dump: str) -> dict[str, Trust]:
    """Every validation context with trusted roots, by resource name."""
    found = {}
    configs = mappings(_answer(config_dump).get("configs"))
    # Alone, where the question was for them; else in one part of the whole.
    for entry in (*configs, *(entry for part in configs for entry in mappings(part.get("dynamic_active_secrets")))):
        secret = mapping(entry.get("secret"))
        context = mapping(secret.get("validation_context"))
        roots = _inline(mapping(context.get("trusted_ca")))
        if roots:
            name = text(entry.get("name")) or text(secret.get("name"))
            found[name] = Trust(roots, _inline(mapping(context.get("crl"))))
    return found


def _inline(source: Json) -> str:
    if encoded := text(source.get("inline_bytes")):
        return base64.b64decode(encoded).decode()
    return text(source.get("inline_string"))


def istio_version(server_info: str) -> str:
    """The version of Istio that a proxy says it is of; empty where it says none."""
    node = mapping(_answer(server_info).get("node"))
    return text(mapping(node.get("metadata")).get("ISTIO_VERSION"))


def outbound(port: int, host: str, subset: str = "") -> str:
    """What Istio calls Envoy's cluster of a service's port, or of one subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def addresses(clusters: str) -> dict[str, list[str]]:
    """Where each of Envoy's clusters leads to: IP addresses, none where its name does not resolve."""
    return {name: sorted(set(filter(None, map(_address, hosts)))) for name, hosts in _hosts(clusters)}


def _hosts(clusters: str) -> Iterator[tuple[str, list[Json]]]:
    """The hosts of each of Envoy's clusters."""
    for cluster in mappings(_answer(clusters).get("cluster_statuses")):
        yield text(cluster.get("name")), mappings(cluster.get("host_statuses"))


def _address(host: Json) -> str:
    return text(mapping(mapping(host.get("address")).get("socket_address")).get("address"))


@dataclass(frozen=True)
class Connections:
    """What became of connections to one of Envoy's clusters.

    :param tried: since Envoy knows the addresses.
    :param carried: requests, or connections of clients, that one of them took.
    :param open: now, or still being made.
    """

    tried: int = 0
    carried: int = 0
    open: int = 0

    def __add__(self, other: Connections) -> Connections:
        return Connections(self.tried + other.tried, self.carried + other.carried, self.open + other.open)

    def __sub__(self, other: Connections) -> Connections:
        return Connections(self.tried - other.tried, self.carried - other.carried, self.open - other.open)


def connections(clusters: str) -> dict[str, dict[str, Connections]]:
    """By Envoy's cluster and address; Envoy leaves out what is 0, and writes numbers as text."""
    return {
        name: {json.dumps(host.get("address"), sort_keys=True): _counts(host) for host in hosts}
        for name, hosts in _hosts(clusters)
    }


def _counts(host: Json) -> Connections:
    values = {text(stat.get("name")): str(stat.get("value")) for stat in mappings(host.get("stats"))}
    found = (values.get(name, "") for name in ("cx_total", "rq_total", "cx_active"))
    return Connections(*(int(number) if is_count(number) else 0 for number in found))
