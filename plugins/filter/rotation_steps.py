# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_steps; documented in rotation_steps.yml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils.authority import Phase


def rotation_steps(phase: Phase, asked: str = "", lost: bool = False) -> dict[str, Any]:
    if lost and phase == "absent" and asked:
        return {"refusal": "a lost CA is replaced in one run. Cure: leave mesh_rotate_phase out", "steps": []}
    if lost and phase == "absent":
        return {"refusal": "", "steps": ["recover", *rotation.steps("prepared", "")]}
    return {"refusal": rotation.refusal(phase, asked), "steps": list(rotation.steps(phase, asked))}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_steps": rotation_steps}
