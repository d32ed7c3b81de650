# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random objects of others around links that really carry: those of tests.precedence, moved to the lab's own names."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.support.web_servers import BACKEND, web_link
from tests.precedence.control_plane import Object
from tests.precedence.generate import SERVER_PORT, WAVES, Generator, Set

CLIENT, SERVER = "cluster-a", "cluster-b"
LABEL = "wire-others"
_SYSTEM = "istio-system"
_EGRESS_HOST = f"istio-egressgateway.{_SYSTEM}.svc.cluster.local"
# Where the generator's workloads are, and what selects them.
_NAMESPACES = {CLIENT: ("default", "shop", "legacy"), SERVER: ("default", "default", "default")}
_WORKLOADS = {CLIENT: "mysql-client", SERVER: "mysql"}


@dataclass(frozen=True)
class Others:
    """What others have around one link.

    :param older, younger: than the link's own objects; by cluster.
    """

    number: int
    link: Mapping[str, Any]
    older: Mapping[str, list[Object]]
    younger: Mapping[str, list[Object]]

    @property
    def kinds(self) -> list[str]:
        return [item["kind"] for item in (*self.older[CLIENT], *self.younger[CLIENT])]


def link(slot: int) -> dict[str, Any]:
    """A link of every kind by turns: requests, bytes at an address, bytes at every address; for everybody, or not."""
    port = 20000 + slot * 10
    found = web_link(f"link-s{slot}", "http", port + 1, port, fqdn=f"db.{_domain(slot)}")
    if slot % 2:
        found["protocol"] = "tcp"
        found |= {"addresses": [f"10.98.{slot}.1"]} if slot % 4 == 1 else {}
    if slot % 3 == 0:
        found["workloads"] = {"namespaces": ["default"]}
    return found


def batch(generator: Generator, seed: int, numbers: range, size: int) -> list[Others]:
    """Sets that stand side by side, one for each link.

    What concerns more than one link would concern all: of that a batch has one object at most.
    """
    chance = random.Random(f"{seed}/wide/{numbers.start // size}")
    wide = chance.choice([0, 1])
    found = []
    for slot, number in enumerate(numbers):
        made = generator.make(number, slot)
        phases: tuple[dict[str, list[Object]], ...] = ({CLIENT: [], SERVER: []}, {CLIENT: [], SERVER: []})
        for wave, items in enumerate(made.objects):
            for item in items:
                if made.is_ours(item):
                    continue
                if _is_wide(made, item):
                    if not wide:
                        continue
                    wide -= 1
                for cluster in (CLIENT, SERVER):
                    phases[wave >= WAVES // 2][cluster].append(_moved(made, item, cluster))
        found.append(Others(number, link(slot), *phases))
    return found


def control() -> Others:
    """Somebody with the right to write beside the gateway takes the first link's subset its TLS."""
    spec = {"host": link(0)["fqdn"], "subsets": [{"name": "link-s0", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}]}
    metadata = {"name": "control", "namespace": _SYSTEM, "labels": {LABEL: "yes"}}
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata, "spec": spec}
    return Others(0, link(0), {CLIENT: [rule], SERVER: []}, {CLIENT: [], SERVER: []})


def _domain(slot: int) -> str:
    return f"s{slot}.server.example.com"


def _is_wide(made: Set, item: Object) -> bool:
    """Whether it concerns more than the set's own link."""
    spec = item["spec"]
    if item["kind"] == "DestinationRule":
        return not str(spec["host"]).endswith(made.domain)
    if item["kind"] == "VirtualService":
        return not all(host.endswith(made.domain) for host in spec["hosts"])
    if item["kind"] == "Gateway":
        # All links come to the egress gateway by one port, so that one server more there is a matter of all.
        return "egress" in spec["selector"]["istio"] or "*" in spec["servers"][0]["hosts"]
    return item["kind"] not in ("ServiceEntry", "Service")


def _moved(made: Set, item: Object, cluster: str) -> Object:
    """The object with the lab's namespaces, hosts, labels and ports in the place of the set's own."""
    app, team, other = _NAMESPACES[cluster]
    account = _WORKLOADS[cluster]
    text = json.dumps({**item, "metadata": {key: item["metadata"][key] for key in ("name", "namespace")}})
    for old, new in (
        (made.host, link(made.slot)["fqdn"]),
        (made.server_host, link(made.slot)["fqdn"]),
        (made.domain, _domain(made.slot)),
        (made.egress, _EGRESS_HOST),
        (made.backend, BACKEND),
        (made.link, f"link-s{made.slot}"),
        (f'"egress-{made.tag}"', '"egressgateway"'),
        (f'"ingress-{made.tag}"', '"ingressgateway"'),
        (f'"set": "{made.tag}"', f'"app": "{account}"'),
        ('"app": "db"', f'"app": "{account}"'),
        ("px-*-app", f"{app[:4]}*"),
        (made.places.app, app),
        (made.places.team, team),
        (made.places.other, other),
        (made.places.gate, _SYSTEM),
        ("/sa/shop", f"/sa/{account}"),
        (f"{app}/shop", f"{app}/{account}"),
        (str(SERVER_PORT), str(made.tls_port)),
    ):
        text = text.replace(old, new)
    found: Object = json.loads(text)
    # Of several sets in one namespace.
    found["metadata"] |= {"name": f"set-{made.number}-{item['metadata']['name']}", "labels": {LABEL: "yes"}}
    return found
