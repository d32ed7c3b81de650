# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA is made once: when one has to be made, what was seen in service, and who was not looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.filter.authority_state import authority_state
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.authority import Authority, authority_to_json
from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import Owner
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.secrets import ca_in_cluster
from tests.unit.pki.support import Root, make_leaf, make_root
from tests.unit.support import Json

OURS, THEIRS = make_root(), make_root()


def cluster(
    name: str,
    *,
    store: Root | None = OURS,
    held: Root | None = None,
    certified: Root | None = None,
    instance: str = "default",
    retiring: tuple[str, ...] = (),
    uid: str = "",
) -> Json:
    """What the look at a cluster has shown.

    :param held: the root in a Secret's C(ca.crt); of it is the certificate there, or of C(certified).
    """
    labels = Owner(instance, name, "server").labels("mysql")
    leaf = make_leaf(certified or held).certificate_pem if held else ""
    holds = {"name": "x", "labels": labels, "certificate": leaf, "key_matches": True}
    secrets = [{**holds, "trust": held.view.pem}] if held else []
    trusted = (store.view,) if store else ()
    authority = Authority("/srv/ca", store.view if store else None, trusted, retiring=retiring)
    reading = {"secrets": secrets, "mesh_roots": [], "authority": authority_to_json(authority)}
    ca = ca_in_cluster(cast(Reading, reading), "default", name)
    return {"cluster": name, "presence": {"uid": uid}, "ca": ca}


def state(*clusters: Json, **changes: Any) -> Json:
    looks: dict[str, Json] = {"cluster-a": {}, "cluster-b": {}} | dict(
        zip(("cluster-a", "cluster-b"), clusters, strict=False)
    )
    arguments: dict[str, Any] = {"mesh_clusters": {}, "limited": False, "adopt": False, **changes}
    return authority_state(looks, **arguments)


def test_a_store_that_knows_what_is_in_service_needs_nothing() -> None:
    found = state(cluster("cluster-a", held=OURS), cluster("cluster-b", held=OURS))
    assert found == {"needed": False, "in_service": [], "lost_roots": [], "unvouched": [], "unseen": []}


def test_on_a_first_run_a_ca_is_needed() -> None:
    found = state(cluster("cluster-a", store=None), cluster("cluster-b", store=None))
    assert found == {"needed": True, "in_service": [], "lost_roots": [], "unvouched": [], "unseen": []}


def test_an_empty_store_is_told_what_is_in_service() -> None:
    both = (cluster("cluster-a", store=None, held=THEIRS), cluster("cluster-b", store=None, held=THEIRS))
    assert state(*both) == {
        "needed": True,
        "in_service": [THEIRS.view.fingerprint],
        "lost_roots": [THEIRS.view.pem],
        "unvouched": [],
        "unseen": [],
    }
    # No CA is made beside one that may be lost, however few clusters show it.
    one = state(cluster("cluster-a", store=None), cluster("cluster-b", store=None, held=THEIRS))
    assert (one["needed"], one["in_service"]) == (True, [THEIRS.view.fingerprint])


def test_a_store_that_does_not_know_what_is_in_service_is_told_so() -> None:
    found = state(cluster("cluster-a", held=THEIRS), cluster("cluster-b", held=THEIRS))
    assert (found["needed"], found["in_service"]) == (True, [THEIRS.view.fingerprint])


def test_what_one_cluster_alone_shows_is_for_that_cluster_to_fail_at() -> None:
    found = state(cluster("cluster-a", held=OURS), cluster("cluster-b", held=THEIRS))
    assert (found["needed"], found["in_service"]) == (False, [])


def test_a_root_that_one_cluster_holds_certificates_of_is_not_recovered() -> None:
    found = state(cluster("cluster-a", store=None), cluster("cluster-b", store=None, held=THEIRS))
    assert found["lost_roots"] == []
    (refusal,) = found["unvouched"]
    assert refusal.startswith(f"root {THEIRS.view.fingerprint}: it stands in Secrets of cluster-b")
    assert "custom_ca_lost_roots" in refusal
    assert refusal.endswith("[lost-root]")


@pytest.mark.parametrize(
    "named", [str, str.upper, lambda text: ":".join(map("".join, zip(text[::2], text[1::2], strict=True)))]
)
def test_a_root_whose_fingerprint_was_named_is(named: Callable[[str], str]) -> None:
    held = (cluster("cluster-a", store=None), cluster("cluster-b", store=None, held=THEIRS))
    found = state(*held, lost_roots=[named(THEIRS.view.fingerprint)])
    assert (found["lost_roots"], found["unvouched"]) == ([THEIRS.view.pem], [])
    other = state(*held, lost_roots=[OURS.view.fingerprint, THEIRS.view.fingerprint[:32], "", 5])
    assert (other["lost_roots"], len(other["unvouched"])) == ([], 1)


def test_two_names_of_one_cluster_are_one_witness() -> None:
    def held(*uids: str) -> list[str]:
        names = ("cluster-a", "cluster-b")
        both = (cluster(name, store=None, held=THEIRS, uid=uid) for name, uid in zip(names, uids, strict=True))
        found: list[str] = state(*both)["lost_roots"]
        return found

    assert held("one", "one") == []
    assert held("one", "two") == held("", "") == [THEIRS.view.pem]


def test_an_adoption_may_find_roots_of_before() -> None:
    found = state(cluster("cluster-a"), cluster("cluster-b", held=THEIRS), adopt=True)
    assert (found["needed"], found["in_service"]) == (False, [])


def test_a_root_that_retires_may_still_stand_in_a_cluster() -> None:
    retiring = (THEIRS.view.fingerprint,)
    found = state(cluster("cluster-a", retiring=retiring), cluster("cluster-b", held=THEIRS, retiring=retiring))
    assert (found["needed"], found["in_service"]) == (False, [])


def test_with_a_limit_clusters_that_were_not_read_forbid_a_new_ca() -> None:
    found = state(cluster("cluster-a", store=None), limited=True)
    assert found["unseen"] == ["cluster-b"]
    assert state(cluster("cluster-a"), limited=True)["unseen"] == []


def test_in_a_slice_declared_clusters_that_are_not_in_it_forbid_a_new_ca() -> None:
    declared = {"cluster-a": ["mesh_clients"], "cluster-b": ["mesh_servers"], "cluster-z": ["mesh_servers"]}
    both = (cluster("cluster-a", store=None), cluster("cluster-b", store=None))
    assert state(*both, mesh_clusters=declared)["unseen"] == ["cluster-z"]


def test_nobody_was_read() -> None:
    assert state() == {"needed": False, "in_service": [], "lost_roots": [], "unvouched": [], "unseen": []}


def test_another_instance_may_have_another_ca() -> None:
    elsewhere = cluster("cluster-b", store=None, held=THEIRS, instance="other")
    assert state(cluster("cluster-a", store=None), elsewhere)["in_service"] == []
    # The control: the same Secret of our own instance counts.
    ours = cluster("cluster-b", store=None, held=THEIRS)
    assert state(cluster("cluster-a", store=None), ours)["in_service"] == [THEIRS.view.fingerprint]
