# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_proof; documented in plugins/modules/mesh_proof.py."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.address import await_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import Expected, Trusted, prove
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.cluster_action import GATEWAY, ClusterAction, gateway

ENDPOINT = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "fqdn": {"type": "str", "required": True},
}
TRUST = {
    "secret": {"type": "str", "required": True, "no_log": False},
    "roots": {"type": "list", "elements": "str", "required": True},
    "lists": {"type": "list", "elements": "str", "default": []},
    "own": {"type": "bool", "default": True},
}


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "gateway": GATEWAY,
        "serials": {"type": "list", "elements": "str", "required": True},
        "trust": {"type": "list", "elements": "dict", "default": [], "options": TRUST},
        "endpoints": {"type": "list", "elements": "dict", "default": [], "options": ENDPOINT},
        "await_address": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 60},
        "wait": {"type": "int", "default": 10},
    }

    def work(self, api: Api, params: dict[str, Any]) -> dict[str, Any]:
        expected = Expected(
            serials=frozenset(params["serials"]),
            trust=tuple(
                Trusted(item["secret"], frozenset(item["roots"]), frozenset(item["lists"])) for item in params["trust"]
            ),
            endpoints=tuple(Endpoint(item["address"], item["port"], item["fqdn"]) for item in params["endpoints"]),
        )
        place = gateway(params["gateway"])
        proof = prove(api, place, expected, params["timeout"], wait=params["wait"])
        warnings = list(proof.warnings)
        if params["await_address"]:
            warnings += await_address(api, place, params["timeout"], say=self._display.display)
        shown = [str(warning) for warning in warnings]
        return {"changed": False, "method": proof.method, "pods": proof.pods, "warnings": shown}
