# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in a cluster, for the length of a block, and the moment from which proxies know of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

Json = dict[str, Any]
SYSTEM = "istio-system"
_NETWORKING = "networking.istio.io/v1"
_SECURITY = "security.istio.io/v1"
_APIS = {
    "AuthorizationPolicy": _SECURITY,
    "PeerAuthentication": _SECURITY,
    "RequestAuthentication": _SECURITY,
    "WasmPlugin": "extensions.istio.io/v1alpha1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "Service": "v1",
}
_PLURALS = {
    "DestinationRule": "destinationrules.networking.istio.io",
    "Gateway": "gateways.networking.istio.io",
    "ServiceEntry": "serviceentries.networking.istio.io",
    "VirtualService": "virtualservices.networking.istio.io",
}


def foreign(kind: str, name: str, spec: Mapping[str, Any], *, namespace: str = SYSTEM) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": _APIS.get(kind, _NETWORKING), "kind": kind, "metadata": metadata, "spec": dict(spec)}


@contextmanager
def rival(
    mesh: Mesh,
    cluster: str,
    kind: str,
    spec: Mapping[str, Any],
    *,
    namespace: str = SYSTEM,
    before: tuple[str, str] | None = None,
) -> Iterator[None]:
    """An object of somebody else.

    :param before: kind and name of an object of ours, which is made anew, so that theirs is the older one.
    """
    manifest = json.dumps(foreign(kind, "rival", spec, namespace=namespace))
    try:
        with made_anew(mesh, cluster, *before) if before else nullcontext():
            theirs = json.loads(mesh.lab.kubectl(cluster, "apply", "-f", "-", "-o", "json", stdin=manifest).stdout)
            created = datetime.fromisoformat(theirs["metadata"]["creationTimestamp"])
            # Istio compares whole seconds.
            assert eventually(lambda: datetime.now(UTC) > created + timedelta(seconds=1))
        yield
    finally:
        mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=manifest)


@contextmanager
def made_anew(mesh: Mesh, cluster: str, kind: str, name: str) -> Iterator[None]:
    """An object of ours is away for the length of the block, and then there again, younger."""
    place = (_PLURALS[kind], name, "-n", SYSTEM)
    ours = mesh.get(cluster, *place, "--show-managed-fields")
    mesh.lab.kubectl(cluster, "delete", *place)
    try:
        yield
    finally:
        manager = next(entry["manager"] for entry in ours["metadata"]["managedFields"])
        metadata = {key: ours["metadata"][key] for key in ("name", "namespace", "labels")}
        again = {"apiVersion": ours["apiVersion"], "kind": kind, "metadata": metadata, "spec": ours["spec"]}
        arguments = ("apply", "--server-side", f"--field-manager={manager}", "-f", "-")
        mesh.lab.kubectl(cluster, *arguments, stdin=json.dumps(again))


@contextmanager
def objects_of_others(mesh: Mesh, cluster: str, items: Sequence[Json], *, told: str = "") -> Iterator[None]:
    """Several objects, of whatever age.

    :param told: a pod whose proxy knows of them when the block begins, and has forgotten them when it has ended.
    """
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})
    mesh.lab.kubectl(cluster, "apply", "--server-side", "-f", "-", stdin=text)
    try:
        if told:
            await_push(mesh, cluster, told)
        yield
    finally:
        mesh.lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=text)
        if told:
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
