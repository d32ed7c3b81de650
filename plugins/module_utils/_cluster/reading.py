# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a run must know of one cluster, read in one go.

PRIVATE to the collection. A reading holds no private key: a Secret is told by its certificate, its trust and
whether its key belongs to the certificate.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy, managed_fields
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import (
    METADATA_ONLY,
    PARALLEL,
    Api,
    ApiError,
    RefusedError,
    object_path,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import (
    Watch,
    read_proxy,
    with_counts,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import (
    Item,
    get_object,
    list_objects,
    malformed,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.identity import NO_IDENTITY, read_identity
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import (
    Backend,
    ClusterReading,
    ForeignGateway,
    ForeignPolicy,
    GatewayServer,
    Life,
    LiveObject,
    LiveSecret,
    Place,
    Pod,
    SecretTrust,
    Service,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.ownership import SECRET, Territory
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.secrets import (
    SecretQuestion,
    find_secrets,
    referred_to,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.services import tcp_ports
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.tracking import tracker_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.credential import read_live
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import parse_certificates

__all__ = [
    "IDENTITY",
    "READ_SECRETS",
    "Gateway",
    "Parts",
    "Pods",
    "Request",
    "gateway_pods",
    "life_of",
    "not_permitted",
    "read_cluster",
    "read_connections",
    "read_parts",
    "read_pods",
    "read_service",
    "secret_view",
]

# Seconds for one question to one gateway pod.
EXEC_TIMEOUT = 15.0
MESH_ROOT = "istio-ca-root-cert"
# What could not be read, where that is who asks.
IDENTITY = "create selfsubjectreviews"
READ_SECRETS = "get secrets"
READ_RECORDS = "read the CA's records"
# Of these, what others made says whether ours works.
_WHOLE = frozenset({"Gateway", "DestinationRule"})
_PLAIN_HTTP = frozenset({"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB"})

Found = TypeVar("Found")


@dataclass(frozen=True)
class Gateway:
    """Where a gateway's Service and pods are."""

    namespace: str
    service: str
    selector: Mapping[str, str]

    @property
    def label_selector(self) -> str:
        return ",".join(f"{key}={value}" for key, value in sorted(self.selector.items()))


@dataclass(frozen=True)
class Request:
    """What to look for.

    :param links: names of the links that are wanted here; objects under their names are read whoever made them.
    :param backends: (service, namespace) of the links' backends.
    :param secrets: (namespace, name) of those that the links need.
    :param recorded: tells the same, if asked, of those that certificates on record were issued for.
    :param lockdown: namespaces whose egress is to be locked down.
    :param sides: those whose gateway pods are asked what they serve; of the others there is nothing to prove.
    :param watches: by side, what of its proxies to look at.
    :param whole: read everybody's objects of the kinds that Istio reads as well: they are needed anyway.
    """

    instance: str
    cluster: str
    ingress: Gateway
    egress: Gateway
    links: Sequence[str]
    client_credential: str
    backends: Sequence[tuple[str, str]]
    secrets: Sequence[tuple[str, str]] = ()
    recorded: Callable[[], Collection[tuple[str, str]]] = tuple
    lockdown: Sequence[str] = ()
    sides: Collection[names.Side] = names.SIDES
    watches: Mapping[names.Side, Watch] = field(default_factory=dict)
    whole: bool = False

    @property
    def namespaces(self) -> list[str]:
        return sorted({self.ingress.namespace, self.egress.namespace})

    def owner(self, side: names.Side) -> names.Owner:
        return names.Owner(self.instance, self.cluster, side)


@dataclass(frozen=True)
class Pods:
    """What bears a gateway's labels.

    :param strangers: pods without a proxy, which are no gateway.
    """

    pods: list[Pod]
    strangers: list[str]


NO_PODS = Pods([], [])


@dataclass(frozen=True)
class Parts:
    """What could be read; empty in place of what could not.

    :param denied: what the user of the context is not permitted to do.
    :param failed: what went wrong otherwise, by what was to be done.
    :param whole: by kind, all objects of those kinds of which all were read.
    """

    reading: ClusterReading
    denied: set[str] = field(default_factory=set)
    failed: dict[str, CrossmeshError] = field(default_factory=dict)
    whole: Mapping[str, Sequence[Item]] = field(default_factory=dict)


def read_cluster(api: Api, request: Request, *, trust: bool = False) -> Parts:
    """Read one cluster.

    :param trust: ask the gateways' pods for what they trust as well.
    :raises CrossmeshError: when the API server cannot be reached, or forbids what is needed (told all at once).
    """
    parts = read_parts(api, request, trust=trust)
    for error in parts.failed.values():
        raise error
    if parts.denied:
        raise CrossmeshError(not_permitted(api.where, parts.denied))
    return parts


def not_permitted(where: str, denied: Collection[str]) -> Message:
    """All that may not be read."""
    what = f"not permitted to read what a run needs: 403 for: {'; '.join(sorted(denied))}"
    return Message.error(
        "not-permitted", where=where, what=what, fix="grant these permissions to the user of this context"
    )


def read_parts(api: Api, request: Request, *, trust: bool = False) -> Parts:
    """The same as far as it can be read."""
    reader = _Reader(api, request)
    gateways: dict[names.Side, Gateway] = {"server": request.ingress, "client": request.egress}
    with ThreadPoolExecutor(PARALLEL) as pool:
        identity = pool.submit(reader.permitted, IDENTITY, partial(read_identity, api), NO_IDENTITY)
        kinds = {
            kind.kind: pool.submit(reader.permitted, f"list {kind.plural}", partial(reader.kind, kind), [])
            for kind in names.KINDS
        }
        # Begun after the kinds that it may wait for.
        secrets = pool.submit(
            reader.permitted,
            READ_SECRETS,
            partial(reader.secrets, lambda: [item for kind in _WHOLE for item in kinds[kind].result() or ()]),
            [],
        )
        services = {
            side: pool.submit(reader.permitted, "get services", partial(read_service, api, gateway), None)
            for side, gateway in gateways.items()
        }
        pods = {
            side: pool.submit(reader.permitted, "list pods", partial(reader.pods, side, gateway, trust), NO_PODS)
            for side, gateway in gateways.items()
        }
        roots = pool.submit(reader.permitted, "get configmaps", reader.mesh_roots, [])
        backends = pool.submit(reader.backends)
    lists = {kind: future.result() for kind, future in kinds.items()}
    reader.learn(lists["VirtualService"] or ())
    reading: ClusterReading = {
        "cluster": request.cluster,
        "identity": identity.result(),
        "objects": [item for found in lists.values() for item in reader.relevant(found or [])],
        "of_others": reader.of_other_clusters(lists),
        "strays": reader.strays(lists),
        "missing_kinds": [kind for kind, found in lists.items() if found is None],
        "gateways": [_gateway_of_others(item) for item in reader.of_others(lists["Gateway"])],
        "sidecars": [_title(item) for item in reader.locked_in(lists["Sidecar"])],
        "network_policies": [_policy_of_others(item) for item in reader.locked_in(lists["NetworkPolicy"])],
        "secrets": secrets.result(),
        "services": {side: future.result() for side, future in services.items()},
        "pods": {side: future.result().pods for side, future in pods.items()},
        "strangers": {side: future.result().strangers for side, future in pods.items()},
        "mesh_roots": roots.result(),
        "backends": backends.result(),
        "clock_ahead": api.clock_ahead,
    }
    return Parts(reading, reader.denied, reader.failed, reader.whole(lists))


def _place(item: Item) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


class _Reader:
    def __init__(self, api: Api, request: Request) -> None:
        self.api = api
        self.request = request
        self.denied: set[str] = set()
        self.failed: dict[str, CrossmeshError] = {}
        self._secrets: list[Item] = []
        self._territory = Territory(
            request.instance,
            request.cluster,
            {"server": request.ingress.namespace, "client": request.egress.namespace},
            frozenset(namespace for _service, namespace in request.backends),
            request.client_credential,
            # Seldom asked: only where something of ours stands elsewhere than the inventory says.
            cache(self._recorded),
        )
        # Kinds that may not be read, and need not be.
        self._spared: set[str] = set()
        self._wanted = {kind.kind: set(self._places(kind.kind)) for kind in names.KINDS}
        self._ours = (
            f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_INSTANCE}={request.instance},"
            f"{names.LABEL_CLUSTER}={request.cluster}"
        )
        self._lockdowns = {
            (kind, namespace, name) for kind, name in names.lockdown_objects().items() for namespace in request.lockdown
        }

    def _recorded(self) -> Collection[tuple[str, str]]:
        nothing: Collection[tuple[str, str]] = ()
        return self.permitted(READ_RECORDS, self.request.recorded, nothing)

    def permitted(self, needed: str, read: Callable[[], Found], nothing: Found) -> Found:
        """The result of C(read); an error is remembered, so that all of them can be told at once."""
        try:
            return read()
        except CrossmeshError as error:
            if isinstance(error, ApiError) and error.status == 403:
                self.denied.add(needed)
            else:
                self.failed.setdefault(needed, error)
            return nothing

    def kind(self, kind: names.Kind) -> list[Item] | None:
        """The objects of a kind that a run must know; None where the cluster does not know it."""
        path = object_path(kind.group, kind.version, kind.plural)
        locked = kind.kind in names.LOCKDOWN_KINDS
        try:
            if self._is_whole(kind.kind):
                found = list_objects(self.api, kind.kind, path)
            else:
                found = list_objects(self.api, kind.kind, path, {"labelSelector": self._ours})
                found = [*found, *self._under_wanted_names(kind, found)]
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status == 403 and locked and not self.request.lockdown:
                self._spared.add(kind.kind)
                return []
            raise
        return [{**item, "kind": kind.kind, "apiVersion": kind.api_version} for item in found]

    def _is_whole(self, kind: str) -> bool:
        if kind in names.LOCKDOWN_KINDS and self.request.lockdown:
            return True
        return kind in _WHOLE or (self.request.whole and kind != "NetworkPolicy")

    def whole(self, lists: Mapping[str, list[Item] | None]) -> dict[str, list[Item]]:
        plurals = {kind.kind: kind.plural for kind in names.KINDS}
        unread = {*self.denied, *self.failed}
        return {
            kind: found or []
            for kind, found in lists.items()
            if self._is_whole(kind) and kind not in self._spared and f"list {plurals[kind]}" not in unread
        }

    def _places(self, kind: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of every object of a kind that a side may need."""
        backends = {namespace for _service, namespace in self.request.backends}
        for side in self.request.sides:
            gateway = self.request.ingress if side == "server" else self.request.egress
            namespaces = backends if kind == "PeerAuthentication" else {gateway.namespace}
            for link in self.request.links:
                for name in names.OBJECTS[side](link).get(kind, ()):
                    yield from ((namespace, name) for namespace in namespaces)

    def _under_wanted_names(self, kind: names.Kind, ours: Iterable[Item]) -> list[Item]:
        """What others have where a side needs an object. A mesh can have thousands of a kind, so names come first."""
        missing = self._wanted[kind.kind] - set(map(_place, ours))
        if not missing:
            return []
        path = object_path(kind.group, kind.version, kind.plural)
        everything = list_objects(self.api, kind.kind, path, accept=METADATA_ONLY)
        found: list[Item] = []
        for namespace, name in sorted(missing & set(map(_place, everything))):
            # As a list, which needs no other permission, and is empty where the object has gone meanwhile.
            selector = {"fieldSelector": f"metadata.namespace={namespace},metadata.name={name}"}
            found += list_objects(self.api, kind.kind, path, selector)
        return found

    def learn(self, routes: Iterable[Item]) -> None:
        """Once all kinds are read: where backends of links that have left the inventory were."""
        self._territory = self._territory.with_routes(routes)

    def concerns(self, item: Item) -> bool:
        """Whether an object is ours, or stands under a name that a wanted link has."""
        if (item["kind"], *_place(item)) in self._lockdowns or _place(item) in self._wanted[item["kind"]]:
            return True
        return self._territory.has(item)

    def strays(self, lists: Mapping[str, list[Item] | None]) -> list[str]:
        """Titles of what bears our labels and is not ours."""
        found = (*(item for items in lists.values() for item in items or ()), *self._secrets)
        strays = self._territory.strays(found)
        return sorted(f"{item['kind']} {'/'.join(_place(item))}" for item in strays)

    def relevant(self, items: Iterable[Item]) -> list[LiveObject]:
        own = {self.request.owner("server").manager, self.request.owner("client").manager}
        return [_slim(item, own) for item in items if self.concerns(item)]

    def of_others(self, items: Iterable[Item] | None) -> list[Item]:
        return [item for item in items or [] if not self.concerns(item)]

    def of_other_clusters(self, lists: Mapping[str, list[Item] | None]) -> dict[str, list[str]]:
        """What this instance has here for other clusters, of what is read in any case: each link has some of it."""
        found: dict[str, list[str]] = {}
        for item in (*(lists["Gateway"] or ()), *(lists["DestinationRule"] or ()), *self._secrets):
            labels = item["metadata"].get("labels") or {}
            cluster = labels.get(names.LABEL_CLUSTER, "")
            ours = (labels.get(names.LABEL_MANAGED_BY), labels.get(names.LABEL_INSTANCE))
            if cluster != self.request.cluster and ours == (names.MANAGED_BY, self.request.instance):
                found.setdefault(cluster, []).append(f"{item['kind']} {'/'.join(_place(item))}")
        return {cluster: sorted(titles) for cluster, titles in sorted(found.items())}

    def locked_in(self, items: Iterable[Item] | None) -> list[Item]:
        """What others have in the namespaces that are to be locked down."""
        return [item for item in self.of_others(items) if item["metadata"]["namespace"] in self.request.lockdown]

    def pods(self, side: names.Side, gateway: Gateway, trust: bool) -> Pods:
        watch = self.request.watches.get(side)
        return read_pods(self.api, gateway, ask=side in self.request.sides, trust=trust, watch=watch)

    def secrets(self, with_references: Callable[[], Iterable[Item]]) -> list[LiveSecret]:
        """Our Secrets, and what others have under the names that we want.

        :param with_references: gives the objects that refer to Secrets, once they are read.
        """
        found = find_secrets(
            self.api,
            SecretQuestion(
                self.request.namespaces,
                self._ours,
                self.request.secrets,
                lambda: self._referred_to(with_references()),
                self.request.recorded,
            ),
        )
        if found.denied:
            self.denied.add(f"{READ_SECRETS} ({listed(found.denied)})")
        self._secrets = [{**item, "kind": SECRET} for item in found.seen]
        strays = set(map(_place, self._territory.strays({**item, "kind": SECRET} for item in found.items)))
        wanted = {
            (namespace, known)
            for namespace, name in self.request.secrets
            for known in (name, names.cacert_secret(name))
        }
        return [secret_view(item) for item in found.items if _place(item) in wanted or _place(item) not in strays]

    def _referred_to(self, items: Iterable[Item]) -> set[tuple[str, str]]:
        return set(referred_to(filter(self._territory.has, items), self.request.client_credential))

    def mesh_roots(self) -> list[str]:
        """SHA-256 of the public keys of the mesh's own CA (ConfigMap istio-ca-root-cert)."""
        path = object_path("", "v1", "configmaps", self.request.ingress.namespace, MESH_ROOT)
        try:
            item = get_object(self.api, "ConfigMap", path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        bundle = (item.get("data") or {}).get("root-cert.pem", "")
        return [view.public_key_fingerprint for view in parse_certificates(bundle, where=MESH_ROOT)] if bundle else []

    def backends(self) -> list[Backend]:
        """Of every backend: whether its Service is there, its TCP ports, and how many of its pods have a sidecar."""
        namespaces = sorted({namespace for _service, namespace in self.request.backends})
        services = {namespace: self._by_name("Service", "services", namespace) for namespace in namespaces}
        pods = {namespace: self._by_name("Pod", "pods", namespace) for namespace in namespaces}
        return [
            _backend(service, namespace, services[namespace].get(service), pods[namespace].values())
            for service, namespace in sorted(set(self.request.backends))
        ]

    def _by_name(self, kind: str, plural: str, namespace: str) -> dict[str, Item]:
        read = partial(list_objects, self.api, kind, object_path("", "v1", plural, namespace))
        found: list[Item] = self.permitted(f"list {plural} in {namespace}", read, [])
        return {item["metadata"]["name"]: item for item in found}


def read_service(api: Api, gateway: Gateway) -> Service | None:
    """The gateway's Service; None where there is none."""
    try:
        item = get_object(api, "Service", object_path("", "v1", "services", gateway.namespace, gateway.service))
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    ingress = item.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    given = [entry.get("ip") or entry.get("hostname") for entry in ingress]
    spec, entries = item.get("spec", {}), managed_fields.entries_of(item["metadata"])
    return {
        "namespace": gateway.namespace,
        "name": gateway.service,
        "type": spec.get("type", "ClusterIP"),
        "selector": spec.get("selector") or {},
        "ports": spec.get("ports", []),
        "owners": managed_fields.port_owners(entries),
        "written": managed_fields.times_of(entries),
        "addresses": [address for address in (*given, *spec.get("externalIPs", [])) if address],
    }


def _slim(item: Item, own_managers: Collection[str]) -> LiveObject:
    """The object as far as it matters; entries of our own managers say nothing that the inventory does not."""
    metadata = item["metadata"]
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels") or {},
            "creationTimestamp": metadata.get("creationTimestamp", ""),
            "managedFields": [
                entry for entry in managed_fields.entries_of(metadata) if entry["manager"] not in own_managers
            ],
            "tracker": tracker_of(item),
            **life_of(item),
        },
        "spec": item.get("spec", {}),
    }


def life_of(item: Item) -> Life:
    """What ends an object, or keeps it as it is; of an owner kind and name alone."""
    metadata, life = item["metadata"], Life()
    if since := metadata.get("deletionTimestamp"):
        life["deletionTimestamp"] = since
    if finalizers := metadata.get("finalizers"):
        life["finalizers"] = list(finalizers)
    if owners := metadata.get("ownerReferences"):
        life["ownerReferences"] = [{"kind": owner["kind"], "name": owner["name"]} for owner in owners]
    if item.get("immutable"):
        life["immutable"] = True
    return life


def _gateway_of_others(item: Item) -> ForeignGateway:
    spec = item.get("spec", {})
    return {
        "namespace": item["metadata"]["namespace"],
        "name": item["metadata"]["name"],
        "created": item["metadata"].get("creationTimestamp", ""),
        "selector": spec.get("selector", {}),
        "servers": [_server(server) for server in spec.get("servers", [])],
    }


def _server(server: Item) -> GatewayServer:
    port = server.get("port", {})
    protocol = str(port.get("protocol", "")).upper()
    return {
        "port": port.get("number"),
        "protocol": protocol,
        # As Istio counts it: HTTP with TLS settings redirects to HTTPS, TCP with them is TLS.
        "plain": protocol in _PLAIN_HTTP or "tls" not in server,
        "hosts": server.get("hosts", []),
        "bind": server.get("bind", ""),
    }


def _title(item: Item) -> Place:
    return {"namespace": item["metadata"]["namespace"], "name": item["metadata"]["name"]}


def _policy_of_others(item: Item) -> ForeignPolicy:
    spec = item.get("spec", {})
    limits_egress = "Egress" in spec.get("policyTypes", [])
    return {**_title(item), "egress": spec.get("egress", []) if limits_egress else []}


def _backend(service: str, namespace: str, found: Item | None, pods: Iterable[Item]) -> Backend:
    spec = (found or {}).get("spec", {})
    ports = list(tcp_ports(spec.get("ports") or ()))
    selector = spec.get("selector") or {}
    selected = [pod for pod in pods if selector and _has_labels(pod, selector)]
    return {
        "service": service,
        "namespace": namespace,
        "found": found is not None,
        # An alias has whatever ports the host has that it stands for; Istio does not look at its own.
        "ports": None if spec.get("type") == "ExternalName" else ports,
        "pods": len(selected),
        "sidecars": sum(_has_sidecar(pod) for pod in selected),
    }


def _has_labels(pod: Item, selector: Mapping[str, str]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _has_sidecar(pod: Item) -> bool:
    """As a container, or as a native sidecar: an init container that does not end."""
    spec = pod.get("spec", {})
    lasting = [found for found in spec.get("initContainers") or [] if found.get("restartPolicy") == "Always"]
    return any(found["name"] == "istio-proxy" for found in (*(spec.get("containers") or []), *lasting))


def secret_view(item: Item) -> LiveSecret:
    """A Secret without its key."""
    metadata = item["metadata"]
    name = f"Secret {metadata['namespace']}/{metadata['name']}"
    data = {key: _decoded(value, name, key) for key, value in (item.get("data") or {}).items()}
    certificate, trust = data.get("tls.crt", b""), data.get("ca.crt", b"")
    live = read_live(certificate, data.get("tls.key", b""), where=name)
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "labels": metadata.get("labels") or {},
        "type": item.get("type", "Opaque"),
        "keys": sorted(data),
        "certificate": certificate.decode(errors="replace"),
        "trust": trust.decode(errors="replace"),
        "lists": data.get("ca.crl", b"").decode(errors="replace"),
        "key_matches": live.key_matches,
        "managedFields": managed_fields.entries_of(metadata),
        "version": metadata.get("resourceVersion", ""),
        "witness": (metadata.get("annotations") or {}).get(names.ANNOTATION_WITNESS, ""),
        **life_of(item),
    }


def _decoded(value: str, secret: str, key: str) -> bytes:
    try:
        return base64.b64decode(value)
    # Characters beyond ASCII are a ValueError of another kind.
    except (binascii.Error, ValueError):
        raise malformed(secret, f"data.{key} is not base64") from None


def gateway_pods(
    api: Api, gateway: Gateway, *, ask: bool = True, trust: bool = False, watch: Watch | None = None
) -> list[Pod]:
    """The gateway's running pods alone."""
    return read_pods(api, gateway, ask=ask, trust=trust, watch=watch).pods


def read_pods(api: Api, gateway: Gateway, *, ask: bool = True, trust: bool = False, watch: Watch | None = None) -> Pods:
    """The gateway's running pods and what each of them serves. One without a proxy is none of them.

    :param ask: ask those that are ready; with a hundred links a proxy's answer has a megabyte.
    :param trust: ask for what they trust as well.
    :param watch: what of their proxies to look at.
    """
    path = object_path("", "v1", "pods", gateway.namespace)
    items = list_objects(api, "Pod", path, {"labelSelector": gateway.label_selector})
    running = [item for item in items if not item["metadata"].get("deletionTimestamp")]
    proxies = [item for item in running if _has_sidecar(item)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        pods = list(pool.map(lambda item: _pod(api, item, ask, trust, watch), proxies))
    return Pods(pods, sorted("/".join(_place(item)) for item in running if item not in proxies))


def _pod(api: Api, item: Item, ask: bool, trust: bool, watch: Watch | None) -> Pod:
    metadata = item["metadata"]
    conditions = item.get("status", {}).get("conditions") or []
    pod: Pod = {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "labels": metadata.get("labels") or {},
        "trust_domain": "",
        "account": item.get("spec", {}).get("serviceAccountName", ""),
        "ready": any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions),
        "serials": None,
        "trust": None,
        "problem": "",
        "forbidden": False,
        "proxy": None,
    }
    if ask and pod["ready"]:
        try:
            served = _ask(api, pod, envoy.CERTS)
            pod["serials"], pod["trust_domain"] = envoy.served_serials(served), envoy.own_trust_domain(served)
            if watch or trust:
                dump = _ask(api, pod, watch.question if watch else envoy.SECRETS)
                pod["trust"] = _trust_by_secret(dump) if trust else None
                pod["proxy"] = read_proxy(dump) if watch else None
            if watch and pod["proxy"] and watch.counts:
                pod["proxy"] = with_counts(pod["proxy"], _ask(api, pod, watch.question_of_counts))
        except (RefusedError, ValueError) as error:
            pod["problem"] = error.message.what if isinstance(error, RefusedError) else "its answer could not be read"
            pod["forbidden"] = isinstance(error, RefusedError) and error.forbidden
    return pod


def _trust_by_secret(config_dump: str) -> dict[str, SecretTrust]:
    """What a pod trusts for each Secret: fingerprints of roots, and which revocation lists.

    istiod names the validation context of a Secret C(kubernetes://NAME-cacert), or so with a namespace.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name, context in envoy.trust(config_dump).items():
        secret, marked, _rest = name.rpartition("/")[2].rpartition("-cacert")
        if not marked:
            continue
        roots, lists = found.setdefault(secret, (set(), set()))
        try:
            roots.update(view.fingerprint for view in parse_certificates(context.roots, where=name))
            if context.lists:
                lists.update(item.identity for item in parse_crls(context.lists, where=name))
        except CrossmeshError as error:
            raise ValueError(str(error)) from error
    return {secret: {"roots": sorted(roots), "lists": sorted(lists)} for secret, (roots, lists) in found.items()}


def read_connections(api: Api, gateway: Gateway, watch: Watch) -> dict[str, dict[str, envoy.Connections]]:
    """What a gateway counts of connections to its servers, by Envoy's cluster, and by pod and address.

    :returns: nothing where a pod does not answer, or comes or goes: one that is told to end still carries what it has.
    """
    path = object_path("", "v1", "pods", gateway.namespace)
    try:
        items = list_objects(api, "Pod", path, {"labelSelector": gateway.label_selector})
        pods = [_pod(api, item, False, False, None) for item in items if _has_sidecar(item)]
        if not all(pod["ready"] for pod in pods) or any(item["metadata"].get("deletionTimestamp") for item in items):
            return {}
        with ThreadPoolExecutor(PARALLEL) as pool:
            answers = list(pool.map(lambda pod: envoy.connections(_ask(api, pod, watch.question_of_counts)), pods))
    except (CrossmeshError, ValueError):
        return {}
    found: dict[str, dict[str, envoy.Connections]] = defaultdict(dict)
    for pod, answer in zip(pods, answers, strict=True):
        for name, counts in answer.items():
            found[name] |= {f"{pod['uid']} {address}": count for address, count in counts.items()}
    return dict(found)


def _ask(api: Api, pod: Pod, path: str) -> str:
    return api.proxy_request(pod["namespace"], pod["name"], path, EXEC_TIMEOUT)
