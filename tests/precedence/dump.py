# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy would do, read from its configuration: the truth that the model is held against."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.authorization import Call

Json = Mapping[str, Any]

_HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
_ANY_NAME = "*"


@dataclass(frozen=True)
class Dump:
    clusters: Mapping[str, Json]
    listeners: Mapping[str, Json]
    routes: Mapping[str, Json]

    @staticmethod
    def read(found: Json) -> Dump:
        parts = {part["@type"].rpartition(".")[2]: part for part in found["configs"]}
        clusters = [item["cluster"] for item in parts["ClustersConfigDump"].get("dynamicActiveClusters", ())]
        listeners = parts["ListenersConfigDump"].get("dynamicListeners", ())
        routes = [item["routeConfig"] for item in parts["RoutesConfigDump"].get("dynamicRouteConfigs", ())]
        return Dump(
            {item["name"]: item for item in clusters},
            {item["name"]: item["activeState"]["listener"] for item in listeners},
            {item["name"]: item for item in routes},
        )


# -- clusters ----------------------------------------------------------------------------------------------------------


def socket(cluster: Json) -> tuple[str, str, str, tuple[str, ...]]:
    """Kind, credential, SNI and names of a cluster's TLS."""
    matches = cluster.get("transportSocketMatches", ())
    if any(item["name"] == "tlsMode-istio" for item in matches):
        return "auto", "", "", ()
    context = _context(cluster)
    if context is None:
        return "plain", "", "", ()
    certificates = [item["name"] for item in context["commonTlsContext"].get("tlsCertificateSdsSecretConfigs", ())]
    sni = context.get("sni", "")
    if certificates == ["default"]:
        return "mesh", "", "" if sni.startswith("outbound_") else sni, ()
    validation = context["commonTlsContext"].get("combinedValidationContext", {})
    trust = validation.get("validationContextSdsSecretConfig", {}).get("name", "")
    names = validation.get("defaultValidationContext", {}).get("matchSubjectAltNames", ())
    credential = next((name for name in (*certificates, trust) if name.startswith("kubernetes://")), "")
    credential = credential.removeprefix("kubernetes://").removesuffix("-cacert")
    return "mutual" if certificates else "simple", credential, sni, tuple(item["exact"] for item in names)


def endpoints(cluster: Json) -> set[str]:
    """Names and addresses that a cluster leads to, where it holds them itself."""
    return {
        item["endpoint"]["address"]["socketAddress"]["address"]
        for place in cluster.get("loadAssignment", {}).get("endpoints", ())
        for item in place["lbEndpoints"]
    }


def _context(holder: Json) -> Json | None:
    found = holder.get("transportSocket", {}).get("typedConfig", {})
    return found if "commonTlsContext" in found else None


# -- listeners ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A filter chain: what it is for, and where it leads."""

    http: bool
    sni: frozenset[str]
    subnets: frozenset[str]
    clusters: tuple[str, ...]
    credential: str = ""


def outbound(dump: Dump, port: int) -> dict[str, set[Way]]:
    """A workload's listeners on a port, by address."""
    found = {}
    for name, listener in dump.listeners.items():
        address, _line, own = name.rpartition("_")
        if own == str(port) and listener.get("trafficDirection") == "OUTBOUND":
            found[address] = {_way(chain) for chain in _chains(listener)}
    return found


def gateway(dump: Dump, port: int, address: str = "") -> list[Json]:
    """The filter chains of a gateway's port, at one address or at all that it is bound to."""
    return [
        chain
        for name, listener in dump.listeners.items()
        if name.endswith(f"{address}_{port}")
        for chain in _chains(listener)
    ]


def _chains(listener: Json) -> Iterator[Json]:
    yield from listener.get("filterChains", ())
    last = listener.get("defaultFilterChain")
    if last and last.get("name") != "PassthroughFilterChain":
        yield last


def _way(chain: Json) -> Way:
    match = chain.get("filterChainMatch", {})
    subnets = frozenset(f"{item['addressPrefix']}/{item['prefixLen']}" for item in match.get("prefixRanges", ()))
    sni = frozenset(match.get("serverNames", ()))
    return Way(bool(_manager(chain)), sni, subnets, _led_to(chain))


def gateway_way(chain: Json) -> Way:
    way = _way(chain)
    context = _context(chain)
    names = [item["name"] for item in context["commonTlsContext"]["tlsCertificateSdsSecretConfigs"]] if context else []
    return Way(way.http, way.sni, frozenset(), way.clusters, names[0].removeprefix("kubernetes://") if names else "")


def _manager(chain: Json) -> Json:
    return next((item["typedConfig"] for item in chain["filters"] if item["name"] == _HTTP_MANAGER), {})


def _led_to(chain: Json) -> tuple[str, ...]:
    for item in chain["filters"]:
        if item["name"] == _TCP_PROXY:
            config = item["typedConfig"]
            weighted = config.get("weightedClusters", {}).get("clusters", ())
            return tuple(part["name"] for part in weighted) or (config["cluster"],)
    return ()


