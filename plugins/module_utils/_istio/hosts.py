# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: short ones, wildcards, and which of several is meant. Pure.

PRIVATE to the collection. A short name stands for a Service in the namespace of the object that has it, not in that of
the Service (L(Istio,https://istio.io/latest/docs/reference/config/networking/virtual-service/#VirtualService), hosts).
The most specific host wins, where rules are looked up by host
(L(Istio,https://istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule), host). That an
exact host comes before wildcards, and a longer wildcard before a shorter one, says pilot/pkg/model/config.go of 1.31
(MostSpecificHostMatch).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

__all__ = ["covers", "is_wildcard", "most_specific", "overlap", "resolve"]

_SUFFIX = "svc.cluster.local"


def resolve(host: str, namespace: str) -> str:
    """A host as Istio reads it in an object of that namespace."""
    if not host or host == "*" or "." in host or _is_address(host):
        return host
    return f"{host}.{namespace}.{_SUFFIX}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def covers(wide: str, host: str) -> bool:
    """Whether every name that C(host) stands for is one of C(wide)."""
    if not is_wildcard(wide):
        return wide == host
    if is_wildcard(host):
        return len(host) >= len(wide) and host[1:].endswith(wide[1:])
    return host.endswith(wide[1:])


def overlap(one: str, other: str) -> bool:
    """Whether some name is meant by both."""
    return covers(one, other) or covers(other, one)


def most_specific(candidates: Iterable[str], host: str) -> str | None:
    """The host among these that Istio takes for C(host); nothing where none covers it."""
    found = [candidate for candidate in candidates if covers(candidate, host)]
    return min(found, key=lambda candidate: (is_wildcard(candidate), -len(candidate)), default=None)
