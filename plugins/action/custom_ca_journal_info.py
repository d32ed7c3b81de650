# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action custom_ca_journal_info; documented in plugins/modules/custom_ca_journal_info.py."""

from __future__ import annotations

from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal_check import Checked
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import wholeness


class ActionModule(Action):
    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        try:
            store = variables.store()
            found, problems = store.check_journal(), []
            message = wholeness(store, found)
        except CrossmeshError as error:
            found, problems, message = Checked(0, 0), list(map(str, error.messages)), ""
        return {
            "changed": False,
            "msg": message,
            "problems": problems,
            # As warnings too: where a playbook keeps them to its end, that end may not be reached.
            "warnings": problems,
            "signed": found.signed,
            "unsigned": found.unsigned,
        }
