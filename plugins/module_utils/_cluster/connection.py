# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is reached, decided once for everything that reads there and everything that writes there.

PRIVATE to the collection. What the inventory does not ask for by name has no part in it: neither variables of the
environment, nor the account of a pod, nor a kubeconfig somewhere else.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, is_path, listed, shown_path

__all__ = [
    "ENVIRONMENT",
    "IN_CLUSTER",
    "NAME",
    "PREFIX",
    "Connection",
    "connection_of",
    "connection_to_host",
    "document_of",
    "https_server_of",
    "is_sendable",
    "refuse",
    "server_of",
]

# In place of a path in mesh_kubeconfig.
IN_CLUSTER, ENVIRONMENT = "in-cluster", "environment"

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What kubernetes.core takes from the environment, in its order: it has two names for some.
PREFIX = "K8S_AUTH_"
# Of the context, and all that belongs to it, in a kubeconfig that is made here.
NAME = "crossmesh"
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
    :param withheld: variables of the environment that no program gets that is started for it.
    :param instead: what to do where it cannot be used as it is, in words that follow "or".
    """

    where: str
    files: tuple[str, ...] = ()
    context: str = ""
    document: Json = field(default_factory=dict, repr=False)
    private: bool = False
    withheld: frozenset[str] = frozenset()
    instead: str = "set mesh_kubeconfig and mesh_context to a file and a context in it"


def connection_of(
    kubeconfig: str, context: str, environ: Mapping[str, str], folder: Path, prefix: str = "mesh"
) -> Connection:
    """What C(mesh_kubeconfig) and C(mesh_context) mean.

    :param kubeconfig: paths as in C(KUBECONFIG), C(in-cluster) or C(environment); empty for what kubectl takes.
    :param context: empty for the current one.
    :param environ: of the process that Ansible was started in.
    :param folder: where relative paths begin: where Ansible was started.
    :param prefix: of the two variables, for messages.
    :raises CrossmeshError: nothing can be meant by it.
    """
    found = _meant_by(kubeconfig, context, environ, folder, prefix)
    return replace(found, instead=f"set {prefix}_kubeconfig and {prefix}_context to a file and a context in it")


def _meant_by(kubeconfig: str, context: str, environ: Mapping[str, str], folder: Path, prefix: str) -> Connection:
    if kubeconfig == IN_CLUSTER:
        return _in_cluster(context, environ, prefix)
    if kubeconfig == ENVIRONMENT:
        return _of_environment(context, environ, folder, prefix)
    paths = kubeconfig or environ.get("KUBECONFIG", "") or "~/.kube/config"
    return _of_files(paths, context, folder, prefix, "" if kubeconfig else _unasked(environ, prefix))


def _unasked(environ: Mapping[str, str], prefix: str) -> str:
    """What the environment offers, and the inventory does not ask for; in words that can follow a fix."""
    if environ.get(f"{PREFIX}HOST") or environ.get(f"{PREFIX}KUBECONFIG"):
        return f"; {prefix}_kubeconfig: {ENVIRONMENT} takes what {PREFIX}* say"
    if environ.get("KUBERNETES_SERVICE_HOST") and (ACCOUNT / "token").is_file():
        return f"; {prefix}_kubeconfig: {IN_CLUSTER} takes the service account of this pod"
    return ""


def connection_to_host(host: str, token: str, authority: str, folder: Path, *others: str) -> Connection:
    """What C(mesh_api_host), C(mesh_api_key) and C(mesh_api_ca_cert) mean.

    :param host: URL of the API server.
    :param authority: path of a file with the CA's certificates, or these in PEM; empty for those of the system.
    :param folder: where relative paths begin.
    :param others: what C(mesh_kubeconfig) and C(mesh_context) say; one of both ways has to be the one.
    :raises CrossmeshError: nothing can be meant by it.
    """
    where, server = https_server_of("mesh_api_host", host)
    if any(others):
        fix = "set mesh_kubeconfig and mesh_context to '' for this cluster, or leave mesh_api_host out"
        raise refuse(where, "mesh_kubeconfig or mesh_context is set as well", fix)
    if not (sent := _token("mesh_api_key", token, where)):
        raise refuse(where, "there is no mesh_api_key", "set mesh_api_key to the token of a service account")
    cluster = {"server": server, **_authority_of(authority, folder, where)}
    document = document_of(cluster, {"token": sent})
    instead = "give the cluster a kubeconfig (mesh_kubeconfig, mesh_context) in place of mesh_api_host"
    return Connection(where, context=NAME, document=document, private=True, instead=instead)


def server_of(variable: str, given: str) -> tuple[str, str]:
    """What names an API server in messages, and its URL; what may hold a password is not repeated.

    :raises CrossmeshError: it holds more than an address.
    """
    if any(mark in given for mark in "@?#"):
        fix = f"set {variable} to https://, the name and the port, and give a credential by its own variable"
        raise refuse(variable, "it has a user, a query or a fragment, which have no place in it", fix)
    server = given.rstrip("/")
    return f"{variable} {server}", server


def https_server_of(
    variable: str, given: str, fix: str = "set it to the URL of the API server, which begins with https://"
) -> tuple[str, str]:
    """The same, of a server that gets a credential, and private keys of gateways after it.

    :raises CrossmeshError: it holds more than an address, or would be talked to in plain text.
    """
    where, server = server_of(variable, given)
    if not server.startswith("https://"):
        # It may be the token, in the wrong place.
        raise refuse(variable, "it is no https:// address", fix)
    return where, server


def _token(variable: str, given: str, where: str) -> str:
    """A token as it can be sent: YAML's block scalars and files end with a line end."""
    token = given.strip()
    if not is_sendable(token):
        what = f"{variable} holds a blank, a line end or another character that no token has"
        raise refuse(where, what, f"set {variable} to the token alone, as kubectl create token prints it")
    return token


