# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From variables to the desired state of a cluster, or to everything that is wrong with an inventory. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired, schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import Finding
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import ca as ca_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import clusters as cluster_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.external import check_ends
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import check_revoked
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.validation import World, check_world

__all__ = ["Resolution", "check_inventory", "resolve"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Resolution:
    """What one cluster is to be, or why that cannot be told.

    :param findings: everything that is wrong with the variables.
    :param desired: None where something is.
    """

    findings: list[Finding]
    desired: Desired | None

    def wanted(self) -> Desired:
        """What the cluster is to be.

        :raises CrossmeshError: with all findings, where there are any.
        """
        if self.desired is None:
            raise CrossmeshError(*self.findings)
        return self.desired


def resolve(variables: Mapping[str, Any], now: datetime, *, prune_all: bool = False) -> Resolution:
    """Hold the variables against every rule, and derive both sides from them.

    :param variables: by their contract names; C(groups) are the cluster's own.
    :param prune_all: an empty list of links is meant.
    """
    links = variables.get("mesh_links")
    found = [
        *link_rules.check_links(links),
        *cluster_rules.check_settings({**variables, "mesh_links": links}),
        *cluster_rules.check_run(variables),
        *check_revoked(variables.get("custom_ca_revoked") or [], now),
        *check_ends(link_rules.sound_links_with(links, "external"), now),
        *([] if variables.get("mesh_cluster_state") == "absent" else ca_rules.check_policy(variables)),
        *cluster_rules.check_prune(links, allowed=prune_all),
        *cluster_rules.check_cluster(variables, link_rules.sound_links(links)),
    ]
    if found:
        return Resolution(found, None)
    view = desired.resolve(links or [], desired.cluster_of(variables), desired.settings_of(variables))
    return Resolution([], view)


def check_inventory(
    clusters: Mapping[str, Json], groups: frozenset[str], shared: Json, now: datetime, *, prune_all: bool
) -> list[Finding]:
    """Everything that is wrong with an inventory; what is wrong for all of it comes once.

    :param clusters: the variables of each, by host.
    :param groups: names of all groups; a part of an inventory keeps them.
    :param shared: the variables as localhost sees them.
    :param prune_all: an empty list of links is meant.
    """
    known = {**schema.defaults(schema.SHARED), **shared}
    everywhere = {"mesh_links": None, **{item.name: known.get(item.name) for item in schema.SHARED}}
    world = World(variables=clusters, groups=groups, shared=everywhere)
    # The CA's own, and those of each cluster, which may have others.
    staying = [given for given in clusters.values() if given.get("mesh_cluster_state") != "absent"]
    own = {**ca_rules.POLICY, **{name: value for name, value in shared.items() if name in ca_rules.POLICY}}
    policy = dict.fromkeys(finding for given in (own, *staying) for finding in ca_rules.check_policy(given))
    revoked = check_revoked(known.get("custom_ca_revoked") or [], now)
    run = dict.fromkeys(finding for given in (shared, *clusters.values()) for finding in cluster_rules.check_run(given))
    ended = check_ends(link_rules.sound_links_with(known.get("mesh_links"), "external"), now)
    return [*check_world(world, prune_all=prune_all), *ended, *run, *revoked, *policy]
