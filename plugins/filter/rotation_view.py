# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_view; documented in rotation_view.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules


def rotation_view(
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    mesh_clusters: Mapping[str, Any],
    hosts_of_run: Sequence[str],
    still_there: Sequence[str],
) -> dict[str, Any]:
    hosts = dict.fromkeys([*groups.get(desired.SERVERS_GROUP, ()), *groups.get(desired.CLIENTS_GROUP, ())])
    sights = [sight for host in hosts for sight in (hostvars[host].get("__mesh_common_sights") or {}).values()]
    clusters = {host: hostvars[host].get("mesh_cluster_name") or host for host in hosts}
    every = {*clusters.values(), *mesh_clusters}
    taken_in = {
        cluster
        for host, cluster in clusters.items()
        if host in hosts_of_run and (host in still_there or not _was_read(hostvars[host]))
    }
    taken_in -= {cluster for host, cluster in clusters.items() if "__mesh_rotate_left_out" in hostvars[host]}
    left_out = [*sorted(every - taken_in), *_servers_left_out(hostvars["localhost"])]
    return {"clusters": sorted(every), "left_out": left_out, "sights": sights}


def _was_read(variables: Mapping[str, Any]) -> bool:
    return bool((variables.get("__mesh_common_read") or {}).get("reading"))


def _servers_left_out(localhost: Mapping[str, Any]) -> list[str]:
    """Servers outside that may still have a certificate which is revoked: all of them where localhost did not look."""
    looked = localhost.get("__custom_ca_endpoints") or {}
    if "waiting" in looked:
        return list(looked["waiting"])
    external = link_rules.sound_links_with(localhost.get("mesh_links"), "external")
    return [names.outside(server["link"]) for server in desired.outside_servers(external)]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_view": rotation_view}
