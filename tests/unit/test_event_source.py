# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source tells of a run of verify, and what the rulebook does of it."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from tests.unit.support import CHECKOUT, Json

SOURCE = CHECKOUT / "extensions/eda/plugins/event_source/verify.py"
RULEBOOKS = CHECKOUT / "extensions/eda/rulebooks"
LOOK, CALL = "crossmesh.mtls.mesh_cluster_info", "crossmesh.mtls.mesh_probe"
EXTERNAL, ASSERT = "crossmesh.mtls.custom_ca_external", "ansible.builtin.assert"
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
GONE = "issue Secret istio-system/mysql-credential: there is no certificate yet"
EDITED = "change Gateway istio-system/mysql: metadata.labels.tier"
AWAY = Message.error("api-unreachable", where="b", what="no connection", fix="check the address")


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


def failed(host: str, action: str, *errors: Message, event: str = "runner_on_failed") -> Json:
    """As our actions fail."""
    return result(action, failure(*map(CrossmeshError, errors)), host, event)


def kept(action: str, message: str, link: str = "mysql") -> Json:
    return {"link": link, "action": action, "message": message}


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
    "a certificate that is due where something else has drifted": (
        look(drifted=True, renewals=[DUE], lines=[DUE, EDITED]),
        [("due", ""), ("drift", ""), ("drift", "")],
    ),
    "a Secret that is missing": (look(drifted=True, renewals=[GONE], lines=[GONE]), [("due", ""), ("drift", "")]),
    "CRLs that are due": (
        result(LOOK, {"sides": {"server": QUIET}, "lists_due": "root 4f0c has no CRL yet"}),
        [("due", "crl-due")],
    ),
    "a cluster that cannot be looked at": (
        failed("cluster-b", LOOK, AWAY, event="runner_on_ok"),
        [("error", "api-unreachable")],
    ),
    "a look that breaks": (result(LOOK, {"msg": "Worker process was killed"}), [("error", "")]),
    "an external server's certificate": (
        result(EXTERNAL, {"servers": [kept("issue", "expires at 2027"), kept("keep", "valid")]}, "localhost"),
        [("due", "")],
    ),
    "an external server's that is overdue": (
        result(EXTERNAL, {"alarms": ["it has expired. [certificate-overdue]"]}, "localhost"),
        [("alarm", "certificate-overdue")],
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


def test_what_is_wrong_on_the_controller_is_one_event_each() -> None:
    several = failed(
        "localhost", "crossmesh.mtls.mesh_topology_info", AWAY, Message.error("missing", where="a", what="b")
    )
    assert told(several) == [("error", "api-unreachable"), ("error", "missing")]
    items = ["one line. [journal-changed]", "ALARM: another. [crl-overdue]"]
    report = result(ASSERT, {"msg": items}, "localhost", "runner_on_failed")
    assert [(event["code"], event["message"]) for event in source().events_of([report])] == [
        ("journal-changed", "one line. [journal-changed]"),
        ("crl-overdue", "another. [crl-overdue]"),
    ]


def test_a_cluster_that_goes_away_after_its_look_is_told() -> None:
    gone = failed("cluster-b", CALL, AWAY, event="runner_on_unreachable")
    assert told(look(), gone) == [("error", "api-unreachable")]


def test_a_failure_that_tells_the_same_again_is_no_second_event() -> None:
    seen = failed("cluster-b", LOOK, AWAY, event="runner_on_ok")
    again = failed("cluster-b", CALL, AWAY, event="runner_on_unreachable")
    of_another = failed("cluster-c", CALL, AWAY, event="runner_on_unreachable")
    assert told(seen, again) == [("error", "api-unreachable")]
    assert told(seen, again, of_another) == [("error", "api-unreachable")] * 2
    # Of a cluster, what the playbook ends with is all that was seen of it.
    assert told(look(renewals=[DUE]), result(ASSERT, {"msg": [DUE, "a report"]}, event="runner_on_failed")) == [
        ("due", "")
    ]


def test_external_servers_are_told_once_each_under_their_own_name() -> None:
    missing, overdue = "there is no certificate yet", "it has expired. [certificate-overdue]"
    servers = [kept("issue", missing), kept("issue", missing, "redis")]
    looked = result(EXTERNAL, {"servers": servers, "alarms": [overdue]}, "localhost")
    # The words of playbook verify.
    report = result(ASSERT, {"msg": [missing, missing, f"ALARM: {overdue}"]}, "localhost", "runner_on_failed")
    assert [(event["kind"], event["cluster"]) for event in source().events_of([looked, report])] == [
        ("due", "external:mysql"),
        ("due", "external:redis"),
        ("alarm", "localhost"),
    ]


def test_it_reads_what_the_modules_document() -> None:
    look_at = returned("mesh_cluster_info")
    assert QUIET.keys() <= look_at["sides"]["contains"]["server"]["contains"].keys()
    assert "lists_due" in look_at
    assert "faults" in returned("mesh_probe")
    external = returned("custom_ca_external")
    assert "alarms" in external
    assert kept("", "").keys() <= external["servers"]["contains"].keys()


def returned(module: str) -> Json:
    tree = ast.parse((CHECKOUT / f"plugins/modules/{module}.py").read_text(encoding="utf-8"))
    texts = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)
    }
    found: Json = yaml.safe_load(texts["RETURN"])
    return found


