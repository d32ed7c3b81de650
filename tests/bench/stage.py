# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one number of links is set up and taken away again: inventory, keys and temporary files, gone afterwards."""

import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab import Lab
from tests.lab.settings import CHECKOUT

from .process import Measured, measure

INSTANCE = "bench"
SERVER = "cluster-b"
CLIENT = "cluster-a"
SERVERS = "mesh_servers"
CLIENTS = "mesh_clients"
# The Service of a gateway that the bench makes.
GATEWAY = "gateway"
# Below the range from which Linux takes the ports of outgoing connections.
_FIRST_PORT = 20001
_FIRST_TLS_PORT = 30001


@dataclass(frozen=True)
class Link:
    """A TCP link to the lab's database; host and ports are its own.

    :param ends: C(servers) and C(clients); those of the groups where there are none.
    """

    name: str
    fqdn: str
    port: int
    tls_port: int
    ends: Mapping[str, list[str]] = field(default_factory=dict)

    def inventory(self) -> dict[str, Any]:
        backend = {"host": "mysql.default.svc.cluster.local", "port": 3306}
        link = {"name": self.name, "fqdn": self.fqdn, "port": self.port, "tls_port": self.tls_port, "backend": backend}
        return {**link, **self.ends}


def make_links(count: int, pairs: Sequence[tuple["Member", "Member"]] = ()) -> list[Link]:
    """So many links between the two groups, or between a server and a client each; one of each pair after another."""
    ends = [{"servers": [server.name], "clients": [client.name]} for server, client in pairs] or [{}]
    return [
        Link(
            f"bench-{n:03}",
            f"bench-{n:03}.server.example.com",
            _FIRST_PORT + n,
            _FIRST_TLS_PORT + n,
            ends[n % len(ends)],
        )
        for n in range(count * len(ends))
    ]


@dataclass(frozen=True)
class Member:
    """A cluster of the inventory.

    :param context: the lab's cluster whose API server it is.
    :param namespace: where it has its gateways, and they no pod; empty where it has those of the lab.
    """

    name: str
    group: str
    context: str
    namespace: str = ""

    def inventory(self) -> dict[str, Any]:
        if not self.namespace:
            return {}
        gateway = {"namespace": self.namespace, "service": GATEWAY, "selector": self.selector}
        return {"mesh_context": self.context, "mesh_ingress_gateway": gateway, "mesh_egress_gateway": gateway}

    @property
    def selector(self) -> dict[str, str]:
        return {"istio": self.namespace}


TWO = (Member(SERVER, SERVERS, SERVER), Member(CLIENT, CLIENTS, CLIENT))


def pairs(members: Sequence[Member]) -> list[tuple[Member, Member]]:
    """Servers and clients that share API servers, two by two: links of one pair are nobody else's business.

    With each other's hosts they would be what they look like: objects of strangers that claim a link's host.
    """
    if members == TWO:
        return []
    sides = [[member for member in members if member.group == group] for group in (SERVERS, CLIENTS)]
    return list(zip(*sides, strict=True))


@dataclass(frozen=True)
class Stage:
    """:param links: all that there will ever be; the last of each pair is one that comes and goes."""

    lab: Lab
    links: list[Link]
    folder: Path
    passphrase: str
    members: Sequence[Member] = TWO
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    @property
    def lasting(self) -> list[Link]:
        return self.links[: -self._strands]

    @property
    def links_of_each(self) -> int:
        """How many of them a cluster has."""
        return len(self.lasting) // self._strands

    @property
    def _strands(self) -> int:
        return len(pairs(self.members)) or 1

    @property
    def baseline_dir(self) -> Path:
        return self.folder / "baseline"

    @property
    def ca_dir(self) -> Path:
        return self.folder / "ca"

    @property
    def temporary(self) -> Path:
        """Holds the API discovery that kubernetes.core keeps between runs."""
        return self.folder / "tmp"

    def describe(self, links: Sequence[Link]) -> None:
        """Write the inventory with these links."""
        everywhere = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mesh_kubeconfig": str(self.lab.kubeconfig),
            "mesh_context": "{{ inventory_hostname }}",
            "mesh_instance": INSTANCE,
            "mesh_links": [link.inventory() for link in links],
            "custom_ca_dir": str(self.ca_dir),
            "custom_ca_passphrase": "{{ lookup('ansible.builtin.env', 'CUSTOM_CA_PASSPHRASE') }}",
            "baseline_dir": str(self.baseline_dir),
            **self.variables,
        }
        groups: dict[str, dict[str, dict[str, Any]]] = {}
        for member in self.members:
            groups.setdefault(member.group, {"hosts": {}})["hosts"][member.name] = member.inventory()
        (self.inventory / "group_vars").mkdir(parents=True, exist_ok=True)
        (self.inventory / "hosts.yml").write_text(_yaml({"all": {"children": groups}}))
        (self.inventory / "group_vars/all.yml").write_text(_yaml(everywhere))

    def forget(self) -> None:
        """Let the next run be a first one: no keys, no CA, nothing kept."""
        for folder in (self.baseline_dir, self.ca_dir, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
        self.temporary.mkdir(mode=0o700)

    def playbook(self, path: Path, *options: str, **variables: str) -> Measured:
        """Run a playbook as a user of this checkout would, with its ansible.cfg."""
        argv: list[str | Path] = [
            Path(sys.executable).parent / "ansible-playbook",
            "-i",
            self.inventory,
            *options,
            path,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"LC_ALL": "C.UTF-8", "TMPDIR": str(self.temporary), "CUSTOM_CA_PASSPHRASE": self.passphrase}
        return measure(argv, environment=environment | variables, cwd=CHECKOUT)


@contextmanager
def stage(lab: Lab, count: int, members: Sequence[Member] = TWO, **variables: Any) -> Iterator[Stage]:
    """A stage for so many links; further variables go into the inventory."""
    with tempfile.TemporaryDirectory(prefix="crossmesh-bench-") as folder:
        made = Stage(
            lab, make_links(count, pairs(members)), Path(folder), secrets.token_urlsafe(24), members, variables
        )
        made.describe(made.links)
        made.forget()
        yield made


def _yaml(content: dict[str, Any]) -> str:
    # Through JSON, because YAML would write what occurs twice as a reference.
    return yaml.safe_dump(json.loads(json.dumps(content)), width=1000)
