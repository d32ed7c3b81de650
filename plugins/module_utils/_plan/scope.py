# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is limited to some links (C(mesh_only_links)): what links share is left as the others have it. Pure.

PRIVATE to the collection. Objects and Secrets of one link are told apart by their label. The ports of a gateway's
Service and a client's one certificate serve many links, so they are narrowed here before anything is compared.

What stands in a cluster may only narrow what the inventory gives: no name is signed, and no port opened, because it
was found there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveObject
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    ClientSide,
    ServerSide,
    WantedSecret,
    gateway_port,
)

__all__ = ["narrowed"]

Side = TypeVar("Side", ServerSide, ClientSide)


def narrowed(
    side: Side,
    objects: Sequence[LiveObject],
    live_sans: Sequence[str],
    held_ports: Collection[int],
    owner: names.Owner,
    only: Collection[str],
) -> Side:
    """The side as this run is to leave it: its own links as they are wanted, all others as they are now.

    :param live_sans: of the client's certificate that is there, if one of the trusted roots has issued it.
    :param held_ports: of the gateway's Service, that this side has opened.
    :param only: names of the links to work on; empty means all.
    """
    if not only:
        return side
    ports = {gateway_port(link) for link in side["links"] if link["name"] in only}
    # The shared Secret is left to others until a link of this run needs it.
    used = {link["credential"] for link in side["links"] if link["name"] in only}
    return {
        **side,
        "ports": sorted(ports | (set(_ports_of_others(objects, owner, only)) & {*side["ports"], *held_ports})),
        "secrets": [
            _shared(item, live_sans, only) if item["link"] == names.CLIENT_LINK else item
            for item in side["secrets"]
            if item["link"] != names.CLIENT_LINK or live_sans or item["name"] in used
        ],
    }


def _ports_of_others(objects: Sequence[LiveObject], owner: names.Owner, only: Collection[str]) -> Iterable[int]:
    """Ports on which Gateways of our other links listen now."""
    for item in objects:
        labels = item["metadata"]["labels"]
        if item["kind"] != "Gateway" or not owner.labelled(labels):
            continue
        if labels.get(names.LABEL_LINK) not in only:
            numbers = (server.get("port", {}).get("number") for server in item["spec"].get("servers", []))
            yield from (number for number in numbers if isinstance(number, int))


def _shared(wanted: WantedSecret, live: Sequence[str], only: Collection[str]) -> WantedSecret:
    """The cluster's own name; links of this run as wanted; of the other links' names those that are there already.

    What the inventory does not give is signed for nobody. It stays until the certificate is issued anew: a link that
    has left the inventory is not this run's to take away.
    """
    cluster, *links = wanted["sans"]
    sans = [san for san in links if names.link_of(san) in only or san in live]
    others = {san for san in live if san not in wanted["sans"] and names.link_of(san) not in only}
    return {**wanted, "sans": [cluster, *sans], "left_sans": sorted(others)}
