# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wanted manifests against live objects: what is written, forced, stripped, deleted or refused, and the line for it."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveObject, Manifest
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.difference import Difference, compare_objects
from tests.unit.support import Json

OWNER = Owner("default", "cluster-b", "server")
TITLE = "Gateway istio-system/gateway-mysql"
IDENTITY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "gateway-mysql", "namespace": "istio-system"},
}
SERVERS = [{"port": {"number": 13306, "name": "tls-mysql", "protocol": "TLS"}, "hosts": ["mysql.server.example.com"]}]


def gateway(name: str = "gateway-mysql", link: str = "mysql") -> Json:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "istio-system", "labels": OWNER.labels(link)},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": copy.deepcopy(SERVERS)},
    }


def live(manifest: Json | None = None, *, touched: Json | None = None, **spec: Any) -> Json:
    """The object as an API server gives it; ``touched`` is, by manager, what others hold in it."""
    item = copy.deepcopy(manifest or gateway())
    item["spec"].update(spec)
    item["metadata"]["managedFields"] = [
        {"manager": manager, "fieldsV1": {"f:spec": fields}} for manager, fields in (touched or {}).items()
    ]
    return item


def labelled(item: Json, **labels: str | None) -> Json:
    """With other labels; the keys without their group."""
    full = {key.rpartition("/")[2]: key for key in OWNER.labels("")}
    for key, value in labels.items():
        name = full[key.replace("_", "-")]
        if value is None:
            del item["metadata"]["labels"][name]
        else:
            item["metadata"]["labels"][name] = value
    return item


def unlabelled(item: Json) -> Json:
    item["metadata"]["labels"] = {}
    return item


def compared(
    found: list[Json], *, adopt: bool = False, only: Collection[str] = (), wanted: list[Json] | None = None
) -> Difference:
    manifests = cast(list[Manifest], [gateway()] if wanted is None else wanted)
    return compare_objects(manifests, cast(list[LiveObject], found), OWNER, adopt=adopt, only=only)


def test_what_is_missing_is_written() -> None:
    result = compared([])
    assert (result.write, result.lines) == ([gateway()], [f"write {TITLE}: it does not exist"])


def test_what_is_as_wanted_is_left() -> None:
    result = compared([live()])
    assert result.empty
    assert result.lines == []


SELECTOR: Json = {"f:selector": {"f:istio": {}}}
WHOLE_SELECTOR: Json = {"f:selector": {}}
DEVIATIONS: list[tuple[str, Json, str]] = [
    (
        "a field edited by hand names who did it",
        live(selector={"istio": "other"}, touched={"kubectl-edit": SELECTOR}),
        "spec.selector.istio was changed by kubectl-edit",
    ),
    (
        "who holds the field above counts",
        live(selector={"istio": "other"}, touched={"helm": WHOLE_SELECTOR}),
        "spec.selector.istio was changed by helm",
    ),
    (
        "several managers, in order",
        live(selector={"istio": "other"}, touched={"kubectl-edit": SELECTOR, "argocd": SELECTOR}),
        "spec.selector.istio was changed by argocd, kubectl-edit",
    ),
    (
        "a manager of another field is not blamed",
        live(selector={"istio": "other"}, touched={"kubectl-edit": {"f:servers": {}}}),
        "spec.selector.istio differs from the inventory",
    ),
    (
        "a changed list",
        live(servers=[{**SERVERS[0], "hosts": ["a.example.com"]}], touched={"kubectl-patch": {"f:servers": {}}}),
        "spec.servers was changed by kubectl-patch",
    ),
    (
        "two deviations in one line",
        live(selector={"istio": "other"}, servers=[]),
        "spec.selector.istio differs from the inventory; spec.servers differs from the inventory",
    ),
    ("another link's label", labelled(live(), link="redis"), "label crossmesh/link is redis"),
    ("a label that is gone", labelled(live(), link=None), "label crossmesh/link is None"),
]


