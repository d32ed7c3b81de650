# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ca_dir; documented in ca_dir.yml."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.crossmesh.mtls.plugins.module_utils._inventory.rules.ca import store_path


def ca_dir(sources: Sequence[str], value: str = "") -> str:
    return str(store_path(value, sources, Path.cwd()))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"ca_dir": ca_dir}
