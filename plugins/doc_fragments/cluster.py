# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every module has which talks to a cluster; their argument spec is plugin_utils/cluster_action.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - kubernetes >= 29.0.0
  - cryptography >= 42.0.0
options:
  kubeconfig:
    description: Path of a kubeconfig file. If not given, what the C(kubernetes) package takes.
    type: path
  context:
    description: Name of a context in it. If not given, its current one.
    type: str
"""
