# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is reached, decided once for everything that reads there and everything that writes there.

PRIVATE to the collection. What the inventory does not ask for by name has no part in it: neither variables of the
environment, nor the account of a pod, nor a kubeconfig somewhere else.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import has_memory_files, memory_file
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

__all__ = [
    "ENVIRONMENT",
    "IN_CLUSTER",
    "Connection",
    "connection_of",
    "connection_to_host",
    "refuse",
    "without_overrides",
    "writer_kubeconfig",
]

# In place of a path in mesh_kubeconfig.
IN_CLUSTER, ENVIRONMENT = "in-cluster", "environment"

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What kubernetes.core takes from the environment, in its order: it has two names for some.
_PREFIX = "K8S_AUTH_"
_CERTIFICATE, _KEY, _AUTHORITY = ("CLIENT_CERT", "CERT_FILE"), ("CLIENT_KEY", "KEY_FILE"), ("CA_CERT", "SSL_CA_CERT")
_VERIFY = ("VALIDATE_CERTS", "VERIFY_SSL")
_KNOWN = {"KUBECONFIG", "CONTEXT", "HOST", "API_KEY", "USERNAME", "PASSWORD", "PROXY", "PERSIST_CONFIG"}
_KNOWN |= {*_CERTIFICATE, *_KEY, *_AUTHORITY, *_VERIFY}
_FALSE = frozenset({"0", "false", "no"})

Json = dict[str, Any]


@dataclass(frozen=True)
class Connection:
    """One way to one API server: kubeconfig files, or a kubeconfig that was made here of something else.

    :param where: names it in messages.
    :param files: absolute paths; the first that names something decides, as with kubectl.
    :param context: name of a context; empty for the current one of C(files).
    :param document: a kubeconfig of one context, where there are no files.
    :param private: whether C(document) holds what may stand in no argument and no file.
    """

    where: str
    files: tuple[str, ...] = ()
    context: str = ""
    document: Json = field(default_factory=dict, repr=False)
    private: bool = False


def connection_of(kubeconfig: str, context: str, environ: Mapping[str, str], folder: Path) -> Connection:
    """What C(mesh_kubeconfig) and C(mesh_context) mean.

    :param kubeconfig: paths as in C(KUBECONFIG), C(in-cluster) or C(environment); empty for what kubectl takes.
    :param context: empty for the current one.
    :param environ: of the process that Ansible was started in.
    :param folder: where relative paths begin: where Ansible was started.
    :raises CrossmeshError: nothing can be meant by it.
    """
    if kubeconfig == IN_CLUSTER:
        return _in_cluster(context, environ)
    if kubeconfig == ENVIRONMENT:
        return _of_environment(context, environ, folder)
    return _of_files(kubeconfig or environ.get("KUBECONFIG", "") or "~/.kube/config", context, folder)


def connection_to_host(host: str, token: str, authority: str, folder: Path, *others: str) -> Connection:
    """What C(mesh_api_host), C(mesh_api_key) and C(mesh_api_ca_cert) mean.

    :param host: URL of the API server.
    :param authority: path of a file with the CA's certificates, or these in PEM; empty for those of the system.
    :param folder: where relative paths begin: where Ansible was started.
    :param others: what C(mesh_kubeconfig) and C(mesh_context) say; one of both ways has to be the one.
    :raises CrossmeshError: nothing can be meant by it.
    """
    server = _server("mesh_api_host", host)
    where, token = f"mesh_api_host {server}", token.strip()
    if any(others):
        fix = "set mesh_kubeconfig and mesh_context to '' for this cluster, or leave mesh_api_host out"
        raise refuse(where, "mesh_kubeconfig or mesh_context is set as well", fix)
    if not token:
        raise refuse(where, "there is no mesh_api_key", "set mesh_api_key to the token of a service account")
    cluster = {"server": server, **_authority_of(authority, where, folder)}
    return Connection(where, context=_NAME, document=_document(cluster, {"token": token}), private=True)


def _server(name: str, given: str) -> str:
    """:param name: of the variable, which alone is shown of what is none: it may hold a password."""
    url = urlsplit(given.strip().rstrip("/"))
    if url.scheme != "https" or not url.hostname or "@" in url.netloc or url.query or url.fragment:
        fix = "set it to the URL of the API server, with neither user nor query: https://HOST:PORT"
        raise refuse(name, "it is no https:// address of an API server", fix)
    return url.geturl()


def _authority_of(given: str, where: str, folder: Path) -> Json:
    if "-----BEGIN CERTIFICATE-----" in given:
        return {"certificate-authority-data": base64.b64encode(given.encode()).decode()}
    if not given:
        return {}
    path = _absolute(given, folder)
    if not os.path.isfile(path):
        fix = "set mesh_api_ca_cert to a file that exists, or to certificates in PEM"
        raise refuse(where, f"mesh_api_ca_cert leads to no file: {path}", fix)
    return {"certificate-authority": path}


def _absolute(path: str, folder: Path) -> str:
    return os.path.normpath(folder / os.path.expanduser(os.path.expandvars(path)))


def _of_files(paths: str, context: str, folder: Path) -> Connection:
    """As kubectl takes them: an empty entry is none, and of several, those that do not exist are left out."""
    files = [_absolute(path, folder) for path in paths.split(os.pathsep) if path.strip()]
    there = [path for path in files if os.path.exists(path)]
    chosen = f"context {context}" if context else "the current context"
    where = f"{chosen} of {os.pathsep.join(there or files)}"
    if not there:
        raise CrossmeshError(
            Message.error(
                "kubeconfig",
                where=where,
                what="the kubeconfig cannot be used: there is no such file",
                fix="set mesh_kubeconfig to a file that exists; a relative path begins where Ansible was started",
            )
        )
    return Connection(where, tuple(there), context)


