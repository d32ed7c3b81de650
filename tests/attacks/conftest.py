# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root and the leaf of the unit tests, and their profile."""

from tests.unit.conftest import leaf, root

__all__ = ["leaf", "root"]
