# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the logic of this collection raises.

PRIVATE to the collection: modules and actions turn it into a failed result.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message

__all__ = ["CrossmeshError", "UnfinishedError", "failure", "internal_error"]

# The folder that is named plugins in the collection.
_PLUGINS = Path(__file__).resolve().parents[1]


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


def internal_error(error: Exception) -> CrossmeshError:
    """What is told of an error that nobody foresaw: its type, and where in our code it arose.

    Never its text, which can hold whatever value did not fit, a secret one among them.
    """
    return CrossmeshError(
        Message.error(
            "internal-error",
            where=_place_in_our_code(error),
            what=f"internal error: {type(error).__name__}, which this collection should have foreseen",
            fix="report it to the maintainers with this line, the version of the collection and that of ansible-core",
        )
    )


def _place_in_our_code(error: Exception) -> str:
    """The innermost call that is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(_PLUGINS)]
    if not ours:
        return "outside of the collection"
    frame = ours[-1]
    path = Path(frame.filename).resolve().relative_to(_PLUGINS.parent)
    return f"{path}, line {frame.lineno}, in {frame.name}"
