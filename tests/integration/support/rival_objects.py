"""What others have in a cluster, and stands in a link's way; for the length of a block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.support.lab_mesh import Mesh
from tests.lab.wait import eventually

SYSTEM = "istio-system"
_APIS = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "Service": "v1",
}
_PLURALS = {
    "DestinationRule": "destinationrules.networking.istio.io",
    "Gateway": "gateways.networking.istio.io",
    "ServiceEntry": "serviceentries.networking.istio.io",
    "VirtualService": "virtualservices.networking.istio.io",
}


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
    api = _APIS.get(kind, "networking.istio.io/v1")
    manifest = json.dumps(
        {"apiVersion": api, "kind": kind, "metadata": {"name": "rival", "namespace": namespace}, "spec": spec}
    )
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
