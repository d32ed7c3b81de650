# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs are told of a run: which check failed, with its code; what was not covered; and well-formed XML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.status import LinkSide
from ansible_collections.crossmesh.mtls.plugins.module_utils._preflight.rows import NOBODY, Row
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.attempts import attempt_of, case_of
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.clusters import (
    ClusterRun,
    Scope,
    cluster_suites,
    link_suites,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.junit import to_junit
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.model import Case, Results, Suite, results_schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._results.run import (
    Heading,
    Lists,
    coverage,
    crls,
    made,
    of_rows,
    tasks,
    unfinished,
)
from tests.unit.support import CHECKOUT, Json

HEADING = Heading("verify", "blue", "2026-03-01T02:17:00Z", "job 7", check_mode=False)
VERIFY, APPLY = Scope("verify"), Scope("apply")
DONE = attempt_of({"changed": False})
ERROR = Message.error(
    "port-not-tcp", where="Service istio-system/ingress", what="is not TCP", fix="choose another port"
)
FAULT = "link mysql, hop 2, pod istio-system/egress-0: wanted mutual TLS; found PLAIN TEXT. [plain-way-out]"
ENDS = {"mysql": [("cluster-a", "client"), ("cluster-b", "server"), ("external:mysql", "server")]}


def side(cluster: str = "cluster-a", of: str = "client", **changes: Any) -> Json:
    values: Json = {"until": "2026-05-30T02:17:00Z", "root": "91e5", "serving": 1, "ready": 1, "unseen": 0, **changes}
    return dict(LinkSide("mysql", cluster, of, "client-credential", **values).to_json())


def cluster(name: str = "cluster-a", **found: Any) -> ClusterRun:
    return ClusterRun(name, found.pop("look", DONE), **found)


def ended(suites: list[Suite]) -> dict[tuple[str, str], tuple[str, str]]:
    return {(suite.name, case.name): (case.status, case.code) for suite in suites for case in suite.cases}


def results(*suites: Suite, finished: bool = True) -> Results:
    return made(HEADING, suites, finished=finished)


# -- clusters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "check", "code"),
    [
        ({"errors": (str(ERROR),)}, "plan", "port-not-tcp"),
        ({"drifted": True, "lines": ("write Gateway a/b: it does not exist",)}, "drift", ""),
        ({"faults": (FAULT,)}, "proof", "plain-way-out"),
        ({"served": False, "unserved": ("Secret a/b: served by 0 of 1 pods",)}, "proof", ""),
        ({"attempts": {"proof": attempt_of({"failed": True, "msg": FAULT})}}, "proof", "plain-way-out"),
        ({"alarms": (FAULT,)}, "alarms", "plain-way-out"),
        ({"stopped": ("left out. [left-out]",)}, "turn", "left-out"),
    ],
)
def test_verify_fails_in_the_check_that_it_is_about(found: Json, check: str, code: str) -> None:
    cases = ended(cluster_suites([cluster(**found)], VERIFY))
    assert {name for (_cluster, name), (status, _code) in cases.items() if status == "failed"} == {check}
    assert cases["cluster-a", check] == ("failed", code)
    in_order = ended(cluster_suites([cluster()], VERIFY))
    assert {status for status, _code in in_order.values()} == {"passed"}, "the control: nothing is wrong"


def test_what_site_writes_is_no_failure_and_what_it_could_not_write_is_one() -> None:
    drifted: dict[str, Any] = {"drifted": True, "lines": ("write Gateway a/b: it does not exist",), "served": False}
    failed = attempt_of({"failed": True, "errors": [ERROR.to_json()], "msg": "in other words"})
    made_so = {"credentials": DONE, "manifests": DONE, "proof": DONE}
    written = ended(cluster_suites([cluster(**drifted, attempts=made_so)], APPLY))
    assert {status for status, _code in written.values()} == {"passed"}
    stopped = ended(cluster_suites([cluster(**drifted, attempts={"credentials": DONE, "manifests": failed})], APPLY))
    assert stopped["cluster-a", "manifests"] == ("failed", "port-not-tcp")
    assert stopped["cluster-a", "proof"] == ("skipped", "")


def test_a_cluster_that_is_away_fails_its_look_and_one_that_the_run_is_not_over_is_skipped() -> None:
    away = cluster(look=attempt_of({"unreachable": True, "msg": "refused. [api-unreachable]"}))
    cases = ended(cluster_suites([away, cluster("cluster-b", look=attempt_of({}))], VERIFY))
    assert cases == {("cluster-a", "look"): ("failed", "api-unreachable"), ("cluster-b", "look"): ("skipped", "")}


def test_in_check_mode_nothing_is_proven() -> None:
    cases = ended(cluster_suites([cluster(attempts={"proof": DONE})], Scope("apply", check=True)))
    assert cases["cluster-a", "proof"] == ("skipped", "")


# -- links ---------------------------------------------------------------------------------------------------------


