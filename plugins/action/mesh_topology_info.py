# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_topology_info; documented in plugins/modules/mesh_topology_info.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import check_inventory
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.external import check_directories
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links_with
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.variables import unknown_variables
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._collections import lacking_collection
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contracts_of, of_clusters

Json = dict[str, Any]


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "prune_all": {"type": "bool"},
        "fail": {"type": "bool", "default": True},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        clusters = of_clusters(variables.task_vars)
        try:
            found = _findings(variables, clusters, params["prune_all"])
        except CrossmeshError as error:
            found = error.messages
        if lacking := lacking_collection():
            found = [lacking, *found]
        unknown = unknown_variables({*variables.task_vars, *chain.from_iterable(clusters.values())})
        warnings = [str(unknown)] if unknown else []
        if found and params["fail"]:
            return {**self.refused(CrossmeshError(*found), variables), "warnings": warnings}
        return {"changed": False, "errors": [message.to_json() for message in found], "warnings": warnings}


def _findings(
    variables: Variables, shown: Mapping[str, Mapping[str, Any]], prune_all: bool | None
) -> Sequence[Message]:
    """:raises CrossmeshError: a variable cannot be read, and without it nothing else can be judged."""
    groups = frozenset(map(str, variables.task_vars["groups"]))
    clusters = contracts_of(shown, variables.templar)
    allowed = variables.filled["mesh_prune_all"] is True if prune_all is None else prune_all
    found = check_inventory(clusters, groups, variables.given, datetime.now(UTC), prune_all=allowed)
    # As far as this machine has directories: of a run's other hosts all are on it, too.
    outside = sound_links_with(variables.given.get("mesh_links"), "external")
    return [*found, *check_directories(outside, Path(variables.store().where))]
