# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca; documented in plugins/modules/custom_ca.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import Outcome, ensure_absent, ensure_present
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.schema import STATES
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import refusals


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": list(STATES), "default": "present"},
        "expected": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        faults = variables.ca_findings()
        # What is taken away needs no settings that could make it.
        if faults and params["state"] == "present":
            raise CrossmeshError(*faults)
        store, check_mode = variables.store(), bool(self._task.check_mode)
        with refusals(store, variables, "custom_ca", check=check_mode):
            outcome = _outcome(store, variables, params, check_mode)
        return {
            "changed": outcome.changed,
            "msg": outcome.message,
            "authority": outcome.authority,
            "diff": {"before": outcome.before, "after": outcome.after},
        }


def _outcome(store: CaStore, variables: Variables, params: dict[str, Any], check_mode: bool) -> Outcome:
    if params["state"] == "absent":
        return ensure_absent(store, expected=params["expected"], check_mode=check_mode)
    return ensure_present(
        store,
        variables.wanted_root(),
        passphrase=variables.passphrase,
        expected=params["expected"],
        now=datetime.now(UTC),
        check_mode=check_mode,
    )
