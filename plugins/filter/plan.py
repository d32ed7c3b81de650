# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter plan; documented in plan.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils.authority import authority_from_json
from ansible_collections.crossmesh.mtls.plugins.module_utils.plan import Policy, make_plan, refused

# The C loader reads two hundred links in a tenth of the time; it is not in every build of PyYAML.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plan(
    text: str,
    view: Mapping[str, Any],
    side: str,
    manifests: Sequence[str | None],
    policy: Mapping[str, Any],
) -> dict[str, Any]:
    if view["errors"]:
        return refused(view["errors"])
    # The C loader takes bytes or exactly str; Ansible hands over a subclass of str.
    documents = [item for text in manifests if text for item in yaml.load(text.encode(), Loader=LOADER)]
    reading = json.loads(text)
    return make_plan(
        reading,
        plain(view[side]),
        documents,
        authority_from_json(reading["authority"]),
        Policy(
            key_type=policy["key_type"],
            renew_before=timedelta(days=policy["renew_before_days"]),
            force=policy["force"],
            adopt=policy["adopt"],
            only=frozenset(policy["only"]),
            stage=policy["stage"],
            existing=policy["existing"],
        ),
        datetime.now(UTC),
    )


def plain(value: Any) -> Any:
    """Without Ansible's containers, which look at a value anew each time it is read."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