# -- HTTP --------------------------------------------------------------------------------------------------------------


def route_name(chain: Json) -> str:
    return str(_manager(chain).get("rds", {}).get("routeConfigName", ""))


def ways(dump: Dump, name: str, host: str) -> list[tuple[bool, tuple[str, ...]]] | None:
    """Where requests for a host go, as far as that is reached: whether a route asks for something, and its clusters."""
    best = None
    for virtual in dump.routes.get(name, {}).get("virtualHosts", ()):
        for domain in virtual["domains"]:
            if domain == host or (domain.startswith(_ANY_NAME) and host.endswith(domain[1:])):
                weight = (domain == host, len(domain))
                best = max(best or (weight, virtual), (weight, virtual), key=lambda item: item[0])
    if best is None:
        return None
    found = []
    for route in best[1].get("routes", ()):
        narrow = route["match"].get("prefix") != "/" or bool(route["match"].get("headers"))
        action = route.get("route", {})
        weighted = action.get("weightedClusters", {}).get("clusters", ())
        clusters = tuple(part["name"] for part in weighted) or ((action["cluster"],) if "cluster" in action else ())
        found.append((narrow, clusters))
        if not narrow:
            break
    return found


# -- what comes in -----------------------------------------------------------------------------------------------------


def modes(dump: Dump) -> dict[int, str]:
    """How a workload takes connections, by port; 0 stands for all others."""
    seen: dict[int, set[bool]] = {}
    for chain in dump.listeners["virtualInbound"]["filterChains"]:
        if chain.get("name") != "virtualInbound-blackhole":
            port = chain.get("filterChainMatch", {}).get("destinationPort", 0)
            seen.setdefault(port, set()).add("transportSocket" in chain)
    names = {(True,): "STRICT", (False,): "DISABLE", (False, True): "PERMISSIVE"}
    return {port: names[tuple(sorted(found))] for port, found in seen.items()}


def inbound(dump: Dump, *, http: bool) -> Json:
    """A chain of a workload that takes HTTP, or else tcp, on any port."""
    name = "virtualInbound-catchall-http" if http else "virtualInbound"
    return next(
        chain
        for chain in dump.listeners["virtualInbound"]["filterChains"]
        if chain.get("name") == name and not chain.get("filterChainMatch", {}).get("destinationPort")
    )


def lets_in(chain: Json, call: Call) -> bool | None:
    """Whether a chain's RBAC filters let a call in; None where they ask for more than a call says."""
    filters = [item["typedConfig"] for item in chain["filters"] if item["name"] == "envoy.filters.network.rbac"]
    filters += [
        item["typedConfig"]
        for item in _manager(chain).get("httpFilters", ())
        if item["name"] == "envoy.filters.http.rbac"
    ]
    results = [_passes(item["rules"], call) for item in filters if "rules" in item]
    if False in results:
        return False
    return None if None in results else True


def _passes(rules: Json, call: Call) -> bool | None:
    action = rules.get("action", "ALLOW")
    if action == "LOG":
        return True
    matched = _or(
        _and(
            [
                _or(_permission(item, call) for item in policy["permissions"]),
                _or(_principal(item, call) for item in policy["principals"]),
            ]
        )
        for policy in rules.get("policies", {}).values()
    )
    if action == "DENY":
        return _negated(matched)
    return matched


def _permission(item: Json, call: Call) -> bool | None:
    ((kind, value),) = item.items()
    if kind == "andRules":
        return _and(_permission(part, call) for part in value["rules"])
    if kind == "orRules":
        return _or(_permission(part, call) for part in value["rules"])
    if kind == "notRule":
        return _negated(_permission(value, call))
    if kind == "any":
        return True
    if kind == "destinationPort":
        return bool(value == call.port)
    if kind == "requestedServerName":
        return _text(value, call.sni)
    return None


def _principal(item: Json, call: Call) -> bool | None:
    ((kind, value),) = item.items()
    if kind == "andIds":
        return _and(_principal(part, call) for part in value["ids"])
    if kind == "orIds":
        return _or(_principal(part, call) for part in value["ids"])
    if kind == "notId":
        return _negated(_principal(value, call))
    if kind == "any":
        return True
    if kind == "authenticated":
        return bool(call.principal) and _text(value["principalName"], call.principal)
    return None


def _text(matcher: Json, text: str) -> bool:
    if "exact" in matcher:
        return bool(text == matcher["exact"])
    if "prefix" in matcher:
        return text.startswith(matcher["prefix"])
    if "suffix" in matcher:
        return text.endswith(matcher["suffix"])
    return re.fullmatch(matcher["safeRegex"]["regex"], text) is not None


def _and(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if False in found:
        return False
    return None if None in found else True


def _or(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if True in found:
        return True
    return None if None in found else False


def _negated(result: bool | None) -> bool | None:
    return None if result is None else not result
