# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that is tried before the first write: what is sent, what is told of the answers, and what goes on."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, look_ahead
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.cluster.test_dry_run import quota
from tests.unit.pki.support import DAY, NOW, make_leaf
from tests.unit.plan.test_plan import (
    AUTHORITY,
    FOREIGN,
    HELD,
    POLICY,
    ROOT,
    SERVICE,
    leaf_of,
    secret,
    serving,
    settled_reading,
)
from tests.unit.support import SERVER, Json, codes_of, link, numbered, view

SOON = NOW + 340 * DAY
GATEWAY = collection_path("Gateway", "istio-system") + "/gateway-mysql"
SECRET = collection_path("Secret", "istio-system") + "/mysql-credential"
TITLE = "Gateway istio-system/gateway-mysql"
OWNER = Owner("default", "cluster-b", "server")
POLICY_SAYS = "ValidatingAdmissionPolicy 'no-links' with binding 'all' denied request: not here"


def manifests_of(links: list[Json]) -> list[Manifest]:
    return render("server", view(links, SERVER)["server"])


def live(manifest: Manifest, **spec: Any) -> Json:
    """As it was written, with something added to its spec."""
    found: Json = copy.deepcopy(cast(Json, manifest))
    found["metadata"] |= {"managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    found["spec"] |= spec
    return found


def written(links: list[Json] | None = None) -> list[Json]:
    return [live(manifest) for manifest in manifests_of(links or [link()])]


def rehearsed(
    api: FakeApi, links: list[Json] | None = None, *, policy: Any = POLICY, now: Any = NOW, **found: Any
) -> Plan:
    """The plan of a cluster in which everything is as wanted, but for what is given."""
    wanted, reading = links or [link()], settled_reading(**{"objects": written(), **found})
    side = view(wanted, SERVER)["server"]
    case = Case(reading, side, manifests_of(wanted), AUTHORITY, policy, now)
    return look_ahead(case, partial(try_out, cast(Api, api))).plan


def forbidden(message: str, what: str = 'gateways.networking.istio.io "x" is forbidden: ') -> tuple[int, Json]:
    return 403, {"reason": "Forbidden", "message": what + message}


# -- what is tried -------------------------------------------------------------------------------------------------


def test_where_nothing_is_to_be_written_nothing_is_asked() -> None:
    api = FakeApi()
    assert rehearsed(api).proven
    assert (api.dry_calls, api.reads) == ([], [])


def test_everything_that_would_be_written_is_tried_and_nothing_is_written() -> None:
    api = FakeApi()
    plan = rehearsed(api, [link(), numbered(1)])
    assert plan.errors == []
    assert plan.work.changed
    assert sorted((call.verb, call.path.rpartition("/")[2]) for call in api.dry_calls) == [
        ("apply", "gateway-link-1"),
        ("apply", "istio-ingressgateway"),
        ("apply", "link-1-credential"),
        ("apply", "link-1-virtual-service"),
    ]
    assert api.calls == []
    assert {call.manager for call in api.dry_calls} == {OWNER.manager, OWNER.identity_manager}


def test_a_change_is_tried_as_one_patch_and_what_goes_as_its_deletion() -> None:
    gone = live(manifests_of([numbered(1)])[0])
    api = FakeApi([gone])
    (gateway, route) = written()
    edited = {**gateway, "spec": {**gateway["spec"], "selector": {"istio": "x", "extra": "y"}, "more": 1}}
    rehearsed(api, objects=[edited, route, gone])
    patch, deletion = sorted(api.dry_calls, key=lambda call: call.verb, reverse=True)
    assert (patch.verb, deletion.verb) == ("merge", "delete")
    assert patch.body["spec"]["selector"] == {"istio": "ingressgateway", "extra": None}
    assert patch.body["spec"]["more"] is None
    assert deletion.path.endswith(gone["metadata"]["name"])


def test_a_secret_is_tried_with_its_keys_and_nothing_in_them() -> None:
    api = FakeApi()
    rehearsed(api, secrets=[])
    (call,) = [call for call in api.dry_calls if call.path == SECRET]
    assert call.body["type"] == "kubernetes.io/tls"
    assert call.body["metadata"]["labels"] == OWNER.labels("mysql")
    assert sorted(call.body["data"]) == ["ca.crt", "tls.crt", "tls.key"]
    for value in call.body["data"].values():
        lines = base64.b64decode(value).decode().splitlines()
        assert set("".join(lines[1:-1])) == {"A"}


@pytest.mark.parametrize("existing", [False, True])
def test_a_renewal_is_tried_by_what_it_changes(existing: bool) -> None:
    api = FakeApi()
    rehearsed(api, policy=replace(POLICY, existing=existing), now=SOON)
    (call,) = api.dry_calls
    # Whoever looks into certificates would refuse those that hold nothing.
    assert (call.verb, call.path, "data" in call.body) == ("merge", SECRET, False)


def test_a_rotation_tries_no_manifest() -> None:
    api = FakeApi()
    rehearsed(api, policy=replace(POLICY, existing=True), objects=[])
    assert api.dry_calls == []


def test_what_is_forbidden_anyway_is_not_tried_but_certificates_are() -> None:
    api = FakeApi()
    plan = rehearsed(api, gateways=[FOREIGN], objects=[], now=SOON)
    assert plan.errors
    assert [call.path for call in api.dry_calls] == [SECRET]


# -- who refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "fix"),
    [
        (forbidden(POLICY_SAYS), "admission-refused", "owner of ValidatingAdmissionPolicy no-links"),
        (forbidden("exceeded quota: few, requested: 1"), "quota-exceeded", "raise ResourceQuota few"),
        ((422, {"reason": "Invalid", "details": {"causes": [{"field": "spec.servers"}]}}), "invalid-object", "CRDs"),
        ((409, {"reason": "Conflict"}), "conflict", "managedFields"),
    ],
)
def test_what_the_api_server_would_refuse_stops_the_run_before_its_first_write(
    answer: tuple[int, Json], code: str, fix: str
) -> None:
    plan = rehearsed(FakeApi(refused={GATEWAY: answer}), objects=[])
    (error,) = plan.errors
    assert (error.code, error.where) == (code, TITLE)
    assert fix in error.fix
    assert plan.barring == []


