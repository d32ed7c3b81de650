"""Objects of others in a cluster, for the length of a block, and the moment from which proxies know of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

Json = dict[str, Any]
NETWORKING = "networking.istio.io/v1"


def foreign(kind: str, name: str, spec: Json, *, namespace: str = "istio-system", api: str = NETWORKING) -> Json:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@contextmanager
def objects_of_others(mesh: Mesh, cluster: str, items: Sequence[Json], *, told: str) -> Iterator[None]:
    """In the cluster, and in force there when the block begins; gone, and forgotten, when it has ended.

    :param told: a pod whose proxy is to know of them.
    """
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})
    mesh.lab.kubectl(cluster, "apply", "--server-side", "-f", "-", stdin=text)
    try:
        await_push(mesh, cluster, told)
        yield
    finally:
        mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=text)
        await_push(mesh, cluster, told)


def await_push(mesh: Mesh, cluster: str, pod: str) -> None:
    """Wait until a proxy knows all that was written up to now: istiod tells everything in one push, or in order."""
    host = f"{secrets.token_hex(6)}.marker.example.com"
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": [host], "location": "MESH_EXTERNAL", "resolution": "NONE", "ports": ports}
    # Only proxies of the gateways' namespace are asked.
    marker = json.dumps(foreign("ServiceEntry", "marker", spec))
    mesh.lab.kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=marker)
    try:
        eventually(lambda: host in mesh.lab.envoy(cluster, pod, "config_dump?resource=dynamic_active_clusters"))
    finally:
        mesh.lab.kubectl(cluster, "delete", "-f", "-", stdin=marker)
