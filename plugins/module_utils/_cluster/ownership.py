# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in a cluster is ours: by labels, namespace and name together. Pure, but for the question that is handed in.

PRIVATE to the collection. Whoever may write an object may write our labels onto it. So what a run changes, deletes or
goes by also stands where runs write, under a name that they give.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._foreign import mappings

__all__ = ["SECRET", "Territory"]

SECRET = "Secret"
ROUTE = "VirtualService"

# An object as an API server gives it.
Item = dict[str, Any]


@dataclass(frozen=True)
class Territory:
    """Where runs write for one cluster of an instance.

    :param gateways: their namespaces, by side.
    :param backends: namespaces of links' backends, where a link may have a PeerAuthentication.
    :param client_credential: C(mesh_client_credential_prefix).
    :param recorded: tells, if asked, namespace and name of the Secrets that certificates on record were issued for: a
        gateway may have moved, and a Secret had another name, since.
    """

    instance: str
    cluster: str
    gateways: Mapping[names.Side, str]
    backends: frozenset[str]
    client_credential: str
    recorded: Callable[[], Collection[tuple[str, str]]] = tuple

    def claimed(self, item: Item) -> names.Side | None:
        """The side whose labels an object bears; None where it does not bear all of one."""
        labels = item["metadata"].get("labels") or {}
        named = labels.get(names.LABEL_SIDE)
        side = next((side for side in names.SIDES if side == named), None)
        return side if side and names.Owner(self.instance, self.cluster, side).labelled(labels) else None

    def has(self, item: Item) -> bool:
        """Whether an object is ours.

        A namespace that is no longer to be locked down is named nowhere any more: there labels and name have to do.
        """
        side, kind, metadata = self.claimed(item), item["kind"], item["metadata"]
        if side is None:
            return False
        namespace, name = metadata["namespace"], metadata["name"]
        if kind == SECRET:
            here = namespace == self.gateways[side] and names.gives_secret(side, name, self.client_credential)
            return here or (namespace, name) in self.recorded()
        if not names.gives_object(side, kind, name):
            return False
        if kind in names.WORKLOAD_KINDS:
            return kind in names.LOCKDOWN_KINDS or namespace in self.backends
        return namespace == self.gateways[side] or namespace in {place for place, _name in self.recorded()}

    def strays(self, items: Iterable[Item]) -> Iterator[Item]:
        """What bears all of our labels, and is not ours."""
        return (item for item in items if self.claimed(item) and not self.has(item))

    def with_routes(self, items: Iterable[Item]) -> Territory:
        """With the namespaces that routes of ours lead to: a link that has left the inventory had its backend there."""
        ours = (item for item in items if item["kind"] == ROUTE and self.has(item))
        return replace(self, backends=self.backends | {place for item in ours for place in _led_to(item)})


def _led_to(route: Item) -> Iterator[str]:
    """Namespaces of the Services that a VirtualService of ours leads to, C(SERVICE.NAMESPACE.svc.cluster.local)."""
    for spec in mappings([route.get("spec")]):
        for way in (*mappings(spec.get("tcp")), *mappings(spec.get("http"))):
            for target in mappings(way.get("route")):
                for destination in mappings([target.get("destination")]):
                    _service, _dot, rest = str(destination.get("host", "")).partition(".")
                    yield rest.partition(".")[0]
