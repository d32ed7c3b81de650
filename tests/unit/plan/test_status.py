# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that ends a run: what it says of each link, and what it leaves out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.proxy import Fault
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import timestamp
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import status
from tests.unit.pki.support import NOW
from tests.unit.plan.test_plan import AUTHORITY, LEAF, ROOT, reading, secret, serving
from tests.unit.support import SERVER, Json, link, numbered, view

UNTIL = timestamp(NOW + timedelta(days=90))


def one_side(side: str = "server", name: str = "mysql", **changes: Any) -> status.LinkSideJson:
    """One side of a link that is up."""
    cluster = "cluster-b" if side == "server" else "cluster-a"
    seen = status.LinkSide(name, cluster, side, "a-secret", UNTIL, "91e5ae1f" + "0" * 56, 1, 1, 0)
    return cast(status.LinkSideJson, {**seen.to_json(), **changes})


def both_sides(**changes: Any) -> list[status.LinkSideJson]:
    return [one_side("client"), one_side("server", **changes)]


def test_a_link_tells_who_dials_who_serves_until_when_and_by_which_root() -> None:
    heads, row = status.table(both_sides(), {}, NOW)
    assert heads.split()[:3] == ["LINK", "FROM", "TO"]
    assert row.split() == ["mysql", "cluster-a", "cluster-b", UNTIL[:10], "(90", "d)", "91e5ae1f", "1/1", "1/1", "up"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "up"),
        ({"until": "", "root": "", "serving": 0}, "no certificate in cluster-b"),
        ({"serving": 0}, "not served in cluster-b"),
        ({"serving": 1, "ready": 2}, "not served in cluster-b"),
        ({"serving": 1, "ready": 2, "unseen": 1}, "not proven in cluster-b"),
        ({"serving": 0, "ready": 2, "unseen": 1}, "not served in cluster-b"),
        ({"serving": 0, "ready": 0}, "no ready gateway pod in cluster-b"),
        ({"serving": 0, "broken": "hop 3"}, "broken at hop 3 in cluster-b"),
        ({"answer": "not asked"}, "not asked in cluster-b"),
        ({"answer": "not asked", "broken": "hop 2"}, "broken at hop 2 in cluster-b"),
    ],
)
def test_the_state_is_that_of_the_worse_side(changes: Json, state: str) -> None:
    assert status.table(both_sides(**changes), {}, NOW)[-1].endswith(f"  {state}")


PLACES = ("name", "hop 1", "hop 2", "hop 3", "answer")


@pytest.mark.parametrize(("first", "later"), [(one, other) for one in PLACES for other in PLACES if one != other])
def test_the_first_broken_place_in_the_order_of_the_call_wins_whichever_side_has_it(first: str, later: str) -> None:
    winner = min(first, later, key=PLACES.index)
    sides = [
        one_side("client", broken=first, cause=f"of-{first}"),
        one_side("server", broken=later, cause=f"of-{later}"),
    ]
    heads, row = status.table(sides, {}, NOW)
    where = "cluster-a" if winner == first else "cluster-b"
    assert row.endswith(f"  of-{winner}  broken at {winner} in {where}")
    assert heads.split()[-2:] == ["CAUSE", "STATE"]


def test_a_cause_stands_by_its_link_alone_and_without_one_there_is_no_such_column() -> None:
    sound = [one_side(name="a"), one_side(name="b")]
    assert "CAUSE" not in status.table(sound, {}, NOW)[0]
    _heads, first, second = status.table([sound[0], one_side(name="b", broken="hop 2", cause="chain-missing")], {}, NOW)
    assert first.endswith("  -              up")
    assert second.endswith("  chain-missing  broken at hop 2 in cluster-b")


def test_the_earlier_end_of_the_two_sides_counts() -> None:
    sooner = timestamp(NOW + timedelta(days=3))
    assert f"{sooner[:10]} (3 d)" in status.table(both_sides(until=sooner), {}, NOW)[-1]
    assert status.next_due(both_sides(until=sooner), timedelta(days=1)) == timestamp(NOW + timedelta(days=2))
    assert status.next_due([], timedelta(days=1)) == ""


def test_clusters_that_were_written_to_are_named() -> None:
    changed = {"cluster-a": ["issue Secret x"], "cluster-b": []}
    written = [one_side("client", touched=True), one_side("server")]
    assert status.table(written, changed, NOW)[-1].endswith("up, changed in cluster-a")
    # The control: of another link, in the same cluster.
    assert status.table(both_sides(), changed, NOW)[-1].endswith(" up")


def test_a_link_that_is_refused_is_not_up_whatever_its_certificate_says() -> None:
    sides = [one_side("client", refused="rule-before-ours"), one_side("server", touched=True)]
    (heads, row) = status.table(sides, {"cluster-b": ["write Gateway x"]}, NOW)
    assert heads.split()[-2:] == ["CAUSE", "STATE"]
    assert row.endswith("rule-before-ours  refused in cluster-a")


def test_many_clusters_are_counted_and_their_pods_summed() -> None:
    many = [one_side("server", cluster=f"cluster-{number}") for number in range(20)]
    many[7]["serving"] = 0
    row = status.table([one_side("client"), *many], {}, NOW)[-1].split()
    assert row[1:4] == ["cluster-a", "20", "clusters"]
    assert row[8:] == ["1/1", "19/20", "not", "served", "in", "cluster-7"]


def test_many_links_that_are_up_are_one_line_and_any_other_has_its_own() -> None:
    many = [one_side(name=f"link-{number:02}") for number in range(40)]
    assert status.table(many, {}, NOW) == ["40 links are up, nothing changed"]
    many[7]["serving"] = 0
    _heads, row, rest = status.table(many, {}, NOW)
    assert (row.split()[0], rest) == ("link-07", "39 links are up, nothing changed")


def test_a_side_is_read_from_its_secret_and_its_pods() -> None:
    found = reading(
        secrets=[secret(LEAF)], pods={"server": [serving(LEAF), serving(), serving(ready=False)], "client": []}
    )
    wanted = view([link(), numbered(1)], SERVER)["server"]
    mysql, other = status.of_side(found, wanted, AUTHORITY)
    assert (mysql.until, mysql.root) == (timestamp(LEAF.view.not_after), ROOT.view.fingerprint)
    assert (mysql.serving, mysql.ready) == (1, 2)
    assert (other.link, other.until, other.root, other.serving, other.ready) == ("link-1", "", "", 0, 2)


def test_a_pod_that_does_not_do_what_one_link_means_still_serves_the_other() -> None:
    found = reading(secrets=[secret(LEAF)], pods={"server": [serving(LEAF)], "client": []})
    wanted = view([link(), numbered(1)], SERVER)["server"]
    pod = "istio-system/istio-ingressgateway-0"
    faults = [Fault("plain-backend", "mysql", hop, pod, "TLS", "PLAIN TEXT", "remove it") for hop in (3, 2)]
    mysql, other = status.of_side(found, wanted, AUTHORITY, faults)
    assert (mysql.serving, mysql.ready, mysql.broken, mysql.cause) == (0, 1, "hop 2", "plain-backend")
    assert other.broken == ""
    assert status.of_side(found, wanted, AUTHORITY)[0].serving == 1
