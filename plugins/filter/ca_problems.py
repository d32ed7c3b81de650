# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ca_problems; documented in ca_problems.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.findings import describe
from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import CaSettings, check_ca_settings


def ca_problems(settings: Mapping[str, Any]) -> list[str]:
    return describe(check_ca_settings(CaSettings(**settings)))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"ca_problems": ca_problems}
