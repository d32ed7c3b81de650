# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that have turned out to be one cluster, and objects that lie in another cluster than they are of."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.action import mesh_summary
from ansible_collections.crossmesh.mtls.plugins.filter.preflight_report import preflight_report
from ansible_collections.crossmesh.mtls.plugins.filter.same_cluster import same_cluster as filter_same_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import read_cluster
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import (
    Presence,
    misplaced,
    moved,
    presence_of,
    same_cluster,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.presence import refused as refused_clusters
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._action import Variables, request_of
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.support import CLIENT, SERVER, Json, codes_of, link, refused, run_action, view

GATEWAYS = ["istio-system/istio-ingressgateway", "istio-system/istio-egressgateway"]


def host(cluster: str, uid: str = "", **changes: Any) -> Presence:
    found = {"cluster": cluster, "uid": uid or f"uid-of-{cluster}", "gateways": GATEWAYS, "of_others": {}}
    return cast(Presence, {**found, "recognised": False, "holds": ["link mysql"], **changes})


# -- one cluster ---------------------------------------------------------------------------------------------------


def test_two_hosts_that_are_one_cluster_and_share_a_link_are_refused() -> None:
    (message,) = same_cluster([host("a", "one"), host("b", "one"), host("c")])
    assert (message.code, message.level, message.where) == ("same-cluster", "error", "a, b")
    assert message.what == "are one cluster (its uid is one), and share link mysql"


@pytest.mark.parametrize(
    "other",
    [
        host("b", "two"),
        host("b", "one", gateways=["edge/in", "edge/out"]),
        host("b", "one", holds=["link reports"]),
        host("b", "one", holds=[]),
    ],
    ids=["another cluster", "other gateways", "another link", "taken away"],
)
def test_what_does_not_get_into_each_others_way_may_stay(other: Presence) -> None:
    assert same_cluster([host("a", "one"), other]) == []


def test_nothing_follows_from_a_cluster_that_is_not_known() -> None:
    unknown = [cast(Presence, {**host(name), "uid": ""}) for name in "ab"]
    assert same_cluster(unknown) == []


def test_the_filter_takes_what_was_looked_at() -> None:
    """By host, which need not have the cluster's name."""
    looks = {"host-a": {"presence": host("a", "one")}, "b": {"presence": host("b", "one")}, "c": {}}
    found = filter_same_cluster({**looks, "d": {"presence": host("d")}})
    assert set(found) == {"host-a", "b"}
    assert found["b"].endswith("[same-cluster]")


def test_who_shows_the_uid_of_a_cluster_that_is_known_is_refused_alone() -> None:
    known = host("b", "one", recognised=True)
    found = refused_clusters([host("a", "one"), known, host("c", "one"), host("d")])
    assert set(found) == {"a", "c"}
    assert found["a"].what.endswith("it is known as b, which goes on without a, c")
    assert set(refused_clusters([host("a", "one"), known, host("c", "one", holds=[])])) == {"a"}


def test_where_nobody_can_tell_whose_the_uid_is_all_that_show_it_are_refused() -> None:
    """And nobody else."""
    new = [host("a", "one"), host("b", "one"), host("c")]
    assert set(refused_clusters(new)) == {"a", "b"}
    both = [host("a", "one", recognised=True), host("b", "one", recognised=True), host("c")]
    assert set(refused_clusters(both)) == {"a", "b"}


# -- objects of another cluster ------------------------------------------------------------------------------------


def test_objects_of_a_cluster_that_is_elsewhere_are_named() -> None:
    titles = [f"Gateway istio-system/gateway-{number}" for number in range(5)]
    (message,) = misplaced([host("a", of_others={"b": titles}), host("b")], ())
    assert (message.code, message.level, message.where) == ("misplaced-objects", "warning", "a")
    assert message.what.startswith(", ".join(titles[:3]) + " and 2 more bear the name of b, which is another cluster")
    assert "mesh_misplaced_from=b" in message.fix


def test_so_are_those_of_a_cluster_that_nobody_knows() -> None:
    (message,) = misplaced([host("a", of_others={"old": ["Secret x/y"]})], ())
    assert "no host of this inventory has that name" in message.what


@pytest.mark.parametrize(
    ("others", "unseen"),
    [([host("b", "one")], ()), ([], {"b"}), ([cast(Presence, {**host("b"), "uid": ""})], ())],
    ids=["two meshes of one cluster", "not looked at", "not known"],
)
def test_those_that_may_be_at_home_are_not(others: list[Presence], unseen: Any) -> None:
    assert misplaced([host("a", "one", of_others={"b": ["Secret x/y"]}), *others], unseen) == []


def test_the_summary_warns_of_them_and_of_none_that_may_be_at_home() -> None:
    here = {"cluster": "a", "sides": {}, "presence": host("a", of_others={"b": ["Secret x/y"], "c": ["Secret x/z"]})}
    looks = {"host-a": here, "host-b": {}}
    result = run_action(mesh_summary, {"looks": looks, "proofs": [{}, {}], "names": {"host-a": "a", "host-b": "b"}}, {})
    (warning,) = result["warnings"]
    assert "Secret x/z" in warning
    assert warning.endswith("[misplaced-objects]")


# -- taking them away ----------------------------------------------------------------------------------------------


def variables_of(**given: Any) -> Variables:
    return Variables(
        {"inventory_hostname": "cluster-b", "group_names": ["mesh_servers"], "mesh_links": [], **given}, None
    )


def owners(view: Any) -> list[str]:
    return [view["request"]["cluster"], view["server"]["owner"]["cluster"], view["client"]["owner"]["cluster"]]


def test_a_teardown_takes_what_bears_the_other_name_and_leaves_the_clusters_own() -> None:
    given = {"mesh_misplaced_from": "cluster-a"}
    assert owners(variables_of(**given).resolution("absent").wanted()) == ["cluster-a"] * 3
    assert owners(variables_of().resolution("absent").wanted()) == ["cluster-b"] * 3
    # Whatever else runs with the variable is about the cluster itself.
    assert owners(variables_of(mesh_prune_all=True, **given).resolution().wanted()) == ["cluster-b"] * 3


def test_a_clusters_own_objects_are_never_taken_for_misplaced_ones() -> None:
    with refused("misplaced-from"):
        variables_of(mesh_misplaced_from="cluster-b").resolution("absent")


def test_preflight_has_a_row_for_both() -> None:
    here = host("a", "one", of_others={"old": ["Secret x/y"]})
    looks = {
        name: {"looked": True, "rows": [], "presence": found} for name, found in (("a", here), ("b", host("b", "one")))
    }
    report = preflight_report(
        looks, {"a": "", "b": ""}, {"findings": [], "ca_problems": [], "ca_state": "one root"}, {}, False
    )
    told = {(row["cluster"], row["check"], row["status"], row["code"]) for row in report["rows"] if row["code"]}
    assert ("-", "topology", "failed", "same-cluster") in told
    assert ("a", "names", "warning", "misplaced-objects") in told
    assert not report["passed"]


# -- another cluster than last time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "kept", "given"),
    [("one", "", ""), ("one", "one", ""), ("one", "two", "one"), ("", "two", ""), ("", "", "two")],
    ids=["first time", "the same", "told of", "not known", "given and not known"],
)
def test_a_connection_may_lead_where_it_led(uid: str, kept: str, given: str) -> None:
    assert moved("a", uid, kept, given) is None


