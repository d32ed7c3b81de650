# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Lease that one writer holds at a time, by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.lease import DURATION, Lease
from tests.unit.ca.fake_cluster import PLACE, FakeCluster
from tests.unit.support import refused


@dataclass
class Clock:
    """:param while_asleep: what others do meanwhile."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def lease(cluster: FakeCluster, clock: Clock, patience: float = 60) -> Lease:
    api = cast(Api, cluster)
    return Lease(api, PLACE.namespace, "lock", {}, "tests", patience, "the work", clock, clock.sleep)


def holder(cluster: FakeCluster) -> str:
    (found,) = (item for item in cluster.objects.values() if item["kind"] == "Lease")
    return str(found["spec"].get("holderIdentity", ""))


def test_it_is_let_go_and_taken_again_without_a_wait() -> None:
    cluster, clock = FakeCluster(), Clock()
    for _turn in range(2):
        with lease(cluster, clock):
            assert holder(cluster)
        assert holder(cluster) == ""
    assert clock.slept == []


def test_one_that_is_held_is_waited_for_in_bounds_and_the_holder_is_named() -> None:
    cluster, clock = FakeCluster(), Clock()
    with lease(cluster, clock) as held:
        waiting = Clock()

        def renew(seconds: float) -> None:
            waiting.now += seconds
            clock.now = waiting.now
            held.keep()

        late = Lease(cast(Api, cluster), PLACE.namespace, "lock", {}, "tests", 60, "the work", waiting, renew)
        with refused("lock-held") as caught, late:
            pytest.fail("two hold it")
        assert 60 <= waiting.now - 1000 < 61
        assert holder(cluster) in caught.value.message.what
    with late:
        assert holder(cluster)


def test_that_of_a_holder_who_died_is_lost_after_its_time_by_the_clock_of_who_waits() -> None:
    cluster, clock = FakeCluster(), Clock()
    lease(cluster, Clock(now=7e9)).__enter__()
    dead = holder(cluster)
    with lease(cluster, clock, patience=1):
        assert DURATION < clock.now - 1000 < DURATION + 1
        assert holder(cluster) != dead


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"metadata": None}, {"metadata": {"resourceVersion": 7}}, {"metadata": {"resourceVersion": ""}}],
)
def test_an_answer_to_a_write_that_names_no_version_is_one_error(answer: object) -> None:
    class Liar(FakeCluster):
        def create(self, *_request: object, **_options: object) -> Any:
            return answer

    with refused("malformed-object"), lease(Liar(), Clock()):
        raise AssertionError("held without a version")


def test_who_lost_it_is_told_before_the_next_write_and_leaves_it_to_its_new_holder() -> None:
    cluster, clock, other = FakeCluster(), Clock(), Clock()
    late = lease(cluster, other)
    with refused("lease-lost"), lease(cluster, clock) as held:
        clock.now += DURATION
        late.__enter__()
        new = holder(cluster)
        held.keep()
    assert new
    assert holder(cluster) == new


def test_it_is_renewed_once_a_third_of_its_time_is_over() -> None:
    cluster, clock = FakeCluster(), Clock()
    with lease(cluster, clock) as held:
        held.keep()
        assert [verb for verb, _path in cluster.writes] == ["create"]
        clock.now += DURATION / 3
        held.keep()
        assert [verb for verb, _path in cluster.writes] == ["create", "update"]


def test_a_namespace_that_is_missing_and_a_permission_are_told_at_once() -> None:
    clock = Clock()
    with refused("no-namespace"), lease(FakeCluster(namespaces=frozenset()), clock):
        pytest.fail("held")
    with refused("not-permitted"), lease(FakeCluster(denied=frozenset({("create", "leases")})), clock):
        pytest.fail("held")
    assert clock.slept == []


def test_what_a_holder_says_of_itself_is_cut() -> None:
    cluster, clock = FakeCluster(), Clock()
    with lease(cluster, clock):
        pass
    (found,) = cluster.objects.values()
    found["spec"]["holderIdentity"] = "x" * 5000

    def touched(seconds: float) -> None:
        clock.now += seconds
        found["metadata"]["resourceVersion"] = f"{clock.now}"

    late = Lease(cast(Api, cluster), PLACE.namespace, "lock", {}, "tests", 60, "the work", clock, touched)
    with refused("lock-held") as caught, late:
        pytest.fail("held")
    assert "x" * 200 in caught.value.message.what
    assert "x" * 201 not in caught.value.message.what
