# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's C(/config_dump): what to ask for, and what the answer says of links. Pure.

PRIVATE to the collection. The answer is foreign: it is read here alone, and what lacks, or has another shape, is as if
it were empty. Sources: Envoy's API v3, C(envoy.admin.v3), C(envoy.config.listener.v3), C(envoy.config.route.v3),
C(envoy.config.cluster.v3), C(envoy.extensions.transport_sockets.tls.v3); what Istio notes in C(filter_metadata).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.access import Rules, read_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import (
    Chain,
    Listener,
    Path,
    Proxy,
    Secrets,
    State,
    Tls,
    Upstream,
    UpstreamEndpoint,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import (
    NOTHING,
    Json,
    is_count,
    mapping,
    mappings,
    parse_json,
)

__all__ = ["Watch", "read_proxy", "with_counts"]

# More characters than this, and the question names no hosts: proxies in front of API servers limit an address's length.
_LONGEST = 3000
_MADE_BY = re.compile(r"/namespaces/([^/]+)/([^/]+)/([^/]+)$")
_TLS = "envoy.transport_sockets.tls"
_HEALTHY = frozenset({"", "UNKNOWN", "HEALTHY", "DEGRADED"})


# -- the question --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watch:
    """What of a gateway's proxy is looked at: everything but its clusters, and of these the ones that links need.

    A gateway has a cluster for every Service of its mesh.

    :param upstreams: port and host of each.
    :param counts: whether to ask as well how connections to them went.
    """

    upstreams: frozenset[tuple[int, str]]
    counts: bool = False

    @property
    def question(self) -> str:
        return f"config_dump?include_eds&name_regex={quote(f'[^|]*|{self._clusters}', safe='')}"

    @property
    def question_of_counts(self) -> str:
        return f"clusters?format=json&filter={quote(self._clusters, safe='')}"

    @property
    def _clusters(self) -> str:
        ports = "|".join(map(str, sorted({port for port, _host in self.upstreams})))
        hosts = "|".join(re.escape(host) for host in sorted({host for _port, host in self.upstreams}))
        return rf"outbound\|({ports})\|[^|]*\|({hosts if len(hosts) <= _LONGEST else '.*'})"


# -- the answer ----------------------------------------------------------------------------------------------------


def read_proxy(config_dump: str) -> Proxy:
    """:raises ValueError: when the answer is no configuration at all."""
    answer = parse_json(config_dump)
    parts: dict[str, list[Json]] = {}
    for part in mappings(mapping(answer).get("configs")):
        for key, value in part.items():
            parts.setdefault(key, []).extend(mappings(value))
    if "dynamic_listeners" not in parts and "bootstrap" not in _keys(answer):
        raise ValueError("no configuration of a proxy")
    endpoints = {
        _text(found, "cluster_name"): found
        for entry in (*parts.get("dynamic_endpoint_configs", ()), *parts.get("static_endpoint_configs", ()))
        for found in [_sub(entry, "endpoint_config")]
    }
    upstreams = (_upstream(entry, endpoints) for entry in parts.get("dynamic_active_clusters", ()))
    return Proxy(
        listeners=_listeners(parts.get("dynamic_listeners", ())),
        routes={
            _text(config, "name"): _domains(config)
            for entry in parts.get("dynamic_route_configs", ())
            for config in [_sub(entry, "route_config")]
        },
        upstreams={item.name: item for item in upstreams},
        secrets=Secrets(
            frozenset(_text(entry, "name") for entry in parts.get("dynamic_active_secrets", ())),
            frozenset(_text(entry, "name") for entry in parts.get("dynamic_warming_secrets", ())),
        ),
    )


def with_counts(proxy: Proxy, clusters: str) -> Proxy:
    """The same with what C(/clusters) tells of connections.

    :raises ValueError: when the answer is none.
    """
    statuses = mappings(mapping(parse_json(clusters)).get("cluster_statuses"))
    found = {_text(status, "name"): _counts(status) for status in statuses}
    upstreams = {
        name: replace(
            upstream,
            endpoints=tuple(
                replace(endpoint, tried=tried, failed=failed)
                for endpoint in upstream.endpoints
                for tried, failed in [found.get(name, {}).get(endpoint.address, (0, 0))]
            ),
        )
        for name, upstream in proxy.upstreams.items()
    }
    return replace(proxy, upstreams=upstreams)


def _counts(status: Json) -> dict[str, tuple[int, int]]:
    """Connections that were tried, and those that failed, by address; JSON has their numbers as text."""
    found = {}
    for host in mappings(status.get("host_statuses")):
        values = {_text(stat, "name"): _text(stat, "value") for stat in mappings(host.get("stats"))}
        tried, failed = (_digits(values.get(name, "")) for name in ("cx_total", "cx_connect_fail"))
        found["{}:{}".format(*_address({"endpoint": host}))] = (tried, failed)
    return found


def _digits(text: str) -> int:
    return int(text) if is_count(text) else 0


def _keys(answer: Any) -> set[str]:
    return {key for part in mappings(mapping(answer).get("configs")) for key in part}


# -- listeners -----------------------------------------------------------------------------------------------------


def _listeners(entries: Iterable[Json]) -> tuple[Listener, ...]:
    """By name: what was refused can stand in an entry of its own."""
    found: dict[str, Listener] = {}
    for item in map(_listener, entries):
        before = found.get(item.name, item)
        kept = before if before.state == "active" else item
        found[item.name] = replace(kept, refused=item.refused or before.refused)
    return tuple(found.values())


def _listener(entry: Json) -> Listener:
    states: tuple[State, ...] = ("active", "warming", "draining")
    state: State = next((found for found in states if f"{found}_state" in entry), "none")
    config = _sub(entry, f"{state}_state", "listener")
    error = _sub(entry, "error_state")
    wanted = config or _sub(error, "failed_configuration")
    address = _sub(wanted, "address", "socket_address")
    name = _text(entry, "name") or _text(wanted, "name")
    return Listener(
        name=name,
        port=_number(address, "port_value") or _port_in(name),
        state=state,
        chains=_chains(config) if state == "active" else (),
        refused=_line(_text(error, "details")) or ("no reason was given" if error else ""),
    )


def _port_in(name: str) -> int:
    """The port in the name that Istio gives a listener, such as C(0.0.0.0_15443)."""
    return _digits(name.rpartition("_")[2])


def _chains(listener: Json) -> tuple[Chain, ...]:
    found = mappings(listener.get("filter_chains"))
    default = listener.get("default_filter_chain")
    return tuple(map(_chain, [*found, default] if isinstance(default, Mapping) else found))


def _chain(chain: Json) -> Chain:
    filters = [_sub(item, "typed_config") for item in mappings(chain.get("filters"))]
    names = _sub(chain, "filter_chain_match").get("server_names")
    http = next((item for item in filters if "http_filters" in item or "rds" in item or "route_config" in item), None)
    proxy = next((item for item in filters if "cluster" in item or "weighted_clusters" in item), NOTHING)
    inline = _domains(_sub(http or NOTHING, "route_config"))
    of_http = [_sub(item, "typed_config") for item in mappings((http or NOTHING).get("http_filters"))]
    return Chain(
        server_names=frozenset(name for name in names if isinstance(name, str))
        if isinstance(names, list)
        else frozenset(),
        tls=_tls(_sub(chain, "transport_socket")),
        paths=tuple(path for paths in inline.values() for path in paths) if http else (Path(_clusters(proxy)),),
        route_config=_text(_sub(http or NOTHING, "rds"), "route_config_name"),
        rules=tuple(_rules([*filters, *of_http])),
    )


def _rules(configs: list[Json]) -> Iterator[Rules]:
    for config in configs:
        if _text(config, "@type").endswith(".rbac.v3.RBAC") and (found := read_rules(config)):
            yield found


def _tls(socket: Json) -> Tls | None:
    """None where it is plain text, or something that is not known here."""
    # One that adds something around it, such as the PROXY protocol, has the real one inside.
    socket = _sub(socket, "typed_config", "transport_socket") or socket
    if _text(socket, "name") != _TLS:
        return None
    config = _sub(socket, "typed_config")
    common = _sub(config, "common_tls_context")
    combined = _sub(common, "combined_validation_context")
    given = _sub(combined, "default_validation_context")
    names = [_text(item, "name") for item in mappings(common.get("tls_certificate_sds_secret_configs"))]
    by_sds, chosen = "validation_context_sds_secret_config", _sub(common, "tls_params")
    return Tls(
        certificate=", ".join(names),
        validation=_text(_sub(combined, by_sds) or _sub(common, by_sds), "name"),
        sans=frozenset([*map(_san, mappings(given.get("match_subject_alt_names"))), *_typed_sans(given)]),
        sni=_text(config, "sni"),
        minimum=_text(chosen, "tls_minimum_protocol_version"),
        asks=config.get("require_client_certificate") is True,
        maximum=_text(chosen, "tls_maximum_protocol_version"),
        ciphers=_texts(chosen, "cipher_suites"),
        groups=_texts(chosen, "ecdh_curves"),
    )


def _typed_sans(validation: Json) -> Iterator[str]:
    for item in mappings(validation.get("match_typed_subject_alt_names")):
        yield _san(_sub(item, "matcher"))


def _san(matcher: Json) -> str:
    """An exact name as it is; any other matcher as something that is no name."""
    return _text(matcher, "exact") or json.dumps(matcher)


# -- routes --------------------------------------------------------------------------------------------------------


def _domains(config: Json) -> dict[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    for host in mappings(config.get("virtual_hosts")):
        paths = tuple(map(_path, mappings(host.get("routes"))))
        domains = host.get("domains")
        for domain in domains if isinstance(domains, list) else ():
            found[str(domain)] = paths
    return found


def _path(route: Json) -> Path:
    match = _sub(route, "match")
    everything = match.get("prefix") == "/" and not match.get("headers") and not match.get("query_parameters")
    action = _sub(route, "route")
    fault = any("abort" in mapping(item) for item in _sub(route, "typed_per_filter_config").values())
    instead = next((word for word in ("redirect", "direct_response") if word in route), "abort" if fault else "")
    return Path(
        clusters=_clusters(action),
        match="" if everything else _line(json.dumps(match)),
        instead=instead,
        made_by=_made_by(route),
    )


def _clusters(action: Json) -> tuple[str, ...]:
    """By weight, without those that get nothing."""
    given = mappings(_sub(action, "weighted_clusters").get("clusters"))
    weighted = [_text(item, "name") for item in given if item.get("weight")]
    return tuple(weighted) or tuple(filter(None, [_text(action, "cluster")]))


# -- clusters ------------------------------------------------------------------------------------------------------


def _upstream(entry: Json, endpoints: Mapping[str, Json]) -> Upstream:
    cluster = _sub(entry, "cluster")
    name = _text(cluster, "name")
    service = _text(_sub(cluster, "eds_cluster_config"), "service_name") or name
    assignment = _sub(cluster, "load_assignment")
    return Upstream(
        name=name,
        tls=_tls(_sub(cluster, "transport_socket")),
        addresses=frozenset(map(_address, _endpoints(assignment))) if assignment else None,
        made_by=_made_by(cluster),
        endpoints=tuple(
            UpstreamEndpoint(
                address="{}:{}".format(*_address(endpoint)),
                healthy=_text(endpoint, "health_status") in _HEALTHY,
                meshed=_is_meshed(cluster, endpoint),
            )
            for endpoint in _endpoints(endpoints.get(name, endpoints.get(service, NOTHING)))
        ),
    )


def _endpoints(assignment: Json) -> Iterator[Json]:
    for locality in mappings(assignment.get("endpoints")):
        yield from mappings(locality.get("lb_endpoints"))


def _address(endpoint: Json) -> tuple[str, int]:
    address = _sub(endpoint, "endpoint", "address", "socket_address")
    return _text(address, "address"), _number(address, "port_value")


def _is_meshed(cluster: Json, endpoint: Json) -> bool:
    """Whether the transport socket that the endpoint's labels choose is TLS with the mesh's own certificate."""
    labels = _sub(endpoint, "metadata", "filter_metadata", "envoy.transport_socket_match")
    chosen = next(
        (
            _sub(item, "transport_socket")
            for item in mappings(cluster.get("transport_socket_matches"))
            if all(labels.get(key) == value for key, value in _sub(item, "match").items())
        ),
        _sub(cluster, "transport_socket"),
    )
    tls = _tls(chosen)
    return tls is not None and tls.certificate == "default"


# -- what is foreign -----------------------------------------------------------------------------------------------


def _made_by(item: Json) -> str:
    """The object that Istio notes, such as C(VirtualService istio-system/mine)."""
    found = _MADE_BY.search(_text(_sub(item, "metadata", "filter_metadata", "istio"), "config"))
    if not found:
        return ""
    namespace, kind, name = found.groups()
    return f"{''.join(word.capitalize() for word in kind.split('-'))} {namespace}/{name}"


def _sub(item: Json, *keys: str) -> Json:
    for key in keys:
        item = mapping(item.get(key))
    return item


def _text(item: Json, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _texts(item: Json, key: str) -> tuple[str, ...]:
    values = item.get(key)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def _number(item: Json, key: str) -> int:
    value = item.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
