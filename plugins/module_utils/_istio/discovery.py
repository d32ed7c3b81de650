# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which namespaces Istio looks into at all. Pure.

PRIVATE to the collection. With C(discoverySelectors) it sees objects, Services and pods of those namespaces only that
one of them selects (L(Istio,https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig)); the root
namespace's settings come from the ConfigMap, so it counts only where it is selected, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import selects
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import (
    Expression,
    Labels,
    NamespaceSelector,
    Settings,
)

__all__ = ["undiscovered"]


def undiscovered(settings: Settings, namespaces: Mapping[str, Labels]) -> frozenset[str]:
    """The namespaces that Istio does not look into.

    :param namespaces: labels of each.
    """
    if not settings.discovery:
        return frozenset()
    return frozenset(
        name
        for name, labels in namespaces.items()
        if not any(_selects(selector, labels) for selector in settings.discovery)
    )


def _selects(selector: NamespaceSelector, labels: Labels) -> bool:
    return selects(selector.labels, labels) and all(_holds(item, labels) for item in selector.expressions)


def _holds(expression: Expression, labels: Labels) -> bool:
    """As L(Kubernetes,https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors)."""
    value = labels.get(expression.key)
    if expression.operator == "In":
        return value in expression.values
    if expression.operator == "NotIn":
        return value not in expression.values
    return (value is not None) == (expression.operator == "Exists")
