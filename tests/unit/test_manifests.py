# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan is handed to kubernetes.core.k8s: which calls, in which order, and what is told of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.utils.display import Display

from ansible_collections.crossmesh.mtls.plugins.action import mesh_manifests
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._parallel import FEWEST, MOST, at_once, shares
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.support import Json, run_action

KUBECONFIG = Path(__file__).with_name("kubeconfig.yml")
VARIABLES = {"mesh_kubeconfig": str(KUBECONFIG), "mesh_context": "b", "mesh_cluster_name": "cluster-b"}


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """What is asked beside the writes: whether something that was deleted is gone."""
    found = FakeApi()
    monkeypatch.setattr(Variables, "api", lambda _self, **_how: found)
    return found


def manifest(number: int, kind: str = "Gateway") -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": f"object-{number}", "namespace": "istio-system"}}


def wrote(item: Json) -> Json:
    noted = {**item, "metadata": {**item["metadata"], "uid": "1", "managedFields": ["long"]}, "status": {}}
    return {"changed": True, "result": noted, "diff": {"before": {}, "after": noted}}


def answer(arguments: Json) -> Json:
    """As the module answers: another form for one object."""
    results = [wrote(item) for item in arguments["definition"]]
    return results[0] if len(results) == 1 else {"changed": True, "result": {"results": results}}


@dataclass
class Writer:
    """Ansible's loader of actions, with one in it that remembers what it is asked to write."""

    respond: Callable[[Json], Json] = answer
    asked: list[Json] = field(default_factory=list)
    environments: list[Any] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)

    def get(self, name: str, task: Any, **_others: Any) -> SimpleNamespace:
        assert name == task.action == "kubernetes.core.k8s"

        def run(task_vars: Json) -> Json:
            handed = yaml.safe_load(Path(task.args["kubeconfig"]).read_text())
            self.servers += [entry["cluster"]["server"] for entry in handed["clusters"]]
            self.asked.append(task.args)
            self.environments.append((dict(os.environ), task.environment))
            return self.respond(task.args)

        return SimpleNamespace(run=run)


