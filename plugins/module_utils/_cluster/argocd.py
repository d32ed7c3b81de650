# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as Argo CD keeps it: a Secret with its name, its API server and a credential.

PRIVATE to the collection. The credential is read by whoever connects, for as long as that takes; an inventory knows
nothing but where it lies. Whoever may write such a Secret says where a cluster is, and no more than that: it starts no
program here, and turns no verification off.
https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    NAME,
    Connection,
    document_of,
    https_server_of,
    is_sendable,
    refuse,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import (
    ARGOCD_CONFIG,
    Item,
    get_object,
    hold,
    malformed,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import parse_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api

__all__ = ["SELECTOR", "connection_to_registered", "is_registration", "text_in"]

_LABEL, _VALUE = "argocd.argoproj.io/secret-type", "cluster"
SELECTOR = f"{_LABEL}={_VALUE}"
# NAMESPACE/NAME, in what Kubernetes takes for both.
_PLACE = re.compile(r"([a-z0-9][a-z0-9.-]{0,252})/([a-z0-9][a-z0-9.-]{0,252})")
# Neither leads elsewhere, nor is a credential.
_NO_MATTER = frozenset({"disableCompression"})
_INSTEAD = "give the cluster a kubeconfig (mesh_kubeconfig, mesh_context) in place of mesh_argocd_secret"


def connection_to_registered(hub: Api, given: str, *others: str) -> Connection:
    """What C(mesh_argocd_secret) means.

    :param hub: the API server of the cluster that Argo CD runs in.
    :param given: the Secret, C(NAMESPACE/NAME).
    :param others: what says otherwise how the cluster is reached; one way has to be the one.
    :raises CrossmeshError: it cannot be read, or nothing can be meant by it.
    """
    place = _PLACE.fullmatch(given)
    if not place:
        raise refuse("mesh_argocd_secret", "it is not NAMESPACE/NAME of a Secret", "write it as argocd/cluster-b")
    where = f"Secret {given} of Argo CD, {hub.where}"
    if any(others):
        what = "mesh_kubeconfig, mesh_context or mesh_api_host is set as well"
        raise refuse(where, what, "set these to '' for this cluster, or leave mesh_argocd_secret out")
    secret = get_object(hub, "Secret", f"/api/v1/namespaces/{place[1]}/secrets/{place[2]}")
    if not is_registration(secret):
        raise refuse(where, f"it has no label {SELECTOR}", "name a Secret in which Argo CD keeps a cluster")
    return _connection(secret, where)


def is_registration(secret: Item) -> bool:
    """Whether a Secret keeps a cluster; a selector is a wish, and a server may answer with more."""
    return bool(secret["metadata"].get("labels", {}).get(_LABEL) == _VALUE)


def text_in(secret: Item, key: str, where: str) -> str:
    """A text of its data; empty where there is none.

    :raises CrossmeshError: it is no text.
    """
    try:
        return base64.b64decode(secret.get("data", {}).get(key, ""), validate=True).decode()
    except ValueError:
        raise malformed(where, f"data.{key} is no text in Base64") from None


def _connection(secret: Item, where: str) -> Connection:
    _title, server = https_server_of(f"the server of {where}", text_in(secret, "server", where), _INSTEAD)
    config = _config(secret, where)
    tls = config.get("tlsClientConfig", {})
    if tls.get("insecure"):
        raise _unverified(where)
    names = {"caData": "certificate-authority-data", "serverName": "tls-server-name"}
    cluster = {"server": server, **{name: tls[key] for key, name in names.items() if tls.get(key)}}
    document = document_of(cluster, _user(config, tls, where))
    return Connection(f"{where}, {server}", context=NAME, document=document, private=True, instead=_INSTEAD)


def _config(secret: Item, where: str) -> Item:
    try:
        found = parse_json(text_in(secret, "config", where) or "{}")
    except ValueError:
        raise malformed(where, "data.config is no JSON") from None
    config = hold(found, ARGOCD_CONFIG, where)
    unknown = {key for key, value in config.items() if value} - ARGOCD_CONFIG.known.keys() - _NO_MATTER
    if unknown:
        # Among them are programs to start (execProviderConfig, awsAuthConfig).
        raise refuse(where, f"its config has {listed(unknown)}, which is not followed", _INSTEAD)
    return config


def _user(config: Item, tls: Item, where: str) -> dict[str, Any]:
    if token := config.get("bearerToken", "").strip():
        if not is_sendable(token):
            what = "its bearerToken holds a blank, a line end or another character that no token has"
            raise refuse(where, what, "correct the token in the Secret")
        return {"token": token}
    if tls.get("certData") and tls.get("keyData"):
        return {"client-certificate-data": tls["certData"], "client-key-data": tls["keyData"]}
    raise refuse(where, "its config has neither bearerToken nor certData and keyData", _INSTEAD)


def _unverified(where: str) -> CrossmeshError:
    what = (
        "tlsClientConfig.insecure is true: whoever answers there would get the credential, and gateways' private keys"
    )
    fix = "enter the CA of the API server as tlsClientConfig.caData, and remove insecure"
    return CrossmeshError(Message.error("unverified-server", where=where, what=what, fix=fix))
