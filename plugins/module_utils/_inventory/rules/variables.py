# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that have no effect because nothing reads one of that name. Pure.

PRIVATE to the collection. A name may be a user's own, so this is never an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import schema
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed

__all__ = ["unknown_variables"]

_KNOWN = frozenset((*(field.name for field in schema.VARIABLES), *schema.HANDED_ON))


def unknown_variables(names: Iterable[str]) -> Message | None:
    """What to say of the variables whose names begin as the collection's own do; None where all of them are known.

    :param names: of all variables of the run, whoever defined them.
    """
    unknown = sorted({name for name in names if name.startswith(schema.PREFIXES) and not _is_known(name)})
    if not unknown:
        return None
    meant = [f"{name} may be {near}" for name in unknown if (near := _nearest(name))]
    advice = "write the name as docs/links.md has it; let names of your own begin otherwise"
    return Message.warning(
        "unknown-variable",
        where=listed(unknown),
        what="no variable of this collection has this name, so it has no effect",
        fix=f"{', '.join(meant)}: {advice}" if meant else advice,
    )


def _is_known(name: str) -> bool:
    return name in _KNOWN or name.startswith(schema.INTERNAL_PREFIX)


def _nearest(name: str) -> str:
    """The known name that is like it, by what follows the beginning that all of them share; empty where none is."""
    known = {_own_part(field.name): field.name for field in schema.VARIABLES}
    close = difflib.get_close_matches(_own_part(name), known, n=1)
    return known[close[0]] if close else ""


def _own_part(name: str) -> str:
    return next(name.removeprefix(prefix) for prefix in schema.PREFIXES if name.startswith(prefix))
