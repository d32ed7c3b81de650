# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rotation_view; documented in rotation_view.yml."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names
from ansible_collections.crossmesh.mtls.plugins.module_utils._clock import agreed
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.clusters import declared_in
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._look import is_seen


def rotation_view(
    looks: Mapping[str, Mapping[str, Any]],
    names: Iterable[str],
    proofs: Iterable[Mapping[str, Any]],
    reasons: Iterable[str],
    external: Mapping[str, Any],
    mesh_links: object,
    mesh_clusters: object,
    hosts_of_run: Sequence[str],
    still_there: Sequence[str],
) -> dict[str, Any]:
    clusters = {host: name or host for host, name in zip(looks, names, strict=True)}
    every = {*clusters.values(), *declared_in(mesh_clusters)}
    awaited = frozenset[str]().union(*(look.get("awaited", ()) for look in looks.values()))
    # Whom the run is not about counts in any case; of the others, whoever would be cut off though it is entitled.
    taken_in = {
        clusters[host]
        for (host, look), reason in zip(looks.items(), reasons, strict=True)
        if host in hosts_of_run
        and (clusters[host] not in awaited or ((host in still_there or not is_seen(look)) and not reason))
    }
    left_out = [*sorted(every - taken_in), *_servers_left_out(external, mesh_links, awaited)]
    # What a proof has shown is of the state that the look before it has read.
    sights = [
        {**sight, "state": look.get("state", "")}
        for look, proof in zip(looks.values(), proofs, strict=False)
        for sight in proof.get("sights", ())
    ]
    return {
        "clusters": sorted(every),
        "elsewhere": sorted(every.difference(clusters.values())),
        "looked_at": sorted(clusters[host] for host, look in looks.items() if look),
        "left_out": left_out,
        "sights": sights,
        "unrecorded": [record for look in looks.values() for record in look.get("unrecorded", ())],
        "held": [look["held"] for look in looks.values() if "held" in look],
        "clock_ahead": int(agreed(look["clock_ahead"] for look in looks.values() if "clock_ahead" in look)),
    }


def _servers_left_out(looked: Mapping[str, Any], mesh_links: object, awaited: Collection[str]) -> list[str]:
    """External servers that may still have a certificate which is revoked: all of them where localhost did not look."""
    if "waiting" in looked:
        return [server for server in looked["waiting"] if server in awaited]
    external = link_rules.sound_links_with(mesh_links, "external")
    return [_names.external(server.link) for server in desired.external_servers(external)]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rotation_view": rotation_view}
