# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that stand, sets of others' objects put beside them, a run, and what is then on the wire between clusters."""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.support.cluster_faults import EGRESS, INGRESS
from tests.integration.support.cluster_objects import Written, put_back, written_by_runs
from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.rival_objects import await_push
from tests.integration.support.web_servers import running_web_servers
from tests.lab import LabError
from tests.lab.wait import eventually
from tests.precedence.control_plane import PLURALS, ControlPlane, Object

from . import reading
from .sets import CLIENT, LABEL, SERVER, Others, link

# Behind the backend's sidecar, inside the pod: the plain leg, in which the same search finds what it looks for.
_PLAIN_LEG = (SERVER, "mysql-0", "tcp port 8080")
# Who may send out of the client's cluster.
_SENDERS = {"the egress gateway": EGRESS, "the workload": (CLIENT, "mysql-client")}
_SECONDS = "4"
_TRIES = 2


@dataclass(frozen=True)
class Seen:
    """What became of one link beside one set.

    :param code: of the run that looked at the link.
    :param answered: whether a request over the link was answered.
    :param connections: of TLS, to its name, between the clusters.
    :param certified: whether the ingress gateway shows a certificate of the custom root.
    :param readable: who sent the request out of the cluster so that it can be read; C(control) whether it was read in
        the plain leg.
    :param others: names that were asked for on the link's port, and what was no TLS there.
    """

    others: Others
    code: int
    answered: bool
    connections: int
    certified: bool
    readable: list[str]
    control: bool
    strange: list[str]

    @property
    def faults(self) -> list[str]:
        found = []
        if self.answered and not self.control:
            found.append("the search does not find the request where it is to be read")
        if self.code == 0:
            if self.readable:
                found.append(f"the request leaves {' and '.join(self.readable)} in plain text")
            if self.strange:
                found.append(f"on the link's port: {', '.join(self.strange)}")
            if self.answered and not (self.connections and self.certified):
                found.append("answered without TLS to the link's name, or by no certificate of the custom root")
        return found


