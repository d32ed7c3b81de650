# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter topology_errors; documented in topology_errors.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired, schema, validation
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import ca as ca_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import check_revoked
from ansible_collections.crossmesh.mtls.plugins.plugin_utils.rendered import plain

NAMES = (*ca_rules.POLICY, *(field.name for field in (*schema.CLUSTER, *schema.SHARED)))


def topology_errors(
    shared: Mapping[str, Any],
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    prune_all: bool = False,
    as_messages: bool = False,
) -> list[Any]:
    hosts = dict.fromkeys([*groups.get(desired.SERVERS_GROUP, ()), *groups.get(desired.CLIENTS_GROUP, ())])
    known = {host: _variables(hostvars[host]) for host in hosts}
    shared = plain(shared)
    world = validation.World(
        variables={host: {"mesh_cluster_name": host, **variables} for host, variables in known.items()},
        groups=frozenset(groups),
        shared=shared,
    )
    # The CA's own, and those of each cluster, which may have others; what is wrong with one of all is told once.
    staying = [variables for variables in known.values() if variables.get("mesh_cluster_state") != "absent"]
    own = {**ca_rules.POLICY, **_given(hostvars["localhost"], ca_rules.POLICY)}
    policies = map(ca_rules.check_policy, (own, *staying))
    policy = dict.fromkeys(finding for found in policies for finding in found)
    revoked = check_revoked(shared.get("custom_ca_revoked") or [], datetime.now(UTC))
    found = [*validation.check_world(world, prune_all=prune_all), *revoked, *policy]
    return [finding.to_json() if as_messages else str(finding) for finding in found]


def _variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {**_given(variables), "groups": list(variables["group_names"])}


def _given(variables: Mapping[str, Any], names: Iterable[str] = NAMES) -> dict[str, Any]:
    return {name: plain(variables[name]) for name in names if name in variables}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"topology_errors": topology_errors}
