# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are about to end, or cannot be changed: refused before the first write; and what goes on anyway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._ca.model import Reading
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.plan import Plan
from tests.unit.pki.support import DAY, NOW
from tests.unit.plan.test_plan import (
    FOREIGN,
    HELD,
    MANIFEST,
    OWNER,
    POLICY,
    ROOT,
    SERVICE,
    leaf_of,
    plan_of,
    secret,
    settled_reading,
)
from tests.unit.support import Json, codes_of, link, numbered

TITLE = "Gateway istio-system/gateway-mysql"
DELETED: Json = {"deletionTimestamp": "2026-11-01T00:00:00Z", "finalizers": ["example.com/hold"]}
OWNED: Json = {"ownerReferences": [{"kind": "ConfigMap", "name": "theirs"}]}


def gateway(labels: Json | None = None, **life: Any) -> Json:
    metadata = {**MANIFEST["metadata"], "managedFields": [], **life}
    return {**MANIFEST, "metadata": metadata if labels is None else {**metadata, "labels": labels}}


def planned(*objects: Json, manifests: bool = True, **changes: Any) -> Plan:
    found = settled_reading(objects=list(objects), **changes.pop("found", {}))
    return plan_of(found, manifests=[MANIFEST] if manifests else [], **changes)


@pytest.mark.parametrize(
    ("life", "code", "words"),
    [
        (DELETED, "under-deletion", "waits for finalizer example.com/hold"),
        ({"deletionTimestamp": "2026-11-01T00:00:00Z"}, "under-deletion", "being deleted since 2026-11-01T00:00:00Z"),
        (OWNED, "owned-by-others", "belongs to ConfigMap theirs"),
    ],
)
def test_an_object_of_ours_that_is_about_to_end_is_refused(life: Json, code: str, words: str) -> None:
    (error,) = planned(gateway(**life)).errors
    assert (error.code, error.where) == (code, TITLE)
    assert words in error.what
    assert error.fix
    # The control: the same object without it.
    assert planned(gateway(finalizers=["example.com/hold"])).errors == []


def test_so_it_is_at_its_adoption_and_without_one_it_is_somebody_elses() -> None:
    theirs = gateway(labels={}, **OWNED)
    assert codes_of(planned(theirs).errors) == ["not-ours"]
    assert codes_of(planned(theirs, policy=replace(POLICY, adopt=True)).errors) == ["owned-by-others"]


def test_what_no_link_needs_may_end_as_it_likes() -> None:
    plan = planned(gateway(**DELETED), manifests=False)
    assert plan.errors == []
    assert [item["metadata"]["name"] for item in plan.work.delete] == ["gateway-mysql"]


def test_a_run_for_other_links_does_not_mind() -> None:
    other = replace(POLICY, only=frozenset({"link-1"}))
    assert planned(gateway(**DELETED), policy=other, links=[link(), numbered(1)]).errors == []


@pytest.mark.parametrize(
    ("life", "code"),
    [(DELETED, "under-deletion"), (OWNED, "owned-by-others"), ({"immutable": True}, "immutable-secret")],
)
def test_a_secret_of_ours_that_cannot_be_renewed_is_refused(life: Json, code: str) -> None:
    (error,) = plan_of(settled_reading(secrets=[secret(**life)])).errors
    assert (error.code, error.where) == (code, HELD)


def test_a_foreign_secret_that_is_immutable_is_foreign() -> None:
    assert codes_of(plan_of(settled_reading(secrets=[secret(labels={}, immutable=True)])).errors) == ["not-ours"]


# -- certificates do not depend on what else is wrong --------------------------------------------------------------

SOON = NOW + 340 * DAY
CLOSED = {"server": {**SERVICE, "ports": [{"port": 13306, "protocol": "UDP"}], "owners": {}}, "client": None}
WITHOUT = {"server": None, "client": None}


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"services": CLOSED}, "port-not-tcp"),
        ({"services": WITHOUT}, "no-gateway"),
        ({"gateways": [FOREIGN]}, "host-taken-in-namespace"),
        ({"objects": [gateway(labels={})]}, "not-ours"),
        ({"objects": [gateway(**DELETED)]}, "under-deletion"),
        ({"missing_kinds": ["Gateway"]}, "unknown-kind"),
    ],
)
def test_what_is_wrong_with_objects_keeps_no_certificate_from_renewal(found: Json, code: str, existing: bool) -> None:
    policy = replace(POLICY, existing=existing)
    plan = plan_of(settled_reading(**found), manifests=[MANIFEST], policy=policy, now=SOON)
    assert codes_of(plan.errors)[:1] == [code]
    assert plan.barring == []
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]
    assert plan.work.renewals


def test_nothing_is_issued_for_a_link_that_cannot_be_written() -> None:
    new = [link(), numbered(1)]
    plan = plan_of(settled_reading(gateways=[FOREIGN]), new, now=SOON)
    assert plan.errors
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]
    # The control: where nothing is wrong, both are.
    assert len(plan_of(settled_reading(), new, now=SOON).work.credentials) == 2


def two_secrets(**life: Any) -> Reading:
    other = secret(**{"name": "link-1-credential", "labels": OWNER.labels("link-1"), **life})
    return settled_reading(secrets=[secret(leaf_of()), other])


@pytest.mark.parametrize("life", [{"immutable": True}, {"labels": {}}])
def test_a_secret_that_is_held_up_holds_up_no_other(life: Json) -> None:
    plan = plan_of(two_secrets(**life), [link(), numbered(1)], now=SOON)
    assert len(plan.errors) == 1
    assert plan.barring == []
    assert [item["name"] for item in plan.work.credentials] == ["mysql-credential"]


def test_one_that_is_about_to_go_is_an_error_and_is_renewed_all_the_same() -> None:
    plan = plan_of(two_secrets(**DELETED), [link(), numbered(1)], now=SOON)
    assert codes_of(plan.errors) == ["under-deletion"]
    assert (plan.barring, len(plan.work.credentials)) == ([], 2)


def test_it_holds_up_an_adoption_and_no_revocation_list() -> None:
    held = two_secrets(immutable=True)
    adopting = plan_of(held, [link(), numbered(1)], policy=replace(POLICY, adopt=True))
    assert codes_of(adopting.barring) == ["immutable-secret"]
    publishing = plan_of(held, [link(), numbered(1)], policy=replace(POLICY, stage="bundle", existing=True))
    assert (codes_of(publishing.errors), publishing.barring) == (["immutable-secret"], [])


def test_a_wrong_ca_forbids_everything() -> None:
    plan = plan_of(settled_reading(mesh_roots=[ROOT.view.public_key_fingerprint], gateways=[FOREIGN]), now=SOON)
    assert codes_of(plan.barring) == ["mesh-ca"]
    assert len(plan.errors) == 2
    assert plan.work.renewals == []
