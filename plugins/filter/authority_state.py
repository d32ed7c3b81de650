# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter authority_state; documented in authority_state.yml."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any


def authority_state(
    looks: Mapping[str, Mapping[str, Any]], mesh_clusters: Collection[str], limited: bool, adopt: bool
) -> dict[str, Any]:
    seen = {host: look for host, look in looks.items() if "ca" in look}
    roots = {fingerprint: pem for look in seen.values() for fingerprint, pem in look["ca"]["roots"].items()}
    missing = any(look["ca"]["missing"] for look in seen.values())
    # An adoption that was interrupted leaves roots of before in Secrets that are ours already.
    unknown = {} if adopt and not missing else {root for look in seen.values() for root in look["ca"]["unknown"]}
    elsewhere = set(mesh_clusters) - {look["cluster"] for look in seen.values()}
    unseen = sorted(set(looks) - set(seen) if limited else ()) or sorted(elsewhere)
    return {
        "needed": missing or bool(unknown),
        "in_service": sorted(roots if missing else unknown),
        "roots": [roots[fingerprint] for fingerprint in sorted(roots)],
        "unseen": unseen if missing and (limited or mesh_clusters) else [],
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"authority_state": authority_state}
