# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca_move; documented in plugins/modules/custom_ca_move.py."""

from __future__ import annotations

from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.relocation import relocate
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import author_of


class ActionModule(Action):
    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        source, target = variables.relocation()
        instance, author = str(variables.filled["mesh_instance"]), author_of(variables.task_vars)
        done = relocate(source, target, instance, author=author, check_mode=bool(self._task.check_mode))
        before, after = (source.where, target.where) if done.changed else (target.where, target.where)
        return {
            "changed": done.changed,
            "msg": done.message,
            "diff": {"before": {"path": before}, "after": {"path": after}},
        }
