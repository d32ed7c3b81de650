# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter same_cluster; documented in same_cluster.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import presence


def same_cluster(looks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    seen: dict[str, presence.Presence] = {host: look["presence"] for host, look in looks.items() if "presence" in look}
    why = presence.refused(list(seen.values()))
    return {host: str(why[found["cluster"]]) for host, found in seen.items() if found["cluster"] in why}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"same_cluster": same_cluster}