def link_cases(found: ClusterRun, scope: Scope) -> dict[tuple[str, str], tuple[str, str]]:
    return ended(link_suites(ENDS, [found, cluster("cluster-b", look=attempt_of({}))], scope))


def test_each_end_of_a_link_is_a_case_and_an_external_server_is_none() -> None:
    assert link_cases(cluster(links=[side()]), VERIFY) == {
        ("mysql", "client in cluster-a"): ("passed", ""),
        ("mysql", "server in cluster-b"): ("skipped", ""),
    }


def test_a_broken_link_fails_verify_with_the_code_and_words_of_its_fault() -> None:
    found = cluster(faults=(FAULT,), links=[side(broken="hop 2", cause="plain-way-out")])
    (suite,) = link_suites({"mysql": [("cluster-a", "client")]}, [found], VERIFY)
    assert suite.cases == (Case("client in cluster-a", "failed", "plain-way-out", (FAULT,)),)
    # site ends well with it, and warns.
    assert link_cases(found, APPLY)["mysql", "client in cluster-a"] == ("skipped", "plain-way-out")


@pytest.mark.parametrize(
    ("changes", "scope", "status"),
    [
        ({"refused": "port-not-tcp"}, APPLY, "failed"),
        ({"serving": 0, "unseen": 1}, VERIFY, "skipped"),
        ({"answer": "not asked"}, VERIFY, "skipped"),
        ({"until": ""}, VERIFY, "failed"),
        ({"until": ""}, APPLY, "skipped"),
        ({"ready": 0, "serving": 0}, VERIFY, "failed"),
        ({"broken": "hop 2", "cause": "x"}, Scope("verify", only=["other"]), "skipped"),
    ],
)
def test_a_link_end_fails_where_the_playbook_fails_for_it(changes: Json, scope: Scope, status: str) -> None:
    assert link_cases(cluster(links=[side(**changes)]), scope)["mysql", "client in cluster-a"][0] == status


# -- the run -------------------------------------------------------------------------------------------------------


def run_cases(given: Mapping[str, Json], scope: Scope = VERIFY) -> dict[str, tuple[str, str]]:
    return {case.name: (case.status, case.code) for case in tasks(given, scope)}


def test_the_journal_the_inventory_and_the_ca_are_cases_where_their_tasks_were_run() -> None:
    found = run_cases(
        {
            "inventory": {"failed": True, "errors": [ERROR.to_json()]},
            "journal": {"problems": ["entry 2 was edited. [journal-changed]"], "msg": ""},
            "ca": {"skipped": True},
            "steps": {},
        }
    )
    assert found == {"inventory": ("failed", "port-not-tcp"), "journal": ("failed", "journal-changed")}
    assert run_cases({"journal": {"problems": [], "msg": "whole"}}) == {"journal": ("passed", "")}


@pytest.mark.parametrize(
    ("server", "verify", "site"),
    [
        ({"action": "keep", "reason": "valid", "messages": []}, "passed", "passed"),
        ({"action": "issue", "reason": "expires", "messages": []}, "passed", "passed"),
        ({"action": "issue", "reason": "missing", "messages": [], "message": "there is none"}, "failed", "passed"),
        ({"action": "keep", "reason": "valid", "messages": [ERROR.to_json()]}, "failed", "passed"),
    ],
)
def test_an_external_server_is_a_case(server: Json, verify: str, site: str) -> None:
    given = {"external": {"servers": [{"link": "bank", **server}], "waiting": []}}
    assert run_cases(given)["external:bank"][0] == verify
    assert run_cases(given, APPLY)["external:bank"][0] == site


def test_an_external_server_that_a_run_failed_for_is_a_failure_of_the_run() -> None:
    """As Ansible registers it under C(failed_when: false), by which the other servers go on."""
    failed = {"external": {"failed": False, "errors": [ERROR.to_json()], "servers": [], "waiting": []}}
    for scope in (VERIFY, APPLY):
        assert run_cases(failed, scope)["external"] == ("failed", "port-not-tcp")


def test_crls_fail_where_they_are_wrong_or_were_withheld() -> None:
    withheld = {"failed": True, "msg": "CRLs are due and were not published. [crl-withheld]"}
    assert crls(Lists(), withheld, APPLY).code == "crl-withheld"
    assert crls(Lists(["a certificate is revoked"], wrong=True), {}, VERIFY).status == "failed"
    assert crls(Lists(["a certificate is revoked"], wrong=True), {}, APPLY).status == "passed"
    assert crls(Lists(["they are old"]), {}, VERIFY) == Case("crls", "passed", "", ("they are old",))


def test_what_the_run_is_not_over_is_a_case() -> None:
    away = cluster(look=attempt_of({}))
    only = Scope("verify", only=["mysql"])
    assert coverage([away], ["mysql", "web"], only, "").messages == (
        "not looked at in this run: cluster-a",
        "links not in mesh_only_links: web",
    )
    assert coverage([cluster()], ["mysql"], VERIFY, "").status == "passed"
    assert coverage([cluster()], [], VERIFY, "lacks cluster-c. [not-covered]").code == "not-covered"


