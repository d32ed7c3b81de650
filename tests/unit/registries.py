# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub that keeps clusters, and the inventory that Ansible makes of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import yaml
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.crossmesh.mtls.plugins.inventory import clusters
from tests.unit.cluster.fake_api import api_error
from tests.unit.inventory_values import as_template
from tests.unit.support import Json

TOKEN = "planted-token-of-cluster-b"
SECRETS, MANAGED = (
    "/api/v1/namespaces/argocd/secrets",
    "/apis/cluster.open-cluster-management.io/v1/managedclusters",
)
REGISTERED: Mapping[str, str] = MappingProxyType({"argocd.argoproj.io/secret-type": "cluster"})


class Hub:
    """Answers with these documents, by their paths; a selector is not obeyed."""

    where = "context hub of kubeconfig"

    def __init__(self, **documents: Any) -> None:
        self.documents = documents

    def get(self, path: str, _query: Mapping[str, str] | None = None, accept: str = "") -> Any:
        if path not in self.documents:
            raise api_error(path, 404)
        return json.loads(json.dumps(self.documents[path]))


def argocd_secret(name: str, /, **data: str) -> Json:
    """As Argo CD writes it.

    :param data: beside its C(name), in plain text.
    """
    content = {"name": name, "server": f"https://{name}.example:6443", "config": config(), **data}
    return {
        "metadata": {"name": f"cluster-{name}", "namespace": "argocd", "labels": {**REGISTERED, "region": "eu"}},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in content.items()},
    }


def config(**changes: Any) -> str:
    """C(config) of such a Secret."""
    return json.dumps({"bearerToken": TOKEN, "tlsClientConfig": {"insecure": False}, **changes})


def managed_cluster(name: str, *, accepted: bool = True, url: str = "https://m.example:6443") -> Json:
    return {
        "metadata": {"name": name, "labels": {"cloud": "aws"}},
        "spec": {"hubAcceptsClient": accepted, "managedClusterClientConfigs": [{"url": url}]},
        "status": {"clusterClaims": [{"name": "id.k8s.io", "value": "4711"}]},
    }


class _Plugin(clusters.InventoryModule):
    """The plugin without Ansible's loader of plugins, which alone knows the options of a file."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        documented = yaml.safe_load(clusters.DOCUMENTATION)["options"]
        defaults = {name: option.get("default") for name, option in documented.items()}
        # Of the fragment.
        common = {"compose": {}, "groups": {}, "keyed_groups": [], "leading_separator": True, "use_extra_vars": False}
        self._options = {**defaults, **common, "strict": True, **as_template(dict(options))}

    def _read_config_data(self, path: str) -> None:
        """They are there."""


def parsed(folder: Path, hub: Hub, options: Mapping[str, Any]) -> Any:
    """The InventoryData that comes of a file of the plugin.

    :raises AnsibleParserError: as Ansible is told of it.
    """
    kubeconfig = folder / "kubeconfig"
    if not kubeconfig.exists():
        kubeconfig.touch()
    found = InventoryData()
    with (
        patch.object(clusters, "Api", lambda _connection: hub),
        patch.dict("os.environ", {"KUBECONFIG": str(kubeconfig)}),
    ):
        _Plugin(options).parse(found, DataLoader(), "hub.crossmesh.yml")
    return found
