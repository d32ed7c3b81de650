# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter authority_state; documented in authority_state.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import declared_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.in_service import (
    Recovery,
    believed,
    recovery,
    shown,
)


def authority_state(
    looks: Mapping[str, Mapping[str, Any]],
    mesh_clusters: object,
    limited: bool,
    adopt: bool,
    lost_roots: object = (),
) -> dict[str, Any]:
    seen = {host: shown(look) for host, look in looks.items() if "ca" in look}
    clusters = list(seen.values())
    missing = any(item.ca["missing"] for item in clusters)
    roots = {root for item in clusters for root in item.ca["roots"]}
    unknown = {root for item in clusters for root in item.ca["unknown"] if believed(clusters, root)}
    # An adoption that was interrupted leaves roots of before in Secrets that are ours already.
    wrong = set() if adopt else unknown
    # Of another type the variables are findings of their own.
    declared, named = declared_in(mesh_clusters), lost_roots if isinstance(lost_roots, list) else []
    elsewhere = set(declared) - {item.cluster for item in clusters}
    unseen = sorted(set(looks) - set(seen) if limited else ()) or sorted(elsewhere)
    found = recovery(clusters, named) if missing else Recovery()
    return {
        "needed": missing or bool(wrong),
        "in_service": sorted(roots if missing else wrong),
        "lost_roots": list(found.roots),
        "unvouched": list(map(str, found.refusals)),
        "unseen": unseen if missing and (limited or declared) else [],
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"authority_state": authority_state}
