# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All targets, by name, and what Hypothesis draws for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from . import of_clusters, of_keys, of_pods, of_registries, of_stores, of_users
from .inputs import edited_bytes, edited_documents
from .judge import Target

__all__ = ["TARGETS", "inputs_of"]

TARGETS: Mapping[str, Target] = {
    name: target
    for module in (of_keys, of_pods, of_clusters, of_registries, of_stores, of_users)
    for name, target in module.TARGETS.items()
}


def inputs_of(target: Target) -> st.SearchStrategy[Any]:
    seeds = list(target.seeds())
    return edited_bytes(seeds) if isinstance(seeds[0], bytes) else edited_documents(seeds)
