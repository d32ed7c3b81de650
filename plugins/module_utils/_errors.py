# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the logic of this collection raises.

PRIVATE to the collection: modules and actions turn it into a failed result.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["CrossmeshError", "UnfinishedError", "failure"]


class CrossmeshError(Exception):
    """An error that a user can act on: one message, or several that were found at once."""

    def __init__(self, message: Message, *more: Message) -> None:
        super().__init__(message, *more)
        self.messages = (message, *more)

    @property
    def message(self) -> Message:
        """The first, which says what failed."""
        return self.messages[0]

    def __str__(self) -> str:
        return "\n".join(map(str, self.messages))


class UnfinishedError(CrossmeshError):
    """Something was written, and then what belongs to it could not be."""


def failure(*errors: CrossmeshError) -> dict[str, Any]:
    """What a failed result says: C(msg) for people, C(errors) for what comes next."""
    return {
        "msg": "\n".join(map(str, errors)),
        "errors": [message.to_json() for error in errors for message in error.messages],
    }
