# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a gateway's pods do what the links mean: each link by itself, so that a sound one hides no other. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Pod, Service
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ClientLink, DesiredLink
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.egress import egress_faults, server_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.ingress import ingress_faults
from ansible_collections.crossmesh.mtls.plugins.module_utils._proxy.scene import Scene, few, secret_name

__all__ = ["failed_connections", "faults_of", "fresh_pod", "watch_of"]


def watch_of(links: Iterable[DesiredLink]) -> Watch:
    """What a pod has to be asked for, to judge these links in it."""
    return Watch(
        frozenset(
            (link["tls_port"], link["fqdn"])
            if "egress_port" in link
            else (link["backend"]["port"], link["backend"]["host"])
            for link in links
        )
    )


def faults_of(pod: Pod, links: Iterable[DesiredLink], service: Service | None) -> list[Fault]:
    """Of each link, the first thing that is not as it means; nothing of a pod that did not answer."""
    proxy = pod["proxy"]
    if proxy is None:
        return []
    found = []
    for link in links:
        if "egress_port" in link:
            faults = egress_faults(Scene(proxy, pod, service, link, 1), link)
        else:
            faults = ingress_faults(Scene(proxy, pod, service, link, 2), link)
        found += [fault for fault in [next(faults, None)] if fault]
    return found


def failed_connections(pod: Pod, links: Iterable[ClientLink]) -> list[Message]:
    """What real connections tell: those of which none came about since the pod knows the servers.

    No more than a warning: it may have been so before the other end was ready, and nobody has tried since.
    """
    proxy, messages = pod["proxy"], list[Message]()
    if proxy is None:
        return messages
    for link in links:
        ways = [proxy.upstreams[name] for name in server_clusters(link) if name in proxy.upstreams]
        endpoints = [endpoint for way in ways for endpoint in way.endpoints]
        tried, failed = sum(item.tried for item in endpoints), sum(item.failed for item in endpoints)
        if tried and failed == tried:
            messages.append(
                Message.warning(
                    "no-connection-yet",
                    where=f"link {link['name']}, hop 2, pod {pod['namespace']}/{pod['name']}",
                    what=f"none of {tried} connections that the egress gateway tried has come about",
                    fix="see in its log why (UPSTREAM_TRANSPORT_FAILURE_REASON): a server that is down, a firewall, or "
                    "certificates that the other side does not take",
                )
            )
    return messages


def fresh_pod(pod: Pod, faults: Sequence[Fault]) -> list[Message]:
    """What a pod of this gateway would lack that was started now, though this one does its work.

    :param faults: of the links, which tell the same of theirs.
    """
    proxy = pod["proxy"]
    if proxy is None:
        return []
    told = [fault.found for fault in faults if fault.code == "listener-refused"]
    where = f"pod {pod['namespace']}/{pod['name']}"
    messages = [
        Message.warning(
            "fresh-pod-listener",
            where=where,
            what=f"Envoy refused the last change of listener {item.name}, so a pod that is started now would lack it: "
            f"{item.refused}",
            fix="correct what made it so, such as an EnvoyFilter for this gateway or a port that is taken",
        )
        for item in proxy.listeners
        if item.refused and not any(item.refused in found for found in told)
    ]
    if proxy.secrets.waiting:
        waiting = few(map(secret_name, proxy.secrets.waiting))
        messages.append(
            Message.warning(
                "fresh-pod-secret",
                where=where,
                what=f"the gateway waits for Secrets that istiod does not give it: {waiting}; a "
                "pod that is started now is slow to become ready, or lacks listeners",
                fix="correct these Secrets, or the Gateways and DestinationRules that name them",
            )
        )
    return messages
