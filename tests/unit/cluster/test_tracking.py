# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that a GitOps tool applies are known by its marks, and no others are taken for such."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.tracking import tracker_of
from tests.unit.support import Json


def gateway(**metadata: Any) -> Json:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "gateway-mysql", "namespace": "istio-system", **metadata},
    }


def tracking_id(value: str) -> Json:
    return {"annotations": {"argocd.argoproj.io/tracking-id": value}}


NAMED = "mesh:networking.istio.io/Gateway:istio-system/gateway-mysql"
BY_ARGO = [{"manager": "argocd-controller"}]


@pytest.mark.parametrize(
    ("metadata", "tracker"),
    [
        (tracking_id(NAMED), "Argo CD, Application mesh"),
        (
            {"labels": {"app.kubernetes.io/instance": "mesh"}, "managedFields": BY_ARGO},
            "Argo CD, Application mesh",
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "mesh", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
            "Flux, Kustomization flux/mesh",
        ),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "mesh", "helm.toolkit.fluxcd.io/namespace": "flux"}},
            "Flux, HelmRelease flux/mesh",
        ),
    ],
)
def test_a_tool_is_known_by_its_mark(metadata: Json, tracker: str) -> None:
    assert tracker_of(gateway(**metadata)) == tracker


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": None, "annotations": None, "managedFields": None},
        # Copied from another object: Argo CD takes no notice of it.
        tracking_id(NAMED.replace("mysql", "other")),
        tracking_id("mesh"),
        # Helm sets it too.
        {"labels": {"app.kubernetes.io/instance": "mesh"}, "managedFields": [{"manager": "helm"}]},
        {"managedFields": BY_ARGO},
        {"labels": {"app.kubernetes.io/managed-by": "crossmesh"}},
    ],
)
def test_other_marks_are_no_tools(metadata: Json) -> None:
    assert tracker_of(gateway(**metadata)) == ""
