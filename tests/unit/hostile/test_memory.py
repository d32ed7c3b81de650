# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server in memory does to objects what a real one does, as far as runs build on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.memory import Memory, StatusError

KEY = ("Secret", "default", "x")


def secret(**data: str) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": "x"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def service(*ports: int) -> dict[str, Any]:
    listed = [{"port": port, "protocol": "TCP", "name": f"p-{port}"} for port in ports]
    metadata = {"namespace": "default", "name": "x"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": listed}}


def test_two_managers_share_an_object_and_each_takes_away_its_own_alone() -> None:
    memory = Memory()
    memory.apply(KEY, secret(key="a"), "one", force=False)
    memory.apply(KEY, secret(trust="b"), "two", force=False)
    assert memory.get(*KEY)["data"] == {"key": "a", "trust": "b"}
    memory.apply(KEY, secret(), "one", force=False)
    assert memory.get(*KEY)["data"] == {"trust": "b"}


def test_a_field_of_another_manager_is_a_conflict_until_it_is_forced() -> None:
    memory = Memory()
    memory.apply(KEY, secret(key="a"), "one", force=False)
    with pytest.raises(StatusError) as refused:
        memory.apply(KEY, secret(key="b"), "two", force=False)
    assert (refused.value.code, refused.value.causes) == (409, (".data.key",))
    assert memory.apply(KEY, secret(key="b"), "two", force=True)["data"] == {"key": "b"}


def test_ports_of_a_service_are_told_apart_by_their_numbers() -> None:
    memory, key = Memory(), ("Service", "default", "x")
    memory.apply(key, service(443), "helm", force=False)
    memory.apply(key, service(15443), "ours", force=False)
    assert [port["port"] for port in memory.get(*key)["spec"]["ports"]] == [443, 15443]
    fields = {entry["manager"]: entry["fieldsV1"] for entry in memory.get(*key)["metadata"]["managedFields"]}
    assert list(fields["ours"]["f:spec"]["f:ports"]) == ['k:{"port":15443,"protocol":"TCP"}']


def test_what_is_tried_is_not_kept_but_seen() -> None:
    memory = Memory()
    assert memory.apply(KEY, secret(key="a"), "one", force=False, dry=True)["data"] == {"key": "a"}
    assert not memory.objects
    assert [item["data"] for item in memory.seen] == [{"key": "a"}]


def test_what_changes_nothing_leaves_the_version() -> None:
    memory = Memory()
    before = memory.apply(KEY, secret(key="a"), "one", force=False)
    after = memory.apply(KEY, secret(key="a"), "one", force=False)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    changed = memory.merge(KEY, {"data": {"key": None}}, "two")
    assert changed["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert "key" not in changed.get("data", {})
