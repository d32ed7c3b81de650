# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key without a value counts as not given: of every key of the schema, and of every option of the roles and actions.

Generated: a key that is added later is in here without a word.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.grants import grants_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.resolution import check_inventory, resolve
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.links import sound_links
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.uses import uses_of
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._variables import contract
from tests.unit.pki.support import NOW, make_root
from tests.unit.support import Json, link

GROUPS = ["mesh_servers", "mesh_clients"]
POD = {"namespace": "shop", "selector": {"app": "web"}, "container": "web"}
HTTP = link(
    name="web",
    fqdn="web.server.example.com",
    port=80,
    tls_port=13380,
    protocol="http",
    timeout="15s",
    retries={"attempts": 2, "per_try_timeout": "2s", "retry_on": "503"},
    max_connection_duration="1h",
    servers=[{"name": "cluster-b", "address": "203.0.113.7", "locality": "europe/b"}],
    clients=["cluster-a"],
    foreign_clients=["billing.partner.example"],
    workloads={"namespaces": ["shop"], "service_accounts": ["billing/reports"]},
    addresses=["240.0.0.10"],
    strict_backend=True,
    allow_backend_port=True,
    probe={"type": "http", "from": POD, "path": "/x", "status": "204", "required": True},
    state="present",
)
OUTSIDE = {"name": "sales", "fqdn": "sales.example.com", "port": 3307}
PARTNERS = {**OUTSIDE, "external": {"address": "db.example.net", "port": 13306, "trust": make_root().view.pem}}
PARTNERS["external"]["sni"] = "db.example.net"
OURS = {**OUTSIDE, "external": {"address": "db.example.net", "port": 13306, "ca": "/srv/crossmesh/sales"}}
GRPC = link(protocol="grpc", probe={"type": "grpc", "from": POD, "service": "shop.Orders"})
TCP = link(probe={"type": "tcp", "from": POD, "banner": "SSH-2.0"})
SHAPES = {"tcp": TCP, "http": HTTP, "grpc": GRPC, "partner's": PARTNERS, "ours": OURS}
# Of one mapping each: what a link may have in that place.
PLACES: dict[tuple[str, ...], tuple[schema.Field, ...]] = {
    (): schema.LINK,
    ("backend",): schema.BACKEND,
    ("external",): schema.EXTERNAL,
    ("workloads",): schema.WORKLOADS,
    ("retries",): schema.RETRIES,
    ("probe",): schema.PROBE,
    ("probe", "from"): schema.PROBE_FROM,
    ("servers", "0"): schema.SERVER,
}
REVOKED = {"cluster": "cluster-c", "date": "2026-03-01T08:00:00Z", "reason": "keyCompromise"}


def told(variables: Json) -> Any:
    """What both looks at an inventory make of it: all findings, or what is derived."""
    given = contract({"inventory_hostname": "cluster-b", "group_names": GROUPS, **variables})
    found = check_inventory({"cluster-b": given}, frozenset({"cluster-a", *GROUPS}), given, NOW, prune_all=False)
    resolution = resolve(given, NOW)
    if resolution.desired is None:
        return [*map(str, found), *map(str, resolution.findings)]
    grants = grants_of({"cluster-b": given}, {"mesh_links": None, **schema.defaults(schema.CONTRACT), **given})
    links = sound_links(given.get("mesh_links"))
    uses = uses_of(links, [resolution.desired], "crossmesh.internal", timedelta(days=90))
    return [*map(str, found)], resolution.desired, grants, uses


def place_in(found: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(found, list):
            found = found[0] if found else None
        else:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found


def keys_of_links() -> Iterator[Any]:
    for name, shape in SHAPES.items():
        for path, fields in PLACES.items():
            if isinstance(place_in(shape, path), Mapping):
                for field in fields:
                    where = ".".join((*path, field.name))
                    yield pytest.param(shape, path, field.name, id=f"{name}: {where}")


@pytest.mark.parametrize(("shape", "path", "key"), keys_of_links())
def test_in_each_place_of_a_link(shape: Json, path: tuple[str, ...], key: str) -> None:
    without, null = copy.deepcopy(shape), copy.deepcopy(shape)
    place_in(without, path).pop(key, None)
    place_in(null, path)[key] = None
    assert told({"mesh_links": [null]}) == told({"mesh_links": [without]})


def test_a_value_is_told_from_none() -> None:
    """The control: of every key of these links but those whose value is the default's, it matters whether it is given."""
    alike = []
    for param in keys_of_links():
        shape, path, key = param.values
        without = copy.deepcopy(shape)
        if place_in(without, path).pop(key, None) is not None:
            same = told({"mesh_links": [shape]}) == told({"mesh_links": [without]})
            alike += [key] if same else []
    assert set(alike) <= {"state", "clients", "servers", "container", "locality", "name", "protocol"}
    assert len(alike) < 15


@pytest.mark.parametrize("name", [field.name for field in schema.CONTRACT])
def test_of_each_variable(name: str) -> None:
    sound = {"mesh_links": [HTTP], "mesh_cluster_name": "cluster-b"}
    without = {key: value for key, value in sound.items() if key != name}
    assert told({**sound, name: None}) == told(without)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mesh_ingress_gateway", {"namespace": None, "service": "edge", "selector": None}),
        ("mesh_egress_gateway", {"namespace": "edges", "service": None, "selector": {"istio": "edge"}}),
        ("custom_ca_revoked", [{**REVOKED, "reason": None, "link": None, "serial": None, "fingerprint": None}]),
    ],
)
def test_inside_of_a_variable(name: str, value: Any) -> None:
    sound = {"mesh_links": [HTTP], "mesh_cluster_name": "cluster-b"}
    without = [
        {key: item for key, item in held.items() if item is not None}
        for held in (value if isinstance(value, list) else [value])
    ]
    given = without if isinstance(value, list) else without[0]
    assert told({**sound, name: value}) == told({**sound, name: given})
    assert told({**sound, name: given}) != told(sound) or name == "custom_ca_revoked"


def test_a_cluster_that_is_declared_without_groups_is_in_none() -> None:
    sound = {"mesh_links": [HTTP], "mesh_cluster_name": "cluster-b"}
    here = {"cluster-b": GROUPS, "cluster-a": ["mesh_clients"]}
    assert told({**sound, "mesh_clusters": {**here, "cluster-c": None}}) == told(
        {**sound, "mesh_clusters": {**here, "cluster-c": []}}
    )