def test_a_run_that_has_not_finished_has_not_passed() -> None:
    begun = results(Suite("run", "verify", (unfinished("verify"),)), finished=False)
    assert (begun.finished, begun.passed, begun.counts.error) == (False, False, 1)
    assert begun.suites[0].cases[0].code == "run-unfinished"
    assert results(Suite("run", "verify", ())).passed


def test_rows_of_a_preflight_are_cases_of_clusters_and_links() -> None:
    rows = [
        Row(NOBODY, NOBODY, "topology", "ok", "the inventory is sound"),
        Row("cluster-a", NOBODY, "permission", "ok", "some"),
        Row.of("cluster-a", NOBODY, "permission", ERROR),
        Row("cluster-a", "mysql", "fqdn", "unknown", "not known"),
    ]
    assert ended(of_rows(rows, "preflight")) == {
        ("preflight", "topology"): ("passed", ""),
        ("cluster-a", "permission"): ("failed", "port-not-tcp"),
        ("mysql", "fqdn in cluster-a"): ("skipped", ""),
    }


# -- the files -----------------------------------------------------------------------------------------------------

HOSTILE = "a<b>&\"'\x00\x1b[31m\u202e]]>\ud800 <failure/>"
SUITES = (
    Suite("run", "verify", (case_of("journal", "passed", ["whole"]), unfinished("verify"))),
    Suite(
        "cluster", HOSTILE, (case_of("look", "failed", [HOSTILE, str(ERROR)]), case_of("drift", "skipped", [HOSTILE]))
    ),
    Suite("link", "mysql", (case_of(HOSTILE, "failed", [str(ERROR)]), case_of("plan", "passed"))),
)


def test_the_schema_is_the_one_of_the_docs() -> None:
    written = json.loads((CHECKOUT / "docs/results.schema.json").read_text(encoding="utf-8"))
    assert written == results_schema(), "run make docs"


# As Jenkins describes the dialect (junit-10.xsd): which element holds which, and what each must have.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "property": set[str](),
    "testcase": {"failure", "error", "skipped", "system-out"},
    "failure": set[str](),
    "error": set[str](),
    "skipped": set[str](),
    "system-out": set[str](),
}
NUMBERS = {"tests", "failures", "errors", "skipped"}
NEEDED = {
    "testsuites": {"name", "time", *NUMBERS},
    "testsuite": {"name", "timestamp", "time", *NUMBERS},
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
}


def misshapen(element: ET.Element) -> list[str]:
    """What the dialect does not have."""
    found = [f"{element.tag}: {child.tag}" for child in element if child.tag not in CHILDREN[element.tag]]
    if set(element.attrib) != NEEDED.get(element.tag, set()):
        found.append(f"{element.tag}: {sorted(element.attrib)}")
    if element.tag == "testcase" and len(element) > 1:
        found.append("testcase: several ends")
    return found + [fault for child in element for fault in misshapen(child)]


def test_the_xml_is_of_the_dialect_and_counts_right() -> None:
    root = ET.fromstring(to_junit(results(*SUITES)))
    assert misshapen(root) == []
    assert {name: root.get(name) for name in NUMBERS} == {"tests": "6", "failures": "2", "errors": "1", "skipped": "1"}
    for suite in root:
        cases = suite.findall("testcase")
        ends = [child.tag for case in cases for child in case]
        assert suite.get("tests") == str(len(cases))
        assert [suite.get(name) for name in ("failures", "errors", "skipped")] == [
            str(ends.count(tag)) for tag in ("failure", "error", "skipped")
        ]
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
        assert suite.get("timestamp") == "2026-03-01T02:17:00"
        told = {item.get("name"): item.get("value") for item in suite.iter("property")}
        assert (told["instance"], told["time"], told["run"]) == ("blue", "2026-03-01T02:17:00Z", "job 7")


def test_what_is_misshapen_is_seen() -> None:
    root = ET.fromstring('<testsuites><testcase name="a"><failure/><failure/></testcase></testsuites>')
    assert misshapen(root)[:2] == ["testsuites: testcase", "testsuites: []"]
    assert "testcase: several ends" in misshapen(root)


def test_a_failure_has_its_code_and_all_of_its_words() -> None:
    root = ET.fromstring(to_junit(results(*SUITES)))
    failures = {failure.get("type"): failure for failure in root.iter("failure")}
    assert failures["port-not-tcp"].get("message") == failures["port-not-tcp"].text == str(ERROR)
    # Without a code, the check.
    assert failures["look"].text is not None
    assert failures["look"].text.endswith(str(ERROR))


def test_foreign_text_is_escaped_and_no_control_character_is_left() -> None:
    content = to_junit(results(*SUITES))
    assert [letter for letter in content if not letter.isprintable() and letter != "\n"] == []
    content.encode()
    root = ET.fromstring(content)
    assert "a<b>&\"'\\u0000\\u001b[31m\\u202e]]>\\ud800 <failure/>" in {
        case.get("name") for case in root.iter("testcase")
    }
