# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the logic of this collection raises.

PRIVATE to the collection: modules turn it into C(fail_json), filters into a filter error.
"""

from __future__ import annotations

__all__ = ["CrossmeshError", "UnfinishedError"]


class CrossmeshError(Exception):
    """An error that a user can act on.

    :param what: what went wrong, as a short statement.
    :param where: the object, file or cluster in which it was seen.
    :param why: the observed cause, with values (never a secret one).
    :param cure: what to do about it, in the imperative.
    """

    def __init__(self, *, what: str, where: str, why: str, cure: str) -> None:
        super().__init__(what, where, why, cure)
        self.what = what
        self.where = where
        self.why = why
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.why}. Cure: {self.cure}."


class UnfinishedError(CrossmeshError):
    """Something was written, and then what belongs to it could not be."""
