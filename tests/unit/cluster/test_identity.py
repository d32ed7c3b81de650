# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, and which cluster answers."""

from __future__ import annotations

from typing import cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api, ApiError
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.identity import read_identity, unidentified
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.model import Identity
from tests.unit.cluster.fake_api import REVIEW, FakeApi
from tests.unit.support import refused

NAMESPACE = "/api/v1/namespaces/kube-system"


def identity(fake: FakeApi) -> Identity:
    return read_identity(cast(Api, fake))


def test_both_are_asked_of_the_api_server() -> None:
    found = identity(FakeApi())
    assert found == {"user": "lab-admin", "cluster_uid": "uid-of-cluster-b"}
    assert unidentified(found) is None


@pytest.mark.parametrize(
    "fake", [FakeApi(user="system:anonymous"), FakeApi(statuses={REVIEW: 403}, nobody=True)], ids=["told", "refused"]
)
def test_who_is_nobody_may_not_go_on(fake: FakeApi) -> None:
    with refused("anonymous") as failure:
        identity(fake)
    assert failure.value.message.where == fake.where


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_does_not_tell_stops_nobody(status: int) -> None:
    """An old one, or one whose administrator has taken the right away; with a credential somebody asks."""
    assert identity(FakeApi(statuses={REVIEW: status}))["user"] == ""


def test_a_credential_that_is_refused_is_told_as_it_is() -> None:
    with pytest.raises(ApiError) as failure:
        identity(FakeApi(statuses={REVIEW: 401}))
    assert failure.value.status == 401


def test_where_the_uid_may_not_be_read_it_is_said() -> None:
    found = identity(FakeApi(statuses={NAMESPACE: 403}))
    assert found["cluster_uid"] == ""
    notice = unidentified(found)
    assert notice is not None
    assert (notice.code, notice.level) == ("cluster-unidentified", "notice")
