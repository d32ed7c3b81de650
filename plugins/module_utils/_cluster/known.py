# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that somebody else keeps in a list of his: what he says of it, and no credential. Pure.

PRIVATE to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Known"]


@dataclass(frozen=True)
class Known:
    """One cluster in such a list.

    :param name: what it is called there.
    :param server: URL of its API server; empty where that is not told.
    :param labels: of the object that stands for it.
    :param claims: what it says of itself (ClusterClaims of Open Cluster Management).
    :param way: variables of the contract that lead to it.
    """

    name: str
    server: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    way: Mapping[str, str] = field(default_factory=dict)
