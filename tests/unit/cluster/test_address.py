# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of a gateway's Service: there, late, or never; and what is said meanwhile."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.address import await_address
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.support import Json

INGRESS = Gateway("gateways", "edge", {"istio": "edge"})
TITLE = "context cluster-b of kubeconfig: Service gateways/edge"
GIVEN: dict[str, Json] = {"an address": {"ip": "203.0.113.7"}, "a host name": {"hostname": "lb.example.com"}}


def service(**spec: Any) -> Json:
    metadata = {"name": "edge", "namespace": "gateways"}
    return {"kind": "Service", "metadata": metadata, "spec": {"type": "LoadBalancer", "ports": [], **spec}}


class Wait:
    """A clock that passes only where somebody waits, and a load balancer that comes at a second."""

    def __init__(self, thing: Json | None, *, comes: float | None = None, given: Json | None = None) -> None:
        self.api = FakeApi([thing] if thing else [], {}, {})
        self.now = 0.0
        self.said: list[str] = []
        self._comes, self._given = comes, given

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self._comes is not None and self.now >= self._comes:
            self.api.objects[0]["status"] = {"loadBalancer": {"ingress": [self._given]}}

    def await_address(self, timeout: float = 60) -> list[Message]:
        return await_address(
            cast(Api, self.api), INGRESS, timeout, say=self.said.append, clock=lambda: self.now, pause=self.pause
        )


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_one_that_is_there_is_not_waited_for(given: Json) -> None:
    wait = Wait({**service(), "status": {"loadBalancer": {"ingress": [given]}}})
    assert (wait.await_address(), wait.said, wait.now) == ([], [], 0)


@pytest.mark.parametrize("thing", [service(type="NodePort"), service(type="ClusterIP"), None])
def test_where_none_is_to_come_none_is_waited_for(thing: Json | None) -> None:
    wait = Wait(thing)
    assert (wait.await_address(), wait.said, wait.now) == ([], [], 0)


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_one_that_comes_late_is_told_when_it_does(given: Json) -> None:
    wait = Wait(service(), comes=23, given=given)
    assert wait.await_address() == []
    (address,) = given.values()
    assert wait.said == [
        f"{TITLE} has no address yet; waited 0 s of 60",
        f"{TITLE} has no address yet; waited 10 s of 60",
        f"{TITLE} has no address yet; waited 20 s of 60",
        f"{TITLE} has {address} after 23 s",
    ]


def test_one_that_does_not_come_is_a_warning() -> None:
    wait = Wait(service())
    (warning,) = wait.await_address(5)
    assert (warning.code, warning.level, warning.where) == ("no-address", "warning", "Service gateways/edge")
    assert warning.what.endswith("waited 5 s (mesh_gate_timeout)")
    assert warning.fix
