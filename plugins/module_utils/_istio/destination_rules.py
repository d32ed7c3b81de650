# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules: which of them a proxy goes by for a host, and what becomes of several for one host. Pure.

PRIVATE to the collection. A proxy looks into its own namespace, then into the Service's, then into Istio's root
namespace; in each it takes the most specific host, and looks no further once it has found one
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration)). A proxy of
the root namespace takes only what is private there before it looks into the Service's namespace.
Rules of one host and namespace are one: the subsets of all, and the trafficPolicy of the oldest that has one
(L(Istio,https://istio.io/latest/docs/ops/best-practices/traffic-management/#split-virtual-services)); but only where
their exportTo is equal, or the younger one's wider. A rule with a workloadSelector is for proxies of its own namespace
(L(Istio,https://istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule), workloadSelector).
What the documents leave open is as in pilot/pkg/model/destination_rule.go and push_context.go of 1.31.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import hosts
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh, selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    EVERYBODY,
    OWN_NAMESPACE,
    DestinationRule,
    Labels,
    Meta,
    Policy,
    Proxy,
    Service,
    Subset,
)

__all__ = ["Merged", "effective", "rivals"]


@dataclass
class Merged:
    """Rules of one host that Istio takes as one.

    :param subsets: by name, the first of each.
    :param sources: whose they are, the first of them first.
    """

    host: str
    exports: frozenset[str]
    selector: Labels | None
    namespace: str
    policy: Policy | None = None
    subsets: dict[str, Subset] = field(default_factory=dict)
    sources: list[Meta] = field(default_factory=list)

    def take_in(self, rule: DestinationRule) -> None:
        for subset in rule.subsets:
            self.subsets.setdefault(subset.name, subset)
        if self.policy is None:
            self.policy = rule.policy
        self.sources.append(rule.meta)


def effective(mesh: Mesh, proxy: Proxy, service: Service) -> Merged | None:
    """What a proxy goes by for a service; nothing where there is no rule for it."""
    chosen = None
    for rule in _looked_up(mesh, proxy.namespace, service):
        if rule.selector is None:
            chosen = rule
        elif rule.namespace == proxy.namespace and selects(rule.selector, proxy.labels):
            return rule
    return chosen


def rivals(mesh: Mesh, proxy: Proxy, service: Service) -> list[Meta]:
    """Rules of the place where the proxy found one, whether they are for it or not."""
    return [source for rule in _looked_up(mesh, proxy.namespace, service) for source in rule.sources]


def _looked_up(mesh: Mesh, namespace: str, service: Service) -> list[Merged]:
    root = mesh.settings.root
    own = _covering(mesh, namespace, service.host)
    if namespace == root:
        own = [rule for rule in own if _is_private(rule, mesh)]
    else:
        own = [rule for rule in own if _is_for_own_namespace(rule)]
    if found := list(_most_specific(own, service.host)):
        return found
    for owner in (service.meta.namespace, root):
        exported = [rule for rule in _covering(mesh, owner, service.host) if not _is_private(rule, mesh)]
        found = [rule for rule in _most_specific(exported, service.host) if _is_exported(rule.exports, namespace)]
        if found:
            return found
    return []


def _covering(mesh: Mesh, namespace: str, host: str) -> list[DestinationRule]:
    return [rule for rule in mesh.rules_of.get(namespace, ()) if hosts.covers(rule.host, host)]


def _exports(rule: DestinationRule) -> frozenset[str]:
    return rule.exports if rule.selector is None else frozenset({OWN_NAMESPACE})


def _is_for_own_namespace(rule: DestinationRule) -> bool:
    exports = _exports(rule)
    return not exports or not exports.isdisjoint({EVERYBODY, OWN_NAMESPACE, rule.meta.namespace})


def _is_private(rule: DestinationRule, mesh: Mesh) -> bool:
    """Whether it is for its own namespace alone."""
    exports = _exports(rule)
    if not exports:
        return OWN_NAMESPACE in mesh.settings.destination_rules
    return len(exports) == 1 and exports <= {OWN_NAMESPACE, rule.meta.namespace}


def _is_exported(exports: frozenset[str], namespace: str) -> bool:
    return not exports or EVERYBODY in exports or namespace in exports


def _most_specific(rules: Iterable[DestinationRule], host: str) -> Iterator[Merged]:
    rules = list(rules)
    best = hosts.most_specific({rule.host for rule in rules}, host)
    return iter(_merge(rule for rule in rules if rule.host == best))


def _merge(rules: Iterable[DestinationRule]) -> list[Merged]:
    """Rules of one host and namespace, in Istio's order."""
    found: list[Merged] = []
    for rule in rules:
        if _stands_alone(rule, found):
            merged = Merged(rule.host, _exports(rule), rule.selector, rule.meta.namespace)
            merged.take_in(rule)
            found.append(merged)
    return found


def _stands_alone(rule: DestinationRule, found: Iterable[Merged]) -> bool:
    """Let the rules before take this one in; whether it counts by itself as well."""
    alone = True
    for before in found:
        exports = _exports(rule)
        alone = exports != before.exports
        if alone and not (before.exports and exports >= before.exports):
            continue
        if before.selector is not None and rule.selector is not None and before.selector != rule.selector:
            alone = True
            continue
        # One without a selector is taken in by one with a selector, too, where their exportTo says the same.
        if (before.selector is None) == (rule.selector is None):
            alone = False
        before.take_in(rule)
    return alone
