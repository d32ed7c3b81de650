# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users write, and what they bring from partners: inventories, kubeconfigs, directories of external servers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.store import CaStore
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import connection_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import configuration
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.grants import grants_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.model import ExternalServer
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import check_inventory, resolve
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.revoked import entries_or_refusal
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.uses import uses_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._issue.external import Request, keep, report
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import SIDES
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.policy import Policy
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contract
from tests.unit.ca.memory_storage import MemoryStorage
from tests.unit.ca.support import quick
from tests.unit.inventory.every_key import HTTP
from tests.unit.pki.support import NOW, PASSPHRASE, make_root
from tests.unit.support import MYSQL, Json

from .judge import Target
from .of_keys import leaf_key, pems

__all__ = ["TARGETS"]

_SECRET = "planted-token-5f2c"

# -- inventories ---------------------------------------------------------------------------------------------------


def _inventory() -> Json:
    """One cluster that has every key that there is."""
    external = {"address": "db.example.net", "port": 13306, "trust": pems()[0].decode(), "sni": "db.example.net"}
    outside = {"name": "sales", "fqdn": "sales.example.com", "port": 3307, "external": external}
    revoked = [
        {"cluster": "cluster-c", "date": "2026-03-01T08:00:00Z", "reason": "keyCompromise"},
        {"serial": "0a:1b", "date": "2026-03-01T08:00:00Z", "reason": "superseded"},
        {"fingerprint": "ab" * 32, "date": "2026-03-01T08:00:00Z"},
    ]
    examples = {field.name: yaml.safe_load(field.example) for field in schema.CONTRACT if field.example}
    return {
        **{name: value for name, value in examples.items() if not name.startswith(("mesh_api", "custom_ca_import"))},
        "mesh_links": [dict(MYSQL), dict(HTTP), outside],
        "mesh_cluster_name": "cluster-b",
        "mesh_cluster_state": "present",
        "mesh_only_links": ["mysql"],
        "mesh_clusters": {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"]},
        "mesh_egress_lockdown": ["shop"],
        "mesh_cluster_cidrs": ["10.0.0.0/16"],
        "custom_ca_revoked": revoked,
        "custom_ca_lost_roots": ["ab" * 32],
    }


def _resolved(found: Any) -> None:
    written = found if isinstance(found, dict) else {}
    variables = {**{str(key): value for key, value in written.items()}, "inventory_hostname": "cluster-b"}
    given = contract({**variables, "group_names": ["mesh_servers", "mesh_clients"]})
    groups = frozenset({"mesh_servers", "mesh_clients", "cluster-a"})
    for finding in check_inventory({"cluster-b": given}, groups, given, NOW, prune_all=False):
        assert str(finding)
    resolution = resolve(given, NOW)
    grants_of({"cluster-b": given}, {"mesh_links": None, **schema.defaults(schema.CONTRACT), **given})
    if resolution.desired is None:
        raise CrossmeshError(*resolution.findings)
    view = resolution.wanted()
    for side in SIDES:
        render(side, view[side])
    entries_or_refusal(given.get("custom_ca_revoked") or [], NOW)
    uses_of(sound_links(given.get("mesh_links")), [view], "crossmesh.internal", timedelta(days=90))


def _trust(data: bytes) -> None:
    """Roots of a partner, as an inventory holds them."""
    external = {"address": "db.example.net", "port": 13306, "trust": data.decode("utf-8", "replace")}
    _resolved({"mesh_links": [{"name": "sales", "fqdn": "sales.example.com", "port": 3307, "external": external}]})


# -- kubeconfigs ---------------------------------------------------------------------------------------------------


@contextmanager
def _file(name: str, content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crossmesh-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        path.chmod(0o600)
        yield path


def _kubeconfig() -> Json:
    users: Sequence[Json] = (
        {"token": _SECRET},
        {"username": "x", "password": _SECRET},
        {"auth-provider": {"name": "oidc", "config": {"client-id": "x", "client-secret": _SECRET}}},
        {"as": "x", "token": _SECRET},
    )
    cluster = {"server": "https://127.0.0.1:6443", "proxy-url": "http://127.0.0.1:8080", "tls-server-name": "x"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "b0",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": f"u{number}", "user": user} for number, user in enumerate(users)],
        "contexts": [{"name": f"b{number}", "context": {"cluster": "c", "user": f"u{number}"}} for number in range(4)],
    }


def _connected(content: bytes) -> None:
    told: list[Message] = []
    with _file("kubeconfig", content) as path:
        for context in ("", "b1", "b2", "b3"):
            try:
                configuration(connection_of(str(path), context, {}, Path("/")))
            except CrossmeshError as error:
                told += error.messages
    if told:
        raise CrossmeshError(*told)


def _document(found: Any) -> None:
    # An edit can ask for a program to be started, or for an issuer: neither is there.
    _connected(json.dumps(found).encode())


# -- directories of external servers -------------------------------------------------------------------------------


@cache
def _store() -> CaStore:
    store, root = quick(MemoryStorage()), make_root()
    store.create(PASSPHRASE, root.key, root.view.pem)
    return store


def _in(name: str) -> Callable[[bytes], None]:
    def kept(data: bytes) -> None:
        with _file(name, data) as path:
            server = ExternalServer("sales", path.parent, "sales.example.com", "db.example.net", 13306)
            policy = Policy(key_type="P-256", renew_before=timedelta(days=30))
            request = Request([server], "default", policy, 90, "", ())
            report(keep(_store(), request, NOW, look=True, shake=lambda _endpoint: ""), "look")

    return kept


TARGETS: Mapping[str, Target] = {
    "inventory": Target(lambda: [_inventory()], _resolved),
    "partners-roots": Target(pems, _trust),
    "kubeconfig": Target(lambda: [_kubeconfig()], _document, secrets=(_SECRET,)),
    "kubeconfig-bytes": Target(lambda: [yaml.safe_dump(_kubeconfig()).encode()], _connected, secrets=(_SECRET,)),
    "certificate-of-a-directory": Target(lambda: [leaf_key()[0]], _in("tls.crt")),
    "key-of-a-directory": Target(lambda: [leaf_key()[1]], _in("tls.key")),
    "trust-of-a-directory": Target(pems, _in("ca.crt")),
}
