# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_preflight; documented in plugins/modules/mesh_preflight.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.look import Look, look, unreachable
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import (
    REVOKED,
    ClusterAction,
    request_of,
    revoked,
)


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "view": {"type": "dict", "required": True},
        "ca_dir": {"type": "path", "required": True},
        "revoked": REVOKED,
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        view = {**params["view"], **{side: json.loads(params["view"][side]) for side in ("server", "client")}}
        store, entries = FileStore(params["ca_dir"]), revoked(params)
        return _result(look(api, request_of(view["request"]), view, store, entries, datetime.now(UTC)), view)

    def refused(self, error: CrossmeshError, params: dict[str, Any]) -> dict[str, Any]:
        return _result(unreachable(params["view"]["request"]["cluster"], error), params["view"])


def _result(found: Look, view: dict[str, Any]) -> dict[str, Any]:
    return {
        "changed": False,
        "request": view["request"],
        "rows": [row.to_json() for row in found.rows],
        "sight": found.sight,
        "incomplete": found.incomplete,
        # As one text: Ansible would otherwise look into each of its thousands of values whenever it is handed on.
        "reading": json.dumps(found.reading) if found.reading else "",
    }