def run_of(*job_events: Json, rc: int = 0, status: str = "successful", whole: bool = True) -> SimpleNamespace:
    ends: list[Json] = [{"event": "playbook_on_stats"}] if whole else []
    return SimpleNamespace(events=[*job_events, *ends], rc=rc, status=status)


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
    run = run_of(look(renewals=[DUE]))
    runs = Runs(run, run)
    monkeypatch.setattr(module, "ansible_runner", runs)
    given_to_it = {"arguments": "--limit cluster-b,localhost", "extra_vars": {"custom_ca_dir": "/srv/ca"}}
    found = asyncio.run(queued(module, {"inventory": "meshes", "interval": 0, **given_to_it}))
    assert [event["crossmesh"]["message"] for event in found] == [DUE, DUE]
    assert [Path(given["private_data_dir"]).exists() for given in runs.given] == [False] * 3
    first = runs.given[0]
    assert (first["playbook"], first["cmdline"]) == ("crossmesh.mtls.verify", "--limit cluster-b,localhost")
    assert first["extravars"] == {"custom_ca_dir": "/srv/ca"}
    assert first["inventory"] == str(Path("meshes").absolute())


@pytest.mark.parametrize(("code", "events"), [(0, []), (1, ["verify-failed"])])
def test_a_run_that_looked_at_nothing_is_an_event_unless_all_is_well(
    monkeypatch: pytest.MonkeyPatch, code: int, events: list[str]
) -> None:
    module = source()
    monkeypatch.setattr(module, "ansible_runner", Runs(run_of(rc=code, status="failed")))
    assert [event["code"] for event in found_by(module)] == events


@pytest.mark.parametrize(
    ("run", "events"),
    [
        (run_of(look(renewals=[DUE]), rc=2, status="failed"), ["due"]),
        (run_of(look(renewals=[DUE]), rc=254, status="timeout"), ["due", "error"]),
        (run_of(look(renewals=[DUE]), rc=-9, status="failed", whole=False), ["due", "error"]),
    ],
    ids=["ended", "timed out", "killed"],
)
def test_a_run_that_did_not_end_says_so_beside_what_it_found(
    monkeypatch: pytest.MonkeyPatch, run: SimpleNamespace, events: list[str]
) -> None:
    module = source()
    monkeypatch.setattr(module, "ansible_runner", Runs(run))
    assert [event["kind"] for event in found_by(module)] == events


def found_by(module: Any) -> list[Json]:
    found: list[Json] = module.findings({"inventory": "meshes"}, threading.Event())
    return found