def test_one_reason_is_told_once_with_a_count() -> None:
    links = [link(), *(numbered(n) for n in range(1, 8))]
    full = "exceeded quota: few, requested: count/gateways.networking.istio.io=1"
    paths = {}
    for name in (f"gateway-{item['name']}" for item in links):
        status, told = forbidden(full)
        paths[collection_path("Gateway", "istio-system") + f"/{name}"] = status, {**told, "details": {"name": name}}
    plan = rehearsed(FakeApi([quota("few", {})], refused=paths), links, objects=[])
    (error,) = plan.errors
    assert error.where == f"{TITLE} and 7 more objects"
    assert [item["name"] for item in plan.work.credentials] == []


@pytest.mark.parametrize(("most", "stops"), [("1", True), ("3", False), ("2", False)])
@pytest.mark.parametrize("counted", ["secrets", "count/secrets"])
def test_a_quota_with_room_for_one_has_none_for_two(counted: str, most: str, stops: bool) -> None:
    """Each dry run is counted alone, so all of them pass."""
    links = [link(), numbered(1), numbered(2)]
    api = FakeApi([quota("few", {"hard": {counted: most}, "used": {counted: "0"}})])
    plan = rehearsed(api, links)
    assert codes_of(plan.errors) == (["quota-exceeded"] if stops else [])
    if stops:
        assert plan.errors[0].what == "it has room for 1 more secrets, and 2 would be made"
        assert plan.work.credentials == []


def test_a_secret_that_may_not_be_renewed_holds_up_no_other() -> None:
    leaf = make_leaf(ROOT, sans=[numbered(1)["fqdn"]], common_name="link-1")
    other = secret(leaf, name="link-1-credential", labels=OWNER.labels("link-1"))
    links = [link(), numbered(1)]
    ports = [*SERVICE["ports"], {"name": "tls-30001", "port": 30001, "protocol": "TCP", "targetPort": 30001}]
    owners = {"13306/TCP": [OWNER.manager], "30001/TCP": [OWNER.manager]}
    found = {
        "secrets": [secret(), other],
        "objects": written(links),
        "services": {"server": {**SERVICE, "ports": ports, "owners": owners}, "client": None},
    }
    plan = rehearsed(FakeApi(refused={SECRET: forbidden(POLICY_SAYS)}), links, now=SOON, **found)
    assert [(error.code, error.where) for error in plan.errors] == [("admission-refused", HELD)]
    assert plan.barring == []
    assert [item["name"] for item in plan.work.credentials] == ["link-1-credential"]
    # The control: both are due.
    assert len(rehearsed(FakeApi(), links, now=SOON, **found).work.credentials) == 2


def test_a_write_that_has_no_answer_is_an_error_of_its_object() -> None:
    plan = rehearsed(FakeApi(lost={GATEWAY}), objects=[])
    (error,) = plan.errors
    assert (error.code, error.where) == ("dry-run-unanswered", TITLE)
    assert "cannot reach the API server: Read timed out" in error.what
    assert "admission webhook" in error.fix
    # A Secret that is there is held up, and no manifest for it.
    plan = rehearsed(FakeApi(lost={SECRET}), now=SOON)
    assert [(error.code, error.where) for error in plan.errors] == [("dry-run-unanswered", HELD)]
    assert (plan.barring, plan.work.credentials) == ([], [])


