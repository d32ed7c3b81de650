# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is measured: the site playbook and its yardstick, how each is run and its traces removed."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import Lab, wait
from tests.lab.settings import CHECKOUT

from .process import BenchError, Measured
from .stage import CLIENT, INSTANCE, SERVER, Link, Stage

KINDS = "serviceentries,gateways,destinationrules,virtualservices,peerauthentications,authorizationpolicies"
_GATEWAYS = ("istio-ingressgateway", "istio-egressgateway")
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=\d+\s+failed=\d+\s+skipped=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Contender:
    """A playbook that joins the meshes.

    :param selector: labels of the objects that it leaves behind.
    :param manager: how the names of its field managers begin.
    """

    name: str
    playbook: Path
    selector: str
    manager: str

    def join(self, stage: Stage) -> "Joined":
        return Joined.of(stage.playbook(self.playbook))

    def part(self, stage: Stage) -> None:
        """Bring the clusters back to what they were; returns when the proxies have noticed."""
        for cluster in (SERVER, CLIENT):
            lab = stage.lab
            lab.kubectl(cluster, "delete", f"{KINDS},secrets", "-A", "-l", self.selector, "--wait=false", timeout=300)
            for gateway in _GATEWAYS:
                _take_back_ports(lab, cluster, gateway, self.manager)
        wait.until(
            lambda: not _listening(stage.lab, stage.links),
            what="the proxies drop the removed links",
            cure="see the logs of istiod",
            timeout=120,
        )
        stage.forget()


SITE = Contender("site", CHECKOUT / "playbooks/site.yml", f"crossmesh/instance={INSTANCE}", f"crossmesh-{INSTANCE}-")
BASELINE = Contender(
    "baseline",
    Path(__file__).with_name("baseline") / "site.yml",
    "app.kubernetes.io/managed-by=baseline",
    "baseline",
)


@dataclass(frozen=True)
class Joined:
    """A finished run.

    :param tasks: how many tasks each host went through, skipped ones too.
    """

    measured: Measured
    changed: int
    tasks: dict[str, int]

    @classmethod
    def of(cls, measured: Measured) -> "Joined":
        recap = _RECAP.findall(measured.stdout)
        if not recap:
            raise BenchError(f"no recap in:\n{measured.stdout[-2000:]}")
        return cls(
            measured=measured,
            changed=sum(int(changed) for _host, _ok, changed, _skipped in recap),
            tasks={host: int(ok) + int(skipped) for host, ok, _changed, skipped in recap},
        )


def expect_traffic(lab: Lab, links: Iterable[Link]) -> None:
    """A fast run that joins nothing would be worth nothing."""
    for link in links:
        wait.until(
            lambda link=link: carries(lab, link),  # type: ignore[misc]
            what=f"link {link.name} carries a query",
            cure="see the logs of the gateways",
            timeout=60,
        )


def carries(lab: Lab, link: Link) -> bool:
    """Whether a new connection of the client pod reaches the database."""
    client = lab.description.find_pod("mysql-client")
    return lab.mysql_from(client.cluster, client.name, "SELECT 1", fqdn=link.fqdn, port=link.port).returncode == 0


def objects(lab: Lab, cluster: str, selector: str) -> list[dict[str, Any]]:
    """Objects of the mesh as somebody would have written them."""
    found = json.loads(lab.kubectl(cluster, "get", KINDS, "-A", "-l", selector, "-o", "json").stdout)["items"]
    for item in found:
        item.pop("status", None)
        item["metadata"] = {key: item["metadata"][key] for key in ("name", "namespace", "labels")}
    return list(found)


def _take_back_ports(lab: Lab, cluster: str, service: str, manager: str) -> None:
    """Apply a Service without ports for each manager that has some: what is left out is given up."""
    path = ("-n", "istio-system", "service", service)
    live = json.loads(lab.kubectl(cluster, "get", *path, "-o", "json", "--show-managed-fields").stdout)
    empty = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": "istio-system"}}
    for name in _managers(live, manager):
        lab.kubectl(cluster, "apply", "--server-side", f"--field-manager={name}", "-f", "-", stdin=json.dumps(empty))


def _managers(live: dict[str, Any], prefix: str) -> Iterator[str]:
    for entry in live["metadata"].get("managedFields", ()):
        if entry["manager"].startswith(prefix):
            yield entry["manager"]


def _listening(lab: Lab, links: Iterable[Link]) -> bool:
    """Whether a proxy of either side still listens for one of the links."""
    client = lab.description.find_pod("mysql-client")
    served = lab.envoy(SERVER, "istio-ingressgateway-0", "listeners")
    dialled = lab.envoy(client.cluster, client.name, "listeners")
    return any(f":{link.tls_port}\n" in served or f":{link.port}\n" in dialled for link in links)
