# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter plan; documented in plan.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import authority_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import make_plan
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.rendered import documents, policy_of

MESSAGES = ("errors", "warnings", "notices", "alarms")


def plan(
    text: str,
    view: Mapping[str, Any],
    side: str,
    manifests: Sequence[str | None],
    policy: Mapping[str, Any],
) -> dict[str, Any]:
    reading = json.loads(text)
    made = make_plan(
        reading,
        json.loads(view[side]),
        documents(manifests),
        authority_from_json(reading["authority"]),
        policy_of(policy),
        datetime.now(UTC),
    )
    return {**made, **{kind: [str(message) for message in made[kind]] for kind in MESSAGES}}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
