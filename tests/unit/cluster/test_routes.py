# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters that new routes lead to: there, late, or never; and pods that may not be asked."""

from __future__ import annotations

import json
from typing import cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, RefusedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import outbound
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Gateway
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.routes import await_clusters
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.support import Json

EGRESS = Gateway("gateways", "exit", {"istio": "exit"})
WANTED = outbound(13306, "mysql.server.example.com", "mysql")
BEFORE = outbound(13306, "mysql.server.example.com")


def pod(name: str, *, ready: bool = True) -> Json:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    metadata = {"name": name, "namespace": "gateways", "uid": name, "labels": {}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "istio-proxy"}]}, "status": status}


class Proxies:
    """Pods whose proxies know a cluster from a second on; a clock that passes only where somebody waits.

    :param knows: second from which each pod knows what is wanted; None for one that may not be asked.
    """

    where = "context cluster-a of kubeconfig"

    def __init__(self, knows: dict[str, float | None], *, unready: str = "") -> None:
        self._knows, self._unready = knows, unready
        self.now = 0.0
        self.said: list[str] = []

    def get(self, _path: str, _query: Json) -> Json:
        return {"items": [pod(name, ready=name != self._unready) for name in self._knows]}

    def proxy_request(self, _namespace: str, name: str, path: str, _timeout: float) -> str:
        assert path == "clusters?format=json"
        since = self._knows[name]
        if since is None:
            raise RefusedError(Message.error("proxy-silent", where=name, what="no", fix="allow it"), forbidden=True)
        known = [BEFORE, WANTED] if self.now >= since else [BEFORE]
        return json.dumps({"cluster_statuses": [{"name": item} for item in known]})

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, timeout: float = 60) -> None:
        await_clusters(
            cast(Api, self),
            EGRESS,
            [WANTED],
            timeout,
            wait=7,
            say=self.said.append,
            clock=lambda: self.now,
            pause=self.pause,
        )


def test_what_every_pod_knows_is_not_waited_for() -> None:
    proxies = Proxies({"exit-0": 0, "exit-1": 0})
    proxies.wait()
    assert (proxies.now, proxies.said) == (0, [])


def test_it_waits_for_the_last_pod_and_says_so() -> None:
    proxies = Proxies({"exit-0": 0, "exit-1": 25})
    proxies.wait()
    assert proxies.now == pytest.approx(25, abs=0.5)
    assert len(proxies.said) == 2
    assert f"pod exit-1: has no {WANTED}" in proxies.said[0]
    assert "exit-0" not in proxies.said[0]


def test_a_pod_that_is_not_ready_is_not_asked() -> None:
    proxies = Proxies({"exit-0": 0, "exit-1": 1000}, unready="exit-1")
    proxies.wait()
    assert proxies.now == 0


def test_where_a_pod_may_not_be_asked_the_others_are_and_some_time_passes() -> None:
    proxies = Proxies({"exit-0": None, "exit-1": 3})
    proxies.wait()
    assert proxies.now == pytest.approx(10, abs=0.5)


def test_one_that_never_comes_is_an_error_that_names_it() -> None:
    with pytest.raises(CrossmeshError) as raised:
        Proxies({"exit-0": 0, "exit-1": 1000}).wait(timeout=20)
    error = raised.value.message
    assert (error.code, error.where) == ("no-way-out", "gateway gateways/exit")
    assert f"pod exit-1: has no {WANTED}; after 20 s" in error.what
    assert "left as they are" in error.what
