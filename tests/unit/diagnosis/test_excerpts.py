# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of an inventory that is wrong, nothing is handed on but what the schema knows."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._diagnosis.excerpts import of_variables
from tests.unit.support import MYSQL

PLANTED = "planted-word-4711"


@pytest.mark.parametrize("value", [{"users": PLANTED}, [PLANTED], [[PLANTED]], {"name": [{"token": PLANTED}]}])
@pytest.mark.parametrize("name", ["mesh_kubeconfig", "mesh_api_timeout", "mesh_instance", "mesh_dns"])
def test_a_value_of_another_type_is_not_handed_on(name: str, value: Any) -> None:
    assert PLANTED not in repr(of_variables({name: value}))


@pytest.mark.parametrize(
    "link", [PLANTED, [PLANTED], {**MYSQL, "args": PLANTED}, {**MYSQL, "backend": PLANTED}, {**MYSQL, "port": PLANTED}]
)
def test_a_link_that_is_none_is_not_handed_on(link: Any) -> None:
    assert PLANTED not in repr(of_variables({"mesh_links": [link]}))


def test_what_the_schema_knows_is_handed_on() -> None:
    given = {"mesh_links": [MYSQL], "mesh_api_timeout": "30", "mesh_only_links": ["mysql"], "mesh_adopt": True}
    assert of_variables({**given, "my_own": PLANTED}) == given
