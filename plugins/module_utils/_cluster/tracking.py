# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GitOps tool applies an object, by the marks that each puts on what it applies. Pure.

PRIVATE to the collection. Argo CD marks by an annotation (Argo CD, Resource Tracking), which counts only on the object
that it names, or by a label that Helm and others set too; Flux by labels of its two controllers (Flux, Kustomization
and HelmRelease). Whoever may write an object may write such a mark: it makes a run leave the object alone, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import managed_fields

__all__ = ["tracker_of"]

_ARGO_ID = "argocd.argoproj.io/tracking-id"
_ARGO_LABEL = "app.kubernetes.io/instance"
_ARGO_MANAGERS = "argocd-"
_FLUX = {"kustomize.toolkit.fluxcd.io": "Flux, Kustomization", "helm.toolkit.fluxcd.io": "Flux, HelmRelease"}


def tracker_of(item: Mapping[str, Any]) -> str:
    """The tool, and by what name it knows the source; empty where none applies the object.

    :param item: an object as an API server gives it.
    """
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    application, _colon, named = annotations.get(_ARGO_ID, "").partition(":")
    if named and named == _as_argo_names(item):
        return f"Argo CD, Application {application}"
    managers = (entry["manager"] for entry in managed_fields.entries_of(metadata))
    if labels.get(_ARGO_LABEL) and any(manager.startswith(_ARGO_MANAGERS) for manager in managers):
        return f"Argo CD, Application {labels[_ARGO_LABEL]}"
    for group, title in _FLUX.items():
        if name := labels.get(f"{group}/name"):
            return f"{title} {labels.get(f'{group}/namespace', '')}/{name}"
    return ""


def _as_argo_names(item: Mapping[str, Any]) -> str:
    group, _slash, _version = item["apiVersion"].rpartition("/")
    return f"{group}/{item['kind']}:{item['metadata']['namespace']}/{item['metadata']['name']}"
