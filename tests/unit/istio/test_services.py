# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services: whose a host is to a proxy, and what a Sidecar and exportTo leave of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._istio import scopes
from ansible_collections.crossmesh.mtls.plugins.module_utils._istio.model import Proxy
from tests.unit.istio.objects import (
    GATE,
    HOST,
    ROOT,
    SHOP,
    TEAM,
    Object,
    entry,
    gateway,
    made,
    mesh_of,
    route,
    service,
    workload,
)


def owner(proxy: Proxy, *objects: Object, host: str = HOST, **settings: Any) -> str:
    """Whose the host is: NAMESPACE/NAME, or nothing where the proxy does not see it."""
    found = scopes.scope_of(mesh_of(*objects, **settings), proxy).services.get(host)
    return f"{found.meta.namespace}/{found.meta.name}" if found else ""


def sidecar(place: str, *hosts: str, **spec: Any) -> Object:
    return made("Sidecar", place, egress=[{"hosts": list(hosts)}], **spec)


OURS = entry(f"{GATE}/ours", 5)


def test_a_workload_takes_that_of_its_own_namespace_whatever_its_age() -> None:
    assert owner(workload(SHOP), OURS, entry(f"{SHOP}/theirs", 9)) == "shop/theirs"
    assert owner(workload(TEAM), OURS, entry(f"{SHOP}/theirs", 9)) == "gates/ours"
    assert owner(workload(TEAM), OURS, entry(f"{SHOP}/theirs", 1)) == "shop/theirs"


def test_a_gateway_takes_what_is_exported_to_some_before_what_is_public() -> None:
    assert owner(gateway(), OURS, entry(f"{SHOP}/theirs", 9, exportTo=[GATE])) == "shop/theirs"
    assert owner(gateway(), OURS, entry(f"{SHOP}/theirs", 9)) == "gates/ours"


def test_kubernetes_own_comes_before_a_service_entry() -> None:
    host = "db.shop.svc.cluster.local"
    squatter = entry(f"{GATE}/squatter", 1, host=host)
    assert owner(workload(TEAM), squatter, service(f"{SHOP}/db", 9), host=host) == "shop/db"
    assert owner(workload(GATE), squatter, service(f"{SHOP}/db", 9), host=host) == "gates/squatter"


@pytest.mark.parametrize(
    ("exports", "seen_by"),
    [
        (None, {SHOP, GATE}),
        (["*"], {SHOP, GATE}),
        (["."], {GATE}),
        ([SHOP], {SHOP}),
        (["~"], set()),
        (["~", SHOP], set()),
        (["*", "~"], {SHOP, GATE}),
    ],
)
def test_who_sees_an_entry(exports: list[str] | None, seen_by: set[str]) -> None:
    given: Any = {} if exports is None else {"exportTo": exports}
    found = entry(f"{GATE}/ours", **given)
    assert {place for place in (SHOP, GATE) if owner(workload(place), found)} == seen_by


def test_the_meshs_setting_counts_where_an_object_says_nothing() -> None:
    private: Any = {"services": frozenset({"."})}
    assert owner(workload(SHOP), OURS, **private) == ""
    assert owner(workload(SHOP), entry(f"{GATE}/ours", exportTo=["*"]), **private) == "gates/ours"


def test_a_service_is_exported_by_its_annotation() -> None:
    hidden = service(f"{TEAM}/db")
    hidden["metadata"]["annotations"] = {"networking.istio.io/exportTo": "~"}
    assert owner(gateway(), hidden, host="db.team.svc.cluster.local") == ""
    assert owner(gateway(), service(f"{TEAM}/db"), host="db.team.svc.cluster.local") == "team/db"


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        (["*/*"], True),
        (["./*"], False),
        ([f"{GATE}/*"], True),
        ([f"{GATE}/{HOST}"], True),
        ([f"*/{HOST}"], True),
        (["*/*.example.com"], True),
        ([f"{TEAM}/*"], False),
        (["*/*", f"~*/{HOST}"], False),
        (["*/*", f"~{GATE}/*"], False),
    ],
)
def test_what_a_sidecar_lets_through(hosts: list[str], seen: bool) -> None:
    assert bool(owner(workload(SHOP), OURS, sidecar(f"{SHOP}/narrow", *hosts))) is seen


def test_a_sidecar_is_not_for_gateways() -> None:
    assert owner(gateway(), OURS, sidecar(f"{GATE}/narrow", "./nothing.example")) == "gates/ours"


def test_which_sidecar_counts() -> None:
    wide = sidecar(f"{SHOP}/wide", "*/*")
    chosen = sidecar(f"{SHOP}/chosen", "./*", workloadSelector={"labels": {"app": "a"}})
    root = sidecar(f"{ROOT}/all", "./*")
    assert owner(workload(SHOP, app="a"), OURS, wide, chosen) == ""
    assert owner(workload(SHOP, app="b"), OURS, wide, chosen) == "gates/ours"
    assert owner(workload(SHOP, app="b"), OURS, chosen, root) == ""
    assert owner(workload(SHOP, app="b"), OURS, wide, root) == "gates/ours"
    assert owner(workload(TEAM), OURS, wide, root) == ""


def test_where_a_virtual_service_leads_is_seen_past_a_sidecar() -> None:
    narrow = sidecar(f"{SHOP}/narrow", "./*", "*/front.example.com")
    leads = made("VirtualService", f"{TEAM}/v", hosts=["front.example.com"], tcp=[route(HOST, 3306)])
    assert owner(workload(SHOP), OURS, narrow) == ""
    assert owner(workload(SHOP), OURS, narrow, leads) == "gates/ours"


def test_http_routes_for_other_callers_lead_nowhere() -> None:
    narrow = sidecar(f"{SHOP}/narrow", "./*", "*/front.example.com")
    http = [route(HOST, 3306, [{"sourceNamespace": TEAM}, {}])]
    leads = made("VirtualService", f"{TEAM}/v", hosts=["front.example.com"], http=http)
    assert owner(workload(SHOP), OURS, narrow, leads) == ""


def test_ports_of_alike_entries_are_put_together() -> None:
    more = entry(f"{GATE}/more", 9, port=3307)
    scope = scopes.scope_of(mesh_of(OURS, more), gateway())
    assert [port.number for port in scope.services[HOST].ports] == [3306, 3307]
    other = entry(f"{GATE}/more", 9, port=3307, resolution="STATIC")
    scope = scopes.scope_of(mesh_of(OURS, other), gateway())
    assert [port.number for port in scope.services[HOST].ports] == [3306]
