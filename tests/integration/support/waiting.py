"""Waiting for what other programs do in their own time: observed, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(probe: Callable[[], Answer], *, within: float = 30.0, pause: float = 0.2) -> Answer:
    """The probe's first answer that is true in itself.

    :param within: seconds, after which the test fails with the last answer.
    """
    deadline = time.monotonic() + within
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within:.0f} s"
        time.sleep(pause)
    return answer
