# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action mesh_summary; documented in plugins/modules/mesh_summary.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.summary import still_holding
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import declared_in
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, visible
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import misplaced
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import next_due, table
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Action, Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import (
    LOOKS,
    ClusterLook,
    ProofJson,
    is_seen,
    last_standings,
)

_NO_LINKS = "there are no links here"
_NOTHING_SEEN = "no link is known of the clusters that were seen"


class ActionModule(Action):
    ARGUMENTS: ClassVar[dict[str, Any]] = {
        **LOOKS,
        "removed": {"type": "bool", "default": False},
    }

    def work(self, variables: Variables, params: dict[str, Any]) -> dict[str, Any]:
        looks: dict[str, Any] = params["looks"]
        seen: dict[str, ClusterLook] = {host: look for host, look in looks.items() if is_seen(look)}
        unseen = sorted(set(looks) - set(seen))
        proven: dict[str, ProofJson] = dict(zip(looks, params["proofs"], strict=False))
        links = [link for host, look in seen.items() for link in last_standings(look, proven.get(host) or {})]
        changed = {look["cluster"]: _lines(look, proven.get(host) or {}) for host, look in seen.items()}
        due = next_due(links, timedelta(days=variables.days("custom_ca_renew_before_days")))
        lines = table(links, changed, datetime.now(UTC)) or [_NOTHING_SEEN if unseen else _NO_LINKS]
        lines += [f"not looked at in this run: {', '.join(unseen)}"] if unseen else []
        hosts = {params["names"].get(host) or host for host in looks}
        absent = sorted(declared_in(variables.filled.get("mesh_clusters")).keys() - hosts)
        lines += [f"not in this part of the inventory: {', '.join(absent)}"] if absent else []
        lines += [f"next renewal due: {due}"] if due else []
        # By itself, not as a result: a callback would quote and fold the lines.
        Display().display("\n".join(map(visible, lines)))
        elsewhere = {params["names"].get(host) or host for host in unseen}
        here = {look["cluster"] for look in seen.values()}
        elsewhere |= declared_in(variables.filled.get("mesh_clusters")).keys() - here
        strays = misplaced([look["presence"] for look in seen.values()], elsewhere)
        held = self._still_holding(variables) if params["removed"] else []
        warnings = [str(message) for message in (*strays, *held)]
        return {
            "changed": False,
            "next_due": due,
            "not_looked_at": unseen,
            "not_covered": str(_not_covered(absent)) if absent else "",
            "warnings": warnings,
        }

    def _still_holding(self, variables: Variables) -> list[Message]:
        """What certificates allow that the inventory does not, as the store has it after this run."""
        entries, removal = variables.revoked(), variables.removal(foreseen=bool(self._task.check_mode))
        return still_holding(variables.store(), variables.grants(), entries, datetime.now(UTC), removal)


def _not_covered(absent: Sequence[str]) -> Message:
    return Message.error(
        "not-covered",
        where="mesh_clusters",
        what=f"this inventory lacks {listed(absent)}, which mesh_clusters names: nothing was verified there",
        fix="run playbook verify over the whole inventory, without job slicing, and enable the hosts that are disabled "
        "there; remove clusters that are no more from mesh_clusters",
    )


def _lines(look: ClusterLook, proof: ProofJson) -> list[str]:
    """What was written: of sides that were proven after it."""
    return [line for side, plan in look["sides"].items() if side in (proof.get("pods") or {}) for line in plan["lines"]]
