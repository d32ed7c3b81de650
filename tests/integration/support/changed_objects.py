# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of others that somebody changes, for the length of a block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.integration.support.lab_mesh import Mesh

Json = dict[str, Any]


@contextmanager
def patched(
    mesh: Mesh, cluster: str, kind: str, name: str, patch: Json, *, namespace: str = "default", status: bool = False
) -> Iterator[None]:
    """Merged into the object; what it has changed is as it was, afterwards."""
    place = [kind, name, "-n", namespace]
    before = mesh.get(cluster, *place)
    part = ["--subresource=status"] if status else []

    def merge(change: Json) -> None:
        mesh.lab.kubectl(cluster, "patch", *place, *part, "--type=merge", "-p", json.dumps(change))

    merge(patch)
    try:
        yield
    finally:
        merge(_as_before(patch, before))


def _as_before(patch: Json, before: Json) -> Json:
    """The patch that undoes one."""
    return {
        key: _as_before(value, before.get(key) or {}) if isinstance(value, dict) else before.get(key)
        for key, value in patch.items()
    }


@contextmanager
def unready(mesh: Mesh, cluster: str, pod: str, namespace: str) -> Iterator[None]:
    """Its readiness probe fails."""
    with patched(
        mesh,
        cluster,
        "pod",
        pod,
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        namespace=namespace,
        status=True,
    ):
        yield


@contextmanager
def mesh_settings(mesh: Mesh, cluster: str, **changed: Any) -> Iterator[None]:
    """Its mesh with other settings than it was installed with."""
    settings = yaml.safe_load(mesh.get(cluster, "configmap", "istio", "-n", "istio-system")["data"]["mesh"])
    data = {"mesh": yaml.safe_dump({**settings, **changed})}
    with patched(mesh, cluster, "configmap", "istio", {"data": data}, namespace="istio-system"):
        yield
