# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection's settings, from a kubeconfig.

PRIVATE to the collection. All of it is the C(kubernetes) package's but for the parsing of the file: with the package's
own parser a kubeconfig of forty contexts would cost each cluster of a run more than everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, one_line

try:
    import yaml
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import (
        KUBE_CONFIG_DEFAULT_LOCATION,
        ConfigNode,
        KubeConfigLoader,
        KubeConfigMerger,
    )

    # Not in every build of PyYAML.
    _PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
except ImportError:
    # Told by the action, before anything of this is used.
    if not TYPE_CHECKING:
        KubeConfigMerger = object

__all__ = ["configuration", "title"]

_LISTS = ("clusters", "contexts", "users")


def title(kubeconfig: str | None, context: str | None) -> str:
    """How messages name a cluster's connection."""
    chosen = f"context {context}" if context else "the current context"
    return f"{chosen} of {kubeconfig or 'the default kubeconfig'}"


def configuration(kubeconfig: str | None, context: str | None) -> Configuration:
    """The settings of one context.

    :param kubeconfig: path of a kubeconfig file, or several as in C(KUBECONFIG); None takes the package's default.
    :param context: name of a context in it; None takes the current one.
    :raises CrossmeshError: when it cannot be used.
    """
    found = Configuration()
    try:
        # The package does not annotate it.
        files = _Files(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)  # type: ignore[no-untyped-call]
        if files.config is None:
            raise ConfigException("there is no such file")
        loader = KubeConfigLoader(files.config, active_context=context, config_persister=files.save_changes)
        loader.load_and_set(found)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
        raise CrossmeshError(
            Message.error(
                "kubeconfig",
                where=title(kubeconfig, context),
                what=f"the kubeconfig cannot be used: {one_line(error)}",
                fix="set mesh_kubeconfig and mesh_context to a file and a context in it",
            )
        ) from error
    return found


class _Files(KubeConfigMerger):
    """One file or several, merged as the package does it: the first to name something decides."""

    def load_config(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            found: Any = yaml.load(file, Loader=_PARSER)
        if not isinstance(found, dict):
            raise ConfigException(f"{path} holds no kubeconfig")
        if self.config_merged is None:
            self.config_merged = ConfigNode(path, {**found, **{name: [] for name in _LISTS}}, path)
        for name in _LISTS:
            self._merge(name, found.get(name) or [], path)  # type: ignore[no-untyped-call]
        if "current-context" in found:
            self.config_merged.value["current-context"] = found["current-context"]
        self.config_files[path] = found
