# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that others wrote, and parts of it: of whatever shape, it is no error of Python's. Pure.

PRIVATE to the collection. What is read by these is optional: a part of another type counts as not there. What a run
cannot do without is held against a shape (M(_cluster/documents)).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

__all__ = ["NOTHING", "Json", "is_count", "mapping", "mappings", "moment", "parse_json", "text"]

# A JSON object, opaque until somebody reads a field of it.
Json = Mapping[str, Any]
NOTHING: Json = {}

# No document of Kubernetes, Istio or Envoy is nested half as deep, and code that follows one does so by recursion.
_DEEPEST = 200
# Of what counts seconds from there.
_FIRST_YEAR = 1970
# Digits of what is counted here: more do not fit into 64 bits.
_MOST_DIGITS = 19


def parse_json(data: str | bytes) -> object:
    """RFC 8259, and no more: Python's parser takes NaN, half of a surrogate pair, and any depth and number.

    :raises ValueError: it is no JSON, is nested too deep, or holds a text or number that cannot be handed on.
    """
    try:
        found: object = json.loads(data, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    _refuse_depth(found)
    if (b"\\ud" if isinstance(data, bytes) else "\\ud") in data.lower():  # type: ignore[operator]
        # Half a pair has no UTF-8: this says so.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _refuse_depth(found: object) -> None:
    level = [found]
    for _depth in range(_DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ValueError("nested too deep")


def mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else NOTHING


def mappings(value: object) -> list[Json]:
    """The mappings of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def moment(value: object) -> str:
    """A time as our own documents have it: ISO 8601 in UTC, to the second; empty where it is none."""
    try:
        found = datetime.strptime(text(value), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return ""
    # strptime takes digits of other scripts, and fewer of them, which datetime.fromisoformat does not.
    ours = found.year >= _FIRST_YEAR and f"{found:%Y-%m-%dT%H:%M:%S}Z" == value
    return text(value) if ours else ""


def is_count(written: str) -> bool:
    """Whether a text is a whole number that fits into 64 bits; Python takes more digits, and others than ASCII's."""
    return written.isascii() and written.isdigit() and len(written) <= _MOST_DIGITS
