# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_steps; documented in rotation_steps.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca import rotation
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Phase
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

_WORDS: Mapping[str, str] = {
    "recover": "create another CA, and trust it beside the lost one",
    "look": "read what every pod serves and trusts",
    "abandon": "remove the prepared root",
    "prepare": "create the next root",
    "trust": "trust both roots everywhere",
    "switch": "let the new root issue",
    "leaves": "serve its certificates everywhere",
    "retire": "stop trusting the old root",
    "drop": "remove the retiring root from every credential",
    "finish": "destroy its key",
}


def rotation_steps(phase: Phase, asked: str = "", lost: bool = False, mesh_links: object = ()) -> dict[str, Any]:
    beyond_sight = desired.beyond_sight(link_rules.sound_links_with(mesh_links, "external", "foreign_clients"))
    if lost and phase == "absent" and asked:
        lost_in_phases = Message.error(
            "lost-ca-phase", where="", what="a lost CA is replaced in one run", fix="remove mesh_rotate_phase"
        )
        return _told(lost_in_phases, [])
    if lost and phase == "absent":
        # External servers and foreign clients have to trust the new root first, and nobody can see whether they do.
        return _told(None, ["recover", "trust"] if beyond_sight else ["recover", *rotation.steps("prepared", "")])
    return _told(rotation.refusal(phase, asked, beyond_sight), rotation.steps(phase, asked))


def _told(refusal: Message | None, steps: Sequence[str]) -> dict[str, Any]:
    words = "; ".join(_WORDS[step] for step in steps)
    return {
        "refusal": str(refusal or ""),
        "steps": list(steps),
        "words": words or "nothing, no rotation is in progress",
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_steps": rotation_steps}
