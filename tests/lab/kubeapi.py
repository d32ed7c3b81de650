# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few calls to an API server that starting a lab needs: quicker than a kubectl each."""

import json
import ssl
import urllib.error
import urllib.request
from typing import Any, cast

from .description import Cluster
from .errors import LabError
from .pki import Pki

Object = dict[str, Any]


_CLUSTER_WIDE = {"Namespace", "Node", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}


class KubeApi:
    def __init__(self, cluster: Cluster, pki: Pki) -> None:
        self._cluster = cluster
        self._tls = ssl.create_default_context(cafile=str(pki.ca))
        # What Python 3.13 asks of every server, and this one's Python may not.
        self._tls.verify_flags |= ssl.VERIFY_X509_STRICT
        self._tls.load_cert_chain(str(pki.certificate("admin")), str(pki.key("admin")))

    def ready(self) -> bool:
        try:
            self._request("GET", "/readyz")
        except (OSError, LabError):
            return False
        return True

    def get(self, path: str) -> Object | None:
        try:
            return cast(Object, json.loads(self._request("GET", path)))
        except LabError:
            return None

    def apply(self, thing: Object) -> Object:
        path = f"{object_path(thing)}?fieldManager=lab&force=true"
        return cast(Object, json.loads(self._request("PATCH", path, thing, "application/apply-patch+yaml")))

    def set_status(self, thing: Object, status: Object) -> None:
        body = {"status": status}
        self._request("PATCH", f"{object_path(thing)}/status", body, "application/merge-patch+json")

    def token(self, namespace: str, account: str, audience: str, seconds: int) -> str:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": seconds},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer: Object = json.loads(self._request("POST", path, body, "application/json"))
        return str(answer["status"]["token"])

    def _request(self, method: str, path: str, body: Object | None = None, content_type: str = "") -> bytes:
        request = urllib.request.Request(self._cluster.api_url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=30) as answer:
                return cast(bytes, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read().decode(errors="replace")[:300]
            raise LabError(f"{self._cluster.name}: {method} {path} answered {error.code}: {detail}") from error


def object_path(thing: Object) -> str:
    api = thing["apiVersion"]
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    kind = thing["kind"]
    plural = f"{kind.lower()}s"
    namespace = "" if kind in _CLUSTER_WIDE else f"/namespaces/{thing['metadata']['namespace']}"
    return f"{root}{namespace}/{plural}/{thing['metadata']['name']}"
