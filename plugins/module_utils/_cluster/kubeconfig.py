# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection's settings, from its kubeconfig.

PRIVATE to the collection. Most of it is the C(kubernetes) package's. Ours is the parsing of files: with the package's
own parser a kubeconfig of forty contexts would cost each cluster of a run more than everything else. Ours is what
happens where there is no credential: the package goes on as nobody. And ours is what is told, and what is left behind:
the package's errors quote entries with their tokens, and its temporary files outlive a fork.
"""

from __future__ import annotations

import base64
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    Connection,
    is_sendable,
    refuse,
    server_of,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.environment import without
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.known import Known
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.login import LOG_IN, LoginError, asked, within
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import private_file
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, shown_path

try:
    import certifi
    import yaml
    from kubernetes.client import Configuration
    from kubernetes.client.rest import should_bypass_proxies
    from kubernetes.config import ConfigException
    from kubernetes.config.exec_provider import ExecProvider
    from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

    # Not in every build of PyYAML.
    _PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
except ImportError:
    # Told by the action, before anything of this is used.
    if not TYPE_CHECKING:
        KubeConfigLoader = KubeConfigMerger = object

__all__ = ["configuration", "context_of", "contexts_of", "credential_key", "is_proxied", "title_of"]

_LISTS = ("clusters", "contexts", "users")
# In C(no_proxy): what is reached without a proxy, and a name that nobody has (RFC 2606).
_EVERYTHING, _NOTHING = "*", "proxied.invalid"
_NOT_INSTALLED = (
    "install it where Ansible runs, in the PATH; in AWX or with ansible-navigator, add it to the image of the "
    "execution environment, or take a kubeconfig with a token in place of the plugin"
)
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


def configuration(
    connection: Connection,
    limits: Limits = Limits(),  # noqa: B008 (a value that nothing can change)
) -> Configuration:
    """The settings of a connection. Files that they name are there for as long as they are.

    :param limits: a login plugin has as long as one answer of the cluster.
    :raises CrossmeshError: when it cannot be used.
    """
    found = Configuration()
    with ExitStack() as files, _faults_told(connection), without(os.environ, connection.withheld):
        config, persist = _config(connection)
        context = connection.context or str(config["current-context"])
        _refuse_unknown(connection, config, context)
        # The package does not annotate it.
        make: Any = _Loader
        loader = make(config, context, config_base_path=None, config_persister=persist)
        loader.connection, loader.files, loader.seconds = connection, files, min(limits.answer, limits.cluster)
        loader.load_and_set(found)
        loader.refuse_nobody(found)
        loader.refuse_unsendable()
        if loader.token_file:
            # The package annotates it as None.
            found.refresh_api_key_hook = partial(_read_again, loader.token_file, connection)  # type: ignore[assignment]
        weakref.finalize(found, files.pop_all().close)
    server_of(f"the server of {connection.where}", str(found.host))
    _refuse_plain_text(found, connection)
    _settle_proxy(found)
    _refuse_socks(found, connection.where)
    return found


def _refuse_plain_text(found: Configuration, connection: Connection) -> None:
    """kubectl sends no credential there either. Nobody is on the way to a proxy of the user's own, on this machine.

    https://kubernetes.io/docs/tasks/extend-kubernetes/http-proxy-access-api/
    """
    if (found.api_key or found.username) and not _is_private(str(found.host)):
        what = "its server is no https:// address: whoever is on the way would get the credential, and gateways' keys"
        fix = f"correct the server, or {connection.instead}"
        raise CrossmeshError(Message.error("unverified-server", where=connection.where, what=what, fix=fix))


def _is_private(server: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    if server.startswith("https://"):
        return True
    try:
        return ip_address(urlsplit(server).hostname or "").is_loopback
    except ValueError:
        return False


def _read_again(path: str, connection: Connection, found: Configuration) -> None:
    """Before a request goes out: the kubelet replaces the token of a pod's account while a long task runs.

    https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#launch-a-pod-using-service-account-token-projection
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            token = file.read().strip()
    except OSError as error:
        raise _unusable(connection, f"the token is in a file that cannot be read: {_reason_of(error)}") from None
    if not token or not is_sendable(token):
        raise _unusable(connection, f"tokenFile is {shown_path(path)}, and it holds no token")
    found.api_key[credential_key(found)] = f"Bearer {token}"