@pytest.mark.parametrize(("found", "reason"), [row[1:] for row in DEVIATIONS], ids=[row[0] for row in DEVIATIONS])
def test_what_deviates_is_put_back_with_its_reason(found: Json, reason: str) -> None:
    result = compared([found])
    assert result.write + result.force == [gateway()]
    assert result.lines == [f"write {TITLE}: {reason}"]
    assert result.strip == []


def test_a_line_tells_who_has_changed_it_and_when() -> None:
    found = labelled(live(selector={"istio": "other"}, touched={"kubectl-edit": SELECTOR}), link="redis")
    (entry,) = found["metadata"]["managedFields"]
    entry["time"] = "2026-11-30T06:42:10Z"
    entry["fieldsV1"] |= {"f:metadata": {"f:labels": {"f:crossmesh/link": {}}}}
    assert compared([found]).lines == [
        f"write {TITLE}: spec.selector.istio was changed by kubectl-edit at 2026-11-30T06:42:10Z; "
        "label crossmesh/link is redis, changed by kubectl-edit at 2026-11-30T06:42:10Z"
    ]
    # The control: of whom nothing is known, nothing is said.
    assert compared([labelled(live(), link="redis")]).lines == [f"write {TITLE}: label crossmesh/link is redis"]


def test_force_is_used_only_where_others_hold_fields() -> None:
    assert compared([live(selector={"istio": "other"})]).write == [gateway()]
    assert compared([live(selector={"istio": "other"}, touched={"kubectl-edit": SELECTOR})]).force == [gateway()]


def test_an_added_field_is_taken_out() -> None:
    found = live(
        selector={"istio": "ingressgateway", "zone": "a"},
        extra=True,
        touched={"kubectl-edit": {"f:selector": {"f:zone": {}}, "f:extra": {}}},
    )
    result = compared([found])
    assert result.strip == [{**IDENTITY, "spec": {"selector": {"zone": None}, "extra": None}}]
    assert result.force == [gateway()]
    (line,) = result.lines
    assert "spec.selector.zone was changed by kubectl-edit" in line
    assert "spec.extra was changed by kubectl-edit" in line


def test_a_spec_that_was_emptied_is_put_back() -> None:
    found = live()
    found["spec"] = {}
    result = compared([found])
    assert result.write == [gateway()]
    assert "spec.selector differs" in result.lines[0]


# -- objects of others ---------------------------------------------------------------------------------------------


def test_an_object_without_our_labels_is_refused_with_its_maker_and_the_fix() -> None:
    result = compared([unlabelled(live(touched={"kubectl-create": {}, "helm": {}}))])
    assert result.empty
    (error,) = result.errors
    assert (error.code, error.where) == ("not-ours", TITLE)
    assert "helm, kubectl-create" in error.what
    assert "mesh_adopt=true" in error.fix


def test_an_object_without_our_labels_is_adopted_when_that_is_said() -> None:
    result = compared([unlabelled(live(touched={"kubectl-create": {"f:servers": {}}}, extra=1))], adopt=True)
    assert result.errors == []
    assert result.force == [gateway()]
    assert result.strip == [{**IDENTITY, "spec": {"extra": None}}]
    assert result.lines == [f"adopt {TITLE}: it was made by kubectl-create"]


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"instance": "blue"}, "instance blue, cluster cluster-b, side server"),
        ({"cluster": "cluster-z"}, "instance default, cluster cluster-z, side server"),
        ({"side": "client"}, "instance default, cluster cluster-b, side client"),
    ],
)
def test_an_object_of_another_owner_is_refused_even_in_an_adoption(
    labels: dict[str, str], told: str, adopt: bool
) -> None:
    result = compared([labelled(live(), **labels)], adopt=adopt)
    assert result.empty
    (error,) = result.errors
    assert (error.code, error.where) == ("of-another-instance", TITLE)
    assert told in error.what


