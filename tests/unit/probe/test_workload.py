# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking by exec: which pod and container, and what is no answer and no fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, Executed, RefusedError
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.question import LIMIT, TIMEOUT, commands
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.workload import Asked, ask_links
from tests.unit.cluster.fake_api import api_error
from tests.unit.probe.support import GREETING, probed_link
from tests.unit.support import CLIENT, Json, link, refused, view

GREETS = f"name 198.18.2.10\ntool python3\nport open\nbytes {GREETING.hex()}\nend open\n"
FORBIDDEN = RefusedError(Message.error("proxy-silent", where="x", what="exec is forbidden (403)"), forbidden=True)


def pod(
    name: str = "web-0", *, ready: bool = True, containers: Sequence[str] = ("web", "istio-proxy"), **metadata: Any
) -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"containers": [{"name": found} for found in containers]},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


@dataclass
class Cluster:
    """Pods, and what each command puts out, by its first word; nothing where it cannot be started."""

    pods: list[Json]
    outputs: dict[str, str | Exception] = field(default_factory=lambda: {"sh": GREETS})
    executed: list[tuple[str, str, str, str]] = field(default_factory=list)
    selectors: list[str] = field(default_factory=list)
    finished: bool = True

    def get(self, path: str, query: Json) -> Json:
        if not self.pods:
            raise api_error(path, 403)
        assert path == "/api/v1/namespaces/shop/pods"
        self.selectors.append(query["labelSelector"])
        return {"items": self.pods}

    def execute(
        self, namespace: str, name: str, container: str, command: Sequence[str], timeout: float, limit: float
    ) -> Executed:
        assert limit == LIMIT
        self.executed.append((namespace, name, container, command[0]))
        found = self.outputs.get(command[0], "")
        if isinstance(found, Exception):
            raise found
        return Executed(found, self.finished, bool(found))


def ask(cluster: Cluster, **probe: Any) -> Asked:
    found, _probe = probed_link(**probe)
    (asked,) = ask_links(cast(Api, cluster), [found])
    return asked


def test_a_probe_is_asked_in_the_first_ready_pod_and_not_in_its_proxy() -> None:
    cluster = Cluster([pod("web-2"), pod("web-0", ready=False), pod("web-1", containers=("istio-proxy", "app"))])
    assert ask(cluster) == Asked("mysql", "asked in pod shop/web-1")
    assert cluster.executed == [("shop", "web-1", "app", "sh")]
    assert cluster.selectors == ["app=web"]


@pytest.mark.parametrize(
    ("annotation", "given", "container"),
    [("app", "", "app"), ("istio-proxy", "", "web"), ("gone", "", "web"), ("app", "debug", "debug")],
)
def test_the_container_is_kubectls_or_the_one_that_is_named(annotation: str, given: str, container: str) -> None:
    annotations = {"kubectl.kubernetes.io/default-container": annotation}
    cluster = Cluster([pod(containers=("istio-proxy", "web", "app", "debug"), annotations=annotations)])
    ask(cluster, **{"from": {"namespace": "shop", "selector": {"app": "web"}, "container": given or None}})
    assert cluster.executed[0][2] == container


def test_a_pod_that_goes_is_not_asked() -> None:
    cluster = Cluster([pod(deletionTimestamp="2026-01-01T00:00:00Z"), pod("web-1")])
    ask(cluster)
    assert cluster.executed[0][1] == "web-1"


def test_python_is_tried_where_there_is_no_shell() -> None:
    cluster = Cluster([pod()], {"python3": GREETS})
    assert ask(cluster) == Asked("mysql", "asked in pod shop/web-0")
    assert [command for *_place, command in cluster.executed] == ["sh", "python3"]


def test_a_broken_call_is_a_fault_with_the_pod_that_asked() -> None:
    asked = ask(Cluster([pod()], {"sh": "tool python3\nname 198.18.2.10\nport open\nend closed\n"}))
    assert asked.unasked is None
    assert asked.fault is not None
    assert str(asked.fault.message()).startswith(
        "link mysql, answer, asked in pod shop/web-0: wanted a greeting of MySQL"
    )


