# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster of the lab: its API server for objects, its istiod for what proxies get."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import yaml

from tests.lab import Lab, LabError

Object = dict[str, Any]

PLURALS = {
    "Namespace": "namespaces",
    "Service": "services",
    "ServiceEntry": "serviceentries",
    "DestinationRule": "destinationrules",
    "VirtualService": "virtualservices",
    "Gateway": "gateways",
    "AuthorizationPolicy": "authorizationpolicies",
    "PeerAuthentication": "peerauthentications",
    "Sidecar": "sidecars",
}
SECURITY = frozenset({"AuthorizationPolicy", "PeerAuthentication"})
CORE = frozenset({"Namespace", "Service"})
_DEBUG_PORT, _XDS_PORT = 8080, 15010
# Seconds for istiod to take in what was written, and for the namespaces of it to go.
_PATIENCE = 180.0


def api_version(kind: str) -> str:
    if kind in CORE:
        return "v1"
    return "security.istio.io/v1" if kind in SECURITY else "networking.istio.io/v1"


def wait_for(what: str, found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not found():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not seen within {_PATIENCE:.0f} s")
        time.sleep(0.1)


class ControlPlane:
    def __init__(self, lab: Lab, cluster: str) -> None:
        described = lab.cluster(cluster)
        self.host, self.xds_port = described.host_address, _XDS_PORT
        self._host, self._port = described.loopback, 6443
        self._tls = _tls(lab, cluster)
        self._api = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=60)

    # -- API server -------------------------------------------------------------------------------------------------

    def create(self, thing: Object, *, taken_ok: bool = False) -> Object:
        return self._call("POST", _folder(thing), thing, passes={409} if taken_ok else ())

    def delete(self, thing: Object) -> None:
        self._call("DELETE", f"{_folder(thing)}/{thing['metadata']['name']}", passes={404})

    def is_active(self, namespace: str) -> bool:
        found = self._call("GET", f"/api/v1/namespaces/{namespace}", passes={404})
        return bool(found["kind"] == "Namespace" and found["status"].get("phase") == "Active")

    def everything(self, kind: str, selector: str) -> list[Object]:
        root = _root(kind)
        answer = self._call("GET", f"{root}/{PLURALS[kind]}?labelSelector={selector}")
        return [{**item, "kind": kind} for item in answer["items"]]

    def _call(self, method: str, path: str, body: Object | None = None, *, passes: Collection[int] = ()) -> Object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            self._api.request(method, path, data, headers)
            answer = self._api.getresponse()
        except http.client.RemoteDisconnected:
            # An API server ends a connection that was idle for long; the client opens another one.
            self._api.close()
            self._api.request(method, path, data, headers)
            answer = self._api.getresponse()
        text = answer.read()
        if answer.status >= 300 and answer.status not in passes:
            raise LabError(f"{method} {path} answered {answer.status}: {text[:500].decode(errors='replace')}")
        return cast(Object, json.loads(text))

    # -- istiod -----------------------------------------------------------------------------------------------------

    def debug(self, path: str) -> Any:
        """A debug page; istiod shows them to its own machine."""
        connection = http.client.HTTPConnection(self.host, _DEBUG_PORT, timeout=60, source_address=("127.0.0.1", 0))
        try:
            connection.request("GET", f"/debug/{path}")
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            return None
        return json.loads(text)

    def dump(self, proxy: str) -> Mapping[str, Any]:
        """All configuration of a proxy that is connected."""
        found: list[Mapping[str, Any]] = []

        def there() -> bool:
            answer = self.debug(f"config_dump?proxyID={proxy}")
            found[:] = [answer] if answer and len(answer["configs"][1]) > 2 else []
            return bool(found)

        wait_for(f"configuration of {proxy}", there)
        return found[0]

    def has_taken(self, objects: Iterable[Object]) -> bool:
        """Whether istiod's store holds these objects as they are."""
        wanted = {_place(item): item["metadata"]["resourceVersion"] for item in objects if item["kind"] not in CORE}
        have = {_place(item): item["metadata"].get("resourceVersion") for item in self.debug("configz") or ()}
        return all(have.get(place) == version for place, version in wanted.items())

    def has_services(self, hosts: Iterable[str]) -> bool:
        known = {item.get("hostname") for item in self.debug("registryz") or ()}
        return known.issuperset(hosts)


def _place(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _root(kind: str) -> str:
    api = api_version(kind)
    return f"/apis/{api}" if "/" in api else f"/api/{api}"


def _folder(thing: Object) -> str:
    kind, namespace = thing["kind"], thing["metadata"].get("namespace")
    return f"{_root(kind)}{f'/namespaces/{namespace}' if namespace else ''}/{PLURALS[kind]}"


def _tls(lab: Lab, cluster: str) -> ssl.SSLContext:
    """As the lab's administrator."""
    config = yaml.safe_load(lab.kubeconfig.read_text())
    authority = next(item["cluster"] for item in config["clusters"] if item["name"] == cluster)
    user = next(item["user"] for item in config["users"] if item["name"] == f"{cluster}-admin")
    context = ssl.create_default_context(cadata=_decoded(authority, "certificate-authority-data"))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(_decoded(user, "client-certificate-data") + _decoded(user, "client-key-data"))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def _decoded(holder: Mapping[str, str], key: str) -> str:
    return base64.b64decode(holder[key]).decode()


def services_of(objects: Sequence[Object]) -> list[str]:
    """Hosts of Kubernetes Services among these objects."""
    return [
        f"{item['metadata']['name']}.{item['metadata']['namespace']}.svc.cluster.local"
        for item in objects
        if item["kind"] == "Service"
    ]
