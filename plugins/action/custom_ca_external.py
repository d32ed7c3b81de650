# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca_external; documented in plugins/modules/custom_ca_external.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import external_servers
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ExternalServer
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.external import check_directories
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links_with
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import Request, keep, report
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import refusing

LOOK = "look"


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "force": {"type": "bool", "default": False},
        "step": {"type": "str", "default": ""},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        store, servers = variables.store(), _servers(variables)
        if not servers:
            return {"changed": False, "skipped": True, "skip_reason": "no link has external.ca"}
        outside = sound_links_with(variables.given.get("mesh_links"), "external")
        if misplaced := list(check_directories(outside, Path(store.where))):
            raise CrossmeshError(*misplaced)
        check, look = bool(self._task.check_mode), params["step"] == LOOK
        request = Request(
            servers=servers,
            instance=variables.filled["mesh_instance"],
            policy=variables.policy("all", existing=False, force=params["force"]),
            validity_days=variables.days("custom_ca_leaf_validity_days"),
            passphrase="" if look else variables.passphrase,
            revoked=variables.revoked(),
            try_key=check and not look,
            patience=variables.number("mesh_api_timeout"),
        )
        outcome = keep(store, request, datetime.now(UTC), look=check or look)
        if not (check or look):
            for error in outcome.errors:
                refusing(store, variables, "custom_ca_external", error)
        result = report(outcome, params["step"])
        if outcome.errors:
            # As warnings too: where a playbook keeps the error to its end, that end may not be reached.
            result["warnings"] += map(str, outcome.errors)
            return {**result, "failed": True, **failure(*outcome.errors)}
        return result


def _servers(variables: Variables) -> list[ExternalServer]:
    """The external servers of the links that this run works on."""
    only = variables.filled["mesh_only_links"]
    found = external_servers(sound_links_with(variables.given.get("mesh_links"), "external"))
    return [
        replace(server, directory=server.directory.expanduser()) for server in found if not only or server.link in only
    ]
