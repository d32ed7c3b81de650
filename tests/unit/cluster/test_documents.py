# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of an API server held against their shapes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.documents import VERSION, hold, list_objects
from ansible_collections.crossmesh.mtls.plugins.module_utils._names import KINDS
from tests.unit.cluster.fake_api import FakeApi, collection_path
from tests.unit.support import Json, refused


def held(answer: Any, kind: str = "Gateway") -> list[Json]:
    api = FakeApi()
    api.get = lambda *_arguments, **_named: answer  # type: ignore[method-assign]
    return list_objects(cast(Api, api), kind, collection_path(kind))


def test_null_counts_as_not_there_and_other_fields_are_nobodys_concern() -> None:
    metadata = {"name": "x", "namespace": "y", "labels": None, "annotations": {"a": None, "b": "c"}, "more": 7}
    assert held({"items": [{"metadata": metadata, "spec": None, "other": [7]}]}) == [
        {"metadata": {"name": "x", "namespace": "y", "annotations": {"b": "c"}, "more": 7}, "other": [7]}
    ]
    assert held({"items": None}) == []


@pytest.mark.parametrize("kind", [kind.kind for kind in KINDS])
def test_what_an_error_says_holds_no_value(kind: str) -> None:
    with refused("malformed-object") as caught:
        held({"items": [{"metadata": {"name": "x", "namespace": "y"}, "spec": "planted-value"}]}, kind)
    assert f"context cluster-b of kubeconfig, {kind} y/x: spec is a text, and should be a mapping" in str(caught.value)
    assert "planted-value" not in str(caught.value)


def test_a_truth_value_is_no_number_and_no_text() -> None:
    assert hold({"gitVersion": "v1"}, VERSION, "x") == {"gitVersion": "v1"}
    with refused("malformed-object"):
        hold({"gitVersion": True}, VERSION, "x")
