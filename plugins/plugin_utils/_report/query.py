# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers a JMESPath expression over a report.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, one_line

try:
    import jmespath
    from jmespath.exceptions import JMESPathError

    HAS_JMESPATH = True
except ImportError:
    HAS_JMESPATH = False

__all__ = ["HAS_JMESPATH", "answer"]


def answer(expression: str, report: Mapping[str, Any]) -> Any:
    """:raises CrossmeshError: it is no expression, or asks for what the values have not."""
    try:
        return jmespath.search(expression, report)
    # The library lets some of Python's own through, as of a number where a function takes a text.
    except (JMESPathError, ValueError, TypeError) as error:
        raise CrossmeshError(
            Message.error(
                "report-query",
                where=f"mesh_report_query: {expression}",
                what=f"it cannot be answered: {one_line(error)}",
                fix="correct it; numbers stand in backquotes, texts in single quotes: links[?days_left < `30`].name",
            )
        ) from None
