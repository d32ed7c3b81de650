# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of an error that nobody foresaw."""

from __future__ import annotations

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import serial
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import internal_error


def test_it_names_the_innermost_of_our_calls() -> None:
    with pytest.raises(AttributeError) as caught:
        serial(7)  # type: ignore[arg-type]
    told = internal_error(caught.value).message
    assert told.code == "internal-error"
    assert told.where.startswith("plugins/module_utils/_cluster/envoy.py, line ")
    assert told.where.endswith(", in serial")
    assert str(caught.value) not in str(told)


def test_it_says_so_where_none_of_them_is_ours() -> None:
    assert internal_error(ValueError("x")).message.where == "outside of the collection"
