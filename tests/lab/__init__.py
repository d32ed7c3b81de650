# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio meshes on one machine, as plain processes. `python -m tests.lab` drives it; tests use `Lab`."""

from .api import Capture, Lab
from .errors import LabError

__all__ = ["Capture", "Lab", "LabError"]
