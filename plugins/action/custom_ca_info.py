# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca_info; documented in plugins/modules/custom_ca_info.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.create import ensure_usable
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {"expected": {"type": "list", "elements": "str", "default": []}}

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        # With settings that are wrong there is nothing more to find out.
        if findings := variables.ca_findings():
            raise CrossmeshError(*findings)
        outcome = ensure_usable(
            variables.store(),
            variables.wanted_root(),
            passphrase=variables.passphrase,
            expected=params["expected"],
            now=datetime.now(UTC),
        )
        return {"changed": False, "problems": [], "authority": outcome.authority, "msg": outcome.message}

    def refused(self, error: CrossmeshError, variables: Variables) -> dict[str, Any]:
        problems = [message.to_json() for message in error.messages]
        return {"changed": False, "problems": problems, "authority": {}, "msg": ""}
