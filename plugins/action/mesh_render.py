# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_render; documented in plugins/modules/mesh_render.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import resolve
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._kept_folder import KeptFolder
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._tree import PATTERNS, tree_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contracts


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {"path": {"type": "path", "required": True}}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        now, allowed = datetime.now(UTC), variables.filled["mesh_prune_all"] is True
        given = contracts(variables.task_vars, variables.templar)
        views = [resolve(found, now, prune_all=allowed).wanted() for found in given.values()]
        # A slice of an inventory shows the clusters of others by their names alone.
        elsewhere = set(variables.given.get("mesh_clusters") or {}) - {view["request"]["cluster"] for view in views}
        instance = str(variables.filled["mesh_instance"])
        folder = KeptFolder(params["path"], "render", "mesh_render_dir", instance, PATTERNS)
        done = folder.keep(tree_of(views), spared=elsewhere, check=bool(self._task.check_mode))
        return {**done.result(), "files": done.files, "lines": done.lines}
