# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of an API server, as typed values. The one edge at which foreign objects come in. Pure.

PRIVATE to the collection. What others wrote may be of any shape: a field of a wrong type counts as not there, and an
object without a name or namespace is left out. No value is ever taken for more than it says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import Json, is_count, mapping, mappings, text
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    MESH_GATEWAY,
    NOT_YET,
    AuthorizationPolicy,
    BackendPolicy,
    Condition,
    Destination,
    DestinationRule,
    EgressListener,
    Endpoint,
    EnvoyFilter,
    Expression,
    Gateway,
    HttpRoute,
    Match,
    Meta,
    Mode,
    NamespaceSelector,
    PeerAuthentication,
    Policy,
    Port,
    PortPolicy,
    Rule,
    Server,
    Service,
    Settings,
    Sidecar,
    Subset,
    TcpRoute,
    Tls,
    VirtualService,
)

__all__ = ["KINDS", "parse_mesh", "parse_settings"]

_PROTOCOLS = frozenset(
    {"tcp", "udp", "http", "http2", "http_proxy", "https", "grpc", "grpc-web", "tls", "mongo", "mysql", "redis"}
)
# Ports that Istio takes for tcp where a Service does not name a protocol: their servers speak first.
_SPEAK_FIRST = frozenset({25, 53, 3306, 27017})
_EXPORT_TO = "networking.istio.io/exportTo"
_DRY_RUN = "istio.io/dry-run"
_RESOLUTIONS: Mapping[str, Literal["DNS", "STATIC", "NONE"]] = {
    "DNS": "DNS",
    "DNS_ROUND_ROBIN": "DNS",
    "STATIC": "STATIC",
}
_MODES: Mapping[str, Mode] = {"STRICT": "STRICT", "PERMISSIVE": "PERMISSIVE", "DISABLE": "DISABLE"}
# Labels and annotations by which tools mark what they own.
_OWNERS = (
    ("labels", "app.kubernetes.io/managed-by"),
    ("annotations", "meta.helm.sh/release-name"),
    ("annotations", "argocd.argoproj.io/tracking-id"),
    ("labels", "argocd.argoproj.io/instance"),
    ("labels", "kustomize.toolkit.fluxcd.io/name"),
)


# -- parts of foreign JSON -----------------------------------------------------------------------------------------


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in _list(value) if isinstance(item, str))


def _labels(value: object) -> dict[str, str]:
    return {key: label for key, label in mapping(value).items() if isinstance(label, str)}


def _networks(value: object) -> tuple[str, ...]:
    """Addresses and ranges of them; what is neither counts for nothing in Istio, too."""
    found = []
    for written in _texts(value):
        try:
            network = ipaddress.ip_network(written, strict=False)
        except ValueError:
            continue
        found.append(str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network))
    return tuple(found)


def _exports(value: object) -> frozenset[str]:
    return frozenset(_texts(value))


# -- the whole -----------------------------------------------------------------------------------------------------


def parse_settings(mesh_config: object) -> Settings:
    """MeshConfig, as its ConfigMap holds it, read as YAML."""
    found, plain = mapping(mesh_config), Settings()
    automatic = found.get("enableAutoMtls")
    return Settings(
        root=text(found.get("rootNamespace")) or plain.root,
        trust_domain=text(found.get("trustDomain")) or plain.trust_domain,
        services=_exports(found.get("defaultServiceExportTo")) or plain.services,
        virtual_services=_exports(found.get("defaultVirtualServiceExportTo")) or plain.virtual_services,
        destination_rules=_exports(found.get("defaultDestinationRuleExportTo")) or plain.destination_rules,
        auto_mtls=automatic if isinstance(automatic, bool) else plain.auto_mtls,
        dns_capture=_captures_dns(found),
        discovery=tuple(
            NamespaceSelector(
                _labels(part.get("matchLabels")),
                tuple(
                    Expression(text(item.get("key")), text(item.get("operator")), _texts(item.get("values")))
                    for item in mappings(part.get("matchExpressions"))
                ),
            )
            for part in mappings(found.get("discoverySelectors"))
        ),
    )


def _captures_dns(mesh_config: Json) -> bool:
    metadata = mapping(mapping(mesh_config.get("defaultConfig")).get("proxyMetadata"))
    return str(metadata.get("ISTIO_META_DNS_CAPTURE")).lower() == "true"


