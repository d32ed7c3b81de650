# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that Argo CD keeps: its Secrets become the inventory, and playbooks read and write the clusters by them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.integration.support.lab_mesh import CHECKOUT, Mesh
from tests.lab import Lab
from tests.unit.support import Json

# Where Argo CD would run; no link has an end there.
HUB, NAMESPACE = "cluster-c", "argocd"
# One cluster is kept with a token, one with a certificate.
TOKEN, CERTIFICATE = "cluster-a", "cluster-b"


@dataclass(frozen=True)
class Registered:
    """:param credentials: what the Secrets hold, and nobody is to see."""

    file: Path
    credentials: tuple[str, ...] = field(repr=False)


@pytest.fixture
def registered(lab: Lab, mesh: Mesh) -> Iterator[Registered]:
    """Both clusters in the hub's Argo CD, and the inventory file that asks it for them."""
    lab.kubectl(TOKEN, "create", "serviceaccount", "argocd-manager", "-n", "kube-system")
    account = ("--clusterrole=cluster-admin", "--serviceaccount=kube-system:argocd-manager")
    lab.kubectl(TOKEN, "create", "clusterrolebinding", "argocd-manager", *account)
    token = lab.kubectl(TOKEN, "create", "token", "argocd-manager", "-n", "kube-system").stdout.strip()
    user = entry(lab, CERTIFICATE, "user")
    tls = {"certData": user["client-certificate-data"], "keyData": user["client-key-data"]}
    lab.kubectl(HUB, "create", "namespace", NAMESPACE)
    try:
        register(lab, TOKEN, {"bearerToken": token}, {"mesh-role": "client"})
        register(lab, CERTIFICATE, {"tlsClientConfig": tls}, {"mesh-role": "server"})
        register(lab, "uninvited", {"bearerToken": token}, {"mesh-role": "client"})
        yield Registered(inventory_file(lab, mesh.folder), (token, tls["keyData"]))
    finally:
        lab.kubectl(HUB, "delete", "namespace", NAMESPACE)
        lab.kubectl(TOKEN, "delete", "clusterrolebinding", "argocd-manager")
        lab.kubectl(TOKEN, "delete", "serviceaccount", "argocd-manager", "-n", "kube-system")


def entry(lab: Lab, cluster: str, kind: str) -> Json:
    """The cluster, or the user, of a context of the lab."""
    config = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    (context,) = (item["context"] for item in config["contexts"] if item["name"] == cluster)
    found: Json = next(item[kind] for item in config[f"{kind}s"] if item["name"] == context[kind])
    return found


def register(lab: Lab, name: str, config: Json, labels: dict[str, str]) -> None:
    """As C(argocd cluster add) writes it."""
    server = entry(lab, name if name in (TOKEN, CERTIFICATE) else TOKEN, "cluster")
    tls = {**config.get("tlsClientConfig", {}), "caData": server["certificate-authority-data"], "insecure": False}
    data = {"name": name, "server": server["server"], "config": json.dumps({**config, "tlsClientConfig": tls})}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"cluster-{name}",
            "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "cluster", **labels},
        },
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }
    lab.kubectl(HUB, "apply", "-f", "-", stdin=json.dumps(secret))


def inventory_file(lab: Lab, folder: Path) -> Path:
    role = "crossmesh_cluster.labels['mesh-role'] == "
    path = folder / "hub.crossmesh.yml"
    content = {
        "plugin": "crossmesh.mtls.clusters",
        "source": "argocd",
        "from_kubeconfig": str(lab.kubeconfig),
        "from_context": HUB,
        "clusters": [TOKEN, CERTIFICATE],
        "strict": True,
        "groups": {"mesh_clients": f"{role}'client'", "mesh_servers": f"{role}'server'"},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_playbooks_reach_the_clusters_by_the_secrets_of_argo_cd(mesh: Mesh, registered: Registered) -> None:
    # The inventory of people: what all clusters share, and no cluster.
    shared = mesh.with_changes(hosts={}, groups={}, variables={"mesh_kubeconfig": "", "mesh_context": ""})
    by_argocd = ("-i", str(registered.file))
    site = shared.play("site", *by_argocd)
    assert site.ok, site.output
    assert set(site.recap) - {"localhost"} == {TOKEN, CERTIFICATE}
    assert "Secret/client-credential" in mesh.names(TOKEN)
    assert "Secret/mysql-credential" in mesh.names(CERTIFICATE)
    assert mesh.carries()
    again = shared.play("site", "--check", "-vvv", *by_argocd)
    assert (again.ok, again.changed) == (True, 0), again.output
    teardown = shared.play("teardown", *by_argocd)
    assert teardown.ok, teardown.output
    assert mesh.names(TOKEN) | mesh.names(CERTIFICATE) == set()
    said = "".join((site.output, again.output, teardown.output, listed(shared, registered.file)))
    assert [secret for secret in registered.credentials if secret in said] == []
    # The control: where they lie is told.
    assert "argocd/cluster-cluster-a" in said


def listed(mesh: Mesh, file: Path) -> str:
    """All that C(ansible-inventory) knows."""
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-inventory"),
            "-i",
            str(mesh.inventory()),
            "-i",
            str(file),
            "--list",
        ],
        env={
            "PATH": str(Path(sys.executable).parent),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
