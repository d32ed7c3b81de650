# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who presents which certificate on each hop, asked of the running proxies.

Source: the config_dump of Envoy's admin interface. A cluster or a filter chain names the SDS secrets that it uses, and
the active secrets hold the certificates themselves, private keys redacted.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tests.lab import Lab
from tests.lab.description import Pod

from .errors import DemoError
from .site import Link, ca_dir

Json = Mapping[str, Any]
Role = Literal["client", "server"]

CLIENT_POD = "mysql-client"
SERVER_POD = "mysql-0"
UNKNOWN = "a CA unknown here"


@dataclass(frozen=True)
class Certificate:
    names: tuple[str, ...]
    issuer: str
    serial: str
    until: datetime


@dataclass(frozen=True)
class End:
    """One end of a hop: what it presents, and what it asks of the other end.

    :param accepts: names one of which the other end must have; empty takes every name.
    :param trusts: the CAs that may have issued the other end's certificate.
    """

    pod: Pod
    role: Role
    presents: Certificate
    accepts: tuple[str, ...]
    trusts: tuple[str, ...]


@dataclass(frozen=True)
class Hop:
    number: int
    client: End
    server: End
    port: int


class Authorities:
    """The CAs of this lab, by what they signed: the roots of two meshes may well have the same name."""

    def __init__(self, lab: Lab) -> None:
        self._roots = {
            f"mesh CA of {cluster.name}": _mesh_root(lab, cluster.name) for cluster in lab.description.clusters
        }
        for path in sorted((ca_dir(lab.settings) / "roots").glob("*.crt")):
            self._roots["custom CA"] = x509.load_pem_x509_certificate(path.read_bytes())

    def issuer_of(self, certificate: x509.Certificate) -> str:
        for name, root in self._roots.items():
            try:
                certificate.verify_directly_issued_by(root)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return name
        return UNKNOWN

    def name_of(self, root: x509.Certificate) -> str:
        return next((name for name, known in self._roots.items() if known == root), UNKNOWN)


def _mesh_root(lab: Lab, cluster: str) -> x509.Certificate:
    found = lab.kubectl(cluster, "-n", "istio-system", "get", "configmap", "istio-ca-root-cert", "-o", "json")
    return x509.load_pem_x509_certificate(json.loads(found.stdout)["data"]["root-cert.pem"].encode())


class Proxy:
    """A running proxy's own view."""

    def __init__(self, lab: Lab, pod: Pod) -> None:
        self.pod = pod
        self._lab = lab
        self._secrets = {entry["name"]: entry["secret"] for entry in self._dump("dynamic_active_secrets")}

    def dialling(self, name_begins: str, authorities: Authorities) -> End:
        for entry in self._dump("dynamic_active_clusters"):
            cluster = entry["cluster"]
            if cluster["name"].startswith(name_begins):
                choices = cluster.get("transport_socket_matches") or [cluster]
                return self._end("client", choices[0]["transport_socket"], authorities)
        raise DemoError(f"{self._title} has no cluster {name_begins}: look at istiod's log, then run the demo again")

    def listening(self, authorities: Authorities, **match: Any) -> tuple[End, int]:
        """The end behind the TLS filter chain that takes such connections, and its port."""
        for chain, port in self._chains():
            criteria = chain.get("filter_chain_match", {})
            if "transport_socket" in chain and all(criteria.get(key) == value for key, value in match.items()):
                return self._end("server", chain["transport_socket"], authorities), port
        raise DemoError(f"{self._title} does not listen for {match}: look at istiod's log, then run the demo again")

    def _chains(self) -> Iterator[tuple[Json, int]]:
        for entry in self._dump("dynamic_listeners"):
            listener = entry.get("active_state", {}).get("listener", {})
            for chain in listener.get("filter_chains", []):
                yield chain, listener["address"]["socket_address"]["port_value"]

    def _end(self, role: Role, socket: Json, authorities: Authorities) -> End:
        context = socket["typed_config"]["common_tls_context"]
        validation = context["combined_validation_context"]
        accepted = validation["default_validation_context"].get("match_subject_alt_names", [])
        leaf, *_chain = self._certificates(context["tls_certificate_sds_secret_configs"][0]["name"])
        roots = self._certificates(validation["validation_context_sds_secret_config"]["name"])
        return End(
            pod=self.pod,
            role=role,
            presents=_described(leaf, authorities),
            accepts=tuple(_pattern(matcher) for matcher in accepted),
            trusts=tuple(authorities.name_of(root) for root in roots),
        )

    def _certificates(self, secret: str) -> list[x509.Certificate]:
        held = self._secrets.get(secret)
        if held is None:
            raise DemoError(f"{self._title} waits for its secret {secret}: look at istiod's log")
        part = (
            held["tls_certificate"]["certificate_chain"]
            if "tls_certificate" in held
            else held["validation_context"]["trusted_ca"]
        )
        return x509.load_pem_x509_certificates(base64.b64decode(part["inline_bytes"]))

    def _dump(self, resource: str) -> list[Json]:
        answer = self._lab.envoy(self.pod.cluster, self.pod.name, f"config_dump?resource={resource}")
        configs: list[Json] = json.loads(answer).get("configs", [])
        return configs

    @property
    def _title(self) -> str:
        return f"{self.pod.cluster}/{self.pod.name}"


def _pattern(matcher: Mapping[str, str]) -> str:
    (kind, value), *_none = matcher.items()
    return {"exact": value, "prefix": f"{value}*", "suffix": f"*{value}"}.get(kind, f"{kind} {value}")


def _described(leaf: x509.Certificate, authorities: Authorities) -> Certificate:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return Certificate(
        names=tuple(str(name.value) for name in names),
        issuer=authorities.issuer_of(leaf),
        serial=f"{leaf.serial_number:x}",
        until=leaf.not_valid_after_utc,
    )


def read_hops(lab: Lab, link: Link) -> list[Hop]:
    """The three hops of a link, in the order in which a row takes them."""
    authorities = Authorities(lab)
    client, server = lab.description.find_pod(CLIENT_POD), lab.description.find_pod(SERVER_POD)
    workload, backend = Proxy(lab, client), Proxy(lab, server)
    egress = Proxy(lab, lab.cluster(client.cluster).gateway_pods("istio-egressgateway")[0])
    ingress = Proxy(lab, lab.cluster(server.cluster).gateway_pods("istio-ingressgateway")[0])
    at_egress, egress_port = egress.listening(authorities, server_names=[link.fqdn])
    at_ingress, ingress_port = ingress.listening(authorities, server_names=[link.fqdn])
    at_backend, _port = backend.listening(authorities, destination_port=link.backend_port, transport_protocol="tls")
    return [
        Hop(1, workload.dialling(f"outbound|{egress_port}|{link.name}|", authorities), at_egress, egress_port),
        Hop(2, egress.dialling(f"outbound|{ingress_port}||{link.fqdn}", authorities), at_ingress, ingress_port),
        Hop(
            3,
            ingress.dialling(f"outbound|{link.backend_port}||{link.backend_host}", authorities),
            at_backend,
            link.backend_port,
        ),
    ]
