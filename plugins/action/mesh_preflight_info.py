# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_preflight_info; documented in plugins/modules/mesh_preflight_info.py."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Side
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import presence_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.look import Look, look, unreachable
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import inventory_rows
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import NOBODY, WHOLE_CLUSTER, Row
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.side import Scene, side_rows, unseen_rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import (
    SIDES,
    ClusterAction,
    Variables,
    watching,
)
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render

Json = dict[str, Any]


class ActionModule(ClusterAction):
    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        resolution = variables.resolution()
        if resolution.findings:
            rows = inventory_rows(resolution.findings)
            return {"changed": False, "looked": False, "rows": [row.to_json() for row in rows]}
        view = resolution.wanted()
        return _result(_found(variables, view), variables, view)


def _found(variables: Variables, view: Desired) -> Look:
    try:
        api, request = variables.api(), watching(view)
        return look(api, request, view, variables.store(), variables.revoked(), datetime.now(UTC))
    except CrossmeshError as error:
        return unreachable(variables.cluster, error)


def _result(found: Look, variables: Variables, view: Desired) -> Json:
    rows = [
        *found.rows,
        *_place_rows(found, variables),
        *(row for side in SIDES for row in _side_rows(found, variables, view, side)),
    ]
    result: Json = {
        "changed": False,
        "looked": True,
        "cluster": variables.cluster,
        "rows": [row.to_json() for row in rows],
        "sight": found.sight or {},
    }
    if found.reading is not None:
        request = view["request"]
        result["presence"] = presence_of(
            found.reading, request, [view[side] for side in SIDES], recognised=_is_recognised(found.reading, variables)
        )
        result["ca"] = ca_in_cluster(found.reading, request["instance"], request["cluster"])
    return result


def _is_recognised(reading: ClusterReading, variables: Variables) -> bool:
    # A store that cannot be read has a row of its own.
    with suppress(CrossmeshError):
        return variables.recognises(reading["identity"]["cluster_uid"])
    return False


def _place_rows(found: Look, variables: Variables) -> list[Row]:
    # A store that cannot be read has a row of its own.
    with suppress(CrossmeshError):
        if found.reading and (fault := variables.misled(found.reading["identity"]["cluster_uid"], variables.cluster)):
            return [Row.of(variables.cluster, NOBODY, "api", fault)]
    return []


def _side_rows(found: Look, variables: Variables, view: Desired, side: Side) -> list[Row]:
    desired = view[side]
    if found.reading is None:
        return unseen_rows(variables.cluster, desired, found.incomplete[WHOLE_CLUSTER])
    scene = Scene(
        reading=found.reading,
        incomplete=found.incomplete,
        side=desired,
        manifests=render(side, desired),
        surroundings=found.surroundings,
        policy=variables.policy("all", existing=False, force=False),
        known=found.rows,
        ask=lambda trials: try_out(variables.api(), trials),
    )
    return side_rows(scene, datetime.now(UTC))
