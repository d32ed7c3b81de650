# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as the AWX project's jobs see it: inventory, one kubeconfig, and the CA in Secrets."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.support import secret_traces
from tests.integration.support.credential_secrets import CLIENT, SERVER, trusted_roots
from tests.integration.support.lab_mesh import Mesh
from tests.integration.support.service_accounts import NAMESPACE
from tests.lab import Lab
from tests.unit.support import Json
from tests.unit.tools.awx_project import PROJECT

# Keeps the CA; no link has an end there.
KEEPER, HEAD = "cluster-c", "crossmesh-ca-default"


@dataclass(frozen=True)
class Ca:
    """What the index in the Secrets says, and the gateways of both clusters trust."""

    issuing: str
    trusted: frozenset[str]
    in_service: frozenset[str]


def project_inventory(*, without: str = "") -> Json:
    """The project's, for gateways as the lab has them."""
    inventory = yaml.safe_load((PROJECT / "inventory.yml").read_text(encoding="utf-8"))
    variables = inventory["all"]["vars"]
    for name in ("mesh_ingress_gateway", "mesh_egress_gateway", without):
        variables.pop(name, None)
    return dict(inventory)


def with_management(lab: Lab, store: Path) -> Json:
    """The one kubeconfig of the credential: a context for each cluster, and one for the CA's Secrets."""
    config: Json = yaml.safe_load(lab.kubeconfig.read_text(encoding="utf-8"))
    keeper = by_name(config["contexts"])[KEEPER]["context"]["cluster"]
    user = by_name(yaml.safe_load(store.read_text(encoding="utf-8"))["users"])[KEEPER]["user"]
    config["users"].append({"name": "management", "user": user})
    config["contexts"].append({"name": "management", "context": {"cluster": keeper, "user": "management"}})
    return config


def by_name(entries: list[Json]) -> dict[str, Json]:
    return {entry["name"]: entry for entry in entries}


def head_of(mesh: Mesh) -> dict[str, bytes]:
    data = mesh.get(KEEPER, "secret", HEAD, "-n", NAMESPACE)["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


def ca_of(mesh: Mesh) -> Ca:
    index: dict[str, Any] = json.loads(head_of(mesh)["authority.json"])
    in_service = trusted_roots(mesh, CLIENT)
    assert in_service == trusted_roots(mesh, SERVER)
    return Ca(index["issuing"], frozenset(index["trusted"]), frozenset(in_service))


def given_secrets(config: Json, passphrase: str) -> dict[str, frozenset[bytes]]:
    """What credentials hand over."""
    found = {"the passphrase": secret_traces.of_text(passphrase.encode())}
    for user in config["users"]:
        if "token" in user["user"]:
            found["the token of the CA's account"] = secret_traces.of_text(user["user"]["token"].encode())
        else:
            key = base64.b64decode(user["user"]["client-key-data"])
            found[f"the key of user {user['name']}"] = secret_traces.of_key(key)
    return found