def parse_mesh(
    objects: Iterable[Json], settings: Settings | None = None, *, ours: Callable[[Json], bool] = lambda _item: False
) -> Mesh:
    """Everything that decides in a cluster.

    :param objects: of all kinds of C(KINDS), each with its kind; others are left out. Those that are still to be
        made have no creationTimestamp.
    :param ours: which of them the run wrote or will write.
    """
    found: dict[str, list[Any]] = {}
    for item in objects:
        kind = text(mapping(item).get("kind"))
        meta = _meta(item, kind, ours(item)) if kind in KINDS else None
        if meta:
            into, parse = KINDS[kind]
            found.setdefault(into, []).extend(parse(meta, item))
    return Mesh(settings or Settings(), **found)


def _meta(item: Json, kind: str, ours: bool) -> Meta | None:
    metadata = mapping(item.get("metadata"))
    name, namespace = text(metadata.get("name")), text(metadata.get("namespace"))
    if not name or not namespace:
        return None
    created = text(metadata.get("creationTimestamp")) or NOT_YET
    return Meta(kind, namespace, name, created, _owner(metadata), ours)


def _owner(metadata: Json) -> str:
    for part, key in _OWNERS:
        if value := text(mapping(metadata.get(part)).get(key)):
            return f"{key.rpartition('/')[2]} {value}"
    managers = [text(entry.get("manager")) for entry in mappings(metadata.get("managedFields"))]
    return next((f"field manager {manager}" for manager in managers if manager), "")


# -- services ------------------------------------------------------------------------------------------------------


def _service(meta: Meta, item: Json) -> Iterator[Service]:
    spec, metadata = mapping(item.get("spec")), mapping(item.get("metadata"))
    exports = text(mapping(metadata.get("annotations")).get(_EXPORT_TO))
    address = text(spec.get("clusterIP"))
    resolution: Literal["CLUSTER", "HEADLESS", "ALIAS"] = "HEADLESS" if address == "None" else "CLUSTER"
    if text(spec.get("type")) == "ExternalName":
        resolution = "ALIAS"
    yield Service(
        meta,
        hosts.resolve(meta.name, meta.namespace),
        tuple(_ports(spec, by_name=True)),
        address="" if address == "None" else address,
        resolution=resolution,
        exports=frozenset(part.strip() for part in exports.split(",") if part.strip()),
        labels=_labels(metadata.get("labels")),
        selector=_labels(spec.get("selector")),
    )


def _service_entry(meta: Meta, item: Json) -> Iterator[Service]:
    spec = mapping(item.get("spec"))
    resolution = _RESOLUTIONS.get(text(spec.get("resolution")), "NONE")
    selector = _labels(mapping(spec.get("workloadSelector")).get("labels"))
    given: dict[str, str] = {}
    for entry in mappings(mapping(item.get("status")).get("addresses")):
        address = text(entry.get("value"))
        # Of both families Istio takes the older one first, where a proxy speaks it.
        if ":" not in address:
            given.setdefault(text(entry.get("host")), address)
    endpoints = tuple(
        Endpoint(text(entry.get("address")), _labels(entry.get("labels"))) for entry in mappings(spec.get("endpoints"))
    )
    addresses = _networks(spec.get("addresses")) if _texts(spec.get("addresses")) else ("",)
    for host in _texts(spec.get("hosts")):
        for address in addresses:
            yield Service(
                meta,
                host,
                tuple(_ports(spec, by_name=False)),
                address=address,
                given=given.get(host, ""),
                resolution=resolution,
                exports=_exports(spec.get("exportTo")),
                external=text(spec.get("location")) != "MESH_INTERNAL",
                endpoints=None if selector else endpoints or _itself(host, resolution),
                labels=_labels(mapping(item.get("metadata")).get("labels")),
                selector=selector,
            )


def _itself(host: str, resolution: str) -> tuple[Endpoint, ...]:
    """By DNS a host without endpoints is its own."""
    return (Endpoint(host),) if resolution == "DNS" else ()


def _ports(spec: Json, *, by_name: bool) -> Iterator[Port]:
    """:param by_name: whether a port's name tells its protocol, as that of a Kubernetes Service."""
    for port in mappings(spec.get("ports")):
        number = _number(port.get("port" if by_name else "number"))
        if number:
            name = text(port.get("name"))
            protocol = _of_service_port(port, name, number) if by_name else _protocol(text(port.get("protocol")))
            yield Port(number, protocol, name, _number(port.get("targetPort")) if by_name else 0)


def _of_service_port(port: Json, name: str, number: int) -> str:
    if text(port.get("protocol")) == "UDP":
        return "udp"
    told = text(port.get("appProtocol")) or name
    lower = told.lower()
    protocol = _protocol("grpc-web" if lower.startswith("grpc-web") else lower.partition("-")[0])
    return protocol or ("tcp" if number in _SPEAK_FIRST else "")


def _protocol(told: str) -> str:
    return told.lower() if told.lower() in _PROTOCOLS else ""


