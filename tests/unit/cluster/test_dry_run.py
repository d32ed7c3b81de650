# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that are only tried, and the room that quotas have."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import PARALLEL, Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import (
    Outcome,
    Quota,
    Trial,
    read_quotas,
    try_all,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.places import Place
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.support import Json, refused

PATH = collection_path("Gateway", "istio-system") + "/gateway-mysql"
SECRET = collection_path("Secret", "istio-system") + "/mysql-credential"


def trial(verb: Any = "apply", kind: str = "Gateway", path: str = PATH) -> Trial:
    body = {} if verb == "delete" else {"kind": kind, "spec": {"a": 1}, "data": {"tls.key": "c2VjcmV0"}}
    return Trial(verb, Place(kind, "istio-system", "gateway-mysql", "gateways", path), body, "m")


def tried(api: FakeApi, *trials: Trial) -> list[Outcome]:
    return try_all(cast(Api, api), trials)


@pytest.mark.parametrize("verb", ["apply", "merge"])
def test_what_would_be_kept_comes_back_and_nothing_is_written(verb: str) -> None:
    api = FakeApi(admission=lambda item: {**item, "spec": {**item["spec"], "b": 2}})
    (outcome,) = tried(api, trial(verb))
    assert (outcome.refusal, outcome.spec) == (None, {"a": 1, "b": 2})
    assert [call.verb for call in api.dry_calls] == [verb]
    assert api.calls == []


def test_of_a_secret_nothing_is_kept() -> None:
    (outcome,) = tried(FakeApi(), trial("merge", "Secret", SECRET))
    assert (outcome.refusal, outcome.spec) == (None, None)
    assert "c2VjcmV0" not in repr(Outcome(outcome.trial, spec=outcome.spec).spec)


def test_who_refuses_what_is_told_in_the_order_of_the_trials() -> None:
    api = FakeApi(refused={PATH: (409, {"reason": "Conflict"})})
    outcomes = tried(api, trial("merge", "Secret", SECRET), trial())
    assert [outcome.refusal and outcome.refusal.cause for outcome in outcomes] == [None, "conflict"]


def test_what_is_to_go_and_has_gone_is_in_nobodys_way() -> None:
    (outcome,) = tried(FakeApi(), trial("delete"))
    assert outcome.refusal is None
    there = {"kind": "Gateway", "metadata": {"name": "gateway-mysql", "namespace": "istio-system"}}
    (outcome,) = tried(FakeApi([there], refused={PATH: (500, {})}), trial("delete"))
    assert outcome.refusal


def test_one_that_has_no_answer_is_told_of_its_object_and_the_rest_goes_on() -> None:
    outcomes = tried(FakeApi(lost={PATH}), trial("merge", "Secret", SECRET), trial(), trial("merge", "Secret", SECRET))
    assert [outcome.lost and outcome.lost.code for outcome in outcomes] == [None, "api-unreachable", None]
    assert [outcome.refusal for outcome in outcomes] == [None, None, None]


def test_where_nothing_is_answered_it_ends_early() -> None:
    api = FakeApi(lost={PATH, "/version"})
    with refused("api-unreachable"):
        tried(api, *[trial()] * 200)
    assert len(api.dry_calls) <= 2 * PARALLEL


@pytest.mark.parametrize("path", [PATH, SECRET], ids=["all", "every other one"])
def test_where_answers_do_not_come_it_ends_in_time_whatever_comes_between(path: str) -> None:
    """An API server that says its version and keeps much else waiting."""
    api, now = FakeApi(lost={PATH}), [1000.0]

    def clock() -> float:
        # As if each look at the clock were a minute after the one before, for one of those who ask at once.
        now[0] += 60.0 / PARALLEL
        return now[0]

    with refused("api-unreachable"):
        try_all(cast(Api, api), [trial(), trial("merge", "Secret" if path == SECRET else "Gateway", path)] * 100, clock)
    assert len(api.dry_calls) < 100


def test_what_is_answered_may_take_long() -> None:
    api, now = FakeApi(), iter(range(1000, 10**6, 600))
    outcomes = try_all(cast(Api, api), [trial("merge", "Secret", SECRET)] * 20, lambda: float(next(now)))
    assert [outcome.lost for outcome in outcomes] == [None] * 20


def quota(name: str, status: Json) -> Json:
    return {"kind": "ResourceQuota", "metadata": {"name": name, "namespace": "istio-system"}, "status": status}


def test_the_room_of_quotas_is_what_is_left() -> None:
    counts = {"hard": {"secrets": "10", "count/x.y": "3", "cpu": "500m", "pods": "1k"}, "used": {"secrets": "8"}}
    api = FakeApi([quota("few", counts), quota("new", {})])
    assert read_quotas(cast(Api, api), {"istio-system"}) == [
        Quota("istio-system", "few", {"secrets": 2, "count/x.y": 3}),
        Quota("istio-system", "new", {}),
    ]
    assert read_quotas(cast(Api, api), {"elsewhere"}) == []


def test_where_they_may_not_be_read_there_are_none() -> None:
    api = FakeApi(statuses={collection_path("ResourceQuota", "istio-system"): 403})
    assert read_quotas(cast(Api, api), {"istio-system"}) == []
