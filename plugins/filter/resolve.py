# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter resolve; documented in resolve.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import ca as ca_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import clusters as cluster_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import check_revoked
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.rendered import plain

# A side that templates render to nothing.
NOTHING = json.dumps({"links": [], "lockdowns": []})


def resolve(links: Any, variables: Mapping[str, Any], prune_all: bool = False) -> dict[str, Any]:
    links, variables = plain(links), plain(variables)
    shared = {**variables, "mesh_links": links}
    found = [
        *link_rules.check_links(links),
        *cluster_rules.check_settings(shared),
        *check_revoked(variables.get("custom_ca_revoked") or [], datetime.now(UTC)),
        *([] if variables.get("mesh_cluster_state") == "absent" else ca_rules.check_policy(variables)),
        *cluster_rules.check_prune(links, allowed=prune_all),
        *cluster_rules.check_cluster(variables, link_rules.sound_links(links)),
    ]
    if found:
        return {
            "errors": [str(finding) for finding in found],
            "messages": [finding.to_json() for finding in found],
            "server": NOTHING,
            "client": NOTHING,
        }
    cluster, settings = desired.cluster_of(variables), desired.settings_of(variables)
    view = desired.resolve(links, cluster, settings)
    # A side as one text: Ansible would otherwise look into each of its thousands of values whenever it is handed on.
    return {
        "errors": [],
        "request": view["request"],
        "server": json.dumps(view["server"]),
        "client": json.dumps(view["client"]),
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"resolve": resolve}