def credential_key(found: Configuration) -> str:
    """Where the package C(kubernetes) keeps what stands in the header C(Authorization): before 36, under its name."""
    return "authorization" if "authorization" in found.api_key else "BearerToken"


def context_of(connection: Connection) -> str:
    """The name of its context."""
    if connection.context:
        return connection.context
    with _faults_told(connection):
        return str(_config(connection)[0]["current-context"])


def contexts_of(connection: Connection) -> list[Known]:
    """All contexts, each with the URL of its API server, or with what is wrong with it.

    :raises CrossmeshError: when the kubeconfig cannot be used.
    """
    with _faults_told(connection):
        config = _config(connection)[0]
        names = dict.fromkeys(str(_value(item)["name"]) for item in config.value.get("contexts") or ())
    return [_context(connection, config, name) for name in names]


def title_of(connection: Connection, context: str) -> str:
    """What names one context of its files in messages."""
    return f"context {shown_path(context)} of {os.pathsep.join(map(shown_path, connection.files))}"


def _context(connection: Connection, config: Any, name: str) -> Known:
    named = replace(connection, where=title_of(connection, name))
    try:
        with _faults_told(named):
            _refuse_unknown(named, config, name)
            cluster = _entry(config, "contexts", name)["context"]["cluster"]
            return Known(name, str(_entry(config, "clusters", cluster)["cluster"]["server"]))
    except CrossmeshError as error:
        return Known(name, fault=error.message)


def is_proxied(found: Configuration) -> bool:
    """Whether a connection's requests go through its proxy."""
    return bool(found.proxy) and found.no_proxy != _EVERYTHING


@contextmanager
def _faults_told(connection: Connection) -> Iterator[None]:
    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _unusable(connection, _reason_of(error)) from None


def _unusable(connection: Connection, why: str) -> CrossmeshError:
    return CrossmeshError(
        Message.error(
            "kubeconfig",
            where=connection.where,
            what=f"the kubeconfig cannot be used: {why}",
            fix=f"correct it, or {connection.instead}",
        )
    )


def _reason_of(error: Exception) -> str:
    """In words of ours: those of a library quote whole entries, keys and tokens among them."""
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        return f"{shown_path(str(error.filename))}: {why}" if error.filename else why
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        return f"it is no YAML (line {mark.line + 1})" if mark else "it is no YAML"
    return f"a key is missing in it, or holds what it cannot ({type(error).__name__})"


def _refuse_unknown(connection: Connection, config: Any, context: str) -> None:
    """Stop at a context that is not there, or that names a cluster or user that is not."""
    wanted = {"contexts": context}
    found = _entry(config, "contexts", context)
    if found is not None:
        given = found["context"]
        wanted = {"clusters": given["cluster"], **({"users": given["user"]} if given.get("user") else {})}
    for kind, name in wanted.items():
        if _entry(config, kind, name) is None:
            raise _unusable(connection, f"it has no {kind.removesuffix('s')} {shown_path(str(name))}")


def _entry(config: Any, kind: str, name: str) -> Any:
    return next((found for item in config.value.get(kind) or () if (found := _value(item))["name"] == name), None)


def _value(item: Any) -> Any:
    return getattr(item, "value", item)


def _config(connection: Connection) -> tuple[Any, Any]:
    """The kubeconfig, and what keeps a token in it that was renewed."""
    if not connection.files:
        return ConfigNode(connection.where, connection.document), None
    try:
        # The package does not annotate it.
        files = _Files(":".join(connection.files))  # type: ignore[no-untyped-call]
    except _NoneError as error:
        raise _unusable(replace(connection, where=str(error)), "it holds none") from None
    if files.config is None:
        raise _unusable(connection, "there is no such file")
    return files.config, files.save_changes


