# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_cluster_info; documented in plugins/modules/mesh_cluster_info.py."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import ca_reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import clock_warning
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import authority_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import (
    GATEWAY,
    REVOKED,
    ClusterAction,
    request_of,
    revoked,
)

REQUEST = (
    "instance",
    "cluster",
    "ingress_gateway",
    "egress_gateway",
    "links",
    "client_credential",
    "backends",
    "lockdown",
    "sides",
)


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "instance": {"type": "str", "default": "default"},
        "cluster": {"type": "str", "required": True},
        "ingress_gateway": GATEWAY,
        "egress_gateway": GATEWAY,
        "links": {"type": "list", "elements": "str", "default": []},
        "client_credential": {"type": "str", "default": "client-credential"},
        "backends": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "service": {"type": "str", "required": True},
                "namespace": {"type": "str", "required": True},
            },
        },
        "lockdown": {"type": "list", "elements": "str", "default": []},
        "sides": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": ["server", "client"]},
        "ca_dir": {"type": "path", "required": True},
        "revoked": REVOKED,
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        store = FileStore(params["ca_dir"])
        authority, entries = authority_of(store), revoked(params)
        request = request_of(params)
        # Beyond serials only where trust is on the move, or something is revoked: each pod is one more question.
        reading = read_cluster(api, request, trust=bool(authority.lists) or authority.phase not in ("absent", "steady"))
        reading.update(ca_reading(store, authority, entries, datetime.now(UTC)))
        clock = clock_warning(reading["clock_ahead"])
        return {
            "changed": False,
            "warnings": [f"{params['cluster']}: {clock}"] if clock else [],
            "id": uuid.uuid4().hex,
            "request": {key: params[key] for key in REQUEST},
            "phase": authority.phase,
            "state": authority.state,
            "lists_due": reading["lists_due"],
            "lists_wrong": reading["lists_wrong"],
            "clock_ahead": int(reading["clock_ahead"]),
            # As one text: Ansible would otherwise look into each of its thousands of values whenever it is handed on.
            "reading": json.dumps(reading),
        }