def _in_cluster(context: str, environ: Mapping[str, str]) -> Connection:
    """The account that Kubernetes mounts into a pod. Its token stays in its file, where Kubernetes renews it."""
    where = f"mesh_kubeconfig: {IN_CLUSTER}"
    _refuse_context(where, context)
    host, port = (environ.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
    token, authority = ACCOUNT / "token", ACCOUNT / "ca.crt"
    if not (host and port and token.is_file() and authority.is_file()):
        fix = "run Ansible in a pod with a service account mounted, or set mesh_kubeconfig to a file"
        raise refuse(where, f"this is no pod with a service account: no server address, or no {token}", fix)
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    document = _document({"server": server, "certificate-authority": str(authority)}, {"tokenFile": str(token)})
    return Connection(f"{where}, {server}", context=_NAME, document=document)


def _of_environment(context: str, environ: Mapping[str, str], folder: Path) -> Connection:
    """What kubernetes.core would take of C(K8S_AUTH_*), which AWX sets for its credential for Kubernetes."""
    where = f"mesh_kubeconfig: {ENVIRONMENT}"
    given = {name.removeprefix(_PREFIX): value for name, value in environ.items() if name.startswith(_PREFIX) and value}
    if others := given.keys() - _KNOWN:
        names = listed(_PREFIX + name for name in others)
        raise refuse(where, f"{names} cannot be followed", "remove what the message names from the environment")
    if "HOST" not in given:
        if not given.keys() & {"KUBECONFIG", "CONTEXT"}:
            fix = f"set {_PREFIX}HOST and {_PREFIX}API_KEY, or {_PREFIX}KUBECONFIG; in AWX: add a credential to the job"
            raise refuse(where, f"neither {_PREFIX}HOST nor {_PREFIX}KUBECONFIG is set", fix)
        paths = given.get("KUBECONFIG") or environ.get("KUBECONFIG", "") or "~/.kube/config"
        return _of_files(paths, context or given.get("CONTEXT", ""), folder)
    if "KUBECONFIG" in given or "CONTEXT" in given:
        fix = "remove the one or the other from the environment"
        raise refuse(where, f"{_PREFIX}HOST is set, and a kubeconfig or context as well", fix)
    _refuse_context(where, context)
    server = given["HOST"].rstrip("/")
    return Connection(
        f"{_PREFIX}HOST {server}",
        context=_NAME,
        document=_document(_server_of(given, server, folder), _user_of(given, where, folder)),
        private=True,
    )


def _server_of(given: Mapping[str, str], server: str, folder: Path) -> Json:
    found: Json = {"server": server}
    if authority := _first(given, _AUTHORITY):
        found["certificate-authority"] = _absolute(authority, folder)
    verify = _first(given, _VERIFY)
    if verify and verify.lower() in _FALSE:
        found["insecure-skip-tls-verify"] = True
    return {**found, "proxy-url": given["PROXY"]} if "PROXY" in given else found


def _user_of(given: Mapping[str, str], where: str, folder: Path) -> Json:
    certificate, key = _first(given, _CERTIFICATE), _first(given, _KEY)
    if "API_KEY" in given:
        return {"token": given["API_KEY"].strip()}
    if certificate and key:
        files = {"client-certificate": certificate, "client-key": key}
        return {name: _absolute(path, folder) for name, path in files.items()}
    if given.keys() >= {"USERNAME", "PASSWORD"}:
        return {"username": given["USERNAME"], "password": given["PASSWORD"]}
    fix = f"set {_PREFIX}API_KEY, or {_PREFIX}CERT_FILE and {_PREFIX}KEY_FILE"
    raise refuse(where, f"{_PREFIX}HOST is set, and no credential", fix)


def _first(given: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((given[name] for name in names if name in given), "")


_NAME = "crossmesh"


def _document(cluster: Json, user: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": _NAME,
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
    }


def _refuse_context(where: str, context: str) -> None:
    if context:
        fix = "set mesh_context: '' for this cluster, or name a kubeconfig"
        raise refuse(where, f"mesh_context is {context}, and there are no contexts", fix)


def refuse(where: str, what: str, fix: str) -> CrossmeshError:
    """The error of a connection that is described in a way that nothing can follow."""
    return CrossmeshError(Message.error("connection", where=where, what=what, fix=fix))


# -- for kubernetes.core -------------------------------------------------------------------------------------------


@contextmanager
def without_overrides(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Take out of the environment, for a while, all by which kubernetes.core would change a connection.

    It has no option for 'nothing': an empty host would be used as one.
    """
    taken = {name: value for name, value in environ.items() if name.startswith(_PREFIX) or name == "KUBECONFIG"}
    for name in taken:
        del environ[name]
    try:
        yield
    finally:
        environ.update(taken)


@contextmanager
def writer_kubeconfig(connection: Connection) -> Iterator[str | Json]:
    """The option C(kubeconfig) of kubernetes.core: paths, or the document, which holds paths and no secret.

    A document with a secret is a file in memory, for as long as the call lasts: an argument would be seen in logs, a
    variable by every child, and a temporary file stays where a run is killed.
    """
    if connection.files:
        kept: Any = nullcontext(os.pathsep.join(connection.files))
    elif connection.private:
        kept = _memory_file(json.dumps(connection.document), connection.where)
    else:
        kept = nullcontext(connection.document)
    with kept as kubeconfig:
        yield kubeconfig


@contextmanager
def _memory_file(content: str, where: str) -> Iterator[str]:
    if not has_memory_files():
        fix = "write a kubeconfig, and set mesh_kubeconfig to it"
        raise refuse(where, "this operating system has no files in memory to hand the credential on", fix)
    with memory_file("kubeconfig", content) as path:
        yield path
