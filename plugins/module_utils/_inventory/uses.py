# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the custom CA is to issue for a whole inventory: the names in its certificates. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.trial import Uses
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.desired import external_servers, present
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import Desired, GivenLink

__all__ = ["uses_of"]


def uses_of(links: Sequence[GivenLink], views: Iterable[Desired], trust_domain: str, validity: timedelta) -> Uses:
    """:param links: sound ones; what their servers are called is known without a look at clusters.
    :param views: of the clusters that this run sees.
    :param validity: of a certificate.
    """
    servers = [link["fqdn"] for link in present(links) if not link.get("external")]
    servers += [server.sni for server in external_servers(links)]
    clients = [name for view in views for secret in view["client"]["secrets"] for name in secret["sans"]]
    # Before the first link there is nothing but the names that every client has.
    clients = clients or [names.cluster_identity("example", trust_domain)]
    servers = servers or [names.link_identity("example", trust_domain)]
    found: dict[names.Side, tuple[str, ...]] = {
        "server": tuple(dict.fromkeys(servers)),
        "client": tuple(dict.fromkeys(clients)),
    }
    return Uses(found, validity)
