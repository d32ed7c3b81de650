# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter topology_errors; documented in topology_errors.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import (
    ca_settings,
    findings,
    revocation,
    schema,
    topology,
    validation,
)

NAMES = tuple(field.name for field in (*schema.CLUSTER, *schema.SHARED))


def topology_errors(
    shared: Mapping[str, Any],
    hostvars: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    prune_all: bool = False,
) -> list[str]:
    hosts = dict.fromkeys([*groups.get(topology.SERVERS_GROUP, ()), *groups.get(topology.CLIENTS_GROUP, ())])
    world = validation.World(
        variables={host: _variables(host, hostvars[host]) for host in hosts},
        groups=frozenset(groups),
        shared={name: value for name, value in shared.items() if name not in ca_settings.POLICY},
    )
    # Each cluster may have its own; what is wrong with one of all is told once.
    policies = [ca_settings.check_policy(variables) for variables in (shared, *(hostvars[host] for host in hosts))]
    policy = dict.fromkeys(finding for found in policies for finding in found)
    revoked = revocation.check_revoked(shared.get("custom_ca_revoked") or [], datetime.now(UTC))
    return findings.describe([*validation.check_world(world, prune_all=prune_all), *revoked, *policy])


def _variables(host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: variables[name] for name in NAMES if name in variables}
    return {"mesh_cluster_name": host, **given, "groups": list(variables["group_names"])}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"topology_errors": topology_errors}
