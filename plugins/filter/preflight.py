# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter preflight; documented in preflight.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.report import inventory_rows
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import WHOLE_CLUSTER, Row, row_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.side import Scene, side_rows, unseen_rows
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.rendered import documents, policy_of


def preflight(
    found: Mapping[str, Any],
    view: Mapping[str, Any],
    side: str,
    manifests: Sequence[str | None],
    policy: Mapping[str, Any],
) -> list[dict[str, Any]]:
    return [row.to_json() for row in _rows(found, view, side, manifests, policy)]


def _rows(
    found: Mapping[str, Any],
    view: Mapping[str, Any],
    side: str,
    manifests: Sequence[str | None],
    policy: Mapping[str, Any],
) -> list[Row]:
    if view["errors"]:
        return inventory_rows([Message.from_json(found) for found in view["messages"]])
    wanted = json.loads(view[side])
    if not found["reading"]:
        return unseen_rows(view["request"]["cluster"], wanted, found["incomplete"][WHOLE_CLUSTER])
    scene = Scene(
        reading=json.loads(found["reading"]),
        incomplete=found["incomplete"],
        side=wanted,
        manifests=documents(manifests),
        policy=policy_of(policy),
        known=[row_of(row) for row in found["rows"]],
    )
    return side_rows(scene, datetime.now(UTC))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"preflight": preflight}
