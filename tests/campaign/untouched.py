# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no rotation of ours may touch, in a form that can be compared with ==."""

from __future__ import annotations

import hashlib
import json

from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.state_snapshots import workloads


def untouched(mesh: Mesh) -> dict[str, object]:
    """Of every cluster: the mesh's own CA as istiod publishes and as it keeps it, and the UIDs of all pods."""
    found: dict[str, object] = {}
    for cluster in mesh.hosts:
        for kind, name in (("configmap", "istio-ca-root-cert"), ("secret", "istio-ca-secret")):
            data = json.dumps(mesh.get(cluster, kind, name, "-n", "istio-system")["data"], sort_keys=True)
            # A digest: the Secret holds the mesh CA's key.
            found[f"{cluster} {name}"] = hashlib.sha256(data.encode()).hexdigest()
        found[f"{cluster} pods"] = workloads(mesh, cluster)
    return found
