# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where two values differ that an API server gives, by path. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["differing"]


def differing(wanted: object, there: object, path: str, *, in_lists: bool = False) -> Iterator[tuple[str, bool]]:
    """Paths at which two values differ, and whether what is there is only more than is wanted.

    :param in_lists: look into lists of one length; else lists are compared whole, as Istio's CRDs declare them atomic.
    """
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        for key in {**wanted, **there}:
            if key in wanted and key in there:
                yield from differing(wanted[key], there[key], f"{path}.{key}", in_lists=in_lists)
            else:
                yield f"{path}.{key}", key in there
    elif in_lists and isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for number, (one, other) in enumerate(zip(wanted, there, strict=True)):
            yield from differing(one, other, f"{path}[{number}]", in_lists=True)
    elif wanted != there:
        yield path, False
