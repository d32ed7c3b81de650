# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets, batch by batch, through one istiod."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.mesh import Mesh
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.parsing import parse_mesh
from tests.lab import LabError

from .compare import Difference, compare
from .control_plane import PLURALS, ControlPlane, Object, services_of, wait_for
from .dump import Dump
from .generate import LABEL, WAVES, Generator, Places, Set
from .xds import Connection, Node

_KINDS = [kind for kind in PLURALS if kind != "Namespace"]
_MARKER = "precedence-marker"


@dataclass(frozen=True)
class Look:
    """One set as it was in a cluster, and what istiod gave its proxies."""

    made: Set
    mesh: Mesh
    dumps: Mapping[str, Dump]

    def compare(self) -> tuple[int, list[Difference]]:
        """How many facts were compared, and those that differ."""
        # What an object remembers of its order would outlive a fault that is seeded.
        return compare(self.made, replace(self.mesh), dict(self.dumps))


class Runner:
    """:param size: sets at a time."""

    def __init__(self, plane: ControlPlane, generator: Generator, size: int) -> None:
        self._plane, self._generator, self._size = plane, generator, size

    def prepare(self) -> None:
        """Namespaces for a batch, and nothing of a run before."""
        for slot in range(self._size):
            for namespace in Places.of_slot(slot).own:
                self._namespace(namespace)
        self._clear()

    def _namespace(self, name: str) -> None:
        labels = {LABEL: "yes"}
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

        def there() -> bool:
            if self._plane.is_active(name):
                return True
            # One of a run before may be about to go.
            self._plane.create(wanted, taken_ok=True)
            return self._plane.is_active(name)

        wait_for(f"namespace {name}", there)

    def _clear(self) -> None:
        for kind in _KINDS:
            for item in self._plane.everything(kind, f"{LABEL}=yes"):
                self._plane.delete(item)

    def finish(self) -> None:
        """Leave the cluster as it was; a namespace goes in its own time."""
        self._clear()
        for item in self._plane.everything("Namespace", f"{LABEL}=yes"):
            self._plane.delete(item)
        wait_for("namespaces without ours", lambda: not self._plane.everything("Namespace", f"{LABEL}=yes"))

    def batch(self, numbers: Sequence[int], batch: int) -> Iterator[Look]:
        sets = [self._generator.make(number, slot) for slot, number in enumerate(numbers)]
        common = self._generator.for_root(batch)
        created = self._create(sets, common)
        try:
            self._settle(created, batch)
            objects = [item for kind in _KINDS for item in self._plane.everything(kind, "")]
            for made in sets:
                yield self._look(made, parse_mesh(objects, ours=made.is_ours))
        finally:
            self._clear()

    def _create(self, sets: Sequence[Set], common: Sequence[Object]) -> list[Object]:
        created = [self._plane.create(item) for item in common]
        for wave in range(WAVES):
            created += [thing for made in sets for item in made.objects[wave] if (thing := self._accepted(item))]
            second = int(time.time())
            while int(time.time()) == second:
                time.sleep(0.01)
        return created

    def _accepted(self, item: Object) -> Object | None:
        """The object as it was made; None where the API server finds it invalid, as it may."""
        try:
            return self._plane.create(item)
        except LabError as error:
            if " answered 422" not in str(error):
                raise
            return None

    def _settle(self, created: Sequence[Object], batch: int) -> None:
        """Wait until istiod has everything, and a proxy sees what was made last."""
        plane = self._plane
        wait_for("Services in istiod", lambda: plane.has_services(services_of(created)))
        wait_for("addresses of ServiceEntries", lambda: all(map(_has_addresses, plane.everything("ServiceEntry", ""))))
        entries = plane.everything("ServiceEntry", f"{LABEL}=yes")
        others = [item for item in created if item["kind"] != "ServiceEntry"]
        wait_for("objects in istiod", lambda: plane.has_taken([*entries, *others]))
        host = f"{_MARKER}-{batch}.example"
        marker = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": _MARKER, "namespace": "px-0-app", "labels": {LABEL: "yes"}},
            "spec": {
                "hosts": [host],
                "addresses": ["10.96.0.1"],
                "resolution": "STATIC",
                "endpoints": [{"address": "10.96.0.2"}],
                "ports": [{"number": 19999, "protocol": "TCP", "name": "tcp"}],
            },
        }
        plane.create(marker)
        # A gateway, as no Sidecar hides anything from it.
        node = Node(f"observer-{batch}", "px-0-app", "10.99.0.1", {}, gateway=True)
        with Connection(plane.host, plane.xds_port) as connection:
            connection.open(node)
            name = f"outbound|19999||{host}"
            wait_for("the marker", lambda: name in Dump.read(plane.dump(node.proxy)).clusters)

    def _look(self, made: Set, mesh: Mesh) -> Look:
        with Connection(self._plane.host, self._plane.xds_port) as connection:
            for node in made.nodes.values():
                connection.open(node, made.routes)
            return Look(
                made, mesh, {name: Dump.read(self._plane.dump(node.proxy)) for name, node in made.nodes.items()}
            )


def _has_addresses(entry: Object) -> bool:
    """Whether istiod gave it addresses, where it gives any."""
    spec = entry["spec"]
    wanted = not spec.get("addresses") and spec.get("resolution", "NONE") != "NONE"
    return not wanted or bool(entry.get("status", {}).get("addresses"))
