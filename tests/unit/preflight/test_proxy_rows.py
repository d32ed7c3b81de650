# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A preflight tells what a run would stop at in its proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import Answers
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import Row
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.side import Scene, side_rows
from tests.unit.pki.support import NOW
from tests.unit.plan.test_plan import POLICY
from tests.unit.plan.test_proxies import gateway, no_listener, seen
from tests.unit.proxy.test_judge import endpoint, put, refused
from tests.unit.support import SERVER, Json, link, view


def rows(found: Reading, manifests: Sequence[Any]) -> list[Row]:
    scene = Scene(found, {}, view([link()], SERVER)["server"], manifests, POLICY, lambda _trials: Answers())
    return [row for row in side_rows(scene, NOW) if row.check == "proxies"]


def told(found: Reading, manifests: Sequence[Any] | None = None) -> list[tuple[str, str, str]]:
    shown = rows(found, [gateway("mysql")] if manifests is None else manifests)
    return [(row.link, row.status, row.code) for row in shown]


def unreachable(dump: Json) -> None:
    put("health_status", value="UNHEALTHY")(endpoint(dump, "outbound|3306|"))


def test_a_sound_link_has_no_row() -> None:
    assert told(seen()) == []


def test_a_link_that_is_not_carried_fails_it_with_the_hop() -> None:
    assert told(seen(no_listener)) == [("mysql", "failed", "listener-missing")]
    (row,) = rows(seen(no_listener), [gateway("mysql")])
    assert row.where == "link mysql, hop 2, pod istio-system/istio-ingressgateway-0"
    assert row.fix


def test_where_the_run_writes_first_it_may_be_mended_by_that() -> None:
    assert told(seen(no_listener), [{**gateway("mysql"), "spec": {"servers": []}}]) == [
        ("mysql", "warning", "listener-missing")
    ]


def test_the_other_end_and_a_fresh_pod_are_warnings() -> None:
    assert told(seen(unreachable, refused(13307, "no", old=True))) == [
        ("mysql", "warning", "no-endpoint"),
        ("-", "warning", "fresh-pod-listener"),
    ]
