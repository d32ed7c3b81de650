# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which links are judged in the gateway's pods, and what a run makes of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.config_dump import read_proxy
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from tests.unit.plan.test_plan import LEAF, MANIFEST, OWNER, POLICY, SERVICE, plan_of, secret, serving
from tests.unit.plan.test_plan import reading as reading_of
from tests.unit.proxy.test_judge import DUMPS, SALES, Edit, endpoint, listener, part, put, refused, waits_for
from tests.unit.support import Json, codes_of, link

BACKEND: Json = {"service": "mysql", "namespace": "default", "found": True, "ports": [3306], "pods": 1, "sidecars": 1}


def gateway(name: str) -> Json:
    metadata = {**MANIFEST["metadata"], "name": f"gateway-{name}", "labels": OWNER.labels(name), "managedFields": []}
    return {**MANIFEST, "metadata": metadata}


def no_listener(dump: Json) -> None:
    part(dump, "dynamic_listeners").remove(listener(dump, 13306))


def plain_backend(dump: Json) -> None:
    put("metadata", value={})(endpoint(dump, "outbound|3306|"))


def no_backend(dump: Json) -> None:
    part(dump, "dynamic_active_clusters").pop(0)


def seen(*edits: Edit, backend: Json = BACKEND, written: tuple[str, ...] = ("mysql",), **changes: Any) -> Reading:
    """A cluster whose gateway was asked for what it does."""
    dump = copy.deepcopy(DUMPS["server"])
    for edit in edits:
        edit(dump)
    ports = [{"port": port, "targetPort": port, "protocol": "TCP", "name": f"tls-{port}"} for port in (13306, 13307)]
    service = {**SERVICE, "ports": ports, "owners": {"13306/TCP": [OWNER.manager], "13307/TCP": ["helm"]}}
    return reading_of(
        **{
            "secrets": [secret(LEAF)],
            "pods": {"server": [serving(LEAF, proxy=read_proxy(json.dumps(dump)))], "client": []},
            "objects": [gateway(name) for name in written],
            "services": {"server": service, "client": None},
            "backends": [backend],
            **changes,
        }
    )


def of_mysql(found: Reading, **changes: Any) -> Plan:
    written = [gateway(item["metadata"]["labels"]["crossmesh/link"]) for item in found["objects"]]
    return plan_of(found, manifests=written, **changes)


def test_a_sound_link_is_proven() -> None:
    plan = of_mysql(seen())
    assert (plan.standing.faults, plan.standing.judged, plan.work.lines) == ([], ["mysql"], [])


def test_a_link_that_a_pod_does_not_carry_is_not_proven_though_all_is_served() -> None:
    plan = of_mysql(seen(no_listener))
    assert [(fault.link, fault.code) for fault in plan.standing.faults] == [("mysql", "listener-missing")]
    assert (plan.standing.served, plan.proven) == (True, False)
    assert plan.standing.warnings == []


def test_the_other_end_holds_nothing_and_is_a_warning() -> None:
    plan = of_mysql(seen(lambda dump: put("health_status", value="UNHEALTHY")(endpoint(dump, "outbound|3306|"))))
    assert codes_of(plan.standing.warnings) == ["no-endpoint"]
    assert plan.standing.faults[0].outside


def test_a_link_that_is_not_written_yet_is_not_judged_before_the_run_has_written_it() -> None:
    plan = plan_of(seen(no_listener, written=()))
    assert (plan.standing.faults, plan.standing.judged) == ([], ["mysql"])


def test_a_stage_of_a_rotation_writes_no_link_and_judges_what_is_there() -> None:
    policy = replace(POLICY, existing=True)
    assert plan_of(seen(written=()), policy=policy).standing.judged == []
    assert plan_of(seen(), policy=policy).standing.judged == ["mysql"]


def test_a_run_over_some_links_judges_these() -> None:
    found = seen(no_listener, written=("mysql", "sales"))
    plan = plan_of(found, [link(), SALES], policy=replace(POLICY, only=frozenset({"sales"})))
    assert (plan.standing.faults, plan.standing.judged) == ([], ["sales"])


@pytest.mark.parametrize(
    ("backend", "codes"),
    [(BACKEND, ["plain-backend"]), ({**BACKEND, "sidecars": 0}, [])],
    ids=["with a sidecar", "without one, of which a warning tells"],
)
def test_plain_text_to_a_backend_is_a_fault_where_it_has_a_sidecar(backend: Json, codes: list[str]) -> None:
    plan = of_mysql(seen(plain_backend, backend=backend))
    assert [fault.code for fault in plan.standing.faults] == codes
    assert list(plan.standing.unbacked) == ([] if codes else ["mysql"])


GONE = {**BACKEND, "found": False, "ports": [], "pods": 0, "sidecars": 0}


@pytest.mark.parametrize(("backend", "code"), [(GONE, "backend-missing"), ({**BACKEND, "ports": [1]}, "backend-port")])
def test_a_link_whose_backend_is_not_there_is_broken_and_keeps_no_run_from_its_end(backend: Json, code: str) -> None:
    plan = of_mysql(seen(no_backend, backend=backend))
    (fault,) = plan.standing.faults
    assert (fault.link, fault.place, fault.code, fault.outside) == ("mysql", "hop 3", code, True)
    assert codes_of(plan.standing.warnings) == [code], "it is told once"
    # The control: where the backend is there, the gateway lacks something.
    (fault,) = of_mysql(seen(no_backend)).standing.faults
    assert (fault.code, fault.outside) == ("cluster-missing", False)


def test_what_a_fresh_pod_would_lack_is_a_warning() -> None:
    plan = of_mysql(seen(refused(13307, "no", old=True), lambda dump: waits_for(dump, "kubernetes://theirs")))
    assert sorted(codes_of(plan.standing.warnings)) == ["fresh-pod-listener", "fresh-pod-secret"]
    assert plan.standing.faults == []


def test_a_pod_that_was_not_asked_is_not_judged() -> None:
    plan = of_mysql(seen(pods={"server": [serving(LEAF)], "client": []}))
    assert (plan.standing.faults, plan.standing.served) == ([], True)
