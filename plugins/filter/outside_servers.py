# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter outside_servers; documented in outside_servers.yml."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory import desired
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules import links as link_rules


def outside_servers(links: Any, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    found = desired.outside_servers(link_rules.sound_links_with(links, "external"))
    return [server for server in found if not only or server["link"] in only]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"outside_servers": outside_servers}
