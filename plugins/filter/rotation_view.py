# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_view; documented in rotation_view.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import topology


def rotation_view(
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    mesh_clusters: Mapping[str, Any],
    hosts_of_run: Sequence[str],
    still_there: Sequence[str],
) -> dict[str, Any]:
    hosts = dict.fromkeys([*groups.get(topology.SERVERS_GROUP, ()), *groups.get(topology.CLIENTS_GROUP, ())])
    sights = [sight for host in hosts for sight in (hostvars[host].get("__mesh_common_sights") or {}).values()]
    clusters = {host: hostvars[host].get("mesh_cluster_name") or host for host in hosts}
    every = {*clusters.values(), *mesh_clusters}
    taken_in = {
        cluster
        for host, cluster in clusters.items()
        if host in hosts_of_run and (host in still_there or not _was_read(hostvars[host]))
    }
    taken_in -= {cluster for host, cluster in clusters.items() if "__mesh_rotate_left_out" in hostvars[host]}
    return {"clusters": sorted(every), "left_out": sorted(every - taken_in), "sights": sights}


def _was_read(variables: Mapping[str, Any]) -> bool:
    return bool((variables.get("__mesh_common_read") or {}).get("reading"))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_view": rotation_view}
