# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look reads of others: each list once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.reading import Request, read_cluster, read_parts
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import (
    Surroundings,
    read_surroundings,
)
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.cluster.test_reading import REQUEST, item

THEIRS = [
    item(kind, "theirs", namespace="shop", labels={})
    for kind in ("Gateway", "DestinationRule", "ServiceEntry", "Sidecar")
]


def looked(api: FakeApi, request: Request = REQUEST) -> Surroundings:
    parts = read_cluster(cast(Api, api), request)
    return read_surroundings(cast(Api, api), [], parts.whole)


@pytest.mark.parametrize(
    ("lockdown", "once"), [((), ["Gateway", "DestinationRule"]), (("shop",), ["Gateway", "DestinationRule", "Sidecar"])]
)
def test_what_was_read_in_full_is_not_read_again(lockdown: tuple[str, ...], once: list[str]) -> None:
    api = FakeApi(THEIRS)
    found = looked(api, replace(REQUEST, lockdown=lockdown))
    assert sorted(thing["kind"] for thing in found.objects) == sorted(thing["kind"] for thing in THEIRS)
    reads = Counter(api.reads)
    assert {kind: reads[collection_path(kind)] for kind in once} == dict.fromkeys(once, 1)
    # The control: of this kind the look reads what is its own, and all of it comes after.
    assert reads[collection_path("ServiceEntry")] > 1


EACH = (
    "ServiceEntry",
    "Gateway",
    "DestinationRule",
    "VirtualService",
    "PeerAuthentication",
    "AuthorizationPolicy",
    "Sidecar",
)


def test_where_everything_is_needed_anyway_each_kind_is_read_once() -> None:
    api = FakeApi(THEIRS)
    found = looked(api, replace(REQUEST, whole=True))
    assert sorted(thing["kind"] for thing in found.objects) == sorted(thing["kind"] for thing in THEIRS)
    reads = Counter(api.reads)
    assert {kind: reads[collection_path(kind)] for kind in EACH} == dict.fromkeys(EACH, 1)


def test_what_need_not_be_read_is_told_as_unseen_where_it_may_not_be() -> None:
    """Sidecars: without a lock-down no link needs them, but what they hide is not known either."""
    api = FakeApi(THEIRS, statuses={collection_path("Sidecar"): 403})
    found = looked(api, replace(REQUEST, whole=True))
    assert found.unseen["list sidecars"] == "403"
    assert "Sidecar" not in [thing["kind"] for thing in found.objects]


def test_what_could_not_be_read_is_not_taken_for_empty() -> None:
    api = FakeApi(THEIRS, statuses={collection_path("Gateway"): 403})
    parts = read_parts(cast(Api, api), REQUEST)
    assert set(parts.whole) == {"DestinationRule"}
    found = read_surroundings(cast(Api, api), [], parts.whole)
    assert found.unseen["list gateways"] == "403"
