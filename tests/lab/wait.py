"""Observing until something is so."""

import time
from collections.abc import Callable
from typing import TypeVar

from .errors import LabError

T = TypeVar("T")

_INTERVAL = 0.1


def until(observe: Callable[[], T | None], *, what: str, cure: str, timeout: float) -> T:
    """Return the first truthy observation; a bounded wait that says what did not come."""
    deadline = time.monotonic() + timeout
    while True:
        seen = observe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not so within {timeout:.0f} s; {cure}")
        time.sleep(_INTERVAL)
