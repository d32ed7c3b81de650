# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters that decide are given by a role: rendered manifests, a view, a policy.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Policy

__all__ = ["documents", "plain", "policy_of"]

# The C loader reads two hundred links in a tenth of the time; it is not in every build of PyYAML.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(manifests: Sequence[str | None]) -> list[dict[str, Any]]:
    """The manifests that templates rendered; one without a link renders to nothing."""
    # The C loader takes bytes or exactly str; Ansible hands over a subclass of str.
    return [item for text in manifests if text for item in yaml.load(text.encode(), Loader=LOADER)]


def policy_of(given: Mapping[str, Any]) -> Policy:
    return Policy(
        key_type=given["key_type"],
        renew_before=timedelta(days=given["renew_before_days"]),
        force=given["force"],
        adopt=given["adopt"],
        only=frozenset(given["only"]),
        stage=given["stage"],
        existing=given["existing"],
    )


def plain(value: Any) -> Any:
    """Without Ansible's containers, which look at a value anew each time it is read, and without tags on texts."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
