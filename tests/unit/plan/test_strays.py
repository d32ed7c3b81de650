# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bears our labels and is nobody's to delete: what is said of it. That it stays is in tests/attacks."""

from __future__ import annotations

from typing import cast

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import LiveObject
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import strays
from tests.unit.plan.test_plan import reading
from tests.unit.support import codes_of

OWNER = Owner("default", "cluster-b", "server")
KEY = ("PeerAuthentication", "default", "gone-strict-backend")


def test_objects_of_others_with_our_labels_are_one_warning_that_names_the_first_of_them() -> None:
    titles = [f"VirtualService tenant/{number}" for number in range(5)]
    found = strays.warnings(reading(strays=titles))
    assert codes_of(found) == ["borrowed-labels"]
    assert "VirtualService tenant/0, VirtualService tenant/1, VirtualService tenant/2 and 2 more: all labels" in str(
        found[0]
    )
    assert strays.warnings(reading()) == []


def live(kind: str = "PeerAuthentication", owner: Owner = OWNER) -> LiveObject:
    metadata = {"name": KEY[2], "namespace": KEY[1], "labels": owner.labels("gone"), "finalizers": ["a/b", "c/d"]}
    return cast(LiveObject, {"kind": kind, "metadata": metadata, "spec": {}})


def test_what_a_finalizer_would_keep_beside_workloads_is_told_and_stays() -> None:
    (warning,) = strays.held_up([live()], set(), OWNER).values()
    assert codes_of([warning]) == ["left-behind"]
    assert "PeerAuthentication default/gone-strict-backend: no link needs it" in str(warning)
    assert "finalizer a/b, c/d would keep it" in str(warning)


def test_what_is_wanted_or_stands_with_the_gateways_or_is_another_sides_waits_as_ever() -> None:
    assert strays.held_up([live()], {KEY}, OWNER) == {}
    assert strays.held_up([live("Gateway")], set(), OWNER) == {}
    assert strays.held_up([live(owner=Owner("default", "cluster-b", "client"))], set(), OWNER) == {}
