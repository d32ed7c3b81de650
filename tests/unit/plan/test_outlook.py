# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan after foresight and dry run: what admission adds to our objects is foreseen as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.api import Api
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.dry_run import try_out
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.surroundings import Surroundings
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan import outlook
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.foresight import foresee
from ansible_collections.crossmesh.mtls.plugins.module_utils._plan.outlook import Case, Outlook, look_ahead
from ansible_collections.crossmesh.mtls.plugins.plugin_utils._manifests import render
from tests.unit.cluster.fake_api import FakeApi
from tests.unit.pki.support import NOW
from tests.unit.plan.test_foresight import ALONE, EMPTY, SERVICES
from tests.unit.plan.test_plan import AUTHORITY, POLICY, reading
from tests.unit.support import CLIENT, Json, codes_of, view


def ahead(admission: Callable[[Json], Json] = lambda item: item, objects: Sequence[Json] = ()) -> Outlook:
    """Of a client, in whose cluster there are the gateways' Services and these objects."""
    side = view([ALONE], CLIENT)["client"]
    seen = Surroundings([*SERVICES, *objects])
    found = reading(**{**EMPTY, "objects": list(objects)})
    case = Case(found, side, render("client", side), AUTHORITY, POLICY, NOW, seen)
    api = FakeApi(list(objects), admission=admission)
    return look_ahead(case, partial(try_out, cast(Api, api)))


def hiding(kind: str) -> Callable[[Json], Json]:
    """A mutating webhook by which objects of a kind are for their own namespace alone."""

    def admission(item: Json) -> Json:
        if item.get("kind") == kind:
            item["spec"]["exportTo"] = ["."]
        return item

    return admission


def test_where_admission_changes_nothing_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return foresee(*arguments)

    monkeypatch.setattr(outlook, "foresee", counted)
    found = ahead()
    assert (found.plan.errors, len(found.tried) > 0, len(asked)) == ([], True, 1)
    # The control: what it adds is a reason to ask again.
    ahead(hiding("VirtualService"))
    assert len(asked) == 3


@pytest.mark.parametrize("kind", ["VirtualService", "ServiceEntry"])
def test_what_admission_adds_is_foreseen_before_anything_is_written(kind: str) -> None:
    found = ahead(hiding(kind))
    assert found.plan.errors != []
    assert found.foresight.errors == found.plan.errors
    assert "admission-adds" in codes_of(found.plan.standing.notices)
    assert all("mysql" in error.where for error in found.plan.errors)


def test_what_is_there_as_admission_made_it_is_foreseen_as_it_is() -> None:
    admission = hiding("VirtualService")
    side = view([ALONE], CLIENT)["client"]
    there = [admission(cast(Json, item)) for item in render("client", side)]
    for item in there:
        item["metadata"] |= {"managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    found = ahead(admission, there)
    assert found.foresight.errors != []
    assert found.plan.errors == found.foresight.errors