def test_what_is_written_while_its_folder_is_deleted_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module, runs, rmdir = source(), Runs(run_of(look(renewals=[DUE]))), os.rmdir
    refused: list[OSError] = []

    def late(path: str, **given: Any) -> None:
        folder = Path(runs.given[0]["private_data_dir"])
        (folder / "late").write_text("", encoding="utf-8")
        try:
            rmdir(path, **given)
        except OSError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(module, "ansible_runner", runs)
    monkeypatch.setattr(os, "rmdir", late)
    assert [event["kind"] for event in found_by(module)] == ["due"]
    assert refused
    monkeypatch.undo()
    for leftover in map(Path, {given["private_data_dir"] for given in runs.given}):
        (leftover / "late").unlink()
        leftover.rmdir()


class Endless(Runs):
    """A run that ends when it is told to, or after a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.stopped = threading.Event(), False

    def run(self, **given: Any) -> Any:
        self.given.append(given)
        self.begun.set()
        ends = time.monotonic() + 60
        while not self.stopped and time.monotonic() < ends:
            self.stopped = given["cancel_callback"]()
            time.sleep(0.01)
        return run_of(status="canceled", rc=254, whole=False)


def test_a_rulebook_that_ends_ends_the_run_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module, runs = source(), Endless()
    monkeypatch.setattr(module, "ansible_runner", runs)

    async def stopped() -> None:
        task = asyncio.create_task(module.main(asyncio.Queue(), {"inventory": "meshes"}))
        await asyncio.to_thread(runs.begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not Path(runs.given[0]["private_data_dir"]).exists()

    asyncio.run(stopped())
    assert runs.stopped


def test_a_source_without_inventory_ends_with_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"^source .* inventory is missing\. Fix: set it .*\. \[no-inventory\]$"):
        asyncio.run(source().main(asyncio.Queue(), {}))


def test_codes_of_the_source_itself_are_explained_where_readers_look() -> None:
    page = (CHECKOUT / "docs/ways.md").read_text(encoding="utf-8")
    for code in ("verify-failed", "no-inventory"):
        assert code in source().DOCUMENTATION
        assert f"`{code}`" in page


def rules_of(name: str) -> Json:
    (rules,) = yaml.safe_load((RULEBOOKS / name).read_text(encoding="utf-8"))
    found: Json = rules
    return found


def test_the_rulebook_renews_in_bounds_and_where_the_ca_is() -> None:
    rules = rules_of("renew.yml")
    renew, tell = rules["rules"]
    assert "localhost" in rules["hosts"].split(",")
    assert all(rule["throttle"]["once_within"] for rule in (renew, tell))
    action = renew["action"]["run_playbook"]
    (imported,) = yaml.safe_load((CHECKOUT / "examples/awx" / action["name"]).read_text(encoding="utf-8"))
    assert imported["ansible.builtin.import_playbook"] == "crossmesh.mtls.rotate_certificates"
    assert action["copy_files"] is False
    assert set(action["extra_vars"]) == {"custom_ca_dir"}
    # What is verified and what is renewed is of one CA.
    assert rules["sources"][0]["crossmesh.mtls.verify"]["extra_vars"] == action["extra_vars"]
    assert "run_playbook" not in tell["action"]


def test_the_rulebook_for_the_platform_starts_the_template_of_the_example() -> None:
    rules, by_playbook = rules_of("renew_by_template.yml"), rules_of("renew.yml")
    action = rules["rules"][0]["action"].pop("run_job_template")
    template = template_of(action["name"])
    assert template["playbook"] == by_playbook["rules"][0]["action"].pop("run_playbook")["name"]
    # The rulebook's hosts become the job's limit.
    assert template["ask_limit_on_launch"]
    required = {item["variable"] for item in template["survey_spec"]["spec"] if item["required"]}
    assert set(action["job_args"]["extra_vars"]) == required
    # All but what is started is the same.
    assert rules["rules"] == by_playbook["rules"]
    assert rules["hosts"] == by_playbook["hosts"]


def template_of(name: str) -> Json:
    text = (CHECKOUT / "examples/awx/controller.yml").read_text(encoding="utf-8").replace("!unsafe ", "")
    (play,) = yaml.safe_load(text)
    templates = (task.get("awx.awx.job_template", {}) for task in play["tasks"])
    (found,) = (template for template in templates if template.get("name") == name)
    return dict(found)
