# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clusters and folders hold, in forms that can be compared with ==."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.integration.support import cluster_objects
from tests.integration.support.lab_mesh import Mesh

Json = dict[str, Any]

# Set by the API server for its own purposes.
HOUSEKEEPING = ("creationTimestamp", "resourceVersion", "uid", "generation")


def versions_in_cluster(mesh: Mesh, cluster: str) -> dict[str, str]:
    """The resourceVersion of everything that a run could touch, whoever made it: any write at all would change one."""
    return cluster_objects.resource_versions(mesh.lab, cluster)


def versions_everywhere(mesh: Mesh) -> dict[str, dict[str, str]]:
    """The same of all clusters."""
    return {cluster: versions_in_cluster(mesh, cluster) for cluster in mesh.hosts}


def services_and_namespaces(mesh: Mesh, cluster: str) -> dict[str, Json]:
    """Services and namespaces as their owners see them: metadata, managers and their fields, spec."""
    items = mesh.get(cluster, "services,namespaces", "-A", "--show-managed-fields")["items"]
    return {cluster_objects.object_title(item): _without_housekeeping(item) for item in items}


def workloads(mesh: Mesh, cluster: str) -> dict[str, tuple[str, int]]:
    """UID and generation of every Deployment and pod."""
    items = mesh.get(cluster, "deployments,pods", "-A")["items"]
    return {
        cluster_objects.object_title(item): (item["metadata"]["uid"], item["metadata"].get("generation", 0))
        for item in items
    }


def folder_contents(path: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of every file and folder below a path."""
    return {str(found.relative_to(path)): (found.stat().st_mode, _content(found)) for found in sorted(path.rglob("*"))}


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _without_housekeeping(item: Json) -> Json:
    metadata = {key: value for key, value in item["metadata"].items() if key not in HOUSEKEEPING}
    metadata["managedFields"] = sorted(
        (
            {key: entry.get(key) for key in ("manager", "operation", "fieldsV1")}
            for entry in metadata.get("managedFields", [])
        ),
        key=lambda entry: json.dumps(entry, sort_keys=True),
    )
    return {"metadata": metadata, "spec": item["spec"]}
