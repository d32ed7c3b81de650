# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a gateway knows where its new routes lead, before they take the place of those that carry.

PRIVATE to the collection. Envoy takes a route at once, and a cluster only when its names are resolved and its Secrets
are there (Envoy, Cluster manager, Cluster warming): a route that comes first refuses connections until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import envoy
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, RefusedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import EXEC_TIMEOUT, Gateway, gateway_pods
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.waiting import Waiting
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

__all__ = ["await_clusters"]

# Seconds between two looks.
INTERVAL = 0.2


def await_clusters(
    api: Api,
    gateway: Gateway,
    wanted: Collection[str],
    timeout: float,
    *,
    wait: float = 0.0,
    say: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Look until every ready pod of the gateway has Envoy's clusters of these names.

    :param timeout: seconds.
    :param wait: seconds to let pass where a pod may not be asked.
    :param say: told every few seconds what is waited for.
    :raises CrossmeshError: when one lacks some of them still.
    """
    waiting = Waiting(timeout, say, clock, pause)
    title = f"{api.where}: gateway {gateway.namespace}/{gateway.service}"
    while True:
        lacking, unseen = _lacking(api, gateway, wanted)
        if not lacking:
            if unseen:
                pause(wait)
            return
        if waiting.over:
            raise CrossmeshError(_not_known(gateway, lacking, timeout))
        waiting.pause(INTERVAL, f"{title}: {_places(lacking)}")


def _lacking(api: Api, gateway: Gateway, wanted: Collection[str]) -> tuple[dict[str, str], bool]:
    """Which pod lacks what, and whether one may not be asked."""
    lacking: dict[str, str] = {}
    unseen = False
    for pod in gateway_pods(api, gateway, ask=False):
        if not pod["ready"]:
            continue
        try:
            known = envoy.addresses(api.proxy_request(pod["namespace"], pod["name"], envoy.CLUSTERS, EXEC_TIMEOUT))
        except RefusedError as error:
            unseen = unseen or error.forbidden
            if not error.forbidden:
                lacking[pod["name"]] = error.message.what
            continue
        if missing := set(wanted) - set(known):
            lacking[pod["name"]] = f"has no {listed(missing)}"
    return lacking, unseen


def _places(lacking: Mapping[str, str]) -> str:
    return "; ".join(f"pod {pod}: {reason}" for pod, reason in sorted(lacking.items()))


def _not_known(gateway: Gateway, lacking: Mapping[str, str], timeout: float) -> Message:
    return Message.error(
        "no-way-out",
        where=f"gateway {gateway.namespace}/{gateway.service}",
        what=f"the gateway does not take the cluster that a new route leads to: {_places(lacking)}; after "
        f"{timeout:.0f} s. The routes were left as they are",
        fix="check that pod's istio-proxy log, istiod, and DestinationRules of others for that host, then run again; "
        "mesh_gate_timeout sets how long to wait",
    )
