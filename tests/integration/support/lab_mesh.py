# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the playbooks on the lab as a user would: an inventory on disk, ansible-playbook, its exit code and recap."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.integration.support import cluster_objects
from tests.lab import Lab

CHECKOUT = Path(__file__).resolve().parents[3]
PLAYBOOKS = CHECKOUT / "collections/ansible_collections/crossmesh/mtls/playbooks"
CLUSTERS = ("cluster-a", "cluster-b", "cluster-c")
# What an inventory says of cluster-c, where a test has it: its gateways came with Helm's chart `gateway`.
CLUSTER_C: dict[str, Any] = {
    "mesh_ingress_gateway": {"namespace": "gateways", "service": "edge", "selector": {"istio": "edge"}},
    "mesh_egress_gateway": {"namespace": "gateways", "service": "exit", "selector": {"istio": "exit"}},
}

MYSQL: dict[str, Any] = {
    "name": "mysql",
    "fqdn": "mysql.server.example.com",
    "port": 3306,
    "tls_port": 13306,
    "backend": {"host": "mysql.default.svc.cluster.local", "port": 3306},
}
# The other way round: served by the first cluster.
REPORTS: dict[str, Any] = {
    "name": "reports",
    "fqdn": "reports.client.example.com",
    "port": 3307,
    "tls_port": 13307,
    "backend": {"host": "reports.default.svc.cluster.local", "port": 3306},
    "servers": ["cluster-a"],
    "clients": ["cluster-b"],
}
# What a locked-down namespace has.
LOCKDOWN = {"Sidecar/egress-lockdown", "NetworkPolicy/egress-lockdown"}


@dataclass(frozen=True)
class Run:
    """How a playbook ended: exit code, all that it printed, and the recap of each host."""

    code: int
    output: str
    recap: dict[str, dict[str, int]]

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def changed(self) -> int:
        return sum(counts["changed"] for counts in self.recap.values())

    def changes(self) -> dict[str, list[str]]:
        """Names of the tasks that changed something, by host."""
        found: dict[str, list[str]] = {host: [] for host in self.recap}
        task = ""
        for line in self.output.splitlines():
            if line.startswith("TASK ["):
                task = line.partition("[")[2].rpartition("]")[0]
            elif line.startswith("changed: ["):
                found[line.removeprefix("changed: [").partition("]")[0]].append(task)
        return found

    def says(self, *parts: str) -> bool:
        """Whether all of this stands in the output, however long lines were folded."""
        text = " ".join(self.output.split())
        return all(part in text for part in parts)

    def reports(self, code: str, *parts: str) -> bool:
        """Whether a message of this code holds all of these parts."""
        texts = re.split(r"\. \[([a-z0-9-]+)\]", " ".join(self.output.split()))
        messages = zip(texts[::2], texts[1::2], strict=False)
        return any(found == code and all(part in text for part in parts) for text, found in messages)

    def count(self, host: str) -> int:
        """How many tasks the host had, skipped ones too."""
        return sum(self.recap[host][key] for key in ("ok", "skipped"))


def passed(run: Run) -> Run:
    """A run that has to end well."""
    assert run.ok, run.output
    return run


