# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long, and how much, a run takes from one cluster. Pure.

PRIVATE to the collection. A cluster that answers slowly, or without end, costs its own turn: nothing that it sends is
waited for, or kept, beyond these.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """The limits of one call that asks a cluster.

    :param answer: seconds in which one answer has to be there as a whole.
    :param size: bytes that one answer may have, the output of a command in a pod too.
    :param cluster: seconds in which all answers of one call have to be there.
    """

    answer: float = 60
    size: int = 64 * 1024 * 1024
    cluster: float = 600