def is_sendable(token: str) -> bool:
    """Whether it can stand in a header; libraries quote what cannot, secret or not."""
    return token.isascii() and token.isprintable() and " " not in token


def _authority_of(given: str, folder: Path, where: str) -> Json:
    if "-----BEGIN CERTIFICATE-----" in given:
        return {"certificate-authority-data": base64.b64encode(given.encode()).decode()}
    if "-----BEGIN" in given:
        fix = "set mesh_api_ca_cert to the CA's certificates, or to a file that holds them"
        raise refuse(where, "mesh_api_ca_cert is in PEM and holds no certificate", fix)
    return {"certificate-authority": _file("mesh_api_ca_cert", given, folder, where)} if given else {}


def _file(variable: str, given: str, folder: Path, where: str) -> str:
    path = _absolute(given, folder)
    if not os.path.isfile(path):
        fix = f"set {variable} to a file that exists; a relative path begins where Ansible was started"
        raise refuse(where, f"{variable} is {shown_path(path)}, and there is no such file", fix)
    return path


def _absolute(path: str, folder: Path) -> str:
    return os.path.normpath(folder / os.path.expanduser(os.path.expandvars(path)))


def _of_files(paths: str, context: str, folder: Path, prefix: str, unasked: str = "") -> Connection:
    """As kubectl takes them: an empty entry is none, and of several, those that do not exist are left out.

    :param unasked: what could be meant where there are none.
    """
    if not all(map(is_path, paths.split(os.pathsep))) or "{" in paths:
        fix = f"write the kubeconfig to a file of mode 0600, and set {prefix}_kubeconfig to its path"
        raise refuse(f"{prefix}_kubeconfig", "it holds a kubeconfig, or something else that is no path", fix)
    files = [_absolute(path, folder) for path in paths.split(os.pathsep) if path.strip()]
    there = [path for path in files if os.path.exists(path)]
    chosen = f"context {context}" if context else "the current context"
    where = f"{chosen} of {os.pathsep.join(map(shown_path, there or files))}"
    if not there:
        what = "the kubeconfig cannot be used: there is no such file"
        fix = f"set {prefix}_kubeconfig to a file that exists; a relative path begins where Ansible was started"
        raise CrossmeshError(Message.error("kubeconfig", where=where, what=what, fix=fix + unasked))
    return Connection(where, tuple(there), context)


def _in_cluster(context: str, environ: Mapping[str, str], prefix: str) -> Connection:
    """The account that Kubernetes mounts into a pod. Its token stays in its file, where Kubernetes renews it."""
    where = f"{prefix}_kubeconfig: {IN_CLUSTER}"
    _refuse_context(where, context, prefix)
    host, port = (environ.get(f"KUBERNETES_SERVICE_{part}", "") for part in ("HOST", "PORT"))
    token, authority = ACCOUNT / "token", ACCOUNT / "ca.crt"
    if not (host and port and token.is_file() and authority.is_file()):
        fix = f"run Ansible in a pod with a service account mounted, or set {prefix}_kubeconfig to a file"
        raise refuse(where, f"this is no pod with a service account: no server address, or no {token}", fix)
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    document = document_of({"server": server, "certificate-authority": str(authority)}, {"tokenFile": str(token)})
    return Connection(f"{where}, {server}", context=NAME, document=document)


