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
from tests.unit.inventory.every_key import HTTP, POD
from tests.unit.pki.support import NOW, make_root
from tests.unit.support import Json, link

GROUPS = ["mesh_servers", "mesh_clients"]
OUTSIDE = {"name": "sales", "fqdn": "sales.example.com", "port": 3307}
SERVER = {"address": "db.example.net", "port": 13306, "sni": "db.example.net"}
PARTNERS = {**OUTSIDE, "external": {**SERVER, "trust": make_root().view.pem}}
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
# Keys whose value in these links is what holds without them.
DEFAULTS = {"state", "clients", "servers", "protocol", "allow_backend_port"}
REVOKED = {"cluster": "cluster-c", "date": "2026-03-01T08:00:00Z", "reason": "keyCompromise"}


def told(variables: Json, apart: str = "mesh_context") -> Any:
    """What both looks at an inventory make of it, of a server and of a client: all findings, or what is derived.

    :param apart: the variable by which the two are known to be two clusters.
    """
    hosts = {"cluster-b": ["mesh_servers"], "cluster-a": ["mesh_clients"]}
    clusters = {
        host: contract({"inventory_hostname": host, "group_names": groups, apart: host, **variables})
        for host, groups in hosts.items()
    }
    shared = clusters["cluster-b"]
    found = check_inventory(clusters, frozenset(GROUPS), shared, NOW, prune_all=False)
    views = [resolve(given, NOW) for given in clusters.values()]
    if found or not all(view.desired for view in views):
        return [*map(str, found), *(str(finding) for view in views for finding in view.findings)]
    grants = grants_of(clusters, {"mesh_links": None, **schema.defaults(schema.CONTRACT), **shared})
    links, wanted = sound_links(shared.get("mesh_links")), [view.wanted() for view in views]
    return wanted, grants, uses_of(links, wanted, "crossmesh.internal", timedelta(days=90))


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
    """The control: it matters whether a key is given, but for those whose value is the default."""
    alike = set()
    for param in keys_of_links():
        shape, path, key = param.values
        without = copy.deepcopy(shape)
        if place_in(without, path).pop(key, None) is not None:
            alike |= {key} if told({"mesh_links": [shape]}) == told({"mesh_links": [without]}) else set()
    assert alike <= DEFAULTS


@pytest.mark.parametrize("name", [field.name for field in schema.CONTRACT])
def test_of_each_variable(name: str) -> None:
    sound = {"mesh_links": [HTTP]}
    without = {key: value for key, value in sound.items() if key != name}
    apart = "mesh_kubeconfig" if name == "mesh_context" else "mesh_context"
    assert told({**sound, name: None}, apart) == told(without, apart)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mesh_ingress_gateway", {"namespace": None, "service": "edge", "selector": None}),
        ("mesh_egress_gateway", {"namespace": "edges", "service": None, "selector": {"istio": "edge"}}),
        ("custom_ca_revoked", [{**REVOKED, "reason": None, "link": None, "serial": None, "fingerprint": None}]),
    ],
)
def test_inside_of_a_variable(name: str, value: Any) -> None:
    sound = {"mesh_links": [HTTP]}
    assert without_nulls(value) != value
    assert told({**sound, name: value}) == told({**sound, name: without_nulls(value)})


def test_a_cluster_that_is_declared_without_a_value_is_not_declared() -> None:
    sound = {"mesh_links": [HTTP]}
    here = {"cluster-b": ["mesh_servers"], "cluster-a": ["mesh_clients"]}
    assert told({**sound, "mesh_clusters": {**here, "cluster-c": None}}) == told({**sound, "mesh_clusters": here})
    assert told({**sound, "mesh_clusters": {**here, "cluster-c": []}}) != told({**sound, "mesh_clusters": here})
