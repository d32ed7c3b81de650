# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway's Envoy would say of itself, if istiod had given it what lies in the cluster. Pure.

As far as the collection asks: C(/certs), C(/config_dump), C(/clusters). TCP links alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from .memory import Memory

__all__ = ["answer", "probed"]

Json = dict[str, Any]

_TLS = "envoy.transport_sockets.tls"
_TYPE = "type.googleapis.com/"
_GREETING = b"\x4a\x00\x00\x00\x0a8.4.0\x00"
_MESH = {"certificate": "default", "validation": "ROOTCA"}


def answer(memory: Memory, pod: Json, question: str) -> str:
    """:param question: path and query, as pilot-agent is given them."""
    proxy = _Proxy(memory, pod)
    path = question.partition("?")[0]
    answers = {"certs": proxy.certs, "config_dump": proxy.config_dump, "clusters": proxy.clusters}
    return json.dumps(answers[path]())


def probed(memory: Memory, command: Sequence[str]) -> bytes:
    """What a workload prints that asks a database of a link for its greeting; the gateways count the connection.

    :param command: that names the link's host.
    """
    memory.probes += 1
    entries = memory.list("ServiceEntry", "", {}, {})
    found = [
        address for item in entries if item["spec"]["hosts"][0] in command for address in item["spec"]["addresses"]
    ]
    lines = ["shell sh", "tool python3", f"name {' '.join(found)}", "port open", f"bytes {_GREETING.hex()}", "end open"]
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass(frozen=True)
class _Proxy:
    memory: Memory
    pod: Json

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    # -- answers --------------------------------------------------------------------------------------------------

    def certs(self) -> Json:
        account = self.pod["spec"]["serviceAccountName"]
        own = {
            "serial_number": "1",
            "subject_alt_names": [{"uri": f"spiffe://cluster.local/ns/{self.namespace}/sa/{account}"}],
        }
        leaves = [_leaf(self._secret(name)["tls.crt"]) for name in self._credentials()]
        return {
            "certificates": [
                {"ca_cert": [{"path": "<inline>", "serial_number": "2"}], "cert_chain": [found]}
                for found in (own, *leaves)
            ]
        }

    def config_dump(self) -> Json:
        upstreams = list(self._upstreams())
        return {
            "configs": [
                {"@type": f"{_TYPE}envoy.admin.v3.BootstrapConfigDump", "bootstrap": {}},
                {"dynamic_active_clusters": [{"cluster": cluster} for cluster, _endpoints in upstreams]},
                {
                    "dynamic_endpoint_configs": [
                        {
                            "endpoint_config": {
                                "cluster_name": cluster["name"],
                                "endpoints": [{"lb_endpoints": endpoints}],
                            }
                        }
                        for cluster, endpoints in upstreams
                    ]
                },
                {"dynamic_listeners": list(self._listeners())},
                {"dynamic_active_secrets": list(self._secrets())},
            ]
        }

    def clusters(self) -> Json:
        stats = [{"name": name, "value": str(self.memory.probes)} for name in ("cx_total", "rq_total")]
        return {
            "cluster_statuses": [
                {
                    "name": cluster["name"],
                    "host_statuses": [{**found["endpoint"], "stats": stats} for found in endpoints],
                }
                for cluster, endpoints in self._upstreams()
            ]
        }

    # -- what it was given ----------------------------------------------------------------------------------------

    def _gateways(self) -> list[Json]:
        labels = self.pod["metadata"]["labels"]
        found = self.memory.list("Gateway", self.namespace, {}, {})
        return [item for item in found if item["spec"]["selector"].items() <= labels.items()]

    def _rules(self) -> list[Json]:
        """Those that take effect in this gateway: the way out of an egress gateway."""
        return [item for item in self.memory.list("DestinationRule", self.namespace, {}, {}) if self._is_egress]

    @property
    def _is_egress(self) -> bool:
        return "egress" in self.pod["metadata"]["name"]

    def _credentials(self) -> list[str]:
        """Names of the Secrets that are there and are referred to."""
        of_gateways = [
            server["tls"].get("credentialName") for item in self._gateways() for server in item["spec"]["servers"]
        ]
        of_rules = [settings["tls"].get("credentialName") for item in self._rules() for settings in _ports_of(item)]
        there = {item["metadata"]["name"] for item in self.memory.list("Secret", self.namespace, {}, {})}
        return sorted({name for name in (*of_gateways, *of_rules) if name in there})

    def _secret(self, name: str) -> dict[str, bytes]:
        data = self.memory.get("Secret", self.namespace, name).get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def _secrets(self) -> Iterator[Json]:
        for name in self._credentials():
            data = self._secret(name)
            context = {"trusted_ca": _inline(data["ca.crt"])}
            context |= {"crl": _inline(data["ca.crl"])} if "ca.crl" in data else {}
            yield {"name": f"kubernetes://{name}", "secret": {"name": f"kubernetes://{name}"}}
            yield {"name": f"kubernetes://{name}-cacert", "secret": {"validation_context": context}}

    def _listeners(self) -> Iterator[Json]:
        chains: dict[int, list[Json]] = {}
        for item in self._gateways():
            for server in item["spec"]["servers"]:
                for host in server["hosts"]:
                    chains.setdefault(server["port"]["number"], []).append(self._chain(item, server, host))
        for port, found in chains.items():
            listener = {
                "name": f"0.0.0.0_{port}",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
                "filter_chains": found,
            }
            yield {"name": f"0.0.0.0_{port}", "active_state": {"listener": listener}}

    def _chain(self, gateway: Json, server: Json, host: str) -> Json:
        tls = server["tls"]
        names = _sds(tls["credentialName"]) if "credentialName" in tls else _MESH
        config = {
            **_context(
                names, tls.get("subjectAltNames", []), tls.get("minProtocolVersion", "").replace("TLSV", "TLSv")
            ),
            "require_client_certificate": True,
        }
        proxy = {"@type": f"{_TYPE}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"}
        proxy["cluster"] = self._route(gateway["metadata"]["name"])
        return {
            "filter_chain_match": {"server_names": [host.removeprefix("./")]},
            "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}],
            "transport_socket": {"name": _TLS, "typed_config": config},
        }

    def _route(self, gateway: str) -> str:
        for item in self.memory.list("VirtualService", self.namespace, {}, {}):
            for route in item["spec"].get("tcp", []) if gateway in item["spec"].get("gateways", []) else []:
                if any(gateway in match.get("gateways", [gateway]) for match in route.get("match", [{}])):
                    to = route["route"][0]["destination"]
                    return _outbound(to["port"]["number"], to.get("subset", ""), to["host"])
        return "BlackHoleCluster"

    def _upstreams(self) -> Iterator[tuple[Json, list[Json]]]:
        entries = {item["spec"]["hosts"][0]: item for item in self.memory.list("ServiceEntry", self.namespace, {}, {})}
        for rule in self._rules():
            if rule["spec"]["host"] in entries:
                yield from _of_rule(rule, entries[rule["spec"]["host"]])
        if not self._is_egress:
            for service in self.memory.list("Service", "default", {}, {}):
                yield from _of_service(service)


