# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_credentials; documented in plugins/modules/mesh_credentials.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Work, ensure, report
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import KEY_TYPES
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Policy
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import REVOKED, ClusterAction, revoked

SECRET = {
    "name": {"type": "str", "required": True},
    "link": {"type": "str", "required": True},
    "labels": {"type": "dict", "required": True},
    "role": {"type": "str", "choices": ["server", "client"], "required": True},
    "common_name": {"type": "str", "required": True},
    "sans": {"type": "list", "elements": "str", "required": True},
    "trust": {"type": "str", "default": ""},
}


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "instance": {"type": "str", "default": "default"},
        "cluster": {"type": "str", "required": True},
        "side": {"type": "str", "choices": ["server", "client"], "required": True},
        "namespace": {"type": "str", "required": True},
        "secrets": {"type": "list", "elements": "dict", "required": True, "options": SECRET, "no_log": False},
        "links": {"type": "list", "elements": "str", "default": []},
        "ca_dir": {"type": "path", "required": True},
        "ca_passphrase": {"type": "str", "default": "", "no_log": True},
        "key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "P-256", "no_log": False},
        "validity_days": {"type": "int", "default": 90},
        "renew_before_days": {"type": "int", "default": 30},
        "force": {"type": "bool", "default": False},
        "adopt": {"type": "bool", "default": False},
        "stage": {"type": "str", "choices": ["all", "trust", "leaves", "bundle"], "default": "all"},
        "revoked": REVOKED,
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        policy = Policy(
            key_type=params["key_type"],
            renew_before=timedelta(days=params["renew_before_days"]),
            force=params["force"],
            adopt=params["adopt"],
            stage=params["stage"],
        )
        task = Work(
            owner=names.Owner(params["instance"], params["cluster"], params["side"]),
            namespace=params["namespace"],
            wanted=params["secrets"],
            links=params["links"],
            policy=policy,
            validity=timedelta(days=params["validity_days"]),
            passphrase=params["ca_passphrase"],
            check=bool(self._task.check_mode),
            revoked=revoked(params),
        )
        return report(ensure(api, FileStore(params["ca_dir"]), task, datetime.now(UTC)))
