# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_credentials; documented in plugins/modules/mesh_credentials.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.records import record_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, UnfinishedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Credential, Work, ensure, report
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import SIDES, ClusterAction, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._journal import refusals
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import ClusterLook, SideLook

Json = dict[str, Any]


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "look": {"type": "dict", "required": True},
        "sides": {"type": "list", "elements": "str", "choices": list(SIDES), "default": list(SIDES)},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        api = variables.api()
        look: ClusterLook = params["look"]
        plans = {side: plan for side, plan in look["sides"].items() if side in params["sides"] and plan["credentials"]}
        done: dict[str, Json] = {}
        for side in (side for side in SIDES if side in plans):
            try:
                done[side] = report(self._ensure(api, variables, look, plans[side]))
            except CrossmeshError as error:
                if any(result["changed"] for result in done.values()):
                    raise UnfinishedError(*error.messages) from error
                raise
        diffs = [item for result in done.values() for item in result.pop("diff")]
        return {"changed": any(result["changed"] for result in done.values()), "sides": done, "diff": diffs}

    def _ensure(self, api: Api, variables: Variables, look: ClusterLook, plan: SideLook) -> list[Credential]:
        work = Work(
            owner=names.Owner(look["instance"], look["cluster"], plan["side"]),
            namespace=plan["namespace"],
            wanted=plan["credentials"],
            policy=variables.policy(**look["options"]),
            validity=timedelta(days=variables.days("custom_ca_leaf_validity_days")),
            passphrase=variables.passphrase,
            check=bool(self._task.check_mode),
            # What another cluster has left here does not make this one its home.
            uid=look["identity"]["cluster_uid"] if look["cluster"] == variables.cluster else "",
            revoked=variables.revoked(),
            mesh_roots=look["ca"]["meshes"],
            unrecorded=[record_from_json(item, where="unrecorded") for item in look["unrecorded"]],
            removal=variables.removal(foreseen=bool(self._task.check_mode)),
        )
        store = variables.store()
        with refusals(store, variables, "mesh_credentials", check=work.check):
            return ensure(api, store, work, datetime.now(UTC))
