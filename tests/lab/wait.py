# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing until something is so."""

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import LabError

T = TypeVar("T")


def until(observe: Callable[[], T | None], *, what: str, cure: str, timeout: float) -> T:
    """Return the first truthy observation; a bounded wait that says what did not come."""
    seen = _observed(observe, timeout, pause=0.1)
    if not seen:
        raise LabError(f"{what}: not so within {timeout:.0f} s; {cure}")
    return seen


def eventually(probe: Callable[[], T], *, within: float = 30.0, pause: float = 0.2) -> T:
    """The probe's first answer that is true in itself, for tests.

    :param within: seconds, after which the test fails with the last answer.
    """
    answer = _observed(probe, within, pause)
    assert answer, f"still {answer!r} after {within:.0f} s"
    return answer


def _observed(observe: Callable[[], T], timeout: float, pause: float) -> T:
    """The first truthy observation, or the last one within the time."""
    deadline = time.monotonic() + timeout
    while not (seen := observe()) and time.monotonic() < deadline:
        time.sleep(pause)
    return seen
