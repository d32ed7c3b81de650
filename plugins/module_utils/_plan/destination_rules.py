# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules of others whose host covers the egress gateway's, and what each of them does to the links. Pure.

PRIVATE to the collection. A proxy looks for the rules of a host in its own namespace first, then in the Service's, then
in Istio's own; where it finds any, it takes the most specific host and looks no further
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration)).
Rules of one host and namespace are merged while their exportTo is the same; else the last one made holds alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ansible_collections.crossmesh.mtls.plugins.module_utils import _names as names
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import ForeignRule
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import (
    ClientLink,
    ClientSide,
    DesiredSide,
    is_client,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["warnings"]

EVERYBODY = "*"
OWN_NAMESPACE = "."


def warnings(reading: Reading, side: DesiredSide) -> list[Message]:
    if not is_client(side):
        return []
    return [warning for rule in reading["destination_rules"] for warning in _of(rule, side)]


def _of(rule: ForeignRule, side: ClientSide) -> Iterator[Message]:
    title = f"DestinationRule {rule['namespace']}/{rule['name']} (host {rule['host']})"
    if rule["namespace"] == side["namespace"]:
        harm, fix = _beside_ours(rule, side)
    else:
        harm, fix = _before_ours(rule, side["links"])
    if harm:
        yield Message.warning("destination-rule", where=title, what=harm, fix=fix)


def _beside_ours(rule: ForeignRule, side: ClientSide) -> tuple[str, str]:
    """A rule in the gateway's own namespace: one of a wider host does nothing there, as ours is more specific."""
    # One that selects workloads is for those of its own namespace.
    if rule["selective"] or rule["host"].startswith("*"):
        return "", ""
    if rule["exports"]:
        seen = set(rule["exports"]) - {OWN_NAMESPACE, side["namespace"]}
        lost = [link["name"] for link in side["links"] if _is_used_in(link, seen)]
        harm = (
            f"it has an exportTo and ours have none, so Istio does not merge them; if it is the newest, workloads "
            f"that it is exported to cannot reach {', '.join(lost)}"
        )
        return (harm, "remove its exportTo") if lost else ("", "")
    if rule["policy"] and side["links"]:
        return "its trafficPolicy also applies to the first hop of every link", "move it into the subsets of that rule"
    if taken := sorted({link["name"] for link in side["links"]} & set(rule["subsets"])):
        return f"it has a subset {', '.join(taken)}, as ours do; Istio uses the first of the two", "rename the subset"
    return "", ""


def _is_used_in(link: ClientLink, namespaces: Collection[str]) -> bool:
    """Whether workloads of one of these namespaces may use a link."""
    everywhere = EVERYBODY in namespaces or not link["client_namespaces"]
    return bool(namespaces) and (everywhere or not set(link["client_namespaces"]).isdisjoint(namespaces))


def _before_ours(rule: ForeignRule, links: Sequence[ClientLink]) -> tuple[str, str]:
    """A rule in a namespace of workloads: their proxies look no further, even where it selects others of them."""
    namespace = rule["namespace"]
    used = [link["name"] for link in links if _is_used_in(link, [namespace])]
    # Istio's own namespace comes last, and its proxies look into the Service's first.
    if namespace == names.ROOT_NAMESPACE or not _is_local(rule) or not used:
        return "", ""
    broken = [name for name in used if name not in rule["subsets"]]
    harm = f"they cannot reach {', '.join(broken)}" if broken else f"{', '.join(used)} use its subsets"
    fix = "give it a host that does not cover the egress gateway, or delete it"
    return f"workloads of namespace {namespace} use it instead of ours: {harm}", fix


def _is_local(rule: ForeignRule) -> bool:
    """Whether proxies of the rule's own namespace see it."""
    if rule["selective"] or not rule["exports"]:
        return True
    return not {EVERYBODY, OWN_NAMESPACE, rule["namespace"]}.isdisjoint(rule["exports"])
