# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What credentials that are about to be written are to the audit journal. Pure.

PRIVATE to the collection. Certificates are told of by their records; this is about what gateways and external servers
are to trust, and about files that leave the mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.journal import Event, Value
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import external
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import trust_of

if TYPE_CHECKING:
    from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.secrets import Credential, Work

__all__ = ["written"]


def written(credentials: Iterable[Credential], work: Work) -> Iterator[Event]:
    """A bundle whose roots change, and every directory of an external server that gets new files."""
    exports = work.owner.cluster.startswith(external(""))
    for item in credentials:
        before = [view.fingerprint for view in trust_of(item.secret)] if item.secret else []
        after = [view.fingerprint for view in item.trust]
        added, removed = (
            [root for root in one if root not in other] for one, other in ((after, before), (before, after))
        )
        if item.decision.action == "keep" or not (exports or added or removed):
            continue
        fields: dict[str, Value] = {
            "instance": work.owner.instance,
            "cluster": work.owner.cluster,
            "side": work.owner.side,
            "links": [item.wanted["link"]] if item.wanted["link"] else [],
            "place": f"{work.namespace}/{item.wanted['name']}",
            "added": added,
            "removed": removed,
        }
        if exports and item.after:
            fields |= {"serial": item.after.serial, "fingerprint": item.after.fingerprint}
        yield Event("exported" if exports else "bundle", fields)
