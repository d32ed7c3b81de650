# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ca_problems; documented in ca_problems.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import CaSettings, check_ca_settings


def ca_problems(settings: Mapping[str, Any], as_messages: bool = False) -> list[Any]:
    found = check_ca_settings(CaSettings(**settings))
    return [finding.to_json() if as_messages else str(finding) for finding in found]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"ca_problems": ca_problems}
