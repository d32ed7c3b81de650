# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was deleted is waited for, and named where it does not go."""

from __future__ import annotations

from typing import cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.departure import await_gone
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Life, Manifest
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.support import Json

HELD: Life = {"deletionTimestamp": "2026-11-01T00:00:00Z", "finalizers": ["example.com/hold"]}


def manifest(kind: str = "Gateway", name: str = "gateway-mysql") -> Manifest:
    return {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": name, "namespace": "istio-system"}}


def item(kind: str = "Gateway", name: str = "gateway-mysql", **life: object) -> Json:
    return {"kind": kind, "metadata": {"name": name, "namespace": "istio-system", **life}}


class Clock:
    """It passes where somebody waits; the finalizer goes after C(until) seconds."""

    def __init__(self, api: FakeApi, until: float) -> None:
        self.api, self.until, self.now = api, until, 0.0
        self.said: list[str] = []

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.until:
            self.api.objects.clear()

    def wait(self, *deleted: Manifest) -> list[tuple[str, Life]]:
        return await_gone(
            cast(Api, self.api), deleted, 30, say=self.said.append, clock=lambda: self.now, pause=self.pause
        )


def test_what_is_gone_is_not_waited_for() -> None:
    clock = Clock(FakeApi([item(name="another", **HELD)]), 99)
    assert clock.wait(manifest(), manifest("Secret", "mysql-credential")) == []
    assert clock.now == 0


def test_a_finalizer_has_its_time() -> None:
    clock = Clock(FakeApi([item(**HELD)]), 12)
    assert clock.wait(manifest()) == []
    assert 12 <= clock.now < 13
    assert [line for line in clock.said if "being deleted: Gateway istio-system/gateway-mysql" in line]


def test_what_does_not_go_is_named_with_what_keeps_it() -> None:
    clock = Clock(FakeApi([item(**HELD), item("Secret", "mysql-credential", **HELD)]), 99)
    left = clock.wait(manifest(), manifest("Secret", "mysql-credential"))
    assert left == [("Gateway istio-system/gateway-mysql", HELD), ("Secret istio-system/mysql-credential", HELD)]


def test_what_somebody_has_made_anew_is_not_waited_for() -> None:
    assert Clock(FakeApi([item(finalizers=["example.com/hold"])]), 99).wait(manifest()) == []


def test_what_may_not_be_looked_at_is_not_waited_for() -> None:
    path = collection_path("Gateway", "istio-system") + "/gateway-mysql"
    assert Clock(FakeApi([item(**HELD)], statuses={path: 403}), 99).wait(manifest()) == []
