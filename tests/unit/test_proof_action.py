# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of links after a proof: of this one, of one before it in the same run, and of one that failed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_proof
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import Watch
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proof import (
    Expected,
    Proof,
    UnprovenError,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables
from tests.unit.support import SERVER, Json, link, numbered, run_action

STATUS: Json = {
    "link": "mysql",
    "cluster": "cluster-b",
    "side": "server",
    "secret": "mysql-credential",
    "until": "2026-12-01T00:00:00Z",
    "root": "old",
    "serving": 0,
    "ready": 2,
    "unseen": 2,
}
PLAN: Json = {
    "side": "server",
    "namespace": "istio-system",
    "service": "istio-ingressgateway",
    "selector": {"istio": "ingressgateway"},
    "errors": [],
    "credentials": [],
    "secrets": 1,
    "expected": ["1"],
    "trust": [],
    "issuers": ["old"],
    "surplus": [],
    "endpoints": [],
    "await_address": False,
    "judged": [],
    "unbacked": [],
    "status": [STATUS],
}
LOOK: Json = {
    "cluster": "cluster-b",
    "instance": "default",
    "options": {"stage": "all", "existing": False, "force": False},
    "sides": {"server": PLAN},
}
ISSUED: Json = {
    "sides": {
        "server": {
            "serials": ["2"],
            "issuers": ["new"],
            "credentials": [
                {"name": "mysql-credential", "certificate": {"not_after": "2027-02-01T00:00:00Z", "serial": "02"}}
            ],
        }
    }
}
EARLIER: Json = {
    "methods": {"client": "exec"},
    "pods": {"client": ["istio-egressgateway-0"]},
    "links": {"client": [{**STATUS, "side": "client"}]},
}


def proven(monkeypatch: pytest.MonkeyPatch, outcome: Proof | CrossmeshError, *, check: bool = False) -> Json:
    def prove(*_arguments: Any, **_more: Any) -> Proof:
        if isinstance(outcome, CrossmeshError):
            raise outcome
        return outcome

    monkeypatch.setattr(mesh_proof, "prove", prove)
    monkeypatch.setattr(Variables, "api", lambda _self, waits: None)
    return run_action(mesh_proof, {"look": LOOK, "issued": ISSUED, "earlier": EARLIER}, {}, check=check)


@pytest.mark.parametrize(
    ("proof", "counts"),
    [
        (Proof("exec", ["a", "b"]), (2, 2, 0)),
        (Proof("handshake"), (2, 2, 0)),
        (Proof("wait"), (0, 2, 2)),
        (Proof("wait", ["a"]), (1, 2, 1)),
    ],
    ids=["every pod was asked", "by handshakes", "nobody could be asked", "one could"],
)
def test_a_link_is_told_as_it_was_seen(
    monkeypatch: pytest.MonkeyPatch, proof: Proof, counts: tuple[int, int, int]
) -> None:
    result = proven(monkeypatch, proof)
    (link,) = result["links"]["server"]
    assert (link["serving"], link["ready"], link["unseen"]) == counts
    assert (link["until"], link["root"]) == ("2027-02-01T00:00:00Z", "new")


def test_what_was_proven_before_in_the_same_run_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    result = proven(monkeypatch, Proof("exec", ["a"]))
    assert result["methods"] == {"client": "exec", "server": "exec"}
    assert result["pods"] == {"client": ["istio-egressgateway-0"], "server": ["a"]}
    assert set(result["links"]) == {"client", "server"}


def test_in_check_mode_nothing_is_asked_and_what_was_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    result = proven(monkeypatch, CrossmeshError(Message.error("not-served", where="x", what="x")), check=True)
    assert not result.get("failed")
    assert {key: result[key] for key in EARLIER} == EARLIER


def test_a_proof_that_fails_tells_the_new_certificate_as_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    result = proven(monkeypatch, CrossmeshError(Message.error("not-served", where="x", what="x")))
    assert result["failed"]
    assert [error["code"] for error in result["errors"]] == ["not-served"]
    (link,) = result["links"]["server"]
    assert (link["until"], link["serving"], link["ready"], link["unseen"]) == ("2027-02-01T00:00:00Z", 0, 2, 0)
    assert set(result["links"]) == {"client", "server"}


def fault(link: str) -> Fault:
    return Fault("plain-way-out", link, 2, "istio-system/a", "mutual TLS", "PLAIN TEXT", "remove it")


@pytest.mark.parametrize(("link", "counts", "broken"), [("mysql", (1, 2, 0), "hop 2"), ("other", (2, 2, 0), "")])
def test_a_link_that_is_not_as_it_is_meant_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, link: str, counts: tuple[int, int, int], broken: str
) -> None:
    seen = Proof("exec", ["a", "b"], faults=[fault(link)])
    result = proven(monkeypatch, UnprovenError([fault(link).message()], seen))
    assert result["failed"]
    assert [error["code"] for error in result["errors"]] == ["plain-way-out"]
    (told,) = result["links"]["server"]
    assert ((told["serving"], told["ready"], told["unseen"]), told["broken"]) == (counts, broken)


def test_the_pods_are_judged_by_the_links_that_the_look_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Expected] = []

    def prove(_api: Any, _gateway: Any, expected: Expected, *_arguments: Any, **_more: Any) -> Proof:
        asked.append(expected)
        return Proof("exec", ["a"])

    monkeypatch.setattr(mesh_proof, "prove", prove)
    monkeypatch.setattr(Variables, "api", lambda _self, waits: None)
    variables = {**SERVER, "group_names": SERVER["groups"], "mesh_links": [link(), numbered(1)]}
    look = {**LOOK, "sides": {"server": {**PLAN, "judged": ["mysql"]}}}
    result = run_action(mesh_proof, {"look": look, "issued": ISSUED}, variables)
    assert not result.get("failed"), result
    (expected,) = asked
    assert expected.watch == Watch(frozenset({(3306, "mysql.default.svc.cluster.local")}))
    assert expected.strict


@pytest.mark.parametrize(("lacking", "serving"), [("2", 1), ("mysql-credential", 1), ("3", 2), ("other-credential", 2)])
def test_a_link_counts_by_its_own_certificate_and_trust(
    monkeypatch: pytest.MonkeyPatch, lacking: str, serving: int
) -> None:
    seen = Proof("exec", ["a", "b"], lacking={"istio-system/a": frozenset({lacking}), "istio-system/b": frozenset()})
    (told,) = proven(monkeypatch, UnprovenError([fault("x").message()], seen))["links"]["server"]
    assert (told["serving"], told["ready"]) == (serving, 2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        ({"manifests": True}, ["manifests"]),
        ({"issued": ISSUED}, ["credentials"]),
        ({"issued": {"skipped": True}, "earlier": {"written": ["manifests"]}}, ["manifests"]),
        ({"issued": ISSUED, "earlier": {"written": ["manifests"]}}, ["credentials", "manifests"]),
    ],
)
def test_what_was_written_for_either_side_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, given: Json, told: list[str]
) -> None:
    monkeypatch.setattr(mesh_proof, "prove", lambda *_arguments, **_more: Proof("exec"))
    monkeypatch.setattr(Variables, "api", lambda _self, waits: None)
    assert run_action(mesh_proof, {"look": LOOK, **given}, {})["written"] == told