@pytest.mark.parametrize(("heard", "silent"), [("", True), ("bytes 5353482d\n", False)])
def test_a_connection_that_stays_open_is_told_from_an_answer(heard: str, silent: bool) -> None:
    cluster = Cluster([pod()], {"sh": f"tool python3\nname 198.18.2.10\nport open\n{heard}end open\n"})
    assert ask(cluster, kind="tcp") == Asked("mysql", "asked in pod shop/web-0", silent=silent)


@pytest.mark.parametrize("several", [False, True])
def test_an_open_connection_is_waited_for_longer_than_proxies_wait_for_theirs(several: bool) -> None:
    addresses = ["198.51.100.1", "198.51.100.2"] if several else ["198.51.100.1"]
    found, question = probed_link(
        "tcp", SERVERS=[{"name": f"cluster-{item[-1]}", "address": item} for item in addresses]
    )
    shell, _python = commands(found, question)
    wait = float(shell[shell.index("crossmesh-probe") + 6])
    assert wait > float(found["connect_timeout"].removesuffix("s"))
    # Istio's own, of the sidecar and of the ingress gateway.
    assert wait > 10
    assert wait * 2 < TIMEOUT


def test_an_unknown_name_is_a_fault_though_no_tool_was_chosen() -> None:
    asked = ask(Cluster([pod()], {"sh": "name\n"}))
    assert asked.fault is not None
    assert asked.fault.code == "name-unknown"


UNASKED = [
    (Cluster([]), "403", "allow list on pods"),
    (Cluster([pod(ready=False)]), "no ready pod there has the labels app=web", "correct probe.from"),
    (Cluster([pod()], {"sh": FORBIDDEN}), "exec is forbidden (403)", "pods/exec"),
    (Cluster([pod()], {}), "no shell there, and no python3", "python3, bash"),
    (Cluster([pod()], {"sh": "name 1.2.3.4\ntool none\n"}), "nothing there that can ask for mysql", "python3, bash"),
]


@pytest.mark.parametrize(("cluster", "why", "fix"), UNASKED)
def test_what_cannot_be_asked_is_told_and_no_fault_unless_it_has_to_be(cluster: Cluster, why: str, fix: str) -> None:
    asked = ask(cluster)
    assert asked.fault is None
    assert asked.unasked is not None
    assert (asked.unasked.code, asked.unasked.level) == ("probe-not-asked", "warning")
    assert why in asked.unasked.what
    assert fix in asked.unasked.fix
    demanded = ask(cluster, required=True)
    assert demanded.unasked is None
    assert demanded.fault is not None
    assert (demanded.fault.code, demanded.fault.place) == ("probe-not-asked", "answer")
    assert why in demanded.fault.found


def test_links_without_a_probe_are_not_asked_and_cost_nothing() -> None:
    cluster = Cluster([pod()])
    assert ask_links(cast(Api, cluster), view([link()], CLIENT)["client"]["links"]) == []
    assert (cluster.executed, cluster.selectors) == ([], [])


def test_a_pod_that_has_nothing_but_a_proxy_is_not_asked() -> None:
    cluster = Cluster([pod(containers=("istio-proxy",))])
    asked = ask(cluster)
    assert asked.unasked
    assert "no container but its proxy" in asked.unasked.what
    assert cluster.executed == []


def test_a_name_that_takes_longer_than_the_command_may_is_the_name_that_is_broken() -> None:
    asked = ask(Cluster([pod()], {"sh": "shell sh\n"}, finished=False))
    assert asked.fault
    assert (asked.fault.code, asked.fault.place) == ("name-unknown", "name")
    # The control: without a shell nothing is said of the name.
    assert ask(Cluster([pod()], {"sh": ""})).fault is None


def test_a_cluster_that_is_away_is_no_reason_not_to_ask() -> None:
    away = CrossmeshError(Message.error("api-unreachable", where="context a", what="no answer", fix="x"))
    with refused("api-unreachable"):
        ask(Cluster([pod()], {"sh": away}))
