#!/usr/bin/python
# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_preflight_table
short_description: Print what a preflight found, and fail where a check failed
version_added: 0.1.0
author:
  - Crossmesh maintainers (@crossmesh)
description:
  - Prints the table as it is, whatever callback shows the rest of the run.
extends_documentation_fragment:
  - crossmesh.mtls.attributes.reads
options:
  report:
    description: The result of P(crossmesh.mtls.preflight_report#filter).
    type: dict
    required: true
  path:
    description:
      - A file on the controller to which the report is written as JSON, in check mode too. It is what was asked for,
        and no change of anything.
      - A relative path begins where the command was started.
    type: path
seealso:
  - plugin: crossmesh.mtls.preflight_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say what was found of this cluster
  crossmesh.mtls.mesh_preflight_table:
    report: "{{ {inventory_hostname: look} | crossmesh.mtls.preflight_report({inventory_hostname: ''}, {}, {}, true) }}"
"""

RETURN = r"""
msg:
  description: How it ended.
  returned: always
  type: str
  sample: no check failed
"""
