# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules of others whose host covers the egress gateway's, and what each of them does to the links. Pure.

PRIVATE to the collection. A proxy looks for the rules of a host in its own namespace first, then in the Service's, and
takes the most specific host; rules of one host are merged only while they are exported to the same namespaces
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils import names

__all__ = ["covers", "warnings"]

Json = Mapping[str, Any]
EVERYBODY = "*"
OWN_NAMESPACE = "."


def covers(host: str, namespace: str, wanted: str) -> bool:
    """Whether a rule's host, as it stands in this namespace, means this full name of a Service."""
    if host.startswith("*"):
        return wanted.endswith(host[1:])
    return wanted == (host if "." in host else names.service_host(host, namespace))


def warnings(reading: Json, side: Json) -> list[str]:
    if side["owner"]["side"] != "client":
        return []
    return [warning for rule in reading["destination_rules"] for warning in _of(rule, side)]


def _of(rule: Json, side: Json) -> Iterator[str]:
    title = f"DestinationRule {rule['namespace']}/{rule['name']} (host {rule['host']})"
    if rule["namespace"] == side["namespace"]:
        harm, cure = _beside_ours(rule, side["links"])
    else:
        harm, cure = _before_ours(rule, side["links"])
    if harm:
        yield f"{title}: {harm}. Cure: {cure}"


def _beside_ours(rule: Json, links: Sequence[Json]) -> tuple[str, str]:
    """A rule in the gateway's own namespace: one of a wider host does nothing there, as ours is more specific."""
    if not links or rule["selective"] or rule["host"].startswith("*"):
        return "", ""
    if set(rule["exports"]) - {EVERYBODY}:
        exports = ", ".join(rule["exports"])
        return (
            f"it is exported to {exports} and ours to everybody, so Istio does not merge them and takes one alone; "
            f"links may be without their subset",
            "remove exportTo, or move its settings to another host",
        )
    if rule["policy"]:
        return (
            "its trafficPolicy holds for the first hop of every link as well",
            "give its settings to subsets or ports of its own",
        )
    if taken := sorted({link["name"] for link in links} & set(rule["subsets"])):
        return f"it has a subset {', '.join(taken)}, as we do; Istio takes one of the two", "rename the subset"
    return "", ""


def _before_ours(rule: Json, links: Sequence[Json]) -> tuple[str, str]:
    """A rule in a namespace of workloads, which their proxies take in place of ours, whole."""
    namespace = rule["namespace"]
    # Its proxies look into the Service's namespace first.
    if namespace == names.ROOT_NAMESPACE or not _is_local(rule):
        return "", ""
    used = [link["name"] for link in links if namespace in (link["client_namespaces"] or [namespace])]
    broken = [name for name in used if name not in rule["subsets"]]
    if not used:
        return "", ""
    who = f"{'some of the' if rule['selective'] else 'all'} workloads of namespace {namespace} take it in place of ours"
    harm = f"they have no way to {', '.join(broken)}" if broken else f"{', '.join(used)} go by its subsets"
    return f"{who}: {harm}", "give it a host that does not cover the egress gateway, or delete it"


def _is_local(rule: Json) -> bool:
    """Whether proxies of the rule's own namespace see it."""
    return not rule["exports"] or not {EVERYBODY, OWN_NAMESPACE, rule["namespace"]}.isdisjoint(rule["exports"])
