# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of which some are run with the campaign alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def with_slow(names: Iterable[str], slow: Collection[str]) -> list[Any]:
    """The names as parameters of a test.

    :param slow: those that take their time, or are much like another one.
    """
    every = list(names)
    assert set(slow) <= set(every), set(slow) - set(every)
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in every]