# -- networking.istio.io -------------------------------------------------------------------------------------------


def _destination_rule(meta: Meta, item: Json) -> Iterator[DestinationRule]:
    spec = mapping(item.get("spec"))
    selector = spec.get("workloadSelector")
    yield DestinationRule(
        meta,
        hosts.resolve(text(spec.get("host")), meta.namespace),
        _exports(spec.get("exportTo")),
        tuple(
            Subset(text(part.get("name")), _labels(part.get("labels")), _policy(part.get("trafficPolicy")))
            for part in mappings(spec.get("subsets"))
        ),
        _policy(spec.get("trafficPolicy")),
        _labels(mapping(selector).get("matchLabels")) if isinstance(selector, Mapping) else None,
    )


def _policy(value: object) -> Policy | None:
    if not isinstance(value, Mapping):
        return None
    ports = tuple(
        PortPolicy(_number(mapping(part.get("port")).get("number")), _tls(part.get("tls")))
        for part in mappings(value.get("portLevelSettings"))
    )
    return Policy(_tls(value.get("tls")), ports)


def _tls(value: object) -> Tls | None:
    if not isinstance(value, Mapping):
        return None
    return Tls(
        text(value.get("mode")) or "DISABLE",
        text(value.get("credentialName")),
        text(value.get("sni")),
        _texts(value.get("subjectAltNames")),
        bool(text(value.get("clientCertificate")) and text(value.get("privateKey"))),
    )


def _virtual_service(meta: Meta, item: Json) -> Iterator[VirtualService]:
    spec = mapping(item.get("spec"))
    if not _texts(spec.get("hosts")):
        return
    namespace = meta.namespace
    gateways = _texts(spec.get("gateways")) or (MESH_GATEWAY,)
    yield VirtualService(
        meta,
        tuple(hosts.resolve(host, namespace) for host in _texts(spec.get("hosts"))),
        frozenset(_gateway_name(name, namespace) for name in gateways),
        _exports(spec.get("exportTo")),
        tuple(
            TcpRoute(_matches(part, namespace), _destinations(part, namespace)) for part in mappings(spec.get("tcp"))
        ),
        tuple(
            TcpRoute(_matches(part, namespace), _destinations(part, namespace)) for part in mappings(spec.get("tls"))
        ),
        tuple(
            HttpRoute(
                _matches(part, namespace),
                _destinations(part, namespace),
                answers=isinstance(part.get("redirect"), Mapping) or isinstance(part.get("directResponse"), Mapping),
            )
            for part in mappings(spec.get("http"))
        ),
    )


def _gateway_name(name: str, namespace: str) -> str:
    if name == MESH_GATEWAY:
        return name
    place, slash, own = name.partition("/")
    if slash:
        return f"{namespace if place == '.' else place}/{own}"
    own, dot, rest = name.partition(".")
    return f"{rest.partition('.')[0]}/{own}" if dot else f"{namespace}/{name}"


def _matches(route: Json, namespace: str) -> tuple[Match, ...]:
    return tuple(
        Match(
            frozenset(_gateway_name(name, namespace) for name in _texts(part.get("gateways"))),
            _number(part.get("port")),
            _labels(part.get("sourceLabels")),
            text(part.get("sourceNamespace")),
            tuple(str(ipaddress.ip_network(net)) for net in _networks(part.get("destinationSubnets"))),
            _texts(part.get("sniHosts")),
            _is_narrow(part),
        )
        for part in mappings(route.get("match"))
    )


def _is_narrow(match: Json) -> bool:
    asked = {
        key for key in ("scheme", "method", "authority", "headers", "queryParams", "withoutHeaders") if match.get(key)
    }
    return bool(asked) or match.get("uri") not in (None, {}, {"prefix": "/"})


def _destinations(route: Json, namespace: str) -> tuple[Destination, ...]:
    return tuple(
        Destination(
            hosts.resolve(text(found.get("host")), namespace),
            _number(mapping(found.get("port")).get("number")),
            text(found.get("subset")),
        )
        for found in (mapping(part.get("destination")) for part in mappings(route.get("route")))
        if found
    )


def _gateway(meta: Meta, item: Json) -> Iterator[Gateway]:
    spec = mapping(item.get("spec"))
    selector = spec.get("selector")
    yield Gateway(
        meta,
        _labels(selector) if isinstance(selector, Mapping) else None,
        tuple(_server(part) for part in mappings(spec.get("servers")) if mapping(part.get("port")).get("number")),
    )


