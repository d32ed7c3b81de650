# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_cluster_info; documented in plugins/modules/mesh_cluster_info.py."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils.credentials import authority_of
from ansible_collections.crossmesh.mtls.plugins.module_utils.reading import Request, read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils.store import FileStore
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import GATEWAY, ClusterAction, gateway

REQUEST = ("instance", "cluster", "ingress_gateway", "egress_gateway", "links", "client_credential", "backends")


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
        "ca_dir": {"type": "path", "required": True},
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        authority = authority_of(FileStore(params["ca_dir"]))
        request = Request(
            instance=params["instance"],
            cluster=params["cluster"],
            ingress=gateway(params["ingress_gateway"]),
            egress=gateway(params["egress_gateway"]),
            links=params["links"],
            client_credential=params["client_credential"],
            backends=[(item["service"], item["namespace"]) for item in params["backends"]],
        )
        reading = read_cluster(api, request)
        reading["authority"] = {
            "path": authority.path,
            "issuing": authority.issuing.pem if authority.issuing else "",
            "trusted": [view.pem for view in authority.trusted],
        }
        return {
            "changed": False,
            "id": uuid.uuid4().hex,
            "request": {key: params[key] for key in REQUEST},
            # As one text: Ansible would otherwise look into each of its thousands of values whenever it is handed on.
            "reading": json.dumps(reading),
        }
