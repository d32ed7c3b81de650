# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look tells that the rows of other clusters are held against. Plain JSON.

PRIVATE to the collection.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = ["Destination", "Sight"]


class Destination(TypedDict):
    """Where the name of a link leads to.

    :param problem: why no pod tells.
    :param pods: addresses by pod; None where a pod does not know the link.
    """

    link: str
    fqdn: str
    external: bool
    problem: str
    pods: dict[str, list[str] | None]


class Sight(TypedDict):
    """What other clusters' rows are held against.

    :param ingress: addresses of the ingress gateway.
    :param serves: names of links.
    """

    cluster: str
    ingress: list[str]
    serves: list[str]
    dials: list[Destination]
