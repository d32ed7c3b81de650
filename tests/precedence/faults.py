# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to seed in the model: the comparison has to find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import (
    authorization,
    clusters,
    destination_rules,
    gateways,
    hosts,
    http_routes,
    listeners,
    peer_authentication,
    scopes,
    services,
    virtual_services,
    visibility,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Meta, Service

Fault = Callable[[], AbstractContextManager[Any]]


def _instead(module: object, name: str, value: object) -> Fault:
    return lambda: mock.patch.object(module, name, value)


def _anything(*_arguments: object, **_more: object) -> bool:
    return True


def _nothing(*_arguments: object, **_more: object) -> None:
    return None


def _shortest(candidates: Any, host: str) -> str | None:
    found = [candidate for candidate in candidates if hosts.covers(candidate, host)]
    return min(found, key=lambda candidate: (hosts.is_wildcard(candidate), len(candidate)), default=None)


@contextmanager
def _youngest_first() -> Iterator[None]:
    def age(meta: Meta) -> tuple[str, str, str]:
        return "".join(chr(255 - ord(sign)) for sign in meta.created), meta.name, meta.namespace

    with mock.patch.object(Meta, "age", property(age)):
        yield


@contextmanager
def _namespace_before_name() -> Iterator[None]:
    with mock.patch.object(Meta, "age", property(lambda meta: (meta.created, meta.namespace, meta.name))):
        yield


@contextmanager
def _entries_by_their_name() -> Iterator[None]:
    with mock.patch.object(Service, "order", property(lambda service: service.meta.age)):
        yield


FAULTS: Mapping[str, Fault] = {
    "the youngest comes first": _youngest_first,
    "of one second the namespace decides before the name": _namespace_before_name,
    "ServiceEntries are ordered by their names": _entries_by_their_name,
    "exportTo does not matter": _instead(visibility, "sees", _anything),
    "the shortest wildcard wins": _instead(hosts, "most_specific", _shortest),
    "DestinationRules are exported to all": _instead(destination_rules, "_is_exported", _anything),
    "DestinationRules are never merged": _instead(destination_rules, "_stands_alone", _anything),
    "DestinationRules with a selector are for all": _instead(destination_rules, "selects", _anything),
    "a port takes TLS over from the rule": _instead(
        clusters, "_at", lambda policy, port: (policy.tls if policy else None, False)
    ),
    "subsets have endpoints, whatever their labels": _instead(clusters, "_has_endpoints", _anything),
    "a workload takes the oldest host, wherever it is": _instead(
        services, "one_namespace_a_host", lambda found, _own: list(found)
    ),
    "Sidecars do not matter": _instead(scopes, "sidecar_of", _nothing),
    "what a Sidecar leaves out stays in": _instead(scopes._Hosts, "leaves_out", lambda *_any: False),
    "any VirtualService is let in at a gateway": _instead(virtual_services, "_lets_in", _anything),
    "any match holds": _instead(virtual_services, "matching", _anything),
    "any HTTP match holds": _instead(http_routes, "_fits", _anything),
    "any protocol goes beside MySQL": _instead(listeners, "_is_kept_apart", lambda *_any: False),
    "headless services are listened for at every address": _instead(
        listeners,
        "_addresses",
        lambda scope, listening, service, *_more: (listeners.address_for(service, dns_capture=False),),
    ),
    "no server of a Gateway is left out": _instead(gateways, "_hindered", _nothing),
    "policies with a selector are for all": _instead(authorization, "selects", _anything),
    "tcp has what HTTP has": _instead(authorization, "_is_http_only", lambda *_any: False),
    "PeerAuthentications of workloads do not count": _instead(peer_authentication, "_of_workload", _nothing),
}
