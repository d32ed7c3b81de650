# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which links an inventory gives to which cluster, for what certificates are held against. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.holdings import Grants
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import name_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import check_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World

__all__ = ["grants_of"]


def grants_of(clusters: Mapping[str, Mapping[str, Any]], shared: Mapping[str, Any]) -> Grants:
    """What an inventory gives to whom.

    :param clusters: by host, the variables of each cluster that this part of the inventory has, with its C(groups).
    :param shared: the variables that all clusters share, defaults filled in.
    :raises CrossmeshError: a link is not sound. What is left out of account would look as if it were taken away.
    """
    if findings := check_links(shared.get("mesh_links")):
        raise CrossmeshError(*findings)
    world = World(variables=clusters, groups=frozenset(), shared=shared)
    seen = {name: cluster for name, cluster in world.clusters.items() if name not in _elsewhere(world)}
    links = {
        (name, side): frozenset(link["name"] for link in of_side(world.wanted_links, cluster))
        for name, cluster in seen.items()
        for side, of_side in (("server", desired.server_links), ("client", desired.client_links))
    }
    external = desired.external_servers(world.sound_links)
    return Grants(
        instance=str(shared["mesh_instance"]),
        links={**links, **{(names.external(server.link), "server"): frozenset({server.link}) for server in external}},
        elsewhere=_elsewhere(world),
        declared=bool(world.mesh_clusters),
    )


def _elsewhere(world: World) -> frozenset[str]:
    here = {name_of(variables) for variables in world.variables.values()}
    return frozenset(world.mesh_clusters) - here
