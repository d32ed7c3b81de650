# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter outside_links; documented in outside_links.yml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules


def outside_links(links: Any) -> list[str]:
    return desired.beyond_sight(link_rules.sound_links_with(links, "external", "foreign_clients"))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"outside_links": outside_links}
