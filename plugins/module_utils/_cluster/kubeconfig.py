# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection's settings, from its kubeconfig.

PRIVATE to the collection. Most of it is the C(kubernetes) package's. Ours is the parsing of files: with the package's
own parser a kubeconfig of forty contexts would cost each cluster of a run more than everything else. And ours is what
happens where there is no credential: the package goes on as nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import Connection, is_sendable, refuse
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, one_line

try:
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

__all__ = ["configuration", "context_of"]

_LISTS = ("clusters", "contexts", "users")
# In C(no_proxy): what is reached without a proxy, and a name that nobody has (RFC 2606).
_EVERYTHING, _NOTHING = "*", "proxied.invalid"
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


def configuration(connection: Connection) -> Configuration:
    """The settings of a connection.

    :raises CrossmeshError: when it cannot be used.
    """
    found = Configuration()
    with _faults_told(connection):
        config, persist = _config(connection)
        # The package does not annotate it.
        make: Any = _Loader
        loader = make(config, connection.context or None, config_base_path=None, config_persister=persist)
        loader.title = connection.where
        loader.load_and_set(found)
        loader.refuse_nobody(found)
        loader.refuse_unsendable()
    _settle_proxy(found)
    return found


def context_of(connection: Connection) -> str:
    """The name of its context."""
    if connection.context:
        return connection.context
    with _faults_told(connection):
        return str(_config(connection)[0]["current-context"])


@contextmanager
def _faults_told(connection: Connection) -> Iterator[None]:
    try:
        yield
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
        raise CrossmeshError(
            Message.error(
                "kubeconfig",
                where=connection.where,
                what=f"the kubeconfig cannot be used: {one_line(error)}",
                fix="set mesh_kubeconfig and mesh_context to a file and a context in it",
            )
        ) from error


def _config(connection: Connection) -> tuple[Any, Any]:
    """The kubeconfig, and what keeps a token in it that was renewed."""
    if not connection.files:
        return ConfigNode(connection.where, connection.document), None
    # The package does not annotate it.
    files = _Files(":".join(connection.files))  # type: ignore[no-untyped-call]
    if files.config is None:
        raise ConfigException("there is no such file")
    return files.config, files.save_changes


def _settle_proxy(found: Configuration) -> None:
    """Decide once whether the proxy is used: whoever opens a connection reads C(no_proxy) in another way."""
    if found.proxy:
        bypassed = should_bypass_proxies(found.host, no_proxy=found.no_proxy or "")
        found.no_proxy = _EVERYTHING if bypassed else _NOTHING


class _Files(KubeConfigMerger):
    """One file or several, merged as kubectl does it: the first to name something decides."""

    def load_config(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            found: Any = yaml.load(file, Loader=_PARSER)
        if not isinstance(found, dict):
            raise ConfigException(f"{path} holds no kubeconfig")
        if self.config_merged is None:
            self.config_merged = ConfigNode(path, {**found, **{name: [] for name in _LISTS}}, path)
        for name in _LISTS:
            self._merge(name, found.get(name) or [], path)  # type: ignore[no-untyped-call]
        if not self.config_merged.value.get("current-context"):
            self.config_merged.value["current-context"] = found.get("current-context")
        self.config_files[path] = found


class _Loader(KubeConfigLoader):
    """A context's settings, or an error where the package would go on without a credential."""

    title = ""
    _user: Any
    _cluster: Any

    def refuse_nobody(self, found: Configuration) -> None:
        """Stop where a user is described in a way that gave no credential, or asks to act as another one."""
        user: Mapping[str, Any] = self._user.value if self._user else {}
        if wanted := [key for key in _IMPERSONATION if user.get(key)]:
            what = f"the user of this context acts as another one ({listed(wanted)}), which is not supported"
            raise refuse(self.title, what, "use a context whose user has the permissions itself")
        if "auth-provider" in user and not (found.api_key or found.cert_file):
            provider = (user["auth-provider"] or {}).get("name", "")
            raise self._without_credential(f"the auth-provider {provider} gave no token")

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

    def _run_plugin(self) -> dict[str, Any]:
        """What it printed is never told: it may be a token."""
        try:
            folder = self._get_base_path(self._cluster.path)  # type: ignore[no-untyped-call]
            status = ExecProvider(self._user["exec"], folder, self._cluster).run()
        except FileNotFoundError:
            raise self._without_credential(f"the exec plugin {self._plugin} is not installed") from None
        except PermissionError:
            raise self._without_credential(f"the exec plugin {self._plugin} may not be run") from None
        except Exception:
            raise self._without_credential(f"the exec plugin {self._plugin} failed") from None
        return status if isinstance(status, dict) else {}

    def _without_credential(self, what: str) -> CrossmeshError:
        fix = "run kubectl with this context: it shows what the plugin says; install it, or log in as it asks"
        return CrossmeshError(Message.error("credential-plugin", where=self.title, what=what, fix=fix))
