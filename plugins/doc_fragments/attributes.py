# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode, diff mode and a second call do."""

from __future__ import annotations


class ModuleDocFragment:
    # Ansible takes no fragment without options.

    # Writes something.
    CHANGES = r"""
options: {}
attributes:
  check_mode:
    description: Runs the same code and writes nothing.
    support: full
  diff_mode:
    description: Shows what changes; never a private key or the data of a Secret.
    support: full
  idempotent:
    description: A second call changes nothing.
    support: full
"""

    # Reads, or prints.
    READS = r"""
options: {}
attributes:
  check_mode:
    description: Does the same as without it.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
"""