CANNOT = 'User "x" cannot patch resource "gateways" in API group "networking.istio.io" in the namespace "istio-system"'


def test_without_the_permission_a_run_that_has_to_write_stops() -> None:
    plan = rehearsed(FakeApi(refused={GATEWAY: forbidden(CANNOT)}), objects=[])
    (error,) = plan.errors
    assert (error.code, error.where) == ("not-permitted", TITLE)
    assert "403 Forbidden" in error.what
    assert error.what.endswith(" lacks patch on gateways.networking.istio.io in namespace istio-system")
    assert "docs/permissions.md" in error.fix


def test_all_that_is_lacking_is_told_at_once() -> None:
    secrets = "/".join(SECRET.split("/")[:-1])
    may_not_create = 403, {"message": 'secrets is forbidden: User "x" cannot create resource "secrets" in API group ""'}
    refused = {GATEWAY: forbidden(CANNOT), f"{secrets}/link-1-credential": may_not_create}
    plan = rehearsed(FakeApi(refused=refused), [link(), numbered(1)], objects=[])
    (error,) = plan.errors
    assert error.where.endswith("and 1 more objects")
    assert "lacks create on secrets in namespace istio-system, patch on gateways" in error.what


def test_who_only_looks_is_not_stopped_by_a_certificate_that_is_due() -> None:
    denied = FakeApi(refused={SECRET: forbidden(CANNOT, "secrets is forbidden: ")})
    plan = rehearsed(denied, now=SOON)
    assert plan.errors == []
    assert codes_of(plan.standing.warnings) == ["dry-run-not-permitted"]
    assert not plan.work.drifted


def test_a_webhook_that_takes_no_dry_run_is_a_warning() -> None:
    answer = 400, {"reason": "BadRequest", "message": 'admission webhook "a.b.c" does not support dry run'}
    plan = rehearsed(FakeApi(refused={GATEWAY: answer}), objects=[])
    assert plan.errors == []
    assert [(found.code, found.level) for found in plan.standing.warnings] == [("no-dry-run", "warning")]


# -- what admission does to it -------------------------------------------------------------------------------------


def adding(item: Json) -> Json:
    """A mutating webhook that adds to Gateways, at the top and inside."""
    if item.get("kind") == "Gateway":
        item["spec"]["more"] = {"by": "somebody"}
        item["spec"]["servers"][0]["name"] = "added"
    return item


def changing(item: Json) -> Json:
    if item.get("kind") == "Gateway":
        item["spec"]["selector"] = {"istio": "elsewhere"}
    return item


def seen_through(webhook: Callable[[Json], Json]) -> list[Json]:
    return [webhook(item) for item in written()]


def test_what_admission_adds_is_no_drift_and_is_named() -> None:
    there = seen_through(adding)
    plan = rehearsed(FakeApi(there, admission=adding), objects=there)
    assert (plan.errors, plan.work.lines, plan.work.drifted, plan.proven) == ([], [], False, True)
    (notice,) = [found for found in plan.standing.notices if found.code == "admission-adds"]
    assert (notice.where, notice.level) == (TITLE, "notice")
    assert "spec.more, spec.servers[0].name" in notice.what


def test_what_somebody_has_added_by_hand_is_drift() -> None:
    there = seen_through(adding)
    plan = rehearsed(FakeApi(there), objects=there)
    assert plan.work.drifted
    assert plan.standing.notices == []


def test_what_is_written_anew_is_named_as_well() -> None:
    plan = rehearsed(FakeApi(admission=adding), objects=[])
    assert plan.errors == []
    assert plan.work.drifted
    assert codes_of(plan.standing.notices) == ["admission-adds"]


@pytest.mark.parametrize("there", [True, False])
def test_what_admission_makes_of_ours_is_refused(there: bool) -> None:
    objects = seen_through(changing) if there else []
    plan = rehearsed(FakeApi(objects, admission=changing), objects=objects)
    (error,) = plan.errors
    assert (error.code, error.where) == ("admission-changes", TITLE)
    assert "spec.selector" in error.what
    # The control: what is not changed.
    assert rehearsed(FakeApi(), objects=[]).errors == []


def test_an_object_that_was_also_edited_is_written() -> None:
    there = seen_through(adding)
    there[0]["spec"]["selector"] = {"istio": "edited"}
    plan = rehearsed(FakeApi(there, admission=adding), objects=there)
    assert plan.work.drifted
    assert codes_of(plan.standing.notices) == ["admission-adds"]


def test_the_same_reading_is_served_by_the_same_pods() -> None:
    """The control of this file: its cluster is settled."""
    leaf = leaf_of()
    pods = {"server": [serving(leaf)], "client": []}
    assert rehearsed(FakeApi(), secrets=[secret(leaf)], pods=pods).proven
