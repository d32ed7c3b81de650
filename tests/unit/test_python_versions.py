# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller whose Python is too old."""

from __future__ import annotations

import runpy
import sys

import pytest
from ansible.errors import AnsibleCollectionUnsupportedVersionError

from tests.unit.support import CHECKOUT

DOOR = str(CHECKOUT / "plugins/__init__.py")


def test_a_python_that_is_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(
        AnsibleCollectionUnsupportedVersionError, match=r"needs Python 3\.11 or later.* runs on 3\.10 "
    ) as caught:
        runpy.run_path(DOOR)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_one_that_is_not_goes_on(minor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, minor, 0, "final", 0))
    runpy.run_path(DOOR)
