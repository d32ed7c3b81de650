# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_stop; documented in rotation_stop.yml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

# So many have to fail: one alone is a fault of its own.
_SEVERAL = 2


def rotation_stop(outcomes: Iterable[Mapping[str, str]], cluster: str) -> str:
    counted = Counter(outcome for found in outcomes for outcome in found.items())
    # Each side by itself: what servers were seen to serve says nothing of the clients' gateways.
    for side in sorted({side for side, _outcome in counted}):
        unproven, proven = counted[side, "unproven"], counted[side, "proven"]
        if unproven >= _SEVERAL and unproven > proven:
            return str(_stopped(cluster, side, unproven, unproven + proven))
    return ""


def _stopped(cluster: str, side: str, unproven: int, renewed: int) -> Message:
    return Message.error(
        "rotation-stopped",
        where="",
        what=f"{cluster} keeps its certificates: of {renewed} clusters that got new ones, {unproven} were not seen to "
        f"serve them on the {side}'s side",
        fix="repair the gateways that their messages name, then run the same again",
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_stop": rotation_stop}
