# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bears our labels and is left where it is, because it may be anybody's. Pure.

PRIVATE to the collection. Who writes objects in a namespace of workloads may call one as ours are called there. None of
that fails a run: it would be theirs to fail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ClusterReading, LiveObject
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Key, key_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import few

__all__ = ["held_up", "left_behind", "warnings"]


def warnings(reading: ClusterReading) -> list[Message]:
    """One for all objects of the cluster that are not ours for all their labels."""
    if not (titles := reading["strays"]):
        return []
    what = (
        f"{few(titles)}: all labels of this instance and cluster, in a namespace or under a name that no run gives; "
        "left alone, as what others have made"
    )
    fix = "find out who made it, then delete it, or take the labels off it"
    return [Message.warning("borrowed-labels", where=f"cluster {reading['cluster']}", what=what, fix=fix)]


def held_up(live: Iterable[LiveObject], wanted: Collection[Key], owner: names.Owner) -> dict[Key, Message]:
    """What no link needs in a namespace of workloads, and would not go: a run would wait for it, and fail."""
    return {
        key_of(item): left_behind(key_of(item), f"finalizer {listed(finalizers)} would keep it")
        for item in live
        if item["kind"] in names.WORKLOAD_KINDS
        and key_of(item) not in wanted
        and owner.labelled(item["metadata"]["labels"])
        and (finalizers := item["metadata"].get("finalizers"))
    }


def left_behind(key: Key, why: str) -> Message:
    """The warning where such an object is not deleted."""
    what = f"no link needs it, and it stays: {why}"
    fix = "if it was made by a run, delete it; else take the labels of this collection off it"
    return Message.warning("left-behind", where="{} {}/{}".format(*key), what=what, fix=fix)