def _server(part: Json) -> Server:
    port, tls = mapping(part.get("port")), part.get("tls")
    mode = text(mapping(tls).get("mode")) or "PASSTHROUGH"
    return Server(
        _number(port.get("number")),
        _protocol(text(port.get("protocol"))),
        _texts(part.get("hosts")),
        text(port.get("name")),
        text(part.get("bind")),
        mode if isinstance(tls, Mapping) else None,
        text(mapping(tls).get("credentialName")),
    )


def _sidecar(meta: Meta, item: Json) -> Iterator[Sidecar]:
    spec = mapping(item.get("spec"))
    selector = spec.get("workloadSelector")
    yield Sidecar(
        meta,
        tuple(
            EgressListener(
                _texts(part.get("hosts")),
                _number(mapping(part.get("port")).get("number")),
                text(part.get("bind")),
                _protocol(text(mapping(part.get("port")).get("protocol"))),
            )
            for part in mappings(spec.get("egress"))
        ),
        _labels(mapping(selector).get("labels")) if isinstance(selector, Mapping) else None,
    )


def _envoy_filter(meta: Meta, item: Json) -> Iterator[EnvoyFilter]:
    spec = mapping(item.get("spec"))
    contexts = (
        text(mapping(patch.get("match")).get("context")) or "ANY" for patch in mappings(spec.get("configPatches"))
    )
    yield EnvoyFilter(meta, frozenset(contexts), _labels(mapping(spec.get("workloadSelector")).get("labels")))


# -- security.istio.io ---------------------------------------------------------------------------------------------


def _authorization_policy(meta: Meta, item: Json) -> Iterator[AuthorizationPolicy]:
    spec = mapping(item.get("spec"))
    annotations = mapping(mapping(item.get("metadata")).get("annotations"))
    yield AuthorizationPolicy(
        meta,
        text(spec.get("action")) or "ALLOW",
        tuple(_rule(part) for part in mappings(spec.get("rules"))),
        _labels(mapping(spec.get("selector")).get("matchLabels")),
        targeted=bool(spec.get("targetRefs") or spec.get("targetRef")),
        dry_run=text(annotations.get(_DRY_RUN)).lower() in ("true", "1", "t"),
    )


def _rule(part: Json) -> Rule:
    return Rule(
        tuple(tuple(_conditions(mapping(entry.get("source")))) for entry in mappings(part.get("from"))),
        tuple(tuple(_conditions(mapping(entry.get("operation")))) for entry in mappings(part.get("to"))),
        tuple(
            Condition(text(entry.get("key")), _texts(entry.get("values")), _texts(entry.get("notValues")))
            for entry in mappings(part.get("when"))
        ),
    )


def _conditions(fields: Json) -> Iterator[Condition]:
    """Each field of a source or an operation, with the one that excepts from it."""
    for name, values in fields.items():
        if name.startswith("not"):
            own = name[3:4].lower() + name[4:]
            yield Condition(own, exceptions=_texts(values))
        else:
            yield Condition(name, _texts(values))


def _peer_authentication(meta: Meta, item: Json) -> Iterator[PeerAuthentication]:
    spec = mapping(item.get("spec"))
    ports = {
        int(port): _MODES.get(text(mapping(found).get("mode")))
        for port, found in mapping(spec.get("portLevelMtls")).items()
        if is_count(str(port))
    }
    mode = _MODES.get(text(mapping(spec.get("mtls")).get("mode")))
    yield PeerAuthentication(meta, mode, _labels(mapping(spec.get("selector")).get("matchLabels")), ports)


# -- gateway.networking.k8s.io -------------------------------------------------------------------------------------


def _backend_policy(meta: Meta, item: Json) -> Iterator[BackendPolicy]:
    targets = mappings(mapping(item.get("spec")).get("targetRefs"))
    yield BackendPolicy(meta, tuple((text(part.get("kind")), text(part.get("name"))) for part in targets))


# Of each kind: where in the mesh its objects go, and how they are read.
KINDS: Mapping[str, tuple[str, Callable[[Meta, Json], Iterator[Any]]]] = {
    "Service": ("services", _service),
    "ServiceEntry": ("services", _service_entry),
    "DestinationRule": ("destination_rules", _destination_rule),
    "VirtualService": ("virtual_services", _virtual_service),
    "Gateway": ("gateways", _gateway),
    "AuthorizationPolicy": ("authorization_policies", _authorization_policy),
    "PeerAuthentication": ("peer_authentications", _peer_authentication),
    "Sidecar": ("sidecars", _sidecar),
    "EnvoyFilter": ("envoy_filters", _envoy_filter),
    "BackendTLSPolicy": ("backend_policies", _backend_policy),
    "XBackendTrafficPolicy": ("backend_policies", _backend_policy),
}