class Stage:
    def __init__(self, mesh: Mesh, slots: int) -> None:
        self.mesh = mesh
        mesh.links = [link(slot) for slot in range(slots)]
        mesh.variables["mesh_gate_timeout"] = 20
        self._planes = {cluster: ControlPlane(mesh.lab, cluster) for cluster in (CLIENT, SERVER)}
        # What a run wrote, by cluster, and the custom root in PEM.
        self._written: dict[str, list[Written]] = {}
        self._root = ""

    @contextmanager
    def standing(self, folder: Path) -> Iterator[None]:
        """The links in place, and what they lead to."""
        with running_web_servers(self.mesh, folder):
            self._clear()
            run = self.mesh.site()
            assert run.ok, run.output
            self._written = {cluster: written_by_runs(self.mesh.lab, cluster) for cluster in (CLIENT, SERVER)}
            secret = self.mesh.get(CLIENT, "secret", "client-credential", "-n", "istio-system")
            self._root = base64.b64decode(secret["data"]["ca.crt"]).decode()
            self._await_sound()
            yield

    def batch(self, sets: Sequence[Others]) -> list[Seen]:
        """Put the sets beside the links, run, and send."""
        try:
            self._put(sets)
            codes = self._codes([found.link["name"] for found in sets])
            return self._send(sets, codes)
        finally:
            self._clear()
            self._await_sound()

    # -- others' objects ------------------------------------------------------------------------------------------

    def _put(self, sets: Sequence[Others]) -> None:
        """Theirs that are older than ours, ours, and theirs that are younger."""
        lab = self.mesh.lab
        for cluster, written in self._written.items():
            put_back(lab, cluster, [entry for entry in written if entry.body["kind"] in ("Secret", "Service")])
        self._create(sets, older=True)
        _next_second()
        for cluster, written in self._written.items():
            put_back(lab, cluster, written)
        _next_second()
        self._create(sets, older=False)
        self._await_push()

    def _create(self, sets: Sequence[Others], *, older: bool) -> None:
        for found in sets:
            for cluster, items in (found.older if older else found.younger).items():
                for item in items:
                    _create_one(self._planes[cluster], item)

    def _clear(self) -> None:
        for plane in self._planes.values():
            for kind in PLURALS:
                if kind != "Namespace":
                    for item in plane.everything(kind, f"{LABEL}=yes"):
                        plane.delete(item)

    def _await_push(self) -> None:
        for cluster, pod in (EGRESS, INGRESS):
            await_push(self.mesh, cluster, pod)

    def _await_sound(self) -> None:
        links = self.mesh.links or []
        eventually(lambda: not [found for found in self._asked({one["name"]: one for one in links}) if not found[1]])

    # -- runs -----------------------------------------------------------------------------------------------------

    def _codes(self, names: Sequence[str]) -> dict[str, int]:
        """Of each link, the exit code of a run for it: those that a run fails for are left out of the next one."""
        codes: dict[str, int] = {}
        while left := [name for name in names if name not in codes]:
            run = self.mesh.site("-e", json.dumps({"mesh_only_links": left}))
            if run.ok:
                return {**codes, **dict.fromkeys(left, 0)}
            told = re.findall(r"\[ERROR\]: (.*?)\n\n", run.output, re.DOTALL)
            named = set(re.findall(r"link (link-s\d+)\b", " ".join(" ".join(told).split())))
            # What is no single link's fault is that of all.
            codes |= dict.fromkeys([name for name in left if name in named] or left, run.code)
        return codes

    # -- traffic --------------------------------------------------------------------------------------------------

    def _send(self, sets: Sequence[Others], codes: Mapping[str, int]) -> list[Seen]:
        """Requests that bear a word each, while all that leaves the cluster is listened to, and the plain leg."""
        lab, inside = self.mesh.lab, self.mesh.lab.cluster(CLIENT).pod_network
        leaving = f"tcp and not port 15012 and not (src net {inside} and dst net {inside})"
        links = {found.link["name"]: found.link for found in sets}
        with ExitStack() as stack:
            wires = {who: stack.enter_context(lab.capture(*place, leaving)) for who, place in _SENDERS.items()}
            plain = stack.enter_context(lab.capture(*_PLAIN_LEG, interface="lo"))
            asked = {name: (word, answered) for name, answered, word in self._asked(links)}
        payloads, leg = {who: wire.payload for who, wire in wires.items()}, plain.payload
        seen = []
        for found in sets:
            name, tls_port = found.link["name"], found.link["tls_port"]
            word, answered = asked[name]
            streams = [one for wire in wires.values() for one in reading.connections(wire, frozenset({tls_port}))]
            names = [one.server_name for one in streams if one.server_name]
            strange = [f"TLS to {other}" for other in names if other != found.link["fqdn"]]
            strange += ["no TLS" for one in streams if not one.tls]
            seen.append(
                Seen(
                    found,
                    codes[name],
                    answered,
                    names.count(found.link["fqdn"]),
                    self._is_certified(found.link),
                    [who for who, payload in payloads.items() if word.encode() in payload],
                    word.encode() in leg,
                    strange,
                )
            )
        return seen

    def _asked(self, links: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, bool, str]]:
        """Of each link: its name, whether a request was answered, and the word that the request bore."""
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda name: self._ask(name, links[name]), links))

    def _ask(self, name: str, found: Mapping[str, Any]) -> tuple[str, bool, str]:
        word, place = secrets.token_hex(12), f"{found['fqdn']}:{found['port']}"
        to = [argument for address in found.get("addresses", ()) for argument in ("--resolve", f"{place}:{address}")]
        argv = ["curl", "--silent", "--max-time", _SECONDS, *to, "-H", f"X-Word: {word}", f"http://{place}/"]
        argv += ["--output", "/dev/null", "--write-out", "%{http_code}"]
        answers = (self.mesh.lab.run(CLIENT, "mysql-client", argv).stdout for _try in range(_TRIES))
        return name, "200" in answers, word

    def _is_certified(self, found: Mapping[str, Any]) -> bool:
        """Whether the ingress gateway's certificate is one of the custom root."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self._root)
        place = self.mesh.lab.pod(*INGRESS).address, found["tls_port"]
        try:
            with (
                socket.create_connection(place, timeout=5) as raw,
                context.wrap_socket(raw, server_hostname=found["fqdn"]),
            ):
                return True
        except OSError:
            return False


def _create_one(plane: ControlPlane, item: Object) -> None:
    try:
        plane.create(item)
    except LabError as error:
        # What the API server finds invalid nobody can have.
        if " answered 422" not in str(error):
            raise


def _next_second() -> None:
    """Istio compares whole seconds."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)