@pytest.mark.parametrize(("kept", "given", "whose"), [("two", "", "issued for cluster two"), ("", "two", "uid is two")])
def test_a_connection_to_another_cluster_is_an_error(kept: str, given: str, whose: str) -> None:
    message = moved("a", "one", kept, given)
    assert message is not None
    assert (message.code, message.level) == ("another-cluster", "error")
    assert whose in message.what
    assert "mesh_cluster_uid: one" in message.fix


# -- what a look tells ---------------------------------------------------------------------------------------------


def labelled(kind: str, name: str, owner: Owner) -> Json:
    metadata = {"name": name, "namespace": "istio-system", "labels": owner.labels("mysql")}
    return {"kind": kind, "metadata": metadata, "spec": {"host": "x"}}


def test_what_lies_here_for_other_clusters_is_read_on_the_way() -> None:
    objects = [
        labelled("Gateway", "ours", Owner("default", "cluster-b", "server")),
        labelled("Gateway", "strange", Owner("default", "cluster-x", "server")),
        labelled("DestinationRule", "strange", Owner("default", "cluster-x", "client")),
        labelled("Secret", "strange", Owner("default", "cluster-x", "client")),
        labelled("Gateway", "of-another-instance", Owner("other", "cluster-x", "server")),
    ]
    wanted = view([link()], SERVER)
    fake = FakeApi(objects)
    found = read_cluster(cast(Api, fake), request_of(wanted["request"])).reading
    assert found["of_others"] == {
        "cluster-x": [
            "DestinationRule istio-system/strange",
            "Gateway istio-system/strange",
            "Secret istio-system/strange",
        ]
    }
    assert codes_of(misplaced([presence_of(found, wanted["request"], [wanted["server"]], recognised=False)], ())) == [
        "misplaced-objects"
    ]
    sound = FakeApi(objects[:1])
    read_cluster(cast(Api, sound), request_of(wanted["request"]))
    assert sorted(fake.reads) == sorted(sound.reads), "it costs no request"


def test_a_look_tells_which_cluster_it_is_and_what_is_held_there() -> None:
    wanted = view([link()], CLIENT)
    found = read_cluster(cast(Api, FakeApi()), request_of(wanted["request"])).reading
    assert presence_of(found, wanted["request"], [wanted["server"], wanted["client"]], recognised=True) == {
        "cluster": "cluster-a",
        "uid": "uid-of-cluster-b",
        "recognised": True,
        "gateways": GATEWAYS,
        "holds": ["link mysql", "the client credential"],
        "of_others": {},
    }