def _of_rule(rule: Json, entry: Json) -> Iterator[tuple[Json, list[Json]]]:
    metadata, spec = rule["metadata"], rule["spec"]
    endpoints = [_endpoint(item["address"], item["ports"]["tls"]) for item in entry["spec"]["endpoints"]]
    for subset in ("", *(item["name"] for item in spec["subsets"])):
        for settings in spec["trafficPolicy"]["portLevelSettings"]:
            tls = settings["tls"]
            name = _outbound(settings["port"]["number"], subset, spec["host"])
            config = {**_context(_sds(tls["credentialName"]), tls["subjectAltNames"], "TLSv1_2"), "sni": tls["sni"]}
            made_by = (
                f"/apis/networking.istio.io/v1/namespaces/{metadata['namespace']}/destination-rule/{metadata['name']}"
            )
            yield (
                {
                    "name": name,
                    "type": "STRICT_DNS",
                    "transport_socket": {"name": _TLS, "typed_config": config},
                    "metadata": {"filter_metadata": {"istio": {"config": made_by}}},
                    "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
                },
                endpoints,
            )


def _of_service(service: Json) -> Iterator[tuple[Json, list[Json]]]:
    metadata = service["metadata"]
    host = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
    for port in service["spec"]["ports"]:
        name = _outbound(port["port"], "", host)
        endpoint = {
            **_endpoint("127.1.1.1", port["port"]),
            "metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}},
        }
        socket = {
            "name": _TLS,
            "typed_config": {**_context(_MESH, [], "TLSv1_2"), "sni": f"outbound_.{port['port']}_._.{host}"},
        }
        matches = [{"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": socket}]
        yield {"name": name, "type": "EDS", "transport_socket_matches": matches}, [endpoint]


def _endpoint(address: str, port: int) -> Json:
    place = {"socket_address": {"address": address, "port_value": port}}
    return {"endpoint": {"address": place}, "health_status": "HEALTHY"}


def _ports_of(rule: Json) -> list[Json]:
    found: list[Json] = rule["spec"].get("trafficPolicy", {}).get("portLevelSettings", [])
    return found


def _sds(name: str) -> dict[str, str]:
    return {"certificate": f"kubernetes://{name}", "validation": f"kubernetes://{name}-cacert"}


def _context(names: dict[str, str], sans: list[str], minimum: str) -> Json:
    given = {"match_subject_alt_names": [{"exact": name} for name in sans]} if sans else {}
    return {
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": minimum},
            "tls_certificate_sds_secret_configs": [{"name": names["certificate"]}],
            "combined_validation_context": {
                "default_validation_context": given,
                "validation_context_sds_secret_config": {"name": names["validation"]},
            },
        }
    }


def _outbound(port: int, subset: str, host: str) -> str:
    return f"outbound|{port}|{subset}|{host}"


def _inline(content: bytes) -> Json:
    return {"inline_bytes": base64.b64encode(content).decode()}


def _leaf(pem: bytes) -> Json:
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "serial_number": f"{certificate.serial_number:x}",
        "subject_alt_names": [{"dns": name} for name in names.get_values_for_type(x509.DNSName)],
    }
