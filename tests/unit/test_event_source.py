# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source tells of a run of verify, and what the rulebook does of it."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.unit.support import CHECKOUT, Json

SOURCE = CHECKOUT / "extensions/eda/plugins/event_source/verify.py"
RULEBOOK = CHECKOUT / "extensions/eda/rulebooks/renew.yml"
LOOK, CALL = "crossmesh.mtls.mesh_cluster_info", "crossmesh.mtls.mesh_probe"
QUIET: Json = {
    "errors": [],
    "alarms": [],
    "renewals": [],
    "lines": [],
    "faults": [],
    "drifted": False,
    "served": True,
}
DUE = "issue Secret istio-system/mysql-credential: expires at 2027-01-01T00:00:00Z"


def source() -> Any:
    """As ansible-rulebook loads it: by its path."""
    spec = importlib.util.spec_from_file_location("event_source_verify", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def look(**side: Any) -> Json:
    return result(LOOK, {"sides": {"server": {**QUIET, **side}}})


def result(action: str, content: Json, host: str = "cluster-b", event: str = "runner_on_ok") -> Json:
    return {"event": event, "event_data": {"host": host, "task_action": action, "res": content}}


def told(*job_events: Json) -> list[tuple[str, str]]:
    return [(event["kind"], event["code"]) for event in source().events_of(job_events)]


def test_what_is_in_order_is_no_event() -> None:
    assert told(look(), result(CALL, {"faults": []}), {"event": "playbook_on_start"}) == []


CASES: Mapping[str, tuple[Json, list[tuple[str, str]]]] = {
    "due": (look(renewals=[DUE], lines=[DUE]), [("due", "")]),
    "overdue": (look(alarms=["it has expired. [certificate-overdue]"]), [("alarm", "certificate-overdue")]),
    "drift": (look(drifted=True, lines=["create Gateway a/b"], renewals=[]), [("drift", "")]),
    "a gateway that does not serve it": (look(served=False), [("fault", "not-served")]),
    "a proxy that does it not": (look(faults=["no. [no-cluster]"]), [("fault", "no-cluster")]),
    "a handshake that fails": (result(CALL, {"faults": ["no. [handshake]"]}), [("fault", "handshake")]),
    "a cluster that cannot be looked at": (
        result(LOOK, {"errors": [{"where": "b", "what": "is away", "code": "api-unreachable"}]}),
        [("error", "api-unreachable")],
    ),
    "an inventory that is refused": (
        result("crossmesh.mtls.mesh_topology_info", {"msg": "no. [missing]"}, "localhost", "runner_on_failed"),
        [("error", "missing")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_is_an_event_with_its_code(case: str) -> None:
    job_event, events = CASES[case]
    assert told(job_event) == events


def test_an_event_names_cluster_side_and_what_was_seen() -> None:
    assert list(source().events_of([look(renewals=[DUE])])) == [
        {"kind": "due", "cluster": "cluster-b", "side": "server", "code": "", "message": DUE}
    ]


def test_it_reads_what_the_modules_document() -> None:
    sides = returned("mesh_cluster_info")["sides"]["contains"]["server"]["contains"]
    assert QUIET.keys() <= sides.keys()
    assert "faults" in returned("mesh_probe")


def returned(module: str) -> Json:
    tree = ast.parse((CHECKOUT / f"plugins/modules/{module}.py").read_text(encoding="utf-8"))
    texts = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)
    }
    found: Json = yaml.safe_load(texts["RETURN"])
    return found


class Runs:
    """In place of ansible-runner: each run ends as it is told, and the last one is not there."""

    def __init__(self, *runs: SimpleNamespace) -> None:
        self.runs, self.given = list(runs), list[Json]()

    def run(self, **given: Any) -> Any:
        assert Path(given["private_data_dir"]).is_dir()
        self.given.append(given)
        if not self.runs:
            raise EOFError
        return self.runs.pop(0)


async def queued(module: Any, args: Json) -> list[Json]:
    queue: asyncio.Queue[Json] = asyncio.Queue()
    with pytest.raises(EOFError):
        await module.main(queue, args)
    return [queue.get_nowait() for _event in range(queue.qsize())]


def test_each_run_tells_anew_and_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = source()
    run = SimpleNamespace(events=[look(renewals=[DUE])], rc=0, status="successful")
    runs = Runs(run, run)
    monkeypatch.setattr(module, "ansible_runner", runs)
    found = asyncio.run(queued(module, {"inventory": "meshes", "interval": 0, "arguments": "--limit cluster-b"}))
    assert [event["crossmesh"]["message"] for event in found] == [DUE, DUE]
    assert [Path(given["private_data_dir"]).exists() for given in runs.given] == [False] * 3
    first = runs.given[0]
    assert (first["playbook"], first["cmdline"]) == ("crossmesh.mtls.verify", "--limit cluster-b")
    assert first["inventory"] == str(Path("meshes").absolute())


@pytest.mark.parametrize(("code", "events"), [(0, []), (1, ["verify-failed"])])
def test_a_run_that_looked_at_nothing_is_an_event_unless_all_is_well(
    monkeypatch: pytest.MonkeyPatch, code: int, events: list[str]
) -> None:
    module = source()
    monkeypatch.setattr(module, "ansible_runner", Runs(SimpleNamespace(events=[], rc=code, status="failed")))
    assert [event["code"] for event in module.findings({"inventory": "meshes"})] == events


def test_the_rulebook_renews_in_bounds_and_where_the_ca_is() -> None:
    (rules,) = yaml.safe_load(RULEBOOK.read_text(encoding="utf-8"))
    renew, tell = rules["rules"]
    assert "localhost" in rules["hosts"].split(",")
    assert all(rule["throttle"]["once_within"] for rule in (renew, tell))
    action = renew["action"]["run_playbook"]
    (imported,) = yaml.safe_load((CHECKOUT / "examples/awx" / action["name"]).read_text(encoding="utf-8"))
    assert imported["ansible.builtin.import_playbook"] == "crossmesh.mtls.rotate_certificates"
    assert set(action["extra_vars"]) == {"custom_ca_dir"}
    assert "run_playbook" not in tell["action"]