@pytest.mark.parametrize("gone", [["managed_by"], ["instance"], ["cluster"], ["side"], ["managed_by", "side"]])
def test_an_object_that_lost_our_labels_is_refused_with_their_names_then_adopted(gone: list[str]) -> None:
    found = labelled(live(), **dict.fromkeys(gone))
    result = compared([found])
    assert result.empty
    (error,) = result.errors
    assert (error.code, error.where) == ("label-lost", TITLE)
    assert all(name.replace("_", "-") in error.what for name in gone)
    assert compared([found], adopt=True).errors == []


def test_labels_of_another_owner_are_not_taken_for_lost_ones() -> None:
    (error,) = compared([labelled(live(), instance="blue", side=None)]).errors
    assert error.code == "of-another-instance"


# -- what is not wanted any more -----------------------------------------------------------------------------------


def test_ours_that_nobody_wants_is_deleted_and_others_stay() -> None:
    ours = live(gateway("gateway-redis", "redis"))
    theirs = [
        labelled(live(gateway("gateway-a", "a")), instance="blue"),
        labelled(live(gateway("gateway-b", "b")), side="client"),
        unlabelled(live(gateway("gateway-c", "c"))),
    ]
    result = compared([live(), ours, *theirs])
    assert [item["metadata"]["name"] for item in result.delete] == ["gateway-redis"]
    assert result.lines == ["delete Gateway istio-system/gateway-redis: link redis is no longer wanted here"]
    assert (result.write, result.force, result.errors) == ([], [], [])


def test_ours_in_another_namespace_is_moved() -> None:
    moved = live()
    moved["metadata"]["namespace"] = "old-system"
    result = compared([moved])
    assert [item["metadata"]["namespace"] for item in result.delete] == ["old-system"]
    assert [item["metadata"]["namespace"] for item in result.write] == ["istio-system"]


def test_only_the_named_links_are_written_and_deleted() -> None:
    wanted = [gateway(), gateway("gateway-redis", "redis")]
    found = [live(gateway("gateway-old", "old")), live(gateway("gateway-older", "older"))]
    result = compared(found, wanted=wanted, only={"redis", "old"})
    assert [item["metadata"]["name"] for item in result.write] == ["gateway-redis"]
    assert [item["metadata"]["name"] for item in result.delete] == ["gateway-old"]


def test_wanted_and_live_are_not_changed() -> None:
    wanted, found = [gateway()], [live(extra=1, touched={"kubectl": {"f:extra": {}}})]
    before = copy.deepcopy((wanted, found))
    compared(found, wanted=wanted)
    assert (wanted, found) == before


# -- what a GitOps tool applies ------------------------------------------------------------------------------------


def tracked(item: Json) -> Json:
    item["metadata"]["tracker"] = "Argo CD, Application mesh"
    return item


def refused_as_tracked(result: Difference, reason: str) -> None:
    (error,) = result.errors
    assert (error.code, error.where) == ("gitops-owned", TITLE)
    assert error.what.startswith(f"{reason}; Argo CD, Application mesh applies it")
    assert result.empty
    assert result.lines == []


def test_what_a_tool_applies_and_is_as_wanted_is_left_without_a_word() -> None:
    result = compared([tracked(live())])
    assert (result.empty, result.lines, result.errors) == (True, [], [])


def test_what_a_tool_applies_is_not_written_against() -> None:
    changed = live(selector={"istio": "other"}, touched={"argocd-controller": SELECTOR})
    assert not compared([changed]).errors, "the control: without the mark it is written"
    refused_as_tracked(compared([tracked(changed)]), "spec.selector.istio was changed by argocd-controller")


def test_what_a_tool_applies_is_not_deleted() -> None:
    refused_as_tracked(compared([tracked(live())], wanted=[]), "link mysql is no longer wanted here")
    assert compared([live()], wanted=[]).delete, "the control"


def test_what_a_tool_applies_is_not_adopted() -> None:
    theirs = tracked(unlabelled(live(touched={"argocd-controller": SELECTOR})))
    refused_as_tracked(compared([theirs], adopt=True), "it was made by argocd-controller")
