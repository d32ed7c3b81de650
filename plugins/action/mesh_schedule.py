# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_schedule; documented in plugins/modules/mesh_schedule.py."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._kept_folder import KeptFolder
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._schedule import (
    PATTERNS,
    Schedule,
    faults,
    files_of,
    jobs_of,
    too_long_for_cron,
)

_DEFAULTS = schema.defaults(schema.PLAYBOOK)
_WORDS = {"type": "list", "elements": "str"}


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "path": {"type": "path", "required": True},
        "command": _WORDS,
        "user": {"type": "str"},
        "alarm": {**_WORDS, "default": _DEFAULTS["mesh_schedule_alarm"]},
        "heartbeat": {**_WORDS, "default": _DEFAULTS["mesh_schedule_heartbeat"]},
        "image": {"type": "str"},
        "image_command": {**_WORDS, "default": _DEFAULTS["mesh_schedule_image_command"]},
        "namespace": {"type": "str", "default": _DEFAULTS["mesh_schedule_namespace"]},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        schedule = _schedule(variables, params)
        if found := list(faults(schedule)):
            raise CrossmeshError(*found)
        folder = KeptFolder(params["path"], "schedule", "mesh_schedule_dir", schedule.instance, PATTERNS)
        done = folder.keep(files_of(schedule), check=bool(self._task.check_mode))
        warnings = list(map(str, too_long_for_cron(schedule)))
        return {**done.result(), "files": done.files, "lines": done.lines, "warnings": warnings}


def _schedule(variables: Variables, params: Mapping[str, Any]) -> Schedule:
    return Schedule(
        instance=str(variables.filled["mesh_instance"]),
        jobs=jobs_of(variables.of_playbook("mesh_schedule")),
        command=tuple(params["command"] or _this_command(variables)),
        folder=str(Path.cwd()),
        user=params["user"] or getpass.getuser(),
        alarm=tuple(params["alarm"]),
        heartbeat=tuple(params["heartbeat"]),
        image=params["image"] or "",
        image_command=tuple(params["image_command"]),
        namespace=params["namespace"],
    )


def _this_command(variables: Variables) -> list[str]:
    """The ansible-playbook of this run, with its inventory."""
    sources = variables.task_vars.get("ansible_inventory_sources") or ()
    inventory = [word for source in sources for word in ("-i", str(source))]
    return [str(Path(sys.executable).with_name("ansible-playbook")), *inventory]
