# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca_rotation; documented in plugins/modules/custom_ca_rotation.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.move import STEPS, Move, move
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.restoration import held_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.rotation import sight_from_json
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import SIDES, Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import refusals

SIGHT = {
    "cluster": {"type": "str", "required": True},
    "side": {"type": "str", "choices": list(SIDES), "required": True},
    "step": {"type": "str", "required": True},
    "method": {"type": "str", "required": True},
    "trust": {"type": "list", "elements": "dict", "required": True},
    "issuers": {"type": "list", "elements": "str", "required": True},
    "surplus": {"type": "list", "elements": "str", "default": []},
    "problem": {"type": "str", "default": ""},
    "state": {"type": "str", "default": ""},
}


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "step": {"type": "str", "choices": list(STEPS), "required": True},
        "seen": {"type": "str", "default": ""},
        "clusters": {"type": "list", "elements": "str", "default": []},
        "sights": {"type": "list", "elements": "dict", "default": [], "options": SIGHT},
        "held": {"type": "list", "elements": "dict", "default": []},
        "restored": {"type": "str", "default": ""},
        "named": {"type": "list", "elements": "str", "default": []},
        "lost": {"type": "list", "elements": "str", "default": []},
        "unrecorded": {"type": "list", "elements": "dict", "default": []},
        "clock_ahead": {"type": "int", "default": 0},
        "elsewhere": {"type": "list", "elements": "str", "default": []},
        "looked_at": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        store, check = variables.store(), bool(self._task.check_mode)
        task = Move(
            step=params["step"],
            seen=params["seen"],
            passphrase=variables.passphrase,
            wanted=variables.wanted_root(),
            sights=[sight_from_json(item) for item in params["sights"]],
            instance=variables.filled["mesh_instance"],
            clusters=params["clusters"],
            revoked=variables.revoked(),
            lost=params["lost"],
            named=params["named"],
            keep_keys=variables.filled["custom_ca_keep_retired_keys"],
            clock_ahead=params["clock_ahead"],
            unrecorded=[record_from_json(item, where="unrecorded") for item in params["unrecorded"]],
            removal=variables.removal(foreseen=check),
            held=[held_from_json(item) for item in params["held"]],
            restored=params["restored"],
            elsewhere=params["elsewhere"],
            looked_at=params["looked_at"],
            longest=timedelta(seconds=variables.number("mesh_gate_max_age")),
        )
        with refusals(store, variables, "custom_ca_rotation", check=check):
            outcome = move(store, task, now=datetime.now(UTC), check_mode=check)
        # Where a take-over is only tried, nothing of the store can be read yet.
        authority = None if store.unsigned() or store.of_another() else store.public()
        return {
            "changed": outcome.changed,
            "msg": outcome.message,
            "authority": outcome.authority,
            "phase": authority.phase if authority else "absent",
            "state": authority.state if authority else "",
            "diff": {"before": outcome.before, "after": outcome.after},
        }
