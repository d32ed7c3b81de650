# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking again and again until a time limit, with a line of progress every few seconds.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Waiting"]

# Seconds from one line to the next.
PROGRESS = 10.0


class Waiting:
    """One wait.

    :param timeout: seconds.
    :param say: told what is waited for.
    :param at_once: whether it is told before the first pause too.
    """

    def __init__(
        self,
        timeout: float,
        say: Callable[[str], object],
        clock: Callable[[], float],
        pause: Callable[[float], None],
        *,
        at_once: bool = False,
    ) -> None:
        self._timeout, self._say, self._clock, self._pause = timeout, say, clock, pause
        self._begun = clock()
        self._due = 0.0 if at_once else PROGRESS
        self.told = False

    @property
    def passed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    @property
    def over(self) -> bool:
        return self.passed >= self._timeout

    def pause(self, seconds: float, what: str) -> None:
        """Let time pass, and say from time to time what for."""
        passed = self.passed
        if passed >= self._due:
            self._say(f"{what}; waited {passed:.0f} s of {self._timeout:.0f}")
            self._due, self.told = passed + PROGRESS, True
        self._pause(seconds)