def written(writer: Writer, variables: Json = VARIABLES, *, moved: Sequence[str] = (), **lists: list[Json]) -> Json:
    plan = {
        "manager": "crossmesh-default-cluster-b-server",
        "manifests": json.dumps(lists) if lists else "",
        "moved": list(moved),
        "namespace": "istio-system",
        "service": "istio-egressgateway",
        "selector": {"istio": "egressgateway"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh_manifests, "action_loader", writer)
        return run_action(mesh_manifests, {"plan": plan}, variables)


def test_each_kind_of_change_is_one_call_and_they_come_in_this_order() -> None:
    writer = Writer()
    result = written(writer, delete=[manifest(4)], write=[manifest(3)], force=[manifest(2)], strip=[manifest(1)])
    assert (result["changed"], result["objects"]) == (True, 4)
    # One file in memory for all calls: the settings that the reads go by.
    assert set(writer.servers) == {"https://b.example"}
    (path,) = {asked["kubeconfig"] for asked in writer.asked}
    connection = {"kubeconfig": path, "context": "crossmesh", "persist_config": False}
    manager = {"field_manager": "crossmesh-default-cluster-b-server"}
    assert writer.asked == [
        {**connection, "state": "patched", "merge_type": ["merge"], "definition": [manifest(1)]},
        {
            **connection,
            "apply": True,
            "server_side_apply": {**manager, "force_conflicts": True},
            "definition": [manifest(2)],
        },
        {**connection, "apply": True, "server_side_apply": manager, "definition": [manifest(3)]},
        {**connection, "state": "absent", "definition": [manifest(4)]},
    ]


def test_what_was_deleted_and_stays_is_an_error_that_says_what_keeps_it(cluster: FakeApi) -> None:
    item = manifest(1)
    held = {"deletionTimestamp": "2026-11-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    cluster.objects = [{**item, "metadata": {**item["metadata"], **held}}]
    at_once = {**VARIABLES, "mesh_gate_timeout": 0}
    result = written(Writer(), at_once, delete=[item])
    assert [error["code"] for error in result["errors"]] == ["under-deletion"]
    assert "example.com/hold" in result["msg"]
    assert (result["changed"], result["unfinished"]) == (True, True)
    # The control: another one is gone.
    assert not written(Writer(), at_once, delete=[manifest(2)]).get("failed")


def test_nothing_is_called_where_nothing_differs() -> None:
    writer = Writer()
    result = written(writer)
    assert (result["changed"], result["objects"], writer.asked) == (False, 0, [])


def test_a_diff_names_each_object_and_leaves_out_what_a_server_notes_of_all() -> None:
    result = written(Writer(), write=[manifest(1), manifest(2)])
    assert [item["after_header"] for item in result["diff"]] == [
        "Gateway istio-system/object-1",
        "Gateway istio-system/object-2",
    ]
    assert result["diff"][0]["after"] == manifest(1)


def test_nothing_of_the_environment_leads_the_writes_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_HOST", "https://elsewhere.example")
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    writer = Writer()
    written(writer, write=[manifest(1)])
    ((environ, of_the_play),) = writer.environments
    assert not {"K8S_AUTH_HOST", "KUBECONFIG"} & set(environ)
    assert of_the_play == []
    assert os.environ["K8S_AUTH_HOST"] == "https://elsewhere.example", "the next task has it back"


def test_a_token_of_the_environment_is_in_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_HOST", "https://b.example")
    monkeypatch.setenv("K8S_AUTH_API_KEY", "a-secret-token")
    contents: list[str] = []

    def respond(arguments: Json) -> Json:
        contents.append(Path(arguments["kubeconfig"]).read_text())
        return answer(arguments)

    writer = Writer(respond)
    written(writer, {"mesh_kubeconfig": "environment", "mesh_cluster_name": "cluster-b"}, write=[manifest(1)])
    assert "a-secret-token" in contents[0]
    assert "a-secret-token" not in str(writer.asked) + str(writer.environments)


def test_what_the_module_says_becomes_one_message_and_nothing_more_is_called() -> None:
    writer = Writer(lambda arguments: {"failed": True, "msg": "no such\nkind"})
    result = written(writer, write=[manifest(1)], delete=[manifest(2)])
    assert result["failed"]
    (error,) = result["errors"]
    assert (error["code"], error["where"]) == ("not-written", "cluster cluster-b")
    assert error["what"].endswith("no such kind")
    assert len(writer.asked) == 1
    assert (result["changed"], result["unfinished"]) == (False, False)


def test_a_module_that_fails_without_a_word_is_told_so() -> None:
    (error,) = written(Writer(lambda arguments: {"failed": True, "msg": ""}), write=[manifest(1)])["errors"]
    assert error["what"] == "kubernetes.core.k8s failed (write): it does not say why"


def test_a_failure_tells_what_was_written_before_it() -> None:
    writer = Writer(lambda asked: answer(asked) if asked.get("apply") else {"failed": True, "msg": "no"})
    result = written(writer, write=[manifest(1)], delete=[manifest(2)])
    assert (result["failed"], result["changed"], result["unfinished"], result["objects"]) == (True, True, True, 1)
    assert len(result["diff"]) == 1


def test_what_the_api_server_warns_of_is_told_once() -> None:
    def warned(asked: Json) -> Json:
        return {**answer(asked), "warnings": ["v1beta1 goes", "v1beta1 goes"]}

    assert written(Writer(warned), write=[manifest(1)], delete=[manifest(2)])["warnings"] == ["v1beta1 goes"]


def test_the_routes_of_a_long_list_come_when_all_else_is_written() -> None:
    """Nothing of them is written where something else could not be."""
    items = [manifest(number, kind) for kind in ("VirtualService", "Gateway") for number in range(FEWEST)]
    assert written(Writer(), write=items)["objects"] == 2 * FEWEST

    def refuse_gateways(asked: Json) -> Json:
        assert {item["kind"] for item in asked["definition"]} == {"Gateway"}
        return {"failed": True, "msg": "no"}

    (error,) = written(Writer(refuse_gateways), write=items)["errors"]
    assert error["what"].endswith("no")


def test_a_long_list_is_told_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, line, **_how: said.append(line))
    items = [manifest(number) for number in range(2 * FEWEST)]
    result = written(Writer(), write=items)
    assert result["objects"] == len(items)
    assert len(result["diff"]) == len(items)
    assert said == [
        f"cluster-b: {FEWEST} of {2 * FEWEST} objects written",
        f"cluster-b: {2 * FEWEST} of {2 * FEWEST} objects written",
    ]


# -- several calls at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "parts"), [(1, 1), (FEWEST, 1), (FEWEST + 1, 2), (100 * FEWEST, MOST)])
def test_a_list_is_dealt_out_whole(length: int, parts: int) -> None:
    dealt = shares(range(length))
    assert len(dealt) == parts
    assert sorted(item for part in dealt for item in part) == list(range(length))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert all(list(part) == sorted(part) for part in dealt)


def test_calls_run_in_processes_of_their_own_and_all_answer() -> None:
    pids = [result["pid"] for result in at_once([lambda: {"pid": os.getpid()}] * 3)]
    assert len({*pids, os.getpid()}) == 4


def test_one_call_needs_no_process() -> None:
    assert list(at_once([lambda: {"pid": os.getpid()}])) == [{"pid": os.getpid()}]


def broken() -> Json:
    raise ValueError("spoilt")


@pytest.mark.parametrize("others", [0, 2])
def test_a_call_that_raises_is_a_failure(others: int) -> None:
    results = list(at_once([broken, *[lambda: {"fine": True}] * others]))
    assert [result for result in results if "fine" not in result] == [
        {"failed": True, "msg": "the call ended with ValueError"}
    ]
    assert len(results) == others + 1


def test_a_call_whose_process_dies_is_a_failure() -> None:
    results = list(at_once([lambda: os._exit(3), lambda: {"fine": True}]))
    assert [result["msg"] for result in results if result.get("failed")] == ["the process that made the call has died"]


def test_routes_that_carry_are_changed_when_their_new_clusters_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """And before anything is deleted; nothing is waited for in check mode."""
    writer, order = Writer(), list[str]()
    monkeypatch.setattr(mesh_manifests, "await_clusters", lambda *_about, **_how: order.append(f"{len(writer.asked)}"))
    routes, rest = [manifest(1, "VirtualService")], [manifest(2)]
    result = written(writer, moved=["outbound|13306|mysql|fqdn"], force=routes, write=rest, delete=[manifest(3)])
    assert order == ["1"]
    assert [asked["definition"] for asked in writer.asked] == [rest, routes, [manifest(3)]]
    assert (result["changed"], result["objects"]) == (True, 3)


@pytest.mark.parametrize("takes_long", ["gate", "writes"])
def test_what_a_gate_waits_is_not_taken_from_the_writes(monkeypatch: pytest.MonkeyPatch, takes_long: str) -> None:
    """With the control: time that the writes take themselves is."""
    now = [0.0]
    monkeypatch.setattr(mesh_manifests, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def pass_time(who: str) -> None:
        now[0] += 1000 if who == takes_long else 0

    def respond(arguments: Json) -> Json:
        pass_time("writes")
        return answer(arguments)

    monkeypatch.setattr(mesh_manifests, "await_clusters", lambda *_about, **_how: pass_time("gate"))
    items = [manifest(1, "VirtualService"), manifest(2)]
    result = written(
        Writer(respond), {**VARIABLES, "mesh_cluster_timeout": 600}, moved=["outbound|13306|mysql|fqdn"], write=items
    )
    codes = [error["code"] for error in result.get("errors", ())]
    assert (result["objects"], codes) == ((2, []) if takes_long == "gate" else (1, ["cluster-too-slow"]))


def test_routes_stay_as_they_are_where_their_new_clusters_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_about: object, **_how: object) -> None:
        raise CrossmeshError(Message.error("no-way-out", where="gateway a/b", what="no", fix="look"))

    monkeypatch.setattr(mesh_manifests, "await_clusters", never)
    writer = Writer()
    items = [manifest(1, "VirtualService"), manifest(2)]
    result = written(writer, moved=["outbound|13306|mysql|fqdn"], write=items, delete=[manifest(3)])
    assert [error["code"] for error in result["errors"]] == ["no-way-out"]
    assert [asked["definition"] for asked in writer.asked] == [[manifest(2)]]
    assert (result["changed"], result["unfinished"]) == (True, True)