def _of_environment(context: str, environ: Mapping[str, str], folder: Path, prefix: str) -> Connection:
    """What kubernetes.core would take of C(K8S_AUTH_*), which AWX sets for its credential for Kubernetes."""
    where = f"{prefix}_kubeconfig: {ENVIRONMENT}"
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and value}
    if others := given.keys() - _KNOWN:
        names = listed(PREFIX + name for name in others)
        raise refuse(where, f"{names} cannot be followed", "remove what the message names from the environment")
    if "HOST" not in given:
        if not given.keys() & {"KUBECONFIG", "CONTEXT"}:
            fix = f"set {PREFIX}HOST and {PREFIX}API_KEY, or {PREFIX}KUBECONFIG; in AWX: add a credential to the job"
            raise refuse(where, f"neither {PREFIX}HOST nor {PREFIX}KUBECONFIG is set", fix)
        paths = given.get("KUBECONFIG") or environ.get("KUBECONFIG", "") or "~/.kube/config"
        return _of_files(paths, context or given.get("CONTEXT", ""), folder, prefix)
    if "KUBECONFIG" in given or "CONTEXT" in given:
        fix = "remove the one or the other from the environment"
        raise refuse(where, f"{PREFIX}HOST is set, and a kubeconfig or context as well", fix)
    _refuse_context(where, context, prefix)
    where, server = https_server_of(f"{PREFIX}HOST", given["HOST"])
    document = document_of(_server_of(given, server, folder, where), _user_of(given, folder, where))
    return Connection(where, context=NAME, document=document, private=True)


def _server_of(given: Mapping[str, str], server: str, folder: Path, where: str) -> Json:
    found: Json = {"server": server}
    if authority := _first(given, _AUTHORITY):
        found["certificate-authority"] = _file(PREFIX + authority, given[authority], folder, where)
    verify = _first(given, _VERIFY)
    if given.get(verify, "").lower() in _FALSE:
        raise _unverified(PREFIX + verify, where)
    return {**found, "proxy-url": given["PROXY"]} if "PROXY" in given else found


def _unverified(variable: str, where: str) -> CrossmeshError:
    """AWX sets it where a box was left empty: nobody has decided that private keys may go to whoever answers."""
    what = f"{variable} is false: whoever answers there would get the token, and private keys of gateways"
    fix = (
        f"set {PREFIX}SSL_CA_CERT to the CA of the API server and remove {variable}; in AWX: tick Verify SSL in the "
        "credential, and enter the CA's certificate"
    )
    return CrossmeshError(Message.error("unverified-server", where=where, what=what, fix=fix))


def _user_of(given: Mapping[str, str], folder: Path, where: str) -> Json:
    certificate, key = _first(given, _CERTIFICATE), _first(given, _KEY)
    if token := _token(f"{PREFIX}API_KEY", given.get("API_KEY", ""), where):
        return {"token": token}
    if certificate and key:
        files = {"client-certificate": certificate, "client-key": key}
        return {option: _file(PREFIX + name, given[name], folder, where) for option, name in files.items()}
    if given.keys() >= {"USERNAME", "PASSWORD"}:
        return {"username": given["USERNAME"], "password": given["PASSWORD"]}
    fix = f"set {PREFIX}API_KEY, or {PREFIX}CERT_FILE and {PREFIX}KEY_FILE"
    raise refuse(where, f"{PREFIX}HOST is set, and no credential", fix)


def _first(given: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The name that is set."""
    return next((name for name in names if name in given), "")


def document_of(cluster: Json, user: Json) -> Json:
    """A kubeconfig of one context, C(NAME)."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
    }


def _refuse_context(where: str, context: str, prefix: str) -> None:
    if context:
        fix = f"set {prefix}_context: '' for this cluster, or name a kubeconfig"
        raise refuse(where, f"{prefix}_context is {context}, and there are no contexts", fix)


def refuse(where: str, what: str, fix: str) -> CrossmeshError:
    """The error of a connection that is described in a way that nothing can follow."""
    return CrossmeshError(Message.error("connection", where=where, what=what, fix=fix))