@dataclass
class Mesh:
    """An inventory over the lab's clusters, its CA store, and runs of playbooks with them."""

    lab: Lab
    folder: Path
    passphrase: str = field(repr=False)
    variables: dict[str, Any] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=lambda: {"cluster-a": {}, "cluster-b": {}})
    groups: dict[str, list[str]] = field(
        default_factory=lambda: {"mesh_servers": ["cluster-b"], "mesh_clients": ["cluster-a"]}
    )
    links: list[dict[str, Any]] | None = field(default_factory=lambda: [dict(MYSQL)])

    @property
    def store(self) -> Path:
        return self.folder / "ca"

    def inventory(self) -> Path:
        """Write the inventory as it is described now."""
        everybody: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mesh_kubeconfig": str(self.lab.kubeconfig),
            "mesh_context": "{{ inventory_hostname }}",
            "custom_ca_dir": str(self.store),
            "custom_ca_passphrase": "{{ lookup('ansible.builtin.env', 'CUSTOM_CA_PASSPHRASE') }}",
            **self.variables,
        }
        if self.links is not None:
            everybody["mesh_links"] = self.links
        children: dict[str, Any] = {
            name: {"hosts": {host: {} for host in members}} for name, members in self.groups.items()
        }
        path = self.folder / "hosts.yml"
        content = {"all": {"vars": everybody, "hosts": self.hosts, "children": children}}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def play(
        self,
        playbook: str | Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        in_order: bool = False,
    ) -> Run:
        """Run one of the collection's playbooks by its name, or a playbook of the test by its path.

        :param in_order: keep warnings and errors where they were printed, not after all the rest.
        """
        process = self.begin(playbook, *arguments, environment=environment, in_order=in_order)
        try:
            said = process.communicate(timeout=300)
        finally:
            process.kill()
        return finished_run(said, process.returncode)

    def begin(
        self,
        playbook: str | Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        in_order: bool = False,
    ) -> subprocess.Popen[str]:
        """Start the same in a process group of its own and leave its output and its end to the caller."""
        path = playbook if isinstance(playbook, Path) else PLAYBOOKS / f"{playbook}.yml"
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.inventory()), str(path)]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if in_order else subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def site(self, *arguments: str) -> Run:
        return self.play("site", *arguments)

    def write_playbook(self, text: str, name: str = "play.yml") -> Path:
        """A playbook of the test's own."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def with_changes(self, **described: Any) -> Mesh:
        """The same mesh (folder, CA store, clusters) with some of its description changed."""
        return replace(self, **described)

    def carries(self, *, fqdn: str = MYSQL["fqdn"], port: int = MYSQL["port"]) -> bool:
        """Whether a new connection of the client pod reaches the database."""
        return self.lab.mysql("SELECT 4711", fqdn=fqdn, port=port, check=False).strip() == "4711"

    def objects(self, cluster: str, *, instance: str | None = None) -> list[dict[str, Any]]:
        """Everything of ours in a cluster, Secrets among it."""
        selector = cluster_objects.OURS
        if instance:
            selector += f",crossmesh/instance={instance}"
        return cluster_objects.objects_of_ours(self.lab, cluster, selector)

    def names(self, cluster: str) -> set[str]:
        return {f"{item['kind']}/{item['metadata']['name']}" for item in self.objects(cluster)}

    def get(self, cluster: str, *arguments: str) -> Any:
        return json.loads(self.lab.kubectl(cluster, "get", *arguments, "-o", "json").stdout)

    def environment(self) -> dict[str, str]:
        """What a run has beside what this process has."""
        return {
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "CUSTOM_CA_PASSPHRASE": self.passphrase,
        }


def locked_down(mesh: Mesh, *namespaces: str, **described: Any) -> Mesh:
    """The same with these namespaces of the client's cluster locked down."""
    cluster = mesh.lab.cluster("cluster-a")
    variables = {
        "mesh_egress_lockdown": list(namespaces),
        "mesh_cluster_cidrs": [cluster.pod_network, cluster.service_network],
    }
    return mesh.with_changes(hosts={"cluster-a": variables, "cluster-b": {}}, **described)


@contextmanager
def cleared_afterwards(found: Mesh) -> Iterator[Mesh]:
    """Leave the clusters as they were, whatever the block makes of it."""
    try:
        yield found
    finally:
        cluster_objects.clear_clusters(found.lab, CLUSTERS)


def finished_run(said: tuple[str, str | None], code: int) -> Run:
    """A run from what it printed, to one stream or both, and its exit code."""
    output, errors = said
    return Run(code, output + (errors or ""), _recap(output))


def _recap(output: str) -> dict[str, dict[str, int]]:
    recap: dict[str, dict[str, int]] = {}
    # A run that was killed, or never began, has none.
    for line in output.partition("PLAY RECAP")[2].splitlines()[1:]:
        host, separator, counts = line.partition(" : ")
        if separator:
            pairs: Sequence[str] = counts.split()
            recap[host.strip()] = {key: int(value) for key, _equals, value in (pair.partition("=") for pair in pairs)}
    return recap
