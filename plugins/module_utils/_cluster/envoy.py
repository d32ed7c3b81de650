# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway really serves, out of Envoy's admin interface. Pure.

PRIVATE to the collection. Sources: Envoy, Operations and administration, Administration interface: C(/certs),
C(/clusters), C(/config_dump), C(/server_info).

C(certs) is what Envoy loaded; before Envoy 1.40 it names only the first root of a bundle, so trusted
roots are read from the dynamic active secrets.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

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


def serial(text: str) -> str:
    """A serial number in one form: hexadecimal, lower case, no leading zero."""
    return text.replace(":", "").lower().lstrip("0")


def served_serials(certs: str) -> list[str]:
    """Serials of all leaf certificates that the proxy has loaded."""
    chains = [chain for entry in json.loads(certs).get("certificates", []) for chain in entry.get("cert_chain", [])]
    return sorted({serial(chain["serial_number"]) for chain in chains if chain.get("serial_number")})


def own_trust_domain(certs: str) -> str:
    """The trust domain of the mesh, as the proxy's own certificate has it (SPIFFE ID, section 2.1); empty for none."""
    chains = [chain for entry in json.loads(certs).get("certificates", []) for chain in entry.get("cert_chain", [])]
    names = (str(name.get("uri", "")) for chain in chains for name in chain.get("subject_alt_names", []))
    return next((name.split("/")[2] for name in names if re.match(r"spiffe://[^/]+/ns/", name)), "")


@dataclass(frozen=True)
class Trust:
    """One validation context that came by SDS: PEM of the trusted roots and of the revocation lists."""

    roots: str
    lists: str


def trust(config_dump: str) -> dict[str, Trust]:
    """Every validation context with trusted roots, by resource name."""
    found = {}
    configs: list[dict[str, Any]] = json.loads(config_dump).get("configs", [])
    # Alone, where the question was for them; else in one part of the whole.
    for entry in (*configs, *(entry for part in configs for entry in part.get("dynamic_active_secrets", ()))):
        secret = entry.get("secret", {})
        context: dict[str, Any] = secret.get("validation_context", {})
        roots = _inline(context.get("trusted_ca", {}))
        if roots:
            found[entry.get("name", secret.get("name", ""))] = Trust(roots, _inline(context.get("crl", {})))
    return found


def _inline(source: dict[str, Any]) -> str:
    if "inline_bytes" in source:
        return base64.b64decode(source["inline_bytes"]).decode()
    return str(source.get("inline_string", ""))


def istio_version(server_info: str) -> str:
    """The version of Istio that a proxy says it is of; empty where it says none."""
    return str(json.loads(server_info).get("node", {}).get("metadata", {}).get("ISTIO_VERSION", ""))


def outbound(port: int, host: str, subset: str = "") -> str:
    """What Istio calls Envoy's cluster of a service's port, or of one subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def addresses(clusters: str) -> dict[str, list[str]]:
    """Where each of Envoy's clusters leads to: IP addresses, none where its name does not resolve."""
    return {
        cluster["name"]: sorted(
            {
                host["address"]["socket_address"]["address"]
                for host in cluster.get("host_statuses", [])
                if "socket_address" in host.get("address", {})
            }
        )
        for cluster in json.loads(clusters).get("cluster_statuses", [])
    }


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
        cluster["name"]: {
            json.dumps(host.get("address"), sort_keys=True): _counts(host) for host in cluster.get("host_statuses", [])
        }
        for cluster in json.loads(clusters).get("cluster_statuses", [])
    }


def _counts(host: Any) -> Connections:
    values = {stat.get("name"): stat.get("value", 0) for stat in host.get("stats", [])}
    return Connections(*(int(values.get(name, 0)) for name in ("cx_total", "rq_total", "cx_active")))