def _settle_proxy(found: Configuration) -> None:
    """Decide once whether the proxy is used: whoever opens a connection reads C(no_proxy) in another way."""
    if found.proxy:
        bypassed = should_bypass_proxies(found.host, no_proxy=found.no_proxy or "")
        found.no_proxy = _EVERYTHING if bypassed else _NOTHING


def _refuse_socks(found: Configuration, where: str) -> None:
    """urllib3 ends in an ImportError, and prints beside Ansible's output."""
    if is_proxied(found) and str(found.proxy).lower().startswith("socks") and find_spec("socks") is None:
        what = "its proxy speaks SOCKS, for which the Python of Ansible lacks the package PySocks"
        raise refuse(where, what, "install PySocks there, or name an HTTP proxy")


class _NoneError(Exception):
    """A file that is no kubeconfig; its path."""


class _Files(KubeConfigMerger):
    """One file or several, merged as kubectl does it: the first to name something decides."""

    def load_config(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            found: Any = yaml.load(file, Loader=_PARSER)
        if not isinstance(found, dict):
            raise _NoneError(path)
        if self.config_merged is None:
            self.config_merged = ConfigNode(path, {**found, **{name: [] for name in _LISTS}}, path)
        for name in _LISTS:
            self._merge(name, found.get(name) or [], path)  # type: ignore[no-untyped-call]
        if not self.config_merged.value.get("current-context"):
            self.config_merged.value["current-context"] = found.get("current-context")
        self.config_files[path] = found


class _Loader(KubeConfigLoader):
    """A context's settings, or an error where the package would go on without a credential."""

    token_file = ""
    connection: Connection
    files: ExitStack
    seconds: float
    _user: Any
    _cluster: Any

    @property
    def title(self) -> str:
        return self.connection.where

    def _load_cluster_info(self) -> None:
        # The package would unpack what is embedded into temporary files, and remove them as the interpreter ends. One
        # of Ansible's forks never comes to that.
        self._cluster = self._unpacked(self._cluster, "certificate-authority")
        self._user = self._unpacked(self._user, "client-certificate", "client-key")
        super()._load_cluster_info()  # type: ignore[no-untyped-call]

    def _unpacked(self, node: Any, *options: str) -> Any:
        """A copy in which files stand for what is embedded: the original may be written back to its file."""
        if node is None:
            return None
        given = dict(node.value)
        for option in options:
            if embedded := given.pop(f"{option}-data", None):
                given[option] = self._file_of(option, embedded)
            elif path := given.get(option):
                # The cluster's folder for the user's files, as the package has it.
                absolute = os.path.join(self._get_base_path(self._cluster.path), path)  # type: ignore[no-untyped-call]
                if not os.path.isfile(absolute):
                    raise _unusable(self.connection, f"{option} is {shown_path(path)}, and there is no such file")
        return ConfigNode(node.name, given, node.path)

    def _file_of(self, option: str, embedded: str) -> str:
        try:
            content = base64.standard_b64decode(embedded)
        except (ValueError, TypeError):
            raise _unusable(self.connection, f"{option}-data is not in Base64") from None
        return self.files.enter_context(private_file(option, content))

    def _load_user_token(self) -> Any:
        found = super()._load_user_token()  # type: ignore[no-untyped-call]
        if found and not self._user.value.get("token"):
            folder = self._get_base_path(self._user.path)  # type: ignore[no-untyped-call]
            self.token_file = os.path.join(folder, self._user.value["tokenFile"])
        return found

    def _load_auth_provider_token(self) -> Any:
        if "auth-provider" not in self._user:
            return None
        try:
            # It may ask the issuer of a token, or start a program.
            return within(self.seconds, super()._load_auth_provider_token)
        except LoginError as error:
            raise self._without_credential(f"the auth-provider {self._provider} {error}", error.fix) from None
        except Exception as error:
            # What it quotes may be a refresh token, or the client's secret.
            what = f"the auth-provider {self._provider} failed ({type(error).__name__})"
            raise self._without_credential(what) from None

    def _refresh_oidc(self, provider: Any) -> None:
        # Without a CA the package takes any issuer's certificate, and asks it where to send the refresh token and the
        # client's secret. And an embedded CA would stay behind as a temporary file.
        config, key = provider["config"].value, "idp-certificate-authority"
        given = {name: config.pop(name) for name in (key, f"{key}-data") if name in config}
        embedded = given.get(f"{key}-data")
        config[key] = self._file_of(key, embedded) if embedded else given.get(key) or certifi.where()
        try:
            super()._refresh_oidc(provider)  # type: ignore[no-untyped-call]
        finally:
            # It may be written back to its file.
            del config[key]
            config.update(given)

    @property
    def _provider(self) -> str:
        found = self._user.value["auth-provider"]
        return str(found.get("name", "")) if isinstance(found, Mapping) else ""

    def refuse_nobody(self, found: Configuration) -> None:
        """Stop where a user is described in a way that gave no credential, or asks to act as another one."""
        user: Mapping[str, Any] = self._user.value if self._user else {}
        if wanted := [key for key in _IMPERSONATION if user.get(key)]:
            what = f"the user of this context acts as another one ({listed(wanted)}), which is not supported"
            raise refuse(self.title, what, "use a context whose user has the permissions itself")
        if "auth-provider" in user and not (found.api_key or found.cert_file):
            raise self._without_credential(f"the auth-provider {self._provider} gave no token")

    def refuse_unsendable(self) -> None:
        """Stop at a token that is quoted by whoever is to send it, kubernetes.core too."""
        kind, _blank, token = str(getattr(self, "token", "")).partition(" ")
        if kind == "Bearer" and not is_sendable(token):
            what = "the token of this context's user holds a blank, a line end or another character that no token has"
            raise refuse(
                self.title, what, "correct the token: nothing may stand before or behind it, not even a line end"
            )

    def _load_from_exec_plugin(self) -> Any:
        # The package logs what the plugin printed, and goes on.
        if "exec" not in self._user:
            return None
        status = self._run_plugin()
        if status.get("token"):
            self.token = f"Bearer {status['token']}"
        elif status.get("clientCertificateData") and status.get("clientKeyData"):
            pems = {
                "client-certificate-data": status["clientCertificateData"],
                "client-key-data": status["clientKeyData"],
            }
            encoded = {key: base64.b64encode(pem.encode()).decode() for key, pem in pems.items()}
            # A copy: the original may be written back to its file.
            self._user = ConfigNode(self._user.name, {**self._user.value, **encoded}, self._user.path)
        else:
            raise self._without_credential(f"the exec plugin {self._plugin} gave no token and no certificate")
        return True

    @property
    def _plugin(self) -> str:
        return str(self._user["exec"].value.get("command", ""))

    def _run_plugin(self) -> Mapping[str, Any]:
        """What it printed is never told: it may be a token."""
        try:
            folder = self._get_base_path(self._cluster.path)  # type: ignore[no-untyped-call]
            return asked(ExecProvider(self._user["exec"], folder, self._cluster), self.seconds)
        except FileNotFoundError:
            what = f"the exec plugin {self._plugin} is not installed"
            raise self._without_credential(what, _NOT_INSTALLED) from None
        except PermissionError:
            what = f"the exec plugin {self._plugin} may not be run"
            raise self._without_credential(what, "make it executable for the user that Ansible runs as") from None
        except LoginError as error:
            raise self._without_credential(f"the exec plugin {self._plugin} {error}", error.fix) from None
        except Exception:
            raise self._without_credential(f"the exec plugin {self._plugin} failed") from None

    def _without_credential(self, what: str, fix: str = LOG_IN) -> CrossmeshError:
        return CrossmeshError(Message.error("credential-plugin", where=self.title, what=what, fix=fix))
